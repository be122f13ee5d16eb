#include "data_loader/formats/csv_index.h"

#include <numeric>

#include <arrow/io/file.h>

#include "tests/data_loader/lake_fixture.h"

namespace weir {
namespace {

int64_t CountRows(const std::string& text, size_t piece_bytes) {
  CsvIndexer indexer(',', 0);
  for (size_t at = 0; at < text.size(); at += piece_bytes) {
    indexer.Append(std::string_view(text).substr(at, piece_bytes));
  }
  if (!indexer.Finish()) return -1;
  int64_t rows = 0;
  for (const RowGroup& group : indexer.TakeGroups()) rows += group.rows;
  return rows;
}

TEST(CsvIndexer, SeesTheSameRowsHoweverTheTextIsCut) {
  const std::pair<std::string, int64_t> cases[] = {
      {"a,b\nc,d\n", 2},
      {"a,b\nc,d", 2},
      {"a,b\r\nc,d\r\n", 2},
      {"a,b\rc,d\r", 2},
      {"\n\na,b\n\n\nc,d\n\n", 2},
      {"\"a\nb\",1\nc,d\n", 2},
      {"\"a\"\"\n\"\"b\",1\nc,\"d\"\n", 2},
      {"a\"b,1\nc\",2\n", 2},  // a quote inside a field is a letter
      {"\"\"\n\"\"\n", 2},
      {"1,\"torn\n2,3\n", -1},
      {"", 0},
  };
  for (const auto& [text, rows] : cases) {
    for (size_t piece = 1; piece <= text.size() + 1; ++piece) EXPECT_EQ(CountRows(text, piece), rows) << text << piece;
  }
}

TEST(CsvIndexer, GroupsCoverTheFile) {
  TempFolder folder;
  std::string text;
  const int64_t rows = 2 * kGroupRows + 5;
  for (int64_t row = 0; row < rows; ++row) text += std::to_string(row) + (row % 3 == 0 ? ",\"x\ny\"\n" : ",z\n");
  std::string path = folder.Write("a.csv", text);
  auto file = arrow::io::ReadableFile::Open(path).ValueOrDie();
  auto groups = IndexCsv(file.get(), path, ',', 0);
  ASSERT_TRUE(groups.ok());
  ASSERT_EQ(groups->size(), 3u);
  int64_t at = 0, counted = 0;
  for (const RowGroup& group : *groups) {
    EXPECT_EQ(group.offset_bytes, at);
    EXPECT_TRUE(text.substr(at).starts_with(std::to_string(counted) + ","));
    at += group.size_bytes;
    counted += group.rows;
  }
  EXPECT_EQ(at, static_cast<int64_t>(text.size()));
  EXPECT_EQ(counted, rows);
  EXPECT_EQ((*groups)[2].rows, 5);
}

TEST(CsvIndexer, ARowWithoutEndIsRefusedBeforeTheFileIsRead) {
  for (const std::string& start : {std::string("a,b\n1,\"stray\n"), std::string("a,b\n1,plain")}) {
    CsvIndexer indexer(',', 100);
    indexer.Append(start);
    const std::string piece(1 << 20, start.back() == '\n' ? '\n' : 'x');
    int64_t pieces = 0;
    for (; indexer.CheckRowBytes("f.csv").ok() && pieces < 64; ++pieces) indexer.Append(piece);
    EXPECT_EQ(pieces, 16);
    ExpectError(indexer.CheckRowBytes("f.csv"), StatusCode::kInvalidArgument,
                {"f.csv", "at byte 104", "is a quote (\") not closed?"});
  }
  // However the text is cut.
  CsvIndexer indexer(',', 0);
  indexer.Append(std::string(kRowBytesMax - 1, 'x') + "\n");
  EXPECT_TRUE(indexer.CheckRowBytes("f.csv").ok());
  indexer.Append(std::string(kRowBytesMax, 'x') + "\n1\n");
  EXPECT_FALSE(indexer.CheckRowBytes("f.csv").ok());
}

TEST(CsvIndexer, EmptyLinesDoNotSwellAGroup) {
  CsvIndexer indexer(',', 0);
  const std::string empty_lines(3 * kGroupBytes, '\n');
  indexer.Append(empty_lines + "1\n");
  EXPECT_EQ(indexer.first_row_bytes(), static_cast<int64_t>(empty_lines.size()) + 2);
  indexer.Append(empty_lines);
  indexer.Append(std::string("2\n"));
  ASSERT_TRUE(indexer.Finish());
  int64_t rows = 0;
  for (const RowGroup& group : indexer.TakeGroups()) {
    rows += group.rows;
    EXPECT_LE(group.size_bytes, kGroupBytes + 2);
  }
  EXPECT_EQ(rows, 2);
}

TEST(CsvIndexer, WideRowsEndAGroupByBytes) {
  std::string row(kGroupBytes / 2, 'x');
  CsvIndexer indexer(',', 0);
  for (int i = 0; i < 5; ++i) {
    indexer.Append(row);
    indexer.Append(std::string_view("\n"));
  }
  ASSERT_TRUE(indexer.Finish());
  EXPECT_EQ(indexer.TakeGroups().size(), 3u);
}

}  // namespace
}  // namespace weir
