#include "coordinator/rounds/server_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "aggregation/server_step.h"
#include "models/data/safetensors.h"

namespace fedmesh::rounds {
namespace {

using models::DType;
using models::TensorEntry;

// The running sum of iterates travels inside the base file, beside the parameters.
constexpr const char* kAveragePrefix = "average.sum.";
constexpr const char* kAverageCount = "average.count";
constexpr std::size_t kBlock = 16384;  // values

static_assert(std::endian::native == std::endian::little, "files are read without conversion");

const TensorEntry* find(const std::vector<TensorEntry>& entries, const std::string& name,
                        DType type, std::uint64_t elements) {
  for (const auto& entry : entries)
    if (entry.name == name && entry.dtype == type && entry.bytes == elements * size_of(type))
      return &entry;
  return nullptr;
}

template <class T>
Result<std::vector<T>> read_values(const ByteSource& from, const TensorEntry& entry,
                                   std::uint64_t first, std::size_t count) {
  std::vector<T> out(count);
  FM_TRY_VOID(from.read(entry.begin + first * sizeof(T),
                        {reinterpret_cast<std::uint8_t*>(out.data()), count * sizeof(T)}));
  return out;
}

template <class T>
ByteView bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T)};
}

// One parameter tensor of the model: where it is in the base file and in the flat vector.
struct Parameter {
  models::ParameterShape shape;
  std::uint64_t elements = 0;
  std::uint64_t first = 0;  // in layout order
  const TensorEntry* values = nullptr;
  const TensorEntry* running = nullptr;  // none before the first iterate
};

class Writer {
 public:
  Writer(const protocol::JobSpec& spec, const ServerStep& step, const ByteSource& from)
      : spec_(spec), step_(step), from_(from) {}

  Result<void> prepare() {
    FM_TRY(entries_, models::read_safetensors_index(from_));
    std::uint64_t first = 0;
    for (const auto& shape : spec_.architecture.layout()) {
      Parameter parameter{shape, models::elements({shape}), first, nullptr, nullptr};
      parameter.values = find(entries_, shape.name, DType::f32, parameter.elements);
      if (parameter.values == nullptr || parameter.values->shape != shape.shape)
        return invalid_argument("the base model has no tensor '" + shape.name +
                                "' of the job's shape");
      parameter.running =
          find(entries_, kAveragePrefix + shape.name, DType::f64, parameter.elements);
      first += parameter.elements;
      parameters_.push_back(std::move(parameter));
    }
    return spec_.training.average_iterates ? read_count() : Result<void>();
  }

  Result<void> write_iterate(ByteSink& out) {
    return write(
        out, plain_entries(),
        [&](const TensorEntry& entry, std::uint64_t at, std::size_t count) -> Result<Bytes> {
          FM_TRY(const auto next, iterate(named(entry.name), at, count));
          return to_bytes(bytes_of(next));
        });
  }

  Result<void> write_mean(ByteSink& out) {
    return write(
        out, plain_entries(),
        [&](const TensorEntry& entry, std::uint64_t at, std::size_t count) -> Result<Bytes> {
          FM_TRY(const auto sums, running(named(entry.name), at, count));
          return to_bytes(bytes_of(aggregation::average(sums, static_cast<std::uint64_t>(count_))));
        });
  }

  Result<void> write_base(ByteSink& out) {
    auto entries = plain_entries();
    for (const auto& parameter : parameters_)
      entries.push_back({kAveragePrefix + parameter.shape.name, DType::f64, parameter.shape.shape,
                         0, parameter.elements * 8});
    entries.push_back({kAverageCount, DType::i64, {1}, 0, 8});
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    const std::string prefix = kAveragePrefix;
    return write(
        out, entries,
        [&](const TensorEntry& entry, std::uint64_t at, std::size_t count) -> Result<Bytes> {
          if (entry.name == kAverageCount) {
            Bytes raw(8);
            store_le64(raw, static_cast<std::uint64_t>(count_));
            return raw;
          }
          if (entry.name.starts_with(prefix)) {
            FM_TRY(const auto sums, running(named(entry.name.substr(prefix.size())), at, count));
            return to_bytes(bytes_of(sums));
          }
          FM_TRY(const auto next, iterate(named(entry.name), at, count));
          return to_bytes(bytes_of(next));
        });
  }

 private:
  using Block =
      std::function<Result<Bytes>(const TensorEntry&, std::uint64_t first, std::size_t count)>;

  Result<void> write(ByteSink& out, const std::vector<TensorEntry>& entries, const Block& block) {
    FM_TRY_VOID(out.append(models::encode_safetensors_header(entries)));
    for (const auto& entry : entries) {
      const std::uint64_t elements = entry.bytes / size_of(entry.dtype);
      for (std::uint64_t at = 0; at < elements; at += kBlock) {
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, elements - at));
        FM_TRY(const Bytes bytes, block(entry, at, count));
        FM_TRY_VOID(out.append(bytes));
      }
    }
    return {};
  }

  std::vector<TensorEntry> plain_entries() const {
    std::vector<TensorEntry> entries;
    for (const auto& parameter : parameters_)
      entries.push_back(
          {parameter.shape.name, DType::f32, parameter.shape.shape, 0, parameter.elements * 4});
    return entries;
  }

  const Parameter& named(const std::string& name) const {
    for (const auto& parameter : parameters_)
      if (parameter.shape.name == name) return parameter;
    FM_CHECK(false, "a parameter of the layout");
  }

  Result<std::vector<float>> iterate(const Parameter& of, std::uint64_t at, std::size_t count) {
    FM_TRY(const auto base, read_values<float>(from_, *of.values, at, count));
    return aggregation::apply_mean(base, step_.sum.subspan(of.first + at, count), step_.denominator,
                                   spec_.privacy.fraction_bits, step_.step_nano);
  }

  Result<std::vector<double>> running(const Parameter& of, std::uint64_t at, std::size_t count) {
    FM_TRY(const auto next, iterate(of, at, count));
    std::vector<double> sums(count, 0.0);
    if (of.running != nullptr) {
      FM_TRY(sums, read_values<double>(from_, *of.running, at, count));
      for (const double value : sums)
        if (!std::isfinite(value))
          return corruption("the base model's running average is not finite");
    }
    aggregation::running_average(sums, next);
    return sums;
  }

  // Iterates in the running sum, the new one included.
  Result<void> read_count() {
    const auto held = std::count_if(parameters_.begin(), parameters_.end(),
                                    [](const Parameter& p) { return p.running != nullptr; });
    const TensorEntry* count = find(entries_, kAverageCount, DType::i64, 1);
    const Error malformed = corruption("the base model's running average is malformed");
    if (held == 0 && count == nullptr) {
      count_ = 1;
      return {};
    }
    if (held != static_cast<std::ptrdiff_t>(parameters_.size()) || count == nullptr)
      return malformed;
    FM_TRY(const auto value, read_values<std::int64_t>(from_, *count, 0, 1));
    if (value[0] < 1 || value[0] >= (std::int64_t{1} << 53)) return malformed;
    count_ = value[0] + 1;
    return {};
  }

  const protocol::JobSpec& spec_;
  const ServerStep& step_;
  const ByteSource& from_;
  std::vector<TensorEntry> entries_;
  std::vector<Parameter> parameters_;
  std::int64_t count_ = 0;
};

}  // namespace

Result<void> write_next_model(const protocol::JobSpec& spec, const ServerStep& step,
                              const ByteSource& from, ByteSink& base, ByteSink& model) {
  Writer writer(spec, step, from);
  FM_TRY_VOID(writer.prepare());
  if (!spec.training.average_iterates) return writer.write_iterate(model);
  FM_TRY_VOID(writer.write_base(base));
  return writer.write_mean(model);
}

}  // namespace fedmesh::rounds
