#include "param_server/protocol.h"

#include <algorithm>
#include <cstring>
#include <iostream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "param_server/row_messages.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

constexpr JobToken kToken = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6};
const std::vector<TableFormat> kFormats = {{4}, {1, WireConfig::FLOAT32, WireConfig::FLOAT32, false}, {16}};

using HeaderBytes = std::array<uint8_t, kFrameHeaderBytes>;

HeaderBytes EncodedHeader(MessageType type = MessageType::kPull, uint64_t payload_bytes = 100) {
  HeaderBytes bytes{};
  EncodeHeader({.type = type,
                .payload_bytes = payload_bytes,
                .request_id = 77,
                .timeout_ms = 5,
                .payload_crc32c = 6,
                .sequence = 41,
                .acknowledged = 43},
               kToken, bytes);
  return bytes;
}

void Reseal(HeaderBytes* bytes) {
  const uint32_t crc = Crc32c(bytes->data(), kFrameHeaderBytes - 4);
  std::memcpy(bytes->data() + kFrameHeaderBytes - 4, &crc, 4);
}

TEST(FrameTest, HeaderGoesThrough) {
  const auto header = DecodeHeader(EncodedHeader(), kToken, 100);
  ASSERT_TRUE(header.ok()) << header.status().ToString();
  EXPECT_EQ(header->type, MessageType::kPull);
  EXPECT_EQ(header->payload_bytes, 100u);
  EXPECT_EQ(header->request_id, 77u);
  EXPECT_EQ(header->timeout_ms, 5u);
  EXPECT_EQ(header->payload_crc32c, 6u);
  EXPECT_EQ(header->sequence, 41u);
  EXPECT_EQ(header->acknowledged, 43u);
}

// The bytes of version 5, so that two builds of it always understand each other.
TEST(FrameTest, HeaderIsTheDocumentedBytes) {
  const HeaderBytes bytes = EncodedHeader();
  const uint8_t expected[68] = {'W', 'E', 'I', 'R', 5, 0, 3, 0, 100, 0, 0,  0, 0, 0, 0, 0, 77, 0, 0, 0, 0, 0, 0,
                                0,   5,   0,   0,   0, 6, 0, 0, 0,   9, 8,  7, 6, 5, 4, 3, 2,  1, 0, 1, 2, 3, 4,
                                5,   6,   41,  0,   0, 0, 0, 0, 0,   0, 43, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0};
  EXPECT_EQ(std::memcmp(bytes.data(), expected, sizeof(expected)), 0);
}

TEST(FrameTest, EachRuleHasItsError) {
  HeaderBytes bytes = EncodedHeader();
  bytes[0] = 'w';
  EXPECT_EQ(DecodeHeader(bytes, kToken, 100).status().code(), StatusCode::kDataLoss);
  bytes = EncodedHeader();
  bytes[4] = 1;
  Reseal(&bytes);
  const Status version = DecodeHeader(bytes, kToken, 100).status();
  EXPECT_EQ(version.code(), StatusCode::kUnimplemented);
  EXPECT_THAT(version.message(), HasSubstr("expected 5, found 1"));
  JobToken other = kToken;
  other[15] ^= 1;
  EXPECT_EQ(DecodeHeader(EncodedHeader(), other, 100).status().code(), StatusCode::kUnauthenticated);
  bytes = EncodedHeader();
  bytes[40] ^= 1;  // in the token, and not by its owner
  EXPECT_EQ(DecodeHeader(bytes, kToken, 100).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(DecodeHeader(EncodedHeader(), kToken, 99).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(DecodeHeader(EncodedHeader(MessageType::kPull, ~uint64_t{0}), kToken, 100).status().code(),
            StatusCode::kResourceExhausted);
  for (const int type : {0, 18, 65535}) {
    EXPECT_EQ(DecodeHeader(EncodedHeader(static_cast<MessageType>(type)), kToken, 100).status().code(),
              StatusCode::kInvalidArgument);
  }
}

TEST(FrameTest, NoFlippedBitOfAHeaderPasses) {
  for (size_t bit = 0; bit < kFrameHeaderBytes * 8; ++bit) {
    HeaderBytes bytes = EncodedHeader();
    bytes[bit / 8] ^= 1 << (bit % 8);
    EXPECT_FALSE(DecodeHeader(bytes, kToken, 100).ok()) << "bit " << bit;
  }
}

TEST(MessageTest, HelloGoesThroughAndItsHostIsMadePrintable) {
  const Hello hello{.worker = 1,
                    .num_workers = 2,
                    .server = 3,
                    .num_servers = 4,
                    .virtual_shards = 1024,
                    .num_tables = 26,
                    .table_digest = 0x1122334455667788,
                    .session = 0x99AABBCCDDEEFF00,
                    .epoch = 7,
                    .received = 1u << 31,
                    .host = "node\n\x1b[2J"};
  const auto back = DecodeHello(EncodeHello(hello).span());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->worker, 1u);
  EXPECT_EQ(back->num_workers, 2u);
  EXPECT_EQ(back->server, 3u);
  EXPECT_EQ(back->num_servers, 4u);
  EXPECT_EQ(back->virtual_shards, 1024u);
  EXPECT_EQ(back->num_tables, 26u);
  EXPECT_EQ(back->table_digest, 0x1122334455667788u);
  EXPECT_EQ(back->session, 0x99AABBCCDDEEFF00u);
  EXPECT_EQ(back->epoch, 7u);
  EXPECT_EQ(back->received, 1u << 31);
  EXPECT_EQ(back->host, "node??[2J");
}

TEST(MessageTest, PullGoesThrough) {
  const TableCount counts[] = {{2, 3}, {0, 0}, {1, 1}};
  KeyedBuffer filled = EncodePull(41, PullKind::kEvaluation, counts);
  const uint64_t keys[] = {0, ~uint64_t{0}, 5, 6};
  std::memcpy(filled.keys, keys, sizeof(keys));
  const auto pull = DecodePull(filled.payload.span(), kFormats);
  ASSERT_TRUE(pull.ok()) << pull.status().ToString();
  EXPECT_EQ(pull->step, 41);
  EXPECT_EQ(pull->kind, PullKind::kEvaluation);
  ASSERT_EQ(pull->tables.size(), 3u);
  EXPECT_EQ(pull->tables[0].table, 2);
  EXPECT_THAT(pull->tables[0].keys, ::testing::ElementsAre(0, ~uint64_t{0}, 5));
  EXPECT_TRUE(pull->tables[1].keys.empty());
  EXPECT_THAT(pull->tables[2].keys, ::testing::ElementsAre(6));
  EXPECT_EQ(RowsBytes(*pull, kFormats), (3 * 16 + 1) * sizeof(float));
}

TEST(MessageTest, RowsAreOfTheKeysAskedFor) {
  const TableCount counts[] = {{2, 1}, {1, 3, 2}};
  KeyedBuffer filled = EncodePull(41, PullKind::kTraining, counts);
  for (int i = 0; i < 4; ++i) filled.keys[i] = 100 + i;
  const auto pull = DecodePull(filled.payload.span(), kFormats);
  ASSERT_TRUE(pull.ok()) << pull.status().ToString();
  EXPECT_THAT(pull->tables[1].keys, ::testing::ElementsAre(101, 102, 103)) << "all are kept for the push";
  EXPECT_THAT(pull->tables[1].asked(), ::testing::ElementsAre(101));
  EXPECT_EQ(RowsBytes(*pull, kFormats), (16 + 1) * sizeof(float));
  const EarlyRowsBuffer early = EncodeEarlyRows(*pull, std::vector<std::vector<uint32_t>>{{}, {0}}, kFormats);
  EXPECT_EQ(early.payload.size(), 8 + sizeof(float));
  EXPECT_EQ(early.payload.data()[0], 0b10);
}

TEST(MessageTest, KeysThatMayNotBeUnaskedAreRefused) {
  const auto refusal = [](PullKind kind, TableCount table) {
    KeyedBuffer filled = EncodePull(41, kind, {&table, 1});
    std::fill_n(filled.keys, table.num_keys, 5);
    return DecodePull(filled.payload.span(), kFormats).status();
  };
  EXPECT_TRUE(refusal(PullKind::kTraining, {1, 2, 2}).ok());
  EXPECT_THAT(refusal(PullKind::kTraining, {1, 2, 3}).message(), HasSubstr("3 of the 2 keys of table 1"));
  EXPECT_THAT(refusal(PullKind::kTraining, {0, 2, 1}).message(), HasSubstr("expected 0 of a synchronous table"));
  EXPECT_THAT(refusal(PullKind::kEvaluation, {1, 2, 1}).message(), HasSubstr("expected 0 in an evaluation"));
}

Buffer SamplePush() {
  const TableCount counts[] = {{0, 2}, {1, 1}};
  KeyedBuffer filled =
      EncodePush({.step = 8, .sequence = 3, .unix_ms = 1'700'000'000'123, .worker = 1, .tables = {}}, counts, kFormats);
  for (int i = 0; i < 3; ++i) filled.keys[i] = 100 + i;
  for (int i = 0; i < 9; ++i) reinterpret_cast<float*>(filled.values)[i] = static_cast<float>(i) / 2;
  return std::move(filled.payload);
}

TEST(MessageTest, PushGoesThrough) {
  const Buffer payload = SamplePush();
  const auto push = DecodePush(payload.span(), kFormats, nullptr);
  ASSERT_TRUE(push.ok()) << push.status().ToString();
  EXPECT_EQ(push->step, 8);
  EXPECT_EQ(push->sequence, 3u);
  EXPECT_EQ(push->unix_ms, 1'700'000'000'123);
  EXPECT_EQ(push->worker, 1u);
  ASSERT_EQ(push->tables.size(), 2u);
  EXPECT_THAT(push->tables[0].keys, ::testing::ElementsAre(100, 101));
  EXPECT_THAT(push->tables[1].keys, ::testing::ElementsAre(102));
  EXPECT_EQ(push->tables[0].gradients[7], 3.5f);
  EXPECT_EQ(push->tables[1].gradients[0], 4.0f);
}

TEST(MessageTest, EveryCutAndEveryExtraByteIsRefused) {
  const Buffer payload = SamplePush();
  for (size_t size = 0; size < payload.size(); ++size) {
    EXPECT_FALSE(DecodePush(payload.span().first(size), kFormats, nullptr).ok()) << size;
  }
  Buffer longer(payload.size() + 1);
  std::memcpy(longer.data(), payload.data(), payload.size());
  longer.data()[payload.size()] = 0;
  EXPECT_FALSE(DecodePush(longer.span(), kFormats, nullptr).ok());
}

TEST(MessageTest, TablesThatAreUnknownOrTwiceAreRefused) {
  const TableCount unknown[] = {{3, 0}};
  EXPECT_THAT(DecodePull(EncodePull(1, PullKind::kTraining, unknown).payload.span(), kFormats).status().message(),
              HasSubstr("table 3 of 3"));
  const TableCount twice[] = {{1, 0}, {1, 0}};
  EXPECT_THAT(DecodePull(EncodePull(1, PullKind::kTraining, twice).payload.span(), kFormats).status().message(),
              HasSubstr("table 1 twice"));
  EXPECT_FALSE(DecodePull(EncodePull(0, PullKind::kTraining, {}).payload.span(), kFormats).ok()) << "steps begin at 1";
}

TEST(MessageTest, FilesStatsHeartbeatAndErrorGoThrough) {
  DataFile file;
  file.set_name("rows-0.arrow");
  file.set_rows(12);
  const auto files = DecodeFiles(EncodeFiles({.step = 9, .folder = "/a b/c", .files = {file, file}}).span());
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->step, 9);
  EXPECT_EQ(files->folder, "/a b/c");
  ASSERT_EQ(files->files.size(), 2u);
  EXPECT_EQ(files->files[1].rows(), 12u);
  const OwnerStats sent = {.load = {5, 6, 7, 8, 9, 10, 11},
                           .tables = {TableStats{1, 2, 3, 4, 5, 6, 7, 8}, TableStats{9}},
                           .rows_by_staleness = {7, 0, 2}};
  const Buffer stats = EncodeStats(sent);
  EXPECT_EQ(DecodeStats(stats.span())->load, sent.load);
  EXPECT_EQ(DecodeStats(stats.span())->tables, sent.tables);
  for (size_t size = 0; size < stats.size(); ++size) EXPECT_FALSE(DecodeStats(stats.span().first(size)).ok()) << size;
  const auto heartbeat = DecodeHeartbeat(EncodeHeartbeat({.step = 5, .progress = 6, .sent = 7}).span());
  EXPECT_EQ(heartbeat->progress, 6u);
  EXPECT_EQ(heartbeat->sent, 7u);
  const auto welcome = DecodeWelcome(EncodeWelcome({.applied = 8, .received = 9}).span());
  EXPECT_EQ(welcome->applied, 8);
  EXPECT_EQ(welcome->received, 9u);
  EXPECT_FALSE(DecodeWelcome(EncodeWelcome({.applied = -1}).span()).ok());
  EXPECT_EQ(*DecodeStep(EncodeStep(55).span()), 55);
  Status error;
  ASSERT_TRUE(DecodeError(EncodeError(DataLoss("torn")).span(), &error).ok());
  EXPECT_EQ(error.code(), StatusCode::kDataLoss);
  EXPECT_EQ(error.message(), "torn");
}

TEST(MessageTest, AnErrorWithACodeOfTheFutureIsStillAnError) {
  for (const uint32_t code : {0u, 1u, 17u, 99u, ~0u}) {
    Buffer payload = EncodeError(DataLoss("x"));
    std::memcpy(payload.data(), &code, sizeof(code));
    Status error;
    ASSERT_TRUE(DecodeError(payload.span(), &error).ok());
    EXPECT_EQ(error.code(), StatusCode::kInternal);
  }
}

bool SameBytes(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

std::vector<TableCount> Counts(std::span<const TableKeys> tables) {
  std::vector<TableCount> counts;
  for (const TableKeys& table : tables) counts.push_back({table.table, table.keys.size(), table.num_unasked});
  return counts;
}
std::vector<TableCount> Counts(std::span<const TablePush> tables) {
  std::vector<TableCount> counts;
  for (const TablePush& table : tables) counts.push_back({table.table, table.keys.size()});
  return counts;
}

// What a decoder accepts is what an encoder would have written.
void ExpectEncodesBack(const PullMessage& pull, std::span<const uint8_t> payload) {
  KeyedBuffer back = EncodePull(pull.step, pull.kind, Counts(pull.tables));
  for (const TableKeys& table : pull.tables) {
    back.keys = std::copy(table.keys.begin(), table.keys.end(), back.keys);
  }
  EXPECT_TRUE(SameBytes(back.payload.span(), payload)) << "Pull";
}

void ExpectEncodesBack(const PushMessage& push, std::span<const uint8_t> payload) {
  KeyedBuffer back = EncodePush(push, Counts(push.tables), kFormats);
  for (const TablePush& table : push.tables) {
    back.keys = std::copy(table.keys.begin(), table.keys.end(), back.keys);
    const size_t values = table.keys.size() * kFormats[table.table].dim;
    // Bytes: NaNs are to stay what they are.
    if (values > 0) std::memcpy(back.values, table.gradients, values * sizeof(float));
    back.values += values * sizeof(float);
  }
  EXPECT_TRUE(SameBytes(back.payload.span(), payload)) << "Push";
}

void ExpectSmallOnesEncodeBack(std::span<const uint8_t> payload) {
  if (const auto step = DecodeStep(payload); step.ok()) {
    EXPECT_TRUE(SameBytes(EncodeStep(*step).span(), payload)) << "step";
  }
  if (const auto stats = DecodeStats(payload); stats.ok()) {
    EXPECT_TRUE(SameBytes(EncodeStats(*stats).span(), payload)) << "Stats";
  }
  if (const auto heartbeat = DecodeHeartbeat(payload); heartbeat.ok()) {
    EXPECT_TRUE(SameBytes(EncodeHeartbeat(*heartbeat).span(), payload)) << "Heartbeat";
  }
  if (const auto hello = DecodeHello(payload); hello.ok()) {
    // All but the host's name, which is made printable.
    const Buffer back = EncodeHello(*hello);
    ASSERT_EQ(back.size(), payload.size());
    EXPECT_TRUE(SameBytes(back.span().first(56), payload.first(56))) << "Hello";
  }
  Status error;
  if (DecodeError(payload, &error).ok()) {
    // All but the code, which may be of the future.
    const Buffer back = EncodeError(error);
    EXPECT_TRUE(SameBytes(back.span().subspan(4), payload.subspan(4))) << "Error";
  }
  if (const auto files = DecodeFiles(payload); files.ok()) {
    // Protobuf has more than one text for a message: what comes back is what was sent again.
    const Buffer back = EncodeFiles(*files);
    const auto again = DecodeFiles(back.span());
    ASSERT_TRUE(again.ok()) << again.status().ToString();
    EXPECT_TRUE(SameBytes(EncodeFiles(*again).span(), back.span())) << "Files";
  }
}

// Decoders must come back from any bytes, and what they accept must lie within them.
void DecodeEverything(std::span<const uint8_t> payload) {
  const uint8_t* const begin = payload.data();
  const uint8_t* const end = begin + payload.size();
  const auto within = [&](const void* data, size_t bytes) {
    const auto* at = static_cast<const uint8_t*>(data);
    EXPECT_TRUE(bytes == 0 || (at >= begin && at + bytes <= end));
  };
  const auto pull = DecodePull(payload, kFormats);
  if (pull.ok()) {
    EXPECT_LE(pull->tables.size(), kFormats.size());
    for (const TableKeys& table : pull->tables) {
      within(table.keys.data(), table.keys.size_bytes());
      EXPECT_LE(table.num_unasked, table.keys.size());
      EXPECT_TRUE(table.num_unasked == 0 || !kFormats[table.table].synchronous);
    }
    ExpectEncodesBack(*pull, payload);
  }
  const auto push = DecodePush(payload, kFormats, nullptr);
  if (push.ok()) {
    for (const TablePush& table : push->tables) {
      within(table.keys.data(), table.keys.size_bytes());
      within(table.gradients, table.keys.size() * kFormats[table.table].dim * sizeof(float));
    }
    ExpectEncodesBack(*push, payload);
  }
  if (payload.size() >= kFrameHeaderBytes) {
    const auto header = DecodeHeader(payload.first<kFrameHeaderBytes>(), kToken, 1000);
    EXPECT_TRUE(!header.ok() || header->payload_bytes <= 1000u);
  }
  ExpectSmallOnesEncodeBack(payload);
}

TEST(MessageTest, DecodersSurviveRandomBytes) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  // A crash would leave no trace.
  std::cout << "seed " << seed << std::endl;
  std::mt19937_64 random(seed);
  std::vector<Buffer> samples;
  samples.push_back(SamplePush());
  const TableCount counts[] = {{2, 3}, {1, 1, 1}};
  KeyedBuffer pull = EncodePull(41, PullKind::kTraining, counts);
  for (int i = 0; i < 4; ++i) pull.keys[i] = i;
  samples.push_back(std::move(pull.payload));
  samples.push_back(EncodeHello({.host = "h"}));
  samples.push_back(EncodeFiles({.step = 1, .folder = "f", .files = {DataFile()}}));
  samples.push_back(EncodeError(DataLoss("torn")));
  for (int round = 0; round < 30'000; ++round) {
    Buffer bytes;
    if (round % 3 == 0) {  // noise, half of it small numbers, which look more like lengths
      bytes = Buffer(random() % 200);
      for (size_t i = 0; i < bytes.size(); ++i)
        bytes.data()[i] = static_cast<uint8_t>(random() % (round % 2 ? 256 : 4));
    } else {  // a message with a few bytes changed, maybe cut
      const Buffer& sample = samples[random() % samples.size()];
      bytes = Buffer(round % 3 == 1 ? sample.size() : random() % (sample.size() + 1));
      std::copy_n(sample.data(), bytes.size(), bytes.data());
      for (int i = 0; i < 3 && bytes.size() > 0; ++i) {
        bytes.data()[random() % bytes.size()] = static_cast<uint8_t>(random() % 2 ? random() : 255);
      }
    }
    DecodeEverything(bytes.span());
  }
}

TEST(ProtocolTest, TokensDiffer) {
  const auto a = MakeToken();
  const auto b = MakeToken();
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NE(*a, *b);
}

TEST(ProtocolTest, ShardsAreDealtWholeAndInOrder) {
  for (const int servers : {1, 2, 3, 7, 1024, 2000}) {
    EXPECT_EQ(ShardBegin(0, servers, 1024), 0);
    EXPECT_EQ(ShardBegin(servers, servers, 1024), 1024);
    for (int i = 0; i < servers; ++i) EXPECT_LE(ShardBegin(i, servers, 1024), ShardBegin(i + 1, servers, 1024));
  }
}

TEST(ProtocolTest, TheDigestSeesEveryDifferenceOfTables) {
  TableSpec spec;
  spec.name = "t";
  spec.layout.dim = 4;
  spec.seed = 1;
  const uint64_t digest = TableDigest({&spec, 1});
  TableSpec other = spec;
  other.seed = 2;
  EXPECT_NE(TableDigest({&other, 1}), digest);
  other = spec;
  other.optimizer.set_learning_rate(0.5);
  EXPECT_NE(TableDigest({&other, 1}), digest);
  other = spec;
  other.initializer.mutable_constant()->set_value(1);
  EXPECT_NE(TableDigest({&other, 1}), digest);
  other = spec;
  other.limits.memory_bytes = 1 << 20;
  EXPECT_NE(TableDigest({&other, 1}), digest);
  other = spec;
  other.limits.eviction.set_ttl_steps(5);
  EXPECT_NE(TableDigest({&other, 1}), digest);
  other = spec;
  other.limits.allow_list = std::make_shared<KeySet>(std::vector<uint64_t>{1});
  EXPECT_NE(TableDigest({&other, 1}), digest);
  EXPECT_EQ(TableDigest({&spec, 1}), digest);
}

}  // namespace
}  // namespace weir
