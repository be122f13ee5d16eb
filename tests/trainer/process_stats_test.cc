#include "trainer/process_stats.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(PeakRssBytes, GrowsWithWhatWasTouchedAndNeverShrinks) {
  const int64_t before = PeakRssBytes().value();
  EXPECT_GT(before, 1 << 20);
  constexpr int64_t kBytes = 64 << 20;
  {
    std::vector<uint8_t> touched(kBytes, 1);
    EXPECT_GE(PeakRssBytes().value(), before + kBytes / 2 + touched[kBytes / 2]);
  }
  EXPECT_GE(PeakRssBytes().value(), before + kBytes / 2);
}

}  // namespace
}  // namespace weir
