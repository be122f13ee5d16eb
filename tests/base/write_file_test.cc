#include "base/write_file.h"

#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(WriteFile, ReplacesWhatWasThere) {
  std::string folder = ::testing::TempDir() + "weir_write_file_XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string path = JoinPath(folder, "f");
  for (const std::string& bytes : {std::string("long\0er", 7), std::string("x"), std::string()}) {
    ASSERT_TRUE(WriteFile(&LocalFileSystem(), path, bytes).ok());
    EXPECT_EQ(*LocalFileSystem().ReadAll(path, 100), bytes);
  }
  std::filesystem::remove_all(folder);
  const Status gone = WriteFile(&LocalFileSystem(), path, "x");
  EXPECT_EQ(gone.code(), StatusCode::kNotFound);
  EXPECT_THAT(gone.message(), ::testing::HasSubstr(path));
}

TEST(WriteFile, TellsOfAFullDisk) {
  if (!LocalFileSystem().Exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  EXPECT_EQ(WriteFile(&LocalFileSystem(), "/dev/full", "x").code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace weir
