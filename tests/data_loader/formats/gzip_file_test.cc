#include "data_loader/formats/gzip_file.h"

#include <random>

#include <arrow/buffer.h>
#include <arrow/io/memory.h>

#include "data_loader/lake/arrow_status.h"
#include "tests/data_loader/formats/format_fixture.h"

namespace weir {
namespace {

// Lines that pack about as well as logs do.
std::string SomeText(size_t bytes, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text;
  while (text.size() < bytes) text += std::to_string(random() % 100000) + (random() % 7 == 0 ? "\n" : ",clicked,");
  text.resize(bytes);
  return text;
}

std::shared_ptr<GzipFile> Open(const std::string& packed, const std::shared_ptr<GzipIndex>& index) {
  return std::make_shared<GzipFile>(std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(packed)),
                                    index);
}

Status ReadAll(const std::string& packed, std::string* text) {
  auto file = Open(packed, std::make_shared<GzipIndex>(1 << 16));
  auto read = file->ReadAt(0, 1 << 30 >> 4);
  if (read.ok()) *text = (*read)->ToString();
  return FromArrow(read.status(), "packed");
}

TEST(GzipFile, IsReadFromAnyPlace) {
  const std::string text = SomeText(3 << 20, 1);
  for (const int level : {0, 1, 9}) {
    const auto index = std::make_shared<GzipIndex>(1 << 16);
    const std::string packed = Gzip(text, level);
    std::mt19937_64 random(2);
    auto file = Open(packed, index);
    for (int i = 0; i < 300; ++i) {
      // Some places before the end was ever reached, and now and then by another file on the same index.
      if (i % 10 == 0) file = Open(packed, index);
      const int64_t place = static_cast<int64_t>(random() % (i < 20 ? text.size() / 4 : text.size() + 1000));
      const int64_t size = static_cast<int64_t>(random() % 50000);
      auto read = file->ReadAt(place, size);
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      const std::string expected = place < text.size() ? text.substr(place, size) : "";
      ASSERT_TRUE((*read)->ToString() == expected) << "level " << level << ", " << size << " bytes from " << place;
    }
    EXPECT_EQ(file->GetSize().ValueOrDie(), text.size());
    EXPECT_GT(index->num_points(), 20) << level;
  }
}

TEST(GzipFile, ReadsOnWhereItIs) {
  const std::string text = SomeText(100000, 3);
  auto file = Open(Gzip(text), std::make_shared<GzipIndex>());
  ASSERT_TRUE(file->Seek(10).ok());
  EXPECT_EQ(file->Read(5).ValueOrDie()->ToString(), text.substr(10, 5));
  EXPECT_EQ(file->Read(7).ValueOrDie()->ToString(), text.substr(15, 7));
  EXPECT_EQ(file->Tell().ValueOrDie(), 22);
}

TEST(GzipFile, MembersAreOneText) {
  std::string text, packed;
  for (int i = 0; i < 40; ++i) {
    const std::string part = SomeText(i % 3 == 0 ? 0 : 20000 * i, i);
    text += part;
    packed += Gzip(part);
  }
  std::string read;
  ASSERT_TRUE(ReadAll(packed, &read).ok());
  EXPECT_TRUE(read == text);
  ASSERT_TRUE(ReadAll(packed + std::string(1000, '\0'), &read).ok());  // as tapes leave it
  EXPECT_TRUE(read == text);

  const auto index = std::make_shared<GzipIndex>(1 << 16);
  auto file = Open(packed, index);
  ASSERT_EQ(file->GetSize().ValueOrDie(), text.size());
  for (size_t at = text.size(); at > 100000; at -= 99991) {
    EXPECT_TRUE(file->ReadAt(at - 5000, 5000).ValueOrDie()->ToString() == text.substr(at - 5000, 5000)) << at;
  }
}

TEST(GzipFile, PointsAreBounded) {
  const std::string part = SomeText(6000, 5), packed_part = Gzip(part, 1);
  std::string text, packed;
  for (int i = 0; i < 1500; ++i) {
    text += part;
    packed += packed_part;
  }
  const auto index = std::make_shared<GzipIndex>(4096);
  auto file = Open(packed, index);
  ASSERT_EQ(file->GetSize().ValueOrDie(), text.size());
  EXPECT_LT(index->num_points(), kGzipPointsMax);
  EXPECT_GT(index->span_bytes(), 4096);
  EXPECT_TRUE(file->ReadAt(5000001, 777).ValueOrDie()->ToString() == text.substr(5000001, 777));
}

TEST(GzipFile, DamageIsTold) {
  const std::string text = SomeText(300000, 7);
  const std::string whole = Gzip(text);
  std::string read;
  for (size_t size = 3; size < whole.size(); size += whole.size() / 50) {
    ExpectError(ReadAll(whole.substr(0, size), &read), StatusCode::kDataLoss, {"torn"});
  }
  for (const size_t back : {1, 4, 5, 8}) {  // length, then checksum
    std::string damaged = whole;
    damaged[damaged.size() - back] ^= 1;
    EXPECT_EQ(ReadAll(damaged, &read).code(), StatusCode::kDataLoss) << back;
  }
  ExpectError(ReadAll(whole + "stranger", &read), StatusCode::kDataLoss, {"packed"});
  ExpectError(ReadAll(whole + std::string(3, '\0') + "stranger", &read), StatusCode::kDataLoss, {"zeros"});
  ExpectError(ReadAll("no gzip at all", &read), StatusCode::kDataLoss, {"header"});
}

// The first read of a member may begin in its middle: its checksum is checked all the same.
TEST(GzipFile, TheChecksumHoldsFromAnyPointOn) {
  const std::string text = SomeText(600000, 9);
  std::string damaged = Gzip(text);
  damaged[damaged.size() - 6] ^= 1;
  auto file = Open(damaged, std::make_shared<GzipIndex>(1 << 16));
  ASSERT_TRUE(file->ReadAt(400000, 10).ok());
  ASSERT_TRUE(file->ReadAt(200000, 10).ok());
  const auto end = file->ReadAt(590000, 20000);
  ASSERT_FALSE(end.ok());
  EXPECT_NE(end.status().message().find("checksum"), std::string::npos) << end.status().message();
}

TEST(GzipFile, EveryFlippedBitIsSeen) {
  const std::string text = SomeText(20000, 11);
  const std::string whole = Gzip(text);
  int passed = 0;
  for (size_t bit = 0; bit < whole.size() * 8; bit += 13) {
    std::string damaged = whole, read;
    damaged[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    if (ReadAll(damaged, &read).ok()) {
      EXPECT_TRUE(read == text) << bit;  // a header's time or system
      ++passed;
    }
  }
  EXPECT_LT(passed, 10);
}

}  // namespace
}  // namespace weir
