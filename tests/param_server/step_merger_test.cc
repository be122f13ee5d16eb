#include "param_server/server/step_merger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

OwnerRequest Push(int worker, int64_t step, uint64_t sequence) {
  OwnerRequest push;
  push.type = MessageType::kPush;
  push.worker = worker;
  push.step = step;
  push.sequence = sequence;
  return push;
}

bool Add(StepMerger* merger, OwnerRequest push) {
  const auto added = merger->Add(push);
  EXPECT_TRUE(added.ok()) << added.status().ToString();
  return added.ok() && *added;
}

TEST(StepMergerTest, StepsComeInOrderAndPushesInWorkerOrder) {
  StepMerger merger(3);
  for (int worker = 0; worker < 3; ++worker) merger.Join(worker);
  EXPECT_TRUE(Add(&merger, Push(2, 1, 1)));
  EXPECT_TRUE(Add(&merger, Push(2, 2, 2)));
  EXPECT_TRUE(Add(&merger, Push(0, 1, 1)));
  EXPECT_FALSE(merger.complete());
  EXPECT_EQ(merger.Missing(1), "worker 1 (last pushed step 0)");
  EXPECT_TRUE(Add(&merger, Push(1, 1, 1)));
  ASSERT_TRUE(merger.complete());
  const auto step = merger.Take();
  ASSERT_EQ(step.size(), 3u);
  for (int worker = 0; worker < 3; ++worker) {
    EXPECT_EQ(step[worker].worker, worker);
    EXPECT_EQ(step[worker].step, 1);
  }
  EXPECT_EQ(merger.applied(), 1);
  EXPECT_FALSE(merger.complete());
}

TEST(StepMergerTest, ASequenceNumberCountsOnce) {
  StepMerger merger(1);
  EXPECT_TRUE(Add(&merger, Push(0, 1, 1)));
  EXPECT_FALSE(Add(&merger, Push(0, 1, 1)));
  merger.Take();
  EXPECT_FALSE(Add(&merger, Push(0, 1, 1)));
  EXPECT_FALSE(merger.complete());
  // A new connection counts anew, but a step is still pushed once.
  merger.Leave(0);
  merger.Join(0);
  OwnerRequest again = Push(0, 1, 1);
  EXPECT_EQ(merger.Add(again).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Add(&merger, Push(0, 2, 1)));
}

TEST(StepMergerTest, APushFarAheadIsRefused) {
  StepMerger merger(2);
  for (int64_t step = 1; step <= kStepsAheadMax; ++step) EXPECT_TRUE(Add(&merger, Push(0, step, step)));
  OwnerRequest next = Push(0, kStepsAheadMax + 1, kStepsAheadMax + 1);
  EXPECT_EQ(merger.Add(next).status().code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(Add(&merger, Push(1, 1, 1)));
  merger.Take();
  EXPECT_TRUE(Add(&merger, std::move(next)));
}

TEST(StepMergerTest, StartsAtALoadedStep) {
  StepMerger merger(2);
  EXPECT_TRUE(merger.StartAt(40).ok());
  EXPECT_TRUE(Add(&merger, Push(0, 41, 1)));
  EXPECT_EQ(merger.StartAt(50).code(), StatusCode::kFailedPrecondition);
}

TEST(StepMergerTest, AStepThatAWorkerLeftBeforeCannotBeReached) {
  StepMerger merger(2);
  EXPECT_TRUE(Add(&merger, Push(1, 1, 1)));
  merger.Leave(1);
  EXPECT_TRUE(merger.CheckReachable(1).ok());
  EXPECT_EQ(merger.CheckReachable(2).code(), StatusCode::kFailedPrecondition);
  merger.Join(1);
  EXPECT_TRUE(merger.CheckReachable(2).ok());
}

}  // namespace
}  // namespace weir
