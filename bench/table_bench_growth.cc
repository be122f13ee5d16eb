// A table that grows row by row: its pauses and its bytes.
#include <algorithm>
#include <chrono>
#include <vector>

#include <fmt/format.h>

#include "base/random.h"
#include "bench/bench_line.h"
#include "bench/table_bench.h"
#include "embeddings/table.h"

namespace weir::bench {
namespace {

constexpr int kShards = 1024;
constexpr size_t kBatch = 64;

double WallNanos() {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Of a row as the targets count it: key, last step and count in 16 bytes, weights, state.
double PlainRowBytes(const RowLayout& layout) { return 16 + layout.width() * 4.0; }

void PrintPauses(const std::string& name, std::vector<double>* ns) {
  std::sort(ns->begin(), ns->end());
  const Rounds longest = {{ns->back() / 1e6}};
  const Rounds p9999 = {{(*ns)[ns->size() - 1 - ns->size() / 10000] / 1e6}};
  PrintLine("growth", name + "_longest", "ms", longest, "", nullptr);
  PrintLine("growth", name + "_p99.99", "ms", p9999, "", nullptr);
}

void Grow(int dim, int64_t rows) {
  RowLayout layout;
  layout.dim = dim;
  layout.state = {{"sum", 1, 0}};
  TableMemory memory;
  Table table(layout, kShards, &memory);
  const auto bytes = [&] { return static_cast<double>(memory.bytes() + memory.slabs.ready_bytes()); };
  std::vector<double> cpu_ns, wall_ns;
  double worst_bytes_per_row = 0;
  uint64_t keys[kBatch];
  uint32_t numbers[kBatch];
  bool inserted[kBatch];
  const double begin_ns = ThreadNanos();
  for (int64_t begin = 0; begin < rows; begin += kBatch) {
    const size_t n = std::min<int64_t>(kBatch, rows - begin);
    for (size_t i = 0; i < n; ++i) keys[i] = SplitMix64(begin + i);
    const double wall = WallNanos(), cpu = ThreadNanos();
    table.FindOrInsert({keys, n}, numbers, inserted);
    cpu_ns.push_back(ThreadNanos() - cpu);
    wall_ns.push_back(WallNanos() - wall);
    // Once the table is past what its smallest pieces round up to.
    if (begin > rows / 50) {
      worst_bytes_per_row = std::max(worst_bytes_per_row, bytes() / static_cast<double>(table.num_rows()));
    }
  }
  const std::string name = fmt::format("dim_{}_{}M", dim, rows / 1'000'000);
  PrintPauses(name + "_cpu", &cpu_ns);
  PrintPauses(name + "_wall", &wall_ns);
  const double plain = PlainRowBytes(layout);
  const Rounds allowed = {{plain}};
  const Rounds after = {{bytes() / static_cast<double>(rows)}};
  const Rounds worst = {{worst_bytes_per_row}};
  PrintLine("growth", name + "_bytes_after", "bytes/row", after, "plain row", &allowed);
  PrintLine("growth", name + "_bytes_worst", "bytes/row", worst, "plain row", &allowed);
  const Rounds per_key = {{(ThreadNanos() - begin_ns) / static_cast<double>(rows)}};
  PrintLine("growth", name + "_insert", "ns/key", per_key, "", nullptr);
}

}  // namespace

void GrowthBench() {
  Grow(16, 50'000'000);
  Grow(64, 15'000'000);
}

}  // namespace weir::bench
