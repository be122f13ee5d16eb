// HeavyHitters: the keys of a stream that come most often, counted in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace weir {

// Space-Saving (Metwally, Agrawal, El Abbadi: "Efficient Computation of Frequent and Top-k Elements in Data Streams",
// ICDT 2005), with weights. A key that has no counter takes the least one over, with its count as its error. So a count
// is too high by its error at most, no error is above total() / counters, and every key that came more often than that
// has a counter. About 100 bytes a counter; an Add costs a look-up and log(counters) moves. One thread.
class HeavyHitters {
 public:
  explicit HeavyHitters(size_t counters) : counters_max_(counters) {}

  // The key came `times` more often; at least 1.
  void Add(uint64_t key, int64_t times);

  struct Counter {
    uint64_t key = 0;
    int64_t count = 0;  // at most this often
    int64_t error = 0;  // and at least count - error
  };
  // The n highest counts, descending; ties by key.
  std::vector<Counter> Top(size_t n) const;
  // Of all keys.
  int64_t total() const { return total_; }

 private:
  void SiftUp(size_t at);
  void SiftDown(size_t at);
  void Place(size_t at, size_t counter);

  const size_t counters_max_;
  int64_t total_ = 0;
  std::vector<Counter> counters_;
  std::unordered_map<uint64_t, size_t> by_key_;  // into counters_
  std::vector<size_t> heap_;                     // of counters, the least count first
  std::vector<size_t> places_;                   // [counters]: where each stands in heap_
};

}  // namespace weir
