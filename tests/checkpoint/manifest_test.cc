#include "checkpoint/manifest.h"

#include <functional>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "checkpoint/checkpoint.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

DataFile RowsFile(const std::string& name, const std::string& table, int begin, int end, uint64_t rows) {
  DataFile file;
  file.set_name(name);
  file.set_kind(DataFile::ROWS);
  file.set_table(table);
  file.set_shard_begin(begin);
  file.set_shard_end(end);
  file.set_rows(rows);
  return file;
}

Manifest MakeManifest() {
  Manifest manifest;
  manifest.set_format_version(kCheckpointFormatVersion);
  manifest.set_step(7);
  manifest.mutable_hash_rule()->set_version(kHashRuleVersion);
  manifest.mutable_hash_rule()->set_virtual_shards(16);
  manifest.mutable_job()->set_name("weird \"name\"\n\t\xc3\xa9");
  manifest.mutable_training()->mutable_best()->set_auc(0.1 + 0.2);
  TableSummary* table = manifest.add_tables();
  table->set_name("user");
  table->set_dim(4);
  table->set_rows(12);
  *manifest.add_files() = RowsFile("b.arrow", "user", 8, 16, 7);
  *manifest.add_files() = RowsFile("a.arrow", "user", 0, 8, 5);
  return manifest;
}

TEST(Manifest, ReadsWhatItWrote) {
  TemporaryFolder folder;
  ASSERT_TRUE(WriteManifest(&LocalFileSystem(), folder.path(), MakeManifest()).ok());
  Result<Manifest> read = ReadManifest(&LocalFileSystem(), folder.path());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*read, MakeManifest()));
}

TEST(Manifest, LastLineIsTheChecksumOfWhatStandsBefore) {
  std::string bytes = SerializeManifest(MakeManifest());
  std::string text = bytes.substr(0, bytes.size() - 17);
  EXPECT_EQ(text.back(), '\n');
  EXPECT_EQ(bytes.substr(text.size()), fmt::format("crc32c: {:08x}\n", Crc32c(text.data(), text.size())));
}

TEST(Manifest, EveryFlippedBitIsSeen) {
  const std::string bytes = SerializeManifest(MakeManifest());
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string changed = bytes;
    changed[i / 8] ^= 1 << (i % 8);
    Result<Manifest> read = ParseManifest("M", changed);
    ASSERT_FALSE(read.ok()) << "bit " << i;
    ASSERT_EQ(read.status().code(), StatusCode::kDataLoss) << read.status().ToString();
  }
}

TEST(Manifest, EveryTornLengthIsSeen) {
  const std::string bytes = SerializeManifest(MakeManifest());
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(ParseManifest("M", bytes.substr(0, size)).status().code(), StatusCode::kDataLoss) << size;
  }
  EXPECT_FALSE(ParseManifest("M", bytes + "\n").ok());
}

Status ParseChanged(const std::function<void(Manifest*)>& change) {
  Manifest manifest = MakeManifest();
  change(&manifest);
  Result<Manifest> read = ParseManifest("out/step-7/MANIFEST", SerializeManifest(manifest));
  return read.ok() ? Status() : read.status();
}

TEST(Manifest, RefusesAnotherHashRule) {
  Status status = ParseChanged([](Manifest* m) { m->mutable_hash_rule()->set_version(2); });
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("out/step-7/MANIFEST: expected hash rule 1, found 2"));
  EXPECT_EQ(ParseChanged([](Manifest* m) { m->clear_hash_rule(); }).code(), StatusCode::kFailedPrecondition);
}

void AddTransform(const std::string& name, int version, Manifest* manifest) {
  TransformVersion* transform = manifest->add_transforms();
  transform->set_name(name);
  transform->set_version(version);
}

TEST(Manifest, RefusesAnotherVersionOfATransform) {
  const auto with_transforms = [](Manifest* manifest) {
    manifest->mutable_job()->add_features()->mutable_numeric()->set_log(true);
    ColumnConfig* column = manifest->mutable_job()->add_columns();
    column->mutable_time()->set_part(TimeConfig::DAY);
  };
  // Written before versions were recorded: all were 1.
  EXPECT_TRUE(ParseChanged(with_transforms).ok());
  EXPECT_TRUE(ParseChanged([&](Manifest* m) {
                with_transforms(m);
                AddTransform("numeric.log", 1, m);
                AddTransform("columns.time", 1, m);
              }).ok());
  for (const char* name : {"numeric.log", "columns.time"}) {
    const Status status = ParseChanged([&](Manifest* m) {
      with_transforms(m);
      AddTransform(name, 2, m);
    });
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(status.message(), HasSubstr(fmt::format("expected transform {} of version 1, found version 2", name)));
  }
  // One that only a later version of Weir has.
  const Status status = ParseChanged([&](Manifest* m) { AddTransform("columns.embed", 1, m); });
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(),
              HasSubstr("transform columns.embed of no version, as its job has none, found version 1"));
}

TEST(Manifest, RefusesAnotherFormatVersion) {
  Status status = ParseChanged([](Manifest* m) { m->set_format_version(2); });
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("expected format version 1, found 2"));
  EXPECT_EQ(ParseChanged([](Manifest* m) { m->clear_format_version(); }).code(), StatusCode::kFailedPrecondition);
}

TEST(Manifest, AnUnknownFieldOfAnotherVersionIsCalledThat) {
  auto with_checksum = [](const std::string& text) {
    return text + fmt::format("crc32c: {:08x}\n", Crc32c(text.data(), text.size()));
  };
  Result<Manifest> newer = ParseManifest("M", with_checksum("format_version: 9\nwonder: 1\n"));
  EXPECT_EQ(newer.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(newer.status().message(), HasSubstr("found 9"));
  Result<Manifest> same =
      ParseManifest("M", with_checksum("format_version: 1\nhash_rule { version: 1 virtual_shards: 4 }\nwonder: 1\n"));
  EXPECT_EQ(same.status().code(), StatusCode::kDataLoss);
  EXPECT_THAT(same.status().message(), HasSubstr("wonder"));
  EXPECT_EQ(ParseManifest("M", with_checksum("no textproto {{{")).status().code(), StatusCode::kDataLoss);
}

TEST(Manifest, RefusesContradictions) {
  const std::pair<std::function<void(Manifest*)>, std::string> cases[] = {
      {[](Manifest* m) { m->set_step(-1); }, "step of at least 0"},
      {[](Manifest* m) { m->mutable_hash_rule()->set_virtual_shards(12); }, "power of two"},
      {[](Manifest* m) { m->mutable_hash_rule()->set_virtual_shards(0); }, "power of two"},
      {[](Manifest* m) { m->mutable_files(0)->set_name("../../etc/passwd"); }, "plain file name"},
      {[](Manifest* m) { m->mutable_files(0)->set_name(""); }, "plain file name"},
      {[](Manifest* m) { m->mutable_files(0)->set_name("MANIFEST"); }, "plain file name"},
      {[](Manifest* m) { m->mutable_files(0)->set_name("a.arrow"); }, "file a.arrow stands twice"},
      {[](Manifest* m) { m->mutable_files(0)->clear_kind(); }, "unknown kind"},
      {[](Manifest* m) { m->mutable_files(0)->set_table("item"); }, "not among the tables"},
      {[](Manifest* m) { m->mutable_files(0)->set_shard_end(17); }, "virtual shards within [0, 16)"},
      {[](Manifest* m) { m->mutable_files(0)->set_shard_begin(16); }, "virtual shards within [0, 16)"},
      {[](Manifest* m) { m->mutable_files(0)->set_shard_begin(7); }, "begins with virtual shard 8"},
      {[](Manifest* m) { m->mutable_files(1)->set_shard_end(7); }, "begins with virtual shard 7"},
      {[](Manifest* m) { m->mutable_files(0)->set_shard_end(15); }, "no file holds virtual shards [15, 16)"},
      {[](Manifest* m) { m->mutable_files(0)->set_rows(8); }, "expected 12 rows, found 13"},
      {[](Manifest* m) { m->mutable_tables(0)->set_dim(0); }, "expected a dim"},
      {[](Manifest* m) { m->mutable_tables(0)->set_dim(1 << 30); }, "expected a dim"},
      {[](Manifest* m) { m->mutable_tables(0)->add_state()->set_width(-1); }, "expected a width"},
      {[](Manifest* m) { *m->add_tables() = m->tables(0); }, "table \"user\" stands twice"},
  };
  for (const auto& [change, message] : cases) {
    Status status = ParseChanged(change);
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << message;
    EXPECT_THAT(status.message(), HasSubstr(message));
  }
}

TEST(Manifest, TheFoldersNameIsTheStep) {
  TemporaryFolder folder;
  for (const char* name : {"step-7", "step-8"}) {
    ASSERT_TRUE(LocalFileSystem().CreateFolders(JoinPath(folder.path(), name)).ok());
    ASSERT_TRUE(WriteManifest(&LocalFileSystem(), JoinPath(folder.path(), name), MakeManifest()).ok());
  }
  EXPECT_TRUE(ReadManifest(&LocalFileSystem(), JoinPath(folder.path(), "step-7")).ok());
  EXPECT_TRUE(ReadManifest(&LocalFileSystem(), JoinPath(folder.path(), "step-7/")).ok());
  Result<Manifest> renamed = ReadManifest(&LocalFileSystem(), JoinPath(folder.path(), "step-8/"));
  EXPECT_THAT(renamed.status().message(), HasSubstr("expected step 8 by the folder's name, found 7"));
}

}  // namespace
}  // namespace weir
