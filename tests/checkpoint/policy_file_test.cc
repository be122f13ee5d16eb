#include "checkpoint/policy_file.h"

#include <algorithm>
#include <cstring>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "checkpoint/arrow_row_files.h"
#include "embeddings/table_set.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

constexpr int kShards = 8;

TableSpec Spec() {
  TableConfig config;
  config.mutable_admission()->mutable_count()->set_threshold(3);
  config.mutable_admission()->mutable_count()->set_filter_memory("2KiB");
  config.mutable_eviction()->set_ttl_s(5);
  config.mutable_eviction()->set_every_steps(1);
  TableSpec spec;
  spec.name = "user";
  spec.optimizer.mutable_sgd();
  spec.layout = MakeRowLayout(2, spec.optimizer);
  spec.limits = MakeTableLimits(config);
  return spec;
}

// Steps of a second each; some keys get rows and lose them.
std::unique_ptr<TableSet> Trained(int64_t steps) {
  auto tables = std::make_unique<TableSet>(std::vector{Spec(), Spec()}, kShards);
  for (int64_t step = 1; step <= steps; ++step) {
    std::vector<uint64_t> keys;
    for (int i = 0; i < 40; ++i) keys.push_back(Fmix64(step / 4 * 100 + i));
    const std::vector<float> gradients(keys.size() * 2, 0.5f);
    const std::vector<std::vector<TablePush>> pushes = {{{0, keys, gradients.data()}, {1, keys, gradients.data()}}};
    EXPECT_TRUE(tables->Apply(step, pushes, step * 1000).ok());
  }
  return tables;
}

void ExpectSame(const TablePolicy& a, const TablePolicy& b, ShardRange shards) {
  EXPECT_EQ(a.Save(), b.Save());
  for (int shard = shards.begin; shard < shards.end; ++shard) {
    std::vector<uint8_t> of_a = a.SaveShard(shard), of_b = b.SaveShard(shard);
    // The filter alone: tombstones belong to the commit that wrote them.
    uint64_t filter_bytes = 0;
    ASSERT_GE(of_a.size(), sizeof(filter_bytes));
    std::memcpy(&filter_bytes, of_a.data(), sizeof(filter_bytes));
    EXPECT_GT(filter_bytes, 0U);
    ASSERT_GE(of_b.size(), sizeof(filter_bytes) + filter_bytes);
    EXPECT_EQ(std::memcmp(of_a.data(), of_b.data(), sizeof(filter_bytes) + filter_bytes), 0) << shard;
  }
}

TEST(PolicyFile, GoesThroughAnyOwners) {
  const TemporaryFolder folder;
  const auto tables = Trained(20);
  std::vector<DataFile> files;
  for (const ShardRange shards : {ShardRange{0, 3}, ShardRange{3, 8}}) {
    const auto file = WritePolicyFile(&LocalFileSystem(), folder.path(), "policy-" + std::to_string(shards.begin),
                                      "user", tables->policy(0), shards);
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    EXPECT_EQ(file->kind(), DataFile::POLICY);
    EXPECT_TRUE(VerifyPolicyFile(&LocalFileSystem(), folder.path(), *file).ok());
    files.push_back(*file);
  }
  TableSet whole({Spec()}, kShards), middle({Spec()}, kShards);
  for (const DataFile& file : files) {
    ASSERT_TRUE(ReadPolicyFile(&LocalFileSystem(), folder.path(), file, {0, 8}, whole.mutable_policy(0)).ok());
    ASSERT_TRUE(ReadPolicyFile(&LocalFileSystem(), folder.path(), file, {2, 5}, middle.mutable_policy(0)).ok());
  }
  ExpectSame(tables->policy(0), whole.policy(0), {0, 8});
  ExpectSame(tables->policy(0), middle.policy(0), {2, 5});
  EXPECT_TRUE(middle.policy(0).SaveShard(1).empty());
}

TEST(PolicyFile, DamageIsNoticed) {
  const TemporaryFolder folder;
  const auto tables = Trained(20);
  const auto written =
      WritePolicyFile(&LocalFileSystem(), folder.path(), "policy", "user", tables->policy(0), {0, kShards});
  ASSERT_TRUE(written.ok());
  const std::string path = JoinPath(folder.path(), "policy");
  const std::string whole = *LocalFileSystem().ReadAll(path, 1 << 20);
  // With the checksum of the damaged bytes, so that the grammar must notice, or the bytes still be ones it may have.
  const auto read = [&](const std::string& bytes) {
    auto file = LocalFileSystem().Create(path);
    EXPECT_TRUE(file.ok());
    EXPECT_TRUE((*file)->Append({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}).ok());
    EXPECT_TRUE((*file)->Close().ok());
    DataFile entry = *written;
    entry.set_bytes(bytes.size());
    entry.set_crc32c(Crc32c(bytes.data(), bytes.size()));
    TableSet loaded({Spec()}, kShards);
    return ReadPolicyFile(&LocalFileSystem(), folder.path(), entry, {0, kShards}, loaded.mutable_policy(0));
  };
  EXPECT_TRUE(read(whole).ok());
  for (size_t size = 0; size < whole.size(); size += size < 200 ? 1 : 41) {
    EXPECT_EQ(read(whole.substr(0, size)).code(), StatusCode::kDataLoss) << size;
  }
  EXPECT_THAT(read(whole + "x").message(), HasSubstr("expected its end"));
  EXPECT_THAT(read("Weir" + whole.substr(4)).message(), HasSubstr("expected a POLICY file"));
  std::mt19937_64 random(std::random_device{}());
  for (int i = 0; i < 300; ++i) {
    std::string bytes = whole;
    bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    const Status status = read(bytes);
    EXPECT_TRUE(status.ok() || status.code() == StatusCode::kDataLoss) << status.ToString();
  }
  // With the checksum that the manifest has.
  std::string flipped = whole;
  flipped[whole.size() / 2] ^= 1;
  read(flipped).IgnoreError();
  TableSet loaded({Spec()}, kShards);
  EXPECT_EQ(ReadPolicyFile(&LocalFileSystem(), folder.path(), *written, {0, kShards}, loaded.mutable_policy(0)).code(),
            StatusCode::kDataLoss);
}

TEST(PolicyFile, RowFilesCarryIt) {
  const TemporaryFolder folder;
  const auto tables = Trained(20);
  const auto row_files = MakeArrowRowFiles(&LocalFileSystem());
  const auto files = row_files->Write(*tables, {0, kShards}, folder.path(), "local", [] {});
  ASSERT_TRUE(files.ok()) << files.status().ToString();
  EXPECT_EQ(std::count_if(files->begin(), files->end(), [](const auto& f) { return f.kind() == DataFile::POLICY; }), 2);
  // Both tables have one name here, which no job has: take the files of the first.
  std::vector<DataFile> first;
  for (const DataFile& file : *files) {
    if (file.name().find("-0000-") != std::string::npos) first.push_back(file);
  }
  TableSet one({Spec()}, kShards);
  const Status read = row_files->Read(folder.path(), first, {0, kShards}, &one, [] {});
  ASSERT_TRUE(read.ok()) << read.ToString();
  ExpectSame(tables->policy(0), one.policy(0), {0, kShards});
  EXPECT_EQ(one.num_rows(0), tables->num_rows(0));

  // A checkpoint from before there were such files.
  std::vector<DataFile> rows_only;
  for (const DataFile& file : first) {
    if (file.kind() == DataFile::ROWS) rows_only.push_back(file);
  }
  TableSet old({Spec()}, kShards);
  EXPECT_TRUE(row_files->Read(folder.path(), rows_only, {0, kShards}, &old, [] {}).ok());
  EXPECT_TRUE(old.policy(0).Save().empty());

  // A table whose limits were taken away.
  TableSpec plain = Spec();
  plain.limits = {};
  TableSet unlimited({plain}, kShards);
  EXPECT_TRUE(row_files->Read(folder.path(), first, {0, kShards}, &unlimited, [] {}).ok());
  EXPECT_EQ(unlimited.num_rows(0), tables->num_rows(0));
}

}  // namespace
}  // namespace weir
