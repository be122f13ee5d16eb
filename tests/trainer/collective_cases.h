// What every Collective must do, whatever it runs over: in-process and MPI tests share these cases.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
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

// Sums of several lengths under way together, with other calls between them, finished in another order than they were
// started; then one array cut into pieces, which must change no bit.
inline Status CheckStartedSums(Collective& workers) {
  const std::vector<size_t> counts = {5000, 0, 1, 100'003, 4096, 3, 20'000};
  std::vector<std::vector<float>> values;
  std::vector<SumTicket> sums;
  for (size_t count : counts) values.push_back(CaseValues<float>(workers.rank(), count));
  for (std::vector<float>& each : values) {
    WEIR_ASSIGN_OR_RETURN(sums.emplace_back(), workers.StartAllReduceSum(each));
    WEIR_RETURN_IF_ERROR(workers.PollSums());
  }
  WEIR_RETURN_IF_ERROR(CheckAllReduce<double>(workers, 5000));
  WEIR_RETURN_IF_ERROR(workers.Barrier());
  for (size_t i : {3, 0, 6, 1, 5, 2, 4}) {
    WEIR_RETURN_IF_ERROR(workers.FinishSum(sums[i]));
    if (values[i] == CaseSum<float>(workers.size(), counts[i])) continue;
    return Internal(fmt::format("rank {}: the started sum of {} values differs", workers.rank(), counts[i]));
  }

  for (size_t piece : {777, 100'000}) {
    std::vector<float> cut = CaseValues<float>(workers.rank(), 100'000);
    sums.clear();
    for (size_t at = 0; at < cut.size(); at += piece) {
      const std::span<float> rest = std::span<float>(cut).subspan(at);
      WEIR_ASSIGN_OR_RETURN(sums.emplace_back(), workers.StartAllReduceSum(rest.first(std::min(piece, rest.size()))));
    }
    for (SumTicket sum : sums) WEIR_RETURN_IF_ERROR(workers.FinishSum(sum));
    if (cut == CaseSum<float>(workers.size(), cut.size())) continue;
    return Internal(fmt::format("rank {}: sums of pieces of {} values differ", workers.rank(), piece));
  }
  return Status();
}

// More sums than may be under way, two at a time.
inline Status CheckSumAfterSum(Collective& workers) {
  const std::vector<float> expected = CaseSum<float>(workers.size(), 3);
  std::vector<float> before;
  SumTicket sum = 0;
  for (int i = 0; i < Collective::kSumsMax + 50; ++i) {
    std::vector<float> values = CaseValues<float>(workers.rank(), 3);
    WEIR_ASSIGN_OR_RETURN(const SumTicket next, workers.StartAllReduceSum(values));
    if (i > 0) WEIR_RETURN_IF_ERROR(workers.FinishSum(sum));
    if (i > 0 && before != expected) return Internal(fmt::format("rank {}: sum {} differs", workers.rank(), i - 1));
    before = std::move(values);  // the same memory
    sum = next;
  }
  return workers.FinishSum(sum);
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
  for (int i = 0; i < 3; ++i) WEIR_RETURN_IF_ERROR(CheckStartedSums(workers));
  WEIR_RETURN_IF_ERROR(CheckSumAfterSum(workers));
  for (size_t stride : {0, 1, 1000, 300'000}) {
    WEIR_RETURN_IF_ERROR(CheckAllGather(workers, stride));
    WEIR_RETURN_IF_ERROR(CheckBroadcast(workers, stride));
    WEIR_RETURN_IF_ERROR(workers.Barrier());
  }
  return Status();
}

}  // namespace weir
