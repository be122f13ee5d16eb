// HardItems: for a key (of a user, a query), the items that are hard to tell from its positive ones.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "data_loader/sampling/item_pool.h"
#include "proto/job.pb.h"

namespace weir {

// Constant once read. Memory: 4 bytes an item of a list and about 48 bytes a list.
class HardItems {
 public:
  // negatives.hard_items, held against the pool: items that it does not have are left out, with a warning. Errors are
  // those of reading; InvalidArgument when no list is left, or
  // keys would be hashed apart from those of `samples`.
  static Result<HardItems> Read(const Job& job, const NegativesConfig& negatives, const ItemPool& pool,
                                const FeatureExtractor& samples);

  // Items of the pool; empty for a key without a list. Valid as long as this.
  std::span<const uint32_t> Of(uint64_t key) const {
    const auto found = lists_.find(key);
    if (found == lists_.end()) return {};
    return std::span(items_).subspan(found->second.begin, found->second.size);
  }
  // Index into Batch.sparse of the feature that chooses the list.
  int by() const { return by_; }

 private:
  struct List {
    size_t begin = 0;
    size_t size = 0;
  };
  HardItems() = default;

  int by_ = 0;
  std::vector<uint32_t> items_;
  std::unordered_map<uint64_t, List> lists_;
};

}  // namespace weir
