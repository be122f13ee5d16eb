#include "embeddings/admission.h"

#include <utility>

#include <glog/logging.h>

#include "base/random.h"
#include "embeddings/count_filter.h"
#include "proto/memory_size.h"

namespace weir {
namespace {

int64_t FilterShardBytes(const CountAdmissionConfig& config, int virtual_shards) {
  const Result<int64_t> memory = ParseMemory(config.filter_memory());
  CHECK(memory.ok()) << memory.status().ToString();
  return *memory / virtual_shards / CountFilter::kLineBytes * CountFilter::kLineBytes;
}

class CountAdmission : public Admission {
 public:
  CountAdmission(const CountAdmissionConfig& config, int virtual_shards)
      : threshold_(static_cast<uint32_t>(config.threshold())),
        filter_(FilterShardBytes(config, virtual_shards), config.window_steps(), virtual_shards) {}

  void WouldAdmit(int64_t step, std::span<const uint64_t> keys, bool* admitted) const override {
    std::vector<uint32_t> estimates(keys.size());
    filter_.Estimate(step, keys, estimates.data());
    for (size_t i = 0; i < keys.size(); ++i) admitted[i] = estimates[i] + 1 >= threshold_;
  }

  void Admit(int64_t step, std::span<const uint64_t> keys, const uint32_t* pushes, bool* admitted) override {
    std::vector<uint32_t> estimates(keys.size());
    filter_.Add(step, keys, pushes, estimates.data());
    for (size_t i = 0; i < keys.size(); ++i) admitted[i] = estimates[i] + pushes[i] >= threshold_;
  }

  int64_t bytes() const override { return filter_.bytes(); }
  void SaveShard(int virtual_shard, std::vector<uint8_t>* bytes) const override {
    filter_.SaveShard(virtual_shard, bytes);
  }
  Status LoadShard(int virtual_shard, std::span<const uint8_t> bytes) override {
    return filter_.LoadShard(virtual_shard, bytes);
  }

 private:
  const uint32_t threshold_;
  CountFilter filter_;
};

// A draw per (key, step), whatever the number of workers that push the key.
class ProbabilityAdmission : public Admission {
 public:
  ProbabilityAdmission(double probability, uint64_t seed) : probability_(probability), seed_(seed) {}

  void WouldAdmit(int64_t step, std::span<const uint64_t> keys, bool* admitted) const override {
    for (size_t i = 0; i < keys.size(); ++i) {
      const uint64_t bits = RandomBits(seed_, RandomPurpose::kAdmission, keys[i], static_cast<uint64_t>(step));
      admitted[i] = UnitDouble(bits) < probability_;
    }
  }

  void Admit(int64_t step, std::span<const uint64_t> keys, const uint32_t*, bool* admitted) override {
    WouldAdmit(step, keys, admitted);
  }

 private:
  const double probability_;
  const uint64_t seed_;
};

class ListAdmission : public Admission {
 public:
  explicit ListAdmission(std::shared_ptr<const KeySet> keys) : keys_(std::move(keys)) {}

  void WouldAdmit(int64_t, std::span<const uint64_t> keys, bool* admitted) const override {
    for (size_t i = 0; i < keys.size(); ++i) admitted[i] = keys_->Contains(keys[i]);
  }

  void Admit(int64_t step, std::span<const uint64_t> keys, const uint32_t*, bool* admitted) override {
    WouldAdmit(step, keys, admitted);
  }

 private:
  const std::shared_ptr<const KeySet> keys_;
};

}  // namespace

std::unique_ptr<Admission> MakeAdmission(const AdmissionConfig& config, uint64_t table_seed, int virtual_shards,
                                         std::shared_ptr<const KeySet> allow_list) {
  switch (config.kind_case()) {
    case AdmissionConfig::kCount:
      return std::make_unique<CountAdmission>(config.count(), virtual_shards);
    case AdmissionConfig::kProbability:
      return std::make_unique<ProbabilityAdmission>(config.probability().probability(), table_seed);
    case AdmissionConfig::kAllowList:
      CHECK(allow_list != nullptr) << "the keys of " << config.allow_list().path() << " were not read";
      return std::make_unique<ListAdmission>(std::move(allow_list));
    case AdmissionConfig::KIND_NOT_SET:
      break;
  }
  return nullptr;
}

int64_t FilterBytesMax(const AdmissionConfig& config, int virtual_shards) {
  return config.has_count() ? FilterShardBytes(config.count(), virtual_shards) * virtual_shards : 0;
}

}  // namespace weir
