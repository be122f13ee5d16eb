#include "embeddings/table_spec.h"

#include <algorithm>
#include <string_view>

#include "base/random.h"
#include "embeddings/initializer.h"

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
    TableSpec& spec = specs.emplace_back();
    spec.name = table.name();
    spec.layout = MakeRowLayout(table.dim(), optimizer, table.weight_type());
    spec.initializer = table.initializer();
    spec.optimizer = optimizer;
    spec.seed = SplitMix64(SplitMix64(job.train().seed()) ^ HashName(table.name()));
    spec.disk_path = table.disk().path();
    spec.limits = MakeTableLimits(table);
    spec.wire = job.cluster().wire();
    spec.wire.MergeFrom(table.wire());
    spec.consistency = ConsistencyOf(job.cluster(), table);
  }
  return specs;
}

Consistency Strictest(std::span<const TableSpec> tables) {
  if (tables.empty()) return {};
  Consistency strictest = {.staleness = 0, .async = true};
  for (const TableSpec& table : tables) {
    const Consistency& of = table.consistency;
    if (of.async) continue;
    strictest = strictest.async ? of : Consistency{.staleness = std::min(strictest.staleness, of.staleness)};
  }
  return strictest;
}

std::vector<float> WeightsWithoutRow(const TableSpec& spec) {
  if (spec.limits.not_admitted == AdmissionConfig::INITIAL) return {};
  std::vector<float> weights(spec.layout.dim);
  if (spec.limits.not_admitted == AdmissionConfig::SHARED) {
    // Of a seed of its own: no key's initial weights.
    constexpr uint64_t kSharedRow = 0x9216d5d98979fb1bULL;
    MakeRowInitializer(spec.initializer, spec.layout.dim, SplitMix64(spec.seed ^ kSharedRow))
        ->Initialize(0, weights.data());
  }
  return weights;
}

}  // namespace weir
