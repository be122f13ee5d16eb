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
  // Tells the messages of several collectives over one communicator apart: 0 to 15.
  int tag = 1;
  // Largest single message, at most INT_MAX; longer ones are cut. Smaller values are for tests.
  int64_t message_bytes_max = 1 << 30;
  // An all-reduce works through the values in blocks of this many, so that its buffers do not grow with them.
  int64_t block_values = 4 << 20;
  SumOrder sum_order = SumOrder::kRank;
};

// Exchanges by MPI_Isend and MPI_Irecv, polled with MPI_Testsome: a blocking collective of Open MPI spins, and hangs
// for ever when a peer is dead, and a non-blocking one cannot say which rank is missing. Sums: mpi_sum.h; with
// SumOrder::kLibrary they are MPI_Iallreduce, polled, and late ranks are found by a roll-call once time is up: they are
// those that do not wait for the same sum.
//
// Who moves a sum along while the net computes: the worker's own thread, by PollSums between two layers. A thread of
// its own would poll through its naps and take time from a net that has all cores, and a lock would come between it and
// the other calls. With shared memory one poll fetches a whole message.
//
// comm: not owned, must outlive the result; its errors are set to return. In rank order this is not a collective call:
// nothing is sent. With SumOrder::kLibrary all members call, and the making of their communicator is bounded by the
// timeout. InvalidArgument when this rank is no member. After an error, or destroyed while sums are under way, MPI may
// still hold buffers: make no further MPI call in this process but MpiWorld::Abort.
Result<std::unique_ptr<Collective>> MakeMpiCollective(MPI_Comm comm, const MpiCollectiveOptions& options);

}  // namespace weir
