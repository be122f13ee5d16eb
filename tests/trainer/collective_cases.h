// What every Collective must do, whatever it runs over: in-process and MPI tests share these cases.
#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "base/random.h"
#include "trainer/collective.h"

namespace weir {

// Values of very different size, so that another order of additions shows in the bits.
template <typename T>
std::vector<T> CaseValues(int rank, size_t count) {
  std::vector<T> values(count);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t bits = RandomBits(7, RandomPurpose::kSampling, rank, i);
    values[i] = static_cast<T>(UnitDouble(bits) - 0.5) * static_cast<T>(std::ldexp(1.0, static_cast<int>(bits % 40)));
  }
  return values;
}

// The sum in rank order, one element at a time.
template <typename T>
std::vector<T> CaseSum(int size, size_t count) {
  std::vector<T> sum = CaseValues<T>(0, count);
  for (int rank = 1; rank < size; ++rank) {
    const std::vector<T> values = CaseValues<T>(rank, count);
    for (size_t i = 0; i < count; ++i) sum[i] += values[i];
  }
  return sum;
}

template <typename T>
Status CheckAllReduce(Collective& workers, size_t count) {
  std::vector<T> values = CaseValues<T>(workers.rank(), count);
  WEIR_RETURN_IF_ERROR(workers.AllReduceSum(std::span<T>(values)));
  const std::vector<T> expected = CaseSum<T>(workers.size(), count);
  if (count == 0 || std::memcmp(values.data(), expected.data(), count * sizeof(T)) == 0) return Status();
  return Internal(fmt::format("rank {}: sums of {} values differ from the rank-ordered sum", workers.rank(), count));
}

// Rank r's bytes: r * stride of them, so that rank 0's are none.
inline std::vector<uint8_t> CaseBytes(int rank, size_t stride) {
  std::vector<uint8_t> bytes(rank * stride);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 31 + rank);
  return bytes;
}

inline Status CheckAllGather(Collective& workers, size_t stride) {
  WEIR_ASSIGN_OR_RETURN(auto all, workers.AllGather(CaseBytes(workers.rank(), stride)));
  if (all.size() != static_cast<size_t>(workers.size())) return Internal("all-gather: wrong number of ranks");
  for (int rank = 0; rank < workers.size(); ++rank) {
    if (all[rank] != CaseBytes(rank, stride)) return Internal(fmt::format("all-gather: wrong bytes of rank {}", rank));
  }
  return Status();
}

inline Status CheckBroadcast(Collective& workers, size_t count) {
  std::vector<uint8_t> bytes = CaseBytes(workers.rank() + 1, workers.rank() == 0 ? count : 3);
  WEIR_RETURN_IF_ERROR(workers.Broadcast(&bytes));
  return bytes == CaseBytes(1, count) ? Status() : Internal("broadcast: wrong bytes");
}

// Counts around the number of ranks and around the blocks, both types, twice: the calls must not disturb each other.
inline Status CheckCollective(Collective& workers) {
  for (size_t count : {0, 1, 2, 3, 5, 7, 1000, 4096, 4097, 5000, 100'003}) {
    WEIR_RETURN_IF_ERROR(CheckAllReduce<float>(workers, count));
    WEIR_RETURN_IF_ERROR(CheckAllReduce<double>(workers, count));
    WEIR_RETURN_IF_ERROR(CheckAllReduce<float>(workers, count));
  }
  for (size_t stride : {0, 1, 1000, 300'000}) {
    WEIR_RETURN_IF_ERROR(CheckAllGather(workers, stride));
    WEIR_RETURN_IF_ERROR(CheckBroadcast(workers, stride));
    WEIR_RETURN_IF_ERROR(workers.Barrier());
  }
  return Status();
}

}  // namespace weir
