#include "trainer/tensorboard.h"

#include <array>
#include <atomic>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "proto/tensorboard_event.pb.h"

namespace weir {
namespace {

constexpr size_t kBufferBytes = 64 << 10;

template <typename T>
void AppendLittleEndian(T value, std::string* out) {
  for (size_t i = 0; i < sizeof(T); ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

std::string FileName(const Clock& clock) {
  static std::atomic<int> files_of_this_process{0};
  return fmt::format("events.out.tfevents.{:010}.{}.{}.{}", clock.UnixNanos() / kNanosPerSecond, HostName(), getpid(),
                     files_of_this_process++);
}

double UnixSeconds(const Clock& clock) { return static_cast<double>(clock.UnixNanos()) / kNanosPerSecond; }

}  // namespace

std::string TfRecord(std::string_view data) {
  std::string record;
  AppendLittleEndian(uint64_t{data.size()}, &record);
  AppendLittleEndian(MaskedCrc32c(record), &record);
  record += data;
  AppendLittleEndian(MaskedCrc32c(data), &record);
  return record;
}

EventWriter::EventWriter(std::string path, std::unique_ptr<WritableFile> file, const Clock& clock)
    : path_(std::move(path)), file_(std::move(file)), clock_(clock) {}

Result<std::unique_ptr<EventWriter>> EventWriter::Create(FileSystem& file_system, const std::string& folder,
                                                         const Clock& clock) {
  WEIR_RETURN_IF_ERROR(file_system.CreateFolders(folder));
  std::string path = JoinPath(folder, FileName(clock));
  WEIR_ASSIGN_OR_RETURN(auto file, file_system.Create(path));
  std::unique_ptr<EventWriter> writer(new EventWriter(std::move(path), std::move(file), clock));
  tensorboard::Event event;
  event.set_wall_time(UnixSeconds(clock));
  event.set_file_version("brain.Event:2");
  WEIR_RETURN_IF_ERROR(writer->AddRecord(event.SerializeAsString()));
  WEIR_RETURN_IF_ERROR(writer->Flush());
  return writer;
}

EventWriter::~EventWriter() {
  Status status = Flush();
  if (!status.ok()) LOG(WARNING) << status.ToString();
}

Status EventWriter::AddScalar(std::string_view tag, int64_t step, double value, double unix_s) {
  tensorboard::Event event;
  event.set_wall_time(unix_s);
  event.set_step(step);
  tensorboard::Summary::Value* scalar = event.mutable_summary()->add_value();
  scalar->set_tag(std::string(tag));
  scalar->set_simple_value(static_cast<float>(value));
  return AddRecord(event.SerializeAsString());
}

Status EventWriter::AddScalar(std::string_view tag, int64_t step, double value) {
  return AddScalar(tag, step, value, UnixSeconds(clock_));
}

Status EventWriter::AddRecord(std::string_view data) {
  buffer_ += TfRecord(data);
  return buffer_.size() < kBufferBytes ? Status() : Flush();
}

Status EventWriter::Flush() {
  if (buffer_.empty()) return Status();
  // Gone after a failure too: half of it may be in the file, and a second try would tear the records.
  const std::string records = std::exchange(buffer_, std::string());
  return file_->Append({reinterpret_cast<const uint8_t*>(records.data()), records.size()}).Wrap(path_);
}

Status EventWriter::Close() {
  WEIR_RETURN_IF_ERROR(Flush());
  return file_->Close().Wrap(path_);
}

}  // namespace weir
