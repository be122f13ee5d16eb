// A Collective between processes, over MPI messages that never block.
#pragma once

#include <cstdint>
#include <memory>

#include <mpi.h>

#include "trainer/collective.h"

namespace weir {

struct MpiCollectiveOptions {
  // Longest wait of one call; DeadlineExceeded then names the operation and the ranks that did not answer.
  int64_t timeout_ns = 600'000'000'000;
  // Members are the ranks [0, size) of the communicator; 0 takes all of it.
  int size = 0;
  // Tells the messages of several collectives over one communicator apart.
  int tag = 1;
  // Largest single message, at most INT_MAX; longer ones are cut. Smaller values are for tests.
  int64_t message_bytes_max = 1 << 30;
  // An all-reduce works through the values in blocks of this many, so that its buffers do not grow with them.
  int64_t block_values = 4 << 20;
};

// Exchanges by MPI_Isend and MPI_Irecv, polled with MPI_Testsome: a blocking collective of Open MPI spins, and hangs
// for ever when a peer is dead, and a non-blocking one cannot say which rank is missing. AllReduceSum exchanges slices
// all to all, adds each in rank order and gathers the sums back; small arrays go whole to everyone. Either way an
// element is v[0] + v[1] + ... + v[size-1].
//
// comm: not owned, must outlive the result; its errors are set to return. Not a collective call: nothing is sent.
// InvalidArgument when this rank is no member. After an error MPI may still hold buffers of the failed call: make no
// further MPI call in this process but MpiWorld::Abort.
Result<std::unique_ptr<Collective>> MakeMpiCollective(MPI_Comm comm, const MpiCollectiveOptions& options);

}  // namespace weir
