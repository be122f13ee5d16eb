#include "data_loader/step_source.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "batch/feature.h"
#include "data_loader/plan.h"
#include "data_loader/row_stream.h"

namespace weir {
namespace {

// Appends up to `rows` rows of the stream to *out; what was bad goes to *bad (by row of *out) with its place in
// *places.
Status AppendRows(const Dataset& dataset, RowStream* stream, int64_t rows, KeptKeys* kept, Batch* out,
                  std::vector<BadRow>* bad, std::vector<FileBadRow>* places) {
  while (rows > 0) {
    StreamRows read;
    WEIR_ASSIGN_OR_RETURN(bool more, stream->Next(rows, &read));
    if (!more) return Internal(fmt::format("a stream of the plan ended {} rows early", rows));
    const int64_t first = out->num_samples;
    const size_t bad_before = bad->size();
    Status status = dataset.extractor(read.file).Extract(*read.rows, out, bad, kept);
    if (!status.ok()) return status.Wrap(dataset.file(read.file).path());
    for (size_t b = bad_before; b < bad->size(); ++b) {
      const int64_t row = (*bad)[b].row;
      places->push_back({&dataset.file(read.file).path(), (*bad)[b], std::string()});
      places->back().fault.row = read.first_row + row - first;
      if (!out->ids.empty()) places->back().id = out->ids[row];
    }
    rows -= out->num_samples - first;
  }
  return Status();
}

class OrderedSource : public StepSource {
 public:
  OrderedSource(const Dataset* dataset, const LoaderOptions& options) : dataset_(dataset), options_(options) {}

  Status StartEpoch(int64_t, int64_t samples) override {
    stream_ = std::make_unique<RowStream>(dataset_, PlanOrderedEpoch(dataset_->group_rows()).streams[0],
                                          options_.decode_rows, /*dictionaries=*/true);
    return stream_->Skip(samples);
  }

  Status Fill(int64_t step_rows, Batch* out, std::vector<FileBadRow>* bad) override {
    const int64_t begin = step_rows * options_.worker / options_.num_workers;
    const int64_t end = step_rows * (options_.worker + 1) / options_.num_workers;
    WEIR_RETURN_IF_ERROR(stream_->Skip(begin));
    std::vector<BadRow> bad_in_batch;
    WEIR_RETURN_IF_ERROR(AppendRows(*dataset_, stream_.get(), end - begin, &kept_, out, &bad_in_batch, bad));
    out->sample_index.resize(out->num_samples);
    std::iota(out->sample_index.begin(), out->sample_index.end(), begin);
    RemoveRows(bad_in_batch, out);
    return stream_->Skip(step_rows - end);
  }

 private:
  const Dataset* const dataset_;
  const LoaderOptions options_;
  std::unique_ptr<RowStream> stream_;
  KeptKeys kept_;
};

// The rows of one stream: a block that is permuted and given out, and the next one, which is decoded meanwhile.
struct ShuffledStream {
  std::unique_ptr<RowStream> rows;
  int64_t stream = 0;
  int64_t rows_left = 0;                   // not yet in `block`
  int64_t next_block = 0;                  // the first of those in `coming`
  Batch block;                             // in the order in which its rows are given out
  std::vector<uint8_t> single;             // one per sparse feature: each row of the block has exactly one key
  std::map<int64_t, FileBadRow> bad_rows;  // by row of the block
  int64_t next = 0;                        // row of the block
  KeptKeys kept;
  Batch coming;  // in the order of the stream
  std::vector<BadRow> coming_bad;
  std::vector<FileBadRow> coming_places;  // one per bad row
  Status coming_status;                   // an error counts once its rows' turn has come
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
  batch->ids.Clear();
}

int64_t OwnStreams(const LoaderOptions& options) {
  return (options.streams - options.worker + options.num_workers - 1) / options.num_workers;
}

// Rows decoded for a stream at a time: one block of shuffle_rows, or several small ones, as long as those of all the
// worker's streams stay within what 16 streams take.
int64_t BlockRows(const LoaderOptions& options) {
  constexpr int64_t kStreams = 16;
  const int64_t rows_max = options.decode_rows * kStreams / std::max(kStreams, OwnStreams(options));
  return std::max<int64_t>(1, rows_max / options.shuffle_rows) * options.shuffle_rows;
}

class ShuffledSource : public StepSource {
 public:
  ShuffledSource(const Job& job, const Dataset* dataset, const LoaderOptions& options)
      : dataset_(dataset),
        options_(options),
        group_rows_(dataset->group_rows()),
        block_rows_(BlockRows(options)),
        empty_(EmptyBatch(job)) {
    for (const FeatureConfig& feature : job.features()) {
      if (feature.has_numeric()) num_numeric_ += NumericColumnsOf(feature.numeric());
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

  Status Fill(int64_t step_rows, Batch* out, std::vector<FileBadRow>* bad) override {
    picks_.clear();
    for (int64_t i = 0; i < step_rows; ++i) {
      int s = cursor_->Next();
      if (s % options_.num_workers != options_.worker) continue;
      ShuffledStream& stream = own_[s];
      if (stream.next == stream.block.num_samples) {
        // What was picked of the block before must be copied before the block goes.
        WEIR_RETURN_IF_ERROR(Gather(out));
        WEIR_RETURN_IF_ERROR(LoadBlock(&stream));
      }
      const auto row = static_cast<int32_t>(stream.next++);
      if (!stream.bad_rows.empty()) [[unlikely]] {
        if (auto found = stream.bad_rows.find(row); found != stream.bad_rows.end()) {
          bad->push_back(found->second);
          if (!found->second.fault.is_kept()) continue;
        }
      }
      picks_.push_back({s, row});
      out->sample_index.push_back(i);
    }
    WEIR_RETURN_IF_ERROR(Gather(out));
    DecodeComing();
    return Status();
  }

 private:
  struct Pick {
    int32_t source;  // index into the blocks picked from
    int32_t row;
  };
  // Of one gather.
  struct Sources {
    std::vector<const Batch*> blocks;  // null: nothing is picked from it
    std::vector<const std::vector<uint8_t>*> single;
  };

  Status StartStream(int s, std::vector<Piece> pieces, int64_t rows, int64_t taken) {
    ShuffledStream& stream = own_[s];
    stream = ShuffledStream();
    stream.block = stream.coming = empty_;
    stream.stream = s;
    stream.next_block = taken / options_.shuffle_rows;
    const int64_t before = stream.next_block * options_.shuffle_rows;
    stream.rows = std::make_unique<RowStream>(dataset_, std::move(pieces), std::min(options_.decode_rows, block_rows_),
                                              /*dictionaries=*/true);
    stream.rows_left = rows - before;
    WEIR_RETURN_IF_ERROR(stream.rows->Skip(before));
    if (taken == before) return Status();
    WEIR_RETURN_IF_ERROR(LoadBlock(&stream));
    stream.next = taken - before;
    return Status();
  }

  // Rows of the stream's next block.
  int64_t ComingRows(const ShuffledStream& stream) const { return std::min(block_rows_, stream.rows_left); }

  // Up to `rows` more rows of the stream's next block.
  void Decode(int64_t rows, ShuffledStream* stream) {
    rows = std::min(rows, ComingRows(*stream) - stream->coming.num_samples);
    if (!stream->coming_status.ok()) return;
    stream->coming_status = AppendRows(*dataset_, stream->rows.get(), rows, &stream->kept, &stream->coming,
                                       &stream->coming_bad, &stream->coming_places);
  }

  // The next blocks of all streams are decoded as the rows of these go out, one stream after the other: read at once,
  // when all blocks end in the same step, they would stop the training for as long as their rows are trained.
  void DecodeComing() {
    const int64_t chunk = std::min(options_.decode_rows, block_rows_);
    const int64_t own_streams = OwnStreams(options_);
    for (int64_t k = 0; k < own_streams; ++k) {
      ShuffledStream& stream = own_[options_.worker + k * options_.num_workers];
      if (stream.next >= stream.coming.num_samples + k * chunk / own_streams) Decode(chunk, &stream);
    }
  }

  // The next block, whole and permuted, takes the place of this one.
  Status LoadBlock(ShuffledStream* stream) {
    Decode(block_rows_, stream);
    WEIR_RETURN_IF_ERROR(stream->coming_status);
    const int64_t rows = stream->coming.num_samples;
    picks_.clear();
    for (int64_t begin = 0; begin < rows; begin += options_.shuffle_rows) {
      const int64_t part = std::min(options_.shuffle_rows, rows - begin);
      for (const int32_t row : PermuteBlock(options_.seed, epoch_, stream->stream, stream->next_block++, part)) {
        picks_.push_back({0, static_cast<int32_t>(begin) + row});
      }
    }
    stream->bad_rows.clear();
    if (!stream->coming_bad.empty()) PlaceBadRows(stream);
    stream->single.clear();
    for (const Jagged& feature : stream->coming.sparse) stream->single.push_back(HasOneKeyEach(feature));
    Clear(&stream->block);
    WEIR_RETURN_IF_ERROR(GatherFrom({{&stream->coming}, {&stream->single}}, &stream->block));
    Clear(&stream->coming);
    stream->coming_bad.clear();
    stream->coming_places.clear();
    stream->next = 0;
    stream->rows_left -= rows;
    return Status();
  }

  // By their places among picks_, the order of the block to be.
  void PlaceBadRows(ShuffledStream* stream) const {
    std::map<int64_t, const FileBadRow*> places;
    for (size_t b = 0; b < stream->coming_bad.size(); ++b) {
      places[stream->coming_bad[b].row] = &stream->coming_places[b];
    }
    for (size_t i = 0; i < picks_.size(); ++i) {
      if (auto bad = places.find(picks_[i].row); bad != places.end()) stream->bad_rows[i] = *bad->second;
    }
  }

  // Appends the picked rows of the streams' blocks to *out (but not their sample_index, which is there already).
  Status Gather(Batch* out) {
    Sources sources;
    for (const ShuffledStream& stream : own_) {
      sources.blocks.push_back(stream.rows ? &stream.block : nullptr);
      sources.single.push_back(&stream.single);
    }
    return GatherFrom(sources, out);
  }

  Status GatherFrom(const Sources& sources, Batch* out) {
    const size_t n = picks_.size();
    if (n == 0) return Status();
    const size_t first = static_cast<size_t>(out->num_samples);
    out->labels.resize(first + n);
    out->weights.resize(first + n);
    out->numeric.resize((first + n) * num_numeric_);
    for (size_t i = 0; i < n; ++i) {
      const Batch& block = *sources.blocks[picks_[i].source];
      out->labels[first + i] = block.labels[picks_[i].row];
      out->weights[first + i] = block.weights[picks_[i].row];
      if (num_numeric_ > 0) {
        std::memcpy(out->numeric.data() + (first + i) * num_numeric_,
                    block.numeric.data() + static_cast<size_t>(picks_[i].row) * num_numeric_,
                    num_numeric_ * sizeof(float));
      }
    }
    for (const Pick& pick : picks_) {
      const SampleIds& ids = sources.blocks[pick.source]->ids;
      if (ids.empty()) break;  // then no block has any
      out->ids.Append(ids[pick.row]);
    }
    out->num_samples += static_cast<int64_t>(n);
    for (size_t f = 0; f < out->sparse.size(); ++f) {
      WEIR_RETURN_IF_ERROR(GatherFeature(sources, f, out->num_samples, &out->sparse[f]));
    }
    picks_.clear();
    return Status();
  }

  // rows: the samples of *out with those picked.
  Status GatherFeature(const Sources& sources, size_t f, int64_t rows, Jagged* out) {
    const bool single = std::all_of(sources.single.begin(), sources.single.end(),
                                    [&](const std::vector<uint8_t>* of) { return of->empty() || (*of)[f]; });
    size_t values_after = out->values.size() + picks_.size();
    if (!single) {
      values_after = out->values.size();
      for (const Pick& pick : picks_) values_after += sources.blocks[pick.source]->sparse[f].sample(pick.row).size();
    }
    WEIR_RETURN_IF_ERROR(CheckValueCount(values_after, rows, sparse_names_[f]));
    if (single) {
      GatherSingle(sources, f, out);
    } else {
      GatherLists(sources, f, out);
    }
    return Status();
  }

  void GatherLists(const Sources& sources, size_t f, Jagged* out) const {
    for (const Pick& pick : picks_) {
      const Jagged& block = sources.blocks[pick.source]->sparse[f];
      auto values = block.sample(pick.row);
      out->values.insert(out->values.end(), values.begin(), values.end());
      const std::vector<float>& weights = block.weights;
      if (!weights.empty()) {
        out->weights.insert(out->weights.end(), weights.begin() + block.offsets[pick.row],
                            weights.begin() + block.offsets[pick.row + 1]);
      }
      out->EndSample();
    }
  }

  // One key of each row.
  void GatherSingle(const Sources& sources, size_t f, Jagged* out) {
    const size_t n = picks_.size();
    const size_t first_value = out->values.size();
    const size_t first_offset = out->offsets.size();
    out->values.resize(first_value + n);
    out->offsets.resize(first_offset + n);
    keys_of_.assign(sources.blocks.size(), nullptr);
    for (size_t s = 0; s < sources.blocks.size(); ++s) {
      if (sources.blocks[s] != nullptr) keys_of_[s] = sources.blocks[s]->sparse[f].values.data();
    }
    for (size_t i = 0; i < n; ++i) {
      out->values[first_value + i] = keys_of_[picks_[i].source][picks_[i].row];
      out->offsets[first_offset + i] = static_cast<int32_t>(first_value + i + 1);
    }
    for (const Pick& pick : picks_) {
      const std::vector<float>& weights = sources.blocks[pick.source]->sparse[f].weights;
      if (weights.empty()) break;  // then no block has any
      out->weights.push_back(weights[pick.row]);
    }
  }

  const Dataset* const dataset_;
  const LoaderOptions options_;
  const GroupRows group_rows_;
  const int64_t block_rows_;  // decoded for a stream at a time: blocks of shuffle_rows, several if these are small
  const Batch empty_;
  size_t num_numeric_ = 0;                 // columns
  std::vector<std::string> sparse_names_;  // columns, by sparse feature
  int64_t epoch_ = 0;
  std::unique_ptr<TurnCursor> cursor_;
  std::vector<ShuffledStream> own_;       // by stream; those of other workers stay empty
  std::vector<const uint64_t*> keys_of_;  // of the feature being copied, one per source
  std::vector<Pick> picks_;               // to be copied: of the step so far, or of a block
};

}  // namespace

std::unique_ptr<StepSource> MakeStepSource(const Job& job, const Dataset* dataset, const LoaderOptions& options) {
  if (options.shuffle) return std::make_unique<ShuffledSource>(job, dataset, options);
  return std::make_unique<OrderedSource>(dataset, options);
}

}  // namespace weir
