// Trains rows by one rule and prints them, for optimizers_torch_test.py.
//   train_rows OPTIMIZER_TEXTPROTO DIM < numbers
// Input: the initial weights of R rows, then for each step a list of gradients; as text:
//   R, R*DIM weights, number of steps, then per step: n, n times (row, DIM gradients).
// Output: a line of floats per row: weights, then state.
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include <google/protobuf/text_format.h>

#include "embeddings/table_set.h"

namespace weir {
namespace {

void ReadFloats(std::vector<float>* floats) {
  for (float& f : *floats) std::cin >> f;
}

// Puts the initial weights in place of those that the table would draw.
void LoadRows(const RowLayout& layout, int num_rows, TableSet* tables) {
  for (int row = 0; row < num_rows; ++row) {
    std::vector<float> values(layout.dim);
    ReadFloats(&values);
    for (const StateColumn& column : layout.state) values.insert(values.end(), column.width, column.initial);
    const uint64_t key = row, count = 0;
    const int64_t last_step = 0;
    CHECK(tables->Load(0, {1, &key, &last_step, &count, values.data()}).ok());
  }
}

void ApplyStep(int64_t step, int dim, TableSet* tables) {
  int touched = 0;
  std::cin >> touched;
  std::vector<uint64_t> keys(touched);
  std::vector<float> gradients;
  for (uint64_t& key : keys) {
    std::cin >> key;
    std::vector<float> gradient(dim);
    ReadFloats(&gradient);
    gradients.insert(gradients.end(), gradient.begin(), gradient.end());
  }
  const std::vector<TablePush> push = {{0, keys, gradients.data()}};
  const Status applied = tables->Apply(step, std::span(&push, 1));
  CHECK(applied.ok()) << applied.ToString();
}

int Run(const std::string& optimizer, int dim) {
  TableSpec spec;
  spec.name = "table";
  CHECK(google::protobuf::TextFormat::ParseFromString(optimizer, &spec.optimizer)) << optimizer;
  spec.layout = MakeRowLayout(dim, spec.optimizer);
  TableSet tables({spec}, 1);
  int num_rows = 0, steps = 0;
  std::cin >> num_rows;
  LoadRows(spec.layout, num_rows, &tables);
  std::cin >> steps;
  for (int step = 1; step <= steps; ++step) ApplyStep(step, dim, &tables);
  CHECK(std::cin.good()) << "torn input";
  const Status status = tables.Scan(0, 0, 1, 1 << 20, [&](const RowBlock& block) {
    const int width = spec.layout.width();
    for (int64_t i = 0; i < block.num_rows * width; ++i) {
      std::printf("%.9g%c", block.values[i], i % width == width - 1 ? '\n' : ' ');
    }
    return Status();
  });
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  CHECK_EQ(argc, 3) << "usage: train_rows OPTIMIZER_TEXTPROTO DIM < numbers";
  return weir::Run(argv[1], std::stoi(argv[2]));
}
