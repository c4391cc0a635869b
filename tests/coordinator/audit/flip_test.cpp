// No byte of the ledger or of the model may change unnoticed. Split into shards that run beside one
// another.
#include <gtest/gtest.h>

#include "tests/coordinator/audit/world.h"

namespace fedmesh::audit {
namespace {

constexpr std::size_t kShards = 4;

AuditInput one_round() {
  auto spec = small_job();
  spec.federation.rounds = 1;
  World world(spec);
  world.start();
  world.play_round();
  return world.input();
}

void expect_refused(const AuditInput& input, const std::string& what) {
  const auto report = audit(input);
  ASSERT_FALSE(report.ok()) << what;
  const std::string& detail = report.error().detail;
  const bool placed =
      detail.starts_with("ledger.export: ") || detail.starts_with("model.safetensors: ");
  EXPECT_TRUE(placed) << what << ": " << detail;
  EXPECT_GT(detail.size(), std::string("model.safetensors: ").size()) << what;
}

class FlipTest : public ::testing::TestWithParam<std::size_t> {};

TEST_P(FlipTest, EveryByteOfTheExport) {
  AuditInput input = one_round();
  ASSERT_TRUE(audit(input).ok());
  for (std::size_t at = GetParam(); at < input.ledger_export.size(); at += kShards) {
    for (const std::uint8_t bit : {0x01, 0x80}) {
      input.ledger_export[at] ^= bit;
      expect_refused(input, "byte " + std::to_string(at));
      input.ledger_export[at] ^= bit;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shard, FlipTest, ::testing::Range<std::size_t>(0, kShards));

TEST(ModelFlipTest, EveryByteOfTheModel) {
  AuditInput input = one_round();
  for (std::size_t at = 0; at < input.model.size(); ++at) {
    for (const std::uint8_t bit : {0x01, 0x80}) {
      input.model[at] ^= bit;
      expect_refused(input, "byte " + std::to_string(at));
      input.model[at] ^= bit;
    }
  }
}

TEST(TruncationTest, EveryLengthOfModelAndExport) {
  const AuditInput whole = one_round();
  AuditInput input = whole;
  for (; !input.ledger_export.empty(); input.ledger_export.pop_back())
    if (input.ledger_export.size() < whole.ledger_export.size())
      expect_refused(input, std::to_string(input.ledger_export.size()) + " bytes of the export");
  input = whole;
  while (!input.model.empty()) {
    input.model.pop_back();
    expect_refused(input, std::to_string(input.model.size()) + " bytes of the model");
  }
}

TEST(TruncationTest, BytesThatFollow) {
  AuditInput input = one_round();
  input.ledger_export.push_back(0);
  expect_refused(input, "a byte after the export");
  input = one_round();
  input.model.push_back(' ');
  expect_refused(input, "a byte after the model");
}

}  // namespace
}  // namespace fedmesh::audit
