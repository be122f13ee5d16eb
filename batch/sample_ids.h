// SampleIds: the ids of a batch's samples, as text, for the ledger.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

// End to end: two allocations for all of them, none while there are no ids.
class SampleIds {
 public:
  int64_t size() const { return static_cast<int64_t>(ends_.size()); }
  bool empty() const { return ends_.empty(); }
  // Valid until the next Append or Clear.
  std::string_view operator[](int64_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_).substr(begin, ends_[i] - begin);
  }
  void Append(std::string_view id) {
    bytes_ += id;
    ends_.push_back(bytes_.size());
  }
  void Clear() {
    bytes_.clear();
    ends_.clear();
  }

 private:
  std::string bytes_;
  std::vector<size_t> ends_;
};

}  // namespace weir
