#include "proto/nearest_name.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include <fmt/format.h>

namespace weir {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

}  // namespace

int EditDistance(std::string_view a, std::string_view b) {
  std::vector<int> before(b.size() + 1), above(b.size() + 1), current(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replace = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({above[j] + 1, current[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before[j - 2] + 1);
      }
    }
    std::swap(before, above);
    std::swap(above, current);
  }
  return above[b.size()];
}

std::string NearestName(std::string_view name, std::span<const std::string> known) {
  const std::string wanted = Lower(name);
  int best = std::max<int>(1, static_cast<int>(name.size()) / 3) + 1;
  std::string nearest;
  for (const std::string& candidate : known) {
    const int distance = EditDistance(wanted, Lower(candidate));
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string SuggestName(std::string_view name, std::span<const std::string> known) {
  const std::string nearest = NearestName(name, known);
  if (!nearest.empty()) return fmt::format(" (did you mean \"{}\"?)", nearest);
  if (known.empty()) return "";
  constexpr size_t kNamesMax = 40;
  const std::span<const std::string> shown = known.subspan(0, std::min(known.size(), kNamesMax));
  return fmt::format(" (known: {}{})", fmt::join(shown, ", "), known.size() > kNamesMax ? ", ..." : "");
}

}  // namespace weir
