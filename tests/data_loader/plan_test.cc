#include "data_loader/plan.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <tuple>

#include <gtest/gtest.h>

namespace weir {
namespace {

int64_t Total(const GroupRows& groups) {
  int64_t rows = 0;
  for (const auto& file : groups) rows += std::accumulate(file.begin(), file.end(), int64_t{0});
  return rows;
}

const GroupRows kLakes[] = {
    {{100}},
    {{1}, {1}, {1}},
    {{100, 100, 37}, {}, {0, 5}, {1000}},
    {std::vector<int64_t>(64, 50)},
    {std::vector<int64_t>(65, 50)},
    {{65536, 3, 65536, 70000}},
};

TEST(Plan, EveryRowIsInExactlyOneStream) {
  for (const GroupRows& groups : kLakes) {
    for (int streams : {1, 2, 7, 16}) {
      EpochPlan plan = PlanShuffledEpoch(1, 3, groups, streams);
      std::vector<std::tuple<int, int, int64_t, int64_t>> ranges;
      for (int s = 0; s < streams; ++s) {
        int64_t rows = 0;
        for (const Piece& piece : plan.streams[s]) {
          EXPECT_LT(piece.begin, piece.end);
          ranges.emplace_back(piece.file, piece.group, piece.begin, piece.end);
          rows += piece.rows();
        }
        EXPECT_EQ(rows, plan.stream_rows[s]);
      }
      std::sort(ranges.begin(), ranges.end());
      int64_t counted = 0, at = 0;
      std::pair<int, int> group(-1, -1);
      for (auto [file, g, begin, end] : ranges) {
        if (group != std::pair(file, g)) {
          if (group.first >= 0) {
            EXPECT_EQ(at, groups[group.first][group.second]);
          }
          at = 0;
        }
        group = {file, g};
        EXPECT_EQ(begin, at);
        at = end;
        counted += end - begin;
      }
      EXPECT_EQ(counted, Total(groups));
    }
  }
}

TEST(Plan, StreamsEndTogether) {
  for (const GroupRows& groups : kLakes) {
    EpochPlan plan = PlanShuffledEpoch(1, 0, groups, 16);
    int64_t longest = *std::max_element(plan.stream_rows.begin(), plan.stream_rows.end());
    EXPECT_LE(static_cast<double>(longest), 1.05 * static_cast<double>(Total(groups)) / 16 + 1);
  }
}

TEST(Plan, ManyRowGroupsAreDealtWhole) {
  EpochPlan plan = PlanShuffledEpoch(1, 0, {std::vector<int64_t>(64, 50)}, 16);
  for (const auto& stream : plan.streams) {
    EXPECT_EQ(stream.size(), 4u);
    for (const Piece& piece : stream) EXPECT_EQ(piece.rows(), 50);
  }
}

TEST(Plan, EpochsAndSeedsDiffer) {
  auto first_groups = [](uint64_t seed, int64_t epoch) {
    std::vector<int> groups;
    for (const auto& stream : PlanShuffledEpoch(seed, epoch, {std::vector<int64_t>(64, 50)}, 16).streams) {
      for (const Piece& piece : stream) groups.push_back(piece.group);
    }
    return groups;
  };
  EXPECT_EQ(first_groups(1, 0), first_groups(1, 0));
  EXPECT_NE(first_groups(1, 0), first_groups(1, 1));
  EXPECT_NE(first_groups(1, 0), first_groups(2, 0));
}

// The order of the rows is part of every checkpoint's position: it must never change.
TEST(Plan, TheOrderIsFrozen) {
  EXPECT_EQ(PermuteBlock(1, 0, 0, 0, 8), (std::vector<int32_t>{0, 4, 1, 3, 6, 2, 7, 5}));
  std::vector<int> groups;
  EpochPlan plan = PlanShuffledEpoch(1, 0, {std::vector<int64_t>(8, 10)}, 1);
  for (const Piece& piece : plan.streams[0]) groups.push_back(piece.group);
  EXPECT_EQ(groups, (std::vector<int>{7, 4, 0, 3, 5, 1, 2, 6}));
}

TEST(Plan, BlocksArePermutations) {
  for (int64_t rows : {1, 2, 1000}) {
    std::vector<int32_t> order = PermuteBlock(1, 2, 3, 4, rows);
    std::set<int32_t> distinct(order.begin(), order.end());
    EXPECT_EQ(static_cast<int64_t>(distinct.size()), rows);
    EXPECT_EQ(*distinct.rbegin(), rows - 1);
  }
  EXPECT_NE(PermuteBlock(1, 2, 3, 4, 1000), PermuteBlock(1, 2, 3, 5, 1000));
  EXPECT_NE(PermuteBlock(1, 2, 3, 4, 1000), PermuteBlock(1, 2, 4, 4, 1000));
  EXPECT_NE(PermuteBlock(1, 2, 3, 4, 1000), PermuteBlock(1, 3, 3, 4, 1000));
}

TEST(TurnCursor, AnyStartGivesTheRestOfTheSequence) {
  for (const std::vector<int64_t>& rows : {std::vector<int64_t>{3, 0, 5, 1}, {4}, {2, 2, 2}, {0, 0, 7}}) {
    // The oracle: round by round.
    std::vector<int> sequence;
    for (int64_t round = 0; round < 7; ++round) {
      for (size_t s = 0; s < rows.size(); ++s) {
        if (rows[s] > round) sequence.push_back(static_cast<int>(s));
      }
    }
    for (size_t start = 0; start <= sequence.size(); ++start) {
      TurnCursor cursor(rows, static_cast<int64_t>(start));
      std::vector<int64_t> taken(rows.size());
      for (size_t i = 0; i < start; ++i) ++taken[sequence[i]];
      EXPECT_EQ(cursor.taken_at_start(), taken);
      for (size_t i = start; i < sequence.size(); ++i) ASSERT_EQ(cursor.Next(), sequence[i]) << start << " " << i;
    }
  }
}

}  // namespace
}  // namespace weir
