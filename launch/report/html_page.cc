#include "launch/report/html_page.h"

#include <fmt/format.h>

namespace weir {
namespace {

// Colours that hold on light and dark screens; numbers in columns of equal width.
constexpr char kStyle[] = R"(
:root { --ink: #1c2430; --soft: #5d6878; --line: #dfe3e8; --page: #ffffff;
  --c0: #2f6db3; --c1: #c5582b; --c2: #2e8b6f; --c3: #8a55b5; --c4: #b08900; --c5: #b83b6b; --c6: #4f6472; --c7: #1496a6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b4; --line: #343c47; --page: #14181e;
  --c0: #6ea8e8; --c1: #f0885a; --c2: #5cc3a3; --c3: #bb8ce0; --c4: #dcb640; --c5: #ea7aa4; --c6: #9fb3c0; --c7: #52c6d4; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 2rem auto;
  max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; } h3 { font-size: 1rem; margin-bottom: 0; }
p { color: var(--soft); max-width: 48rem; }
div.grid { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.87rem; }
th, td { padding: 0.2rem 0.7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } th.left, td.left { text-align: left; }
div.figures { display: flex; flex-wrap: wrap; gap: 1.2rem; }
figure { margin: 0.6rem 0; } figcaption { color: var(--soft); font-size: 0.85rem; }
svg { font: 11px system-ui, sans-serif; } svg text { fill: var(--soft); } svg .axis { stroke: var(--line); }
)";

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else if (c == '>') {
      escaped += "&gt;";
    } else if (c == '"') {
      escaped += "&quot;";
    } else {
      escaped += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return escaped;
}

HtmlPage::HtmlPage(std::string_view title) {
  text_ = fmt::format(
      "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width\"/>\n<title>{0}</title>\n<style>{1}</style>\n</head>\n"
      "<body>\n<h1>{0}</h1>\n",
      EscapeHtml(title), kStyle);
}

void HtmlPage::Heading(int level, std::string_view text) {
  text_ += fmt::format("<h{0}>{1}</h{0}>\n", level, EscapeHtml(text));
}

void HtmlPage::Paragraph(std::string_view text) { text_ += fmt::format("<p>{}</p>\n", EscapeHtml(text)); }

void HtmlPage::Grid(const TextGrid& grid) {
  auto add_row = [&](const char* tag, auto&& cell) {
    text_ += "<tr>";
    for (size_t c = 0; c < grid.columns().size(); ++c) {
      const bool left = grid.columns()[c].align == TextGrid::Align::kLeft;
      text_ += fmt::format("<{0}{1}>{2}</{0}>", tag, left ? " class=\"left\"" : "", EscapeHtml(cell(c)));
    }
    text_ += "</tr>\n";
  };
  text_ += "<div class=\"grid\"><table>\n<thead>";
  add_row("th", [&](size_t c) -> const std::string& { return grid.columns()[c].title; });
  text_ += "</thead>\n<tbody>\n";
  for (const auto& row : grid.rows()) add_row("td", [&](size_t c) -> const std::string& { return row[c]; });
  text_ += "</tbody></table></div>\n";
}

void HtmlPage::BeginFigures() { text_ += "<div class=\"figures\">\n"; }

void HtmlPage::Figure(std::string_view svg, std::string_view caption) {
  text_ += fmt::format("<figure>{}<figcaption>{}</figcaption></figure>\n", svg, EscapeHtml(caption));
}

void HtmlPage::EndFigures() { text_ += "</div>\n"; }

std::string HtmlPage::Finish() const { return text_ + "</body>\n</html>\n"; }

}  // namespace weir
