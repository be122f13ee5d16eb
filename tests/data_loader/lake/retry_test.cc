#include "data_loader/lake/retry.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>

#include "base/random.h"
#include "data_loader/lake/arrow_status.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/trainer/fake_clock.h"

namespace weir {
namespace {

constexpr char kPath[] = "s3://bucket/key";

// What happens to the next call: nothing, an error, or a read that ends early.
struct Fault {
  Status error;
  bool is_short = false;
};
using Schedule = std::function<Fault()>;

// Is read at positions only. After an error it is of no use any more: it must be opened anew.
class FaultyFile : public arrow::io::RandomAccessFile {
 public:
  FaultyFile(const std::string& text, const Schedule* schedule) : text_(text), schedule_(*schedule) {}

  arrow::Status Close() override { return arrow::Status::OK(); }
  bool closed() const override { return false; }
  arrow::Result<int64_t> Tell() const override { return arrow::Status::NotImplemented("Tell"); }
  arrow::Status Seek(int64_t) override { return arrow::Status::NotImplemented("Seek"); }
  arrow::Result<int64_t> GetSize() override { return static_cast<int64_t>(text_.size()); }
  arrow::Result<int64_t> Read(int64_t, void*) override { return arrow::Status::NotImplemented("Read"); }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t) override { return arrow::Status::NotImplemented("Read"); }

  arrow::Result<int64_t> ReadAt(int64_t position, int64_t nbytes, void* out) override {
    if (broken_) return ToArrow(Unavailable("s3://bucket/key: this file broke before"));
    const Fault fault = schedule_();
    if (!fault.error.ok()) {
      broken_ = true;
      std::memset(out, '?', static_cast<size_t>(nbytes / 2));  // what came before it broke
      return ToArrow(fault.error);
    }
    return static_cast<int64_t>(
        text_.copy(static_cast<char*>(out), static_cast<size_t>(fault.is_short ? nbytes / 2 : nbytes), position));
  }

 private:
  const std::string text_;
  const Schedule& schedule_;
  bool broken_ = false;
};

// One file, kPath.
class FaultyStorage : public Storage {
 public:
  FaultyStorage(std::string text, Schedule schedule) : text_(std::move(text)), schedule_(std::move(schedule)) {}

  Result<StoredFile> Look(const std::string& path) const override {
    if (const Fault fault = schedule_(); !fault.error.ok()) return fault.error;
    StoredFile file;
    file.path = path;
    file.bytes = text_.size();
    return file;
  }
  Result<std::vector<StoredFile>> List(const std::string& folder) const override {
    WEIR_ASSIGN_OR_RETURN(StoredFile file, Look(folder + "/key"));
    return std::vector<StoredFile>{file};
  }
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const StoredFile&) const override {
    if (const Fault fault = schedule_(); !fault.error.ok()) return fault.error;
    return std::shared_ptr<arrow::io::RandomAccessFile>(std::make_shared<FaultyFile>(text_, &schedule_));
  }
  bool is_remote() const override { return true; }

 private:
  const std::string text_;
  const Schedule schedule_;
};

class RetryTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Storage> Faulty(const std::string& text, Schedule schedule) {
    return WithRetries(std::make_shared<FaultyStorage>(text, std::move(schedule)), policy_);
  }
  double SecondsGone() const { return static_cast<double>(clock_.SteadyNanos() - begin_ns_) / kNanosPerSecond; }

  FakeClock clock_;
  const int64_t begin_ns_ = clock_.SteadyNanos();
  RetryPolicy policy_{.clock = &clock_};
};

TEST_F(RetryTest, FaultsThatPassChangeNoByte) {
  constexpr uint64_t kSeed = 20261122;
  SCOPED_TRACE(kSeed);
  std::string text;
  for (int i = 0; i < 5000; ++i) text += std::to_string(i * 7919 % 10007);
  int64_t calls = 0, faults = 0;
  const auto storage = Faulty(text, [&]() -> Fault {
    const uint64_t draw = BoundedIndex(RandomBits(kSeed, RandomPurpose::kSampling, calls++), 10);
    faults += draw < 4;
    if (draw < 2) return {Unavailable("s3://bucket/key: 503"), false};
    if (draw == 2) return {DeadlineExceeded("s3://bucket/key: silent"), false};
    return {Status(), draw == 3};
  });
  const auto files = storage->List("s3://bucket");
  ASSERT_TRUE(files.ok()) << files.status().ToString();
  const auto looked = storage->Look(kPath);
  ASSERT_TRUE(looked.ok()) << looked.status().ToString();
  const auto file = storage->Open(*looked);
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  for (uint64_t i = 0; i < 200; ++i) {
    const auto at =
        static_cast<int64_t>(BoundedIndex(RandomBits(kSeed, RandomPurpose::kSampling, i, 1), text.size() + 9));
    const auto size = static_cast<int64_t>(BoundedIndex(RandomBits(kSeed, RandomPurpose::kSampling, i, 2), 900));
    const auto read = (*file)->ReadAt(at, size);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    ASSERT_EQ((*read)->ToString(), static_cast<size_t>(at) < text.size() ? text.substr(at, size) : "") << at;
  }
  EXPECT_EQ((*file)->GetSize().ValueOrDie(), static_cast<int64_t>(text.size()));
  ASSERT_TRUE((*file)->Seek(static_cast<int64_t>(text.size()) - 10).ok());
  EXPECT_EQ((*(*file)->Read(4))->ToString(), text.substr(text.size() - 10, 4));
  EXPECT_EQ((*(*file)->Read(100))->ToString(), text.substr(text.size() - 6));
  EXPECT_GT(faults, 50);
}

TEST_F(RetryTest, WaitsGrowUpToTheirLimitAndEndInTime) {
  policy_.retry_ns = 60 * kNanosPerSecond;
  int64_t calls = 0;
  std::vector<double> times;
  const auto storage = Faulty("", [&]() -> Fault {
    ++calls;
    times.push_back(SecondsGone());
    return {Unavailable("s3://bucket/key: 503"), false};
  });
  const Status error = storage->Look(kPath).status();
  ExpectError(error, StatusCode::kUnavailable,
              {kPath, "503", "tried " + std::to_string(calls) + " times", "data.retry_s gives it 60 s"});
  EXPECT_LE(SecondsGone(), 60);
  EXPECT_GE(SecondsGone(), 49);  // the next wait, of 10 s at most, would have been too long
  for (size_t i = 1; i < times.size(); ++i) {
    const double longest = std::min(0.1 * static_cast<double>(int64_t{1} << (i - 1)), 10.0);
    EXPECT_GE(times[i] - times[i - 1], longest / 2 - 1e-9) << i;
    EXPECT_LE(times[i] - times[i - 1], longest + 1e-9) << i;
  }
}

TEST_F(RetryTest, WhatIsFinalIsNotTriedAgain) {
  for (const Status& error : {NotFound("s3://bucket/key: 404"), PermissionDenied("s3://bucket/key: 403"),
                              DataLoss("s3://bucket/key: changed"), InvalidArgument("s3://bucket/key: 400")}) {
    int calls = 0;
    Fault next;
    const auto storage = Faulty("text", [&]() -> Fault {
      ++calls;
      return next;
    });
    StoredFile listed = *storage->Look(kPath);
    const auto file = *storage->Open(listed);
    next.error = error;
    calls = 0;
    EXPECT_EQ(storage->Look(kPath).status().ToString(), error.ToString());
    EXPECT_EQ(storage->Open(listed).status().ToString(), error.ToString());
    EXPECT_EQ(FromArrow(file->ReadAt(0, 4).status(), kPath).ToString(), error.ToString());
    EXPECT_EQ(calls, 3);
  }
  EXPECT_EQ(SecondsGone(), 0);
}

TEST_F(RetryTest, WithoutTimeItTriesOnce) {
  policy_.retry_ns = 0;
  int calls = 0;
  const auto storage = Faulty("", [&]() -> Fault {
    ++calls;
    return {Unavailable("s3://bucket/key: 503"), false};
  });
  ExpectError(storage->Look(kPath).status(), StatusCode::kUnavailable, {"tried 1 times"});
  EXPECT_EQ(calls, 1);
}

TEST_F(RetryTest, AReadThatStaysShortSaysHowShort) {
  const auto storage = Faulty("0123456789", [] { return Fault{Status(), true}; });
  const auto file = *storage->Open(*storage->Look(kPath));
  ExpectError(FromArrow(file->ReadAt(2, 6).status(), kPath), StatusCode::kUnavailable,
              {kPath, "expected 6 bytes, got 3", "reading bytes 2 to 7 tried"});
  // Lengths that come from a damaged file take no memory.
  EXPECT_EQ((*file->ReadAt(10, int64_t{1} << 60))->size(), 0);
}

}  // namespace
}  // namespace weir
