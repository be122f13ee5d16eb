// What `weir table-report` shows of TableStatistics: text, JSON, a page.
#pragma once

#include <span>
#include <string>

#include "launch/report/html_page.h"
#include "launch/table_report/table_statistics.h"

namespace weir {

// Whose statistics these are.
struct ReportSubject {
  std::string checkpoint;  // path
  int64_t step = 0;
  int virtual_shards = 0;
};

// Aligned columns, a line a table; with `details` the histograms too, bin by bin.
std::string ReportText(const ReportSubject& subject, std::span<const TableStatistics> tables, bool details);

// One JSON object: "checkpoint", "step", "virtual_shards", "tables": [...] (docs/operating.md has the names).
std::string ReportJson(const ReportSubject& subject, std::span<const TableStatistics> tables);

HtmlPage ReportPage(const ReportSubject& subject, std::span<const TableStatistics> tables);

}  // namespace weir
