#include "embeddings/initializer.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <glog/logging.h>

#include "base/random.h"
#include "embeddings/portable_math.h"

namespace weir {
namespace {

// The rounds of RandomBits(seed, kRowInit, key, column) that do not depend on both key and column are done beforehand.
struct UniformDraw {
  uint64_t key_round;     // of seed and key
  const uint64_t* salts;  // [dim], of the columns
  int dim;
  float scale;
};

__attribute__((always_inline)) inline void DrawUniform(const UniformDraw& draw, float* __restrict weights) {
  const uint64_t* __restrict salts = draw.salts;
  for (int column = 0; column < draw.dim; ++column) {
    const float unit = UnitFloat(SplitMix64(draw.key_round ^ salts[column]));
    weights[column] = (unit * 2 - 1) * draw.scale;
  }
}

void DrawUniformScalar(const UniformDraw& draw, float* weights) { DrawUniform(draw, weights); }
WEIR_TARGET_AVX2 void DrawUniformAvx2(const UniformDraw& draw, float* weights) { DrawUniform(draw, weights); }
WEIR_TARGET_AVX512 void DrawUniformAvx512(const UniformDraw& draw, float* weights) { DrawUniform(draw, weights); }

auto UniformKernel(Isa isa) {
  if (isa == Isa::kAvx512) return DrawUniformAvx512;
  return isa == Isa::kAvx2 ? DrawUniformAvx2 : DrawUniformScalar;
}

// Column c of a key draws RandomBits(seed, kRowInit, key, c), to a float in [-scale, scale).
class UniformInitializer : public RowInitializer {
 public:
  UniformInitializer(const UniformConfig& config, int dim, uint64_t seed, Isa isa)
      : seed_round_(SplitMix64(seed ^ SplitMix64(static_cast<uint64_t>(RandomPurpose::kRowInit)))),
        scale_(static_cast<float>(config.scale())),
        draw_(UniformKernel(isa)) {
    for (int column = 0; column < dim; ++column) salts_.push_back(SplitMix64(column ^ 0x5851f42d4c957f2dULL));
    CHECK_EQ(SplitMix64(SplitMix64(seed_round_ ^ 1) ^ salts_[0]), RandomBits(seed, RandomPurpose::kRowInit, 1, 0));
  }

  void Initialize(uint64_t key, float* weights) const override {
    draw_({SplitMix64(seed_round_ ^ key), salts_.data(), static_cast<int>(salts_.size()), scale_}, weights);
  }

 private:
  const uint64_t seed_round_;
  const float scale_;
  void (*const draw_)(const UniformDraw&, float*);
  std::vector<uint64_t> salts_;
};

// Marsaglia's polar method: columns 2p and 2p + 1 come from one point in the unit disc. Attempt a draws
// RandomBits(seed, kRowInit, key, a << 32 | p), each half a coordinate.
class NormalInitializer : public RowInitializer {
 public:
  NormalInitializer(const NormalConfig& config, int dim, uint64_t seed)
      : dim_(dim), seed_(seed), stddev_(config.stddev()) {}

  void Initialize(uint64_t key, float* weights) const override {
    for (int column = 0; column < dim_; column += 2) {
      double pair[2];
      DrawPair(key, column / 2, pair);
      weights[column] = static_cast<float>(pair[0] * stddev_);
      if (column + 1 < dim_) weights[column + 1] = static_cast<float>(pair[1] * stddev_);
    }
  }

 private:
  void DrawPair(uint64_t key, uint64_t p, double* pair) const {
    // A point misses the disc with probability 0.215; 64 misses do not happen.
    for (uint64_t attempt = 0; attempt < 64; ++attempt) {
      const uint64_t bits = RandomBits(seed_, RandomPurpose::kRowInit, key, attempt << 32 | p);
      const double x = (static_cast<double>(bits >> 32) + 0.5) * 0x1p-31 - 1;
      const double y = (static_cast<double>(bits & 0xffffffffU) + 0.5) * 0x1p-31 - 1;
      const double square = x * x + y * y;
      if (square >= 1) continue;
      const double factor = std::sqrt(-2 * PortableLog(square) / square);
      pair[0] = x * factor;
      pair[1] = y * factor;
      return;
    }
    pair[0] = pair[1] = 0;
  }

  const int dim_;
  const uint64_t seed_;
  const double stddev_;
};

class ConstantInitializer : public RowInitializer {
 public:
  ConstantInitializer(const ConstantConfig& config, int dim) : dim_(dim), value_(static_cast<float>(config.value())) {}

  void Initialize(uint64_t, float* weights) const override { std::fill_n(weights, dim_, value_); }

 private:
  const int dim_;
  const float value_;
};

}  // namespace

std::unique_ptr<RowInitializer> MakeRowInitializer(const InitializerConfig& config, int dim, uint64_t table_seed,
                                                   Isa isa) {
  switch (config.kind_case()) {
    case InitializerConfig::kUniform:
    case InitializerConfig::KIND_NOT_SET:
      return std::make_unique<UniformInitializer>(config.uniform(), dim, table_seed, isa);
    case InitializerConfig::kNormal:
      return std::make_unique<NormalInitializer>(config.normal(), dim, table_seed);
    case InitializerConfig::kConstant:
      return std::make_unique<ConstantInitializer>(config.constant(), dim);
  }
  LOG(FATAL) << "initializer kind " << config.kind_case() << " is not known";
}

}  // namespace weir
