#include "models/data/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/random.h"
#include "models/data/dataset_blob.h"
#include "models/data/generators.h"

namespace fedmesh::models {
namespace {

using ::testing::HasSubstr;

Tensors mixed() {
  return {Tensor{"bytes", DType::u8, {3}, {1, 2, 3}},
          Tensor::of("linear.bias", {2}, std::vector<float>{0.5f, -1}),
          Tensor::of("linear.weight", {2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6}),
          Tensor::of("mean", {}, std::vector<double>{0.1}),
          Tensor{"steps", DType::i64, {0, 4}, {}}};
}

Bytes file_with(const std::string& header, std::size_t data = 0) {
  Bytes out(8);
  store_le64(out, header.size());
  append(out, as_bytes(header));
  out.resize(out.size() + data);
  return out;
}

std::string error_of(ByteView file, const SafetensorsLimits& limits = {}) {
  const auto tensors = decode_safetensors(file, limits);
  return tensors.ok() ? "decoded without error" : tensors.error().to_string();
}

TEST(SafetensorsTest, WritesTheCanonicalForm) {
  const Bytes file = encode_safetensors({Tensor::of("a", {1}, std::vector<float>{1})});
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  EXPECT_EQ(load_le64(file), (header.size() + 7) / 8 * 8);
  EXPECT_EQ(std::string(as_text(ByteView(file).subspan(8, header.size()))), header);
  EXPECT_EQ(to_hex(ByteView(file).last(4)), "0000803f");
  EXPECT_EQ(to_hex(encode_safetensors({})), "08000000000000007b7d202020202020");
}

TEST(SafetensorsTest, DecodingAndEncodingAreInverse) {
  const Bytes file = encode_safetensors(mixed());
  const auto tensors = decode_safetensors(file);
  ASSERT_TRUE(tensors.ok()) << tensors.error().to_string();
  EXPECT_EQ(*tensors, mixed());
  EXPECT_EQ(encode_safetensors(*tensors), file);
}

TEST(SafetensorsTest, ReadsOtherWritersOrderAndMetadata) {
  const auto tensors = decode_safetensors(file_with(
      R"({ "b":{"shape":[2],"dtype":"U8","data_offsets":[0,2]},"__metadata__":{"format":"pt"},)"
      R"("a":{"dtype":"I32","shape":[],"data_offsets":[2,6]}})",
      6));
  ASSERT_TRUE(tensors.ok()) << tensors.error().to_string();
  ASSERT_EQ(tensors->size(), 2u);
  EXPECT_EQ((*tensors)[0].name, "a");
  EXPECT_EQ((*tensors)[1].dtype, DType::u8);
}

TEST(SafetensorsTest, RefusesFilesThatMeanTwoThingsOrNothing) {
  const std::string a = R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
  struct Case {
    std::string header;
    std::size_t data;
    std::string says;
  };
  const std::vector<Case> cases{
      {"{" + a + "," + a + "}", 2, "a name twice"},
      {R"({"a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2, "twice"},
      {"{" + a + R"(,"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3, "overlap"},
      {"{" + a + R"(,"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})", 5, "hole"},
      {"{" + a + "}", 3, "longer or shorter"},
      {"{" + a + "}", 1, "longer or shorter"},
      {R"({"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}})", 2, "dtype must be"},
      {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,2]}})", 2, "do not fit"},
      {R"({"a":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}})", 2, "whole number"},
      {R"({"a":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}})", 2, "whole number"},
      {R"({"a":{"dtype":"F64","shape":[9223372036854775807,3],"data_offsets":[0,2]}})", 2,
       "overflows"},
      {R"({"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,2]}})", 2,
       "whole number"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}})", 2, "do not fit"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0]}})", 2, "two whole numbers"},
      {R"({"a":{"dtype":"U8","shape":2,"data_offsets":[0,2]}})", 2, "shape is a list"},
      {R"({"a":{"dtype":"U8","shape":[2]}})", 2, "exactly"},
      {R"({"a\n":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2, "printable"},
      {R"({"":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2, "printable"},
      {R"({"__metadata__":{"x":1}})", 0, "__metadata__"},
      {"[1]", 0, "JSON object"},
      {" {}", 0, "JSON object"},
      {"{} x", 0, "JSON object"},
      {"{\"a", 0, "JSON object"},
      {std::string(500'000, '['), 0, "JSON object"},
      {"{\"a\":" + std::string(500'000, '['), 0, "JSON object"},
  };
  for (const Case& c : cases)
    EXPECT_THAT(error_of(file_with(c.header, c.data)), HasSubstr(c.says)) << c.header.substr(0, 90);
}

TEST(SafetensorsTest, KeepsItsLimits) {
  const Bytes file = encode_safetensors(mixed());
  EXPECT_THAT(error_of(file, {.bytes = 10}), HasSubstr("exhausted"));
  EXPECT_THAT(error_of(file, {.header_bytes = 10}), HasSubstr("exhausted"));
  EXPECT_THAT(error_of(file, {.tensors = 4}), HasSubstr("exhausted"));
  Bytes huge(16);
  store_le64(huge, UINT64_MAX);
  EXPECT_THAT(error_of(huge), HasSubstr("exhausted"));
}

TEST(SafetensorsTest, DamagedFilesGiveAnErrorOrValidTensors) {
  const Bytes file = encode_safetensors(mixed());
  for (std::size_t size = 0; size < file.size(); ++size)
    EXPECT_FALSE(decode_safetensors(ByteView(file).first(size)).ok()) << size;
  SeededRandom random(5);
  for (int trial = 0; trial < 5000; ++trial) {
    Bytes damaged = file;
    damaged[random.below(damaged.size())] ^= static_cast<std::uint8_t>(1u << random.below(8));
    const auto tensors = decode_safetensors(damaged);
    if (!tensors.ok()) continue;
    for (const Tensor& tensor : *tensors) ASSERT_TRUE(tensor.consistent());
    ASSERT_TRUE(decode_safetensors(encode_safetensors(*tensors)).ok());
  }
}

// A reader and a writer of the published format in Python: sums every tensor it reads, then writes
// the tensors in reverse order with metadata.
constexpr char kPython[] = R"(
import json, struct, sys
try:
    import torch
except ImportError:
    sys.exit(77)
kinds = {'F32': torch.float32, 'F64': torch.float64, 'I64': torch.int64, 'U8': torch.uint8}
raw = open(sys.argv[1], 'rb').read()
length, = struct.unpack('<Q', raw[:8])
header, data = json.loads(raw[8:8 + length]), raw[8 + length:]
blocks, out, at = [], {'__metadata__': {'format': 'pt'}}, 0
for name, entry in reversed(list(header.items())):
    begin, end = entry['data_offsets']
    block = bytearray(data[begin:end])
    tensor = torch.frombuffer(block, dtype=kinds[entry['dtype']]) if block else torch.zeros(0)
    assert tensor.numel() == torch.Size(entry['shape']).numel(), name
    print(name, float(tensor.double().sum()))
    out[name] = dict(entry, data_offsets=[at, at + len(block)])
    at += len(block)
    blocks.append(bytes(block))
text = json.dumps(out).encode()
open(sys.argv[2], 'wb').write(struct.pack('<Q', len(text)) + text + b''.join(blocks))
)";

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(SafetensorsTest, PythonReadsOursAndWeReadPythons) {
  // Two runs of the tests may share the machine.
  std::string pattern = ::testing::TempDir() + "fedmesh-safetensors-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const std::filesystem::path folder = pattern;
  const Bytes file = encode_safetensors(mixed());
  std::ofstream(folder / "ours", std::ios::binary) << as_text(file);
  std::ofstream(folder / "check.py") << kPython;
  const auto path = [&](const char* name) { return "'" + (folder / name).string() + "'"; };
  const std::string command = "/usr/bin/python3 " + path("check.py") + " " + path("ours") + " " +
                              path("theirs") + " > " + path("sums") + " 2> " + path("errors");
  const int status = std::system(command.c_str());
  const std::string sums = contents(folder / "sums"), errors = contents(folder / "errors");
  const std::string theirs = contents(folder / "theirs");
  std::filesystem::remove_all(folder);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (code == 77 || code == 127) GTEST_SKIP() << "python3 with torch is not installed";
  ASSERT_EQ(code, 0) << errors;
  EXPECT_EQ(sums, "steps 0.0\nmean 0.1\nlinear.weight 21.0\nlinear.bias -0.5\nbytes 6.0\n");
  const auto tensors = decode_safetensors(as_bytes(theirs));
  ASSERT_TRUE(tensors.ok()) << tensors.error().to_string();
  EXPECT_EQ(encode_safetensors(*tensors), file);
}

TEST(DatasetBlobTest, RoundTripsTablesAndImages) {
  for (const Dataset& data : {clinics_validation(1, 50), digits(1, 5)}) {
    const Bytes blob = encode_dataset(data);
    const auto again = decode_dataset(blob, blob.size());
    ASSERT_TRUE(again.ok()) << again.error().to_string();
    EXPECT_EQ(*again, data);
    EXPECT_FALSE(decode_dataset(blob, blob.size() - 1).ok());
  }
}

TEST(DatasetBlobTest, RefusesBlobsThatAreNoDataSet) {
  const Dataset good = clinics_validation(1, 3);
  const auto refuses = [](const Dataset& data) {
    return !decode_dataset(encode_dataset(data), 1 << 20).ok();
  };
  EXPECT_FALSE(refuses(good));
  Dataset bad = good;
  bad.labels[0] = 2;
  EXPECT_TRUE(refuses(bad));
  bad = good;
  bad.labels[0] = -1;
  EXPECT_TRUE(refuses(bad));
  bad = good;
  bad.inputs[5] = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(refuses(bad));
  bad = good;
  bad.classes = 1;
  EXPECT_TRUE(refuses(bad));
  bad = good;
  bad.inputs.clear();
  bad.labels.clear();
  EXPECT_TRUE(refuses(bad));
  EXPECT_FALSE(decode_dataset(encode_safetensors(mixed()), 1 << 20).ok());
  EXPECT_FALSE(decode_dataset({}, 1 << 20).ok());
}

TEST(DatasetBlobTest, DamagedBlobsGiveAnErrorOrValidData) {
  const Bytes blob = encode_dataset(clinics_validation(1, 4));
  SeededRandom random(6);
  for (int trial = 0; trial < 5000; ++trial) {
    Bytes damaged = blob;
    damaged[random.below(damaged.size())] ^= static_cast<std::uint8_t>(1u << random.below(8));
    const auto data = decode_dataset(damaged, 1 << 20);
    if (!data.ok()) continue;
    ASSERT_EQ(data->inputs.size(), data->rows() * data->features);
  }
}

}  // namespace
}  // namespace fedmesh::models
