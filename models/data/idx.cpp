#include "models/data/idx.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <string>

#include "models/data/file.h"

namespace fedmesh::models {
namespace {

bool is_gzip(ByteView bytes) { return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b; }

// At most `limit` bytes of a gzip stream. `whole`: the stream must end there, with nothing behind.
Result<Bytes> inflate_gzip(ByteView compressed, std::size_t limit, bool whole) {
  static constexpr int kGzipOnly = 16 + MAX_WBITS;
  z_stream stream{};
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) return unavailable("zlib does not initialise");
  struct Guard {
    z_stream* stream;
    ~Guard() { inflateEnd(stream); }
  } guard{&stream};
  if (compressed.size() > std::numeric_limits<uInt>::max())
    return exhausted("a compressed file is longer than 4 GiB");
  stream.next_in = const_cast<Bytef*>(compressed.data());
  stream.avail_in = static_cast<uInt>(compressed.size());

  Bytes out;
  Bytes chunk(std::size_t{1} << 16);
  int status = Z_OK;
  while (status == Z_OK && out.size() <= limit) {
    stream.next_out = chunk.data();
    stream.avail_out = static_cast<uInt>(chunk.size());
    status = inflate(&stream, Z_NO_FLUSH);
    out.insert(out.end(), chunk.begin(), chunk.end() - stream.avail_out);
  }
  if (status != Z_OK && status != Z_STREAM_END)
    return corruption("the gzip stream is damaged or cut off");
  if (!whole) {
    out.resize(std::min(out.size(), limit));
    return out;
  }
  if (out.size() > limit) return corruption("longer than its header says");
  if (status != Z_STREAM_END || stream.avail_in != 0)
    return corruption("the gzip stream is followed by other bytes");
  return out;
}

struct Header {
  std::vector<std::uint64_t> extents;  // rows first
  std::size_t bytes = 0;               // of the header itself
};

Result<Header> parse_header(ByteView bytes) {
  if (bytes.size() < 4) return corruption("shorter than an IDX header");
  if (bytes[0] != 0 || bytes[1] != 0) return invalid_argument("not an IDX file");
  if (bytes[2] != 0x08) return invalid_argument("IDX values are not unsigned bytes");
  Header header;
  header.bytes = 4 + 4 * std::size_t{bytes[3]};
  if (bytes[3] < 1 || bytes[3] > 4)
    return invalid_argument("IDX has " + std::to_string(bytes[3]) + " dimensions, allowed 1 to 4");
  if (bytes.size() < header.bytes) return corruption("shorter than an IDX header");
  for (std::size_t at = 4; at < header.bytes; at += 4)
    header.extents.push_back(std::uint64_t{bytes[at]} << 24 | std::uint64_t{bytes[at + 1]} << 16 |
                             std::uint64_t{bytes[at + 2]} << 8 | bytes[at + 3]);
  return header;
}

std::string to_text(std::span<const std::uint64_t> extents) {
  std::string out;
  for (const std::uint64_t extent : extents)
    out += (out.empty() ? "" : " x ") + std::to_string(extent);
  return out.empty() ? "single values" : out;
}

// The values behind the header of a file that has `wanted` values per row.
Result<Bytes> read_values(ByteView file, std::vector<std::uint64_t> wanted,
                          const IdxLimits& limits) {
  Bytes head;
  if (is_gzip(file)) {
    FM_TRY(head, inflate_gzip(file, 20, false));
  } else {
    head = to_bytes(file.first(std::min<std::size_t>(file.size(), 20)));
  }
  FM_TRY(const Header header, parse_header(head));
  const auto per_row = std::span(header.extents).subspan(1);
  if (!std::equal(per_row.begin(), per_row.end(), wanted.begin(), wanted.end()))
    return invalid_argument("rows are " + to_text(per_row) + ", the schema needs " +
                            to_text(wanted));
  const std::uint64_t rows = header.extents[0];
  std::uint64_t values = rows;
  for (const std::uint64_t extent : wanted) values *= extent;  // at most 2^32 * 2^28
  if (rows > limits.rows || values > limits.values)
    return exhausted(std::to_string(rows) + " rows are more than this reader takes");
  const std::size_t total = header.bytes + static_cast<std::size_t>(values);
  Bytes whole;
  if (is_gzip(file)) {
    FM_TRY(whole, inflate_gzip(file, total, true));
  } else {
    whole = to_bytes(file);
  }
  if (whole.size() != total)
    return corruption(std::to_string(whole.size()) + " bytes, the header says " +
                      std::to_string(total));
  whole.erase(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(header.bytes));
  return whole;
}

Result<Dataset> assemble(const Bytes& pixels, const Bytes& labels, const Schema& schema,
                         RowRange range) {
  Dataset out;
  out.features = schema.features();
  out.shape = {schema.channels, schema.height, schema.width};
  out.classes = schema.classes;
  const std::size_t count = static_cast<std::size_t>(range.last - range.first + 1);
  out.inputs.reserve(count * out.features);
  out.labels.reserve(count);
  for (std::size_t row = range.first; row <= range.last; ++row) {
    if (labels[row] >= schema.classes)
      return invalid_argument("label " + std::to_string(labels[row]) + " of row " +
                              std::to_string(row) + " is not below " +
                              std::to_string(schema.classes));
    out.labels.push_back(labels[row]);
    for (const std::uint8_t pixel : ByteView(pixels).subspan(row * out.features, out.features))
      out.inputs.push_back(static_cast<float>(pixel) / 255.0f);
  }
  return out;
}

Error named(const Error& error, std::string_view file) {
  return error.with_context(std::string(file));
}

Result<Dataset> parse_named(ByteView images, std::string_view images_name, ByteView labels,
                            std::string_view labels_name, const Schema& schema,
                            std::optional<RowRange> range, const IdxLimits& limits) {
  FM_TRY_VOID(schema.validate());
  if (schema.format != DataFormat::images)
    return invalid_argument(std::string(images_name) + ": the schema is for csv, not for images");
  std::vector<std::uint64_t> wanted{schema.height, schema.width};
  if (schema.channels > 1) wanted.insert(wanted.begin(), schema.channels);
  const auto pixels = read_values(images, wanted, limits);
  if (!pixels.ok()) return named(pixels.error(), images_name);
  const auto classes = read_values(labels, {}, limits);
  if (!classes.ok()) return named(classes.error(), labels_name);
  const std::size_t rows = pixels->size() / schema.features();
  if (rows != classes->size())
    return invalid_argument(std::string(images_name) + " has " + std::to_string(rows) + " rows, " +
                            std::string(labels_name) + " has " + std::to_string(classes->size()));
  if (rows == 0) return invalid_argument(std::string(images_name) + ": no rows");
  const RowRange kept = range.value_or(RowRange{0, rows - 1});
  if (kept.first > kept.last || kept.last >= rows)
    return invalid_argument(std::string(images_name) + ": rows " + std::to_string(kept.first) +
                            "-" + std::to_string(kept.last) + " were asked for, it has 0-" +
                            std::to_string(rows - 1));
  auto out = assemble(*pixels, *classes, schema, kept);
  if (!out.ok()) return named(out.error(), labels_name);
  return out;
}

}  // namespace

Result<Dataset> parse_idx(ByteView images, ByteView labels, const Schema& schema,
                          std::optional<RowRange> range, const IdxLimits& limits) {
  return parse_named(images, "images", labels, "labels", schema, range, limits);
}

Result<Dataset> read_idx(const std::filesystem::path& images, const std::filesystem::path& labels,
                         const Schema& schema, std::optional<RowRange> range,
                         const IdxLimits& limits) {
  FM_TRY(const Bytes pixels, read_file(images, limits.file_bytes));
  FM_TRY(const Bytes classes, read_file(labels, limits.file_bytes));
  return parse_named(pixels, images.string(), classes, labels.string(), schema, range, limits);
}

}  // namespace fedmesh::models
