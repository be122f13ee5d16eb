#include "data_loader/sampling/sampler.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/random.h"
#include "data_loader/columns/sparse_column.h"
#include "data_loader/extractor.h"

namespace weir {
namespace {

constexpr int kTries = 16;

Result<AliasTable> PopularItems(const ItemPool& pool, double exponent) {
  std::vector<double> weights(pool.counts.size());
  double sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) sum += weights[i] = std::pow(pool.counts[i], exponent);
  if (sum > 0 && std::isfinite(sum)) return AliasTable(weights);
  return InvalidArgument(fmt::format("expected counts whose powers have a sum above 0, found {}", sum));
}

// The item's feature f, in the batch that the item is from.
int Index(const ItemFeature& feature, const Batch* from, const ItemPool& pool) {
  return from == &pool.items ? feature.in_pool : feature.in_batch;
}

}  // namespace

Result<std::unique_ptr<Sampler>> Sampler::Open(const Job& job, const SourceConfig& source,
                                               const FeatureExtractor& samples, uint64_t seed) {
  const SamplingConfig& config = source.sampling();
  std::unique_ptr<Sampler> made;
  if (config.keep_negatives() == 1 && !config.has_negatives()) return made;
  made.reset(new Sampler());
  made->seed_ = seed;
  made->keep_negatives_ = config.keep_negatives();
  if (!config.has_negatives()) return made;
  const NegativesConfig& negatives = made->negatives_ = config.negatives();
  made->made_max_ = int64_t{negatives.uniform()} + negatives.popular() + negatives.in_batch() + negatives.hard();
  auto pool = ReadItemPool(job, source, negatives, samples);
  if (!pool.ok()) return pool.status().Wrap("sampling.negatives.pool");
  made->pool_ = std::move(pool).value();
  if (negatives.popular() > 0) {
    auto popular = PopularItems(made->pool_, negatives.exponent());
    if (!popular.ok()) return popular.status().Wrap("sampling.negatives.popular");
    made->popular_ = std::move(popular).value();
  }
  if (negatives.hard() > 0) {
    auto hard = HardItems::Read(job, negatives, made->pool_, samples);
    if (!hard.ok()) return hard.status().Wrap("sampling.negatives.hard_items");
    made->hard_ = std::move(hard).value();
  }
  int sparse = 0;
  for (const FeatureConfig& feature : job.features()) {
    const auto& except = negatives.except();
    if (std::find(except.begin(), except.end(), feature.name()) != except.end()) made->except_.push_back(sparse);
    sparse += !feature.has_numeric();
  }
  return made;
}

Status Sampler::Apply(int64_t epoch, int64_t first_sample, Batch* batch) const {
  if (keep_negatives_ < 1) DropNegatives(epoch, first_sample, batch);
  return made_max_ > 0 ? AddNegatives(epoch, first_sample, batch) : Status();
}

void Sampler::DropNegatives(int64_t epoch, int64_t first_sample, Batch* batch) const {
  std::vector<uint8_t> dropped(batch->num_samples);
  for (int64_t i = 0; i < batch->num_samples; ++i) {
    const uint64_t bits = RandomBits(seed_, RandomPurpose::kKeepNegative, epoch, first_sample + batch->sample_index[i]);
    dropped[i] = batch->labels[i] == 0 && UnitDouble(bits) >= keep_negatives_;
  }
  RemoveRows(dropped, batch);
}

template <typename DrawItem>
std::optional<Sampler::Item> Sampler::DrawOther(uint64_t seed, int64_t number, std::span<const uint64_t> not_these,
                                                const DrawItem& draw) const {
  for (int attempt = 0; attempt < kTries; ++attempt) {
    const std::optional<Item> item = draw(RandomBits(seed, RandomPurpose::kNegative, number, attempt));
    if (!item) return item;
    if (std::find(not_these.begin(), not_these.end(), item->id) == not_these.end()) return item;
  }
  return std::nullopt;
}

void Sampler::MakeOf(int64_t base, uint64_t seed, const Batch& batch, std::span<const int64_t> candidates,
                     std::vector<Made>* made) const {
  const Jagged& ids = batch.sparse[pool_.id_in_batch];
  std::vector<uint64_t> not_these(ids.sample(base).begin(), ids.sample(base).end());
  for (const int f : except_) {
    const std::span<const uint64_t> seen = batch.sparse[f].sample(base);
    not_these.insert(not_these.end(), seen.begin(), seen.end());
  }
  const auto of_pool = [&](uint32_t item) { return Item{&pool_.items, item, pool_.id_of(item)}; };
  const auto uniform = [&](uint64_t bits) {
    return std::optional(of_pool(static_cast<uint32_t>(BoundedIndex(bits, pool_.counts.size()))));
  };
  const auto popular = [&](uint64_t bits) { return std::optional(of_pool(popular_->Draw(bits))); };
  const auto in_batch = [&](uint64_t bits) -> std::optional<Item> {
    if (candidates.empty()) return std::nullopt;
    const int64_t row = candidates[BoundedIndex(bits, candidates.size())];
    return Item{&batch, row, ids.sample(row)[0]};
  };
  std::span<const uint32_t> hard_list;
  if (hard_ && batch.sparse[hard_->by()].sample(base).size() == 1) {
    hard_list = hard_->Of(batch.sparse[hard_->by()].sample(base)[0]);
  }
  const auto hard = [&](uint64_t bits) {
    return hard_list.empty() ? uniform(bits) : std::optional(of_pool(hard_list[BoundedIndex(bits, hard_list.size())]));
  };
  int64_t number = 0;
  const auto make = [&](int times, const auto& draw) {
    for (int i = 0; i < times; ++i) {
      const std::optional<Item> item = DrawOther(seed, ++number, not_these, draw);
      if (item) made->push_back({base, item->from, item->row, number});
    }
  };
  make(negatives_.uniform(), uniform);
  make(negatives_.popular(), popular);
  make(negatives_.in_batch(), in_batch);
  make(negatives_.hard(), hard);
}

Status Sampler::AddNegatives(int64_t epoch, int64_t first_sample, Batch* batch) const {
  if (batch->num_samples == 0) return Status();
  const Jagged& ids = batch->sparse[pool_.id_in_batch];
  std::vector<int64_t> candidates;  // for in_batch
  for (int64_t i = 0; i < batch->num_samples; ++i) {
    if (batch->labels[i] > 0 && ids.sample(i).size() == 1) candidates.push_back(i);
  }
  std::vector<Made> made;
  for (int64_t i = 0; i < batch->num_samples; ++i) {
    made.push_back({.base = i});
    if (!(batch->labels[i] > 0)) continue;
    const uint64_t seed = RandomBits(seed_, RandomPurpose::kNegative, epoch, first_sample + batch->sample_index[i]);
    MakeOf(i, seed, *batch, candidates, &made);
  }
  Batch out;
  WEIR_RETURN_IF_ERROR(Assemble(*batch, made, &out));
  *batch = std::move(out);
  return Status();
}

Status Sampler::Assemble(const Batch& batch, std::span<const Made> made, Batch* out) const {
  const size_t num_features = batch.sparse.size();
  const size_t width = batch.num_samples == 0 ? 0 : batch.numeric.size() / batch.num_samples;
  std::vector<const ItemFeature*> sparse(num_features), numeric(width);  // null: no feature of the item
  for (const ItemFeature& feature : pool_.features) (feature.sparse ? sparse : numeric)[feature.in_batch] = &feature;
  out->sparse.resize(num_features);
  for (size_t f = 0; f < num_features; ++f) {
    for (const Made& sample : made) {
      const bool other = sample.item_from != nullptr && sparse[f] != nullptr;
      const Jagged& from =
          other ? sample.item_from->sparse[Index(*sparse[f], sample.item_from, pool_)] : batch.sparse[f];
      out->sparse[f].AppendSample(from, other ? sample.item : sample.base);
      if (out->sparse[f].values.size() > INT32_MAX) {
        return CheckValueCount(out->sparse[f].values.size(), static_cast<int64_t>(made.size()), "(with negatives)");
      }
    }
  }
  const size_t pool_width = pool_.items.num_samples == 0 ? 0 : pool_.items.numeric.size() / pool_.items.num_samples;
  for (const Made& sample : made) {
    for (size_t f = 0; f < width; ++f) {
      const bool other = sample.item_from != nullptr && numeric[f] != nullptr;
      const bool of_pool = other && sample.item_from == &pool_.items;
      out->numeric.push_back(of_pool ? pool_.items.numeric[sample.item * pool_width + numeric[f]->in_pool]
                                     : batch.numeric[(other ? sample.item : sample.base) * width + f]);
    }
    out->labels.push_back(sample.number == 0 ? batch.labels[sample.base] : 0);
    out->weights.push_back(batch.weights[sample.base]);
    out->sample_index.push_back(batch.sample_index[sample.base] * (1 + made_max_) + sample.number);
  }
  out->num_samples = static_cast<int64_t>(made.size());
  return Status();
}

}  // namespace weir
