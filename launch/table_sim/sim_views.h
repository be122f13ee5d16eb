// What `weir table-sim` shows: text, JSON, a page.
#pragma once

#include <string>

#include "launch/report/html_page.h"
#include "launch/table_sim/simulation.h"

namespace weir {

// A line per policy, then a line per table and policy; aligned.
std::string SimText(const SimResult& result);

// One JSON object: "steps", "rows", "policies": [...] (docs/operating.md has the names).
std::string SimJson(const SimResult& result);

// title: what was replayed.
HtmlPage SimPage(const std::string& title, const SimResult& result);

}  // namespace weir
