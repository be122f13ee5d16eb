#include "base/file_lock.h"

#include <cstdlib>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(FileLockTest, IsHeldByOneAtATime) {
  std::string pattern = (std::filesystem::temp_directory_path() / "weir-lock-XXXXXX").string();
  const std::string folder = ::mkdtemp(pattern.data());
  const std::string path = folder + "/.lock";
  auto first = FileLock::Acquire(path);
  ASSERT_TRUE(first.ok()) << first.status().ToString();

  auto second = FileLock::Acquire(path);
  EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(second.status().message(), ::testing::HasSubstr(path));

  first->reset();
  EXPECT_TRUE(FileLock::Acquire(path).ok());
  std::filesystem::remove_all(folder);
}

TEST(FileLockTest, NamesAFolderThatIsNotThere) {
  auto lock = FileLock::Acquire("/no/such/folder/.lock");
  EXPECT_EQ(lock.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(lock.status().message(), ::testing::HasSubstr("/no/such/folder/.lock"));
}

}  // namespace
}  // namespace weir
