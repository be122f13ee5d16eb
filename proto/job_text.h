// Reading a job: textproto, overrides, ranges, defaults; with every error at its line.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/job.pb.h"

namespace weir {

// Where each field of a job was set, for error messages: "job.textproto:12:3" or "override train.epochs=0".
class JobErrors {
 public:
  // field_path as in "tables[2].dim".
  void Add(const std::string& field_path, const std::string& message);
  bool empty() const { return messages_.empty(); }
  const std::vector<std::string>& messages() const { return messages_; }
  // OK, or InvalidArgument with all messages, one a line.
  Status ToStatus() const;

 private:
  friend class JobReader;
  std::vector<std::pair<std::string, std::string>> locations_;  // field path -> place
  std::vector<std::string> messages_;
};

// Parses the text of a job (`name` is for messages), applies the overrides ("train.epochs=3",
// "data.train.uri=a.parquet"; for a repeated field the value, split at commas, replaces the whole list; an index
// addresses one element, "tables[0].dim=8"), checks every field's rule (range, required), expands ranges and fills what
// defaults to something else (feature.column, sparse.table, sparse.hash_space, table.optimizer, table.initializer,
// optimizers). Collects all errors: unknown fields with the nearest known name, values out of range, duplicate names.
// The result is the resolved job, on which all other folders rely; it is what the output folder and the manifest hold,
// and resolving it again changes nothing.
Result<Job> ReadJob(const std::string& name, const std::string& text, std::span<const std::string> overrides,
                    JobErrors* errors);

// "C[1-26]" -> C1 .. C26; a name without a range is itself. InvalidArgument for a torn or falling range.
Result<std::vector<std::string>> ExpandRange(const std::string& name);

// The job as textproto, every field that is set.
std::string JobToText(const Job& job);

}  // namespace weir
