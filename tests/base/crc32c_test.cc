#include "base/crc32c.h"

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace weir {
namespace {

struct Vector {
  std::string data;
  uint32_t crc;
};

// The check value of the CRC catalogues, then RFC 3720, appendix B.4.
std::vector<Vector> KnownVectors() {
  std::string rising(32, '\0'), falling(32, '\0');
  for (int i = 0; i < 32; ++i) rising[i] = static_cast<char>(i), falling[i] = static_cast<char>(31 - i);
  return {{"", 0},
          {"123456789", 0xe3069283},
          {std::string(32, '\0'), 0x8a9136aa},
          {std::string(32, '\xff'), 0x62a8ab43},
          {rising, 0x46dd794e},
          {falling, 0x113fdb5c}};
}

TEST(Crc32cTest, KnownVectors) {
  for (const Vector& vector : KnownVectors()) {
    EXPECT_EQ(Crc32c(vector.data.data(), vector.data.size()), vector.crc);
    EXPECT_EQ(ExtendCrc32cPortable(0, vector.data.data(), vector.data.size()), vector.crc);
  }
}

TEST(Crc32cTest, FastFormAgreesWithThePortableOne) {
  std::mt19937_64 random(7);
  std::vector<uint8_t> data(20000);
  for (uint8_t& byte : data) byte = static_cast<uint8_t>(random());
  for (size_t size : {0, 1, 7, 8, 9, 63, 255, 256, 257, 511, 512, 513, 767, 768, 769, 1023, 1024, 3071, 3072, 3073, 6144, 9999, 19990}) {
    for (size_t offset : {0, 1, 3, 8}) {
      const auto start = static_cast<uint32_t>(random());
      EXPECT_EQ(ExtendCrc32c(start, data.data() + offset, size),
                ExtendCrc32cPortable(start, data.data() + offset, size))
          << "size " << size << " offset " << offset;
    }
  }
}

TEST(Crc32cTest, ExtendsOverParts) {
  std::string data(10000, 'x');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 31);
  const uint32_t whole = Crc32c(data.data(), data.size());
  for (size_t cut : {0, 1, 4096, 9999, 10000}) {
    EXPECT_EQ(ExtendCrc32c(Crc32c(data.data(), cut), data.data() + cut, data.size() - cut), whole) << cut;
  }
}

TEST(Crc32cTest, EveryFlippedBitShows) {
  std::string data(300, 'a');
  const uint32_t crc = Crc32c(data.data(), data.size());
  for (size_t bit = 0; bit < data.size() * 8; ++bit) {
    data[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_NE(Crc32c(data.data(), data.size()), crc) << bit;
    data[bit / 8] ^= static_cast<char>(1 << bit % 8);
  }
}

}  // namespace
}  // namespace weir
