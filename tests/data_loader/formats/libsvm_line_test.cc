#include "data_loader/formats/libsvm_line.h"

#include <cmath>
#include <cstdlib>
#include <random>
#include <regex>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t kSeed = 20261122;

TEST(LibsvmLine, DecodesLibsvm) {
  LibsvmRows rows;
  EXPECT_FALSE(DecodeLibsvmLine("+1 3:1 7:0.5\t12:-2e3 # a comment 9:9", LibsvmKind::kLibsvm, &rows).is_fault());
  EXPECT_FALSE(DecodeLibsvmLine("  -1\r", LibsvmKind::kLibsvm, &rows).is_fault());
  EXPECT_FALSE(DecodeLibsvmLine("0.25 9223372036854775807:1 0:2", LibsvmKind::kLibsvm, &rows).is_fault());
  EXPECT_EQ(rows.size(), 3);
  EXPECT_THAT(rows.labels, ElementsAre(1, -1, 0.25f));
  EXPECT_THAT(rows.offsets, ElementsAre(0, 3, 3, 5));
  EXPECT_THAT(rows.indices, ElementsAre(3, 7, 12, INT64_MAX, 0));
  EXPECT_THAT(rows.values, ElementsAre(1, 0.5f, -2000, 1, 2));
  EXPECT_THAT(rows.fields, IsEmpty());
  rows.Clear();
  EXPECT_EQ(rows.size(), 0);
  EXPECT_THAT(rows.offsets, ElementsAre(0));
}

TEST(LibsvmLine, DecodesLibffm) {
  LibsvmRows rows;
  EXPECT_FALSE(DecodeLibsvmLine("1 0:5:1 2:77:0.5", LibsvmKind::kLibffm, &rows).is_fault());
  EXPECT_THAT(rows.fields, ElementsAre(0, 2));
  EXPECT_THAT(rows.indices, ElementsAre(5, 77));
  EXPECT_THAT(rows.values, ElementsAre(1, 0.5f));
}

TEST(LibsvmLine, TellsTheKindsAndTheRowsApart) {
  EXPECT_EQ(DetectLibsvmKind("1 3:1 4:5:6"), LibsvmKind::kLibsvm);
  EXPECT_EQ(DetectLibsvmKind("1\t0:3:1"), LibsvmKind::kLibffm);
  for (const char* line : {"1", "", "1 # 3:1", "1 x"}) EXPECT_FALSE(DetectLibsvmKind(line).has_value()) << line;
  for (const char* line : {"", " \t\r", "# 1 2:3"}) EXPECT_FALSE(IsLibsvmRow(line)) << line;
  for (const char* line : {"1", " x", "1#"}) EXPECT_TRUE(IsLibsvmRow(line)) << line;
}

TEST(LibsvmLine, NamesTheFaultyFieldAndTakesNothingOfItsRow) {
  struct Case {
    const char* line;
    int field;
    const char* text;
    const char* reason;  // a part of it
  };
  for (const Case& bad :
       {Case{"one 3:1", 1, "one", "label"}, Case{"nan 3:1", 1, "nan", "label"}, Case{"1e39 3:1", 1, "1e39", "label"},
        Case{"1,2 3:1", 1, "1,2", "label"}, Case{"1 3:1 4", 3, "4", "index"}, Case{"1 :1", 2, ":1", "index"},
        Case{"1 -3:1", 2, "-3:1", "index"}, Case{"1 qid:3 4:1", 2, "qid:3", "index"},
        Case{"1 9223372036854775808:1", 2, "9223372036854775808:1", "index"}, Case{"1 3:", 2, "3:", "value"},
        Case{"1 3:1:1", 2, "3:1:1", "value"}, Case{"1 3:inf", 2, "3:inf", "value"},
        Case{"1 3:1x", 2, "3:1x", "value"}}) {
    LibsvmRows rows;
    ASSERT_FALSE(DecodeLibsvmLine("1 1:1", LibsvmKind::kLibsvm, &rows).is_fault());
    const LineFault fault = DecodeLibsvmLine(bad.line, LibsvmKind::kLibsvm, &rows);
    ASSERT_TRUE(fault.is_fault()) << bad.line;
    EXPECT_EQ(fault.field, bad.field) << bad.line;
    EXPECT_EQ(fault.text, bad.text) << bad.line;
    EXPECT_THAT(fault.reason, testing::HasSubstr(bad.reason)) << bad.line;
    EXPECT_EQ(rows.size(), 1) << bad.line;
    EXPECT_EQ(rows.indices.size(), 1u) << bad.line;
    EXPECT_EQ(rows.values.size(), 1u) << bad.line;
  }
  LibsvmRows rows;
  EXPECT_EQ(DecodeLibsvmLine("1 1:2:3 4:5", LibsvmKind::kLibffm, &rows).field, 3);
  EXPECT_THAT(rows.fields, IsEmpty());
  EXPECT_THAT(rows.indices, IsEmpty());
}

// The grammar of the header once more, by the standard library's slow means.
bool OracleDecode(std::string line, bool ffm, LibsvmRows* rows) {
  static const std::regex number("[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?");
  static const std::regex digits("0*[0-9]{1,19}");
  line = line.substr(0, line.find('#'));
  std::istringstream words(line);
  std::string word;
  words >> word;
  if (!std::regex_match(word, number)) return false;
  rows->labels.push_back(std::strtof(word.c_str(), nullptr));
  if (!std::isfinite(rows->labels.back())) return false;
  while (words >> word) {
    for (int part = ffm ? 0 : 1; part < 2; ++part) {
      const size_t colon = word.find(':');
      if (colon == std::string::npos || !std::regex_match(word.substr(0, colon), digits)) return false;
      const uint64_t integer = std::strtoull(word.c_str(), nullptr, 10);
      if (integer > INT64_MAX) return false;
      (part == 0 ? rows->fields : rows->indices).push_back(static_cast<int64_t>(integer));
      word = word.substr(colon + 1);
    }
    if (!std::regex_match(word, number)) return false;
    rows->values.push_back(std::strtof(word.c_str(), nullptr));
    if (!std::isfinite(rows->values.back())) return false;
  }
  rows->offsets.push_back(static_cast<int64_t>(rows->indices.size()));
  return true;
}

TEST(LibsvmLine, AgreesWithAnOracleOnMutatedLines) {
  SCOPED_TRACE(kSeed);
  std::mt19937_64 random(kSeed);
  constexpr std::string_view kLetters = "0123456789:. -+e#x\t";
  int whole = 0, faulty = 0;
  for (int i = 0; i < 20'000; ++i) {
    const bool ffm = i % 2 == 0;
    std::string line = ffm ? "1 0:12:0.5 3:7:1 4:99:2" : "-1 12:0.5 7:1 99:2e-1";
    for (uint64_t times = random() % 4; times > 0; --times) {
      const size_t at = random() % line.size();
      if (random() % 2 == 0)
        line[at] = kLetters[random() % kLetters.size()];
      else
        line.insert(at, 1, kLetters[random() % kLetters.size()]);
    }
    if (!IsLibsvmRow(line)) continue;
    LibsvmRows rows, expected;
    const bool ok = !DecodeLibsvmLine(line, ffm ? LibsvmKind::kLibffm : LibsvmKind::kLibsvm, &rows).is_fault();
    ASSERT_EQ(ok, OracleDecode(line, ffm, &expected)) << line;
    if (!ok) {
      ++faulty;
      continue;
    }
    ++whole;
    EXPECT_EQ(rows.labels, expected.labels) << line;
    EXPECT_EQ(rows.offsets, expected.offsets) << line;
    EXPECT_EQ(rows.fields, expected.fields) << line;
    EXPECT_EQ(rows.indices, expected.indices) << line;
    EXPECT_EQ(rows.values, expected.values) << line;
  }
  EXPECT_GT(whole, 3'000);
  EXPECT_GT(faulty, 3'000);
}

}  // namespace
}  // namespace weir
