#include "trainer/mpi_sum.h"

#include <algorithm>
#include <climits>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "trainer/rank_order_sum.h"

namespace weir {
namespace {

constexpr std::string_view kOperation = "all-reduce";
// Arrays up to this many bytes go whole to every rank.
constexpr size_t kWholeBytesMax = 16 << 10;

template <typename T>
class RankOrderMpiSum : public MpiSum {
 public:
  RankOrderMpiSum(const SumMembers& members, int tag, std::span<T> values)
      : members_(members), tag_(tag), whole_(values.size_bytes() <= kWholeBytesMax), rest_(values) {}

  Status Start() { return StartBlock(); }

  Result<Movement> Poll() override {
    if (stage_ == Stage::kDone) return Movement::kDone;
    WEIR_ASSIGN_OR_RETURN(const Movement movement, exchange_->Poll(kOperation));
    if (movement != Movement::kDone) return movement;
    WEIR_RETURN_IF_ERROR(stage_ == Stage::kScatter ? Add() : StartBlock());
    return stage_ == Stage::kDone ? Movement::kDone : Movement::kSome;
  }

  int64_t LateNanos(int64_t) const override { return 0; }
  Status Late(int64_t timeout_ns) override { return RanksAreLate(kOperation, exchange_->Missing(), timeout_ns); }

 private:
  // Of the block at hand.
  enum class Stage { kScatter, kGather, kDone };

  void NewExchange() { exchange_.emplace(members_.comm, tag_, members_.message_bytes_max); }

  std::span<T> Slice(int rank) const {
    if (whole_) return block_;
    const auto count = static_cast<int64_t>(block_.size());
    const int64_t begin = SliceBegin(count, rank, members_.size);
    return block_.subspan(begin, SliceBegin(count, rank + 1, members_.size) - begin);
  }

  // The values of a peer stand among those of the others in rank order.
  std::span<T> Theirs(int peer) const {
    const size_t length = Slice(members_.rank).size();
    return {theirs_.get() + length * (peer < members_.rank ? peer : peer - 1), length};
  }

  Status StartBlock() {
    if (rest_.empty()) {
      stage_ = Stage::kDone;
      theirs_.reset();
      return Status();
    }
    stage_ = Stage::kScatter;
    block_ = rest_.first(whole_ ? rest_.size() : std::min<size_t>(rest_.size(), members_.block_values));
    rest_ = rest_.subspan(block_.size());
    theirs_ = std::make_unique_for_overwrite<T[]>(Slice(members_.rank).size() * (members_.size - 1));
    NewExchange();
    for (int peer : OtherRanks(members_.rank, members_.size)) {
      std::span<T> theirs = Theirs(peer);
      WEIR_RETURN_IF_ERROR(exchange_->Receive(peer, theirs.data(), theirs.size_bytes()));
    }
    for (int peer : OtherRanks(members_.rank, members_.size)) {
      std::span<const T> slice = Slice(peer);
      WEIR_RETURN_IF_ERROR(exchange_->Send(peer, slice.data(), slice.size_bytes()));
    }
    return Status();
  }

  Status Add() {
    AddInRankOrder();
    if (whole_) return StartBlock();
    stage_ = Stage::kGather;
    NewExchange();
    for (int peer : OtherRanks(members_.rank, members_.size)) {
      std::span<T> slice = Slice(peer);
      WEIR_RETURN_IF_ERROR(exchange_->Receive(peer, slice.data(), slice.size_bytes()));
    }
    std::span<const T> mine = Slice(members_.rank);
    for (int peer : OtherRanks(members_.rank, members_.size)) {
      WEIR_RETURN_IF_ERROR(exchange_->Send(peer, mine.data(), mine.size_bytes()));
    }
    return Status();
  }

  // a + b and b + a are the same bits, so this rank's own values need no copy: what stands before them is added up
  // first, then added to them, then what stands behind.
  void AddInRankOrder() {
    std::span<T> mine = Slice(members_.rank);
    for (int peer = 1; peer < members_.rank; ++peer) AddInto(Theirs(0), Theirs(peer));
    if (members_.rank > 0) AddInto(mine, Theirs(0));
    for (int peer = members_.rank + 1; peer < members_.size; ++peer) AddInto(mine, Theirs(peer));
  }

  const SumMembers members_;
  const int tag_;
  const bool whole_;
  std::span<T> rest_;  // not begun
  std::span<T> block_;
  std::unique_ptr<T[]> theirs_;  // [size - 1, this rank's slice]
  Stage stage_ = Stage::kDone;
  std::optional<Exchange> exchange_;
};

class LibraryMpiSum : public MpiSum {
 public:
  LibraryMpiSum(const SumMembers& members, int tag) : members_(members), tag_(tag) {}

  Status Start(std::span<float> values) {
    const size_t block = std::min<int64_t>(members_.block_values, INT_MAX);
    for (; !values.empty(); values = values.subspan(std::min(block, values.size()))) {
      const int count = static_cast<int>(std::min(block, values.size()));
      MPI_Request* request = &requests_.emplace_back(MPI_REQUEST_NULL);
      WEIR_RETURN_IF_ERROR(MpiStatus(
          MPI_Iallreduce(MPI_IN_PLACE, values.data(), count, MPI_FLOAT, MPI_SUM, members_.comm, request), kOperation));
    }
    return Status();
  }

  Result<Movement> Poll() override {
    while (!requests_.empty()) {
      int done = 0;
      WEIR_RETURN_IF_ERROR(MpiStatus(MPI_Test(&requests_.back(), &done, MPI_STATUS_IGNORE), kOperation));
      if (done == 0) return Movement::kNone;
      requests_.pop_back();
    }
    return Movement::kDone;
  }

  // All of a timeout's end, for those who wait come to it at about the same time: a step's skew apart.
  int64_t LateNanos(int64_t timeout_ns) const override {
    return std::max(timeout_ns / 10, std::min(kNanosPerSecond, timeout_ns / 2));
  }

  // Whoever waits for this sum comes here at about the same time and answers; who does not is late.
  Status Late(int64_t timeout_ns) override {
    Exchange roll_call(members_.comm, tag_, members_.message_bytes_max);
    char nothing = 0;
    for (int peer : OtherRanks(members_.rank, members_.size))
      WEIR_RETURN_IF_ERROR(roll_call.Receive(peer, &nothing, 0));
    for (int peer : OtherRanks(members_.rank, members_.size)) WEIR_RETURN_IF_ERROR(roll_call.Send(peer, &nothing, 0));
    WEIR_RETURN_IF_ERROR(roll_call.Wait(kOperation, SystemClock().SteadyNanos() + LateNanos(timeout_ns), timeout_ns));
    return DeadlineExceeded(std::string(kOperation) +
                            " in the library's order: all ranks wait for it, and it did not end: the network between "
                            "them, or MPI, fails; cluster.all_reduce: RANK_ORDER goes without MPI_Iallreduce");
  }

 private:
  const SumMembers members_;
  const int tag_;
  std::vector<MPI_Request> requests_;  // not yet done
};

template <typename T>
Result<std::unique_ptr<MpiSum>> StartInRankOrder(const SumMembers& members, int tag, std::span<T> values) {
  auto sum = std::make_unique<RankOrderMpiSum<T>>(members, tag, values);
  const Status started = sum->Start();
  if (started.ok()) return std::unique_ptr<MpiSum>(std::move(sum));
  (void)sum.release();  // MPI may hold its buffers
  return started;
}

}  // namespace

Result<std::unique_ptr<MpiSum>> StartRankOrderSum(const SumMembers& members, int tag, std::span<float> values) {
  return StartInRankOrder(members, tag, values);
}

Result<std::unique_ptr<MpiSum>> StartRankOrderSum(const SumMembers& members, int tag, std::span<double> values) {
  return StartInRankOrder(members, tag, values);
}

Result<std::unique_ptr<MpiSum>> StartLibrarySum(const SumMembers& members, int tag, std::span<float> values) {
  auto sum = std::make_unique<LibraryMpiSum>(members, tag);
  WEIR_RETURN_IF_ERROR(sum->Start(values));
  return std::unique_ptr<MpiSum>(std::move(sum));
}

}  // namespace weir
