#include "proto/table_rules.h"

#include <fmt/format.h>

#include "proto/memory_size.h"

namespace weir {
namespace {

// The least a filter can be: one cache line a virtual shard.
constexpr int64_t kFilterShardBytes = 64;

// The bytes that `text` says, or 0 after an error.
int64_t Memory(const std::string& text, const std::string& path, JobErrors* errors) {
  const Result<int64_t> bytes = ParseMemory(text);
  if (bytes.ok()) return *bytes;
  errors->Add(path, bytes.status().message());
  return 0;
}

void CheckCount(const CountAdmissionConfig& count, int64_t memory, int64_t virtual_shards, const std::string& path,
                JobErrors* errors) {
  const int64_t filter = Memory(count.filter_memory(), path + ".filter_memory", errors);
  const int64_t least = kFilterShardBytes * virtual_shards;
  if (filter > 0 && filter < least) {
    errors->Add(path + ".filter_memory",
                fmt::format("is {}, expected at least {}: {} bytes for each of {} virtual shards",
                            count.filter_memory(), FormatMemory(least), kFilterShardBytes, virtual_shards));
  } else if (filter > 0 && memory > 0 && filter >= memory) {
    errors->Add(path + ".filter_memory",
                fmt::format("is {}, expected less than the table's memory, {}, of which it is a part",
                            count.filter_memory(), FormatMemory(memory)));
  }
  if (count.window_steps() > 0 && count.window_steps() < 4) {
    errors->Add(path + ".window_steps",
                fmt::format("is {} steps, expected 0 or at least 4: a quarter of it is forgotten at a time",
                            count.window_steps()));
  }
}

// Lines are hashed like the values of the table's features: a type that no feature of it has would match nothing.
void CheckAllowList(const Job& job, const TableConfig& table, const std::string& path, JobErrors* errors) {
  const AllowListConfig& list = table.admission().allow_list();
  const std::string type = SparseConfig::ValueType_Name(list.type());
  if (list.type() != SparseConfig::STRING && list.type() != SparseConfig::INTEGER) {
    errors->Add(path + ".type", fmt::format("is {}, expected STRING or INTEGER", type));
    return;
  }
  for (const FeatureConfig& feature : job.features()) {
    const SparseConfig& sparse = feature.sparse();
    if (!feature.has_sparse() || sparse.table() != table.name()) continue;
    if (list.type() == SparseConfig::INTEGER) {
      if (sparse.type() != SparseConfig::STRING) continue;
    } else if (!sparse.identity() && sparse.boundaries().empty() && sparse.type() != SparseConfig::INTEGER) {
      continue;
    }
    errors->Add(path + ".type",
                fmt::format("is {}, but the values of feature \"{}\", which looks the table up, are {}", type,
                            feature.name(), list.type() == SparseConfig::INTEGER ? "strings" : "integers"));
  }
}

void CheckAdmission(const Job& job, const TableConfig& table, int64_t memory, const std::string& path,
                    JobErrors* errors) {
  const AdmissionConfig& admission = table.admission();
  switch (admission.kind_case()) {
    case AdmissionConfig::kCount:
      return CheckCount(admission.count(), memory, job.cluster().virtual_shards(), path + ".count", errors);
    case AdmissionConfig::kAllowList:
      return CheckAllowList(job, table, path + ".allow_list", errors);
    case AdmissionConfig::kProbability:
      return;
    case AdmissionConfig::KIND_NOT_SET:
      errors->Add(path, "names no rule: expected one of count {}, probability {} or allow_list {}");
  }
}

void CheckEviction(const TableConfig& table, const std::string& path, JobErrors* errors) {
  const EvictionConfig& eviction = table.eviction();
  const bool drops_at_full = eviction.when_full() != EvictionConfig::REFUSE;
  if (drops_at_full && !table.has_memory()) {
    errors->Add(path + ".when_full", fmt::format("is {}, but nothing says what full is: expected the table's memory",
                                                 EvictionConfig::WhenFull_Name(eviction.when_full())));
  }
  if (!table.has_disk()) return;
  // A row on disk is not looked at again until its key is: it could not be dropped on time.
  const auto refuse = [&](bool set, const char* field) {
    if (set) errors->Add(path + field, "does not go with disk, which keeps every row");
  };
  refuse(eviction.has_when_full(), ".when_full");
  refuse(eviction.ttl_steps() > 0, ".ttl_steps");
  refuse(eviction.ttl_s() > 0, ".ttl_s");
  refuse(eviction.min_norm() > 0, ".min_norm");
}

}  // namespace

void CheckTableLimits(const Job& job, int index, JobErrors* errors) {
  const TableConfig& table = job.tables(index);
  const std::string path = fmt::format("tables[{}]", index);
  const int64_t memory = table.has_memory() ? Memory(table.memory(), path + ".memory", errors) : 0;
  if (table.has_admission()) CheckAdmission(job, table, memory, path + ".admission", errors);
  if (table.has_eviction()) CheckEviction(table, path + ".eviction", errors);
  if (table.has_disk() && !table.has_memory()) {
    errors->Add(path + ".disk", "takes the rows that memory cannot hold: expected the table's memory");
  }
}

}  // namespace weir
