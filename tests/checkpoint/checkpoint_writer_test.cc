// Committing: what a reader sees when the disk fills up, when the process dies, and when step-N is there already.
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/step_folder.h"
#include "tests/checkpoint/faulty_file_system.h"
#include "tests/checkpoint/small_checkpoint.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

FileSystem* Disk() { return &LocalFileSystem(); }

std::vector<std::string> NamesIn(const std::string& folder) { return *Disk()->List(folder); }

std::vector<int64_t> WholeSteps(const std::string& root) {
  std::vector<int64_t> steps;
  const std::vector<CheckpointEntry> entries = *ListCheckpoints(Disk(), root, nullptr);
  for (const CheckpointEntry& entry : entries) {
    if (VerifyCheckpoint(Disk(), entry.path).ok()) steps.push_back(entry.step);
  }
  return steps;
}

// Quick commits, for what is there before.
void Prepare(const std::string& root, int64_t step) {
  FaultyFileSystem unsynced(Disk());
  Result<std::string> path = CommitTestCheckpoint(&unsynced, root, MakeTestCheckpoint(step));
  ASSERT_TRUE(path.ok()) << path.status().ToString();
}

// The calls that a commit of step 2 makes on the disk.
int64_t CallsOfCommit() {
  TemporaryFolder folder;
  FaultyFileSystem counter(Disk());
  EXPECT_TRUE(CommitTestCheckpoint(&counter, folder.path(), MakeTestCheckpoint(2)).ok());
  return counter.calls();
}

TEST(CheckpointWriter, CommitsAndReadsBack) {
  TemporaryFolder folder;
  const std::string root = JoinPath(folder.path(), "run/checkpoints");
  const TestCheckpoint checkpoint = MakeTestCheckpoint(5);
  Result<std::string> path = CommitTestCheckpoint(Disk(), root, checkpoint);
  ASSERT_TRUE(path.ok()) << path.status().ToString();
  EXPECT_EQ(*path, JoinPath(root, "step-5"));
  EXPECT_THAT(NamesIn(root), ElementsAre("step-5"));
  Status whole = VerifyCheckpoint(Disk(), *path);
  EXPECT_TRUE(whole.ok()) << whole.ToString();
  const Manifest manifest = *ReadManifest(Disk(), *path);
  EXPECT_EQ(manifest.step(), 5);
  EXPECT_EQ(manifest.format_version(), kCheckpointFormatVersion);
  EXPECT_EQ(manifest.hash_rule().version(), kHashRuleVersion);
  EXPECT_GT(manifest.created_unix_s(), 1'600'000'000);
  EXPECT_EQ(manifest.tables(0).rows(), 40u);
  EXPECT_EQ(manifest.position().samples(), 5000);
  const std::vector<DenseTensor> dense = *ReadDense(Disk(), *path, manifest);
  ASSERT_EQ(dense.size(), 2u);
  EXPECT_EQ(dense[0].values, checkpoint.dense[0].values);
}

TEST(CheckpointWriter, LeavesNothingWhenGivenUp) {
  TemporaryFolder folder;
  {
    auto writer = CheckpointWriter::Begin(Disk(), folder.path(), 3);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->WriteDense({}).ok());
    EXPECT_THAT(NamesIn(folder.path()), ElementsAre(StartsWith("step-3.tmp-")));
  }
  EXPECT_TRUE(NamesIn(folder.path()).empty());
}

TEST(CheckpointWriter, RefusesAManifestThatContradictsItself) {
  TemporaryFolder folder;
  auto writer = CheckpointWriter::Begin(Disk(), folder.path(), 3);
  ASSERT_TRUE(writer.ok());
  Manifest manifest = ManifestOf(MakeTestCheckpoint(3));  // tables, but no files were added
  Status status = (*writer)->Commit(manifest).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("table \"user\": no file holds virtual shards [0, 8)"));
  EXPECT_EQ(CheckpointWriter::Begin(Disk(), folder.path(), -1).status().code(), StatusCode::kInvalidArgument);
}

TEST(CheckpointWriter, AWholeOneIsLeftAlone) {
  TemporaryFolder folder;
  const std::string path = *CommitTestCheckpoint(Disk(), folder.path(), MakeTestCheckpoint(4));
  const std::string before = ReadBytes(JoinPath(path, "MANIFEST"));
  TestCheckpoint other = MakeTestCheckpoint(4);
  other.dense[0].values[0] = 100;
  Status status = CommitTestCheckpoint(Disk(), folder.path(), other).status();
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists) << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr(path));
  EXPECT_EQ(ReadBytes(JoinPath(path, "MANIFEST")), before);
  EXPECT_THAT(NamesIn(folder.path()), ElementsAre("step-4"));
}

TEST(CheckpointWriter, ADamagedOneIsSetAside) {
  for (const char* victim : {"rows-0000-test-00000.arrow", "dense.arrow", "MANIFEST"}) {
    TemporaryFolder folder;
    const std::string path = *CommitTestCheckpoint(Disk(), folder.path(), MakeTestCheckpoint(4));
    std::string bytes = ReadBytes(JoinPath(path, victim));
    bytes[bytes.size() / 2] ^= 4;
    WriteBytes(JoinPath(path, victim), bytes);
    Result<std::string> again = CommitTestCheckpoint(Disk(), folder.path(), MakeTestCheckpoint(4));
    ASSERT_TRUE(again.ok()) << again.status().ToString();
    EXPECT_THAT(NamesIn(folder.path()), ElementsAre("step-4", StartsWith("step-4.bad-")));
    EXPECT_TRUE(VerifyCheckpoint(Disk(), path).ok());
    const std::string aside = JoinPath(folder.path(), NamesIn(folder.path())[1]);
    EXPECT_EQ(ReadBytes(JoinPath(aside, victim)), bytes);
  }
}

TEST(CheckpointWriter, AFolderWithoutAManifestIsSetAside) {
  TemporaryFolder folder;
  ASSERT_TRUE(Disk()->CreateFolders(JoinPath(folder.path(), "step-4")).ok());
  WriteBytes(JoinPath(folder.path(), "step-4/dense.arrow"), "torn");
  ASSERT_TRUE(CommitTestCheckpoint(Disk(), folder.path(), MakeTestCheckpoint(4)).ok());
  EXPECT_THAT(NamesIn(folder.path()), ElementsAre("step-4", StartsWith("step-4.bad-")));
}

// A power cut may lose whatever was not synced, in any order: so data before the manifest, all before the rename.
TEST(CheckpointWriter, SyncsEverythingInOrder) {
  TemporaryFolder folder;
  const std::string root = JoinPath(folder.path(), "run/checkpoints");
  FaultyFileSystem recorder(Disk());
  ASSERT_TRUE(CommitTestCheckpoint(&recorder, root, MakeTestCheckpoint(3)).ok());
  const std::vector<std::string>& log = recorder.log();
  auto last = [&](const std::string& call) -> int64_t {
    for (int64_t i = log.size() - 1; i >= 0; --i) {
      if (log[i].starts_with(call)) return i;
    }
    return -1;
  };
  const int64_t renamed = last("renaming ");
  ASSERT_GE(renamed, 0);
  const std::string temporary = log[renamed].substr(9, log[renamed].find(" to ") - 9);
  EXPECT_EQ(log[renamed], "renaming " + temporary + " to " + JoinPath(root, "step-3"));
  const std::string manifest = JoinPath(temporary, "MANIFEST");
  int files = 0;
  for (const std::string& call : log) {
    if (!call.starts_with("creating ") || call.starts_with("creating folder ")) continue;
    const std::string path = call.substr(9);
    ++files;
    EXPECT_LT(last("writing " + path), last("syncing " + path)) << path;
    EXPECT_LE(last("syncing " + path), last("syncing " + manifest)) << path;
    EXPECT_TRUE(path == manifest || last("syncing " + path) < last("creating " + manifest)) << path;
  }
  EXPECT_EQ(files, 4);
  EXPECT_LT(last("syncing " + manifest), last("syncing folder " + temporary));
  EXPECT_LT(last("syncing folder " + temporary), renamed);
  EXPECT_EQ(last("syncing folder " + root), static_cast<int64_t>(log.size()) - 1);
  // The root was made here: its name, and its parent's, have to last too.
  EXPECT_GE(last("syncing folder " + JoinPath(folder.path(), "run")), 0);
  EXPECT_GE(last("syncing folder " + folder.path()), 0);
}

TEST(FullDisk, AtEveryCallTheOldCheckpointStays) {
  const int64_t calls = CallsOfCommit();
  ASSERT_GT(calls, 20);
  int failed = 0;
  for (int64_t call = 0; call < calls; ++call) {
    SCOPED_TRACE(fmt::format("call {} of {}", call, calls));
    TemporaryFolder folder;
    Prepare(folder.path(), 1);
    FaultyFileSystem faulty(Disk());
    faulty.FillAtCall(call);
    Result<std::string> path = CommitTestCheckpoint(&faulty, folder.path(), MakeTestCheckpoint(2));
    if (path.ok()) continue;  // the call was one that takes no space
    ++failed;
    EXPECT_EQ(path.status().code(), StatusCode::kResourceExhausted) << path.status().ToString();
    EXPECT_THAT(path.status().message(), HasSubstr("No space left on device"));
    EXPECT_THAT(path.status().message(), HasSubstr(folder.path()));
    // Only when the very last sync fails is step-2 there, and then as a whole.
    if (call == calls - 1) {
      EXPECT_THAT(WholeSteps(folder.path()), ElementsAre(1, 2));
    } else {
      EXPECT_THAT(WholeSteps(folder.path()), ElementsAre(1));
      EXPECT_THAT(NamesIn(folder.path()), ElementsAre("step-1"));
    }
  }
  EXPECT_GT(failed, calls / 2);
}

TEST(FullDisk, AfterEveryNumberOfBytesTheOldCheckpointStays) {
  for (int64_t bytes = 0;; bytes += 97) {
    TemporaryFolder folder;
    Prepare(folder.path(), 1);
    FaultyFileSystem faulty(Disk());
    faulty.FillAfterBytes(bytes);
    Result<std::string> path = CommitTestCheckpoint(&faulty, folder.path(), MakeTestCheckpoint(2));
    if (path.ok()) {
      EXPECT_GT(bytes, 1000);
      break;
    }
    ASSERT_EQ(path.status().code(), StatusCode::kResourceExhausted) << path.status().ToString();
    ASSERT_THAT(NamesIn(folder.path()), ElementsAre("step-1"));
    ASSERT_THAT(WholeSteps(folder.path()), ElementsAre(1));
  }
}

// A real full disk. Needs root for the mount.
TEST(FullDisk, OnAFileSystemThatIsFull) {
  TemporaryFolder folder;
  if (::mount("weir", folder.path().c_str(), "tmpfs", 0, "size=256k") != 0) {
    const char* ci = std::getenv("CI");
    if (ci != nullptr && std::string(ci) == "true") FAIL() << "mounting a tmpfs: " << std::strerror(errno);
    GTEST_SKIP() << "mounting a tmpfs: " << std::strerror(errno);
  }
  Prepare(folder.path(), 1);
  TestCheckpoint large = MakeTestCheckpoint(2);
  large.dense.push_back({"parameter/large", {1 << 17}, std::vector<float>(1 << 17, 1.0f)});
  Status status = CommitTestCheckpoint(Disk(), folder.path(), large).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr("dense.arrow: No space left on device"));
  EXPECT_THAT(WholeSteps(folder.path()), ElementsAre(1));
  EXPECT_THAT(NamesIn(folder.path()), ElementsAre("step-1"));
  EXPECT_TRUE(CommitTestCheckpoint(Disk(), folder.path(), MakeTestCheckpoint(3)).ok()) << "space was not given back";
  // Detached: another process of the system may be looking at it for a moment.
  EXPECT_EQ(::umount2(folder.path().c_str(), MNT_DETACH), 0) << std::strerror(errno);
}

TEST(Death, AtEveryCallAReaderSeesAWholeCheckpointOrNone) {
  const int64_t calls = CallsOfCommit();
  bool left_something = false;
  for (int64_t call = 0; call < calls; ++call) {
    SCOPED_TRACE(fmt::format("call {} of {}", call, calls));
    TemporaryFolder folder;
    Prepare(folder.path(), 1);
    FaultyFileSystem faulty(Disk());
    faulty.DieAtCall(call);
    ASSERT_FALSE(CommitTestCheckpoint(&faulty, folder.path(), MakeTestCheckpoint(2)).ok());
    left_something = left_something || NamesIn(folder.path()).size() > 1;

    std::vector<std::string> damaged;
    std::vector<CheckpointEntry> entries = *ListCheckpoints(Disk(), folder.path(), &damaged);
    EXPECT_TRUE(damaged.empty());
    for (const CheckpointEntry& entry : entries) EXPECT_TRUE(VerifyCheckpoint(Disk(), entry.path).ok());
    ASSERT_EQ(entries.size(), call == calls - 1 ? 2u : 1u);

    // The next run cleans up and commits the same step.
    ASSERT_TRUE(RemoveLeftovers(Disk(), folder.path()).ok());
    FaultyFileSystem unsynced(Disk());
    Result<std::string> again = CommitTestCheckpoint(&unsynced, folder.path(), MakeTestCheckpoint(2));
    EXPECT_TRUE(again.ok() || again.status().code() == StatusCode::kAlreadyExists) << again.status().ToString();
    EXPECT_THAT(NamesIn(folder.path()), ElementsAre("step-1", "step-2"));
    EXPECT_THAT(WholeSteps(folder.path()), ElementsAre(1, 2));
  }
  EXPECT_TRUE(left_something);
}

TEST(Death, WhilePruningLeavesNoHalfCheckpoint) {
  bool removed_some = false;
  for (int64_t call = 0; call < 12; ++call) {
    SCOPED_TRACE(fmt::format("call {}", call));
    TemporaryFolder folder;
    for (int64_t step = 1; step <= 4; ++step) {
      Prepare(folder.path(), step);
    }
    FaultyFileSystem faulty(Disk());
    faulty.DieAtCall(call);
    const bool done = PruneCheckpoints(&faulty, folder.path(), 2, {}).ok();
    std::vector<std::string> damaged;
    const size_t listed = ListCheckpoints(Disk(), folder.path(), &damaged)->size();
    EXPECT_TRUE(damaged.empty());
    EXPECT_EQ(WholeSteps(folder.path()).size(), listed);
    EXPECT_GE(listed, 2u);
    ASSERT_TRUE(PruneCheckpoints(Disk(), folder.path(), 2, {}).ok());
    EXPECT_THAT(NamesIn(folder.path()), ElementsAre("step-3", "step-4"));
    removed_some = removed_some || (listed < 4 && !done);
  }
  EXPECT_TRUE(removed_some);
}

TEST(StepFolder, NamesAreReadStrictly) {
  EXPECT_EQ(ParseStepFolderName("step-0"), 0);
  EXPECT_EQ(ParseStepFolderName("step-9223372036854775807"), INT64_MAX);
  for (const char* name : {"step-", "step-01", "step--1", "step-9223372036854775808", "step-1x", "step-1.tmp-x",
                           "Step-1", "step-+1", "step- 1"}) {
    EXPECT_FALSE(ParseStepFolderName(name).has_value()) << name;
  }
  const std::string uuid = *MakeUuid();
  EXPECT_TRUE(IsLeftover("step-3.tmp-" + uuid));
  EXPECT_TRUE(IsLeftover(".probe-" + uuid));
  for (const std::string& name : {"step-3.bad-" + uuid, "step-3.tmp-" + uuid + "x", "mine.tmp-" + uuid,
                                  std::string("step-3.tmp-"), std::string("step-3"), uuid}) {
    EXPECT_FALSE(IsLeftover(name)) << name;
  }
  std::set<std::string> uuids;
  for (int i = 0; i < 1000; ++i) uuids.insert(*MakeUuid());
  EXPECT_EQ(uuids.size(), 1000u);
}

}  // namespace
}  // namespace weir
