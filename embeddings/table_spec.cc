#include "embeddings/table_spec.h"

#include <string_view>

#include "base/random.h"
#include "proto/memory_size.h"

namespace weir {
namespace {

// FNV-1a (Fowler, Noll and Vo), 64 bits.
uint64_t HashName(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (unsigned char byte : name) hash = (hash ^ byte) * 0x100000001b3ULL;
  return hash;
}

}  // namespace

std::vector<TableSpec> TableSpecsFromJob(const Job& job) {
  std::vector<TableSpec> specs;
  for (const TableConfig& table : job.tables()) {
    const OptimizerConfig& optimizer = table.has_optimizer() ? table.optimizer() : job.optimizers().rows();
    const uint64_t seed = SplitMix64(SplitMix64(job.train().seed()) ^ HashName(table.name()));
    specs.push_back({table.name(), MakeRowLayout(table.dim(), optimizer, table.weight_type()), table.initializer(),
                     optimizer, seed});
    // The job's rules have seen to it that it can be read.
    if (table.has_memory()) specs.back().memory_bytes = ParseMemory(table.memory()).value();
    specs.back().disk_path = table.disk().path();
  }
  return specs;
}

}  // namespace weir
