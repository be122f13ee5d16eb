#include "bench/random_lines.h"

#include <cstring>

#include <glog/logging.h>

#include "base/random.h"
#include "bench/bench_line.h"

namespace weir::bench {
namespace {

constexpr int64_t kLineBytes = 64;
constexpr size_t kReads = 4 << 20;
constexpr size_t kAhead = 32;

}  // namespace

RandomLines::RandomLines(int64_t bytes) : lines_(bytes / kLineBytes), memory_(lines_ * kLineBytes), order_(kReads) {
  std::memset(memory_.data(), 1, lines_ * kLineBytes);
  for (size_t i = 0; i < kReads; ++i) {
    order_[i] = static_cast<uint32_t>(BoundedIndex(RandomBits(2, RandomPurpose::kSampling, i), lines_));
  }
}

double RandomLines::Run() const {
  uint64_t sum = 0;
  const double ns = TimedNanos([&] {
    for (size_t i = 0; i + kAhead < kReads; ++i) {
      __builtin_prefetch(memory_.data() + order_[i + kAhead] * kLineBytes);
      sum += static_cast<uint8_t>(memory_.data()[order_[i] * kLineBytes]);
    }
  });
  CHECK_EQ(sum, kReads - kAhead);
  return ns / static_cast<double>(kReads - kAhead);
}

}  // namespace weir::bench
