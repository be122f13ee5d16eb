#include "trainer/mpi_collective.h"

#include <chrono>
#include <climits>
#include <future>
#include <map>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "trainer/mpi_exchange.h"
#include "trainer/mpi_sum.h"

namespace weir {
namespace {

// Each sum under way has a tag of its own, for messages of several may pass each other; MPI promises tags to 32,767.
constexpr int kCollectivesMax = 16;
static_assert(kCollectivesMax * (1 + Collective::kSumsMax) <= 32'767);
// A poll moves the oldest sums that are not done: with very many, to look at all would cost more than it moves.
constexpr int kSumsPolled = 16;

class MpiCollective : public Collective {
 public:
  MpiCollective(MPI_Comm comm, int rank, const MpiCollectiveOptions& options)
      : comm_(comm), options_(options), rank_(rank) {}

  // What was not finished stays in memory, for MPI may still write there.
  ~MpiCollective() override {
    for (auto& [ticket, sum] : sums_) (void)sum.release();
  }

  // For sums in the library's order: a communicator of the members alone.
  void set_library_comm(MPI_Comm comm) { library_comm_ = comm; }

  int rank() const override { return rank_; }
  int size() const override { return options_.size; }

  Status AllReduceSum(std::span<float> values) override { return Sum(values); }
  Status AllReduceSum(std::span<double> values) override { return Sum(values); }

  Result<SumTicket> StartAllReduceSum(std::span<float> values) override {
    CHECK(sums_.empty() || next_sum_ - sums_.begin()->first < kSumsMax) << "too many sums are under way";
    WEIR_RETURN_IF_ERROR(Enter());
    const SumTicket ticket = next_sum_++;
    std::unique_ptr<MpiSum>& sum = sums_[ticket];
    if (size() == 1 || values.empty()) return ticket;
    const int tag = options_.tag + kCollectivesMax * static_cast<int>(1 + ticket % kSumsMax);
    WEIR_RETURN_IF_ERROR(Leave(StartSum(tag, values, &sum)));
    return ticket;
  }

  Status PollSums() override {
    WEIR_RETURN_IF_ERROR(Enter());
    return Leave(MoveSums().status());
  }

  Status FinishSum(SumTicket ticket) override {
    const auto found = sums_.find(ticket);
    CHECK(found != sums_.end()) << "sum " << ticket << " was not started, or is finished";
    WEIR_RETURN_IF_ERROR(Enter());
    WEIR_RETURN_IF_ERROR(Leave(Await(&found->second)));
    sums_.erase(found);
    return Status();
  }

  Result<std::vector<std::vector<uint8_t>>> AllGather(std::span<const uint8_t> mine) override {
    WEIR_RETURN_IF_ERROR(Enter());
    std::vector<std::vector<uint8_t>> all(size());
    WEIR_RETURN_IF_ERROR(Leave(Gather(mine, &all)));
    return all;
  }

  Status Broadcast(std::vector<uint8_t>* bytes) override {
    WEIR_RETURN_IF_ERROR(Enter());
    return Leave(rank_ == 0 ? SendAll(*bytes) : ReceiveFromFirst(bytes));
  }

  Status Barrier() override {
    WEIR_RETURN_IF_ERROR(Enter());
    Exchange exchange = MakeExchange();
    char nothing = 0;
    for (int peer : Others()) WEIR_RETURN_IF_ERROR(exchange.Receive(peer, &nothing, 0));
    for (int peer : Others()) WEIR_RETURN_IF_ERROR(exchange.Send(peer, &nothing, 0));
    return Leave(Wait(exchange, "barrier"));
  }

 private:
  Exchange MakeExchange() const { return Exchange(comm_, options_.tag, options_.message_bytes_max); }

  Status Wait(Exchange& exchange, std::string_view operation) const {
    return exchange.Wait(operation, deadline_ns_, options_.timeout_ns);
  }

  Status Enter() {
    deadline_ns_ = SystemClock().SteadyNanos() + options_.timeout_ns;
    return failure_.Wrap("after an earlier failure");
  }

  Status Leave(Status status) {
    if (!status.ok()) failure_ = status;
    return status;
  }

  std::vector<int> Others() const { return OtherRanks(rank_, size()); }

  Status Gather(std::span<const uint8_t> mine, std::vector<std::vector<uint8_t>>* all) {
    std::vector<uint64_t> lengths(size());
    lengths[rank_] = mine.size();
    Exchange heads = MakeExchange();
    for (int peer : Others()) WEIR_RETURN_IF_ERROR(heads.Receive(peer, &lengths[peer], sizeof(uint64_t)));
    for (int peer : Others()) WEIR_RETURN_IF_ERROR(heads.Send(peer, &lengths[rank_], sizeof(uint64_t)));
    WEIR_RETURN_IF_ERROR(Wait(heads, "all-gather of lengths"));
    Exchange bodies = MakeExchange();
    for (int peer : Others()) {
      (*all)[peer].resize(lengths[peer]);
      if (lengths[peer] > 0) WEIR_RETURN_IF_ERROR(bodies.Receive(peer, (*all)[peer].data(), lengths[peer]));
    }
    for (int peer : Others()) {
      if (!mine.empty()) WEIR_RETURN_IF_ERROR(bodies.Send(peer, mine.data(), mine.size()));
    }
    (*all)[rank_].assign(mine.begin(), mine.end());
    return Wait(bodies, "all-gather");
  }

  Status SendAll(const std::vector<uint8_t>& bytes) {
    const uint64_t length = bytes.size();
    Exchange exchange = MakeExchange();
    for (int peer : Others()) {
      WEIR_RETURN_IF_ERROR(exchange.Send(peer, &length, sizeof(length)));
      if (length > 0) WEIR_RETURN_IF_ERROR(exchange.Send(peer, bytes.data(), length));
    }
    return Wait(exchange, "broadcast");
  }

  Status ReceiveFromFirst(std::vector<uint8_t>* bytes) {
    uint64_t length = 0;
    Exchange head = MakeExchange();
    WEIR_RETURN_IF_ERROR(head.Receive(0, &length, sizeof(length)));
    WEIR_RETURN_IF_ERROR(Wait(head, "broadcast of a length"));
    bytes->resize(length);
    if (length == 0) return Status();
    Exchange body = MakeExchange();
    WEIR_RETURN_IF_ERROR(body.Receive(0, bytes->data(), length));
    return Wait(body, "broadcast");
  }

  Status StartSum(int tag, std::span<float> values, std::unique_ptr<MpiSum>* sum) const {
    if (options_.sum_order == SumOrder::kRank) {
      WEIR_ASSIGN_OR_RETURN(*sum, StartRankOrderSum(Members(comm_), tag, values));
    } else {
      WEIR_ASSIGN_OR_RETURN(*sum, StartLibrarySum(Members(library_comm_), tag, values));
    }
    return Status();
  }

  Status StartSum(int tag, std::span<double> values, std::unique_ptr<MpiSum>* sum) const {
    WEIR_ASSIGN_OR_RETURN(*sum, StartRankOrderSum(Members(comm_), tag, values));
    return Status();
  }

  SumMembers Members(MPI_Comm comm) const {
    return {comm, rank_, size(), options_.message_bytes_max, options_.block_values};
  }

  // Under the tag of the other calls, so that workers that make different ones find messages of the wrong length.
  template <typename T>
  Status Sum(std::span<T> values) {
    WEIR_RETURN_IF_ERROR(Enter());
    if (size() == 1 || values.empty()) return Status();
    std::unique_ptr<MpiSum> sum;
    WEIR_RETURN_IF_ERROR(Leave(StartSum(options_.tag, values, &sum)));
    const Status done = Leave(Await(&sum));
    (void)sum.release();  // null, save after an error, when MPI may hold its buffers
    return done;
  }

  // `sum` becomes null when it is done.
  static Result<Movement> Move(std::unique_ptr<MpiSum>* sum) {
    if (*sum == nullptr) return Movement::kDone;
    WEIR_ASSIGN_OR_RETURN(const Movement movement, (*sum)->Poll());
    if (movement == Movement::kDone) sum->reset();
    return movement;
  }

  // Until nothing moves. Whether anything did.
  Result<bool> MoveSums() {
    bool any = false;
    int polled = 0;
    for (auto& [ticket, sum] : sums_) {
      if (sum == nullptr) continue;
      if (++polled > kSumsPolled) break;
      Movement movement = Movement::kSome;
      while (movement == Movement::kSome) {
        WEIR_ASSIGN_OR_RETURN(movement, Move(&sum));
        any |= movement != Movement::kNone;
      }
    }
    return any;
  }

  // The others move along: a peer that is ahead waits for them.
  Status Await(std::unique_ptr<MpiSum>* sum) {
    Naps naps;
    while (true) {
      WEIR_ASSIGN_OR_RETURN(const Movement movement, Move(sum));
      if (movement == Movement::kDone) return Status();
      WEIR_ASSIGN_OR_RETURN(const bool others_moved, MoveSums());
      if (movement == Movement::kSome || others_moved) {
        naps.Reset();
      } else if (SystemClock().SteadyNanos() > deadline_ns_ - (*sum)->LateNanos(options_.timeout_ns)) {
        return (*sum)->Late(options_.timeout_ns);
      } else {
        naps.Rest();
      }
    }
  }

  const MPI_Comm comm_;
  const MpiCollectiveOptions options_;
  const int rank_;
  MPI_Comm library_comm_ = MPI_COMM_NULL;
  int64_t deadline_ns_ = 0;  // of the call under way
  Status failure_;           // the first one: nothing is sent after it
  SumTicket next_sum_ = 0;
  std::map<SumTicket, std::unique_ptr<MpiSum>> sums_;  // started and not finished; null: done
};

// MPI makes a communicator of some ranks only by a call that blocks. It is made on a thread of its own, which is left
// behind when time is up.
Result<MPI_Comm> MakeMembersComm(MPI_Comm comm, const MpiCollectiveOptions& options) {
  struct Made {
    int code = MPI_SUCCESS;
    MPI_Comm comm = MPI_COMM_NULL;
  };
  auto promise = std::make_shared<std::promise<Made>>();
  std::future<Made> future = promise->get_future();
  std::thread([promise, comm, size = options.size, tag = options.tag] {
    Made made;
    MPI_Group all = MPI_GROUP_NULL, members = MPI_GROUP_NULL;
    int range[1][3] = {{0, size - 1, 1}};
    made.code = MPI_Comm_group(comm, &all);
    if (made.code == MPI_SUCCESS) made.code = MPI_Group_range_incl(all, 1, range, &members);
    if (made.code == MPI_SUCCESS) made.code = MPI_Comm_create_group(comm, members, tag, &made.comm);
    if (made.code == MPI_SUCCESS) made.code = MPI_Comm_set_errhandler(made.comm, MPI_ERRORS_RETURN);
    promise->set_value(made);
  }).detach();
  if (future.wait_for(std::chrono::nanoseconds(options.timeout_ns)) != std::future_status::ready) {
    return DeadlineExceeded(
        fmt::format("MPI_Comm_create_group of ranks [0, {}) did not end within {:g} s, though all had come to it",
                    options.size, options.timeout_ns / double{kNanosPerSecond}));
  }
  const Made made = future.get();
  WEIR_RETURN_IF_ERROR(MpiStatus(made.code, fmt::format("MPI_Comm_create_group of ranks [0, {})", options.size)));
  return made.comm;
}

Status CheckOptions(const MpiCollectiveOptions& options) {
  if (options.message_bytes_max < 1 || options.message_bytes_max > INT_MAX || options.block_values < 1) {
    return InvalidArgument(
        fmt::format("collective: expected messages of 1 to {} bytes and blocks of at least 1 value, "
                    "found {} and {}",
                    INT_MAX, options.message_bytes_max, options.block_values));
  }
  if (options.tag < 0 || options.tag >= kCollectivesMax) {
    return InvalidArgument(
        fmt::format("collective: expected a tag of 0 to {}, found {}", kCollectivesMax - 1, options.tag));
  }
  return Status();
}

}  // namespace

Result<std::unique_ptr<Collective>> MakeMpiCollective(MPI_Comm comm, const MpiCollectiveOptions& options) {
  MpiCollectiveOptions resolved = options;
  int rank = 0;
  int size = 0;
  WEIR_RETURN_IF_ERROR(MpiStatus(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler"));
  WEIR_RETURN_IF_ERROR(MpiStatus(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank"));
  WEIR_RETURN_IF_ERROR(MpiStatus(MPI_Comm_size(comm, &size), "MPI_Comm_size"));
  if (resolved.size == 0) resolved.size = size;
  if (resolved.size < 0 || resolved.size > size || rank >= resolved.size) {
    return InvalidArgument(
        fmt::format("collective of ranks [0, {}): rank {} of {} is no member of it", resolved.size, rank, size));
  }
  WEIR_RETURN_IF_ERROR(CheckOptions(resolved));
  auto collective = std::make_unique<MpiCollective>(comm, rank, resolved);
  if (resolved.sum_order == SumOrder::kLibrary) {
    // All are there, or are named, before the call that cannot name them.
    WEIR_RETURN_IF_ERROR(collective->Barrier().Wrap("making the workers' communicator"));
    WEIR_ASSIGN_OR_RETURN(const MPI_Comm library_comm, MakeMembersComm(comm, resolved));
    collective->set_library_comm(library_comm);
  }
  return std::unique_ptr<Collective>(std::move(collective));
}

}  // namespace weir
