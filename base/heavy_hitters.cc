#include "base/heavy_hitters.h"

#include <algorithm>
#include <utility>

#include <glog/logging.h>

namespace weir {

HeavyHitters::Added HeavyHitters::Add(uint64_t key, int64_t times) {
  CHECK_GE(times, 1);
  total_ += times;
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    counters_[found->second].count += times;
    SiftDown(places_[found->second]);
    return {found->second, false};
  }
  if (counters_.size() < counters_max_) {
    const size_t counter = counters_.size();
    counters_.push_back({key, times, 0, counter});
    by_key_.emplace(key, counter);
    heap_.push_back(counter);
    places_.push_back(counter);
    SiftUp(counter);
    return {counter, true};
  }
  const size_t least = heap_[0];
  Counter& counter = counters_[least];
  by_key_.erase(counter.key);
  by_key_.emplace(key, least);
  counter = {key, counter.count + times, counter.count, least};
  SiftDown(0);
  return {least, true};
}

std::vector<HeavyHitters::Counter> HeavyHitters::Top(size_t n) const {
  std::vector<Counter> top(std::min(n, counters_.size()));
  std::partial_sort_copy(
      counters_.begin(), counters_.end(), top.begin(), top.end(),
      [](const Counter& a, const Counter& b) { return a.count != b.count ? a.count > b.count : a.key < b.key; });
  return top;
}

void HeavyHitters::Place(size_t at, size_t counter) {
  heap_[at] = counter;
  places_[counter] = at;
}

void HeavyHitters::SiftUp(size_t at) {
  const size_t counter = heap_[at];
  for (; at > 0; at = (at - 1) / 2) {
    const size_t parent = heap_[(at - 1) / 2];
    if (counters_[parent].count <= counters_[counter].count) break;
    Place(at, parent);
  }
  Place(at, counter);
}

void HeavyHitters::SiftDown(size_t at) {
  const size_t counter = heap_[at];
  while (2 * at + 1 < heap_.size()) {
    size_t child = 2 * at + 1;
    if (child + 1 < heap_.size() && counters_[heap_[child + 1]].count < counters_[heap_[child]].count) ++child;
    if (counters_[counter].count <= counters_[heap_[child]].count) break;
    Place(at, heap_[child]);
    at = child;
  }
  Place(at, counter);
}

}  // namespace weir
