// Collective: what workers do together: sum, gather, wait. Over MPI between processes, in memory between threads.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace weir {

// One per worker; one thread at a time; all workers make the same calls in the same order. Each wait is bounded:
// Unavailable or DeadlineExceeded names what was waited for; the collective is of no more use after an error.
class Collective {
 public:
  virtual ~Collective() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Element-wise sum over the workers, added in rank order (the same bits on every rank and from run to run).
  virtual Status AllReduceSum(std::span<float> values) = 0;
  virtual Status AllReduceSum(std::span<double> values) = 0;
  // Every worker's bytes, by rank; sizes may differ.
  virtual Result<std::vector<std::vector<uint8_t>>> AllGather(std::span<const uint8_t> mine) = 0;
  // Rank 0's bytes, to all.
  virtual Status Broadcast(std::vector<uint8_t>* bytes) = 0;
  virtual Status Barrier() = 0;
};

}  // namespace weir
