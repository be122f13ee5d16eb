// RankLog: job.output/logs/rank-N.log, everything that this rank logs.
#pragma once

#include <cstdio>
#include <memory>
#include <mutex>
#include <string>

#include <glog/logging.h>

#include "base/status.h"

namespace weir {

// Thread-safe, as glog asks of a sink. Registered while it lives.
class RankLog : public google::LogSink {
 public:
  // Appends to `folder`/rank-`rank`.log; the folder is made if need be.
  static Result<std::unique_ptr<RankLog>> Open(const std::string& folder, int rank);
  ~RankLog() override;

  void send(google::LogSeverity severity, const char* full_filename, const char* base_filename, int line,
            const google::LogMessageTime& time, const char* message, size_t message_len) override;

 private:
  explicit RankLog(std::FILE* file);

  std::mutex mutex_;
  std::FILE* const file_;  // guarded by mutex_
};

}  // namespace weir
