#include "data_loader/step_source.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include <fmt/format.h>

#include "data_loader/plan.h"
#include "data_loader/row_stream.h"

namespace weir {
namespace {

// Rows decoded at a time: their columns stay in the cache between decoding and extraction.
constexpr int64_t kDecodeRows = 8192;

// Appends up to `rows` rows of the stream to *out; what was bad goes to *bad (by row of *out) with its place in
// *places.
Status AppendRows(const Dataset& dataset, RowStream* stream, int64_t rows, Batch* out, std::vector<BadRow>* bad,
                  std::vector<SkippedRow>* places) {
  while (rows > 0) {
    StreamRows read;
    WEIR_ASSIGN_OR_RETURN(bool more, stream->Next(rows, &read));
    if (!more) return Internal(fmt::format("a stream of the plan ended {} rows early", rows));
    const int64_t first = out->num_samples;
    const size_t bad_before = bad->size();
    Status status = dataset.extractor(read.file).Extract(*read.rows, out, bad);
    if (!status.ok()) return status.Wrap(dataset.file(read.file).path());
    for (size_t b = bad_before; b < bad->size(); ++b) {
      const BadRow& row = (*bad)[b];
      places->push_back({read.file, read.first_row + row.row - first, row.column, row.reason, row.value});
    }
    rows -= out->num_samples - first;
  }
  return Status();
}

class OrderedSource : public StepSource {
 public:
  OrderedSource(const Dataset* dataset, const LoaderOptions& options) : dataset_(dataset), options_(options) {}

  Status StartEpoch(int64_t, int64_t samples) override {
    stream_ = std::make_unique<RowStream>(dataset_, PlanOrderedEpoch(dataset_->group_rows()).streams[0], kDecodeRows);
    return stream_->Skip(samples);
  }

  Status Fill(int64_t step_rows, Batch* out, std::vector<SkippedRow>* skipped) override {
    const int64_t begin = step_rows * options_.worker / options_.num_workers;
    const int64_t end = step_rows * (options_.worker + 1) / options_.num_workers;
    WEIR_RETURN_IF_ERROR(stream_->Skip(begin));
    std::vector<BadRow> bad;
    WEIR_RETURN_IF_ERROR(AppendRows(*dataset_, stream_.get(), end - begin, out, &bad, skipped));
    out->sample_index.resize(out->num_samples);
    std::iota(out->sample_index.begin(), out->sample_index.end(), begin);
    RemoveRows(bad, out);
    return stream_->Skip(step_rows - end);
  }

 private:
  const Dataset* const dataset_;
  const LoaderOptions options_;
  std::unique_ptr<RowStream> stream_;
};

// The rows of one stream, permuted block by block.
struct ShuffledStream {
  std::unique_ptr<RowStream> rows;
  int64_t stream = 0;
  int64_t rows_left = 0;  // not yet in a block
  int64_t next_block = 0;
  Batch block;  // in the order of the stream
  std::vector<int32_t> order;
  size_t next = 0;              // index into order: the next row to be given out
  std::vector<uint8_t> single;  // one per sparse feature: each row of the block has exactly one key
  std::vector<uint8_t> is_bad;  // empty, or one per row of the block
  std::vector<BadRow> bad;
  std::vector<SkippedRow> bad_places;
};

bool HasOneKeyEach(const Jagged& feature) {
  const int64_t n = feature.num_samples();
  if (static_cast<int64_t>(feature.values.size()) != n) return false;
  for (int64_t i = 0; i <= n; ++i) {
    if (feature.offsets[i] != i) return false;
  }
  return true;
}

void Clear(Batch* batch) {
  batch->num_samples = 0;
  for (Jagged& feature : batch->sparse) feature.Clear();
  batch->numeric.clear();
  batch->labels.clear();
  batch->weights.clear();
  batch->sample_index.clear();
}

class ShuffledSource : public StepSource {
 public:
  ShuffledSource(const Job& job, const Dataset* dataset, const LoaderOptions& options)
      : dataset_(dataset), options_(options), group_rows_(dataset->group_rows()), empty_(EmptyBatch(job)) {
    for (const FeatureConfig& feature : job.features()) {
      num_numeric_ += feature.has_numeric();
      if (!feature.has_numeric()) sparse_names_.push_back(feature.has_column() ? feature.column() : feature.name());
    }
  }

  Status StartEpoch(int64_t epoch, int64_t samples) override {
    epoch_ = epoch;
    EpochPlan plan = PlanShuffledEpoch(options_.seed, epoch, group_rows_, options_.streams);
    cursor_ = std::make_unique<TurnCursor>(plan.stream_rows, samples);
    own_.resize(options_.streams);
    for (int s = options_.worker; s < options_.streams; s += options_.num_workers) {
      WEIR_RETURN_IF_ERROR(
          StartStream(s, std::move(plan.streams[s]), plan.stream_rows[s], cursor_->taken_at_start()[s]));
    }
    return Status();
  }

  Status Fill(int64_t step_rows, Batch* out, std::vector<SkippedRow>* skipped) override {
    picks_.clear();
    for (int64_t i = 0; i < step_rows; ++i) {
      int s = cursor_->Next();
      if (s % options_.num_workers != options_.worker) continue;
      ShuffledStream& stream = own_[s];
      if (stream.next == stream.order.size()) {
        // What was picked of the block before must be copied before the block goes.
        WEIR_RETURN_IF_ERROR(Gather(out));
        WEIR_RETURN_IF_ERROR(LoadBlock(&stream));
      }
      int32_t row = stream.order[stream.next++];
      if (!stream.is_bad.empty() && stream.is_bad[row]) [[unlikely]] {
        auto bad = std::lower_bound(stream.bad.begin(), stream.bad.end(), row,
                                    [](const BadRow& b, int32_t wanted) { return b.row < wanted; });
        skipped->push_back(stream.bad_places[bad - stream.bad.begin()]);
        continue;
      }
      picks_.push_back({s, row});
      out->sample_index.push_back(i);
    }
    return Gather(out);
  }

 private:
  struct Pick {
    int32_t stream;  // index into own_
    int32_t row;     // of its block
  };

  Status StartStream(int s, std::vector<Piece> pieces, int64_t rows, int64_t taken) {
    ShuffledStream& stream = own_[s];
    stream.stream = s;
    stream.next_block = taken / options_.shuffle_rows;
    const int64_t before = stream.next_block * options_.shuffle_rows;
    stream.rows =
        std::make_unique<RowStream>(dataset_, std::move(pieces), std::min(kDecodeRows, options_.shuffle_rows));
    stream.rows_left = rows - before;
    stream.order.clear();
    stream.next = 0;
    WEIR_RETURN_IF_ERROR(stream.rows->Skip(before));
    if (taken == before) return Status();
    WEIR_RETURN_IF_ERROR(LoadBlock(&stream));
    stream.next = static_cast<size_t>(taken - before);
    return Status();
  }

  Status LoadBlock(ShuffledStream* stream) {
    const int64_t rows = std::min(options_.shuffle_rows, stream->rows_left);
    if (stream->block.sparse.size() != empty_.sparse.size()) stream->block = empty_;
    Clear(&stream->block);
    stream->bad.clear();
    stream->bad_places.clear();
    stream->is_bad.clear();
    WEIR_RETURN_IF_ERROR(
        AppendRows(*dataset_, stream->rows.get(), rows, &stream->block, &stream->bad, &stream->bad_places));
    if (!stream->bad.empty()) stream->is_bad.resize(rows);
    for (const BadRow& row : stream->bad) stream->is_bad[row.row] = 1;
    stream->single.clear();
    for (const Jagged& feature : stream->block.sparse) stream->single.push_back(HasOneKeyEach(feature));
    stream->order = PermuteBlock(options_.seed, epoch_, stream->stream, stream->next_block, rows);
    stream->next = 0;
    stream->rows_left -= rows;
    ++stream->next_block;
    return Status();
  }

  // Appends the picked rows to *out (but not their sample_index, which is there already).
  Status Gather(Batch* out) {
    const size_t n = picks_.size();
    if (n == 0) return Status();
    const size_t first = static_cast<size_t>(out->num_samples);
    out->labels.resize(first + n);
    out->weights.resize(first + n);
    out->numeric.resize((first + n) * num_numeric_);
    for (size_t i = 0; i < n; ++i) {
      const Batch& block = own_[picks_[i].stream].block;
      out->labels[first + i] = block.labels[picks_[i].row];
      out->weights[first + i] = block.weights[picks_[i].row];
      if (num_numeric_ > 0) {
        std::memcpy(out->numeric.data() + (first + i) * num_numeric_,
                    block.numeric.data() + static_cast<size_t>(picks_[i].row) * num_numeric_,
                    num_numeric_ * sizeof(float));
      }
    }
    out->num_samples += static_cast<int64_t>(n);
    for (size_t f = 0; f < out->sparse.size(); ++f) {
      WEIR_RETURN_IF_ERROR(GatherFeature(f, out->num_samples, &out->sparse[f]));
    }
    picks_.clear();
    return Status();
  }

  // rows: the samples of *out with those picked.
  Status GatherFeature(size_t f, int64_t rows, Jagged* out) {
    const bool single =
        std::all_of(own_.begin(), own_.end(), [&](const ShuffledStream& s) { return s.single.empty() || s.single[f]; });
    size_t values_after = out->values.size() + picks_.size();
    if (!single) {
      values_after = out->values.size();
      for (const Pick& pick : picks_) values_after += own_[pick.stream].block.sparse[f].sample(pick.row).size();
    }
    WEIR_RETURN_IF_ERROR(CheckValueCount(values_after, rows, sparse_names_[f]));
    if (!single) {
      for (const Pick& pick : picks_) {
        const Jagged& block = own_[pick.stream].block.sparse[f];
        auto values = block.sample(pick.row);
        out->values.insert(out->values.end(), values.begin(), values.end());
        const std::vector<float>& weights = block.weights;
        if (!weights.empty()) {
          out->weights.insert(out->weights.end(), weights.begin() + block.offsets[pick.row],
                              weights.begin() + block.offsets[pick.row + 1]);
        }
        out->EndSample();
      }
      return Status();
    }
    const size_t n = picks_.size();
    const size_t first_value = out->values.size();
    const size_t first_offset = out->offsets.size();
    out->values.resize(first_value + n);
    out->offsets.resize(first_offset + n);
    keys_of_.assign(own_.size(), nullptr);
    for (size_t s = 0; s < own_.size(); ++s) {
      if (f < own_[s].block.sparse.size()) keys_of_[s] = own_[s].block.sparse[f].values.data();
    }
    for (size_t i = 0; i < n; ++i) {
      out->values[first_value + i] = keys_of_[picks_[i].stream][picks_[i].row];
      out->offsets[first_offset + i] = static_cast<int32_t>(first_value + i + 1);
    }
    for (const Pick& pick : picks_) {
      const std::vector<float>& weights = own_[pick.stream].block.sparse[f].weights;
      if (weights.empty()) break;  // then no block has any
      out->weights.push_back(weights[pick.row]);
    }
    return Status();
  }

  const Dataset* const dataset_;
  const LoaderOptions options_;
  const GroupRows group_rows_;
  const Batch empty_;
  size_t num_numeric_ = 0;
  std::vector<std::string> sparse_names_;  // columns, by sparse feature
  int64_t epoch_ = 0;
  std::unique_ptr<TurnCursor> cursor_;
  std::vector<ShuffledStream> own_;       // by stream; those of other workers stay empty
  std::vector<const uint64_t*> keys_of_;  // of the feature being copied, one per stream
  std::vector<Pick> picks_;               // of the step so far, not yet copied
};

}  // namespace

std::unique_ptr<StepSource> MakeStepSource(const Job& job, const Dataset* dataset, const LoaderOptions& options) {
  if (options.shuffle) return std::make_unique<ShuffledSource>(job, dataset, options);
  return std::make_unique<OrderedSource>(dataset, options);
}

}  // namespace weir
