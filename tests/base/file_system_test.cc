#include "base/file_system.h"

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

namespace weir {
namespace {

class FileSystemTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "weir_file_system_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return JoinPath(folder_, name); }

  void Write(const std::string& name, const std::string& text) {
    auto file = files_.Create(Path(name));
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    ASSERT_TRUE((*file)->Append({reinterpret_cast<const uint8_t*>(text.data()), text.size()}).ok());
    ASSERT_TRUE((*file)->Sync().ok());
    ASSERT_TRUE((*file)->Close().ok());
  }

  std::string Read(const std::string& name) {
    const Result<std::string> text = files_.ReadAll(Path(name), 1 << 20);
    return text.ok() ? *text : text.status().ToString();
  }

  FileSystem& files_ = LocalFileSystem();
  std::string folder_;
};

TEST_F(FileSystemTest, ReadsWhatWasWritten) {
  const std::string text("a\0b\xff", 4);
  Write("f", text);
  EXPECT_EQ(Read("f"), text);
  EXPECT_EQ(*files_.FileSize(Path("f")), 4u);
  Write("f", "shorter"), Write("f", "x");
  EXPECT_EQ(Read("f"), "x") << "Create truncates";
  Write("empty", "");
  EXPECT_EQ(Read("empty"), "");
}

TEST_F(FileSystemTest, AppendsInOrder) {
  auto file = files_.Create(Path("f"));
  ASSERT_TRUE(file.ok());
  const std::string block(100'000, 'x');
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE((*file)->Append({reinterpret_cast<const uint8_t*>(block.data()), block.size()}).ok());
  }
  ASSERT_TRUE((*file)->Close().ok());
  EXPECT_EQ(Read("f"), block + block + block);
}

TEST_F(FileSystemTest, ReadIsBounded) {
  Write("f", "12345");
  EXPECT_EQ(*files_.ReadAll(Path("f"), 5), "12345");
  const Status status = files_.ReadAll(Path("f"), 4).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "reading " + Path("f") + ": expected at most 4 bytes, found more");
}

TEST_F(FileSystemTest, MissingThingsAreNotFoundByPath) {
  const std::string missing = Path("none/f");
  for (const Status& status :
       {files_.Create(missing).status(), files_.ReadAll(missing, 1).status(), files_.FileSize(missing).status(),
        files_.List(missing).status(), files_.SyncFolder(missing), files_.Rename(missing, Path("g"))}) {
    EXPECT_EQ(status.code(), StatusCode::kNotFound) << status.ToString();
    EXPECT_NE(status.message().find(missing), std::string::npos) << status.ToString();
  }
  EXPECT_FALSE(files_.Exists(missing));
  EXPECT_TRUE(files_.RemoveAll(missing).ok()) << "nothing there is no error";
}

TEST_F(FileSystemTest, FoldersAreMadeListedAndRemoved) {
  ASSERT_TRUE(files_.CreateFolders(Path("a/b/c")).ok());
  ASSERT_TRUE(files_.CreateFolders(Path("a/b/c")).ok());
  EXPECT_TRUE(files_.Exists(Path("a/b/c")));
  Write("a/z", ""), Write("a/.hidden", "");
  EXPECT_EQ(*files_.List(Path("a")), (std::vector<std::string>{".hidden", "b", "z"}));
  EXPECT_TRUE(files_.SyncFolder(Path("a")).ok());
  ASSERT_TRUE(files_.RemoveAll(Path("a")).ok());
  EXPECT_FALSE(files_.Exists(Path("a")));
  Write("file", "");
  EXPECT_FALSE(files_.CreateFolders(Path("file/x")).ok());
}

// Parameter: whether the file system has no rename that refuses to replace.
class RenameTest : public FileSystemTest, public ::testing::WithParamInterface<bool> {
 protected:
  Status Rename(const std::string& from, const std::string& to) {
    return GetParam() ? RenameInSteps(from, to) : files_.Rename(from, to);
  }
};

TEST_P(RenameTest, MovesFilesAndFolders) {
  Write("f", "1");
  ASSERT_TRUE(Rename(Path("f"), Path("g")).ok());
  EXPECT_FALSE(files_.Exists(Path("f")));
  EXPECT_EQ(Read("g"), "1");
  ASSERT_TRUE(files_.CreateFolders(Path("step.tmp")).ok());
  Write("step.tmp/f", "2");
  ASSERT_TRUE(Rename(Path("step.tmp"), Path("step")).ok());
  EXPECT_EQ(Read("step/f"), "2");
}

TEST_P(RenameTest, NeverReplaces) {
  Write("f", "1"), Write("g", "2");
  const Status status = Rename(Path("f"), Path("g"));
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists) << status.ToString();
  EXPECT_EQ(Read("f"), "1");
  EXPECT_EQ(Read("g"), "2");

  ASSERT_TRUE(files_.CreateFolders(Path("new")).ok());
  ASSERT_TRUE(files_.CreateFolders(Path("old")).ok());
  Write("new/f", "3"), Write("old/f", "4");
  EXPECT_EQ(Rename(Path("new"), Path("old")).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(Read("old/f"), "4");
  EXPECT_EQ(Rename(Path("new"), Path("g")).code(), StatusCode::kAlreadyExists);

  ASSERT_TRUE(files_.CreateFolders(Path("hollow")).ok());
  ASSERT_TRUE(Rename(Path("new"), Path("hollow")).ok()) << "an empty folder holds nothing to lose";
  EXPECT_EQ(Read("hollow/f"), "3");
}

TEST_P(RenameTest, NamesWhatIsMissing) {
  const Status status = Rename(Path("none"), Path("g"));
  EXPECT_EQ(status.code(), StatusCode::kNotFound) << status.ToString();
  EXPECT_NE(status.message().find(Path("none")), std::string::npos) << status.ToString();
}

INSTANTIATE_TEST_SUITE_P(BothWays, RenameTest, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "InSteps" : "AtOnce"; });

TEST_F(FileSystemTest, FullDiskIsResourceExhausted) {
  auto file = files_.Create("/dev/full");
  if (!file.ok()) GTEST_SKIP() << "no /dev/full: " << file.status().ToString();
  const uint8_t byte = 1;
  const Status status = (*file)->Append({&byte, 1});
  EXPECT_EQ(status.ToString(), "ResourceExhausted: writing /dev/full: No space left on device");
}

TEST(JoinPathTest, KeepsAbsolutePaths) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("a", "/b"), "/b");
}

}  // namespace
}  // namespace weir
