// Sampler: leaves samples of a batch out and makes others up, as SamplingConfig says.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/alias_table.h"
#include "base/status.h"
#include "batch/batch.h"
#include "data_loader/sampling/hard_items.h"
#include "data_loader/sampling/item_pool.h"
#include "proto/job.pb.h"

namespace weir {

// One thread. Draws are functions of (seed, epoch, the sample's place in the epoch); in_batch also of which samples the
// worker has.
class Sampler {
 public:
  // Reads the pool and the hard negatives, where source.sampling asks for them. Null when it asks for nothing. Errors
  // name the setting. samples: of the source itself.
  static Result<std::unique_ptr<Sampler>> Open(const Job& job, const SourceConfig& source,
                                               const FeatureExtractor& samples, uint64_t seed);

  // batch: samples of a step whose first one has the place `first_sample` in the epoch; sample_index counts from there.
  // Afterwards sample_index is spread, so that those made up have numbers of their own: still ascending, and the same
  // for any number of workers. InvalidArgument when a feature gets 2^31 values.
  Status Apply(int64_t epoch, int64_t first_sample, Batch* batch) const;

 private:
  // A sample of what comes out: sample `base` of the batch, with the item of a sample of the batch or of the pool.
  struct Made {
    int64_t base = 0;
    const Batch* item_from = nullptr;  // null: its own
    int64_t item = 0;
    int64_t number = 0;  // among those made of the base: 0 is itself
  };
  // Where an item of the pool, or of the batch, stands.
  struct Item {
    const Batch* from = nullptr;
    int64_t row = 0;
    uint64_t id = 0;
  };
  // Draws an item that the sample's own positives do not have, from 64 bits; nothing after too many tries.
  template <typename DrawItem>
  std::optional<Item> DrawOther(uint64_t seed, int64_t number, std::span<const uint64_t> not_these,
                                const DrawItem& draw) const;

  Sampler() = default;
  void DropNegatives(int64_t epoch, int64_t first_sample, Batch* batch) const;
  Status AddNegatives(int64_t epoch, int64_t first_sample, Batch* batch) const;
  // candidates: the samples of the batch whose item in_batch may take.
  void MakeOf(int64_t base, uint64_t seed, const Batch& batch, std::span<const int64_t> candidates,
              std::vector<Made>* made) const;
  Status Assemble(const Batch& batch, std::span<const Made> made, Batch* out) const;

  uint64_t seed_ = 0;
  double keep_negatives_ = 1;
  NegativesConfig negatives_;
  int64_t made_max_ = 0;  // for each positive sample
  ItemPool pool_;         // empty without negatives
  std::optional<AliasTable> popular_;
  std::optional<HardItems> hard_;
  std::vector<int> except_;  // indices into Batch.sparse
};

}  // namespace weir
