#include "coordinator/ledger/genesis.h"

#include <gmock/gmock.h>

#include "tests/base/temporary_folder.h"
#include "tests/coordinator/ledger/toy.h"

namespace fedmesh::ledger {
namespace {

using ::testing::HasSubstr;

TEST(GenesisTest, SurvivesTheFileAndNamesTheChain) {
  const Genesis genesis = toy::genesis(4);
  const TemporaryFolder folder;
  const auto path = folder.path() / "genesis";
  ASSERT_TRUE(store_genesis(path, genesis).ok());
  const auto loaded = load_genesis(path);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(*loaded, genesis);
  EXPECT_THAT(std::string(as_text(genesis_file_bytes(genesis))),
              HasSubstr("fedmesh genesis v1 " + chain_id(genesis).hex() + "\n"));
  const auto again = store_genesis(path, genesis);
  ASSERT_FALSE(again.ok());
  EXPECT_THAT(again.error().detail, HasSubstr("never overwritten"));
  EXPECT_FALSE(store_genesis(folder.path() / "no" / "such" / "folder", genesis).ok());
  EXPECT_FALSE(load_genesis(folder.path() / "missing").ok());
}

TEST(GenesisTest, NoByteOfTheFileCanChangeUnnoticed) {
  EXPECT_EQ(
      toy::accepted_corruptions(genesis_file_bytes(toy::genesis(2)),
                                [](ByteView bytes) { return parse_genesis_file(bytes).ok(); }),
      0);
}

TEST(GenesisTest, EqualSettingsWithAnotherNonceAreAnotherChain) {
  Genesis a = toy::genesis(), b = toy::genesis();
  EXPECT_EQ(chain_id(a), chain_id(b));
  b.nonce[0] ^= 1;
  EXPECT_NE(chain_id(a), chain_id(b));
}

TEST(GenesisTest, ValidationNamesTheField) {
  const auto error = [](auto change) {
    Genesis genesis = toy::genesis(2);
    change(genesis);
    const auto valid = validate(genesis);
    EXPECT_FALSE(decode_genesis(encode_genesis(genesis)).ok());
    return valid.ok() ? "" : valid.error().detail;
  };
  EXPECT_TRUE(validate(toy::genesis(2)).ok());
  EXPECT_THAT(error([](Genesis& g) { g.version = 2; }), HasSubstr("version 2"));
  EXPECT_THAT(error([](Genesis& g) { g.network_name.clear(); }), HasSubstr("network_name"));
  EXPECT_THAT(error([](Genesis& g) { g.network_name = "a\nb"; }), HasSubstr("network_name"));
  EXPECT_THAT(error([](Genesis& g) { g.created_ms = -1; }), HasSubstr("created_ms"));
  EXPECT_THAT(error([](Genesis& g) { g.created_ms = kMaxTimestampMs + 1; }),
              HasSubstr("created_ms"));
  EXPECT_THAT(error([](Genesis& g) { g.committee.clear(); }), HasSubstr("committee has 1 to 256"));
  EXPECT_THAT(error([](Genesis& g) { g.committee[1] = g.committee[0]; }),
              HasSubstr("committee: key"));
  EXPECT_THAT(error([](Genesis& g) { g.operators.push_back({}); }), HasSubstr("operators"));
  EXPECT_THAT(error([](Genesis& g) { g.participants[0].roles = 32; }), HasSubstr("roles"));
  EXPECT_THAT(error([](Genesis& g) { g.participants[0].roles = 0; }), HasSubstr("roles"));
  EXPECT_THAT(error([](Genesis& g) { g.participants[0].name = std::string(65, 'x'); }),
              HasSubstr("name is at most 64"));
  EXPECT_THAT(error([](Genesis& g) { g.participants.push_back(g.participants[0]); }),
              HasSubstr("participants: key"));
}

}  // namespace
}  // namespace fedmesh::ledger
