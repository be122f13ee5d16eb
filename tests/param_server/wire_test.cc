// What travels between workers and servers: values rounded as the job says, alike for all placements; pushes without
// keys.
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "embeddings/bfloat16.h"
#include "param_server/wire_values.h"
#include "tests/param_server/cluster.h"

namespace weir::testing {
namespace {

constexpr uint64_t kSeed = 20250303;
constexpr int64_t kSteps = 30;

using ::testing::HasSubstr;

std::vector<float> Travelled(WireConfig::Type type, const std::vector<float>& values, Isa isa) {
  std::vector<uint16_t> bytes(values.size());
  std::vector<float> back(values.size());
  EncodeValues(type, values.data(), values.size(), reinterpret_cast<uint8_t*>(bytes.data()), isa);
  DecodeValues(type, reinterpret_cast<const uint8_t*>(bytes.data()), values.size(), back.data(), isa);
  return back;
}

// The nearest value that float16 has, ties to even, by its definition: 10 bits of fraction, exponents -14 to 15.
float NearestFloat16(float value) {
  if (std::isnan(value) || std::isinf(value)) return value;
  const float bounded = std::clamp(value, -65504.0f, 65504.0f);
  const int exponent = bounded == 0 ? -14 : std::max(std::ilogb(bounded), -14);
  const double unit = std::ldexp(1.0, exponent - 10);
  return static_cast<float>(std::nearbyint(bounded / unit) * unit);
}

TEST(WireValuesTest, EverySixteenBitValueComesBack) {
  for (const WireConfig::Type type : {WireConfig::BFLOAT16, WireConfig::FLOAT16}) {
    for (const Isa isa : KnownIsas()) {
      for (uint32_t bits = 0; bits < 65536; ++bits) {
        const auto sent = static_cast<uint16_t>(bits);
        float value;
        uint16_t back;
        DecodeValues(type, reinterpret_cast<const uint8_t*>(&sent), 1, &value, isa);
        EncodeValues(type, &value, 1, reinterpret_cast<uint8_t*>(&back), isa);
        if (std::isnan(value)) {
          DecodeValues(type, reinterpret_cast<const uint8_t*>(&back), 1, &value, isa);
          ASSERT_TRUE(std::isnan(value)) << bits;
        } else {
          ASSERT_EQ(back, sent) << WireConfig::Type_Name(type) << " " << IsaName(isa);
        }
      }
    }
  }
}

TEST(WireValuesTest, AreTheNearestWithEveryInstructionSet) {
  std::mt19937_64 random(5);
  std::vector<float> values = {0.0f,
                               -0.0f,
                               1.0f,
                               65504.0f,
                               65519.0f,
                               65520.0f,
                               -1e9f,
                               5.9e-8f,
                               2.9e-8f,
                               2.98e-8f,
                               std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::infinity(),
                               -std::numeric_limits<float>::infinity(),
                               std::numeric_limits<float>::denorm_min(),
                               std::numeric_limits<float>::quiet_NaN()};
  for (int i = 0; i < 100'000; ++i) {
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
    values.push_back(std::ldexp(static_cast<float>(random() % 8192) / 2, static_cast<int>(random() % 40) - 30));
  }
  const std::vector<float> half = Travelled(WireConfig::FLOAT16, values, Isa::kScalar);
  const std::vector<float> brain = Travelled(WireConfig::BFLOAT16, values, Isa::kScalar);
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) {
      ASSERT_TRUE(std::isnan(half[i]) && std::isnan(brain[i]));
      continue;
    }
    ASSERT_EQ(half[i], NearestFloat16(values[i])) << values[i];
    ASSERT_EQ(brain[i], Bfloat16ToFloat(NearestBfloat16(values[i]))) << values[i];
  }
  for (const Isa isa : KnownIsas()) {
    SCOPED_TRACE(IsaName(isa));
    const auto expect_same = [&](const std::vector<float>& a, const std::vector<float>& b) {
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
    };
    expect_same(Travelled(WireConfig::FLOAT16, values, isa), half);
    expect_same(Travelled(WireConfig::BFLOAT16, values, isa), brain);
  }
  for (const WireConfig::Type type : {WireConfig::FLOAT16, WireConfig::BFLOAT16, WireConfig::FLOAT32}) {
    std::vector<float> rounded = values;
    RoundValues(type, rounded.size(), rounded.data());
    const auto& expected = type == WireConfig::FLOAT16 ? half : type == WireConfig::BFLOAT16 ? brain : values;
    EXPECT_EQ(std::memcmp(rounded.data(), expected.data(), values.size() * sizeof(float)), 0);
  }
}

std::vector<TableSpec> TablesOnWire() {
  std::vector<TableSpec> tables = TestTables();
  tables[0].wire.set_pull(WireConfig::BFLOAT16);
  tables[0].wire.set_push(WireConfig::FLOAT16);
  tables[1].wire.set_push(WireConfig::BFLOAT16);  // dim 1: an odd number of values, mostly
  tables[2].wire.set_pull(WireConfig::FLOAT16);
  return tables;
}

struct Outcome {
  SavedRows rows;
  std::vector<std::vector<float>> seen;  // by worker
};

// same_keys: each push has the keys of its pull, in the same place, so that they do not travel again.
Outcome Train(const std::vector<TableSpec>& tables, int num_servers, int num_workers, bool same_keys) {
  MemoryRowFiles files;
  Cluster cluster(num_servers, num_workers, &files, 10, /*tcp_only=*/false, tables);
  Outcome outcome;
  outcome.seen.resize(num_workers);
  auto stores = RunWorkers(cluster, num_workers, [&](int w, RemoteStore* store) {
    for (int64_t step = 1; step <= kSteps; ++step) {
      StepData data(kSeed, step, w, tables);
      ASSERT_TRUE(store->Pull(step, PullKind::kTraining, data.pulls).ok());
      for (const auto& rows : data.rows) outcome.seen[w].insert(outcome.seen[w].end(), rows.begin(), rows.end());
      const std::vector<std::vector<uint64_t>> copies = data.keys;
      if (!same_keys) {
        for (TablePush& push : data.pushes) push.keys = copies[push.table];
      }
      ASSERT_TRUE(store->Push(step, data.pushes).ok());
    }
    EXPECT_TRUE(store->Drain(kSteps).ok());
  });
  if (::testing::Test::HasFailure()) return outcome;
  EXPECT_TRUE(stores[0]->Save(kSteps, "end").ok());
  outcome.rows = files.Rows("end");
  EXPECT_TRUE(stores[0]->Shutdown().ok());
  return outcome;
}

TEST(WireTest, RoundedValuesAreTheSameOnAnyServers) {
  const Outcome one = Train(TablesOnWire(), 1, 2, /*same_keys=*/true);
  EXPECT_GT(one.rows.size(), 150u);
  for (const int num_servers : {0, 3}) {
    SCOPED_TRACE(num_servers);
    const Outcome other = Train(TablesOnWire(), num_servers, 2, /*same_keys=*/true);
    EXPECT_EQ(other.rows, one.rows);
    EXPECT_EQ(other.seen, one.seen);
  }
  EXPECT_NE(Train(TestTables(), 1, 2, /*same_keys=*/true).rows, one.rows);
}

TEST(WireTest, PulledWeightsAreRounded) {
  const Outcome outcome = Train(TablesOnWire(), 1, 1, /*same_keys=*/true);
  StepData data(kSeed, 1, 0, TestTables());
  size_t at = 0, weights = 0;
  for (size_t t = 0; t < data.keys.size(); ++t) {
    const WireConfig::Type type = TablesOnWire()[t].wire.pull();
    for (size_t i = 0; i < data.rows[t].size(); ++i, ++at, ++weights) {
      float rounded = outcome.seen[0][at];
      RoundValues(type, 1, &rounded);
      EXPECT_EQ(rounded, outcome.seen[0][at]);
    }
  }
  EXPECT_GT(weights, 0u);
}

TEST(WireTest, PushesWithAndWithoutKeysTrainAlike) {
  for (const int num_servers : {0, 1, 3}) {
    SCOPED_TRACE(num_servers);
    const Outcome without = Train(TestTables(), num_servers, 2, /*same_keys=*/true);
    const Outcome with = Train(TestTables(), num_servers, 2, /*same_keys=*/false);
    EXPECT_EQ(without.rows, with.rows);
    EXPECT_EQ(without.seen, with.seen);
  }
}

TEST(WireTest, BytesAreKeysOnceAndValuesEachWay) {
  MemoryRowFiles files;
  const std::vector<TableSpec> tables = TablesOnWire();
  Cluster cluster(1, 1, &files, 10, /*tcp_only=*/false, tables);
  auto store = cluster.Connect(0);
  ASSERT_TRUE(store);
  const std::vector<TableFormat> formats = TableFormats(tables);
  const StoreStats before = *store->Stats();
  int64_t sent = 0, received = 0;
  for (int64_t step = 1; step <= kSteps; ++step) {
    StepData data(kSeed, step, 0, tables);
    ASSERT_TRUE(store->Pull(step, PullKind::kTraining, data.pulls).ok());
    ASSERT_TRUE(store->Push(step, data.pushes).ok());
    std::vector<TableCount> counts;
    int64_t keys_and_values = 0;
    for (const TablePull& pull : data.pulls) {
      const TableSpec& table = tables[pull.table];
      const int64_t n = static_cast<int64_t>(pull.keys.size());
      counts.push_back({pull.table, pull.keys.size()});
      keys_and_values += 8 * n + (n * table.layout.dim * WireValueBytes(table.wire.push()) + 3) / 4 * 4 +
                         (n * table.layout.dim * WireValueBytes(table.wire.pull()) + 3) / 4 * 4;
    }
    const StepBytes bytes = BytesOfStep(counts, formats);
    // As docs/protocol.md has it.
    EXPECT_EQ(bytes.sent + bytes.received, 3 * kFrameHeaderBytes + 56 + 16 * counts.size() + keys_and_values);
    sent += bytes.sent;
    received += bytes.received;
  }
  ASSERT_TRUE(store->Drain(kSteps).ok());
  const StoreStats after = *store->Stats();
  // A heartbeat or two may fall into it, a Drain and a Stats with their answers do.
  EXPECT_NEAR(after.bytes_sent - before.bytes_sent, sent, 8 * kFrameHeaderBytes);
  EXPECT_NEAR(after.bytes_received - before.bytes_received, received, 8 * kFrameHeaderBytes + 1000);
  EXPECT_EQ(after.messages_sent - before.messages_sent, 2 * kSteps + 2) << "one pull and one push a step";
}

TEST(WireTest, APushWithoutKeysNeedsItsPull) {
  const std::vector<TableFormat> formats = TableFormats(TestTables());
  const TableCount counts[] = {{0, 2}};
  KeyedBuffer pull = EncodePull(4, PullKind::kTraining, counts);
  pull.keys[0] = 7;
  pull.keys[1] = 8;
  const PullMessage pulled = *DecodePull(pull.payload.span(), formats);
  PushMessage header;
  header.step = 4;
  header.as_pulled = true;
  KeyedBuffer push = EncodePush(header, counts, formats);
  EXPECT_EQ(push.keys, nullptr);
  for (int i = 0; i < 8; ++i) reinterpret_cast<float*>(push.values)[i] = static_cast<float>(i);
  EXPECT_THAT(DecodePush(push.payload.span(), formats, nullptr).status().message(), HasSubstr("no pull of the step"));
  const auto decoded = DecodePush(push.payload.span(), formats, &pulled);
  ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
  ASSERT_EQ(decoded->tables.size(), 1u);
  EXPECT_THAT(decoded->tables[0].keys, ::testing::ElementsAre(7, 8));
  EXPECT_EQ(decoded->tables[0].gradients[7], 7.0f);
  for (size_t size = 0; size < push.payload.size(); ++size) {
    EXPECT_FALSE(DecodePush(push.payload.span().first(size), formats, &pulled).ok()) << size;
  }
}

}  // namespace
}  // namespace weir::testing
