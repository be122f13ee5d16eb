#include "trainer/tensorboard.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crc32c.h"

namespace weir {
namespace {

// A disk that takes a number of bytes, then is full.
class FullDisk : public WritableFile {
 public:
  explicit FullDisk(size_t room_bytes) : room_bytes_(room_bytes) {}
  Status Append(std::span<const uint8_t> data) override {
    if (data.size() > room_bytes_) return ResourceExhausted("no space left");
    room_bytes_ -= data.size();
    return Status();
  }
  Status Sync() override { return Status(); }
  Status Close() override { return Status(); }

 private:
  size_t room_bytes_;
};

class FullDiskFileSystem : public FileSystem {
 public:
  Result<std::unique_ptr<WritableFile>> Create(const std::string&) override {
    return std::unique_ptr<WritableFile>(std::make_unique<FullDisk>(200));
  }
  Result<std::string> ReadAll(const std::string& path, uint64_t) override { return NotFound(path); }
  Result<uint64_t> FileSize(const std::string& path) override { return NotFound(path); }
  bool Exists(const std::string&) override { return false; }
  Result<std::vector<std::string>> List(const std::string& folder) override { return NotFound(folder); }
  Status CreateFolders(const std::string&) override { return Status(); }
  Status Rename(const std::string& from, const std::string&) override { return NotFound(from); }
  Status RemoveAll(const std::string&) override { return Status(); }
  Status SyncFolder(const std::string&) override { return Status(); }
};

TEST(TfRecord, IsFramedAsTensorFlowFramesIt) {
  const std::string record = TfRecord("foo");
  ASSERT_EQ(record.size(), 8 + 4 + 3 + 4u);
  EXPECT_EQ(record.substr(0, 8), std::string("\x03\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(record.substr(12, 3), "foo");
  uint32_t stored = 0;
  std::memcpy(&stored, record.data() + 15, 4);
  EXPECT_EQ(stored, MaskedCrc32c("foo"));
  std::memcpy(&stored, record.data() + 8, 4);
  EXPECT_EQ(stored, MaskedCrc32c(record.substr(0, 8)));
  // CRC32C("123456789") is 0xe3069283 (RFC 3720's check value); rotated right by 15, plus 0xa282ead8.
  EXPECT_EQ(MaskedCrc32c("123456789"), (0xe3069283u >> 15 | 0xe3069283u << 17) + 0xa282ead8u);
}

TEST(EventWriter, SaysWhichFileCouldNotBeWritten) {
  FullDiskFileSystem file_system;
  auto writer = EventWriter::Create(file_system, "/events");
  ASSERT_TRUE(writer.ok()) << writer.status().ToString();
  Status status;
  for (int step = 0; step < 10'000 && status.ok(); ++step) status = (*writer)->AddScalar("a", step, 0.5);
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), ::testing::HasSubstr("/events/events.out.tfevents."));
}

}  // namespace
}  // namespace weir
