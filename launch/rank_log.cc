#include "launch/rank_log.h"

#include <cerrno>

#include <fmt/format.h>

#include "base/file_system.h"

namespace weir {

Result<std::unique_ptr<RankLog>> RankLog::Open(const std::string& folder, int rank) {
  WEIR_RETURN_IF_ERROR(LocalFileSystem().CreateFolders(folder));
  const std::string path = JoinPath(folder, fmt::format("rank-{}.log", rank));
  std::FILE* file = std::fopen(path.c_str(), "a");
  if (file == nullptr) return ErrnoStatus(errno, "opening " + path);
  return std::unique_ptr<RankLog>(new RankLog(file));
}

RankLog::RankLog(std::FILE* file) : file_(file) { google::AddLogSink(this); }

RankLog::~RankLog() {
  google::RemoveLogSink(this);
  std::fclose(file_);
}

void RankLog::send(google::LogSeverity severity, const char* /*full_filename*/, const char* base_filename, int line,
                   const google::LogMessageTime& time, const char* message, size_t message_len) {
  const std::string text = ToString(severity, base_filename, line, time, message, message_len) + "\n";
  std::lock_guard lock(mutex_);
  std::fwrite(text.data(), 1, text.size(), file_);
  std::fflush(file_);
}

}  // namespace weir
