#include "data_loader/formats/text_lines.h"

#include <cstdlib>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/write_file.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Result<std::vector<std::string>> ReadLines(const std::string& path) {
  SourceConfig source;
  source.add_uri(path);
  WEIR_ASSIGN_OR_RETURN(const std::vector<LakeEntry> entries, ListFiles(source));
  WEIR_ASSIGN_OR_RETURN(std::unique_ptr<TextLines> lines, TextLines::Open(entries[0]));
  std::vector<std::string> read;
  std::string_view line;
  while (true) {
    WEIR_ASSIGN_OR_RETURN(const bool found, lines->Next(&line));
    if (!found) break;
    read.emplace_back(line);
    EXPECT_EQ(lines->line_number(), static_cast<int64_t>(read.size()));
  }
  EXPECT_EQ(lines->bytes_read(), static_cast<int64_t>(*LocalFileSystem().FileSize(path)));
  return read;
}

struct File {
  TemporaryFolder folder;
  std::string path = folder.path() + "/text";
  explicit File(const std::string& text) { EXPECT_TRUE(WriteFile(&LocalFileSystem(), path, text).ok()); }
  // The same, packed by gzip.
  std::string Pack() const {
    EXPECT_EQ(std::system(fmt::format("gzip -k {}", path).c_str()), 0);
    return path + ".gz";
  }
};

TEST(TextLines, HandsOutEveryLine) {
  EXPECT_THAT(*ReadLines(File("").path), IsEmpty());
  EXPECT_THAT(*ReadLines(File("a\n\nb").path), ElementsAre("a", "", "b"));
  EXPECT_THAT(*ReadLines(File("a\r\n").path), ElementsAre("a\r"));
}

TEST(TextLines, OfAFileOfManyBlocks) {
  std::string text;
  std::vector<std::string> expected;
  for (int i = 0; i < 30'000; ++i) {
    expected.push_back(std::string(i % 200, 'x') + std::to_string(i));
    text += expected.back() + "\n";
  }
  expected.push_back(std::string(3 << 20, 'y'));  // over several blocks
  text += expected.back();
  const File file(text);
  EXPECT_EQ(*ReadLines(file.path), expected);
  EXPECT_EQ(*ReadLines(file.Pack()), expected);
}

TEST(TextLines, ReadsGzipOfSeveralMembers) {
  const File first("a\nb"), second("c\nd\n");
  const File both(*LocalFileSystem().ReadAll(first.Pack(), 1000) + *LocalFileSystem().ReadAll(second.Pack(), 1000));
  const std::string path = both.path + ".gz";
  ASSERT_TRUE(LocalFileSystem().Rename(both.path, path).ok());
  EXPECT_THAT(*ReadLines(path), ElementsAre("a", "bc", "d"));
}

TEST(TextLines, RefusesWhatIsNoText) {
  const Status too_long = ReadLines(File(std::string(TextLines::kLineBytesMax + 2, 'x')).path).status();
  EXPECT_EQ(too_long.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(too_long.message(), HasSubstr("line 1"));
  std::string packed = *LocalFileSystem().ReadAll(File("some text\nof two lines\n").Pack(), 1000);
  for (const std::string& torn : {packed.substr(0, packed.size() - 5), std::string("no gzip at all")}) {
    const File file(torn);
    ASSERT_TRUE(LocalFileSystem().Rename(file.path, file.path + ".gz").ok());
    const Status status = ReadLines(file.path + ".gz").status();
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status.ToString();
    EXPECT_THAT(status.message(), HasSubstr(file.path));
  }
}

}  // namespace
}  // namespace weir
