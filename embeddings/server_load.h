// ServerLoad: what one server of several holds and does, so that imbalance shows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace weir {

// Events are counted since the server started, over all workers. All fields are on the wire in this order
// (docs/protocol.md).
struct ServerLoad {
  int64_t rows = 0;         // over all tables
  int64_t bytes = 0;        // table memory
  int64_t keys_pulled = 0;  // over all tables, for training and for evaluation; those whose rows were asked for
  int64_t keys_pushed = 0;
  // Whole frames of pulls and pushes, and of the rows that answer; those of the worker beside the server do not travel.
  int64_t bytes_in = 0;
  int64_t bytes_out = 0;
  int64_t keys_early = 0;  // of keys_pulled: answered ahead of the others (docs/consistency.md, "Look-ahead")

  bool operator==(const ServerLoad&) const = default;
};
static_assert(sizeof(ServerLoad) == 7 * sizeof(int64_t), "it goes as it is");

// The largest figure over the mean of all, as in Imbalance(loads, &ServerLoad::rows): 1 where all are alike, their
// number where one has everything; 1 without any.
template <typename Load>
double Imbalance(const std::vector<Load>& loads, int64_t Load::*figure) {
  int64_t sum = 0, most = 0;
  for (const Load& load : loads) {
    sum += load.*figure;
    most = std::max(most, load.*figure);
  }
  return sum > 0 ? static_cast<double>(most) * static_cast<double>(loads.size()) / static_cast<double>(sum) : 1;
}

}  // namespace weir
