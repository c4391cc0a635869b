// Decoders and the job file reader are fed what no honest peer sends. A decoder either refuses, or
// gives a value whose encoding is exactly the bytes it was fed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "coordinator/protocol/job_file.h"
#include "coordinator/protocol/messages.h"
#include "coordinator/protocol/state.h"
#include "sample_files.h"
#include "samples.h"

namespace fedmesh::protocol {
namespace {

void expect_canonical(const Sample& sample, const Bytes& bytes) {
  const auto back = sample.round_trip(bytes);
  if (back.ok()) {
    ASSERT_EQ(*back, bytes) << sample.name << " " << to_hex(bytes);
  }
}

// Whatever decodes as a job must also be judged without harm.
void judge_as_job(const Bytes& bytes) {
  if (const auto job = decode_payload<Job>(bytes); job.ok()) (void)job->spec.validate().ok();
}

TEST(HostileTest, EveryByteFlipIsRefusedOrCanonical) {
  for (const Sample& sample : all_samples()) {
    for (std::size_t at = 0; at < sample.bytes.size(); ++at) {
      for (const int mask : {0x01, 0x10, 0x80, 0xff}) {
        Bytes bytes = sample.bytes;
        bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ mask);
        expect_canonical(sample, bytes);
        judge_as_job(bytes);
      }
    }
  }
}

TEST(HostileTest, EveryTruncationAndExtensionIsRefused) {
  for (const Sample& sample : all_samples()) {
    for (std::size_t size = 0; size < sample.bytes.size(); ++size)
      EXPECT_FALSE(sample.round_trip(ByteView(sample.bytes).first(size)).ok()) << sample.name;
    Bytes longer = sample.bytes;
    longer.push_back(0);
    EXPECT_FALSE(sample.round_trip(longer).ok()) << sample.name;
  }
}

Bytes mutated(Bytes bytes, SeededRandom& random) {
  const std::uint64_t edits = 1 + random.below(4);
  for (std::uint64_t i = 0; i < edits && !bytes.empty(); ++i) {
    const auto at = static_cast<std::ptrdiff_t>(random.below(bytes.size()));
    const auto value = static_cast<std::uint8_t>(random.below(256));
    switch (random.below(4)) {
      case 0:
        bytes[static_cast<std::size_t>(at)] = value;
        break;
      case 1:
        bytes.insert(bytes.begin() + at, value);
        break;
      case 2:
        bytes.erase(bytes.begin() + at);
        break;
      default: {  // copies a stretch, which doubles fields and nests arrays
        const std::size_t length = std::min<std::size_t>(bytes.size(), 1 + random.below(40));
        const Bytes stretch(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
        bytes.insert(bytes.begin() + at, stretch.begin(), stretch.end());
      }
    }
  }
  return bytes;
}

TEST(HostileTest, SeededMutationsAreRefusedOrCanonical) {
  SeededRandom random(20261121);
  for (const Sample& sample : all_samples()) {
    for (int i = 0; i < 1000; ++i) {
      const Bytes bytes = mutated(sample.bytes, random);
      expect_canonical(sample, bytes);
      judge_as_job(bytes);
    }
  }
}

TEST(HostileTest, AnUnknownMessageKindIsRefused) {
  for (const std::uint64_t kind :
       {std::uint64_t{0}, std::variant_size_v<Message> + 1, ~std::uint64_t{0}}) {
    codec::Encoder out;
    out.array(2);
    out.u64(kind);
    out.array(0);
    const auto message = decode_message(out.take());
    ASSERT_FALSE(message.ok());
    EXPECT_EQ(message.error().code, ErrorCode::corruption);
  }
}

TEST(HostileTest, AnOverlongMessageIsRefused) {
  const Bytes bytes = encode_message(SubmitRecord{Bytes(kMaxMessageBytes)});
  EXPECT_FALSE(decode_message(bytes).ok());
}

TEST(HostileTest, MutatedJobFilesAreJudgedWithoutHarm) {
  SeededRandom random(7);
  for (const std::string& text : {kClinicsFile, kImagesFile}) {
    for (int i = 0; i < 400; ++i) {
      const Bytes bytes = mutated(to_bytes(as_bytes(text)), random);
      const auto file = parse_job_file(as_text(bytes), "job.toml");
      if (!file.ok()) {
        EXPECT_TRUE(file.error().detail.starts_with("job.toml:"));
      }
    }
  }
}

TEST(HostileTest, DeepAndLongTomlIsRefused) {
  EXPECT_FALSE(parse_job_file("a = " + std::string(100'000, '['), "job.toml").ok());
  EXPECT_FALSE(parse_job_file(std::string(2u << 20, '#'), "job.toml").ok());
  std::string columns;
  for (int i = 0; i < 1100; ++i) columns += "[[data.columns]]\n";
  EXPECT_FALSE(parse_job_file(columns, "job.toml").ok());
  EXPECT_FALSE(parse_job_file(std::string("name = \"a\0b\"", 12), "job.toml").ok());
}

}  // namespace
}  // namespace fedmesh::protocol
