#include "proto/job_text.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kSmall[] = R"(data {
  train { uri: "a.parquet" }
  label { column: "y" }
}
features { name: "user" sparse {} }
features { name: "age" numeric { log: true } }
tables { name: "user" dim: 4 }
model { deepfm { hidden: [8, 4] } }
train { epochs: 2 }
output: "out"
)";

Result<Job> Read(const std::string& text, std::vector<std::string> overrides = {}) {
  return ReadJob("job.textproto", text, overrides, nullptr);
}

std::string ErrorOf(const std::string& text, std::vector<std::string> overrides = {}) {
  const Result<Job> job = Read(text, std::move(overrides));
  return job.ok() ? "no error" : job.status().message();
}

// kSmall with one piece of text in place of another.
std::string With(const std::string& from, const std::string& to) {
  std::string text = kSmall;
  const size_t at = text.find(from);
  CHECK(at != std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(ReadJob, FillsWhatDefaultsToSomethingElse) {
  const Result<Job> job = Read(kSmall);
  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(job->features(0).column(), "user");
  EXPECT_EQ(job->features(0).sparse().table(), "user");
  EXPECT_EQ(job->features(0).sparse().hash_space(), "user");
  EXPECT_TRUE(job->optimizers().rows().has_rowwise_adagrad());
  EXPECT_DOUBLE_EQ(job->optimizers().rows().learning_rate(), 0.01);
  EXPECT_TRUE(job->optimizers().dense().has_adam());
  EXPECT_DOUBLE_EQ(job->optimizers().dense().learning_rate(), 0.001);
  EXPECT_TRUE(job->tables(0).optimizer().has_rowwise_adagrad());
  EXPECT_DOUBLE_EQ(job->tables(0).initializer().uniform().scale(), 0.05);
}

TEST(ReadJob, HashSpaceIsTheTableThatFeaturesShare) {
  const Result<Job> job = Read(With("name: \"user\" sparse {}", "name: \"viewer\" sparse { table: \"user\" }"));
  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(job->features(0).column(), "viewer");
  EXPECT_EQ(job->features(0).sparse().hash_space(), "user");
}

TEST(ReadJob, ResolvingAgainChangesNothing) {
  const Result<Job> once = Read(With("name: \"user\" sparse {}", "name: \"C[1-3]\" sparse { table: \"user\" }"));
  ASSERT_TRUE(once.ok()) << once.status().ToString();
  const Result<Job> twice = Read(JobToText(*once));
  ASSERT_TRUE(twice.ok()) << twice.status().ToString();
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*once, *twice));
  EXPECT_EQ(JobToText(*once), JobToText(*twice));
}

TEST(ReadJob, ReportsAllErrorsAtOnceWithTheirLines) {
  const std::string error = ErrorOf(R"(data {
  train { uri: "a.parquet" }
  lable { column: "y" }
  streams: 0
}
features { name: "user" sparse { tabel: "users" } }
features { name: "user" sparse { table: "usr" } }
tables { name: "user" dim: 5000 }
model { deepfm { hidden: [8, 0] dropout: 1 } }
train { epoch: 2 batch_size: -1 }
cluster { staleness: 16 async: true virtual_shards: 12 }
)",
                                    {"checkpoint.keep=1", "train.lenght=3"});
  EXPECT_THAT(error, HasSubstr("job.textproto:3:3: DataConfig has no field \"lable\" (did you mean \"label\"?)"));
  EXPECT_THAT(error, HasSubstr("job.textproto:4:3: data.streams is 0 streams, expected at least 1"));
  EXPECT_THAT(error, HasSubstr("job.textproto:1:1: data.label is required"));
  EXPECT_THAT(error, HasSubstr("job.textproto:6:34: SparseConfig has no field \"tabel\" (did you mean \"table\"?)"));
  EXPECT_THAT(error, HasSubstr("job.textproto:7:12: features[1].name \"user\" names another feature already"));
  EXPECT_THAT(error, HasSubstr("job.textproto:7:34: features[1].sparse.table feature \"user\" looks up table \"usr\""));
  EXPECT_THAT(error, HasSubstr("(did you mean \"user\"?)"));
  EXPECT_THAT(error, HasSubstr("job.textproto:8:23: tables[0].dim is 5000 weights, expected at most 4096"));
  EXPECT_THAT(error, HasSubstr("model.deepfm.hidden[1] is 0 units, expected at least 1"));
  EXPECT_THAT(error, HasSubstr("model.deepfm.dropout is 1, expected less than 1"));
  EXPECT_THAT(error, HasSubstr("job.textproto:10:9: TrainConfig has no field \"epoch\" (did you mean \"epochs\"?)"));
  EXPECT_THAT(error, HasSubstr("train.batch_size is -1 samples, expected at least 1"));
  EXPECT_THAT(error, HasSubstr("cluster.staleness is 16 steps, expected at most 15"));
  EXPECT_THAT(error, HasSubstr("cluster.async is true and cluster.staleness is 16: expected one of the two modes"));
  EXPECT_THAT(error, HasSubstr("cluster.virtual_shards is 12, expected a power of two"));
  EXPECT_THAT(error, HasSubstr("job.textproto: output is required"));
  EXPECT_THAT(error, HasSubstr("override checkpoint.keep=1: checkpoint.keep is 1 checkpoints, expected at least 2"));
  EXPECT_THAT(error, HasSubstr("override train.lenght=3: TrainConfig has no field \"lenght\""));
}

TEST(ReadJob, NamesWhereTheTextBreaksOff) {
  EXPECT_THAT(ErrorOf("data {\n  train { uri: }\n}"), HasSubstr("job.textproto:2:16: "));
  EXPECT_THAT(ErrorOf("data {"), HasSubstr("job.textproto:1:"));
}

TEST(ReadJob, ListsTheValuesOfAnEnum) {
  EXPECT_THAT(ErrorOf(With("sparse {}", "sparse { pooling: MAEN }")),
              HasSubstr("job.textproto:5:43: \"MAEN\" is no value for pooling (did you mean \"MEAN\"?)"));
}

TEST(ReadJob, ErrorsOfAnExpandedEntryStandAtItsLine) {
  const std::string error = ErrorOf(With("name: \"user\" sparse {}", "name: \"C[1-3]\" sparse { table: \"x\" }"));
  EXPECT_THAT(error, HasSubstr("job.textproto:5:36: features[2].sparse.table feature \"C3\" looks up table \"x\""));
  EXPECT_THAT(error, HasSubstr("tables[0].name table \"user\" is looked up by no feature"));
}

TEST(ReadJob, SamplingIsHeldAgainstTheFeatures) {
  const auto negatives = [](const std::string& fields) {
    return ErrorOf(With("a.parquet\"", "a.parquet\" sampling { negatives { " + fields + " } }"));
  };
  EXPECT_EQ(negatives("features: \"user\" uniform: 1"), "no error");
  EXPECT_EQ(negatives("features: [\"user\", \"age\"] in_batch: 1 except: \"user\""), "no error");
  EXPECT_THAT(negatives("uniform: 1"), HasSubstr("data.train.sampling.negatives.features is required"));
  EXPECT_THAT(negatives("features: \"user\""), HasSubstr("negatives makes none"));
  EXPECT_THAT(negatives("features: \"usr\" uniform: 1"), HasSubstr("names \"usr\", which is no feature of the job"));
  EXPECT_THAT(negatives("features: \"age\" uniform: 1"), HasSubstr("\"age\" is the item's id, expected a sparse"));
  EXPECT_THAT(negatives("features: [\"user\", \"user\"] uniform: 1"), HasSubstr("features[1] names \"user\" again"));
  EXPECT_THAT(negatives("features: \"user\" uniform: 1 except: \"age\""), HasSubstr("has other keys than \"user\""));
  EXPECT_THAT(negatives("features: \"user\" hard: 1"), HasSubstr("negatives.hard_items is required with hard"));
  EXPECT_THAT(negatives("features: \"user\" uniform: 1 hard_items { uri: \"h\" by: \"user\" }"),
              HasSubstr("negatives.hard is required with hard_items"));
  EXPECT_THAT(negatives("features: \"user\" hard: 1 hard_items { uri: \"h\" by: \"user\" }"),
              HasSubstr("hard_items.by names \"user\", expected a sparse feature that is none of the item's"));
  EXPECT_THAT(ErrorOf(kSmall, {"data.eval.uri=b", "data.eval.sampling.keep_negatives=0.5"}),
              HasSubstr("data.eval.sampling.keep_negatives is for data.train"));
  EXPECT_THAT(ErrorOf(kSmall, {"data.ledger.column=id", "data.train.sampling.keep_negatives=0.5"}),
              HasSubstr("data.ledger does not go with data.train.sampling"));
  EXPECT_THAT(ErrorOf(kSmall, {"data.train.sampling.keep_negatives=0"}), HasSubstr("expected more than 0"));
  EXPECT_THAT(ErrorOf(kSmall, {"data.train.next_item.column=items", "data.train.next_item.aligned=items"}),
              HasSubstr("next_item.aligned[0] is the list column itself"));
}

TEST(ReadJob, RefusesWhatHasNoMeaning) {
  EXPECT_THAT(ErrorOf(With("sparse {}", "sparse { boundaries: [1, 3, 2] }")),
              HasSubstr("boundaries[2] is 2 after 3, expected ascending numbers"));
  EXPECT_THAT(ErrorOf(With("sparse {}", "sparse { boundaries: [1, nan] }")), HasSubstr("expected a finite number"));
  EXPECT_THAT(ErrorOf(With("sparse {}", "sparse { identity: true type: STRING }")),
              HasSubstr("identity takes integers as they are, but type is STRING"));
  EXPECT_THAT(ErrorOf(With("sparse {}", "sparse { type: FLOATING }")), HasSubstr("floats are no keys"));
  EXPECT_THAT(ErrorOf(With("sparse {}", "")), HasSubstr("feature \"user\" has no kind"));
  EXPECT_THAT(ErrorOf(With("log: true", "standard { stddev: 0 }")),
              HasSubstr("features[1].numeric.standard.stddev is 0, expected more than 0"));
  EXPECT_THAT(ErrorOf(With("log: true", "clip_min: 2 clip_max: 1")), HasSubstr("clip_min is 2, above clip_max 1"));
  EXPECT_THAT(ErrorOf(With("column: \"y\"", "column: \"\"")), HasSubstr("data.label.column is empty"));
  EXPECT_THAT(ErrorOf(With("column: \"y\"", "")), HasSubstr("data.label.column is required"));
  EXPECT_THAT(ErrorOf(With("column: \"y\"", "at_least: 3")), HasSubstr("data.label.column is required where"));
  EXPECT_THAT(ErrorOf(With("column: \"y\"", "column: \"y\" positive: \"a\" at_least: 3")),
              HasSubstr("data.label.at_least does not go with data.label.positive"));
  EXPECT_THAT(ErrorOf(With("column: \"y\"", "column: \"y\" positive: \"a\" negative: \"a\"")),
              HasSubstr("\"a\" is also among data.label.positive"));
  EXPECT_THAT(ErrorOf(With("column: \"y\"", "column: \"y\" negative: \"a\"")),
              HasSubstr("data.label.negative is set without data.label.positive"));
  EXPECT_THAT(ErrorOf(With("deepfm { hidden: [8, 4] }", "")), HasSubstr("model names no model"));
  for (const char* rule : {"rowwise_adagrad", "ftrl", "group_lasso_ftrl"}) {
    EXPECT_THAT(ErrorOf(kSmall, {fmt::format("optimizers.dense.{}={{}}", rule)}),
                HasSubstr(fmt::format("optimizers.dense.{} is for rows only", rule)));
    if (rule[0] == 'r') continue;
    EXPECT_THAT(ErrorOf(kSmall, {fmt::format("optimizers.rows.{}={{}}", rule), "optimizers.rows.learning_rate=0"}),
                HasSubstr("optimizers.rows.learning_rate is 0, expected more: it is the alpha of FTRL"));
  }
  EXPECT_THAT(ErrorOf(kSmall, {"optimizers.rows.schedule.decay=COSINE"}), HasSubstr("needs decay_steps"));
  EXPECT_THAT(ErrorOf(kSmall, {"data.csv.header=false"}), HasSubstr("expected data.csv.column_names"));
  EXPECT_THAT(ErrorOf(kSmall, {"data.csv.delimiter=ab"}), HasSubstr("expected one character"));
  EXPECT_THAT(ErrorOf(kSmall, {"data.csv.column_names=a,b,a"}), HasSubstr("names the column \"a\" again"));
  EXPECT_THAT(ErrorOf(With("dim: 4 }", "dim: 4 }\ntables { name: \"user\" dim: 2 }")),
              HasSubstr("job.textproto:8:10: tables[1].name \"user\" names another table already"));
}

TEST(ReadJob, PoolingsHaveWhatTheyNeedAndNothingElse) {
  auto error_of = [](const std::string& sparse) { return ErrorOf(With("sparse {}", "sparse { " + sparse + " }")); };
  EXPECT_EQ(error_of("pooling: WEIGHTED_SUM weight_column: \"w\""), "no error");
  EXPECT_EQ(error_of("pooling: NONE max_length: 1"), "no error");
  EXPECT_EQ(error_of("pooling: MAX"), "no error");
  const char* no_column = "features[0].sparse.weight_column is required with pooling WEIGHTED_SUM";
  EXPECT_THAT(error_of("pooling: WEIGHTED_SUM"), HasSubstr(no_column));
  EXPECT_THAT(error_of("pooling: WEIGHTED_SUM weight_column: \"\""), HasSubstr(no_column));
  EXPECT_THAT(error_of("weight_column: \"w\""),
              HasSubstr("sparse.weight_column is for pooling WEIGHTED_SUM only, but pooling is SUM"));
  EXPECT_THAT(error_of("pooling: NONE"), HasSubstr("sparse.max_length is required with pooling NONE"));
  EXPECT_THAT(error_of("pooling: NONE max_length: 0"), HasSubstr("sparse.max_length is required with pooling NONE"));
  EXPECT_THAT(error_of("pooling: NONE max_length: 5000"), HasSubstr("expected at most 4096"));
  EXPECT_THAT(error_of("pooling: NONE max_length: -1"), HasSubstr("expected at least 0"));
  EXPECT_THAT(error_of("pooling: MAX max_length: 3"),
              HasSubstr("sparse.max_length is for pooling NONE only, but pooling is MAX"));
}

TEST(ReadJob, SequencesAreCutAlikeInAGroup) {
  auto error_of = [](const std::string& sparse) { return ErrorOf(With("sparse {}", "sparse { " + sparse + " }")); };
  EXPECT_EQ(error_of("max_values: 3 keep: LAST"), "no error");
  EXPECT_EQ(error_of("pooling: NONE max_length: 3 keep: LAST"), "no error");
  EXPECT_THAT(error_of("keep: LAST"), HasSubstr("features[0].sparse.keep is LAST: expected max_values"));
  EXPECT_THAT(error_of("pooling: NONE max_length: 3 max_values: 3"), HasSubstr("expected max_length alone"));
  EXPECT_THAT(error_of("pooling: WEIGHTED_SUM weight_column: \"w\" group: \"g\""),
              HasSubstr("group does not go with weight_column"));
  EXPECT_THAT(error_of("group: \"g\""), HasSubstr("sparse.group \"g\" has this feature alone, expected several"));
  auto group_error = [](const std::string& first, const std::string& second) {
    return ErrorOf(With("name: \"user\" sparse {}",
                        "name: \"user\" sparse { group: \"g\" " + first +
                            " } }\nfeatures { name: \"b\" sparse { table: \"user\" group: \"g\" " + second + " }"));
  };
  EXPECT_EQ(group_error("max_values: 4", "max_values: 4"), "no error");
  EXPECT_EQ(group_error("max_values: 4", "pooling: NONE max_length: 4"), "no error");
  EXPECT_THAT(group_error("max_values: 4", "max_values: 5"),
              HasSubstr("expected the same values to stay as of feature \"user\" (FIRST 4), found FIRST 5"));
}

TEST(ReadJob, ColumnsMadeOfOthersAreChecked) {
  auto error_of = [](const std::string& columns, const std::string& column = "h") {
    return ErrorOf(With("sparse {}", "column: \"" + column + "\" sparse {}") + columns);
  };
  EXPECT_EQ(error_of("columns { name: \"h\" from: \"ts\" time {} }"), "no error");
  EXPECT_EQ(
      error_of("columns { name: \"a\" from: \"ts\" time {} } columns { name: \"h\" from: [\"a\", \"u\"] cross {} }"),
      "no error");
  EXPECT_EQ(error_of("columns { name: \"h\" from: \"C[1-8]\" cross {} }"), "no error");
  EXPECT_THAT(error_of("columns { name: \"h\" from: \"C[1-9]\" cross {} }"),
              HasSubstr("columns[0].from names 9 columns, expected 2 to 8"));
  EXPECT_THAT(error_of("columns { name: \"h\" from: \"a\" lag {} }"),
              HasSubstr("columns[0].from names 1 columns, expected 2"));
  EXPECT_THAT(error_of("columns { name: \"h\" time {} }"), HasSubstr("columns[0].from is required"));
  EXPECT_THAT(error_of("columns { name: \"h\" from: \"ts\" }"),
              HasSubstr("column \"h\" has no transform: expected time"));
  EXPECT_THAT(error_of("columns { name: \"hour\" from: \"ts\" time {} }", "hours"),
              HasSubstr("column \"hour\" is read by no feature, label or weight (did you mean \"hours\"?)"));
  EXPECT_THAT(error_of("columns { name: \"h\" from: \"h\" time {} }"), HasSubstr("\"h\" does not stand above"));
  EXPECT_THAT(error_of("columns { name: \"h\" from: \"b\" time {} } columns { name: \"b\" from: \"ts\" time {} }"),
              HasSubstr("columns[0].from[0] \"b\" does not stand above"));
  EXPECT_THAT(error_of("columns { name: \"h\" from: \"t\" time {} } columns { name: \"h\" from: \"ts\" time {} }"),
              HasSubstr("columns[1].name \"h\" names another column already"));
  EXPECT_THAT(error_of("columns { name: \"h\" from: \"t\" vocabulary {} }"), HasSubstr("neither a path nor values"));
  EXPECT_THAT(error_of("columns { name: \"h\" from: \"t\" vocabulary { values: [\"a\", \"a\"] } }"),
              HasSubstr("columns[0].vocabulary.values[1] is \"a\", a second time"));
  EXPECT_THAT(error_of("columns { name: \"h\" from: \"t\" bucketize {} }"),
              HasSubstr("neither boundaries nor quantiles"));
  EXPECT_THAT(error_of("columns { name: \"h\" from: \"t\" bucketize { boundaries: [2, 1] } }"),
              HasSubstr("is 1 after 2, expected ascending numbers"));
  EXPECT_THAT(
      error_of("columns { name: \"h\" from: \"t\" lookup { uri: \"i\" key: \"k\" value: \"v\" memory: \"much\" } }"),
      HasSubstr("columns[0].lookup.memory"));
}

TEST(ReadJob, NumbersOfTransformsAreGivenOrLearned) {
  auto error_of = [](const std::string& numeric) { return ErrorOf(With("log: true", numeric)); };
  EXPECT_EQ(error_of("min_max { min: -1 max: 3 }"), "no error");
  EXPECT_EQ(error_of("length: 3 split: \";\" standard { stats_file: \"s.json\" }"), "no error");
  EXPECT_THAT(error_of("min_max { min: 1 }"), HasSubstr("min_max.max is 1, expected more than min 1"));
  EXPECT_THAT(error_of("min_max {} standard {}"), HasSubstr("is there and standard too"));
  EXPECT_THAT(error_of("standard { mean: 1 stats_file: \"s.json\" }"), HasSubstr("standard.stats_file is there, and"));
  EXPECT_THAT(error_of("split: \";\""), HasSubstr("numeric.split is for vectors: expected length"));
  EXPECT_THAT(ErrorOf(With("sparse {}", "sparse { boundaries: 1 quantiles { buckets: 4 stats_file: \"s\" } }")),
              HasSubstr("sparse.quantiles are there and boundaries too"));
  EXPECT_THAT(ErrorOf(With("sparse {}", "sparse { quantiles { buckets: 1 stats_file: \"s\" } }")),
              HasSubstr("sparse.quantiles.buckets is 1 buckets, expected at least 2"));
  EXPECT_EQ(ErrorOf(With("sparse {}", "sparse { type: FLOATING quantiles { buckets: 4 stats_file: \"s\" } }")),
            "no error");
}

TEST(ReadJob, RangesOfWeightColumnsGoAlong) {
  const Result<Job> job =
      Read(With("name: \"user\" sparse {}",
                "name: \"C[1-2]\" sparse { table: \"user\" pooling: WEIGHTED_SUM weight_column: \"W[3-4]\" }"));
  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(job->features(0).sparse().weight_column(), "W3");
  EXPECT_EQ(job->features(1).sparse().weight_column(), "W4");
}

TEST(ReadJob, ATableOfItsOwnOptimizerIsCheckedOnce) {
  const std::string error =
      ErrorOf(With("dim: 4", "dim: 4 optimizer { sgd {} schedule { decay: LINEAR } }"), {"optimizers.rows.sgd={}"});
  EXPECT_THAT(error, HasSubstr("tables[0].optimizer.schedule.decay needs decay_steps"));
  EXPECT_THAT(error, Not(HasSubstr("optimizers.rows.schedule")));
}

TEST(Overrides, SetFieldsOfEveryKind) {
  const Result<Job> job =
      Read(kSmall, {"train.epochs=7", "train.seed=18446744073709551615", "data.eval.uri=b.parquet,c*.parquet",
                    "model.deepfm.dropout=0.25", "model.deepfm.hidden=64,32,16", "model.deepfm.hidden[1]=5",
                    "data.shuffle=false", "metrics.tensorboard=0", "metrics.best=LOGLOSS", "tables[0].dim=9",
                    "optimizers.dense.sgd={}", "optimizers.dense.learning_rate=1e-2", "output=/tmp/a=b,c",
                    "features[0].sparse.boundaries=1,2.5"});
  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(job->train().epochs(), 7);
  EXPECT_EQ(job->train().seed(), 18446744073709551615u);
  EXPECT_THAT(job->data().eval().uri(), ElementsAre("b.parquet", "c*.parquet"));
  EXPECT_DOUBLE_EQ(job->model().deepfm().dropout(), 0.25);
  EXPECT_THAT(job->model().deepfm().hidden(), ElementsAre(64, 5, 16));
  EXPECT_FALSE(job->data().shuffle());
  EXPECT_FALSE(job->metrics().tensorboard());
  EXPECT_EQ(job->metrics().best(), MetricsConfig::LOGLOSS);
  EXPECT_EQ(job->tables(0).dim(), 9);
  EXPECT_TRUE(job->optimizers().dense().has_sgd());
  EXPECT_DOUBLE_EQ(job->optimizers().dense().learning_rate(), 0.01);
  EXPECT_EQ(job->output(), "/tmp/a=b,c");
  EXPECT_THAT(job->features(0).sparse().boundaries(), ElementsAre(1, 2.5));
}

TEST(Overrides, AnEmptyValueEmptiesAList) {
  const Result<Job> job = Read(kSmall, {"data.train.uri="});
  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(job->data().train().uri_size(), 0);
}

TEST(Overrides, TheLastOneWins) {
  const Result<Job> job = Read(kSmall, {"train.epochs=3", "train.epochs=4"});
  ASSERT_TRUE(job.ok());
  EXPECT_EQ(job->train().epochs(), 4);
  EXPECT_THAT(ErrorOf(kSmall, {"train.epochs=3", "train.epochs=0"}),
              HasSubstr("override train.epochs=0: train.epochs is 0 epochs, expected at least 1"));
}

TEST(Overrides, SayWhatIsWrong) {
  EXPECT_THAT(ErrorOf(kSmall, {"trian.epochs=3"}), HasSubstr("Job has no field \"trian\" (did you mean \"train\"?)"));
  EXPECT_THAT(ErrorOf(kSmall, {"train.epochs=three"}),
              HasSubstr("\"three\" is no value for epochs: expected an integer of 32 bits"));
  EXPECT_THAT(ErrorOf(kSmall, {"train.epochs=3x"}), HasSubstr("\"3x\" is no value"));
  EXPECT_THAT(ErrorOf(kSmall, {"train.epochs="}), HasSubstr("\"\" is no value"));
  EXPECT_THAT(ErrorOf(kSmall, {"train.epochs=99999999999"}), HasSubstr("no value for epochs"));
  EXPECT_THAT(ErrorOf(kSmall, {"train.seed=-1"}), HasSubstr("expected an integer that is not negative"));
  EXPECT_THAT(ErrorOf(kSmall, {"data.shuffle=maybe"}), HasSubstr("expected true or false"));
  EXPECT_THAT(ErrorOf(kSmall, {"metrics.best=AUK"}), HasSubstr("expected one of AUC, LOGLOSS"));
  EXPECT_THAT(ErrorOf(kSmall, {"train=3"}), HasSubstr("train is a group of fields"));
  EXPECT_THAT(ErrorOf(kSmall, {"train.epochs.x=3"}), HasSubstr("epochs is a single value"));
  EXPECT_THAT(ErrorOf(kSmall, {"train[0].epochs=3"}), HasSubstr("train is no list"));
  EXPECT_THAT(ErrorOf(kSmall, {"tables[1].dim=3"}), HasSubstr("tables has 1 elements"));
  EXPECT_THAT(ErrorOf(kSmall, {"tables.dim=3"}), HasSubstr("expected tables[i]"));
  EXPECT_THAT(ErrorOf(kSmall, {"tables[x].dim=3"}), HasSubstr("is no element of a list"));
  EXPECT_THAT(ErrorOf(kSmall, {"epochs"}), HasSubstr("expected field.path=value"));
  EXPECT_THAT(ErrorOf(kSmall, {"=3"}), HasSubstr("expected field.path=value"));
  EXPECT_THAT(ErrorOf(kSmall, {"model.dlrm.dropout=0.1"}), HasSubstr("the job sets deepfm, which excludes dlrm"));
  EXPECT_THAT(ErrorOf(kSmall, {"optimizers.dense.sgd={x: 1}"}), HasSubstr("expected the text of a SgdConfig"));
}

TEST(ExpandRange, ExpandsOneRange) {
  EXPECT_THAT(*ExpandRange("user"), ElementsAre("user"));
  EXPECT_THAT(*ExpandRange("C[1-3]"), ElementsAre("C1", "C2", "C3"));
  EXPECT_THAT(*ExpandRange("a[9-11]b"), ElementsAre("a9b", "a10b", "a11b"));
  EXPECT_THAT(*ExpandRange("f[08-10]"), ElementsAre("f08", "f09", "f10"));
  EXPECT_THAT(*ExpandRange("x[5-5]"), ElementsAre("x5"));
}

TEST(ExpandRange, RefusesTornAndFallingOnes) {
  for (const char* name : {"C[1-", "C1-3]", "C[-]", "C[1]", "C[a-b]", "C[1-2][1-2]", "C]1-2[", "C[1-2", "C[]",
                           "C[1--2]", "C[ 1-2]", "C[1-99999999999999999999]"}) {
    EXPECT_FALSE(ExpandRange(name).ok()) << name;
  }
  EXPECT_THAT(ExpandRange("C[3-1]").status().message(), HasSubstr("falls"));
  EXPECT_THAT(ExpandRange("C[1-200000]").status().message(), HasSubstr("more than 100000"));
}

TEST(ReadJob, ExpandsRangesOfOneFeatureTogether) {
  const Result<Job> job = Read(R"(
data {
  train { uri: "a.tsv" }
  csv { header: false column_names: ["label", "I[1-2]", "C[1-3]"] }
  label { column: "label" }
}
features { name: "I[1-2]" numeric {} }
features { name: "C[1-3]" column: "c[4-6]" sparse { table: "T[7-9]" hash_space: "H[1-3]" } }
tables { name: "T[7-9]" dim: 2 }
model { dlrm {} }
train {}
output: "o"
)");
  ASSERT_TRUE(job.ok()) << job.status().ToString();
  ASSERT_EQ(job->features_size(), 5);
  EXPECT_EQ(job->features(1).name(), "I2");
  EXPECT_EQ(job->features(1).column(), "I2");
  EXPECT_EQ(job->features(4).name(), "C3");
  EXPECT_EQ(job->features(4).column(), "c6");
  EXPECT_EQ(job->features(4).sparse().table(), "T9");
  EXPECT_EQ(job->features(4).sparse().hash_space(), "H3");
  ASSERT_EQ(job->tables_size(), 3);
  EXPECT_EQ(job->tables(2).name(), "T9");
  EXPECT_THAT(job->data().csv().column_names(), ElementsAre("label", "I1", "I2", "C1", "C2", "C3"));
}

TEST(ReadJob, RefusesRangesOfDifferentLength) {
  EXPECT_THAT(ErrorOf(With("name: \"user\" sparse {}", "name: \"C[1-3]\" sparse { table: \"T[1-2]\" }")),
              HasSubstr("expected ranges of equal length"));
  EXPECT_THAT(ErrorOf(With("name: \"user\" sparse {}", "name: \"user\" column: \"c[1-3]\" sparse {}")),
              HasSubstr("features[0].name \"user\" stands for 1 and column \"c[1-3]\" for 3"));
  EXPECT_THAT(ErrorOf(With("name: \"user\" sparse {}", "name: \"C[3-1]\" sparse {}")),
              HasSubstr("job.textproto:5:12: features[0].name \"C[3-1]\" falls"));
}

TEST(JobErrors, UpperLayersAddTheirOwn) {
  JobErrors errors;
  const Result<Job> job = ReadJob("job.textproto", kSmall, {}, &errors);
  ASSERT_TRUE(job.ok());
  EXPECT_TRUE(errors.empty());
  errors.Add("tables[0].dim", "is 4, expected 1");
  errors.Add("model.deepfm.dropout", "is missing");
  EXPECT_EQ(errors.ToStatus().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(errors.ToStatus().message(),
            "job.textproto:7:23: tables[0].dim is 4, expected 1\n"
            "job.textproto:8:9: model.deepfm.dropout is missing");
}

}  // namespace
}  // namespace weir
