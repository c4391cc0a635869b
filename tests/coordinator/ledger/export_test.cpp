#include "coordinator/ledger/export.h"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "tests/base/temporary_folder.h"
#include "tests/coordinator/ledger/toy.h"

namespace fedmesh::ledger {
namespace {

using ::testing::HasSubstr;
using toy::Network;

Bytes export_of(const Network& network) {
  std::ostringstream out;
  EXPECT_TRUE(write_export(out, *network.chain).ok());
  return to_bytes(as_bytes(out.str()));
}

TEST(ExportTest, HoldsTheWholeLedgerAndReplays) {
  Network network(4);
  network.grow(6);
  const auto ledger = read_export(export_of(network));
  ASSERT_TRUE(ledger.ok()) << ledger.error().to_string();
  EXPECT_EQ(ledger->genesis, network.founding);
  EXPECT_EQ(ledger->blocks.size(), 6u);
  EXPECT_TRUE(verify_export(*ledger).ok());
  Digest root;
  EXPECT_TRUE(verify_export(*ledger, network.machine, [&](const Chain& chain) {
                root = chain.state().root();
              }).ok());
  EXPECT_EQ(root, network.chain->state().root());
}

TEST(ExportTest, WritesAndReadsAFile) {
  Network network;
  network.grow(2);
  const TemporaryFolder folder;
  const auto path = folder.path() / "all.ledger";
  ASSERT_TRUE(write_export(path, *network.chain).ok());
  const auto ledger = read_export(path);
  ASSERT_TRUE(ledger.ok());
  EXPECT_EQ(ledger->blocks.size(), 2u);
  std::filesystem::remove(path);
  EXPECT_EQ(read_export(path).error().code, ErrorCode::not_found);
}

TEST(ExportTest, AnEmptyLedgerIsItsGenesis) {
  const Network network;
  const Bytes bytes = export_of(network);
  ASSERT_TRUE(read_export(bytes).ok());
  EXPECT_EQ(toy::accepted_corruptions(bytes, [](ByteView b) { return read_export(b).ok(); }), 0);
}

TEST(ExportTest, EveryByteIsSignificant) {
  Network network(2);
  network.grow(2);
  const Bytes bytes = export_of(network);
  EXPECT_EQ(toy::accepted_corruptions(bytes,
                                      [](ByteView changed) {
                                        const auto ledger = read_export(changed);
                                        return ledger.ok() && verify_export(*ledger).ok();
                                      }),
            0);
}

TEST(ExportTest, ErrorsNameThePlace) {
  Network network;
  network.grow(12);
  const auto good = read_export(export_of(network));
  const auto error = [&](auto change) {
    Export ledger = *good;
    change(ledger.blocks);
    const auto verified = verify_export(ledger);
    const auto replayed = verify_export(ledger, network.machine);
    EXPECT_FALSE(replayed.ok());
    return verified.ok() ? "" : verified.error().detail;
  };
  using Blocks = std::vector<CertifiedBlock>;
  EXPECT_EQ(error([](Blocks& b) { b[11].block.records[1].signature.bytes[0] ^= 1; }),
            "block 12, record 1 (commit): signature does not verify");
  EXPECT_THAT(error([](Blocks& b) { b[4].certificate.signatures[0][0] ^= 1; }),
              HasSubstr("block 5: certificate: the signature of member 0"));
  EXPECT_THAT(error([](Blocks& b) { b.erase(b.begin() + 3); }),
              HasSubstr("block 5: block 4 is expected"));
  EXPECT_THAT(error([](Blocks& b) { std::swap(b[3].block.records, b[4].block.records); }),
              HasSubstr("block 4: body_root"));
  EXPECT_THAT(error([](Blocks& b) { b[2].block.records.push_back(b[1].block.records[0]); }),
              HasSubstr("block 3, record 4 (enrol): author_seq 2 does not follow 3"));
}

// A committee that certifies a wrong state is caught by execution alone.
TEST(ExportTest, ReplayComparesEveryStateRoot) {
  Network network;
  network.grow(2);
  Export ledger = *read_export(export_of(network));
  Header& header = ledger.blocks[1].block.header;
  header.state_root.bytes[0] ^= 1;
  ledger.blocks[1].certificate = toy::certify(network.founding, header, 1);
  EXPECT_TRUE(verify_export(ledger).ok());
  const auto replayed = verify_export(ledger, network.machine);
  EXPECT_THAT(replayed.error().detail, HasSubstr("block 2: state_root"));
}

TEST(ExportTest, TheWriterTakesBlocksInOrder) {
  Network network;
  network.grow(2);
  std::ostringstream out;
  ExportWriter writer(out, network.founding);
  EXPECT_FALSE(writer.add(*network.chain->get({2})).ok());
  EXPECT_TRUE(writer.add(*network.chain->get({1})).ok());
  EXPECT_FALSE(writer.add(*network.chain->get({1})).ok());
}

TEST(ExportTest, ReadsHostileFramesWithoutHarm) {
  const Network network;
  Bytes bytes = export_of(network);
  const std::size_t frame = std::string("fedmesh ledger export v1 ").size() + 65;
  store_le32(MutableByteView(bytes).subspan(frame, 4), 0xffffffff);
  EXPECT_THAT(read_export(bytes).error().detail, HasSubstr("ends in the middle"));
  EXPECT_FALSE(read_export(ByteView{}).ok());
  EXPECT_FALSE(read_export(toy::text("fedmesh ledger export v2 ")).ok());
}

}  // namespace
}  // namespace fedmesh::ledger
