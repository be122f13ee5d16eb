#include "launch/convert/lake_lines.h"

#include <utility>

namespace weir {

LakeLines::LakeLines(std::vector<LakeEntry> files, BadLines* bad) : files_(std::move(files)), bad_(bad) {
  for (const LakeEntry& file : files_) bytes_ += static_cast<double>(file.bytes);
}

Result<bool> LakeLines::Next(std::string_view* line) {
  for (; file_ < files_.size(); ++file_) {
    if (lines_ == nullptr) {
      WEIR_ASSIGN_OR_RETURN(lines_, TextLines::Open(files_[file_]));
    }
    WEIR_ASSIGN_OR_RETURN(const bool found, lines_->Next(line));
    if (found) return true;
    bytes_done_ += static_cast<double>(files_[file_].bytes);
    lines_.reset();
  }
  return false;
}

double LakeLines::share() const {
  if (bytes_ == 0) return 1;
  return (bytes_done_ + (lines_ == nullptr ? 0 : static_cast<double>(lines_->bytes_read()))) / bytes_;
}

}  // namespace weir
