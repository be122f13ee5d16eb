// The policies that a table simulation compares, as the jobs they would make.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/job.pb.h"

namespace weir {

struct SimPolicy {
  std::string name;
  Job job;  // resolved; its tables, and the buckets of its features, are as the policy has them

  // [Job.features]: 0 where keys are not folded.
  std::vector<uint64_t> feature_buckets() const;
};

// The name of the policy that is the job's own.
inline constexpr char kJobPolicy[] = "job";

// The job's own policy, then those of `texts` (a TableSimPolicy each) and of `file_text` (TableSimPolicies; named
// file_name in messages). job: resolved. InvalidArgument holds all errors, each with the policy it is of: text that is
// no policy, unknown tables, names that stand twice, fields that a job would not take, and what a replay cannot tell:
// the time of a step and the weights of a row.
Result<std::vector<SimPolicy>> ReadSimPolicies(const Job& job, std::span<const std::string> texts,
                                               const std::string& file_name, const std::string& file_text);

}  // namespace weir
