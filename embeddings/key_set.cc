#include "embeddings/key_set.h"

#include <bit>

#include "base/random.h"

namespace weir {

KeySet::KeySet(std::span<const uint64_t> keys) : slots_(std::bit_ceil(2 * keys.size() + 1)), mask_(slots_.size() - 1) {
  for (uint64_t key : keys) {
    if (Contains(key)) continue;
    ++size_;
    digest_ += SplitMix64(key);
    if (key == 0) {
      has_zero_ = true;
      continue;
    }
    size_t at = Fmix64(key) & mask_;
    while (slots_[at] != 0) at = (at + 1) & mask_;
    slots_[at] = key;
  }
}

bool KeySet::Contains(uint64_t key) const {
  if (key == 0) return has_zero_;
  for (size_t at = Fmix64(key) & mask_;; at = (at + 1) & mask_) {
    if (slots_[at] == key) return true;
    if (slots_[at] == 0) return false;
  }
}

}  // namespace weir
