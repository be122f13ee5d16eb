#include "base/crc32.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(Crc32Test, KnownVectors) {
  // The check value of the CRC catalogues, and what zlib's crc32() gives.
  const std::vector<std::pair<std::string, uint32_t>> vectors = {
      {"", 0},
      {"123456789", 0xcbf43926},
      {"The quick brown fox jumps over the lazy dog", 0x414fa339},
      {std::string(32, '\0'), 0x190a55ad},
      {std::string(1000, 'a'), 0x9a38da03},
  };
  for (const auto& [data, crc] : vectors) {
    EXPECT_EQ(Crc32(data.data(), data.size()), crc) << data.size();
    EXPECT_EQ(ExtendCrc32Portable(0, data.data(), data.size()), crc) << data.size();
  }
}

TEST(Crc32Test, FastFormAgreesWithThePortableOne) {
  std::mt19937_64 random(7);
  std::vector<uint8_t> data(20000);
  for (uint8_t& byte : data) byte = static_cast<uint8_t>(random());
  for (size_t size : {0, 1, 7, 8, 9, 255, 256, 257, 511, 512, 513, 767, 768, 769, 1023, 1024, 3073, 9999, 19990}) {
    for (size_t offset : {0, 1, 3, 8}) {
      const auto start = static_cast<uint32_t>(random());
      EXPECT_EQ(ExtendCrc32(start, data.data() + offset, size), ExtendCrc32Portable(start, data.data() + offset, size))
          << "size " << size << " offset " << offset;
    }
  }
}

TEST(Crc32Test, ExtendsOverParts) {
  std::string data(10000, 'x');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 31);
  const uint32_t whole = Crc32(data.data(), data.size());
  for (size_t cut : {0, 1, 4096, 9999, 10000}) {
    EXPECT_EQ(ExtendCrc32(Crc32(data.data(), cut), data.data() + cut, data.size() - cut), whole) << cut;
  }
}

}  // namespace
}  // namespace weir
