#include "trainer/mpi_collective.h"

#include <algorithm>
#include <array>
#include <climits>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/clock.h"
#include "trainer/rank_order_sum.h"

namespace weir {
namespace {

// Arrays up to this many bytes go whole to every rank: one exchange instead of two.
constexpr size_t kWholeBytesMax = 16 << 10;

Status MpiStatus(int code, std::string_view what) {
  if (code == MPI_SUCCESS) return Status();
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  return Unavailable(fmt::format("{}: {}", what, std::string_view(text.data(), length)));
}

// Sleeps between polls: none at first, for what is about to come; then ever longer, to leave the core to those at work.
class Naps {
 public:
  void Rest() {
    ++polls_;
    if (polls_ <= 20) return;
    if (polls_ > 2000) nap_ns_ = std::min<int64_t>(nap_ns_ * 2, kNanosPerMilli);
    SystemClock().SleepNanos(nap_ns_);
  }
  void Reset() { *this = Naps(); }

 private:
  int polls_ = 0;
  int64_t nap_ns_ = 50'000;
};

// The messages of one exchange between this rank and others. Buffers must stay until Wait returned OK.
class Exchange {
 public:
  Exchange(MPI_Comm comm, const MpiCollectiveOptions& options) : comm_(comm), options_(options) {}

  Status Receive(int peer, void* data, size_t bytes) {
    return Cut(peer, bytes, [&](size_t at, int length) {
      return MPI_Irecv(static_cast<uint8_t*>(data) + at, length, MPI_BYTE, peer, options_.tag, comm_,
                       Request(peer, length));
    });
  }

  Status Send(int peer, const void* data, size_t bytes) {
    return Cut(peer, bytes, [&](size_t at, int length) {
      return MPI_Isend(static_cast<const uint8_t*>(data) + at, length, MPI_BYTE, peer, options_.tag, comm_,
                       Request(peer, -1));
    });
  }

  // Until all are done; DeadlineExceeded names the ranks of those that are not.
  Status Wait(std::string_view operation, int64_t deadline_ns) {
    const int count = static_cast<int>(requests_.size());
    std::vector<int> done(count);
    std::vector<MPI_Status> statuses(count);
    Naps naps;
    while (true) {
      int done_count = 0;
      int code = MPI_Testsome(count, requests_.data(), &done_count, done.data(), statuses.data());
      if (code == MPI_ERR_IN_STATUS) return ErrorOf(operation, std::span(done).first(done_count), statuses);
      WEIR_RETURN_IF_ERROR(MpiStatus(code, operation));
      if (done_count == MPI_UNDEFINED) return Status();
      for (int i = 0; i < done_count; ++i) WEIR_RETURN_IF_ERROR(CheckLength(operation, done[i], statuses[i]));
      if (done_count > 0) {
        naps.Reset();
        continue;
      }
      if (SystemClock().SteadyNanos() > deadline_ns) return TimedOut(operation);
      naps.Rest();
    }
  }

 private:
  // What a request is about, at the same index.
  struct Message {
    int peer;
    int expected_bytes;  // of a receive; -1 of a send
  };

  template <typename Post>
  Status Cut(int peer, size_t bytes, Post post) {
    size_t at = 0;
    do {
      const size_t length = std::min<size_t>(bytes - at, options_.message_bytes_max);
      WEIR_RETURN_IF_ERROR(MpiStatus(post(at, static_cast<int>(length)), fmt::format("message with rank {}", peer)));
      at += length;
    } while (at < bytes);
    return Status();
  }

  MPI_Request* Request(int peer, int expected_bytes) {
    messages_.push_back({peer, expected_bytes});
    return &requests_.emplace_back(MPI_REQUEST_NULL);
  }

  Status CheckLength(std::string_view operation, int index, const MPI_Status& status) const {
    const Message& message = messages_[index];
    if (message.expected_bytes < 0) return Status();
    int bytes = 0;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    if (bytes == message.expected_bytes) return Status();
    return Internal(fmt::format("{}: expected {} bytes from rank {}, found {}: workers make different calls", operation,
                                message.expected_bytes, message.peer, bytes));
  }

  Status ErrorOf(std::string_view operation, std::span<const int> done, std::span<const MPI_Status> statuses) const {
    for (size_t i = 0; i < done.size(); ++i) {
      const Message& message = messages_[done[i]];
      WEIR_RETURN_IF_ERROR(
          MpiStatus(statuses[i].MPI_ERROR, fmt::format("{}: message with rank {}", operation, message.peer)));
    }
    return Internal(fmt::format("{}: MPI reports an error without naming the message", operation));
  }

  Status TimedOut(std::string_view operation) const {
    std::set<int> missing;
    for (size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i] != MPI_REQUEST_NULL) missing.insert(messages_[i].peer);
    }
    return DeadlineExceeded(fmt::format("{}: rank {} did not answer within {:g} s", operation, fmt::join(missing, ", "),
                                        options_.timeout_ns / double{kNanosPerSecond}));
  }

  const MPI_Comm comm_;
  const MpiCollectiveOptions& options_;
  std::vector<MPI_Request> requests_;
  std::vector<Message> messages_;
};

class MpiCollective : public Collective {
 public:
  MpiCollective(MPI_Comm comm, int rank, const MpiCollectiveOptions& options)
      : comm_(comm), options_(options), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return options_.size; }

  Status AllReduceSum(std::span<float> values) override { return Reduce("all-reduce", values); }
  Status AllReduceSum(std::span<double> values) override { return Reduce("all-reduce", values); }

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
    return Leave(exchange.Wait("barrier", deadline_ns_));
  }

 private:
  Exchange MakeExchange() const { return Exchange(comm_, options_); }

  Status Enter() {
    deadline_ns_ = SystemClock().SteadyNanos() + options_.timeout_ns;
    return failure_.Wrap("after an earlier failure");
  }

  Status Leave(Status status) {
    if (!status.ok()) failure_ = status;
    return status;
  }

  // In the order of sending: each rank begins with the one after it, so that not all send to the same at once.
  std::vector<int> Others() const {
    std::vector<int> others;
    for (int i = 1; i < size(); ++i) others.push_back((rank_ + i) % size());
    return others;
  }

  Status Gather(std::span<const uint8_t> mine, std::vector<std::vector<uint8_t>>* all) {
    std::vector<uint64_t> lengths(size());
    lengths[rank_] = mine.size();
    Exchange heads = MakeExchange();
    for (int peer : Others()) WEIR_RETURN_IF_ERROR(heads.Receive(peer, &lengths[peer], sizeof(uint64_t)));
    for (int peer : Others()) WEIR_RETURN_IF_ERROR(heads.Send(peer, &lengths[rank_], sizeof(uint64_t)));
    WEIR_RETURN_IF_ERROR(heads.Wait("all-gather of lengths", deadline_ns_));
    Exchange bodies = MakeExchange();
    for (int peer : Others()) {
      (*all)[peer].resize(lengths[peer]);
      if (lengths[peer] > 0) WEIR_RETURN_IF_ERROR(bodies.Receive(peer, (*all)[peer].data(), lengths[peer]));
    }
    for (int peer : Others()) {
      if (!mine.empty()) WEIR_RETURN_IF_ERROR(bodies.Send(peer, mine.data(), mine.size()));
    }
    (*all)[rank_].assign(mine.begin(), mine.end());
    return bodies.Wait("all-gather", deadline_ns_);
  }

  Status SendAll(const std::vector<uint8_t>& bytes) {
    const uint64_t length = bytes.size();
    Exchange exchange = MakeExchange();
    for (int peer : Others()) {
      WEIR_RETURN_IF_ERROR(exchange.Send(peer, &length, sizeof(length)));
      if (length > 0) WEIR_RETURN_IF_ERROR(exchange.Send(peer, bytes.data(), length));
    }
    return exchange.Wait("broadcast", deadline_ns_);
  }

  Status ReceiveFromFirst(std::vector<uint8_t>* bytes) {
    uint64_t length = 0;
    Exchange head = MakeExchange();
    WEIR_RETURN_IF_ERROR(head.Receive(0, &length, sizeof(length)));
    WEIR_RETURN_IF_ERROR(head.Wait("broadcast of a length", deadline_ns_));
    bytes->resize(length);
    if (length == 0) return Status();
    Exchange body = MakeExchange();
    WEIR_RETURN_IF_ERROR(body.Receive(0, bytes->data(), length));
    return body.Wait("broadcast", deadline_ns_);
  }

  template <typename T>
  Status Reduce(std::string_view operation, std::span<T> values) {
    WEIR_RETURN_IF_ERROR(Enter());
    if (size() == 1 || values.empty()) return Status();
    if (values.size_bytes() <= kWholeBytesMax) return Leave(ReduceWhole(operation, values));
    for (size_t begin = 0; begin < values.size(); begin += options_.block_values) {
      const size_t length = std::min<size_t>(options_.block_values, values.size() - begin);
      WEIR_RETURN_IF_ERROR(Leave(ReduceSlices(operation, values.subspan(begin, length))));
    }
    return Status();
  }

  // theirs: [size() - 1, mine.size()], the others in rank order. mine becomes the sum.
  template <typename T>
  void AddInRankOrder(std::span<T> mine, std::vector<T>* theirs) {
    const size_t length = mine.size();
    std::vector<T> own(mine.begin(), mine.end());
    for (int rank = 0, next = 0; rank < size(); ++rank) {
      std::span<const T> values = own;
      if (rank != rank_) values = std::span<const T>(theirs->data() + length * next++, length);
      if (rank == 0) {
        std::copy(values.begin(), values.end(), mine.begin());
      } else {
        AddInto(mine, values);
      }
    }
  }

  // Where the values of a peer stand among those of the others, in rank order.
  int Place(int peer) const { return peer < rank_ ? peer : peer - 1; }

  template <typename T>
  Status ReduceWhole(std::string_view operation, std::span<T> values) {
    std::vector<T> theirs(values.size() * (size() - 1));
    Exchange exchange = MakeExchange();
    for (int peer : Others()) {
      T* to = theirs.data() + values.size() * Place(peer);
      WEIR_RETURN_IF_ERROR(exchange.Receive(peer, to, values.size_bytes()));
    }
    for (int peer : Others()) WEIR_RETURN_IF_ERROR(exchange.Send(peer, values.data(), values.size_bytes()));
    WEIR_RETURN_IF_ERROR(exchange.Wait(operation, deadline_ns_));
    AddInRankOrder(values, &theirs);
    return Status();
  }

  template <typename T>
  std::span<T> Slice(std::span<T> values, int rank) const {
    const auto count = static_cast<int64_t>(values.size());
    const int64_t begin = SliceBegin(count, rank, size());
    return values.subspan(begin, SliceBegin(count, rank + 1, size()) - begin);
  }

  template <typename T>
  Status ReduceSlices(std::string_view operation, std::span<T> values) {
    std::span<T> mine = Slice(values, rank_);
    std::vector<T> theirs(mine.size() * (size() - 1));
    Exchange scatter = MakeExchange();
    for (int peer : Others()) {
      WEIR_RETURN_IF_ERROR(scatter.Receive(peer, theirs.data() + mine.size() * Place(peer), mine.size_bytes()));
    }
    for (int peer : Others()) {
      std::span<T> slice = Slice(values, peer);
      WEIR_RETURN_IF_ERROR(scatter.Send(peer, slice.data(), slice.size_bytes()));
    }
    WEIR_RETURN_IF_ERROR(scatter.Wait(operation, deadline_ns_));
    AddInRankOrder(mine, &theirs);
    Exchange gather = MakeExchange();
    for (int peer : Others()) {
      std::span<T> slice = Slice(values, peer);
      WEIR_RETURN_IF_ERROR(gather.Receive(peer, slice.data(), slice.size_bytes()));
    }
    for (int peer : Others()) WEIR_RETURN_IF_ERROR(gather.Send(peer, mine.data(), mine.size_bytes()));
    return gather.Wait(operation, deadline_ns_);
  }

  const MPI_Comm comm_;
  const MpiCollectiveOptions options_;
  const int rank_;
  int64_t deadline_ns_ = 0;  // of the call under way
  Status failure_;           // the first one: nothing is sent after it
};

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
  if (resolved.message_bytes_max < 1 || resolved.message_bytes_max > INT_MAX || resolved.block_values < 1) {
    return InvalidArgument(
        fmt::format("collective: expected messages of 1 to {} bytes and blocks of at least 1 value, "
                    "found {} and {}",
                    INT_MAX, resolved.message_bytes_max, resolved.block_values));
  }
  return std::unique_ptr<Collective>(std::make_unique<MpiCollective>(comm, rank, resolved));
}

}  // namespace weir
