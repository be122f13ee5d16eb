#include "launch/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const CommandSyntax kPredict = {
    "predict", 1, 1, true, {{"out", "FILE", "the file to write", true}, {"force", "", "overwrites it", false}}};
const CommandSyntax kDiff = {"diff", 2, 2, false, {}};

Result<CommandLine> Parse(const CommandSyntax& syntax, std::vector<std::string> words) {
  return ParseCommandLine(syntax, words);
}

std::string ErrorOf(const CommandSyntax& syntax, std::vector<std::string> words) {
  const Result<CommandLine> line = Parse(syntax, std::move(words));
  return line.ok() ? "no error" : line.status().message();
}

TEST(ParseCommandLine, TellsArgumentsFlagsAndOverridesApart) {
  const Result<CommandLine> line =
      Parse(kPredict, {"--force", "out/dt=1", "--out", "scores.parquet", "data.eval.uri=a=b", "train.epochs=3"});
  ASSERT_TRUE(line.ok()) << line.status().ToString();
  EXPECT_EQ(line->command, "predict");
  EXPECT_THAT(line->arguments, ElementsAre("out/dt=1"));
  EXPECT_THAT(line->overrides, ElementsAre("data.eval.uri=a=b", "train.epochs=3"));
  EXPECT_EQ(line->Flag("out"), "scores.parquet");
  EXPECT_TRUE(line->HasFlag("force"));
  EXPECT_EQ(line->Flag("columns", "none"), "none");
}

TEST(ParseCommandLine, TakesFlagsWithEquals) { EXPECT_EQ(Parse(kPredict, {"out", "--out=a=b"})->Flag("out"), "a=b"); }

TEST(ParseCommandLine, KeepsAllValuesOfARepeatedFlagAndTheLastOfOthers) {
  const CommandSyntax syntax = {"sim", 0, 0, false, {{"policy", "TEXT", "", false, true}, {"out", "FILE", "", false}}};
  const Result<CommandLine> line = Parse(syntax, {"--policy", "a", "--out", "x", "--policy=b", "--out=y"});
  ASSERT_TRUE(line.ok()) << line.status().ToString();
  EXPECT_THAT(line->Flags("policy"), ElementsAre("a", "b"));
  EXPECT_THAT(line->Flags("out"), ElementsAre("y"));
  EXPECT_TRUE(line->Flags("none").empty());
}

TEST(ParseCommandLine, ReadsNumbersWithinTheirRange) {
  const CommandSyntax syntax = {"sim", 0, 0, false, {{"rows", "N", "", false}, {"text", "T", "", false}}};
  const Result<CommandLine> line = Parse(syntax, {"--rows", "12", "--text=12x"});
  ASSERT_TRUE(line.ok()) << line.status().ToString();
  EXPECT_EQ(*line->Number("rows", 5, 1, 12), 12);
  EXPECT_EQ(*line->Number("workers", 5, 1, 12), 5);
  EXPECT_THAT(line->Number("rows", 5, 1, 11).status().message(),
              HasSubstr("--rows is \"12\", expected a number from 1 to 11"));
  EXPECT_FALSE(line->Number("rows", 5, 13, 20).ok());
  EXPECT_THAT(line->Number("text", 5, 1, 12).status().message(), HasSubstr("\"12x\""));
}

TEST(ParseCommandLine, AfterTwoDashesNothingIsAFlag) {
  const Result<CommandLine> line = Parse(kDiff, {"--", "-a", "--b"});
  ASSERT_TRUE(line.ok());
  EXPECT_THAT(line->arguments, ElementsAre("-a", "--b"));
}

TEST(ParseCommandLine, SaysWhatIsWrong) {
  EXPECT_THAT(ErrorOf(kPredict, {"--out", "f"}), HasSubstr("expected 1 argument, found 0"));
  EXPECT_THAT(ErrorOf(kPredict, {"c"}), HasSubstr("expected --out FILE: the file to write"));
  EXPECT_THAT(ErrorOf(kPredict, {"c", "--uot", "f"}), HasSubstr("unknown flag --uot (did you mean \"out\"?)"));
  EXPECT_THAT(ErrorOf(kPredict, {"c", "--out"}), HasSubstr("--out needs a value"));
  EXPECT_THAT(ErrorOf(kPredict, {"c", "--out="}), HasSubstr("--out needs a value"));
  EXPECT_THAT(ErrorOf(kPredict, {"c", "--out=f", "--force=1"}), HasSubstr("--force takes no value"));
  EXPECT_THAT(ErrorOf(kPredict, {"c", "--out=f", "epochs"}), HasSubstr("\"epochs\" is no override"));
  EXPECT_THAT(ErrorOf(kDiff, {"a", "b", "c"}), HasSubstr("one argument too many: \"c\""));
  EXPECT_THAT(ErrorOf(kDiff, {"a"}), HasSubstr("expected 2 arguments, found 1"));
  EXPECT_THAT(ErrorOf(kDiff, {"a", "b", "---"}), HasSubstr("unknown flag ---"));
}

}  // namespace
}  // namespace weir
