// Collective: what workers do together: sum, gather, wait. Over MPI between processes, in memory between threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace weir {

// How sums of floats are added; those of doubles are always in rank order.
enum class SumOrder {
  // v[0] + v[1] + ... + v[size-1].
  kRank,
  // As the communication library likes.
  kLibrary,
};

// A sum under way.
using SumTicket = int64_t;

// One per worker; one thread at a time; all workers make the same calls in the same order, PollSums excepted. Each wait
// is bounded: Unavailable or DeadlineExceeded names what was waited for; the collective is of no more use after an
// error.
//
// Sums are added in rank order, element by element: the same bits on every rank, from run to run, and however the
// values are cut into several sums. Where an implementation offers the library's order, bits are the same on every rank
// and may differ between versions and numbers of sums.
class Collective {
 public:
  // A sum must be finished before this many later ones are started.
  static constexpr int kSumsMax = 1024;

  virtual ~Collective() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Element-wise sum over the workers, done on return.
  virtual Status AllReduceSum(std::span<float> values) = 0;
  virtual Status AllReduceSum(std::span<double> values) = 0;

  // Begins a sum and does not wait for it. The values are not to be touched, and must stay, until FinishSum; each sum
  // is finished, in any order, and other calls may come between. (Over NCCL this is a call put on a stream of its own,
  // and the ticket the event behind it.)
  virtual Result<SumTicket> StartAllReduceSum(std::span<float> values) = 0;
  // Moves what is under way along, without waiting: messages between processes get on within calls only.
  virtual Status PollSums() = 0;
  // Waits for one; its values are the sum then.
  virtual Status FinishSum(SumTicket sum) = 0;

  // Every worker's bytes, by rank; sizes may differ.
  virtual Result<std::vector<std::vector<uint8_t>>> AllGather(std::span<const uint8_t> mine) = 0;
  // Rank 0's bytes, to all.
  virtual Status Broadcast(std::vector<uint8_t>* bytes) = 0;
  virtual Status Barrier() = 0;
};

}  // namespace weir
