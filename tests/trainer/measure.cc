// Measures the predictions of a file over a number of workers: for auc_sklearn_test.py.
//   measure FILE WORKERS     FILE: float32 [n, 3] of logit, label, weight; prints one JSON line
#include <array>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tests/trainer/workers.h"
#include "trainer/json_line.h"
#include "trainer/metrics.h"

namespace weir {
namespace {

struct Samples {
  std::vector<float> logits, labels, weights;
};

Samples Read(const char* path) {
  Samples samples;
  std::ifstream file(path, std::ios::binary);
  CHECK(file) << path;
  std::array<float, 3> row;
  while (file.read(reinterpret_cast<char*>(row.data()), sizeof(row))) {
    samples.logits.push_back(row[0]);
    samples.labels.push_back(row[1]);
    samples.weights.push_back(row[2]);
  }
  CHECK_EQ(file.gcount(), 0) << path << " ends within a row";
  return samples;
}

// Each worker takes one run of the samples.
EvaluationAccumulator Part(const Samples& samples, const Collective& collective) {
  const size_t count = samples.logits.size();
  const size_t begin = count * collective.rank() / collective.size();
  const size_t length = count * (collective.rank() + 1) / collective.size() - begin;
  EvaluationAccumulator accumulator;
  accumulator.Add(std::span(samples.logits).subspan(begin, length), std::span(samples.labels).subspan(begin, length),
                  std::span(samples.weights).subspan(begin, length));
  return accumulator;
}

int Main(const char* path, int workers) {
  const Samples samples = Read(path);
  std::mutex mutex;
  std::vector<std::string> lines;
  RunWorkers(workers, 60 * kNanosPerSecond, [&](Collective& collective) {
    Result<Evaluation> found = Part(samples, collective).Finish(collective, 1, 1000);
    CHECK(found.ok()) << found.status().ToString();
    auto optional = [](bool has, double value) { return has ? JsonValue(value) : JsonValue(); };
    const std::vector<JsonField> fields = {{"samples", found->samples()},
                                           {"auc", optional(found->has_auc(), found->auc())},
                                           {"logloss", found->logloss()},
                                           {"calibration", optional(found->has_calibration(), found->calibration())}};
    std::lock_guard lock(mutex);
    lines.push_back(JsonLine(fields));
  });
  for (const std::string& line : lines) CHECK_EQ(line, lines[0]) << "workers disagree";
  std::cout << lines[0] << "\n";
  return 0;
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  CHECK_EQ(argc, 3) << "measure FILE WORKERS";
  return weir::Main(argv[1], std::stoi(argv[2]));
}
