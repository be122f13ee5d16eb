#include "trainer/process_stats.h"

#include <fstream>
#include <sstream>
#include <string>

#include <fmt/format.h>

namespace weir {

Result<int64_t> PeakRssBytes() {
  constexpr const char* kPath = "/proc/self/status";
  std::ifstream file(kPath);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name, unit;
    int64_t kilobytes = 0;
    if (words >> name >> kilobytes >> unit && name == "VmHWM:" && unit == "kB") return kilobytes * 1024;
  }
  return NotFound(fmt::format("{}: expected a line \"VmHWM: N kB\", found none", kPath));
}

}  // namespace weir
