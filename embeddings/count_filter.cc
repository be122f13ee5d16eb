#include "embeddings/count_filter.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <glog/logging.h>

#include "base/random.h"
#include "embeddings/virtual_shard.h"

namespace weir {
namespace {

constexpr uint32_t kCountMax = 255;
// Keys whose lines are fetched side by side.
constexpr size_t kBatch = 32;

// What stands before a shard's cells. Little-endian, as every machine that Weir runs on.
struct SavedHeader {
  int64_t generation;
  int64_t quarter_steps;
  int64_t lines;
};

}  // namespace

CountFilter::CountFilter(int64_t shard_bytes, int64_t window_steps, int virtual_shards)
    : virtual_shards_(virtual_shards),
      generations_(window_steps == 0 ? 1 : 4),
      cells_(static_cast<int>(kLineBytes) / generations_),
      quarter_steps_((window_steps + 3) / 4),
      lines_(shard_bytes / kLineBytes),
      shards_(virtual_shards) {
  CHECK_GE(lines_, 1) << shard_bytes;
}

CountFilter::Place CountFilter::PlaceOf(uint64_t key) const {
  // Independent of Fmix64, whose top bits are the same for all keys of a shard.
  const uint64_t bits = SplitMix64(key ^ 0x243f6a8885a308d3ULL);
  Place place;
  place.shard = VirtualShard(key, virtual_shards_);
  place.line_begin = static_cast<int64_t>(BoundedIndex(bits, static_cast<uint64_t>(lines_))) * kLineBytes;
  const uint64_t more = SplitMix64(bits);
  const int row = cells_ / 4;
  for (int i = 0; i < 4; ++i) place.cells[i] = static_cast<uint8_t>(i * row + ((more >> (8 * i)) & (row - 1)));
  return place;
}

// The sum over the generations that still count of the smallest cell in each. One that saturated makes it 255 at least.
uint32_t CountFilter::EstimateAt(const Place& place, int64_t generation) const {
  const Shard& shard = shards_[place.shard];
  if (shard.cells == nullptr) return 0;
  const uint8_t* line = shard.cells.get() + place.line_begin;
  uint32_t sum = 0;
  // The shard's generations are shard.generation and those before it; what is older than the window is not cleared yet.
  const int64_t oldest = std::max<int64_t>(generation - generations_ + 1, 0);
  const int64_t first = std::max<int64_t>(shard.generation - generations_ + 1, oldest);
  for (int64_t g = first; g <= shard.generation; ++g) {
    const uint8_t* cells = line + Offset(g);
    sum += std::min(std::min(cells[place.cells[0]], cells[place.cells[1]]),
                    std::min(cells[place.cells[2]], cells[place.cells[3]]));
  }
  return sum;
}

void CountFilter::Estimate(int64_t step, std::span<const uint64_t> keys, uint32_t* estimates) const {
  const int64_t generation = GenerationOf(step);
  Place places[kBatch];
  for (size_t begin = 0; begin < keys.size(); begin += kBatch) {
    const size_t n = std::min(kBatch, keys.size() - begin);
    for (size_t i = 0; i < n; ++i) {
      places[i] = PlaceOf(keys[begin + i]);
      const Shard& shard = shards_[places[i].shard];
      if (shard.cells != nullptr) __builtin_prefetch(shard.cells.get() + places[i].line_begin);
    }
    for (size_t i = 0; i < n; ++i) estimates[begin + i] = EstimateAt(places[i], generation);
  }
}

void CountFilter::Advance(Shard* shard, int64_t generation) const {
  if (shard->cells == nullptr) {
    shard->cells = std::make_unique<uint8_t[]>(lines_ * kLineBytes);
    shard->generation = generation;
  }
  if (generation - shard->generation >= generations_) {
    std::memset(shard->cells.get(), 0, lines_ * kLineBytes);
    shard->generation = generation;
  }
  while (shard->generation < generation) {
    ++shard->generation;
    uint8_t* cells = shard->cells.get() + Offset(shard->generation);
    for (int64_t line = 0; line < lines_; ++line) std::memset(cells + line * kLineBytes, 0, cells_);
  }
}

void CountFilter::Add(int64_t step, std::span<const uint64_t> keys, const uint32_t* pushes, uint32_t* estimates) {
  const int64_t generation = GenerationOf(step);
  places_.resize(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    places_[i] = PlaceOf(keys[i]);
    Shard& shard = shards_[places_[i].shard];
    Advance(&shard, generation);
    __builtin_prefetch(shard.cells.get() + places_[i].line_begin, 1);
  }
  // All estimates come before all counts: two keys of a step that share cells do not see each other.
  std::vector<uint8_t> targets(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const Place& place = places_[i];
    estimates[i] = EstimateAt(place, generation);
    const uint8_t* cells = shards_[place.shard].cells.get() + place.line_begin + Offset(generation);
    uint32_t here = kCountMax;
    for (uint8_t cell : place.cells) here = std::min<uint32_t>(here, cells[cell]);
    targets[i] = static_cast<uint8_t>(std::min(kCountMax, here + pushes[i]));
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    const Place& place = places_[i];
    uint8_t* cells = shards_[place.shard].cells.get() + place.line_begin + Offset(generation);
    for (uint8_t cell : place.cells) cells[cell] = std::max(cells[cell], targets[i]);
  }
}

int64_t CountFilter::bytes() const {
  int64_t counting = 0;
  for (const Shard& shard : shards_) counting += shard.cells != nullptr;
  return counting * lines_ * kLineBytes;
}

void CountFilter::SaveShard(int virtual_shard, std::vector<uint8_t>* bytes) const {
  const Shard& shard = shards_[virtual_shard];
  if (shard.cells == nullptr) return;
  const SavedHeader header = {shard.generation, quarter_steps_, lines_};
  const auto* begin = reinterpret_cast<const uint8_t*>(&header);
  bytes->insert(bytes->end(), begin, begin + sizeof(header));
  bytes->insert(bytes->end(), shard.cells.get(), shard.cells.get() + lines_ * kLineBytes);
}

Status CountFilter::LoadShard(int virtual_shard, std::span<const uint8_t> bytes) {
  Shard& shard = shards_[virtual_shard];
  shard = Shard();
  if (bytes.empty()) return Status();
  SavedHeader header;
  if (bytes.size() < sizeof(header)) {
    return DataLoss(fmt::format("counts of virtual shard {}: expected at least {} bytes, found {}", virtual_shard,
                                sizeof(header), bytes.size()));
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.quarter_steps != quarter_steps_ || header.lines != lines_) {
    return FailedPrecondition(
        fmt::format("counts of virtual shard {}: expected {} lines and quarters of {} steps, found {} and {}",
                    virtual_shard, lines_, quarter_steps_, header.lines, header.quarter_steps));
  }
  const size_t size = sizeof(header) + static_cast<size_t>(lines_ * kLineBytes);
  // No step is that late; the generations of a shard are counted up from it.
  constexpr int64_t kGenerationMax = int64_t{1} << 60;
  if (bytes.size() != size || header.generation < 0 || header.generation > kGenerationMax) {
    return DataLoss(
        fmt::format("counts of virtual shard {}: expected {} bytes of a generation in [0, 2^60], found {} of {}",
                    virtual_shard, size, bytes.size(), header.generation));
  }
  shard.generation = header.generation;
  shard.cells = std::make_unique<uint8_t[]>(lines_ * kLineBytes);
  std::memcpy(shard.cells.get(), bytes.data() + sizeof(header), lines_ * kLineBytes);
  return Status();
}

}  // namespace weir
