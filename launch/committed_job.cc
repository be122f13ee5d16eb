#include "launch/committed_job.h"

#include <vector>

#include <fmt/format.h>
#include <google/protobuf/util/message_differencer.h>

#include "checkpoint/checkpoint.h"
#include "proto/job_text.h"

namespace weir {

Result<Job> ReadCommittedJob(FileSystem* file_system, const std::string& checkpoint,
                             std::span<const std::string> overrides) {
  WEIR_ASSIGN_OR_RETURN(Manifest manifest, ReadManifest(file_system, checkpoint));
  JobErrors errors;
  WEIR_ASSIGN_OR_RETURN(
      Job job, ReadJob(JoinPath(checkpoint, "MANIFEST"), JobToText(manifest.job()), overrides, &errors));
  std::vector<const google::protobuf::FieldDescriptor*> trained;
  for (const char* name : {"features", "columns", "tables", "model"}) {
    trained.push_back(Job::descriptor()->FindFieldByName(name));
  }
  google::protobuf::util::MessageDifferencer differencer;
  // Files that transforms read may lie elsewhere; their digests are compared.
  differencer.IgnoreField(LookupConfig::descriptor()->FindFieldByName("uri"));
  differencer.IgnoreField(VocabularyConfig::descriptor()->FindFieldByName("path"));
  std::string difference;
  differencer.ReportDifferencesToString(&difference);
  if (!differencer.CompareWithFields(manifest.job(), job, trained, trained)) {
    return FailedPrecondition(
        fmt::format("expected features, columns, tables and model as the checkpoint was trained, found overrides that "
                    "change them:\n{}",
                    difference));
  }
  return job;
}

}  // namespace weir
