// The parts of table_bench, one file each. Each prints its JSON lines and runs on one thread.
#pragma once

namespace weir::bench {

// Look-ups in tables past 1 GiB, held to random reads of cache lines and to other maps.
void LookupBench();
// New keys with their initial rows into reserved tables, and updates of rows, held to random reads of cache lines.
void InsertBench();
void UpdateBench();
// Pauses and bytes of a table that grows to 50 M rows (dim 16) or 15 M (dim 64).
void GrowthBench();
// Distinct keys of a batch of Criteo's shape, held to std::unordered_map.
void DistinctKeysBench();
// Gradients of such a batch summed into one row per distinct key.
void GradientSumBench();

}  // namespace weir::bench
