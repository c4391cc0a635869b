#include "worker/trainer/data_loader.h"

#include <algorithm>
#include <string>

#include "base/crypto/digest.h"
#include "models/data/dataset_blob.h"
#include "models/data/safetensors.h"
#include "models/data/source.h"
#include "models/data/standardise.h"
#include "worker/trainer/frame.h"

namespace fedmesh::trainer {
namespace {

constexpr std::int64_t kScaleNanoMax = 1'000'000'000'000;

Result<models::Dataset> read(const DataView& view) {
  if (view.uri.empty()) return models::decode_dataset(view.blob, kFrameBytesMax);
  if (!view.blob.empty())
    return invalid_argument("a task names its data by uri or carries them as a blob, not both");
  FM_TRY(const auto source, models::DataSource::parse(view.uri));
  return models::load(source, view.schema);
}

Result<models::Dataset> prepare(const DataView& view) {
  FM_TRY_VOID(view.schema.validate());
  if (view.input_scale_nano < 1 || view.input_scale_nano > kScaleNanoMax)
    return invalid_argument("input_scale is above 0 and at most 1000");
  FM_TRY(models::Dataset data, read(view));
  if (data.features != view.schema.features() || data.classes != view.schema.classes)
    return invalid_argument("the data have " + std::to_string(data.features) + " inputs and " +
                            std::to_string(data.classes) + " classes, the schema says " +
                            std::to_string(view.schema.features()) + " and " +
                            std::to_string(view.schema.classes));
  if (!view.standardisation.empty()) {
    FM_TRY(const auto tensors, models::decode_safetensors(view.standardisation));
    FM_TRY(const auto constants, models::standardisation_from(tensors, view.schema));
    FM_TRY_VOID(models::apply(data, view.schema, constants));
  }
  if (view.input_scale_nano != 1'000'000'000) {
    const double scale = static_cast<double>(view.input_scale_nano) / 1e9;
    for (float& input : data.inputs) input = static_cast<float>(input * scale);
  }
  return data;
}

}  // namespace

Result<std::shared_ptr<const models::Dataset>> DataLoader::load(const DataView& view) {
  const Digest key = crypto::blake2b(codec::encode(view));
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const auto& entry) { return entry.first == key; });
  if (found != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, found);
    return entries_.front().second;
  }
  FM_TRY(models::Dataset data, prepare(view));
  if (entries_.size() >= entries_max_) entries_.pop_back();
  entries_.emplace_front(key, std::make_shared<const models::Dataset>(std::move(data)));
  return entries_.front().second;
}

}  // namespace fedmesh::trainer
