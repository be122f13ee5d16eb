// Each transform against a scalar oracle, on random columns of all types with nulls; and what is bad.
#include <chrono>
#include <cmath>
#include <optional>
#include <random>

#include <arrow/api.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include "data_loader/columns/key.h"
#include "data_loader/transforms/cross.h"
#include "data_loader/transforms/instants.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/transforms/transform_fixture.h"

namespace weir {
namespace {

constexpr char kIntegerTypes[][8] = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"};
constexpr uint64_t kSeed = 20261122;

using Number = std::optional<int64_t>;

std::string Json(const std::vector<Number>& values) {
  std::string json = "[";
  for (const Number& value : values)
    json += (json.size() > 1 ? "," : "") + (value ? fmt::format("{}", *value) : "null");
  return json + "]";
}

// As text, quoted.
std::string TextJson(const std::vector<Number>& values) {
  std::string json = "[";
  for (const Number& value : values) {
    json += (json.size() > 1 ? "," : "") + (value ? fmt::format("\"{}\"", *value) : "null");
  }
  return json + "]";
}

std::vector<Number> Draw(std::mt19937_64* random, size_t n, int64_t low, int64_t high) {
  std::uniform_int_distribution<int64_t> draw(low, high);
  std::vector<Number> values(n);
  for (Number& value : values) {
    if (draw(*random) % 7 != 0) value = draw(*random);
  }
  return values;
}

// Of a column that holds integers of any type, or the same as text.
std::vector<Number> Integers(const arrow::Array& array) {
  std::vector<Number> values;
  const auto& integers = static_cast<const arrow::Int64Array&>(array);
  for (int64_t i = 0; i < array.length(); ++i) {
    values.push_back(array.IsNull(i) ? Number() : Number(integers.Value(i)));
  }
  return values;
}

// Calls visit(column) for the values in every type that holds them.
template <typename Visit>
void ForEachType(const std::vector<Number>& values, const Visit& visit) {
  for (const char* type : kIntegerTypes) {
    SCOPED_TRACE(type);
    visit(Column(type, Json(values)));
  }
  visit(Column("text", TextJson(values)));
}

TEST(Transforms, TimeIsThatOfTheCalendar) {
  std::mt19937_64 random(kSeed);
  const auto seconds = Draw(&random, 500, -62135596800, 253402300799);
  const Made day = Transform("time { part: DAY }", {Column("int64", Json(seconds))});
  const Made hour = Transform("time { part: HOUR }", {Column("timestamp[s]", Json(seconds))});
  const Made weekday = Transform("time { part: WEEKDAY }", {Column("text", TextJson(seconds))});
  for (size_t i = 0; i < seconds.size(); ++i) {
    if (!seconds[i]) {
      EXPECT_TRUE(day.array->IsNull(i) && hour.array->IsNull(i) && weekday.array->IsNull(i));
      continue;
    }
    std::tm parts{};
    const std::time_t time = *seconds[i];
    ASSERT_NE(gmtime_r(&time, &parts), nullptr);
    EXPECT_EQ(Integers(*day.array)[i], parts.tm_mday) << time;
    EXPECT_EQ(Integers(*hour.array)[i], parts.tm_hour) << time;
    EXPECT_EQ(Integers(*weekday.array)[i], (parts.tm_wday + 6) % 7) << time;
  }
  EXPECT_TRUE(day.bad.empty() && hour.bad.empty() && weekday.bad.empty());
}

TEST(Transforms, TimesOfAllIntegerWidthsAgree) {
  std::mt19937_64 random(kSeed);
  const auto seconds = Draw(&random, 100, 0, 127);
  std::vector<Number> expected;
  for (const Number& value : seconds) expected.push_back(value ? Number(0) : Number());
  ForEachType(seconds, [&](const Input& column) {
    EXPECT_EQ(Integers(*Transform("time { part: HOUR }", {column}).array), expected);
  });
}

TEST(Transforms, WrittenTimesReadBack) {
  std::mt19937_64 random(kSeed);
  for (const Number& drawn : Draw(&random, 300, -62135596800, 253402300799)) {
    if (!drawn) continue;
    const auto nanos = static_cast<int32_t>(random() % 1'000'000'000);
    const std::string day = fmt::format("{:%Y-%m-%d}", fmt::gmtime(*drawn));
    if (day.size() != 10) continue;  // libc writes early years with fewer digits
    const std::string text = fmt::format("{}T{:%H:%M:%S}.{:09}Z", day, fmt::gmtime(*drawn), nanos);
    int64_t seconds = 0;
    int32_t read_nanos = 0;
    ASSERT_TRUE(ParseInstant(text, &seconds, &read_nanos)) << text;
    EXPECT_EQ(seconds, *drawn) << text;
    EXPECT_EQ(read_nanos, nanos) << text;
  }
  int64_t seconds = 0;
  int32_t nanos = 0;
  for (const char* text :
       {"", "x", "2026", "2026-13-01", "2026-02-30", "2026-11-22T25:00:00", "2026-11-22T07:12:00.", "2026-11-22.5",
        "2026-11-22T07:12:00.1234567890", "2026-11-22T07:12.5", "2026-11-22T07:12:00+01:00.5", "2026-11-22 ",
        "2026-11-22T07:12:00Z and more", "10000-01-01", "2026-11-22T07:12:00.5.5"}) {
    EXPECT_FALSE(ParseInstant(text, &seconds, &nanos)) << text;
  }
  EXPECT_FALSE(ParseInstant(std::string(1000, '1'), &seconds, &nanos));
}

TEST(Transforms, TimesOutOfTheCalendarAreBadRows) {
  const Made made =
      Transform("time { part: DAY }", {Column("int64", "[0, 253402300800, -62135596801, 9223372036854775807]")});
  ASSERT_EQ(made.bad.size(), 3u);
  EXPECT_EQ(made.bad[0].row, 1);
  EXPECT_EQ(made.bad[0].column, "a");
  EXPECT_EQ(made.bad[0].reason, "is no time between the years 1 and 9999");
  EXPECT_EQ(made.bad[0].value, "253402300800");
  EXPECT_EQ(Integers(*made.array), (std::vector<Number>{1, {}, {}, {}}));
  EXPECT_EQ(Transform("time {}", {Column("uint64", "[18446744073709551615]")}).bad.size(), 1u);
  EXPECT_EQ(Transform("time {}", {Column("text", "[\"18446744073709551615\", \"soon\", \"\"]")}).bad.size(), 3u);
  EXPECT_EQ(Transform("time {}", {Column("date32", "[2147483647]")}).bad.size(), 1u);
  const Made lists = Transform("time {}", {Column("list<string>", R"([["x", "2026-11-22"], null, ["y", "z"]])")});
  EXPECT_EQ(lists.bad.size(), 3u);
  EXPECT_EQ(lists.bad[2].row, 2);
}

TEST(Transforms, LagIsTheDifference) {
  std::mt19937_64 random(kSeed);
  const auto first = Draw(&random, 300, 0, 4'000'000'000'000), second = Draw(&random, 300, 0, 4'000'000'000'000);
  for (const char* type : {"int64", "uint64", "timestamp[ms]"}) {
    const Made made =
        Transform("lag { unit: MILLISECONDS }", {Column(type, Json(first)), Column("text", TextJson(second))});
    ASSERT_TRUE(made.status.ok()) << made.status.ToString();
    for (size_t i = 0; i < first.size(); ++i) {
      ASSERT_EQ(made.array->IsNull(i), !first[i] || !second[i]);
      if (made.array->IsNull(i)) continue;
      const double lag = static_cast<const arrow::DoubleArray&>(*made.array).Value(i);
      EXPECT_NEAR(lag, static_cast<double>(*second[i] - *first[i]) / 1000, 1e-6);
    }
  }
  const Made bad = Transform("lag {}", {Column("text", R"(["x", "1"])"), Column("text", R"(["1", "y"])")});
  ASSERT_EQ(bad.bad.size(), 2u);
  EXPECT_EQ(bad.bad[0].column, "a");
  EXPECT_EQ(bad.bad[1].column, "b");
}

TEST(Transforms, CrossHashesHashes) {
  std::mt19937_64 random(kSeed);
  const KeyRule rule("", 0, false);
  const auto first = Draw(&random, 200, 0, 127), second = Draw(&random, 200, -1000, 1000);
  ForEachType(first, [&](const Input& column) {
    const Made made = Transform("cross {}", {column, Column("int32", Json(second))});
    ASSERT_TRUE(made.status.ok()) << made.status.ToString();
    const auto& crossed = static_cast<const arrow::UInt64Array&>(*made.array);
    for (size_t i = 0; i < first.size(); ++i) {
      ASSERT_EQ(crossed.IsNull(i), !first[i] || !second[i]);
      if (crossed.IsNull(i)) continue;
      const uint64_t hashes[] = {
          column.type == "text" ? rule.OfString(fmt::format("{}", *first[i])) : rule.OfInteger(*first[i]),
          rule.OfInteger(*second[i])};
      EXPECT_EQ(crossed.Value(i), CrossHash(hashes));
    }
  });
}

TEST(Transforms, CrossOfListsIsBounded) {
  const Input lists = Column("list<int64>", "[[1, 2, 3], [1, 2]]");
  const Made made = Transform("cross { max_values: 4 }", {lists, lists});
  ASSERT_EQ(made.bad.size(), 1u);
  EXPECT_EQ(made.bad[0].row, 0);
  EXPECT_EQ(made.bad[0].reason, "has more than 4 combinations with b");
  EXPECT_TRUE(made.array->IsNull(0));
  EXPECT_EQ(static_cast<const arrow::LargeListArray&>(*made.array).value_length(1), 4);
  // Eight lists of 4,096 would overflow a count of 64 bits.
  std::vector<Number> many(4096, 1);
  const std::vector<Input> eight(8, Column("list<int64>", "[" + Json(many) + "]"));
  EXPECT_EQ(Transform("cross {}", eight).bad.size(), 1u);
}

TEST(Transforms, VocabularyIsThePlace) {
  std::mt19937_64 random(kSeed);
  std::string config = "vocabulary { oov_buckets: 5";
  for (int value = 20; value > 0; --value) config += fmt::format(" values: \"{}\"", value);
  const KeyRule rule("", 0, false);
  const auto values = Draw(&random, 200, 0, 60);
  ForEachType(values, [&](const Input& column) {
    const Made made = Transform(config + " }", {column});
    ASSERT_TRUE(made.status.ok()) << made.status.ToString();
    std::vector<Number> expected;
    for (const Number& value : values) {
      if (!value || (*value >= 1 && *value <= 20)) {
        expected.push_back(value ? Number(20 - *value) : Number());
        continue;
      }
      const uint64_t hash = column.type == "text" ? rule.OfString(fmt::format("{}", *value)) : rule.OfInteger(*value);
      expected.push_back(20 + static_cast<int64_t>(hash % 5));
    }
    EXPECT_EQ(Integers(*made.array), expected);
  });
  ExpectError(Transform("vocabulary { values: \"x\" }", {Column("int64", "[1]")}).status, StatusCode::kInvalidArgument,
              {"column made: vocabulary", "value 1: expected an integer, as column a has, found 'x'"});
  ExpectError(Transform("vocabulary { values: \"1\" values: \"+1\" }", {Column("int64", "[1]")}).status,
              StatusCode::kInvalidArgument, {"expected each integer once, found +1 again"});
}

TEST(Transforms, DictionariesAreAsTheirValues) {
  arrow::StringDictionaryBuilder builder;
  const auto strings = Column("string", R"(["a", null, "b", "a"])");
  ASSERT_TRUE(builder.AppendArray(*strings.array).ok());
  const Input coded = {"dictionary", builder.Finish().ValueOrDie()};
  for (const char* config : {"vocabulary { values: \"b\" values: \"a\" }", "split { separator: \"x\" }"}) {
    EXPECT_TRUE(Transform(config, {coded}).array->Equals(Transform(config, {strings}).array)) << config;
  }
  EXPECT_TRUE(Transform("cross {}", {coded, coded}).array->Equals(Transform("cross {}", {strings, strings}).array));
}

TEST(Transforms, BucketizeCountsBoundaries) {
  std::mt19937_64 random(kSeed);
  const auto values = Draw(&random, 200, 0, 127);
  const std::vector<double> boundaries = {0, 3, 64, 64.5, 127};
  std::vector<Number> expected;
  for (const Number& value : values) {
    expected.push_back(value ? Number(std::count_if(boundaries.begin(), boundaries.end(),
                                                    [&](double b) { return b <= static_cast<double>(*value); }))
                             : Number());
  }
  const std::string config = fmt::format("bucketize {{ boundaries: [{}] }}", fmt::join(boundaries, ", "));
  ForEachType(values, [&](const Input& column) { EXPECT_EQ(Integers(*Transform(config, {column}).array), expected); });
  arrow::DoubleBuilder builder;
  ASSERT_TRUE(builder.AppendValues({1.0, NAN, INFINITY}).ok());
  const Made bad = Transform(config, {{"double", builder.Finish().ValueOrDie()}});
  ASSERT_EQ(bad.bad.size(), 1u);
  EXPECT_EQ(bad.bad[0].reason, "is no number");
  EXPECT_EQ(Integers(*bad.array), (std::vector<Number>{1, {}, 5}));
}

// A list whose row is null may have elements all the same: they count for nothing.
TEST(Transforms, ElementsOfNullRowsMeanNothing) {
  const auto values = ArrayOfJson("string", R"(["2026-11-22", "x", "y"])");
  const auto offsets = std::static_pointer_cast<arrow::Int32Array>(ArrayOfJson("int32", "[0, 1, 3]"));
  const auto validity = arrow::Buffer::FromString(std::string(1, '\1'));
  const auto lists =
      std::make_shared<arrow::ListArray>(arrow::list(arrow::utf8()), 2, offsets->values(), values, validity);
  const Made made = Transform("time {}", {{"list<string>", lists}});
  ASSERT_TRUE(made.status.ok());
  EXPECT_TRUE(made.bad.empty());
  EXPECT_TRUE(made.array->IsNull(1));
  EXPECT_TRUE(Transform("cross {}", {{"list<string>", lists}, Column("int64", "[1, 2]")}).array->IsNull(1));
}

TEST(Transforms, OtherTypesAreRefused) {
  const auto error = [](const std::string& config, const std::vector<std::string>& types) {
    std::vector<Input> inputs;
    for (const std::string& type : types) inputs.push_back(Column(type, "[]"));
    return Transform(config, inputs).status;
  };
  ExpectError(error("time {}", {"double"}), StatusCode::kInvalidArgument,
              {"column made: time: column a: expected a timestamp, a date, integers or strings, found double"});
  ExpectError(error("lag {}", {"int64", "list<int64>"}), StatusCode::kInvalidArgument, {"column b", "one a row"});
  ExpectError(error("cross {}", {"int64", "double"}), StatusCode::kInvalidArgument,
              {"column b", "integers or strings"});
  ExpectError(error("vocabulary { values: \"a\" }", {"bool"}), StatusCode::kInvalidArgument, {"found bool"});
  ExpectError(error("bucketize { boundaries: 1 }", {"string"}), StatusCode::kInvalidArgument, {"expected numbers"});
  ExpectError(error("bucketize {}", {"int64"}), StatusCode::kInvalidArgument, {"has no boundaries"});
  ExpectError(error("split { separator: \",\" }", {"int64"}), StatusCode::kInvalidArgument, {"expected strings"});
}

}  // namespace
}  // namespace weir
