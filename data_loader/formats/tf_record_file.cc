#include "data_loader/formats/tf_record_file.h"

#include <algorithm>
#include <string_view>

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/formats/tf_example_columns.h"
#include "data_loader/formats/tf_record.h"
#include "data_loader/lake/arrow_status.h"

namespace weir {
namespace {

class TfRecordReader : public RowReader {
 public:
  // `records` has `rows` records at least; first_row is the first one's number in the file.
  TfRecordReader(std::string path, std::shared_ptr<arrow::Buffer> records, int64_t first_row, int64_t rows,
                 std::shared_ptr<arrow::Schema> schema, int64_t batch_rows)
      : path_(std::move(path)),
        buffer_(std::move(records)),
        records_(*buffer_),
        row_(first_row),
        end_(first_row + rows),
        batch_rows_(batch_rows),
        columns_(std::move(schema)) {}

  Status Skip(int64_t rows) {
    for (int64_t i = 0; i < rows; ++i) WEIR_RETURN_IF_ERROR(Take().status());
    return Status();
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (row_ >= end_) return std::shared_ptr<arrow::RecordBatch>();
    for (const int64_t until = std::min(end_, row_ + batch_rows_); row_ < until;) {
      const int64_t row = row_;
      WEIR_ASSIGN_OR_RETURN(const std::string_view example, Take());
      WEIR_RETURN_IF_ERROR(columns_.Add(example).Wrap(Place(row)));
    }
    return columns_.Finish();
  }

 private:
  std::string Place(int64_t row) const { return fmt::format("{}: record {}", path_, row + 1); }

  Result<std::string_view> Take() {
    auto taken = TakeTfRecord(&records_);
    if (!taken.ok()) return taken.status().Wrap(Place(row_));
    ++row_;
    return taken;
  }

  const std::string path_;
  const std::shared_ptr<arrow::Buffer> buffer_;
  std::string_view records_;  // those not yet read
  int64_t row_;
  const int64_t end_;
  const int64_t batch_rows_;
  TfExampleColumns columns_;
};

// Whether the file begins as a TFRecord does, so that bytes which look like gzip's are a length.
Result<bool> IsPlain(const LakeEntry& entry) {
  WEIR_ASSIGN_OR_RETURN(auto file, OpenEntry(entry));
  WEIR_ASSIGN_OR_RETURN(auto start, FromArrow(file->ReadAt(0, kTfRecordHeaderBytes), entry.path));
  const auto bytes = TfRecordDataBytes(std::string_view(*start));
  return bytes.ok() || bytes.status().code() == StatusCode::kInvalidArgument;
}

}  // namespace

Result<std::shared_ptr<arrow::Buffer>> TfRecordFile::ReadGroup(const RowGroup& group) const {
  WEIR_ASSIGN_OR_RETURN(auto file, bytes_.Open(entry()));
  return FromArrow(file->ReadAt(group.offset_bytes, group.size_bytes), path());
}

Result<std::unique_ptr<LakeFile>> TfRecordFile::Open(const LakeEntry& entry, const TfRecordConfig& config) {
  std::unique_ptr<TfRecordFile> opened(new TfRecordFile(entry));
  WEIR_ASSIGN_OR_RETURN(const bool plain, IsPlain(entry));
  if (!plain) {
    WEIR_ASSIGN_OR_RETURN(opened->bytes_, UnpackedEntry::Detect(entry));
  }
  WEIR_ASSIGN_OR_RETURN(auto file, opened->bytes_.Open(entry));
  WEIR_ASSIGN_OR_RETURN(std::vector<RowGroup> groups, IndexTfRecords(file.get(), entry.path));
  TfExampleSchema schema({config.list_columns().begin(), config.list_columns().end()});
  if (!groups.empty()) {
    WEIR_ASSIGN_OR_RETURN(const auto first, opened->ReadGroup(groups.front()));
    std::string_view records(*first);
    for (int64_t row = 0; row < groups.front().rows; ++row) {
      auto example = TakeTfRecord(&records);
      const Status status = example.ok() ? schema.Add(*example) : example.status();
      WEIR_RETURN_IF_ERROR(status.Wrap(fmt::format("{}: record {}", entry.path, row + 1)));
    }
  }
  WEIR_RETURN_IF_ERROR(opened->SetContents(schema.Finish(), std::move(groups)));
  return std::unique_ptr<LakeFile>(std::move(opened));
}

Result<std::unique_ptr<RowReader>> TfRecordFile::Read(int group, int64_t begin, int64_t end,
                                                      const std::vector<std::string>& columns,
                                                      int64_t batch_rows) const {
  WEIR_ASSIGN_OR_RETURN(auto records, ReadGroup(row_groups()[group]));
  auto reader = std::make_unique<TfRecordReader>(path(), std::move(records), first_rows()[group], end,
                                                 NamedFields(*schema(), columns), batch_rows);
  WEIR_RETURN_IF_ERROR(reader->Skip(begin));
  return std::unique_ptr<RowReader>(std::move(reader));
}

}  // namespace weir
