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

  struct Counter {
    uint64_t key = 0;
    int64_t count = 0;  // at most this often
    int64_t error = 0;  // and at least count - error
    size_t number = 0;  // of the counter, from 0: the key has it until another takes it over
  };

  struct Added {
    size_t counter = 0;   // the number of the key's counter
    bool is_new = false;  // whether the key had none before
  };
  // The key came `times` more often; at least 1.
  Added Add(uint64_t key, int64_t times);
  // The n highest counts, descending; ties by key.
  std::vector<Counter> Top(size_t n) const;
  // Of all keys.
  int64_t total() const { return total_; }
  // A key without a counter came at most this often.
  int64_t uncounted_max() const { return counters_.size() < counters_max_ ? 0 : counters_[heap_[0]].count; }

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
