#include "checkpoint/dense_file.h"

#include <bit>
#include <cstring>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "tests/checkpoint/small_checkpoint.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

std::vector<DenseTensor> Tensors() {
  const float strange = std::bit_cast<float>(0x7fc12345u);  // a NaN with a payload
  return {{"parameter/top.0.weight", {2, 3}, {0.1f, -0.0f, strange, std::numeric_limits<float>::infinity(), 1e-42f, 5}},
          {"parameter/scalar", {}, {3}},
          {"exp_avg/empty", {0, 5}, {}},
          {"buffer/\"odd\"\n/\xc3\xa9", {1}, {7}}};
}

void ExpectSameBits(const std::vector<DenseTensor>& a, const std::vector<DenseTensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_EQ(a[i].shape, b[i].shape);
    ASSERT_EQ(a[i].values.size(), b[i].values.size());
    EXPECT_TRUE(a[i].values.empty() ||
                std::memcmp(a[i].values.data(), b[i].values.data(), a[i].values.size() * sizeof(float)) == 0)
        << a[i].name;
  }
}

TEST(DenseFile, RoundTripKeepsEveryBit) {
  TemporaryFolder folder;
  Result<DataFile> entry = WriteDenseFile(&LocalFileSystem(), folder.path(), Tensors());
  ASSERT_TRUE(entry.ok()) << entry.status().ToString();
  EXPECT_EQ(entry->kind(), DataFile::DENSE);
  const std::string bytes = ReadBytes(JoinPath(folder.path(), entry->name()));
  EXPECT_EQ(entry->bytes(), bytes.size());
  EXPECT_EQ(entry->crc32c(), Crc32c(bytes.data(), bytes.size()));
  Result<std::vector<DenseTensor>> read = ReadDenseFile(&LocalFileSystem(), folder.path(), *entry);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  ExpectSameBits(*read, Tensors());
}

TEST(DenseFile, NoTensorsAreLegal) {
  TemporaryFolder folder;
  Result<DataFile> entry = WriteDenseFile(&LocalFileSystem(), folder.path(), {});
  ASSERT_TRUE(entry.ok());
  Result<std::vector<DenseTensor>> read = ReadDenseFile(&LocalFileSystem(), folder.path(), *entry);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_TRUE(read->empty());
}

TEST(DenseFile, RefusesToWriteWhatCannotBeRead) {
  TemporaryFolder folder;
  const std::pair<DenseTensor, std::string> cases[] = {
      {{"w", {2, 2}, {1, 2, 3}}, "expected 4 values by its shape [2, 2], found 3"},
      {{"w", {-1}, {}}, "impossible shape"},
      {{"w", {int64_t{1} << 40, int64_t{1} << 40}, {}}, "impossible shape"},
      {{"", {1}, {1}}, "without a name"}};
  for (const auto& [tensor, message] : cases) {
    Status status = WriteDenseFile(&LocalFileSystem(), folder.path(), std::vector{tensor}).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr(message));
  }
  std::vector<DenseTensor> twice = {{"w", {1}, {1}}, {"w", {1}, {2}}};
  EXPECT_THAT(WriteDenseFile(&LocalFileSystem(), folder.path(), twice).status().message(), HasSubstr("stands twice"));
}

TEST(DenseFile, EveryChangedOrMissingByteIsSeen) {
  TemporaryFolder folder;
  const DataFile entry = *WriteDenseFile(&LocalFileSystem(), folder.path(), Tensors());
  const std::string path = JoinPath(folder.path(), entry.name());
  const std::string bytes = ReadBytes(path);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] ^= 1 << (i % 8);
    WriteBytes(path, changed);
    Status status = ReadDenseFile(&LocalFileSystem(), folder.path(), entry).status();
    ASSERT_EQ(status.code(), StatusCode::kDataLoss) << "byte " << i;
    ASSERT_THAT(status.message(), HasSubstr(path));
  }
  WriteBytes(path, bytes.substr(0, bytes.size() - 1));
  EXPECT_THAT(ReadDenseFile(&LocalFileSystem(), folder.path(), entry).status().message(),
              HasSubstr(fmt::format("expected {} bytes, found {}", bytes.size(), bytes.size() - 1)));
  std::filesystem::remove(path);
  Status status = ReadDenseFile(&LocalFileSystem(), folder.path(), entry).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("found no file"));
}

// A file with a right checksum can still be anything: it must be refused or read, never crash or ask for wild memory.
TEST(DenseFile, ForgedBytesNeverCrash) {
  TemporaryFolder folder;
  DataFile entry = *WriteDenseFile(&LocalFileSystem(), folder.path(), Tensors());
  const std::string path = JoinPath(folder.path(), entry.name());
  const std::string bytes = ReadBytes(path);
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937_64 random(seed);
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string changed = bytes;
    for (uint64_t n = 1 + random() % 4; n > 0; --n) changed[random() % changed.size()] = static_cast<char>(random());
    if (random() % 8 == 0) changed.resize(random() % changed.size());
    WriteBytes(path, changed);
    entry.set_bytes(changed.size());
    entry.set_crc32c(Crc32c(changed.data(), changed.size()));
    refused += !ReadDenseFile(&LocalFileSystem(), folder.path(), entry).ok();
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace weir
