// What is known of a lake's columns as text, as JSON and as a page.
#pragma once

#include <string>

#include "launch/lake_stats/lake_statistics.h"
#include "launch/report/html_page.h"

namespace weir {

std::string StatsText(const LakeSummary& lake);
// docs/formats.md: "Statistics of a lake".
std::string StatsJson(const LakeSummary& lake);
HtmlPage StatsPage(const LakeSummary& lake);

}  // namespace weir
