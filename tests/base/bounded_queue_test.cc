#include "base/bounded_queue.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/clock.h"

namespace weir {
namespace {

constexpr int64_t kLong = 30 * kNanosPerSecond;
constexpr int64_t kShort = 5 * kNanosPerMilli;

TEST(BoundedQueueTest, FirstInFirstOut) {
  BoundedQueue<int> queue(3);
  for (int i : {1, 2, 3}) ASSERT_EQ(queue.Push(i, kLong), QueueOutcome::kDone);
  EXPECT_EQ(queue.size(), 3u);
  for (int expected : {1, 2, 3}) {
    int item = 0;
    ASSERT_EQ(queue.Pop(&item, kLong), QueueOutcome::kDone);
    EXPECT_EQ(item, expected);
  }
}

TEST(BoundedQueueTest, FullAndEmptyTimeOut) {
  BoundedQueue<std::unique_ptr<int>> queue(1);
  std::unique_ptr<int> item;
  EXPECT_EQ(queue.Pop(&item, kShort), QueueOutcome::kTimedOut);
  auto first = std::make_unique<int>(1), second = std::make_unique<int>(2);
  ASSERT_EQ(queue.Push(first, kLong), QueueOutcome::kDone);
  const int64_t start = SystemClock().SteadyNanos();
  EXPECT_EQ(queue.Push(second, kShort), QueueOutcome::kTimedOut);
  EXPECT_GE(SystemClock().SteadyNanos() - start, kShort);
  ASSERT_NE(second, nullptr) << "an item that was not taken is left as it was";
  EXPECT_EQ(*second, 2);
}

TEST(BoundedQueueTest, CloseGivesOutWhatIsHeld) {
  BoundedQueue<int> queue(2);
  int item = 7;
  ASSERT_EQ(queue.Push(item, kLong), QueueOutcome::kDone);
  queue.Close();
  EXPECT_EQ(queue.Push(item, kLong), QueueOutcome::kClosed);
  EXPECT_EQ(queue.Pop(&item, kLong), QueueOutcome::kDone);
  EXPECT_EQ(queue.Pop(&item, kLong), QueueOutcome::kClosed);
}

TEST(BoundedQueueTest, CloseWakesWhoWaits) {
  BoundedQueue<int> empty(1), full(1);
  int item = 0;
  ASSERT_EQ(full.Push(item, kLong), QueueOutcome::kDone);
  QueueOutcome popped = QueueOutcome::kDone, pushed = QueueOutcome::kDone;
  std::thread consumer([&] {
    int got = 0;
    popped = empty.Pop(&got, kLong);
  });
  std::thread producer([&] {
    int given = 1;
    pushed = full.Push(given, kLong);
  });
  SystemClock().SleepNanos(kShort);
  empty.Close();
  full.Close();
  consumer.join();
  producer.join();
  EXPECT_EQ(popped, QueueOutcome::kClosed);
  EXPECT_EQ(pushed, QueueOutcome::kClosed);
}

TEST(BoundedQueueTest, NothingIsLostBetweenThreads) {
  constexpr int kProducers = 3, kConsumers = 3, kItems = 5000;
  BoundedQueue<int> queue(4);
  std::vector<std::atomic<int>> seen(kProducers * kItems);
  std::atomic<int> most{0};
  std::vector<std::thread> consumers, producers;
  for (int c = 0; c < kConsumers; ++c) {
    consumers.emplace_back([&] {
      int item = 0;
      while (queue.Pop(&item, kLong) == QueueOutcome::kDone) {
        ++seen[item];
        if (const int size = static_cast<int>(queue.size()); size > most) most = size;
      }
    });
  }
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&, p] {
      for (int i = 0; i < kItems; ++i) {
        int item = p * kItems + i;
        ASSERT_EQ(queue.Push(item, kLong), QueueOutcome::kDone);
      }
    });
  }
  for (std::thread& producer : producers) producer.join();
  queue.Close();
  for (std::thread& consumer : consumers) consumer.join();
  for (const auto& times : seen) ASSERT_EQ(times, 1);
  EXPECT_LE(most, 4);
}

}  // namespace
}  // namespace weir
