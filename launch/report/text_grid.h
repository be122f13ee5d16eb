// TextGrid: rows and columns of text that people read: on a terminal with aligned columns, on a page as a table.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

// One thread. Columns hold names (to the left) or numbers (to the right).
class TextGrid {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kRight;
  };

  explicit TextGrid(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // One cell per column.
  void AddRow(std::vector<std::string> cells);

  const std::vector<Column>& columns() const { return columns_; }
  const std::vector<std::vector<std::string>>& rows() const { return rows_; }

  // The titles, then a line a row; two spaces between columns, none at the end of a line.
  std::string ToText() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "1,234,567".
std::string GroupedDigits(int64_t number);
// "812 B", "1.5 MiB".
std::string BytesText(double bytes);
// "12.3 %"; "-" where there is nothing to have a share of.
std::string ShareText(double part, double whole);
// Four significant digits, without an exponent where that is short.
std::string NumberText(double value);
// One block character of eight heights for each value, the highest for the largest; a value that is not 0 shows.
std::string Sparkline(const std::vector<double>& values);

}  // namespace weir
