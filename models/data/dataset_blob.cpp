#include "models/data/dataset_blob.h"

#include <algorithm>
#include <cmath>

#include "models/data/safetensors.h"

namespace fedmesh::models {
namespace {

constexpr std::int64_t kClassesMax = 1024;

Tensor labels_tensor(const std::vector<std::int32_t>& labels) {
  Tensor out{"labels", DType::i32, {static_cast<std::int64_t>(labels.size())}, {}};
  out.data.resize(labels.size() * 4);
  for (std::size_t i = 0; i < labels.size(); ++i)
    store_le32(MutableByteView(out.data).subspan(4 * i), static_cast<std::uint32_t>(labels[i]));
  return out;
}

Tensor classes_tensor(std::uint32_t classes) {
  Tensor out{"classes", DType::i64, {}, Bytes(8)};
  store_le64(out.data, classes);
  return out;
}

Result<void> check_form(const Tensors& tensors) {
  const bool named = tensors.size() == 3 && tensors[0].name == "classes" &&
                     tensors[1].name == "inputs" && tensors[2].name == "labels";
  if (!named) return corruption("a data set has the tensors classes, inputs and labels");
  const Tensor &classes = tensors[0], &inputs = tensors[1], &labels = tensors[2];
  if (classes.dtype != DType::i64 || !classes.shape.empty())
    return corruption("classes is not one I64");
  if (inputs.dtype != DType::f32 || (inputs.shape.size() != 2 && inputs.shape.size() != 4))
    return corruption("inputs is not F32 [rows, features] or [rows, channels, height, width]");
  if (labels.dtype != DType::i32 || labels.shape.size() != 1 || labels.shape[0] != inputs.shape[0])
    return corruption("labels is not one I32 per row");
  if (inputs.data.empty()) return corruption("a data set has no values");
  return {};
}

}  // namespace

Bytes encode_dataset(const Dataset& data) {
  std::vector<std::int64_t> shape{static_cast<std::int64_t>(data.rows())};
  shape.insert(shape.end(), data.shape.begin(), data.shape.end());
  Tensor inputs = Tensor::of("inputs", shape, data.inputs);
  return encode_safetensors(
      {classes_tensor(data.classes), std::move(inputs), labels_tensor(data.labels)});
}

Result<Dataset> decode_dataset(ByteView blob, std::size_t max_bytes) {
  SafetensorsLimits limits;
  limits.bytes = max_bytes;
  FM_TRY(const Tensors tensors, decode_safetensors(blob, limits));
  FM_TRY_VOID(check_form(tensors));
  const auto classes = static_cast<std::int64_t>(load_le64(tensors[0].data));
  if (classes < 2 || classes > kClassesMax) return corruption("classes is not 2 to 1024");
  Dataset out;
  out.shape.assign(tensors[1].shape.begin() + 1, tensors[1].shape.end());
  out.classes = static_cast<std::uint32_t>(classes);
  out.inputs = tensors[1].floats();
  out.features = out.inputs.size() / static_cast<std::size_t>(tensors[1].shape[0]);
  if (!std::all_of(out.inputs.begin(), out.inputs.end(), [](float v) { return std::isfinite(v); }))
    return corruption("an input is not finite");
  for (std::size_t at = 0; at < tensors[2].data.size(); at += 4) {
    const std::uint32_t label = load_le32(ByteView(tensors[2].data).subspan(at));
    if (label >= out.classes) return corruption("a label is not below classes");
    out.labels.push_back(static_cast<std::int32_t>(label));
  }
  return out;
}

}  // namespace fedmesh::models
