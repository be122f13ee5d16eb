#include "data_loader/formats/criteo_line.h"

#include <random>
#include <regex>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

constexpr uint64_t kSeed = 20261123;

std::vector<std::string> Fields() {
  std::vector<std::string> fields = {"1"};
  for (int i = 0; i < kCriteoIntegers; ++i) fields.push_back(std::to_string(i * i - 2));
  for (int i = 0; i < kCriteoIds; ++i) fields.push_back(fmt::format("{:08x}", 0x9e3779b9u * (i + 1)));
  return fields;
}

std::string Join(const std::vector<std::string>& fields) { return fmt::format("{}", fmt::join(fields, "\t")); }

TEST(CriteoLine, DecodesEveryField) {
  std::vector<std::string> fields = Fields();
  fields[3] = "";
  fields[5] = "-2147483648";
  fields[6] = "2147483647";
  fields[14] = "";
  fields[15] = "FFFFFFFF";
  fields[16] = "0";
  fields[39] = "";
  CriteoRow row;
  ASSERT_EQ(DecodeCriteoLine(Join(fields) + "\r", true, &row).reason, nullptr);
  EXPECT_EQ(row.label, 1);
  EXPECT_EQ(row.integers[0], -2);
  EXPECT_FALSE(row.has_integer(2));
  EXPECT_EQ(row.integers[4], INT32_MIN);
  EXPECT_EQ(row.integers[5], INT32_MAX);
  EXPECT_EQ(row.integers[12], 142);
  EXPECT_FALSE(row.has_id(0));
  EXPECT_EQ(row.ids[1], 0xffffffffu);
  EXPECT_TRUE(row.has_id(2));
  EXPECT_EQ(row.ids[2], 0u);
  EXPECT_EQ(row.ids[3], 0x9e3779b9u * 4);
  EXPECT_FALSE(row.has_id(25));
}

TEST(CriteoLine, DecodesLinesWithoutLabel) {
  std::vector<std::string> fields = Fields();
  fields.erase(fields.begin());
  fields[0] = "";
  CriteoRow row;
  ASSERT_FALSE(DecodeCriteoLine(Join(fields), false, &row).is_fault());
  EXPECT_FALSE(row.has_integer(0));
  EXPECT_EQ(row.integers[1], -1);
  EXPECT_EQ(row.ids[25], 0x9e3779b9u * 26);
  ASSERT_FALSE(DecodeCriteoLine(std::string(38, '\t'), false, &row).is_fault());
  EXPECT_EQ(row.present, 0u);
}

TEST(CriteoLine, NamesTheFaultyField) {
  struct Case {
    int field;
    const char* text;
  };
  for (const Case& bad :
       {Case{1, ""}, Case{1, "2"}, Case{1, "-1"}, Case{1, "x"}, Case{2, "1.5"}, Case{3, "-"}, Case{4, "2147483648"},
        Case{5, "-2147483649"}, Case{6, "12345678901234567890"}, Case{6, "9999999999999999999"}, Case{7, "+1"},
        Case{14, "1a"}, Case{15, "123456789"}, Case{16, "12g"}, Case{40, " "}, Case{40, "0x1"}}) {
    std::vector<std::string> fields = Fields();
    fields[bad.field - 1] = bad.text;
    const std::string line = Join(fields);
    CriteoRow row;
    const LineFault fault = DecodeCriteoLine(line, true, &row);
    ASSERT_TRUE(fault.is_fault()) << bad.text;
    EXPECT_EQ(fault.field, bad.field) << bad.text;
    EXPECT_EQ(fault.text, bad.text);
  }
}

TEST(CriteoLine, SaysHowManyFieldsAreThere) {
  std::vector<std::string> fields = Fields();
  CriteoRow row;
  const LineFault labelled = DecodeCriteoLine(Join(fields), false, &row);
  EXPECT_THAT(labelled.reason, testing::HasSubstr("39 fields"));
  EXPECT_EQ(labelled.field, 40);
  fields.pop_back();
  const std::string shorter = Join(fields);
  const LineFault short_fault = DecodeCriteoLine(shorter, true, &row);
  EXPECT_THAT(short_fault.reason, testing::HasSubstr("40 fields"));
  EXPECT_EQ(short_fault.field, 39);
  EXPECT_TRUE(short_fault.is_of_line);
  EXPECT_EQ(DecodeCriteoLine("", true, &row).field, 1);
  EXPECT_EQ(DecodeCriteoLine("", false, &row).field, 1);
}

bool OracleDecode(const std::string& line, CriteoRow* row) {
  static const std::regex label("0*[01]|-0+"), integer("(-?[0-9]{1,18})?"), id("[0-9a-fA-F]{0,8}");
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == '\t')
      fields.emplace_back();
    else
      fields.back() += c;
  }
  if (fields.size() != 40 || !std::regex_match(fields[0], label)) return false;
  row->label = std::stoi(fields[0]);
  for (int i = 0; i < 39; ++i) {
    const std::string& field = fields[i + 1];
    if (!std::regex_match(field, i < 13 ? integer : id)) return false;
    if (field.empty()) continue;
    row->present |= uint64_t{1} << i;
    if (i < 13) {
      const long long value = std::stoll(field);
      if (value < INT32_MIN || value > INT32_MAX) return false;
      row->integers[i] = static_cast<int32_t>(value);
    } else {
      row->ids[i - 13] = static_cast<uint32_t>(std::stoul(field, nullptr, 16));
    }
  }
  return true;
}

TEST(CriteoLine, AgreesWithAnOracleOnMutatedLines) {
  SCOPED_TRACE(kSeed);
  std::mt19937_64 random(kSeed);
  constexpr std::string_view kLetters = "0123456789abcdefABCDEF-\t\t g+.";
  int whole = 0, faulty = 0;
  for (int i = 0; i < 5'000; ++i) {
    std::string line = Join(Fields());
    for (uint64_t times = random() % 5; times > 0; --times) {
      const size_t at = random() % line.size();
      const char letter = kLetters[random() % kLetters.size()];
      if (random() % 3 == 0)
        line.insert(at, 1, letter);
      else if (random() % 2 == 0)
        line.erase(at, 1);
      else
        line[at] = letter;
    }
    CriteoRow row, expected;
    const bool ok = !DecodeCriteoLine(line, true, &row).is_fault();
    ASSERT_EQ(ok, OracleDecode(line, &expected)) << line;
    ++(ok ? whole : faulty);
    if (!ok) continue;
    EXPECT_EQ(row.label, expected.label) << line;
    EXPECT_EQ(row.present, expected.present) << line;
    EXPECT_TRUE(std::equal(row.integers, row.integers + 13, expected.integers)) << line;
    EXPECT_TRUE(std::equal(row.ids, row.ids + 26, expected.ids)) << line;
  }
  EXPECT_GT(whole, 1'000);
  EXPECT_GT(faulty, 1'000);
}

}  // namespace
}  // namespace weir
