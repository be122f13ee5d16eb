#include "checkpoint/shared_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/step_folder.h"
#include "tests/checkpoint/small_checkpoint.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

// Time that passes only in naps; `on_nap` is called in each.
class NapClock : public Clock {
 public:
  int64_t SteadyNanos() const override { return now_; }
  int64_t UnixNanos() const override { return now_; }
  void SleepNanos(int64_t duration_ns) const override {
    now_ += duration_ns;
    if (on_nap) on_nap();
  }
  std::function<void()> on_nap;

 private:
  mutable int64_t now_ = 0;
};

TEST(SharedProbe, IsSeenWhereTheFolderIsShared) {
  TemporaryFolder folder;
  const std::string root = JoinPath(folder.path(), "run/checkpoints");
  Result<std::string> token = WriteProbe(&LocalFileSystem(), root);
  ASSERT_TRUE(token.ok()) << token.status().ToString();
  NapClock clock;
  EXPECT_TRUE(CheckProbe(&LocalFileSystem(), root, *token, 5000, clock).ok());
  EXPECT_EQ(clock.SteadyNanos(), 0);
  EXPECT_TRUE(ListCheckpoints(&LocalFileSystem(), root, nullptr)->empty());
  ASSERT_TRUE(RemoveProbe(&LocalFileSystem(), root, *token).ok());
  EXPECT_TRUE(LocalFileSystem().List(root)->empty());
}

TEST(SharedProbe, AnotherFolderIsRefusedInTime) {
  TemporaryFolder one, other;
  const std::string token = *WriteProbe(&LocalFileSystem(), one.path());
  NapClock clock;
  Status status = CheckProbe(&LocalFileSystem(), other.path(), token, 700, clock);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr(other.path() + " is not shared by all ranks"));
  EXPECT_GE(clock.SteadyNanos(), 700 * kNanosPerMilli);
  EXPECT_LE(clock.SteadyNanos(), 800 * kNanosPerMilli);
  WriteBytes(JoinPath(other.path(), ".probe-" + token), "another's words");
  EXPECT_FALSE(CheckProbe(&LocalFileSystem(), other.path(), token, 0, clock).ok());
  EXPECT_EQ(CheckProbe(&LocalFileSystem(), other.path(), "../x", 0, clock).code(), StatusCode::kInvalidArgument);
}

TEST(SharedProbe, MayShowUpLate) {
  TemporaryFolder folder;
  const std::string token = *MakeUuid();
  NapClock clock;
  int naps = 0;
  clock.on_nap = [&] {
    if (++naps == 3) WriteBytes(JoinPath(folder.path(), ".probe-" + token), token);
  };
  EXPECT_TRUE(CheckProbe(&LocalFileSystem(), folder.path(), token, 5000, clock).ok());
  EXPECT_EQ(naps, 3);
}

}  // namespace
}  // namespace weir
