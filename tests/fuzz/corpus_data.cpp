// Seeds of data files: tables, images, tensors.
#include <zlib.h>

#include "base/check.h"
#include "models/data/architecture.h"
#include "models/data/dataset_blob.h"
#include "models/data/generators.h"
#include "models/data/safetensors.h"
#include "models/data/standardise.h"
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/target.h"

namespace fedmesh::fuzz {
namespace {

Bytes gzip(ByteView plain) {
  z_stream stream{};
  FM_CHECK(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK,
           "zlib works");
  Bytes out(deflateBound(&stream, plain.size()) + 64);
  stream.next_in = const_cast<Bytef*>(plain.data());
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  FM_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END, "zlib compresses");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string first_lines(const std::string& text, int lines) {
  std::size_t end = 0;
  while (lines-- > 0) end = text.find('\n', end) + 1;
  return text.substr(0, end);
}

void add_tables(Corpus& corpus) {
  const std::string table = first_lines(models::clinics_csv(1, 0, 5), 9);
  corpus.add("csv", "by-names", prefixed(0, as_bytes(table)));
  corpus.add("csv", "complete-rows-only", prefixed(2, as_bytes(table)));
  corpus.add(
      "csv", "by-positions",
      prefixed(1, as_bytes("1.5,x,no,0\n\n\"2\",\"a \"\"q\"\"\r\nb\",yes,1\r\n?,,2.50,3\n")));
}

void add_images(Corpus& corpus) {
  const Bytes images{0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 51, 102, 153, 204, 255};
  const Bytes labels{0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 2};
  for (const std::uint8_t range : {0, 1}) {
    for (const bool packed : {false, true}) {
      Bytes out = prefixed(range, chunk(packed ? gzip(images) : images));
      append(out, packed ? gzip(labels) : labels);
      corpus.add("idx", packed ? "gzip" : "plain", out);
    }
  }
}

void add_tensors(Corpus& corpus) {
  const models::Schema schema = models::clinics_schema();
  const models::Architecture mlp{models::ArchitectureKind::mlp, {3}, 2, {4}};
  corpus.add("safetensors", "model",
             models::encode_safetensors(models::initial_parameters(mlp, 1)));
  corpus.add("safetensors", "standardisation",
             models::encode_safetensors(models::to_tensors(models::from_bounds(schema))));
  const std::string header =
      R"({"__metadata__":{"a":"b"},"x":{"dtype":"U8","shape":[2,1],"data_offsets":[0,2]},)"
      R"("y":{"dtype":"I32","shape":[],"data_offsets":[2,6]}})";
  Bytes foreign(8);
  store_le64(foreign, header.size());
  append(foreign, as_bytes(header));
  append(foreign, Bytes{1, 2, 3, 4, 5, 6});
  corpus.add("safetensors", "foreign", foreign);
  const auto data = models::clinics_validation(1, 3);
  corpus.add("dataset_blob", "table", models::encode_dataset(data));
  corpus.add("schema", "clinics", codec::encode(schema));
  corpus.add("schema", "digits", codec::encode(models::digits_schema()));
  corpus.add("schema", "mlp", codec::encode(mlp));
  corpus.add(
      "schema", "cnn",
      codec::encode(models::Architecture{models::ArchitectureKind::cnn, {1, 28, 28}, 10, {}}));
}

}  // namespace

void add_data_seeds(Corpus& corpus) {
  add_tables(corpus);
  add_images(corpus);
  add_tensors(corpus);
}

}  // namespace fedmesh::fuzz
