#include "embeddings/distinct.h"

#include <algorithm>
#include <bit>

namespace weir {
namespace {

// Room is made for so many keys at a time: within them nothing is checked, and memory follows the distinct keys, not
// all.
constexpr size_t kChunkKeys = 4096;
// Keys compared before the open ones among them are inserted. Of more, too many would be open that are not new.
constexpr size_t kGroupKeys = 64;

}  // namespace

DistinctKeys::DistinctKeys() { Reserve(0); }

int DistinctKeys::LogCapacityFor(int64_t keys) {
  const auto slots = static_cast<uint64_t>(keys * kSlotsPerKey);
  return std::max(kMinLogCapacity, static_cast<int>(std::bit_width(slots - (slots > 0))));
}

void DistinctKeys::NextEpoch() {
  if (++epoch_ != 0) return;
  // After 2^32 epochs the old marks would come back to life.
  std::fill_n(slots_.get(), size_t{1} << log_allocated_, uint64_t{0});
  epoch_ = 1;
}

void DistinctKeys::Clear(int64_t expected) {
  size_ = 0;
  NextEpoch();
  log_capacity_ = std::clamp(LogCapacityFor(expected), kMinLogCapacity, log_allocated_);
}

void DistinctKeys::Reserve(int64_t keys) {
  const int wanted = LogCapacityFor(keys);
  if (wanted <= log_capacity_) return;
  log_capacity_ = wanted;
  if (wanted > log_allocated_) {
    log_allocated_ = wanted;
    slots_ = std::make_unique<uint64_t[]>(size_t{1} << wanted);
    auto moved = std::make_unique<uint64_t[]>((size_t{1} << wanted) / kSlotsPerKey);
    std::copy_n(keys_.get(), size_, moved.get());
    keys_ = std::move(moved);
  } else {
    NextEpoch();
  }
  const int shift = 64 - log_capacity_;
  const size_t mask = (size_t{1} << log_capacity_) - 1;
  for (int64_t number = 0; number < size_; ++number) {
    size_t at = Home(keys_[number], shift);
    while (slots_[at] >> 32 == epoch_) at = (at + 1) & mask;
    slots_[at] = uint64_t{epoch_} << 32 | static_cast<uint64_t>(number);
  }
}

void DistinctKeys::Add(std::span<const uint64_t> keys, int32_t* numbers) {
  while (!keys.empty()) {
    const size_t chunk = std::min(keys.size(), kChunkKeys);
    Reserve(size_ + static_cast<int64_t>(chunk));
    AddReserved(keys.first(chunk), numbers);
    keys = keys.subspan(chunk);
    numbers += chunk;
  }
}

void DistinctKeys::AddReserved(std::span<const uint64_t> keys, int32_t* numbers) {
  for (size_t begin = 0; begin < keys.size(); begin += kGroupKeys) {
    const std::span<const uint64_t> group = keys.subspan(begin, std::min(kGroupKeys, keys.size() - begin));
    uint32_t open[kGroupKeys];
    const size_t num_open = FindAtHome(group, numbers + begin, open);
    for (size_t i = 0; i < num_open; ++i) numbers[begin + open[i]] = FindOrInsert(group[open[i]]);
  }
}

size_t DistinctKeys::FindAtHome(std::span<const uint64_t> keys, int32_t* numbers, uint32_t* open) const {
  const uint64_t* const slots = slots_.get();
  const uint64_t* const distinct = keys_.get();
  const int shift = 64 - log_capacity_;
  const uint64_t epoch = epoch_;
  size_t num_open = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    const uint64_t slot = slots[Home(keys[i], shift)];
    // A dead slot's number is one of an earlier epoch: it may mean another key, but has a place.
    const auto number = static_cast<uint32_t>(slot);
    numbers[i] = static_cast<int32_t>(number);
    open[num_open] = static_cast<uint32_t>(i);
    num_open += ((distinct[number] ^ keys[i]) | (slot >> 32 ^ epoch)) != 0 ? 1 : 0;
  }
  return num_open;
}

inline int32_t DistinctKeys::FindOrInsert(uint64_t key) {
  const size_t mask = (size_t{1} << log_capacity_) - 1;
  size_t at = Home(key, 64 - log_capacity_);
  while (slots_[at] >> 32 == epoch_) {
    const auto number = static_cast<uint32_t>(slots_[at]);
    if (keys_[number] == key) return static_cast<int32_t>(number);
    at = (at + 1) & mask;
  }
  slots_[at] = uint64_t{epoch_} << 32 | static_cast<uint64_t>(size_);
  keys_[size_] = key;
  return static_cast<int32_t>(size_++);
}

}  // namespace weir
