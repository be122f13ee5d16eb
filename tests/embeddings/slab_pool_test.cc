#include "embeddings/slab_pool.h"

#include <algorithm>
#include <cstring>
#include <thread>
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

// Around the size at which the pool begins to prepare blocks, so that what one thread gives back makes another's pool
// small again.
TEST(SlabPool, ThreadsTakeAndGiveBackSideBySide) {
  SlabPool pool;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&pool, t] {
      for (int round = 0; round < 150; ++round) {
        std::vector<char*> blocks;
        for (int i = 0; i <= (round + t) % 3; ++i) {
          blocks.push_back(pool.Take());
          EXPECT_EQ(*blocks.back(), 0);
          *blocks.back() = 1;
        }
        for (char* block : blocks) pool.GiveBack(block);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool.bytes(), 0);
}

}  // namespace
}  // namespace weir
