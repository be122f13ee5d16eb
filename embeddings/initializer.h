// RowInitializer: the weights of a new row, a pure function of (table seed, key): the same on whichever server, in
// whatever order keys come, before and after a resume.
#pragma once

#include <cstdint>
#include <memory>

#include "base/isa.h"
#include "proto/job.pb.h"

namespace weir {

// Immutable; thread-safe.
class RowInitializer {
 public:
  virtual ~RowInitializer() = default;

  // weights: [dim], written.
  virtual void Initialize(uint64_t key, float* weights) const = 0;
};

// By config.kind; uniform with its default scale where no kind is set.
std::unique_ptr<RowInitializer> MakeRowInitializer(const InitializerConfig& config, int dim, uint64_t table_seed,
                                                   Isa isa = BestIsa());

}  // namespace weir
