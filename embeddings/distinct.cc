#include "embeddings/distinct.h"

#include <algorithm>

namespace weir {

void DistinctKeys::Clear() {
  keys_.clear();
  if (++epoch_ != 0) return;
  // After 2^32 epochs the old marks would come back to life.
  std::fill(slots_.begin(), slots_.end(), Slot{0, 0, 0});
  epoch_ = 1;
}

void DistinctKeys::Resize(int log_capacity) {
  slots_.assign(size_t{1} << log_capacity, Slot{0, 0, 0});
  shift_ = 64 - log_capacity;
  mask_ = slots_.size() - 1;
  for (size_t number = 0; number < keys_.size(); ++number) {
    size_t at = Home(keys_[number]);
    while (slots_[at].epoch == epoch_) at = (at + 1) & mask_;
    slots_[at] = {keys_[number], epoch_, static_cast<int32_t>(number)};
  }
}

void DistinctKeys::Add(std::span<const uint64_t> keys, int32_t* numbers) {
  for (size_t i = 0; i < keys.size(); ++i) {
    const uint64_t key = keys[i];
    size_t at = Home(key);
    while (slots_[at].epoch == epoch_ && slots_[at].key != key) at = (at + 1) & mask_;
    Slot& slot = slots_[at];
    if (slot.epoch == epoch_) {
      numbers[i] = slot.number;
      continue;
    }
    numbers[i] = static_cast<int32_t>(keys_.size());
    slot = {key, epoch_, numbers[i]};
    keys_.push_back(key);
    if (keys_.size() * 2 > slots_.size()) Resize(64 - shift_ + 1);
  }
}

}  // namespace weir
