// The parts of wire_bench, one file each. Each prints its JSON lines.
#pragma once

#include <string>
#include <utility>

#include <glog/logging.h>

#include "base/status.h"

namespace weir::bench {

// Pulls of 256 KiB, held to a bare loop of requests and answers of the same sizes.
void PullBench();
// Whole training runs of dlrm_small by 2 workers on 1 server: bytes a sample at the sockets, held to what the keys and
// values of the distinct rows take. data: a path or glob that data.train.uri takes; empty: made up, of Criteo's shape.
void BytesBench(const std::string& data);
// 2 workers and 1 server with 1 ms added to every message: steps of each staleness, held to the workers' computing
// alone.
void StalenessBench();

inline void Must(const Status& status) { CHECK(status.ok()) << status.ToString(); }
template <typename T>
T Must(Result<T> result) {
  CHECK(result.ok()) << result.status().ToString();
  return std::move(result).value();
}

}  // namespace weir::bench
