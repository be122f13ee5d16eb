// Fitting: what a job's transforms take from files is put into the job itself, so that the checkpoint holds it, and
// evaluation, prediction and export use it unchanged.
#pragma once

#include <string>

#include "base/status.h"
#include "proto/job.pb.h"
#include "proto/lake_stats.pb.h"

namespace weir {

// Vocabulary files of at most so many bytes are put into the job whole.
inline constexpr int64_t kVocabularyBytesInJob = 64 << 10;

// For a resolved job. stats_file becomes mean and stddev, min and max, or boundaries; a small vocabulary file its
// values; a larger one, and a file that is looked up, are given their digests. What is there already stays, so that
// fitting a job again changes nothing and reads nothing. Errors name feature or column, and the file: InvalidArgument
// when a statistics file lacks the column (with the nearest names) or says nothing that numbers could be learned from.
Status FitTransforms(Job* job);

// The JSON that `weir stats --json` writes. InvalidArgument for anything else; name: for messages.
Result<LakeStats> ParseLakeStats(const std::string& name, const std::string& json);

}  // namespace weir
