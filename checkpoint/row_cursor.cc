#include "checkpoint/row_cursor.h"

#include <utility>

#include "embeddings/table_set.h"

namespace weir {

RowCursor::RowCursor(FileSystem* file_system, std::string folder, std::vector<DataFile> files, RowLayout layout,
                     int virtual_shards)
    : file_system_(file_system),
      folder_(std::move(folder)),
      files_(std::move(files)),
      layout_(std::move(layout)),
      columns_(ValueColumns(layout_)),
      virtual_shards_(virtual_shards) {}

Status RowCursor::Advance() {
  ++row_;
  while (row_ >= batch_.num_rows) {
    if (reader_ == nullptr) {
      if (next_file_ == files_.size()) {
        at_end_ = true;
        return Status();
      }
      WEIR_ASSIGN_OR_RETURN(reader_, RowFileReader::Open(file_system_, folder_, files_[next_file_++],
                                                         {"", layout_, {}, virtual_shards_}));
    }
    WEIR_ASSIGN_OR_RETURN(batch_, reader_->Next());
    row_ = 0;
    if (batch_.num_rows == 0) reader_.reset();
  }
  shard_ = VirtualShard(key(), virtual_shards_);
  return Status();
}

}  // namespace weir
