// ClusterPlan: what each worker and each server of a job would carry, from a sample of its data, without training.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/heavy_hitters.h"
#include "base/status.h"
#include "embeddings/server_load.h"
#include "proto/job.pb.h"

namespace weir {

struct PlanOptions {
  int workers = 1;  // servers are cluster.servers, or one beside each worker with 0
  // The sample ends with the first step that reaches a bound; it has at least one step. Steps and time: 0 for none.
  int64_t steps_max = 32;
  int64_t rows_max = 262'144;  // of the data
  int64_t time_ns_max = 20'000'000'000;
  // Distinct keys of a worker's step in a table, summed: what the plan keeps of the sample, 8 bytes each.
  int64_t keys_max = 16'777'216;
};

// Of the sample's steps, summed.
struct WorkerPlan {
  int64_t samples = 0;
  int64_t values = 0;  // looked up
  int64_t keys = 0;    // distinct in their table and step: what is pulled, and pushed
  int64_t bytes_sent = 0;
  int64_t bytes_received = 0;
};

// All workers together, over the sample's steps.
struct TablePlan {
  std::string table;
  int64_t values = 0;
  int64_t keys = 0;                            // distinct in their worker and step
  int64_t rows = 0;                            // distinct in the sample
  int64_t rows_max = 0;                        // after an epoch, at most (ClusterPlan)
  std::vector<HeavyHitters::Counter> hottest;  // of the values, at most ten
};

// Rows and table memory: as the sample leaves them, if every key gets a row. For the end of an epoch there are bounds:
// at least those, and at most as many as would come if new keys kept coming as fast as they do now. That is the number
// of keys that came once in the sample (in one step of one worker) for each of its lengths still to come (Good, "The
// Population Frequencies of Species and the Estimation of Population Parameters", Biometrika 1953); later each new key
// is rarer, so where the order is random, that is too many. Logs whose keys change over time may bring more. A table's
// `buckets` and memory bound both.
struct ClusterPlan {
  int64_t steps = 0;
  int64_t rows = 0;        // of the data
  int64_t epoch_rows = 0;  // of the data
  int streams = 0;         // that the workers own whole; 0 without data.shuffle, where they share every one
  bool colocated = false;  // server i is beside worker i
  std::vector<WorkerPlan> workers;
  std::vector<ServerLoad> servers;        // after the sample
  std::vector<ServerLoad> servers_after;  // rows and bytes after an epoch, at most; the rest is 0
  std::vector<TablePlan> tables;          // in the job's order
};

// Reads the first steps of the training of `job` (resolved) as its workers would: files, order, hashing, batches;
// distinct keys, virtual shards and message bytes are those of the store. Has a loader for each worker open. Errors are
// the loader's; a batch that takes longer than a minute is DeadlineExceeded.
Result<ClusterPlan> PlanCluster(const Job& job, const PlanOptions& options);

}  // namespace weir
