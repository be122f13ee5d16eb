// HyperLogLog: how many distinct values a stream has, in fixed memory.
#pragma once

#include <cstdint>
#include <vector>

namespace weir {

// HyperLogLog (Flajolet, Fusy, Gandouet, Meunier: "HyperLogLog: the analysis of a near-optimal cardinality estimation
// algorithm", AofA 2007) over hashes of 64 bits, with the estimator of Ertl ("New cardinality estimation algorithms for
// HyperLogLog sketches", 2017, algorithm 6), which needs no correction for small or large counts. 16,384 bytes. One
// thread.
class HyperLogLog {
 public:
  HyperLogLog() : registers_(kRegisters, 0) {}

  // hash: of a value, its bits all equally likely; the same value always has the same.
  void Add(uint64_t hash);
  double Estimate() const;

  // The standard deviation of Estimate() as a share of the true count: 1.04 / sqrt(registers).
  static constexpr double kRelativeError = 1.04 / 128;

 private:
  static constexpr int kIndexBits = 14;
  static constexpr int kRegisters = 1 << kIndexBits;

  std::vector<uint8_t> registers_;  // the most zeros that led a hash of this index, plus 1; 0: none came
};

}  // namespace weir
