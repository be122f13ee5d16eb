#include "checkpoint/policy_file.h"

#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "checkpoint/arrow_io.h"

namespace weir {
namespace {

constexpr char kMagic[8] = {'W', 'E', 'I', 'R', 'P', 'O', 'L', 1};
// In place of a virtual shard.
constexpr uint64_t kOfTable = ~uint64_t{0};
constexpr uint64_t kEnd = ~uint64_t{1};

// What stands before each piece.
struct PieceHead {
  uint64_t of = 0;  // a virtual shard, kOfTable or kEnd
  uint64_t bytes = 0;
};

arrow::Status WritePiece(uint64_t of, std::span<const uint8_t> bytes, FileSink* sink) {
  const PieceHead head = {of, bytes.size()};
  ARROW_RETURN_NOT_OK(sink->Write(&head, sizeof(head)));
  return sink->Write(bytes.data(), static_cast<int64_t>(bytes.size()));
}

arrow::Status WritePieces(const TablePolicy& policy, ShardRange shards, FileSink* sink) {
  ARROW_RETURN_NOT_OK(sink->Write(kMagic, sizeof(kMagic)));
  ARROW_RETURN_NOT_OK(WritePiece(kOfTable, policy.Save(), sink));
  for (int shard = shards.begin; shard < shards.end; ++shard) {
    const std::vector<uint8_t> bytes = policy.SaveShard(shard);
    if (bytes.empty()) continue;
    ARROW_RETURN_NOT_OK(WritePiece(static_cast<uint64_t>(shard), bytes, sink));
  }
  return WritePiece(kEnd, {}, sink);
}

// Reads a file front to back; every length is held to what is left of the file before anything is allocated.
class PieceReader {
 public:
  PieceReader(std::string path, std::shared_ptr<arrow::io::RandomAccessFile> file, uint64_t bytes)
      : path_(std::move(path)), file_(std::move(file)), bytes_(bytes) {}

  // Calls visit(of, bytes) for each piece.
  Status Read(ShardRange shards, const std::function<Status(uint64_t, std::span<const uint8_t>)>& visit) {
    char magic[sizeof(kMagic)];
    WEIR_RETURN_IF_ERROR(Take(magic, sizeof(magic)));
    if (std::memcmp(magic, kMagic, sizeof(magic)) != 0) return DataLoss(path_ + ": expected a POLICY file");
    PieceHead head;
    WEIR_RETURN_IF_ERROR(Take(&head, sizeof(head)));
    if (head.of != kOfTable) return DataLoss(path_ + ": expected what its table remembers first");
    auto next_shard = static_cast<uint64_t>(shards.begin);
    std::vector<uint8_t> piece;
    while (head.of != kEnd) {
      if (head.bytes > bytes_ - at_) {
        return DataLoss(
            fmt::format("{}: expected a piece of at most {} bytes, found {}", path_, bytes_ - at_, head.bytes));
      }
      piece.resize(head.bytes);
      WEIR_RETURN_IF_ERROR(Take(piece.data(), piece.size()));
      WEIR_RETURN_IF_ERROR(visit(head.of, piece).Wrap(path_));
      WEIR_RETURN_IF_ERROR(Take(&head, sizeof(head)));
      if (head.of == kEnd) break;
      if (head.of < next_shard || head.of >= static_cast<uint64_t>(shards.end)) {
        return DataLoss(fmt::format("{}: expected ascending virtual shards of [{}, {}), found {}", path_, next_shard,
                                    shards.end, head.of));
      }
      next_shard = head.of + 1;
    }
    if (head.bytes == 0 && at_ == bytes_) return Status();
    return DataLoss(fmt::format("{}: expected its end at byte {}, found {} bytes", path_, at_, bytes_));
  }

 private:
  Status Take(void* to, uint64_t size) {
    if (size > bytes_ - at_) {
      return DataLoss(
          fmt::format("{}: cut short: expected {} bytes at byte {}, found {}", path_, size, at_, bytes_ - at_));
    }
    const auto taken = file_->ReadAt(static_cast<int64_t>(at_), static_cast<int64_t>(size), to);
    if (!taken.ok()) return DecodingError(path_, taken.status());
    if (*taken != static_cast<int64_t>(size)) return DataLoss(path_ + ": became shorter while it was read");
    at_ += size;
    return Status();
  }

  const std::string path_;
  const std::shared_ptr<arrow::io::RandomAccessFile> file_;
  const uint64_t bytes_;
  uint64_t at_ = 0;
};

Status ReadPieces(FileSystem* file_system, const std::string& folder, const DataFile& entry,
                  const std::function<Status(uint64_t, std::span<const uint8_t>)>& visit) {
  WEIR_ASSIGN_OR_RETURN(auto file, OpenVerified(file_system, folder, entry));
  return PieceReader(JoinPath(folder, entry.name()), std::move(file), entry.bytes())
      .Read({entry.shard_begin(), entry.shard_end()}, visit);
}

}  // namespace

Result<DataFile> WritePolicyFile(FileSystem* file_system, const std::string& folder, const std::string& name,
                                 const std::string& table, const TablePolicy& policy, ShardRange shards) {
  WEIR_ASSIGN_OR_RETURN(std::shared_ptr<FileSink> sink, FileSink::Create(file_system, JoinPath(folder, name)));
  WEIR_RETURN_IF_ERROR(sink->Explain(WritePieces(policy, shards, sink.get())));
  DataFile entry;
  entry.set_name(name);
  entry.set_kind(DataFile::POLICY);
  entry.set_table(table);
  entry.set_shard_begin(shards.begin);
  entry.set_shard_end(shards.end);
  WEIR_RETURN_IF_ERROR(sink->Finish(&entry));
  return entry;
}

Status ReadPolicyFile(FileSystem* file_system, const std::string& folder, const DataFile& entry, ShardRange shards,
                      TablePolicy* policy) {
  return ReadPieces(file_system, folder, entry, [&](uint64_t of, std::span<const uint8_t> bytes) -> Status {
    if (of == kOfTable) return policy->Load(bytes);
    const auto shard = static_cast<int>(of);
    return shard < shards.begin || shard >= shards.end ? Status() : policy->LoadShard(shard, bytes);
  });
}

Status VerifyPolicyFile(FileSystem* file_system, const std::string& folder, const DataFile& entry) {
  return ReadPieces(file_system, folder, entry, [](uint64_t, std::span<const uint8_t>) { return Status(); });
}

}  // namespace weir
