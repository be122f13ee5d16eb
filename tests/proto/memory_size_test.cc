#include "proto/memory_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

using ::testing::HasSubstr;

std::string ErrorOf(std::string_view text) {
  const Result<int64_t> bytes = ParseMemory(text);
  return bytes.ok() ? "no error" : bytes.status().message();
}

TEST(ParseMemory, TakesEveryUnit) {
  EXPECT_EQ(ParseMemory("1B").value(), 1);
  EXPECT_EQ(ParseMemory("3KiB").value(), 3 << 10);
  EXPECT_EQ(ParseMemory("16MiB").value(), 16 << 20);
  EXPECT_EQ(ParseMemory("2GiB").value(), int64_t{2} << 30);
  EXPECT_EQ(ParseMemory("7TiB").value(), int64_t{7} << 40);
  EXPECT_EQ(ParseMemory("8192TiB").value(), int64_t{1} << 53);
}

TEST(ParseMemory, TakesFractionsAndOneSpace) {
  EXPECT_EQ(ParseMemory("1.5 GiB").value(), int64_t{3} << 29);
  EXPECT_EQ(ParseMemory("0.001KiB").value(), 1);
  EXPECT_EQ(ParseMemory("2.9B").value(), 2);
}

TEST(ParseMemory, SaysWhatItExpects) {
  for (const char* wrong : {"", "2", "GiB", "2GB", "2gib", "2G", "-1GiB", "+1GiB", "1e3B", "infB", "nanKiB", " 2GiB",
                            "2  GiB", "2GiB ", "0x10B", "2,5GiB", ".5GiB"}) {
    EXPECT_EQ(ErrorOf(wrong),
              "is \"" + std::string(wrong) + "\", expected a number with B, KiB, MiB, GiB or TiB, like 2GiB");
  }
  EXPECT_THAT(ErrorOf("0MiB"), HasSubstr("is \"0MiB\", expected at least 1B"));
  EXPECT_THAT(ErrorOf("0.5B"), HasSubstr("expected at least 1B"));
  EXPECT_THAT(ErrorOf("8193TiB"), HasSubstr("is \"8193TiB\", expected at most 8192TiB"));
  EXPECT_THAT(ErrorOf("99999999999999999999TiB"), HasSubstr("expected at most 8192TiB"));
}

TEST(FormatMemory, IsReadBack) {
  for (const int64_t bytes : {int64_t{1}, int64_t{1023}, int64_t{1} << 10, int64_t{5} << 20, int64_t{1} << 53}) {
    EXPECT_EQ(ParseMemory(FormatMemory(bytes)).value(), bytes) << FormatMemory(bytes);
  }
  EXPECT_EQ(FormatMemory(0), "0B");
  EXPECT_EQ(FormatMemory(int64_t{2} << 30), "2GiB");
  EXPECT_EQ(FormatMemory(1025), "1.00KiB");
  EXPECT_EQ(FormatMemory(int64_t{3} << 29), "1.50GiB");
}

}  // namespace
}  // namespace weir
