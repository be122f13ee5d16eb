// Exchange: messages between this rank and others, under way together over MPI, polled and never waited for in MPI.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>
#include <vector>

#include <mpi.h>

#include "base/status.h"

namespace weir {

// What a poll found.
enum class Movement {
  kNone,
  kSome,  // something came or went
  kDone,  // nothing is left
};

// All ranks below size but this one, in the order of sending: each begins with the one after it, so that not all send
// to the same at once.
std::vector<int> OtherRanks(int rank, int size);

// Unavailable with MPI's own words when `code` is none of success.
Status MpiStatus(int code, std::string_view what);

// Sleeps between polls: none at first, for what is about to come; then ever longer, to leave the core to those at work.
class Naps {
 public:
  void Rest();
  // After a poll that found something.
  void Reset() { *this = Naps(); }

 private:
  int polls_ = 0;
  int64_t nap_ns_ = 50'000;
};

// One thread. Buffers must stay until all is done; after an error, or when it is destroyed before, MPI may still read
// and write them.
class Exchange {
 public:
  // comm: not owned. Messages of one tag between two ranks are matched in the order in which they are posted. Longer
  // messages than message_bytes_max are cut.
  Exchange(MPI_Comm comm, int tag, int64_t message_bytes_max)
      : comm_(comm), tag_(tag), message_bytes_max_(message_bytes_max) {}

  Status Receive(int peer, void* data, size_t bytes);
  Status Send(int peer, const void* data, size_t bytes);

  // Without waiting. Internal when a message has another length than expected. `operation` begins each message.
  Result<Movement> Poll(std::string_view operation);

  // Polls until all are done; after `deadline_ns` of the steady clock DeadlineExceeded names the ranks of those that
  // are not, and says that they had timeout_ns.
  Status Wait(std::string_view operation, int64_t deadline_ns, int64_t timeout_ns);

  // The ranks whose messages are not done.
  std::set<int> Missing() const;

 private:
  // What a request is about, at the same index.
  struct Message {
    int peer;
    int expected_bytes;  // of a receive; -1 of a send
  };

  template <typename Post>
  Status Cut(int peer, size_t bytes, Post post);
  MPI_Request* Request(int peer, int expected_bytes);
  Status CheckLength(std::string_view operation, int index, const MPI_Status& status) const;
  Status ErrorOf(std::string_view operation, int done_count) const;

  const MPI_Comm comm_;
  const int tag_;
  const int64_t message_bytes_max_;
  std::vector<MPI_Request> requests_;
  std::vector<Message> messages_;
  // Of the last poll, kept so that a poll allocates nothing: the requests done, and how they ended.
  std::vector<int> done_;
  std::vector<MPI_Status> statuses_;
};

// DeadlineExceeded: these ranks did not answer in time.
Status RanksAreLate(std::string_view operation, const std::set<int>& ranks, int64_t timeout_ns);

}  // namespace weir
