#include "trainer/mpi_exchange.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/clock.h"

namespace weir {

std::vector<int> OtherRanks(int rank, int size) {
  std::vector<int> others;
  for (int i = 1; i < size; ++i) others.push_back((rank + i) % size);
  return others;
}

Status MpiStatus(int code, std::string_view what) {
  if (code == MPI_SUCCESS) return Status();
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  return Unavailable(fmt::format("{}: {}", what, std::string_view(text.data(), length)));
}

Status RanksAreLate(std::string_view operation, const std::set<int>& ranks, int64_t timeout_ns) {
  return DeadlineExceeded(fmt::format("{}: rank {} did not answer within {:g} s", operation, fmt::join(ranks, ", "),
                                      timeout_ns / double{kNanosPerSecond}));
}

void Naps::Rest() {
  ++polls_;
  if (polls_ <= 20) return;
  if (polls_ > 2000) nap_ns_ = std::min<int64_t>(nap_ns_ * 2, kNanosPerMilli);
  SystemClock().SleepNanos(nap_ns_);
}

Status Exchange::Receive(int peer, void* data, size_t bytes) {
  return Cut(peer, bytes, [&](size_t at, int length) {
    return MPI_Irecv(static_cast<uint8_t*>(data) + at, length, MPI_BYTE, peer, tag_, comm_, Request(peer, length));
  });
}

Status Exchange::Send(int peer, const void* data, size_t bytes) {
  return Cut(peer, bytes, [&](size_t at, int length) {
    return MPI_Isend(static_cast<const uint8_t*>(data) + at, length, MPI_BYTE, peer, tag_, comm_, Request(peer, -1));
  });
}

Result<Movement> Exchange::Poll(std::string_view operation) {
  const int count = static_cast<int>(requests_.size());
  done_.resize(count);
  statuses_.resize(count);
  int done_count = 0;
  const int code = MPI_Testsome(count, requests_.data(), &done_count, done_.data(), statuses_.data());
  if (code == MPI_ERR_IN_STATUS) return ErrorOf(operation, done_count);
  WEIR_RETURN_IF_ERROR(MpiStatus(code, operation));
  if (done_count == MPI_UNDEFINED) return Movement::kDone;
  for (int i = 0; i < done_count; ++i) WEIR_RETURN_IF_ERROR(CheckLength(operation, done_[i], statuses_[i]));
  return done_count > 0 ? Movement::kSome : Movement::kNone;
}

Status Exchange::Wait(std::string_view operation, int64_t deadline_ns, int64_t timeout_ns) {
  Naps naps;
  while (true) {
    WEIR_ASSIGN_OR_RETURN(const Movement movement, Poll(operation));
    if (movement == Movement::kDone) return Status();
    if (movement == Movement::kSome) {
      naps.Reset();
      continue;
    }
    if (SystemClock().SteadyNanos() > deadline_ns) return RanksAreLate(operation, Missing(), timeout_ns);
    naps.Rest();
  }
}

std::set<int> Exchange::Missing() const {
  std::set<int> missing;
  for (size_t i = 0; i < requests_.size(); ++i) {
    if (requests_[i] != MPI_REQUEST_NULL) missing.insert(messages_[i].peer);
  }
  return missing;
}

template <typename Post>
Status Exchange::Cut(int peer, size_t bytes, Post post) {
  size_t at = 0;
  do {
    const size_t length = std::min<size_t>(bytes - at, message_bytes_max_);
    WEIR_RETURN_IF_ERROR(MpiStatus(post(at, static_cast<int>(length)), fmt::format("message with rank {}", peer)));
    at += length;
  } while (at < bytes);
  return Status();
}

MPI_Request* Exchange::Request(int peer, int expected_bytes) {
  messages_.push_back({peer, expected_bytes});
  return &requests_.emplace_back(MPI_REQUEST_NULL);
}

Status Exchange::CheckLength(std::string_view operation, int index, const MPI_Status& status) const {
  const Message& message = messages_[index];
  if (message.expected_bytes < 0) return Status();
  int bytes = 0;
  MPI_Get_count(&status, MPI_BYTE, &bytes);
  if (bytes == message.expected_bytes) return Status();
  return Internal(fmt::format("{}: expected {} bytes from rank {}, found {}: workers make different calls", operation,
                              message.expected_bytes, message.peer, bytes));
}

Status Exchange::ErrorOf(std::string_view operation, int done_count) const {
  for (int i = 0; i < done_count; ++i) {
    const Message& message = messages_[done_[i]];
    WEIR_RETURN_IF_ERROR(
        MpiStatus(statuses_[i].MPI_ERROR, fmt::format("{}: message with rank {}", operation, message.peer)));
  }
  return Internal(fmt::format("{}: MPI reports an error without naming the message", operation));
}

}  // namespace weir
