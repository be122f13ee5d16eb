#include "embeddings/owned_table.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "embeddings/bfloat16.h"
#include "embeddings/dim_dispatch.h"

namespace weir {
namespace {

std::vector<float> InitialState(const RowLayout& layout) {
  std::vector<float> state;
  for (const StateColumn& column : layout.state) state.insert(state.end(), column.width, column.initial);
  return state;
}

bool IsBfloat16(const RowLayout& layout) { return layout.weight_type == TableConfig::BFLOAT16; }

}  // namespace

struct OwnedTable::Step {
  int64_t step;
  std::span<const uint64_t> keys;
  const float* gradients;
  const uint32_t* workers;

  uint32_t pushes(size_t i) const { return workers == nullptr ? 1 : workers[i]; }
};

OwnedTable::OwnedTable(const TableSpec& spec, int virtual_shards, TableMemory* memory)
    : spec_(spec),
      virtual_shards_(virtual_shards),
      table_(spec.layout, virtual_shards, memory),
      policy_(spec.name, spec.limits, spec.layout, spec.seed, virtual_shards, &table_),
      initializer_(MakeRowInitializer(spec.initializer, spec.layout.dim, spec.seed)),
      optimizer_(MakeRowOptimizer(spec.layout, spec.optimizer, spec.seed)),
      initial_state_(InitialState(spec.layout)),
      not_admitted_weights_(WeightsWithoutRow(spec)) {}

OwnedTable::~OwnedTable() = default;

void OwnedTable::ReadWeights(const void* weights, float* to) const {
  const int dim = spec_.layout.dim;
  if (IsBfloat16(spec_.layout)) return LoadBfloat16(weights, dim, to);
  std::memcpy(to, weights, dim * sizeof(float));
}

void OwnedTable::WriteWeights(const float* from, void* weights) const {
  const int dim = spec_.layout.dim;
  if (IsBfloat16(spec_.layout)) return StoreBfloat16(from, dim, weights);
  std::memcpy(weights, from, dim * sizeof(float));
}

void OwnedTable::InitialWeights(uint64_t key, float* to) const {
  initializer_->Initialize(key, to);
  if (!IsBfloat16(spec_.layout)) return;
  for (int c = 0; c < spec_.layout.dim; ++c) to[c] = Bfloat16ToFloat(NearestBfloat16(to[c]));
}

void OwnedTable::SetDisk(DiskRows* disk, int disk_table, int64_t rows_max) {
  cache_ = std::make_unique<RowCache>(spec_.layout, virtual_shards_, rows_max, &table_, disk, disk_table);
}

void OwnedTable::AddDiskStats(TableStats* stats) const {
  if (!cache_) return;
  stats->memory_hits += cache_->memory_hits();
  stats->disk_hits += cache_->disk_hits();
  stats->disk_rows += cache_->disk_rows();
  stats->disk_bytes += cache_->disk_bytes();
}

Status OwnedTable::Pull(int64_t step, PullKind kind, std::span<const uint64_t> keys, float* rows, FoundRows* found) {
  rows_.resize(keys.size());
  missing_.clear();
  const bool bfloat16 = IsBfloat16(spec_.layout);
  const bool await = cache_ && kind == PullKind::kTraining;
  const bool all_initial = !cache_ && not_admitted_weights_.empty();
  DispatchDim(spec_.layout.dim, [&](auto dim) {
    const Table::Visit copy = [&](size_t begin, size_t size) {
      for (size_t i = begin; i < begin + size; ++i) {
        float* __restrict to = rows + i * dim;
        if (rows_[i] == kNoRow) {
          if (all_initial) {
            InitialWeights(keys[i], to);
          } else {
            missing_.push_back(static_cast<uint32_t>(i));
          }
          continue;
        }
        if (await) cache_->Await(rows_[i]);
        if (bfloat16) {
          LoadBfloat16(table_.weights(rows_[i]), dim, to);
        } else {
          const auto* __restrict from = static_cast<const float*>(table_.weights(rows_[i]));
          for (int c = 0; c < dim; ++c) to[c] = from[c];
        }
      }
    };
    table_.Find(keys, rows_.data(), Table::Touch::kWeights, &copy);
  });
  if (found != nullptr) *found = cache_ ? FoundRows() : FoundRows{rows_, table_.num_erased()};
  if (cache_) return PullMissing(step, kind, keys, rows);
  PullNew(step, kind, keys, missing_, rows);
  return Status();
}

void OwnedTable::PullNew(int64_t step, PullKind kind, std::span<const uint64_t> keys, std::span<const uint32_t> places,
                         float* rows) {
  if (places.empty()) return;
  missing_keys_.clear();
  for (uint32_t place : places) missing_keys_.push_back(keys[place]);
  bool* initial = Flags(places.size());
  if (kind == PullKind::kTraining) {
    policy_.WouldAdmit(step, missing_keys_, initial);
  } else {
    std::fill_n(initial, places.size(), false);
  }
  const int64_t dim = spec_.layout.dim;
  for (size_t i = 0; i < places.size(); ++i) {
    float* to = rows + places[i] * dim;
    if (initial[i] || not_admitted_weights_.empty()) {
      InitialWeights(missing_keys_[i], to);
    } else {
      std::copy(not_admitted_weights_.begin(), not_admitted_weights_.end(), to);
    }
  }
}

bool* OwnedTable::Flags(size_t n) {
  if (n > flags_size_) {
    flags_size_ = std::max(n, 2 * flags_size_);
    flags_ = std::make_unique<bool[]>(flags_size_);
  }
  return flags_.get();
}

Status OwnedTable::PullMissing(int64_t step, PullKind kind, std::span<const uint64_t> keys, float* rows) {
  const int64_t dim = spec_.layout.dim;
  size_t still_missing = 0;
  for (size_t begin = 0; begin < missing_.size(); begin += cache_->fetch_rows_max()) {
    const auto places = std::span(missing_).subspan(begin, std::min(cache_->fetch_rows_max(), missing_.size() - begin));
    missing_keys_.clear();
    for (uint32_t place : places) missing_keys_.push_back(keys[place]);
    missing_rows_.assign(places.size(), kNoRow);
    fetched_.assign(places.size(), 0);
    if (kind == PullKind::kTraining) {
      WEIR_RETURN_IF_ERROR(cache_->Fetch(missing_keys_, missing_rows_.data()));
    } else {
      WEIR_RETURN_IF_ERROR(cache_->Read(missing_keys_, [&](size_t i, const DiskRow& row) {
        ReadWeights(row.weights, rows + places[i] * dim);
        fetched_[i] = 1;
      }));
    }
    for (size_t i = 0; i < places.size(); ++i) {
      if (missing_rows_[i] != kNoRow) {
        ReadWeights(table_.weights(missing_rows_[i]), rows + places[i] * dim);
      } else if (fetched_[i] == 0) {
        missing_[still_missing++] = places[i];
      }
    }
  }
  PullNew(step, kind, keys, std::span(missing_).first(still_missing), rows);
  return Status();
}

Status OwnedTable::Prefetch(std::span<const uint64_t> keys) {
  if (!cache_) return Status();
  rows_.resize(keys.size());
  table_.Find(keys, rows_.data(), Table::Touch::kWeights);
  missing_keys_.clear();
  for (size_t i = 0; i < keys.size(); ++i) {
    if (rows_[i] == kNoRow) {
      missing_keys_.push_back(keys[i]);
    } else {
      cache_->Await(rows_[i]);
    }
  }
  const auto missing = std::span<const uint64_t>(missing_keys_);
  for (size_t begin = 0; begin < missing.size(); begin += cache_->fetch_rows_max()) {
    const auto part = missing.subspan(begin, std::min(cache_->fetch_rows_max(), missing.size() - begin));
    missing_rows_.resize(part.size());
    WEIR_RETURN_IF_ERROR(cache_->Fetch(part, missing_rows_.data()));
  }
  return Status();
}

Status OwnedTable::Train(int64_t step_number, std::span<const uint64_t> keys, const float* gradients,
                         const uint32_t* workers, const FoundRows* found) {
  const Step step = {step_number, keys, gradients, workers};
  optimizer_->BeginStep(step_number);
  missing_.clear();
  const Table::Visit train = [&](size_t begin, size_t size) {
    // Runs of rows that are there: their gradients lie side by side.
    size_t run = begin;
    for (size_t i = begin; i < begin + size; ++i) {
      if (rows_[i] != kNoRow) continue;
      TrainFound(step, run, i);
      missing_.push_back(static_cast<uint32_t>(i));
      run = i + 1;
    }
    TrainFound(step, run, begin + size);
  };
  if (found != nullptr) {
    rows_ = found->rows;
    table_.VisitRows(rows_, Table::Touch::kWeightsAndRecord, train);
  } else {
    rows_.resize(keys.size());
    table_.Find(keys, rows_.data(), Table::Touch::kWeightsAndRecord, &train);
  }
  // Some may have got rows since the pull; and where the others' keys belong is in the cache then.
  if ((cache_ || found != nullptr) && !missing_.empty()) WEIR_RETURN_IF_ERROR(TrainMissing(step));
  if (policy_.limits_rows() && !missing_.empty()) TakeNew(step);
  return missing_.empty() ? Status() : MakeRows(step, missing_);
}

void OwnedTable::TakeNew(const Step& step) {
  missing_keys_.clear();
  pushes_.clear();
  for (uint32_t place : missing_) {
    missing_keys_.push_back(step.keys[place]);
    pushes_.push_back(step.pushes(place));
  }
  bool* taken = Flags(missing_.size());
  policy_.TakeNew(step.step, missing_keys_, pushes_.data(), taken);
  size_t kept = 0;
  for (size_t i = 0; i < missing_.size(); ++i) {
    if (taken[i]) missing_[kept++] = missing_[i];
  }
  missing_.resize(kept);
}

// The row of the step's i-th key, which is about to be trained.
RowRef OwnedTable::RefTo(const Step& step, size_t i, uint32_t row) {
  RowRecord* record = table_.record(row);
  record->set_last_step(step.step);
  record->set_count(record->count() + step.pushes(i));
  if (cache_) cache_->Trained(row);
  return {table_.weights(row), record->state(), step.keys[i]};
}

// Trains keys [begin, end) of the step, whose rows are in rows_.
void OwnedTable::TrainFound(const Step& step, size_t begin, size_t end) {
  if (begin == end) return;
  refs_.resize(end - begin);
  for (size_t i = begin; i < end; ++i) {
    refs_[i - begin] = RefTo(step, i, rows_[i]);
  }
  optimizer_->Update(refs_, step.gradients + begin * spec_.layout.dim);
}

void OwnedTable::TrainRefs(const Step& step, std::span<const uint32_t> places) {
  const int dim = spec_.layout.dim;
  missing_gradients_.resize(places.size() * dim);
  for (size_t i = 0; i < places.size(); ++i) {
    std::copy_n(step.gradients + size_t{places[i]} * dim, dim, missing_gradients_.data() + i * dim);
  }
  optimizer_->Update(refs_, missing_gradients_.data());
}

// Trains those of the keys at missing_ that have rows by now, on disk or (without one) in memory; the others stay
// there, ascending.
Status OwnedTable::TrainMissing(const Step& step) {
  size_t still_missing = 0;
  const size_t part = cache_ ? cache_->fetch_rows_max() : missing_.size();
  for (size_t begin = 0; begin < missing_.size(); begin += part) {
    const size_t n = std::min(part, missing_.size() - begin);
    missing_keys_.clear();
    for (size_t i = begin; i < begin + n; ++i) missing_keys_.push_back(step.keys[missing_[i]]);
    missing_rows_.resize(n);
    if (cache_) {
      WEIR_RETURN_IF_ERROR(cache_->Fetch(missing_keys_, missing_rows_.data()));
    } else {
      table_.Find(missing_keys_, missing_rows_.data(), Table::Touch::kWeightsAndRecord);
    }
    fetched_.clear();
    refs_.clear();
    for (size_t i = 0; i < n; ++i) {
      const uint32_t place = missing_[begin + i];
      if (missing_rows_[i] == kNoRow) {
        missing_[still_missing++] = place;
        continue;
      }
      refs_.push_back(RefTo(step, place, missing_rows_[i]));
      fetched_.push_back(place);
    }
    TrainRefs(step, fetched_);
  }
  missing_.resize(still_missing);
  return Status();
}

// Makes rows for the keys of the step that have none, and trains them. missing: their places, ascending.
Status OwnedTable::MakeRows(const Step& step, std::span<const uint32_t> missing) {
  for (size_t begin = 0; begin < missing.size(); begin += Table::kBatch) {
    const size_t n = std::min(Table::kBatch, missing.size() - begin);
    if (cache_) WEIR_RETURN_IF_ERROR(cache_->MakeRoom(static_cast<int64_t>(n)));
    refs_.resize(n);
    for (size_t i = 0; i < n; ++i) {
      const uint32_t at = missing[begin + i];
      const uint32_t row = table_.Insert(step.keys[at]);
      if (row == kNoRow) {
        return InvalidArgument(fmt::format("table {}, step {}: expected each key once in a push, found key {} twice",
                                           spec_.name, step.step, step.keys[at]));
      }
      if (cache_) cache_->Inserted(row);
      InitializeRow(step.keys[at], row);
      RowRecord* record = table_.record(row);
      record->set_last_step(step.step);
      record->set_count(step.pushes(at));
      refs_[i] = {table_.weights(row), record->state(), step.keys[at]};
    }
    TrainRefs(step, missing.subspan(begin, n));
  }
  return Status();
}

void OwnedTable::InitializeRow(uint64_t key, uint32_t row) {
  if (IsBfloat16(spec_.layout)) {
    initial_weights_.resize(spec_.layout.dim);
    InitialWeights(key, initial_weights_.data());
    WriteWeights(initial_weights_.data(), table_.weights(row));
  } else {
    initializer_->Initialize(key, static_cast<float*>(table_.weights(row)));
  }
  std::copy(initial_state_.begin(), initial_state_.end(), table_.record(row)->state());
}

Status OwnedTable::Scan(int shard_begin, int shard_end, int64_t rows_max,
                        const std::function<Status(const RowBlock&)>& visit) const {
  const int dim = spec_.layout.dim;
  const int state_width = spec_.layout.state_width();
  std::vector<uint64_t> keys, counts;
  std::vector<int64_t> last_steps;
  std::vector<float> values;
  auto flush = [&]() -> Status {
    if (keys.empty()) return Status();
    const RowBlock block = {static_cast<int64_t>(keys.size()), keys.data(), last_steps.data(), counts.data(),
                            values.data()};
    Status status = visit(block);
    keys.clear(), counts.clear(), last_steps.clear(), values.clear();
    return status;
  };
  auto add = [&](const DiskRow& row) {
    keys.push_back(row.key);
    last_steps.push_back(row.last_step);
    counts.push_back(row.count);
    values.resize(values.size() + dim + state_width);
    float* to = values.data() + values.size() - dim - state_width;
    ReadWeights(row.weights, to);
    std::memcpy(to + dim, row.state, state_width * sizeof(float));
    return static_cast<int64_t>(keys.size()) == rows_max ? flush() : Status();
  };
  for (int shard = shard_begin; shard < shard_end; ++shard) {
    WEIR_RETURN_IF_ERROR(cache_ ? cache_->Scan(shard, add) : ForEachInShard(shard, add));
  }
  return flush();
}

// Without a disk: visit(row) for the rows of a virtual shard by ascending key.
template <typename Visit>
Status OwnedTable::ForEachInShard(int virtual_shard, Visit&& visit) const {
  // Far enough ahead that a row has come when its turn is.
  constexpr size_t kAhead = 16;
  std::vector<KeyIndex::Entry> entries;
  table_.ShardEntries(virtual_shard, &entries);
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i + kAhead < entries.size()) table_.Prefetch(entries[i + kAhead].row);
    const auto [key, row] = entries[i];
    const RowRecord* record = table_.record(row);
    WEIR_RETURN_IF_ERROR(
        visit(DiskRow{key, record->last_step(), record->count(), table_.weights(row), record->state()}));
  }
  return Status();
}

Status OwnedTable::Load(const RowBlock& block) {
  const int dim = spec_.layout.dim;
  const int state_width = spec_.layout.state_width();
  uint32_t rows[Table::kBatch];
  bool inserted[Table::kBatch], on_disk[Table::kBatch];
  for (int64_t begin = 0; begin < block.num_rows; begin += Table::kBatch) {
    const int64_t n = std::min<int64_t>(Table::kBatch, block.num_rows - begin);
    const std::span<const uint64_t> keys(block.keys + begin, n);
    std::fill_n(on_disk, n, false);
    if (cache_) {
      WEIR_RETURN_IF_ERROR(cache_->MakeRoom(n));
      WEIR_RETURN_IF_ERROR(cache_->Read(keys, [&](size_t i, const DiskRow&) { on_disk[i] = true; }));
    }
    table_.FindOrInsert(keys, rows, inserted);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t at = begin + i;
      if (!inserted[i] || on_disk[i]) {
        return AlreadyExists(
            fmt::format("table {}: expected each key once, found key {} a second time", spec_.name, block.keys[at]));
      }
      RowRecord* record = table_.record(rows[i]);
      record->set_last_step(block.last_steps[at]);
      record->set_count(block.counts[at]);
      if (cache_) cache_->Inserted(rows[i]);
      const float* values = block.values + at * (dim + state_width);
      WriteWeights(values, table_.weights(rows[i]));
      std::copy_n(values + dim, state_width, record->state());
    }
  }
  return Status();
}

}  // namespace weir
