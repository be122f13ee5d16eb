#include "data_loader/plan.h"

#include <algorithm>
#include <numeric>

#include <glog/logging.h>

#include "base/random.h"

namespace weir {
namespace {

constexpr double kUnevenness = 1.05;

// Fisher and Yates, as Durstenfeld (1964) has it; draw(i) gives 64 random bits.
template <typename T, typename Draw>
void Shuffle(std::vector<T>* items, const Draw& draw) {
  for (size_t i = items->size(); i > 1; --i) std::swap((*items)[i - 1], (*items)[BoundedIndex(draw(i), i)]);
}

std::vector<Piece> AllGroups(const GroupRows& group_rows) {
  std::vector<Piece> groups;
  for (size_t file = 0; file < group_rows.size(); ++file) {
    for (size_t group = 0; group < group_rows[file].size(); ++group) {
      int64_t rows = group_rows[file][group];
      if (rows > 0) groups.push_back({static_cast<int>(file), static_cast<int>(group), 0, rows});
    }
  }
  return groups;
}

int64_t TotalRows(const std::vector<Piece>& groups) {
  int64_t rows = 0;
  for (const Piece& group : groups) rows += group.rows();
  return rows;
}

EpochPlan DealWhole(const std::vector<Piece>& groups, int streams) {
  EpochPlan plan{std::vector<std::vector<Piece>>(streams), std::vector<int64_t>(streams)};
  // A heap of (rows so far, stream): the lightest first, ties to the lowest number.
  std::vector<std::pair<int64_t, int>> heap;
  for (int s = 0; s < streams; ++s) heap.emplace_back(0, s);
  for (const Piece& group : groups) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    auto& [rows, stream] = heap.back();
    rows += group.rows();
    plan.streams[stream].push_back(group);
    plan.stream_rows[stream] = rows;
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  }
  return plan;
}

EpochPlan CutEvenly(const std::vector<Piece>& groups, int64_t total, int streams) {
  EpochPlan plan{std::vector<std::vector<Piece>>(streams), std::vector<int64_t>(streams)};
  size_t at = 0;
  int64_t begin = 0;  // of what is left of groups[at]
  for (int s = 0; s < streams; ++s) {
    int64_t wanted = total / streams + (s < total % streams ? 1 : 0);
    plan.stream_rows[s] = wanted;
    while (wanted > 0) {
      Piece piece = groups[at];
      piece.begin = begin;
      piece.end = std::min(piece.end, begin + wanted);
      wanted -= piece.rows();
      begin = piece.end;
      plan.streams[s].push_back(piece);
      if (begin == groups[at].end) {
        ++at;
        begin = 0;
      }
    }
  }
  return plan;
}

}  // namespace

EpochPlan PlanShuffledEpoch(uint64_t seed, int64_t epoch, const GroupRows& group_rows, int streams) {
  std::vector<Piece> groups = AllGroups(group_rows);
  Shuffle(&groups, [&](uint64_t i) { return RandomBits(seed, RandomPurpose::kRowGroupOrder, epoch, i); });
  const int64_t total = TotalRows(groups);
  EpochPlan plan = DealWhole(groups, streams);
  int64_t longest = *std::max_element(plan.stream_rows.begin(), plan.stream_rows.end());
  if (static_cast<double>(longest) * streams <= kUnevenness * static_cast<double>(total)) return plan;
  return CutEvenly(groups, total, streams);
}

EpochPlan PlanOrderedEpoch(const GroupRows& group_rows) {
  std::vector<Piece> groups = AllGroups(group_rows);
  int64_t rows = TotalRows(groups);
  return {{std::move(groups)}, {rows}};
}

std::vector<int32_t> PermuteBlock(uint64_t seed, int64_t epoch, int64_t stream, int64_t block, int64_t rows) {
  std::vector<int32_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  uint64_t stream_seed = RandomBits(seed, RandomPurpose::kRowOrder, epoch, stream);
  Shuffle(&order, [&](uint64_t i) { return RandomBits(stream_seed, RandomPurpose::kRowOrder, block, i); });
  return order;
}

TurnCursor::TurnCursor(const std::vector<int64_t>& stream_rows, int64_t samples) : stream_rows_(stream_rows) {
  // The rounds that lie wholly before `samples`: the largest r with sum(min(rows, r)) <= samples, by bisection.
  auto taken_by = [&](int64_t rounds) {
    int64_t sum = 0;
    for (int64_t rows : stream_rows_) sum += std::min(rows, rounds);
    return sum;
  };
  int64_t longest = stream_rows_.empty() ? 0 : *std::max_element(stream_rows_.begin(), stream_rows_.end());
  CHECK_LE(samples, taken_by(longest));
  int64_t low = 0, high = longest;
  while (low < high) {
    int64_t middle = low + (high - low + 1) / 2;
    if (taken_by(middle) <= samples) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  round_ = low - 1;
  EndRound();
  turn_ = static_cast<size_t>(samples - taken_by(low));
  for (int64_t rows : stream_rows_) taken_at_start_.push_back(std::min(rows, low));
  for (size_t i = 0; i < turn_; ++i) ++taken_at_start_[alive_[i]];
}

void TurnCursor::EndRound() {
  ++round_;
  turn_ = 0;
  if (round_ < next_end_) return;
  alive_.clear();
  next_end_ = INT64_MAX;
  for (size_t s = 0; s < stream_rows_.size(); ++s) {
    if (stream_rows_[s] <= round_) continue;
    alive_.push_back(static_cast<int>(s));
    next_end_ = std::min(next_end_, stream_rows_[s]);
  }
}

}  // namespace weir
