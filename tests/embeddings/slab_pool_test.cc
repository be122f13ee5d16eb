#include "embeddings/slab_pool.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(SlabPool, BlocksAreZeroedAndGoBack) {
  SlabPool pool;
  std::vector<char*> taken;
  for (int i = 0; i < 200; ++i) {
    char* block = pool.Take(/*small_pages=*/i == 0);
    ASSERT_TRUE(std::all_of(block, block + SlabPool::kBlockBytes, [](char c) { return c == 0; })) << i;
    ASSERT_EQ(std::count(taken.begin(), taken.end(), block), 0) << i;
    std::memset(block, 0x5a, SlabPool::kBlockBytes);
    taken.push_back(block);
    if (i % 3 < 2) continue;
    pool.GiveBack(taken.front());
    taken.erase(taken.begin());
  }
  EXPECT_LE(pool.ready_bytes(), 4 * static_cast<int64_t>(SlabPool::kBlockBytes));
  EXPECT_EQ(pool.bytes(), static_cast<int64_t>(taken.size() * SlabPool::kBlockBytes));
  for (char* block : taken) pool.GiveBack(block);
  EXPECT_EQ(pool.bytes(), 0);
}

TEST(SlabPool, EndsWhileItsThreadPrepares) {
  for (int blocks = 1; blocks < 12; ++blocks) {
    SlabPool pool;
    for (int i = 0; i < blocks; ++i) pool.Take();
  }
}

}  // namespace
}  // namespace weir
