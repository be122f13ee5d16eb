// The parts of table_bench, one file each. Each prints its JSON lines and runs on one thread.
#pragma once

namespace weir::bench {

// Distinct keys of a batch of Criteo's shape, held to std::unordered_map.
void DistinctKeysBench();
// Gradients of such a batch summed into one row per distinct key.
void GradientSumBench();

}  // namespace weir::bench
