#include "coordinator/ledger/block.h"

#include <gmock/gmock.h>

#include "tests/coordinator/ledger/toy.h"

namespace fedmesh::ledger {
namespace {

using ::testing::HasSubstr;
using toy::certify;

TEST(QuorumTest, IsCommitteeMinusAThird) {
  const std::size_t expected[] = {1, 2, 3, 3, 4, 5, 5, 6, 7, 7};
  for (std::size_t n = 1; n <= 10; ++n) EXPECT_EQ(quorum(n), expected[n - 1]) << n;
  EXPECT_EQ(quorum(100), 67u);
}

struct CertificateTest : ::testing::Test {
  toy::Network network{10};
  CertifiedBlock block = network.extend({network.record(RecordKind::enrol, "a=1"),
                                         network.record(RecordKind::commit, "c", toy::job(1))},
                                        5000);

  std::string error(const Certificate& certificate) const {
    const auto verified =
        verify_certificate(certificate, block.block.header, network.founding.committee);
    return verified.ok() ? "" : verified.error().detail;
  }
};

TEST_F(CertificateTest, TakesAnyQuorumAndMore) {
  const Header& header = block.block.header;
  EXPECT_EQ(error(certify(network.founding, header, 7)), "");
  EXPECT_EQ(error(certify(network.founding, header, 7, 3)), "");
  EXPECT_EQ(error(certify(network.founding, header, 10)), "");
  EXPECT_THAT(error(certify(network.founding, header, 6)), HasSubstr("6 of 10 members signed"));
}

TEST_F(CertificateTest, RefusesOtherFormsOfTheSameVotes) {
  const Certificate good = block.certificate;
  Certificate bad = good;
  bad.bitmap.push_back(0);
  EXPECT_THAT(error(bad), HasSubstr("has 2 bytes, not 3"));
  bad = good;
  bad.bitmap[1] |= 0x80;
  bad.signatures.push_back(bad.signatures[0]);
  EXPECT_THAT(error(bad), HasSubstr("a member that is not there"));
  bad = good;
  bad.signatures.push_back(bad.signatures[0]);
  EXPECT_THAT(error(bad), HasSubstr("names 7 members beside 8 signatures"));
  bad = good;
  std::swap(bad.signatures[0], bad.signatures[1]);
  EXPECT_THAT(error(bad), HasSubstr("signature of member 0"));
  bad = good;
  bad.view += 1;
  EXPECT_THAT(error(bad), HasSubstr("signature of member 0"));
  bad = good;
  bad.session = {};
  EXPECT_THAT(error(bad), HasSubstr("another session"));
  bad = good;
  bad.height = bad.height.next();
  EXPECT_THAT(error(bad), HasSubstr("another block"));
  EXPECT_THAT(error(certify(network.founding, block.block.header, 7, 0, VoteType::notarize)),
              HasSubstr("finalize is needed, this is notarize"));
  bad = certify(network.founding, block.block.header, 7, 0, VoteType::notarize);
  bad.type = VoteType::finalize;
  EXPECT_THAT(error(bad), HasSubstr("signature of member 0"));
}

TEST_F(CertificateTest, BelongsToItsCommittee) {
  auto others = network.founding.committee;
  std::swap(others[0], others[1]);
  EXPECT_FALSE(verify_certificate(block.certificate, block.block.header, others).ok());
}

TEST_F(CertificateTest, EveryChangeOfACertifiedBlockIsNoticed) {
  const auto accepts = [&](ByteView bytes) {
    const auto decoded = decode_certified_block(bytes);
    if (!decoded.ok()) return false;
    EXPECT_EQ(encode_certified_block(*decoded), to_bytes(bytes));
    toy::Network fresh(10);
    return fresh.chain->commit(*decoded).ok();
  };
  const Bytes bytes = encode_certified_block(block);
  ASSERT_TRUE(accepts(bytes));
  EXPECT_EQ(toy::accepted_corruptions(bytes, accepts, 500, {0x01}), 0);
}

TEST_F(CertificateTest, VotesOfDifferentTypesNeverShareBytes) {
  const Digest session = network.chain->session();
  const Digest hash = header_hash(block.block.header);
  const auto bytes = [&](VoteType type) {
    return vote_signed_bytes(type, session, 3, Height{2}, hash);
  };
  EXPECT_NE(bytes(VoteType::notarize), bytes(VoteType::finalize));
  EXPECT_EQ(bytes(VoteType::nullify), vote_signed_bytes(VoteType::nullify, session, 3, {}, {}));
}

TEST(BlockTest, SurvivesTheWire) {
  toy::Network network;
  const CertifiedBlock block = network.extend({network.record(RecordKind::enrol, "a=1")}, 5000);
  EXPECT_EQ(*decode_block(encode_block(block.block)), block.block);
  EXPECT_EQ(*decode_certified_block(encode_certified_block(block)), block);
  EXPECT_EQ(body_root(block.block.records), block.block.header.body_root);
}

}  // namespace
}  // namespace fedmesh::ledger
