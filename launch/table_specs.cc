#include "launch/table_specs.h"

#include <charconv>
#include <memory>
#include <optional>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "base/number_text.h"
#include "data_loader/columns/key.h"
#include "embeddings/key_set.h"
#include "launch/table_memory.h"

namespace weir {
namespace {

constexpr uint64_t kListBytesMax = uint64_t{4} << 30;

std::vector<KeyRule> RulesOf(const Job& job, const std::string& table) {
  std::set<std::tuple<std::string, uint64_t, bool>> rules;
  for (const FeatureConfig& feature : job.features()) {
    const SparseConfig& sparse = feature.sparse();
    if (feature.has_sparse() && sparse.table() == table) {
      rules.emplace(sparse.hash_space(), sparse.buckets(), sparse.identity());
    }
  }
  std::vector<KeyRule> made;
  for (const auto& [hash_space, buckets, identity] : rules) made.emplace_back(hash_space, buckets, identity);
  return made;
}

// Of 64 bits, signed or not, as its bits; nothing for anything else.
std::optional<uint64_t> ParseInteger(std::string_view text) {
  const char* end = text.data() + text.size();
  if (!text.empty() && text[0] == '-') {
    int64_t number = 0;
    const auto [after, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && after == end) return static_cast<uint64_t>(number);
  } else {
    uint64_t number = 0;
    const auto [after, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && after == end) return number;
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<uint64_t>> AllowListKeys(const Job& job, const TableConfig& table, const std::string& path,
                                            std::string_view text) {
  const std::vector<KeyRule> rules = RulesOf(job, table.name());
  const bool integers = table.admission().allow_list().type() == SparseConfig::INTEGER;
  std::vector<uint64_t> keys;
  for (int64_t line_number = 1; !text.empty(); ++line_number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) continue;
    const std::optional<uint64_t> integer = integers ? ParseInteger(line) : std::nullopt;
    if (integers && !integer) {
      return InvalidArgument(
          fmt::format("{}:{}: expected an integer of 64 bits, found \"{}\"", path, line_number, line.substr(0, 100)));
    }
    for (const KeyRule& rule : rules) keys.push_back(integers ? rule.OfInteger(*integer) : rule.OfString(line));
  }
  return keys;
}

Result<std::vector<TableSpec>> ReadTableSpecs(FileSystem* file_system, const Job& job) {
  WEIR_RETURN_IF_ERROR(CheckTableMemory(job));
  std::vector<TableSpec> specs = TableSpecsFromJob(job);
  for (size_t i = 0; i < specs.size(); ++i) {
    const TableConfig& table = job.tables(static_cast<int>(i));
    if (!table.admission().has_allow_list()) continue;
    const std::string& path = table.admission().allow_list().path();
    const std::string context = fmt::format("the allow-list of table {}", table.name());
    const Result<std::string> text = file_system->ReadAll(path, kListBytesMax);
    if (!text.ok()) return text.status().Wrap(context);
    const Result<std::vector<uint64_t>> keys = AllowListKeys(job, table, path, *text);
    if (!keys.ok()) return keys.status().Wrap(context);
    specs[i].limits.allow_list = std::make_shared<KeySet>(*keys);
  }
  return specs;
}

}  // namespace weir
