#include "launch/commands.h"

#include <cstdio>

#include <fmt/format.h>

namespace weir {
namespace {

constexpr char kOverrideDetails[] =
    "field.path=value overrides a field of the job (docs/job.md): train.epochs=3 data.train.uri=a.parquet,b.parquet\n"
    "model.deepfm.hidden=64,32 tables[0].dim=8 optimizers.dense.sgd={}. Lists are split at commas.\n";

constexpr char kCheckpointDetails[] =
    "CHECKPOINT is a step-N folder, or a run's output folder, which stands for the best of its checkpoints.\n";

// Of commands that take any number of files; what a command line can hold is less.
constexpr int kArgumentsMax = 1 << 24;

Command Train() {
  return {{"train", 1, 1, true, {}},
          "JOB.textproto [field.path=value ...]",
          "trains a model, in one process or under mpirun",
          fmt::format(
              "Alone it trains in one process; under 'mpirun -n N' the last cluster.servers ranks serve rows and the\n"
              "others train. An output folder with a commit is gone on with. The last line on stdout is a JSON "
              "object\nwith what was reached; progress goes to stderr.\n{}",
              kOverrideDetails),
          RunTrain};
}

Command Eval() {
  return {{"eval", 1, 1, true, {}},
          "CHECKPOINT [field.path=value ...]",
          "evaluates a checkpoint on data.eval",
          fmt::format("{}{}", kCheckpointDetails, kOverrideDetails),
          RunEval};
}

Command Predict() {
  return {{"predict",
           1,
           1,
           true,
           {{"out", "FILE", "the Parquet file to write", true},
            {"columns", "a,b", "columns of the data to write beside the score", false}}},
          "CHECKPOINT --out FILE [--columns a,b] [field.path=value ...]",
          "writes a score for each row of data.eval, as Parquet",
          fmt::format("{}{}", kCheckpointDetails, kOverrideDetails),
          RunPredict};
}

Command Export() {
  return {{"export", 1, 1, false, {{"out", "DIR", "the folder to make", true}}},
          "CHECKPOINT --out DIR",
          "writes a checkpoint for serving: TorchScript and Parquet",
          kCheckpointDetails,
          RunExport};
}

Command Validate() {
  return {
      {"validate",
       1,
       1,
       true,
       {{"workers", "N", "workers that training would have (1)", false},
        {"rows", "N", "rows of data.train to plan from (32 steps, 262,144 rows or 20 s at most); 0: no plan", false},
        {"json", "", "memory and plan as JSON on stdout instead of text", false}}},
      "JOB.textproto [--workers N] [--rows N] [--json] [field.path=value ...]",
      "prints a job as understood, with the memory of its tables and the load of each rank",
      fmt::format(
          "Prints the job, what a row of each table takes, and a plan: keys, rows and bytes of each server and\n"
          "each worker, from the first steps of data.train. Where the data cannot be reached from here, that\n"
          "is said and is no error, unless --rows asks for a plan. docs/operating.md explains the columns.\n{}",
          kOverrideDetails),
      RunValidate};
}

Command Doctor() {
  return {{"doctor", 0, 0, false, {}},
          "",
          "checks that this host can train, and names the fixes",
          "Checks MPI, cores, memory, GPU, open files, shared memory and libraries. Exit status 1 when training would "
          "fail.\n",
          RunDoctor};
}

Command Checkpoint() {
  return {{"checkpoint", 2, 3, false, {{"lines", "N", "lines of differences to print at most (100)", false}}},
          "ls OUTPUT | verify CHECKPOINT | diff CHECKPOINT CHECKPOINT [--lines N]",
          "lists, verifies and compares checkpoints",
          fmt::format("ls      the checkpoints of an output folder, the damaged ones too\n"
                      "verify  reads every byte: sizes, checksums, layouts, keys\n"
                      "diff    exits 0 when two are equal by key and bits, else 1, saying where they differ\n{}",
                      kCheckpointDetails),
          RunCheckpoint};
}

Command TableReport() {
  return {{"table-report",
           1,
           1,
           false,
           {{"table", "NAME", "only this table, with its histograms", false},
            {"json", "", "JSON on stdout instead of text", false},
            {"html", "FILE", "a page with pictures, beside what goes to stdout", false}}},
          "CHECKPOINT [--table NAME] [--json] [--html FILE]",
          "shows rows, memory, ages, counts and norms of a checkpoint's tables",
          fmt::format("Reads and checks every row. docs/operating.md explains the columns.\n{}", kCheckpointDetails),
          RunTableReport};
}

Command TableSim() {
  return {
      {"table-sim",
       1,
       1,
       true,
       {{"policy", "TEXT", "a policy to try, as textproto (proto/table_sim.proto); may be given often", false, true},
        {"policies", "FILE", "policies to try: policies { name: ... } policies { name: ... }", false},
        {"rows", "N", "rows of data.train to replay; by default as many as training would read", false},
        {"workers", "N", "workers that training would have (1): admission and counts see their pushes", false},
        {"json", "", "JSON on stdout instead of text", false},
        {"html", "FILE", "a page with pictures, beside what goes to stdout", false}}},
      "JOB.textproto [--policy TEXT]... [--policies FILE] [--rows N] [--json] [--html FILE] [field.path=value ...]",
      "tries policies for tables on a job's data, without training",
      fmt::format(
          "Replays the keys of data.train, in the order and with the hashing of training, against the job's own\n"
          "tables and each policy, and prints rows, memory, hit rate, rejected values, evictions and collisions:\n"
          "  --policy \"name: 'five' admission {{ count {{ threshold: 5 }} }}\"\n"
          "  --policy \"name: 'small' memory: '64MiB' eviction {{ when_full: LEAST_RECENT }}\"\n"
          "  --policy \"name: 'folded' tables: ['user', 'item'] buckets: 1000000\"\n"
          "docs/operating.md explains the columns.\n{}",
          kOverrideDetails),
      RunTableSim};
}

Command Convert() {
  return {
      {"convert",
       3,
       kArgumentsMax,
       false,
       {{"compression", "NAME", "zstd (the default), lz4 or none", false},
        {"rows_per_file", "N", "rows of each file of a folder; by default all in one", false},
        {"rows_per_group", "N", "rows of a row group (262,144)", false},
        {"force", "", "replaces what stands under OUT: a file, or a folder of part-*.parquet", false},
        {"max_bad_rows", "N", "lines that are no rows and are left out; one more stops it (0)", false},
        {"no_label", "", "criteo: lines begin with the integers, as in Kaggle's test.txt", false},
        {"kind", "NAME", "libsvm: libsvm or libffm; by default what the first line looks like", false},
        {"types", "a=T,b=T", "csv: of columns: int64, uint64, double or string; others by their values", false}}},
      "criteo|libsvm|csv IN... OUT [--rows_per_file N] [--compression NAME] [--force]",
      "turns Criteo logs, libsvm text or CSV into Parquet",
      "IN is a file, a folder or a glob; names that end in .gz are unpacked. OUT is a file if it ends in .parquet, "
      "else\n"
      "a folder of part-NNNNN.parquet; it is there when it is whole, not before. The last line on stdout is a JSON\n"
      "object with what was written; progress goes to stderr.\n"
      "criteo  label, 13 integers, 26 hexadecimal ids, parted by tabs, no header (Kaggle's train.txt, the days of the\n"
      "        1 TB set): label int32, I1 .. I13 int32, C1 .. C26 uint32, null where empty\n"
      "libsvm  \"label index:value ...\" or libffm's \"label field:index:value ...\": label float, indices\n"
      "        list<int64>, values list<float>, for libffm fields list<int64>\n"
      "csv     as the loader reads it (data.csv.delimiter=';' and the like say how it is written); each column gets\n"
      "        the narrowest type that holds all its values\n",
      RunConvert};
}

Command Stats() {
  return {
      {"stats",
       1,
       kArgumentsMax,
       false,
       {{"rows", "N", "about as many rows, spread evenly over the files, instead of all", false},
        {"json", "FILE", "writes what was found as JSON too (docs/formats.md)", false},
        {"html", "FILE", "writes a page with pictures too", false},
        {"eval", "", "of a job: data.eval instead of data.train", false},
        {"criteo", "", "the files are Criteo's logs: tabs, no header, label, I1 .. I13, C1 .. C26", false}}},
      "JOB.textproto|URI... [--rows N] [--json FILE] [--html FILE] [field.path=value ...]",
      "shows types, missing and distinct values, quantiles and frequent values of data",
      "Reads the source of a job, or files, folders and globs; then data.csv.delimiter=';' and the like say how they\n"
      "are written. docs/operating.md explains the columns; progress goes to stderr.\n",
      RunStats};
}

}  // namespace

const std::vector<Command>& Commands() {
  static const std::vector<Command> commands = {Train(),    Eval(),    Predict(),    Export(),
                                                Validate(), Doctor(),  Checkpoint(), TableReport(),
                                                TableSim(), Convert(), Stats()};
  return commands;
}

int ReportError(const CommandLine& line, const Status& status) {
  fmt::print(stderr, "weir {}: {}\n", line.command, status.ToString());
  std::fflush(stderr);
  return 1;
}

}  // namespace weir
