// MpiSum: one sum over the workers under way over MPI, in rank order or in the library's own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include <mpi.h>

#include "base/status.h"
#include "trainer/mpi_exchange.h"

namespace weir {

// Who sums, and in what portions. The members are the ranks [0, size) of comm.
struct SumMembers {
  MPI_Comm comm = MPI_COMM_NULL;
  int rank = 0;
  int size = 1;
  int64_t message_bytes_max = 1 << 30;
  // Values are worked through in blocks of this many, so that buffers do not grow with them.
  int64_t block_values = 4 << 20;
};

// One thread. Messages move within calls only. Destroyed before it is done, or after an error, it leaves MPI with
// buffers that are gone: keep it for as long as the process lives then.
class MpiSum {
 public:
  virtual ~MpiSum() = default;
  // Moves it along without waiting. After kDone the values are the sum, and polls find kDone again.
  virtual Result<Movement> Poll() = 0;
  // Of a timeout, what Late needs of it.
  virtual int64_t LateNanos(int64_t timeout_ns) const = 0;
  // DeadlineExceeded with the ranks that are late, for a caller who has waited long enough.
  virtual Status Late(int64_t timeout_ns) = 0;
};

// Slices are exchanged all to all, each is added in rank order, and the sums are gathered back; arrays of at most
// 16 KiB go whole to everyone, one exchange instead of two. Either way an element is v[0] + v[1] + ... + v[size-1].
// Sends the first messages. tag: of no other sum under way. Two sums of one tag may follow each other.
Result<std::unique_ptr<MpiSum>> StartRankOrderSum(const SumMembers& members, int tag, std::span<float> values);
Result<std::unique_ptr<MpiSum>> StartRankOrderSum(const SumMembers& members, int tag, std::span<double> values);

// MPI_Iallreduce: the order of additions is the library's, which may know the network better. members.comm holds the
// members alone. tag: for a roll-call at the end of a wait in vain, for MPI does not say who is missing: it names the
// ranks that do not wait for this sum.
Result<std::unique_ptr<MpiSum>> StartLibrarySum(const SumMembers& members, int tag, std::span<float> values);

}  // namespace weir
