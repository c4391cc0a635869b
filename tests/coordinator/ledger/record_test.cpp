#include "coordinator/ledger/record.h"

#include <gmock/gmock.h>

#include "coordinator/ledger/merkle.h"
#include "tests/coordinator/ledger/toy.h"

namespace fedmesh::ledger {
namespace {

using ::testing::HasSubstr;
using toy::text;

const ChainId kChain{{1, 2, 3}};

Record sample() {
  return sign_record(toy::key(2), RecordKind::commit, kChain, toy::job(9), 7, text("payload"));
}

TEST(RecordTest, SignedRecordVerifiesAndSurvivesTheWire) {
  const Record record = sample();
  EXPECT_TRUE(verify_record(record, kChain).ok());
  EXPECT_EQ(record.author_id(), toy::key(2).node_id());
  const auto decoded = decode_record(encode_record(record));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, record);
  EXPECT_EQ(record_hash(record), merkle_leaf(encode_record(record)));
}

TEST(RecordTest, EveryChangeOfAnEncodedRecordIsNoticed) {
  EXPECT_EQ(toy::accepted_corruptions(encode_record(sample()),
                                      [](ByteView bytes) {
                                        const auto record = decode_record(bytes);
                                        if (!record.ok()) return false;
                                        EXPECT_EQ(encode_record(*record), to_bytes(bytes));
                                        return verify_record(*record, kChain).ok();
                                      }),
            0);
}

TEST(RecordTest, VerificationSaysWhatIsWrong) {
  const auto error = [](auto change) {
    Record record = sample();
    change(record);
    const auto verified = verify_record(record, kChain);
    return verified.ok() ? "" : verified.error().to_string();
  };
  EXPECT_THAT(error([](Record& r) { r.version = 2; }), HasSubstr("record version 2"));
  EXPECT_THAT(error([](Record& r) { r.kind = static_cast<RecordKind>(99); }),
              HasSubstr("kind 99 is not known"));
  EXPECT_THAT(error([](Record& r) { r.chain = {}; }), HasSubstr("belongs to chain 00000000"));
  EXPECT_THAT(error([](Record& r) { r.author_seq = 0; }), HasSubstr("starts at 1"));
  EXPECT_THAT(error([](Record& r) { r.payload.resize(kMaxRecordBytes); }), HasSubstr("longer"));
  EXPECT_THAT(error([](Record& r) { r.payload.push_back(0); }),
              HasSubstr("unauthenticated: signature does not verify"));
  EXPECT_THAT(error([](Record& r) { r.author = toy::key(3).public_key(); }),
              HasSubstr("signature does not verify"));
}

TEST(RecordTest, TheLargestRecordFitsAndOneByteMoreDoesNot) {
  const std::size_t envelope =
      encode_record(sign_record(toy::key(2), RecordKind::job, kChain, {}, 1, Bytes(1u << 19)))
          .size() -
      (1u << 19);
  const Record largest =
      sign_record(toy::key(2), RecordKind::job, kChain, {}, 1, Bytes(kMaxRecordBytes - envelope));
  EXPECT_TRUE(verify_record(largest, kChain).ok());
  EXPECT_TRUE(decode_record(encode_record(largest)).ok());
  const Record longer = sign_record(toy::key(2), RecordKind::job, kChain, {}, 1,
                                    Bytes(kMaxRecordBytes - envelope + 1));
  EXPECT_FALSE(verify_record(longer, kChain).ok());
  EXPECT_FALSE(decode_record(encode_record(longer)).ok());
}

TEST(RecordTest, KindsHaveNames) {
  EXPECT_STREQ(to_string(RecordKind::score_reveal), "score_reveal");
  EXPECT_STREQ(to_string(RecordKind::evidence), "evidence");
  EXPECT_STREQ(to_string(static_cast<RecordKind>(15)), "unknown");
  EXPECT_FALSE(is_known(static_cast<RecordKind>(0)));
  for (int kind = 1; kind <= 14; ++kind) {
    EXPECT_TRUE(is_known(static_cast<RecordKind>(kind)));
    EXPECT_STRNE(to_string(static_cast<RecordKind>(kind)), "unknown");
  }
}

}  // namespace
}  // namespace fedmesh::ledger
