// Suggestions for names that are not known: fields, tables, commands.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace weir {

// Insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string alignment).
int EditDistance(std::string_view a, std::string_view b);

// The known name closest to `name`, or "" if none is close enough to be what was meant: at most one edit per three
// letters, and at least one. Case does not count.
std::string NearestName(std::string_view name, std::span<const std::string> known);

// " (did you mean "epochs"?)", or, if nothing is close, " (known: a, b, c)".
std::string SuggestName(std::string_view name, std::span<const std::string> known);

}  // namespace weir
