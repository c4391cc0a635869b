#include "coordinator/consensus/pool.h"

#include <gmock/gmock.h>

#include "tests/coordinator/ledger/toy.h"

namespace fedmesh::consensus {
namespace {

using ledger::Record;
using ledger::RecordKind;

Record record(std::uint64_t seq, std::uint8_t author = 2, const JobId& job = {}) {
  return ledger::sign_record(ledger::toy::key(author), RecordKind::reveal, {}, job, seq,
                             ledger::toy::text("payload"));
}

TEST(RecordPoolTest, DropsDuplicatesAndIsBounded) {
  const std::size_t size = ledger::encode_record(record(1)).size();
  RecordPool pool({.records = 3, .bytes = 2 * size + 10});
  EXPECT_TRUE(*pool.add(record(1)));
  EXPECT_FALSE(*pool.add(record(1)));
  EXPECT_TRUE(*pool.add(record(2)));
  EXPECT_EQ(pool.bytes(), 2 * size);
  EXPECT_EQ(pool.add(record(3)).error().code, ErrorCode::exhausted);
  pool.remove(std::vector<std::size_t>{0});
  EXPECT_EQ(pool.bytes(), size);
  EXPECT_TRUE(*pool.add(record(3)));
  EXPECT_TRUE(*pool.add(record(3)) == false);
  RecordPool small({.records = 1});
  EXPECT_TRUE(*small.add(record(1)));
  EXPECT_FALSE(small.add(record(2)).ok());
}

TEST(RecordPoolTest, KeepsArrivalOrderExceptWithinAnAuthorsSlot) {
  RecordPool pool;
  const JobId job = ledger::toy::job(1);
  for (const Record& one :
       {record(9), record(1, 3), record(4), record(2, 2, job), record(5), record(1, 2, job)})
    ASSERT_TRUE(pool.add(one).ok());
  std::vector<std::pair<std::uint64_t, bool>> order;  // sequence number, of the job
  for (const Record& one : pool.candidates())
    order.emplace_back(one.author_seq, !one.job.is_zero());
  const std::vector<std::pair<std::uint64_t, bool>> expected = {{4, false}, {1, false}, {5, false},
                                                                {1, true},  {9, false}, {2, true}};
  EXPECT_EQ(order, expected);
  pool.remove(std::vector<std::size_t>{0, 2, 5});
  EXPECT_EQ(pool.size(), 3u);
  EXPECT_EQ(pool.candidates()[2].author_seq, 9u);
}

}  // namespace
}  // namespace fedmesh::consensus
