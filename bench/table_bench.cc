// What the parts of a table cost, each held to a limit or to another map, in the same run and taking turns.
//
//   table_bench
#include "bench/table_bench.h"

#include <glog/logging.h>

int main(int, char** argv) {
  google::InitGoogleLogging(argv[0]);
  weir::bench::DistinctKeysBench();
  weir::bench::GradientSumBench();
  return 0;
}
