// LakeLines: the lines of all files of a source, one after another, and what is said of the bad ones.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data_loader/formats/text_lines.h"
#include "data_loader/lake/lake.h"
#include "launch/convert/bad_lines.h"

namespace weir {

// One thread. *bad outlives it.
class LakeLines {
 public:
  LakeLines(std::vector<LakeEntry> files, BadLines* bad);

  // The next line, without its end; false after the last of the last file.
  Result<bool> Next(std::string_view* line);
  // The last line was no row.
  Status CountBad(const LineFault& fault) { return bad_->Add(files_[file_].path, lines_->line_number(), fault); }

  double share() const;

 private:
  const std::vector<LakeEntry> files_;
  BadLines* const bad_;
  double bytes_ = 0;       // of all files
  double bytes_done_ = 0;  // of the files before files_[file_]
  size_t file_ = 0;
  std::unique_ptr<TextLines> lines_;  // of files_[file_]
};

}  // namespace weir
