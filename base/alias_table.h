// AliasTable: draws from a discrete distribution in constant time (Walker, 1977; built as by Vose, 1991).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace weir {

// Immutable; thread-safe. 8 bytes an entry.
class AliasTable {
 public:
  // weights: each finite and at least 0, one of them above 0; fewer than 2^32. Index i is drawn with the chance
  // weights[i] / sum, to 2^-32.
  explicit AliasTable(std::span<const double> weights);

  // An index, from 64 random bits.
  uint32_t Draw(uint64_t bits) const {
    const unsigned __int128 place = static_cast<unsigned __int128>(bits) * cells_.size();
    const auto i = static_cast<uint32_t>(place >> 64);
    const auto fraction = static_cast<uint32_t>(static_cast<uint64_t>(place) >> 32);
    return fraction < cells_[i].own ? i : cells_[i].alias;
  }

 private:
  struct Cell {
    uint32_t own = 0;    // share of the cell, of 2^32, that is its own index
    uint32_t alias = 0;  // whose the rest is
  };
  std::vector<Cell> cells_;
};

}  // namespace weir
