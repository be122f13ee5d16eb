// HtmlPage: one file that a browser shows without reading anything else: style and pictures stand in it, no scripts.
#pragma once

#include <string>
#include <string_view>

#include "launch/report/text_grid.h"

namespace weir {

// Well-formed XML as well as HTML. One thread. All text is escaped here, SVG is taken as it is.
class HtmlPage {
 public:
  explicit HtmlPage(std::string_view title);

  // level: 2 or 3; the page's title is 1.
  void Heading(int level, std::string_view text);
  void Paragraph(std::string_view text);
  void Grid(const TextGrid& grid);
  // Pictures side by side as far as the window is wide: between BeginFigures and EndFigures.
  void BeginFigures();
  void Figure(std::string_view svg, std::string_view caption);
  void EndFigures();

  // The whole page.
  std::string Finish() const;

 private:
  std::string text_;
};

// &, <, >, " and bytes below space become references or spaces.
std::string EscapeHtml(std::string_view text);

}  // namespace weir
