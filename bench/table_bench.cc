// What the parts of a table cost, each held to a limit or to another map, in the same run and taking turns.
//
//   table_bench            look-ups, inserts, updates, distinct keys, sums of gradients
//   table_bench --growth   pauses and bytes of tables that grow
//   table_bench --only=lookup|insert|update|distinct
#include "bench/table_bench.h"

#include <gflags/gflags.h>
#include <glog/logging.h>

DEFINE_bool(growth, false, "measure growth instead");
DEFINE_string(only, "", "one bench: lookup, insert, update or distinct");

int main(int argc, char** argv) {
  google::InitGoogleLogging(argv[0]);
  gflags::SetUsageMessage("times the parts of a table");
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  const auto wanted = [](const char* name) { return FLAGS_only.empty() || FLAGS_only == name; };
  if (FLAGS_growth) {
    weir::bench::GrowthBench();
    return 0;
  }
  if (wanted("lookup")) weir::bench::LookupBench();
  if (wanted("insert")) weir::bench::InsertBench();
  if (wanted("update")) weir::bench::UpdateBench();
  if (wanted("distinct")) {
    weir::bench::DistinctKeysBench();
    weir::bench::GradientSumBench();
  }
  return 0;
}
