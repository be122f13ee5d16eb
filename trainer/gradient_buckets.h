// GradientBuckets: the sum of the dense gradients over workers, in buckets that travel while the backward pass goes on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/status.h"
#include "base/trace.h"
#include "models/flat_parameters.h"
#include "trainer/collective.h"

namespace weir {

// A bucket is a run of the flat buffer, of whole parameters. A backward pass makes gradients about in the reverse of
// the order in which parameters were registered, so the first bucket is the buffer's end. A bucket's sum is started as
// soon as the gradients of its parameters, and of all buckets before it, are there: the order is the same on every
// worker, whatever order its gradients come in, and also where there is no backward pass at all.
//
// Messages move when a gradient comes, for no thread waits for them (mpi_collective.h says why).
//
// A step: Begin, backward pass, StartRest, FinishAll. One thread. Costs a look at the messages under way for each
// parameter; no memory but the collective's.
class GradientBuckets {
 public:
  // Buckets have at least bucket_bytes, save the last; the same on every worker. parameters, collective: outlive this;
  // the backward pass of that net tells this one alone of its gradients.
  GradientBuckets(FlatParameters* parameters, Collective* collective, int64_t bucket_bytes,
                  const TraceTrack& track = {});
  ~GradientBuckets();
  GradientBuckets(const GradientBuckets&) = delete;
  GradientBuckets& operator=(const GradientBuckets&) = delete;

  size_t num_buckets() const { return buckets_.size(); }
  // A bucket's values within the buffer of gradients, by the order of starting.
  std::span<float> bucket(size_t index) const;

  // Before the backward pass: sets all gradients to zero.
  void Begin(int64_t step);
  // After the backward pass, or without one: starts what was not started, gradients that never came being zero. The
  // first error of a sum that the backward pass started comes out here.
  Status StartRest();
  // Moves the sums along, in the midst of other work.
  Status Poll();
  // Waits until the gradients are the sums. DeadlineExceeded or Unavailable as the collective has it.
  Status FinishAll();

 private:
  struct Bucket {
    size_t first = 0;  // of its parameters
    size_t end = 0;
    size_t missing = 0;  // parameters whose gradients have not come in this step
    SumTicket sum = 0;
  };

  void Cut(int64_t bucket_bytes);
  void GradientCame(size_t parameter);
  Status StartReady();
  Status Wrap(const Status& status, size_t bucket) const;

  FlatParameters* const parameters_;
  Collective* const collective_;
  const TraceTrack track_;
  std::vector<Bucket> buckets_;    // in the order of starting
  std::vector<size_t> bucket_of_;  // by parameter
  int64_t step_ = 0;
  size_t started_ = 0;      // buckets
  bool under_way_ = false;  // between Begin and StartRest
  Status failure_;          // of what the backward pass started
};

}  // namespace weir
