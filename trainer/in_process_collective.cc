#include "trainer/in_process_collective.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/clock.h"
#include "trainer/rank_order_sum.h"

namespace weir {
namespace {

// What one member brings to the call under way.
struct Slot {
  std::string_view operation;
  void* data = nullptr;
  size_t bytes = 0;
  bool sizes_must_agree = false;
  SumTicket sum = 0;  // 0 for any other call
  bool arrived = false;
};

// Where the members meet. Shared by them; self-synchronised by mutex_, save for the slots' data and result_, which are
// written and read between meetings only.
class Meeting {
 public:
  Meeting(int size, int64_t timeout_ns) : timeout_ns_(timeout_ns), slots_(size) {}

  int size() const { return static_cast<int>(slots_.size()); }

  // Brings a slot and waits until all members have; slot(r) and result() may be used until the next Meet.
  Status Begin(int rank, Slot mine) {
    std::unique_lock lock(mutex_);
    if (!failure_.ok()) return Gone(mine.operation);
    mine.arrived = true;
    slots_[rank] = mine;
    return Arrive(lock, rank);
  }

  // Waits until all members have come here. The slots stay as they are.
  Status Meet(int rank) {
    std::unique_lock lock(mutex_);
    if (!failure_.ok()) return Gone(slots_[rank].operation);
    slots_[rank].arrived = true;
    return Arrive(lock, rank);
  }

  void Leave(int rank) {
    std::lock_guard lock(mutex_);
    Fail(fmt::format("rank {} has left", rank));
  }

  const Slot& slot(int rank) const { return slots_[rank]; }
  std::vector<uint8_t>& result() { return result_; }

 private:
  Status Arrive(std::unique_lock<std::mutex>& lock, int rank) {
    if (++arrived_ == size()) return Open();
    const int64_t round = round_;
    changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns_), [&] { return round_ != round || !failure_.ok(); });
    if (round_ != round) return round_status_;
    if (!failure_.ok()) return Gone(slots_[rank].operation);
    std::vector<int> missing;
    for (int other = 0; other < size(); ++other) {
      if (!slots_[other].arrived) missing.push_back(other);
    }
    Fail(fmt::format("rank {} gave up waiting for rank {}", rank, fmt::join(missing, ", ")));
    return DeadlineExceeded(fmt::format("{}: rank {} did not come within {:g} s", slots_[rank].operation,
                                        fmt::join(missing, ", "), timeout_ns_ / double{kNanosPerSecond}));
  }

  // The last one to arrive opens the round for all.
  Status Open() {
    round_status_ = Compare();
    if (!round_status_.ok()) failure_ = round_status_;
    if (slots_[0].sizes_must_agree) result_.resize(slots_[0].bytes);
    for (Slot& slot : slots_) slot.arrived = false;
    arrived_ = 0;
    ++round_;
    changed_.notify_all();
    return round_status_;
  }

  Status Compare() const {
    for (int rank = 1; rank < size(); ++rank) {
      const Slot& first = slots_[0];
      const Slot& other = slots_[rank];
      if (other.operation != first.operation || (first.sizes_must_agree && other.bytes != first.bytes)) {
        return Internal(fmt::format("workers make different calls: rank 0 {} of {} bytes, rank {} {} of {} bytes",
                                    first.operation, first.bytes, rank, other.operation, other.bytes));
      }
      if (other.sum != first.sum) {
        return Internal(fmt::format("workers finish different sums: rank 0 the one it started as number {}, rank {} {}",
                                    first.sum, rank, other.sum));
      }
    }
    return Status();
  }

  void Fail(std::string why) {
    if (failure_.ok()) failure_ = Unavailable(std::move(why));
    changed_.notify_all();
  }

  Status Gone(std::string_view operation) const { return failure_.Wrap(operation); }

  const int64_t timeout_ns_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> slots_;
  std::vector<uint8_t> result_;
  int arrived_ = 0;  // guarded by mutex_, as what follows
  int64_t round_ = 0;
  Status round_status_;  // of the round opened last
  Status failure_;
};

class InProcessCollective : public Collective {
 public:
  InProcessCollective(std::shared_ptr<Meeting> meeting, int rank) : meeting_(std::move(meeting)), rank_(rank) {}
  ~InProcessCollective() override { meeting_->Leave(rank_); }

  int rank() const override { return rank_; }
  int size() const override { return meeting_->size(); }

  Status AllReduceSum(std::span<float> values) override { return Reduce("all-reduce of floats", values, 0); }
  Status AllReduceSum(std::span<double> values) override { return Reduce("all-reduce of doubles", values, 0); }

  Result<SumTicket> StartAllReduceSum(std::span<float> values) override {
    CHECK(started_.empty() || last_sum_ - started_.begin()->first < kSumsMax - 1) << "too many sums are under way";
    started_[++last_sum_] = values;
    return last_sum_;
  }

  Status PollSums() override { return Status(); }

  Status FinishSum(SumTicket sum) override {
    const auto found = started_.find(sum);
    CHECK(found != started_.end()) << "sum " << sum << " was not started, or is finished";
    const std::span<float> values = found->second;
    started_.erase(found);
    return Reduce("all-reduce of floats", values, sum);
  }

  Result<std::vector<std::vector<uint8_t>>> AllGather(std::span<const uint8_t> mine) override {
    WEIR_RETURN_IF_ERROR(
        meeting_->Begin(rank_, {.operation = "all-gather", .data = Bytes(mine), .bytes = mine.size()}));
    std::vector<std::vector<uint8_t>> all(size());
    for (int rank = 0; rank < size(); ++rank) all[rank] = Copy(meeting_->slot(rank));
    WEIR_RETURN_IF_ERROR(meeting_->Meet(rank_));
    return all;
  }

  Status Broadcast(std::vector<uint8_t>* bytes) override {
    WEIR_RETURN_IF_ERROR(
        meeting_->Begin(rank_, {.operation = "broadcast", .data = bytes->data(), .bytes = bytes->size()}));
    if (rank_ != 0) *bytes = Copy(meeting_->slot(0));
    return meeting_->Meet(rank_);
  }

  Status Barrier() override { return meeting_->Begin(rank_, {.operation = "barrier"}); }

 private:
  static void* Bytes(std::span<const uint8_t> bytes) { return const_cast<uint8_t*>(bytes.data()); }

  static std::vector<uint8_t> Copy(const Slot& slot) {
    const auto* data = static_cast<const uint8_t*>(slot.data);
    return std::vector<uint8_t>(data, data + slot.bytes);
  }

  // Each member adds one slice into the shared result; then each takes the whole of it. The next Begin waits for all to
  // have done so.
  template <typename T>
  Status Reduce(std::string_view operation, std::span<T> values, SumTicket sum) {
    if (size() == 1) return Status();
    WEIR_RETURN_IF_ERROR(meeting_->Begin(rank_, {.operation = operation,
                                                 .data = values.data(),
                                                 .bytes = values.size_bytes(),
                                                 .sizes_must_agree = true,
                                                 .sum = sum}));
    const auto count = static_cast<int64_t>(values.size());
    const int64_t begin = SliceBegin(count, rank_, size());
    const int64_t length = SliceBegin(count, rank_ + 1, size()) - begin;
    std::span<T> sums(reinterpret_cast<T*>(meeting_->result().data()) + begin, length);
    for (int rank = 0; rank < size(); ++rank) {
      std::span<const T> theirs(static_cast<const T*>(meeting_->slot(rank).data) + begin, length);
      if (rank == 0) {
        std::copy(theirs.begin(), theirs.end(), sums.begin());
      } else {
        AddInto(sums, theirs);
      }
    }
    WEIR_RETURN_IF_ERROR(meeting_->Meet(rank_));
    if (count > 0) std::memcpy(values.data(), meeting_->result().data(), values.size_bytes());
    return Status();
  }

  const std::shared_ptr<Meeting> meeting_;
  const int rank_;
  SumTicket last_sum_ = 0;
  std::map<SumTicket, std::span<float>> started_;  // and not finished
};

}  // namespace

std::vector<std::unique_ptr<Collective>> MakeInProcessCollectives(int size, int64_t timeout_ns) {
  CHECK_GT(size, 0);
  auto meeting = std::make_shared<Meeting>(size, timeout_ns);
  std::vector<std::unique_ptr<Collective>> members;
  for (int rank = 0; rank < size; ++rank) members.push_back(std::make_unique<InProcessCollective>(meeting, rank));
  return members;
}

}  // namespace weir
