#include "models/data/safetensors.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "models/data/text.h"

namespace fedmesh::models {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kNameMax = 512;
constexpr std::size_t kRankMax = 16;
constexpr std::array<std::pair<DType, const char*>, 5> kTypes{{{DType::f32, "F32"},
                                                               {DType::f64, "F64"},
                                                               {DType::i32, "I32"},
                                                               {DType::i64, "I64"},
                                                               {DType::u8, "U8"}}};

const char* name_of(DType type) {
  for (const auto& [known, name] : kTypes)
    if (known == type) return name;
  FM_CHECK(false, "a tensor has an unknown type");
}

std::optional<DType> type_of(const std::string& text) {
  for (const auto& [known, name] : kTypes)
    if (text == name) return known;
  return std::nullopt;
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.size() <= kNameMax && name != "__metadata__" &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
}

// nlohmann::json keeps the last of two equal keys; a file that means two things is refused instead.
Result<Json> parse_json(std::string_view text) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  bool twice = false;
  const auto watch = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key)
      twice = !keys.back().insert(value.get<std::string>()).second || twice;
    return true;
  };
  Json header = Json::parse(text, watch, false);
  if (header.is_discarded() || !header.is_object() || text.front() != '{')
    return corruption("the safetensors header is not a JSON object");
  if (twice) return corruption("the safetensors header has a name twice");
  return header;
}

struct Entry {
  Tensor tensor;  // without data
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

Result<Entry> parse_entry(const std::string& name, const Json& value) {
  const auto fail = [&](const std::string& what) {
    return corruption("safetensors entry " + shown(name) + ": " + what);
  };
  if (!is_plain_name(name)) return fail("a name has 1 to 512 printable ASCII characters");
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") ||
      !value.contains("shape") || !value.contains("data_offsets"))
    return fail("it has exactly dtype, shape and data_offsets");
  const Json &dtype = value["dtype"], &shape = value["shape"], &offsets = value["data_offsets"];
  const auto type = dtype.is_string() ? type_of(dtype.get<std::string>()) : std::nullopt;
  if (!type) return fail("dtype must be F32, F64, I32, I64 or U8");
  if (!shape.is_array() || shape.size() > kRankMax)
    return fail("shape is a list of at most 16 extents");
  Entry out;
  out.tensor.name = name;
  out.tensor.dtype = *type;
  std::uint64_t bytes = size_of(*type);
  for (const Json& extent : shape) {
    if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() > INT64_MAX)
      return fail("an extent is not a whole number");
    if (__builtin_mul_overflow(bytes, extent.get<std::uint64_t>(), &bytes))
      return fail("the shape overflows");
    out.tensor.shape.push_back(extent.get<std::int64_t>());
  }
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned())
    return fail("data_offsets are two whole numbers");
  out.begin = offsets[0].get<std::uint64_t>();
  out.end = offsets[1].get<std::uint64_t>();
  if (out.end < out.begin || out.end - out.begin != bytes)
    return fail("data_offsets do not fit dtype and shape");
  return out;
}

Result<std::vector<Entry>> parse_entries(const Json& header, std::size_t tensors_max) {
  std::vector<Entry> out;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      const bool texts =
          value.is_object() &&
          std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_string(); });
      if (!texts) return corruption("safetensors __metadata__ is not a map of texts");
      continue;
    }
    if (out.size() == tensors_max)
      return exhausted("a safetensors file has more than " + std::to_string(tensors_max) +
                       " tensors");
    FM_TRY(Entry entry, parse_entry(name, value));
    out.push_back(std::move(entry));
  }
  return out;
}

// The entries must tile the data: no hole, no overlap, nothing behind.
Result<void> check_tiling(const std::vector<Entry>& entries, std::size_t size) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
  for (const Entry& entry : entries) spans.emplace_back(entry.begin, entry.end);
  std::sort(spans.begin(), spans.end());
  std::uint64_t at = 0;
  for (const auto& [begin, end] : spans) {
    if (begin != at) return corruption("safetensors data has a hole or an overlap");
    at = end;
  }
  if (at != size) return corruption("safetensors data is longer or shorter than its tensors");
  return {};
}

}  // namespace

Bytes encode_safetensors_header(const std::vector<TensorEntry>& tensors) {
  std::string header = "{";
  std::size_t at = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorEntry& tensor = tensors[i];
    FM_CHECK(is_plain_name(tensor.name) && (i == 0 || tensors[i - 1].name < tensor.name),
             "tensor names are plain, distinct and sorted");
    std::string shape;
    for (const std::int64_t extent : tensor.shape)
      shape += (shape.empty() ? "" : ",") + std::to_string(extent);
    const std::size_t end = at + tensor.bytes;
    header += (i == 0 ? "\"" : ",\"") + tensor.name + "\":{\"dtype\":\"" + name_of(tensor.dtype) +
              "\",\"shape\":[" + shape + "],\"data_offsets\":[" + std::to_string(at) + "," +
              std::to_string(end) + "]}";
    at = end;
  }
  header += "}";
  while (header.size() % 8 != 0) header += ' ';
  Bytes out(kLengthBytes);
  store_le64(out, header.size());
  append(out, as_bytes(header));
  return out;
}

Bytes encode_safetensors(const Tensors& tensors) {
  std::vector<TensorEntry> entries;
  std::size_t size = 0;
  for (const Tensor& tensor : tensors) {
    FM_CHECK(tensor.consistent(), "a tensor's data does not fill its shape");
    entries.push_back({tensor.name, tensor.dtype, tensor.shape, 0, tensor.data.size()});
    size += tensor.data.size();
  }
  Bytes out = encode_safetensors_header(entries);
  out.reserve(out.size() + size);
  for (const Tensor& tensor : tensors) append(out, tensor.data);
  return out;
}

Result<std::vector<TensorEntry>> read_safetensors_index(const ByteSource& file,
                                                        const SafetensorsLimits& limits) {
  if (file.size() > limits.bytes)
    return exhausted("a safetensors file is longer than " + std::to_string(limits.bytes) +
                     " bytes");
  if (file.size() < kLengthBytes) return corruption("shorter than a safetensors header");
  Bytes raw(kLengthBytes);
  FM_TRY_VOID(file.read(0, raw));
  const std::uint64_t length = load_le64(raw);
  if (length > limits.header_bytes)
    return exhausted("a safetensors header is longer than " + std::to_string(limits.header_bytes) +
                     " bytes");
  if (length < 2 || length > file.size() - kLengthBytes)
    return corruption("the safetensors header is cut off");
  raw.resize(length);
  FM_TRY_VOID(file.read(kLengthBytes, raw));
  const std::uint64_t data = kLengthBytes + length;
  FM_TRY(const Json header, parse_json(as_text(raw)));
  FM_TRY(std::vector<Entry> entries, parse_entries(header, limits.tensors));
  FM_TRY_VOID(check_tiling(entries, file.size() - data));
  std::vector<TensorEntry> out;
  for (Entry& entry : entries)
    out.push_back({std::move(entry.tensor.name), entry.tensor.dtype, std::move(entry.tensor.shape),
                   data + entry.begin, entry.end - entry.begin});
  return out;
}

Result<Tensors> decode_safetensors(ByteView file, const SafetensorsLimits& limits) {
  FM_TRY(std::vector<TensorEntry> entries, read_safetensors_index(MemorySource(file), limits));
  Tensors out;
  for (TensorEntry& entry : entries) {  // in name order: nlohmann::json objects are sorted maps
    Tensor tensor;
    tensor.name = std::move(entry.name);
    tensor.dtype = entry.dtype;
    tensor.shape = std::move(entry.shape);
    tensor.data = to_bytes(file.subspan(entry.begin, entry.bytes));
    out.push_back(std::move(tensor));
  }
  return out;
}

}  // namespace fedmesh::models
