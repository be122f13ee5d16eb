// How sequences are cut, each by itself and those of one group alike.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "batch/batch.h"
#include "batch/jagged.h"
#include "data_loader/columns/bad_rows.h"
#include "proto/job.pb.h"

namespace weir {

// Which values of a sample stay.
struct SequenceCut {
  int64_t max = 0;  // 0 keeps all
  bool keeps_last = false;

  // What the feature's max_values, or max_length, and keep say. Of the first max_length values the net takes care
  // itself: then all stay here.
  static SequenceCut Of(const SparseConfig& config);
};

// Cuts the samples from first_sample on, weights along with values.
void CutSamples(const SequenceCut& cut, int64_t first_sample, Jagged* values);

// Sparse features of one sequence. Immutable; thread-safe.
class SequenceGroup {
 public:
  explicit SequenceGroup(std::string name) : name_(std::move(name)) {}
  // feature: its index among the sparse ones.
  void Add(size_t feature, const std::string& column);
  const std::string& name() const { return name_; }

  // Samples from first_sample on whose features differ in length are appended to *bad, by their index in `batch`, and
  // have no values of any of them.
  void CheckLengths(int64_t first_sample, Batch* batch, std::vector<BadRow>* bad) const;

 private:
  std::string name_;
  std::vector<size_t> features_;
  std::vector<std::string> columns_;  // one per feature
};

}  // namespace weir
