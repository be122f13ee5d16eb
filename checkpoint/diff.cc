// Comparing two checkpoints by what they mean: rows by key and bits, never by file.
#include <bit>
#include <cstring>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <google/protobuf/util/message_differencer.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "checkpoint/row_cursor.h"

namespace weir {
namespace {

// The value and its bits: two NaNs, or two values that print alike, can differ.
std::string Show(float value) { return fmt::format("{:.9g} ({:#010x})", value, std::bit_cast<uint32_t>(value)); }

// The first index where n floats differ in a bit, or -1.
int64_t FirstDifference(const float* a, const float* b, int64_t n) {
  if (n == 0 || std::memcmp(a, b, n * sizeof(float)) == 0) return -1;
  for (int64_t i = 0; i < n; ++i) {
    if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i])) return i;
  }
  return -1;
}

class Differ {
 public:
  Differ(FileSystem* file_system, std::string a, std::string b, int lines_max)
      : file_system_(file_system), a_path_(std::move(a)), b_path_(std::move(b)), lines_max_(lines_max) {}

  Result<std::vector<std::string>> Run() {
    WEIR_ASSIGN_OR_RETURN(a_, ReadManifest(file_system_, a_path_));
    WEIR_ASSIGN_OR_RETURN(b_, ReadManifest(file_system_, b_path_));
    CompareNumbers("step", a_.step(), b_.step());
    ComparePositions();
    WEIR_RETURN_IF_ERROR(CompareDense());
    WEIR_RETURN_IF_ERROR(CompareTables());
    return std::move(lines_);
  }

 private:
  bool full() const { return static_cast<int>(lines_.size()) >= lines_max_; }
  void Add(std::string line) {
    if (!full()) lines_.push_back(std::move(line));
  }
  template <typename T>
  void CompareNumbers(const std::string& what, T a, T b) {
    if (a != b && !full()) Add(fmt::format("{}: {} and {}", what, a, b));
  }
  void AddMissing(const std::string& what, bool in_a) {
    Add(fmt::format("{}: only in {}", what, in_a ? a_path_ : b_path_));
  }

  void ComparePositions();
  Status CompareDense();
  void CompareTensors(const DenseTensor& a, const DenseTensor& b);
  Status CompareTables();
  bool CompareLayouts(const TableSummary& a, const TableSummary& b);
  Status CompareRows(const TableSummary& table);
  void CompareRow(const std::string& table, const RowCursor& a, const RowCursor& b);

  FileSystem* const file_system_;
  const std::string a_path_;
  const std::string b_path_;
  const int lines_max_;
  Manifest a_;
  Manifest b_;
  std::vector<std::string> lines_;
};

void Differ::ComparePositions() {
  if (google::protobuf::util::MessageDifferencer::Equals(a_.position(), b_.position())) return;
  const LoaderPosition& a = a_.position();
  const LoaderPosition& b = b_.position();
  CompareNumbers("position: epoch", a.epoch(), b.epoch());
  CompareNumbers("position: samples of the epoch", a.samples(), b.samples());
  CompareNumbers("position: number of input files", a.files_size(), b.files_size());
  for (int i = 0; i < std::min(a.files_size(), b.files_size()); ++i) {
    if (google::protobuf::util::MessageDifferencer::Equals(a.files(i), b.files(i))) continue;
    auto show = [](const InputFile& file) {
      return fmt::format("{} ({} bytes, {} rows)", file.path(), file.bytes(), file.rows());
    };
    Add(fmt::format("position: input file {}: {} and {}", i, show(a.files(i)), show(b.files(i))));
  }
}

Status Differ::CompareDense() {
  WEIR_ASSIGN_OR_RETURN(std::vector<DenseTensor> a, ReadDense(file_system_, a_path_, a_));
  WEIR_ASSIGN_OR_RETURN(std::vector<DenseTensor> b, ReadDense(file_system_, b_path_, b_));
  std::map<std::string, std::pair<const DenseTensor*, const DenseTensor*>> by_name;
  for (const DenseTensor& tensor : a) by_name[tensor.name].first = &tensor;
  for (const DenseTensor& tensor : b) by_name[tensor.name].second = &tensor;
  for (const auto& [name, tensors] : by_name) {
    if (tensors.first == nullptr || tensors.second == nullptr) {
      AddMissing(fmt::format("dense tensor \"{}\"", name), tensors.first != nullptr);
    } else {
      CompareTensors(*tensors.first, *tensors.second);
    }
  }
  return Status();
}

void Differ::CompareTensors(const DenseTensor& a, const DenseTensor& b) {
  if (a.shape != b.shape) {
    Add(fmt::format("dense tensor \"{}\": shape [{}] and [{}]", a.name, fmt::join(a.shape, ", "),
                    fmt::join(b.shape, ", ")));
    return;
  }
  const int64_t first = FirstDifference(a.values.data(), b.values.data(), a.values.size());
  if (first < 0) return;
  int64_t different = 0;
  for (size_t i = first; i < a.values.size(); ++i) {
    different += std::bit_cast<uint32_t>(a.values[i]) != std::bit_cast<uint32_t>(b.values[i]);
  }
  Add(fmt::format("dense tensor \"{}\": {} of {} values differ, the first at {}: {} and {}", a.name, different,
                  a.values.size(), first, Show(a.values[first]), Show(b.values[first])));
}

Status Differ::CompareTables() {
  std::map<std::string, std::pair<const TableSummary*, const TableSummary*>> by_name;
  for (const TableSummary& table : a_.tables()) by_name[table.name()].first = &table;
  for (const TableSummary& table : b_.tables()) by_name[table.name()].second = &table;
  const int a_shards = a_.hash_rule().virtual_shards();
  const int b_shards = b_.hash_rule().virtual_shards();
  if (a_shards != b_shards) {
    Add(fmt::format("virtual shards: {} and {}; rows are not compared", a_shards, b_shards));
    return Status();
  }
  for (const auto& [name, tables] : by_name) {
    if (full()) break;
    if (tables.first == nullptr || tables.second == nullptr) {
      AddMissing(fmt::format("table \"{}\"", name), tables.first != nullptr);
    } else if (CompareLayouts(*tables.first, *tables.second)) {
      WEIR_RETURN_IF_ERROR(CompareRows(*tables.first));
    }
  }
  return Status();
}

bool Differ::CompareLayouts(const TableSummary& a, const TableSummary& b) {
  auto show = [](const TableSummary& table) {
    std::string text;
    for (const StateColumn& column : ValueColumns(LayoutOf(table))) {
      text += fmt::format("{}{}[{}]", text.empty() ? "" : ", ", column.name, column.width);
    }
    if (table.weight_type() != TableConfig::FLOAT32)
      text += fmt::format(", weights in {}", WeightTypeName(table.weight_type()));
    return text;
  };
  if (show(a) == show(b)) return true;
  Add(fmt::format("table \"{}\": layout {} and {}", a.name(), show(a), show(b)));
  return false;
}

// Both sides come in the same order, so they are merged, one record batch of each in memory.
Status Differ::CompareRows(const TableSummary& table) {
  const RowLayout layout = LayoutOf(table);
  const int virtual_shards = a_.hash_rule().virtual_shards();
  RowCursor a(file_system_, a_path_, RowFilesOf(a_, table.name()), layout, virtual_shards);
  RowCursor b(file_system_, b_path_, RowFilesOf(b_, table.name()), layout, virtual_shards);
  WEIR_RETURN_IF_ERROR(a.Advance());
  WEIR_RETURN_IF_ERROR(b.Advance());
  while (!full() && !(a.AtEnd() && b.AtEnd())) {
    const bool only_in_a = b.AtEnd() || (!a.AtEnd() && a.Before(b));
    const bool only_in_b = a.AtEnd() || (!b.AtEnd() && b.Before(a));
    if (only_in_a || only_in_b) {
      RowCursor& cursor = only_in_a ? a : b;
      AddMissing(fmt::format("table \"{}\", key {} (virtual shard {})", table.name(), cursor.key(), cursor.shard()),
                 only_in_a);
      WEIR_RETURN_IF_ERROR(cursor.Advance());
      continue;
    }
    CompareRow(table.name(), a, b);
    WEIR_RETURN_IF_ERROR(a.Advance());
    WEIR_RETURN_IF_ERROR(b.Advance());
  }
  return Status();
}

void Differ::CompareRow(const std::string& table, const RowCursor& a, const RowCursor& b) {
  auto row = [&] { return fmt::format("table \"{}\", key {} (virtual shard {})", table, a.key(), a.shard()); };
  if (a.last_step() != b.last_step()) Add(fmt::format("{}, last_step: {} and {}", row(), a.last_step(), b.last_step()));
  if (a.count() != b.count()) Add(fmt::format("{}, count: {} and {}", row(), a.count(), b.count()));
  for (size_t c = 0; c < a.columns().size(); ++c) {
    const int64_t i = FirstDifference(a.values(c), b.values(c), a.columns()[c].width);
    if (i < 0) continue;
    Add(fmt::format("{}, {}[{}]: {} and {}", row(), a.columns()[c].name, i, Show(a.values(c)[i]),
                    Show(b.values(c)[i])));
  }
}

}  // namespace

Result<std::vector<std::string>> DiffCheckpoints(FileSystem* file_system, const std::string& a, const std::string& b,
                                                 int lines_max) {
  if (lines_max < 1) return InvalidArgument(fmt::format("comparing: expected at least 1 line, found {}", lines_max));
  return Differ(file_system, a, b, lines_max).Run();
}

}  // namespace weir
