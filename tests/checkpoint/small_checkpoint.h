// Checkpoints for tests, made from rows given one by one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/row_file_writer.h"
#include "embeddings/table_set.h"

namespace weir {

struct TestRow {
  uint64_t key = 0;
  int64_t last_step = 0;
  uint64_t count = 0;
  std::vector<float> values;  // weights, then state
};

struct TestTable {
  std::string name;
  RowLayout layout;
  std::vector<TestRow> rows;
};

struct TestCheckpoint {
  int64_t step = 1;
  int virtual_shards = 8;
  std::vector<int> cuts = {0, 8};  // the shards at which row files begin, and the end
  std::vector<TestTable> tables;
  std::vector<DenseTensor> dense;
  LoaderPosition position;
  TrainingState training;
};

inline RowBlock BlockOf(const std::vector<TestRow>& rows, std::vector<uint64_t>* keys, std::vector<int64_t>* last_steps,
                        std::vector<uint64_t>* counts, std::vector<float>* values) {
  for (const TestRow& row : rows) {
    keys->push_back(row.key);
    last_steps->push_back(row.last_step);
    counts->push_back(row.count);
    values->insert(values->end(), row.values.begin(), row.values.end());
  }
  return {static_cast<int64_t>(rows.size()), keys->data(), last_steps->data(), counts->data(), values->data()};
}

// Writes the rows as they come: in no order, or out of the shards, if that is what they are.
inline Result<DataFile> WriteRowFile(FileSystem* file_system, const std::string& folder, const std::string& name,
                                     const RowFileHeader& header, const std::vector<TestRow>& rows) {
  WEIR_ASSIGN_OR_RETURN(auto writer, RowFileWriter::Create(file_system, folder, name, header));
  std::vector<uint64_t> keys, counts;
  std::vector<int64_t> last_steps;
  std::vector<float> values;
  WEIR_RETURN_IF_ERROR(writer->Append(BlockOf(rows, &keys, &last_steps, &counts, &values)));
  return writer->Finish();
}

inline std::vector<TestRow> RowsOfShards(const TestTable& table, ShardRange shards, int virtual_shards) {
  std::vector<TestRow> rows;
  for (const TestRow& row : table.rows) {
    const int shard = VirtualShard(row.key, virtual_shards);
    if (shard >= shards.begin && shard < shards.end) rows.push_back(row);
  }
  std::sort(rows.begin(), rows.end(), [&](const TestRow& a, const TestRow& b) {
    return std::pair(VirtualShard(a.key, virtual_shards), a.key) <
           std::pair(VirtualShard(b.key, virtual_shards), b.key);
  });
  return rows;
}

inline Manifest ManifestOf(const TestCheckpoint& checkpoint) {
  Manifest manifest;
  Job* job = manifest.mutable_job();
  job->set_name("small");
  job->mutable_train()->set_batch_size(64);
  job->mutable_optimizers()->mutable_rows()->mutable_rowwise_adagrad()->set_eps(1e-8);
  manifest.mutable_hash_rule()->set_virtual_shards(checkpoint.virtual_shards);
  *manifest.mutable_position() = checkpoint.position;
  *manifest.mutable_training() = checkpoint.training;
  for (const TestTable& table : checkpoint.tables) {
    TableSummary* summary = manifest.add_tables();
    summary->set_name(table.name);
    summary->set_dim(table.layout.dim);
    TableConfig* config = job->add_tables();
    config->set_name(table.name);
    config->set_dim(table.layout.dim);
    if (table.layout.weight_type != TableConfig::FLOAT32) summary->set_weight_type(table.layout.weight_type);
    for (const StateColumn& column : table.layout.state) {
      StateSlot* slot = summary->add_state();
      slot->set_name(column.name);
      slot->set_width(column.width);
    }
  }
  return manifest;
}

inline Result<std::string> CommitTestCheckpoint(FileSystem* file_system, const std::string& root,
                                                const TestCheckpoint& checkpoint) {
  WEIR_ASSIGN_OR_RETURN(auto writer, CheckpointWriter::Begin(file_system, root, checkpoint.step));
  WEIR_RETURN_IF_ERROR(writer->WriteDense(checkpoint.dense));
  std::vector<DataFile> files;
  for (size_t t = 0; t < checkpoint.tables.size(); ++t) {
    const TestTable& table = checkpoint.tables[t];
    for (size_t i = 0; i + 1 < checkpoint.cuts.size(); ++i) {
      const ShardRange shards{checkpoint.cuts[i], checkpoint.cuts[i + 1]};
      WEIR_ASSIGN_OR_RETURN(
          DataFile file, WriteRowFile(file_system, writer->folder(), fmt::format("rows-{:04}-test-{:05}.arrow", t, i),
                                      {table.name, table.layout, shards, checkpoint.virtual_shards},
                                      RowsOfShards(table, shards, checkpoint.virtual_shards)));
      files.push_back(std::move(file));
    }
  }
  writer->AddFiles(files);
  return writer->Commit(ManifestOf(checkpoint));
}

// Two tables (one with two columns of state), two tensors, a position.
inline TestCheckpoint MakeTestCheckpoint(int64_t step) {
  TestCheckpoint checkpoint;
  checkpoint.step = step;
  TestTable user{"user", {2, {{"exp_avg", 2, 0}, {"sum", 1, 0}}}, {}};
  for (uint64_t key = 0; key < 40; ++key) {
    const float x = 0.25f * static_cast<float>(key);
    user.rows.push_back({key * 7919, static_cast<int64_t>(key % (step + 1)), key + 1, {x, -x, x + 1, x + 2, x + 3}});
  }
  TestTable item{"item", {3, {}}, {}};
  for (uint64_t key = 0; key < 5; ++key) item.rows.push_back({~key, step, 2, {1, 2, static_cast<float>(key)}});
  checkpoint.tables = {user, item};
  checkpoint.dense = {{"parameter/top.0.weight", {2, 3}, {1, 2, 3, 4, 5, 6}}, {"parameter/top.0.bias", {2}, {.5, -.5}}};
  checkpoint.position.set_epoch(1);
  checkpoint.position.set_samples(1000 * step);
  InputFile* input = checkpoint.position.add_files();
  input->set_path("part-0.parquet");
  input->set_bytes(12345);
  input->set_rows(4000);
  checkpoint.training.set_samples_trained(1000 * step);
  return checkpoint;
}

inline std::string ReadBytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::stringstream bytes;
  bytes << stream.rdbuf();
  return bytes.str();
}

// In place: ext4 answers a truncated and rewritten file with a flush of 4 ms, which would make long loops of changes
// slow.
inline void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::app).close();  // makes it
  std::fstream stream(path, std::ios::binary | std::ios::in | std::ios::out);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  stream.close();
  std::filesystem::resize_file(path, bytes.size());
}

}  // namespace weir
