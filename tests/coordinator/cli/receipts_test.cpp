// Receipts of a real round: verified offline, and refused when anything about them is changed.
#include "coordinator/cli/receipts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "coordinator/ledger/export.h"
#include "tests/base/temporary_folder.h"
#include "tests/coordinator/audit/world.h"

namespace fedmesh::cli {
namespace {

using ::testing::HasSubstr;

class ReceiptsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    world_ = std::make_unique<audit::World>();
    world_->start();
    world_->play_round();
  }
  static void TearDownTestSuite() { world_.reset(); }

  ReceiptsTest() { std::filesystem::create_directories(home_ / "items"); }
  static const ledger::Genesis& genesis() { return world_->chain().genesis(); }
  static NodeId worker() { return world_->round_state(1).cohort.front().worker; }
  static std::string key() { return protocol::contribution_key(world_->job(), {1}, worker()); }
  static Bytes proof(const std::string& of = key()) {
    const auto made = ledger::prove_state_entry(world_->chain(), of);
    EXPECT_TRUE(made.ok());
    return ledger::encode_proof(*made);
  }
  std::filesystem::path write(const std::string& name, const Bytes& bytes) const {
    const auto path = home_ / "items" / name;
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return path;
  }
  static std::string name() { return "receipt-" + world_->job().hex() + "-1"; }
  std::string problem(const std::optional<NodeId>& of = worker()) const {
    const auto found = receipts_in(home_, genesis(), of);
    EXPECT_TRUE(found.ok() && found->size() == 1);
    return found->front().receipt ? "none" : found->front().problem;
  }

  static std::unique_ptr<audit::World> world_;
  const TemporaryFolder folder_;
  const std::filesystem::path home_ = folder_.path();
};
std::unique_ptr<audit::World> ReceiptsTest::world_;

TEST_F(ReceiptsTest, AReceiptIsVerifiedWithTheGenesisAlone) {
  const auto receipt = verify_receipt(genesis(), proof());
  ASSERT_TRUE(receipt.ok()) << receipt.error().to_string();
  EXPECT_EQ(receipt->contribution.worker, worker());
  EXPECT_EQ(receipt->contribution.job, world_->job());
  EXPECT_TRUE(receipt->contribution.in_set);
  EXPECT_EQ(receipt->height, world_->chain().height());
  EXPECT_EQ(receipt->timestamp_ms, world_->chain().timestamp().ms);
}

TEST_F(ReceiptsTest, NoByteCanChange) {
  const Bytes whole = proof();
  for (std::size_t i = 0; i < whole.size(); i += 7) {
    Bytes changed = whole;
    changed[i] ^= 1;
    EXPECT_FALSE(verify_receipt(genesis(), changed).ok()) << "byte " << i;
  }
  for (std::size_t size = 0; size < whole.size(); size += 31)
    EXPECT_FALSE(verify_receipt(genesis(), ByteView(whole).first(size)).ok());
}

TEST_F(ReceiptsTest, AProofOfAnythingElseIsNoReceipt) {
  const auto other = verify_receipt(genesis(), proof(protocol::job_key(world_->job())));
  ASSERT_FALSE(other.ok());
  EXPECT_THAT(other.error().detail, HasSubstr("another entry than a contribution"));
  const auto absent =
      verify_receipt(genesis(), proof(protocol::contribution_key(world_->job(), {9}, worker())));
  ASSERT_FALSE(absent.ok());
  EXPECT_THAT(absent.error().detail, HasSubstr("there is no entry"));
  const audit::World elsewhere(audit::small_job(), 2);
  const auto foreign = verify_receipt(elsewhere.chain().genesis(), proof());
  ASSERT_FALSE(foreign.ok());
  EXPECT_THAT(foreign.error().detail, HasSubstr("--genesis"));
}

TEST_F(ReceiptsTest, AWorkersFolderIsListed) {
  write(name(), proof());
  write(name() + ".part", {});
  write("opening-x", {});
  const auto found = receipts_in(home_, genesis(), worker());
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 1u);
  EXPECT_TRUE(found->front().receipt.has_value()) << found->front().problem;
  EXPECT_THAT(receipts_table(*found), HasSubstr(world_->job().hex().substr(0, 12)));
  const auto json = nlohmann::json::parse(receipts_json(genesis(), *found));
  EXPECT_EQ(json["receipts"][0]["verified"], true);
  EXPECT_EQ(json["receipts"][0]["counted"], true);
  EXPECT_EQ(json["receipts"][0]["round"], 1);
  EXPECT_EQ(json["chain_id"], world_->chain().id().hex());
}

TEST_F(ReceiptsTest, DamageIsNamedWithTheFileAndWhatToDo) {
  Bytes bytes = proof();
  bytes.resize(bytes.size() / 2);
  const auto path = write(name(), bytes);
  EXPECT_THAT(problem(), HasSubstr("restore it from a backup"));
  const auto found = receipts_in(home_, genesis(), worker());
  EXPECT_THAT(receipts_table(*found), HasSubstr("does not verify: " + path.string()));
}

TEST_F(ReceiptsTest, AReceiptOfAnotherWorkerOrRoundIsNotTaken) {
  const auto path = write(name(), proof());
  const NodeId other = world_->round_state(1).cohort.back().worker;
  EXPECT_THAT(problem(other), HasSubstr("not of this one"));
  EXPECT_EQ(problem(std::nullopt), "none");
  std::filesystem::rename(path, home_ / "items" / ("receipt-" + world_->job().hex() + "-2"));
  EXPECT_THAT(problem(), HasSubstr("rename it to " + name()));
}

TEST_F(ReceiptsTest, ACollectionIsVerifiedByAnybody) {
  write(name(), proof());
  const auto found = receipts_in(home_, genesis(), worker());
  std::string text = to_collection(genesis(), *found);
  const auto file = home_ / "all.json";
  std::ofstream(file) << text;
  auto read = receipts_of(file, genesis());
  ASSERT_EQ(read.size(), 1u);
  EXPECT_TRUE(read[0].receipt.has_value()) << read[0].problem;
  EXPECT_THAT(read[0].file, HasSubstr("all.json, receipt 1"));
  // What stands beside the proof may not say anything else.
  text.replace(text.find("\"counted\": true"), 15, "\"counted\": false");
  std::ofstream(file) << text;
  read = receipts_of(file, genesis());
  ASSERT_EQ(read.size(), 1u);
  EXPECT_THAT(read[0].problem, HasSubstr("'counted' is not what the proof says"));
  for (const char* bad : {"{", "{}", "{\"fedmesh_receipts\":1,\"receipts\":[{}]}",
                          "{\"fedmesh_receipts\":1,\"receipts\":[{\"proof\":\"zz\"}]}"}) {
    std::ofstream(file) << bad;
    read = receipts_of(file, genesis());
    ASSERT_EQ(read.size(), 1u) << bad;
    EXPECT_FALSE(read[0].receipt.has_value()) << bad;
  }
}

TEST_F(ReceiptsTest, AMissingFolderSaysWhatToName) {
  const auto found = receipts_in(home_ / "nowhere", genesis(), std::nullopt);
  ASSERT_FALSE(found.ok());
  EXPECT_THAT(found.error().detail, HasSubstr("--home"));
}

}  // namespace
}  // namespace fedmesh::cli
