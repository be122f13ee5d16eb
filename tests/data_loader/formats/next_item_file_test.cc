#include "data_loader/formats/next_item_file.h"

#include <random>

#include "data_loader/dataset.h"
#include "data_loader/plan.h"
#include "data_loader/row_stream.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/parquet_fixture.h"

namespace weir {
namespace {

using Sequences = std::vector<std::vector<int64_t>>;

std::shared_ptr<arrow::Array> Lists(const Sequences& sequences, int64_t factor) {
  arrow::ListBuilder lists(arrow::default_memory_pool(), std::make_shared<arrow::Int64Builder>());
  auto& values = static_cast<arrow::Int64Builder&>(*lists.value_builder());
  for (const std::vector<int64_t>& sequence : sequences) {
    // An empty sequence is a missing one in every other row.
    EXPECT_TRUE((sequence.empty() && lists.length() % 2 ? lists.AppendNull() : lists.Append()).ok());
    for (const int64_t value : sequence) EXPECT_TRUE(values.Append(value * factor).ok());
  }
  return lists.Finish().ValueOrDie();
}

std::shared_ptr<arrow::Table> Users(const Sequences& sequences) {
  std::vector<int64_t> users(sequences.size());
  for (size_t i = 0; i < users.size(); ++i) users[i] = static_cast<int64_t>(i);
  return MakeTable({{"user", MakeArray<arrow::Int64Builder>(users)},
                    {"items", Lists(sequences, 1)},
                    {"times", Lists(sequences, 100)}});
}

// What a place should give: user, value at t, history.
struct Expected {
  int64_t user = 0;
  int64_t next = 0;
  std::vector<int64_t> before;
  bool operator==(const Expected&) const = default;
};

std::vector<Expected> Oracle(const Sequences& sequences, NextItemConfig::Part part, int64_t history) {
  std::vector<Expected> places;
  for (size_t user = 0; user < sequences.size(); ++user) {
    const auto& items = sequences[user];
    const auto n = static_cast<int64_t>(items.size());
    for (int64_t t = 1; t < n; ++t) {
      const bool wanted = part == NextItemConfig::ALL || (part == NextItemConfig::TRAIN && t < n - 2) ||
                          (part == NextItemConfig::VALIDATION && n >= 3 && t == n - 2) ||
                          (part == NextItemConfig::TEST && n >= 3 && t == n - 1);
      if (!wanted) continue;
      places.push_back({static_cast<int64_t>(user),
                        items[t],
                        {items.begin() + std::max<int64_t>(0, t - history), items.begin() + t}});
    }
  }
  return places;
}

class NextItemTest : public ::testing::Test {
 protected:
  NextItemTest() {
    AddSparse(&job_, "user");
    AddSparse(&job_, "items_next");
    AddSparse(&job_, "items");
    AddSparse(&job_, "times");
    source_ = Source(folder_ / "a.parquet");
    config_ = source_.mutable_next_item();
    config_->set_column("items");
    config_->add_aligned("times");
  }

  static int64_t Int(const arrow::Array& column, int64_t i) {
    return static_cast<const arrow::Int64Array&>(column).Value(i);
  }
  static std::vector<int64_t> Values(const arrow::Array& column, int64_t i) {
    const auto slice = static_cast<const arrow::ListArray&>(column).value_slice(i);
    std::vector<int64_t> values;
    for (int64_t v = 0; v < slice->length(); ++v) values.push_back(Int(*slice, v));
    return values;
  }

  // Rows [begin, end) of the plan in file order, at most batch_rows at a time.
  std::vector<Expected> Read(int64_t begin, int64_t rows, int64_t batch_rows) {
    auto dataset = Dataset::Open(job_, source_, /*with_label=*/false, {"times_next"});
    EXPECT_TRUE(dataset.ok()) << dataset.status().ToString();
    std::vector<Expected> found;
    if (!dataset.ok()) return found;
    rows_ = (*dataset)->rows();
    RowStream stream(dataset->get(), PlanOrderedEpoch((*dataset)->group_rows()).streams[0], batch_rows,
                     /*dictionaries=*/true);
    EXPECT_TRUE(stream.Skip(begin).ok());
    StreamRows read;
    while (static_cast<int64_t>(found.size()) < rows) {
      auto more = stream.Next(rows - static_cast<int64_t>(found.size()), &read);
      EXPECT_TRUE(more.ok()) << more.status().ToString();
      if (!more.ok() || !*more) break;
      for (int64_t i = 0; i < read.rows->num_rows(); ++i) {
        Expected place{Int(*read.rows->GetColumnByName("user"), i), Int(*read.rows->GetColumnByName("items_next"), i),
                       Values(*read.rows->GetColumnByName("items"), i)};
        EXPECT_EQ(Int(*read.rows->GetColumnByName("times_next"), i), 100 * place.next);
        std::vector<int64_t> times = Values(*read.rows->GetColumnByName("times"), i);
        for (int64_t& time : times) time /= 100;
        EXPECT_EQ(times, place.before);
        found.push_back(std::move(place));
      }
    }
    return found;
  }

  TempFolder folder_;
  Job job_;
  SourceConfig source_;
  NextItemConfig* config_ = nullptr;
  int64_t rows_ = 0;
};

TEST_F(NextItemTest, PlacesOfASequence) {
  WriteParquet(folder_ / "a.parquet", Users({{1, 2, 3, 4}, {}, {5}, {6, 7}, {}, {8, 9, 10}}), 2);
  EXPECT_EQ(Read(0, 100, 8192),
            (std::vector<Expected>{
                {0, 2, {1}}, {0, 3, {1, 2}}, {0, 4, {1, 2, 3}}, {3, 7, {6}}, {5, 9, {8}}, {5, 10, {8, 9}}}));
  EXPECT_EQ(rows_, 6);
  config_->set_part(NextItemConfig::TRAIN);
  EXPECT_EQ(Read(0, 100, 8192), (std::vector<Expected>{{0, 2, {1}}}));
  config_->set_part(NextItemConfig::VALIDATION);
  EXPECT_EQ(Read(0, 100, 8192), (std::vector<Expected>{{0, 3, {1, 2}}, {5, 9, {8}}}));
  config_->set_part(NextItemConfig::TEST);
  config_->set_history(2);
  EXPECT_EQ(Read(0, 100, 8192), (std::vector<Expected>{{0, 4, {2, 3}}, {5, 10, {8, 9}}}));
}

TEST_F(NextItemTest, AnyRunOfPlacesIsThatOfThePlainLoop) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  Sequences sequences(5000);
  int64_t value = 0;
  for (std::vector<int64_t>& sequence : sequences) {
    sequence.resize(random() % 9);
    for (int64_t& item : sequence) item = ++value;
  }
  WriteParquet(folder_ / "a.parquet", Users(sequences), 2300);
  config_->set_history(3);
  for (int part = NextItemConfig::ALL; part <= NextItemConfig::TEST; ++part) {
    config_->set_part(static_cast<NextItemConfig::Part>(part));
    const std::vector<Expected> expected = Oracle(sequences, config_->part(), 3);
    EXPECT_EQ(Read(0, INT64_MAX, 1000), expected);
    EXPECT_EQ(rows_, static_cast<int64_t>(expected.size()));
    for (int i = 0; i < 20; ++i) {
      const int64_t begin = random() % expected.size();
      const int64_t rows = 1 + random() % std::min<size_t>(500, expected.size() - begin);
      EXPECT_EQ(Read(begin, rows, 1 + random() % 300),
                std::vector<Expected>(expected.begin() + begin, expected.begin() + begin + rows))
          << begin << " " << rows;
    }
  }
}

TEST_F(NextItemTest, ErrorsNameTheColumn) {
  WriteParquet(folder_ / "a.parquet", Users({{1, 2, 3}}), 2);
  const auto error = [&] { return Dataset::Open(job_, source_, /*with_label=*/false).status(); };
  config_->set_column("user");
  ExpectError(error(), StatusCode::kInvalidArgument, {"a.parquet", "'user'", "of lists of values, found int64"});
  config_->set_column("itms");
  ExpectError(error(), StatusCode::kInvalidArgument, {"'itms'", "items"});
  config_->set_column("items");
  config_->set_part(NextItemConfig::TRAIN);
  ExpectError(error(), StatusCode::kInvalidArgument, {"at least one row"});

  WriteParquet(folder_ / "a.parquet",
               MakeTable({{"user", MakeArray<arrow::Int64Builder>(std::vector<int64_t>{1})},
                          {"items", Lists({{1, 2, 3}}, 1)},
                          {"times", Lists({{1, 2}}, 100)}}),
               2);
  config_->set_part(NextItemConfig::ALL);
  auto dataset = Dataset::Open(job_, source_, /*with_label=*/false);
  ASSERT_TRUE(dataset.ok()) << dataset.status().ToString();
  RowStream stream(dataset->get(), PlanOrderedEpoch((*dataset)->group_rows()).streams[0], 100, /*dictionaries=*/false);
  StreamRows read;
  ExpectError(stream.Next(100, &read).status(), StatusCode::kInvalidArgument,
              {"a.parquet", "items and times", "found 3 and 2 values"});
}

}  // namespace
}  // namespace weir
