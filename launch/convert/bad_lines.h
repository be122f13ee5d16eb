// BadLines: lines of text that are no rows, counted by reason up to a limit.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/status.h"
#include "data_loader/formats/line_fault.h"

namespace weir {

// One thread.
class BadLines {
 public:
  explicit BadLines(int64_t max) : max_(max) {}

  // OK while there are at most `max`; then InvalidArgument, which names the line and the field.
  Status Add(const std::string& path, int64_t line_number, const LineFault& fault);

  int64_t count() const { return count_; }
  const std::map<std::string, int64_t>& by_reason() const { return by_reason_; }

 private:
  const int64_t max_;
  int64_t count_ = 0;
  std::map<std::string, int64_t> by_reason_;
};

}  // namespace weir
