#include "coordinator/ledger/memory_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fedmesh::ledger {
namespace {

TEST(MemoryStoreTest, TakesBlocksInOrderAndGivesOnlyThose) {
  MemoryStore store;
  CertifiedBlock block;
  block.block.header.height = Height{2};
  EXPECT_EQ(store.append(block).error().detail, "the store expects block 1, not 2");
  EXPECT_EQ(store.head(), Height{0});
  block.block.header.height = Height{1};
  ASSERT_TRUE(store.append(block).ok());
  EXPECT_TRUE(store.get(Height{1}).ok());
  for (const Height height : {Height{0}, Height{2}})
    EXPECT_EQ(store.get(height).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace fedmesh::ledger
