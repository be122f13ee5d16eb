#include "trainer/reporter.h"

#include <algorithm>
#include <iostream>

#include <fmt/format.h>

#include "proto/memory_size.h"

namespace weir {

namespace {

// tables.memory as bytes; 0 without.
int64_t BudgetOf(const TableConfig& table) {
  return table.has_memory() ? ParseMemory(table.memory()).value() : 0;  // the job's rules hold
}

struct LoadFigure {
  const char* name;
  int64_t ServerLoad::*of;
};
constexpr LoadFigure kLoadFigures[] = {{"rows", &ServerLoad::rows},
                                       {"table_bytes", &ServerLoad::bytes},
                                       {"keys_pulled", &ServerLoad::keys_pulled},
                                       {"keys_pushed", &ServerLoad::keys_pushed},
                                       {"bytes_in", &ServerLoad::bytes_in},
                                       {"bytes_out", &ServerLoad::bytes_out}};

int64_t SumOfBudgets(const Job& job) {
  int64_t sum = 0;
  for (const TableConfig& table : job.tables()) {
    if (!table.has_memory()) return 0;
    sum += BudgetOf(table);
  }
  return sum;
}

}  // namespace

Reporter::Reporter(const Job& job, const Clock* clock)
    : job_(job),
      clock_(clock),
      progress_(ProgressOptions::ForStderr(job.metrics().every_s()), std::cerr, *clock),
      window_(job.metrics().window()),
      point_ns_(clock->SteadyNanos()),
      table_bytes_max_(SumOfBudgets(job)) {}

Result<std::unique_ptr<Reporter>> Reporter::Open(const Job& job, FileSystem* file_system, const Clock* clock,
                                                 int64_t step) {
  std::unique_ptr<Reporter> reporter(new Reporter(job, clock));
  WEIR_RETURN_IF_ERROR(file_system->CreateFolders(job.output()));
  WEIR_ASSIGN_OR_RETURN(reporter->log_, MetricsLog::Open(*file_system, JoinPath(job.output(), "metrics.jsonl"), step));
  if (job.metrics().tensorboard()) {
    WEIR_ASSIGN_OR_RETURN(reporter->events_,
                          EventWriter::Create(*file_system, JoinPath(job.output(), "events"), *clock));
  }
  reporter->last_step_ = step;
  return reporter;
}

Status Reporter::Step(int64_t step, const LoaderPosition& position, int64_t samples, const StepResult& result,
                      const StoreStats* stats, const BadRowCounts& bad_rows) {
  last_step_ = step;
  window_.Add(result.logits, result.labels, result.weights);
  loss_sum_ += result.previous_loss_sum;
  weight_ += result.previous_weight;

  ProgressState state;
  state.step = step;
  state.steps_total = job_.train().max_steps();
  state.epoch = std::min<int64_t>(position.epoch() + 1, job_.train().epochs());
  state.epochs_total = job_.train().epochs();
  state.samples = samples;
  if (state.steps_total == 0) state.samples_total = epoch_rows_ * job_.train().epochs();
  if (stats != nullptr) table_bytes_ = stats->bytes;
  state.table_bytes = table_bytes_;
  state.table_bytes_max = table_bytes_max_;
  progress_.Update(state, [this] { return window_.Measure(); });

  if (stats == nullptr || weight_ == 0) return Status();
  const int64_t now_ns = clock_->SteadyNanos();
  const double elapsed_s = static_cast<double>(now_ns - point_ns_) / kNanosPerSecond;
  WindowMetrics shown = window_.Measure();
  WEIR_RETURN_IF_ERROR(Write("train", step,
                             {{"epoch", state.epoch},
                              {"samples", samples},
                              {"samples_per_s", static_cast<double>(samples - point_samples_) / elapsed_s},
                              {"logloss", loss_sum_ / weight_},
                              {"auc", JsonOptional(shown.auc)},
                              {"rows", stats->rows},
                              {"table_bytes", stats->bytes}}));
  WEIR_RETURN_IF_ERROR(WriteTables(step, *stats));
  WEIR_RETURN_IF_ERROR(WriteStaleness(step, *stats));
  WEIR_RETURN_IF_ERROR(WriteServers(step, *stats));
  WEIR_RETURN_IF_ERROR(WriteBadRows(step, bad_rows));
  loss_sum_ = weight_ = 0;
  point_samples_ = samples;
  point_ns_ = now_ns;
  return Status();
}

bool Reporter::PointIsDue() const {
  return static_cast<double>(clock_->SteadyNanos() - point_ns_) >= job_.metrics().every_s() * kNanosPerSecond;
}

// How many steps before its own a pull did not see, as a mean over rows.
Status Reporter::WriteStaleness(int64_t step, const StoreStats& stats) {
  const auto synchronous = [&](const TableConfig& table) { return ConsistencyOf(job_.cluster(), table).synchronous(); };
  if (std::ranges::all_of(job_.tables(), synchronous)) return Status();
  std::vector<JsonField> fields;
  int64_t rows = 0, unseen = 0;
  for (size_t steps = 0; steps < stats.rows_by_staleness.size(); ++steps) {
    const int64_t of_these = stats.rows_by_staleness[steps];
    rows += of_these;
    unseen += of_these * static_cast<int64_t>(steps);
    if (of_these > 0) fields.push_back({fmt::format("rows_{}_steps", steps), of_these});
  }
  if (rows == 0) return Status();
  fields.push_back({"mean_steps", static_cast<double>(unseen) / static_cast<double>(rows)});
  return Write("staleness", step, fields);
}

Status Reporter::WriteServers(int64_t step, const StoreStats& stats) {
  if (stats.servers.empty()) return Status();
  std::vector<JsonField> fields;
  for (size_t server = 0; server < stats.servers.size(); ++server) {
    for (const LoadFigure& figure : kLoadFigures) {
      fields.push_back({fmt::format("{}/{}", server, figure.name), stats.servers[server].*figure.of});
    }
  }
  for (const LoadFigure& figure : kLoadFigures) {
    fields.push_back({fmt::format("imbalance/{}", figure.name), Imbalance(stats.servers, figure.of)});
  }
  if (job_.cluster().hot_rows() > 0) fields.push_back({"keys_from_cache", stats.keys_from_cache});
  return Write("servers", step, fields);
}

Status Reporter::WriteBadRows(int64_t step, const BadRowCounts& bad_rows) {
  if (bad_rows_ == bad_rows.rows()) return Status();
  bad_rows_ = bad_rows.rows();
  std::vector<JsonField> fields = {{"rows", bad_rows.rows()}};
  for (const auto& [kind, rows] : bad_rows.kinds()) {
    const std::string column = kind.column.empty() ? "(row)" : kind.column;
    fields.push_back({fmt::format("{}/{}/{}", column, kind.reason, kind.file), rows});
  }
  return Write("bad_rows", step, fields);
}

Status Reporter::WriteTables(int64_t step, const StoreStats& stats) {
  std::vector<JsonField> fields;
  const size_t tables = std::min<size_t>(stats.tables.size(), job_.tables_size());
  for (size_t i = 0; i < tables; ++i) {
    const TableConfig& table = job_.tables(static_cast<int>(i));
    const TableStats& of = stats.tables[i];
    if (!table.has_memory() && !table.has_admission() && !table.has_eviction()) continue;
    const auto add = [&](const char* what, int64_t value) { fields.push_back({table.name() + "/" + what, value}); };
    add("rows", of.rows);
    add("bytes", of.bytes);
    if (table.has_memory()) add("memory", BudgetOf(table));
    add("admitted", of.admitted);
    add("not_admitted", of.not_admitted);
    add("refused", of.refused);
    add("evicted_full", of.evicted_full);
    add("evicted_expired", of.evicted_expired);
    add("evicted_norm", of.evicted_norm);
    if (!table.has_disk()) continue;
    add("memory_hits", of.memory_hits);
    add("disk_hits", of.disk_hits);
    add("disk_rows", of.disk_rows);
    add("disk_bytes", of.disk_bytes);
  }
  return fields.empty() ? Status() : Write("tables", step, fields);
}

Status Reporter::Evaluated(const Evaluation& evaluation) {
  std::optional<double> auc, calibration;
  if (evaluation.has_auc()) auc = evaluation.auc();
  if (evaluation.has_calibration()) calibration = evaluation.calibration();
  progress_.Say(fmt::format("step {}: evaluation of {} samples: logloss {:.5f}, AUC {}", evaluation.step(),
                            evaluation.samples(), evaluation.logloss(), auc ? fmt::format("{:.5f}", *auc) : "-"));
  return Write("eval", evaluation.step(),
               {{"samples", static_cast<int64_t>(evaluation.samples())},
                {"logloss", evaluation.logloss()},
                {"auc", JsonOptional(auc)},
                {"calibration", JsonOptional(calibration)},
                {"bad_rows", static_cast<int64_t>(evaluation.bad_rows())}});
}

void Reporter::Committed(const std::string& path, int64_t step) {
  progress_.Say(fmt::format("step {}: committed {}", step, path));
}

Status Reporter::Close(double samples_per_s, const StoreStats& stats, const BadRowCounts& bad_rows) {
  progress_.Clear();
  if (stats.servers.size() > 1) {
    progress_.Say(fmt::format("{} servers, the most of one over the mean: rows {:.3f}, keys pulled {:.3f}",
                              stats.servers.size(), Imbalance(stats.servers, &ServerLoad::rows),
                              Imbalance(stats.servers, &ServerLoad::keys_pulled)));
  }
  if (bad_rows.rows() > 0) {
    LOG(WARNING) << bad_rows.rows() << " bad rows of " << bad_rows.kinds().size() << " kinds: see "
                 << JoinPath(job_.output(), "bad_rows.jsonl");
  }
  const std::vector<JsonField> fields = {{"samples_per_s", samples_per_s},
                                         {"rows", stats.rows},
                                         {"table_bytes", stats.bytes},
                                         {"bytes_sent", stats.bytes_sent},
                                         {"bytes_received", stats.bytes_received},
                                         {"messages_sent", stats.messages_sent}};
  WEIR_RETURN_IF_ERROR(WriteTables(last_step_, stats));
  WEIR_RETURN_IF_ERROR(WriteStaleness(last_step_, stats));
  WEIR_RETURN_IF_ERROR(WriteServers(last_step_, stats));
  WEIR_RETURN_IF_ERROR(WriteBadRows(last_step_, bad_rows));
  WEIR_RETURN_IF_ERROR(Write("run", last_step_, fields));
  WEIR_RETURN_IF_ERROR(log_->Close());
  return events_ ? events_->Close() : Status();
}

Status Reporter::Write(const std::string& group, int64_t step, const std::vector<JsonField>& fields) {
  std::vector<JsonField> line = {{"kind", group}};
  line.insert(line.end(), fields.begin(), fields.end());
  WEIR_RETURN_IF_ERROR(log_->Append(step, line));
  if (!events_) return Status();
  for (const JsonField& field : fields) {
    const std::string tag = group + "/" + field.name;
    if (const auto* number = std::get_if<double>(&field.value)) {
      WEIR_RETURN_IF_ERROR(events_->AddScalar(tag, step, *number));
    } else if (const auto* count = std::get_if<int64_t>(&field.value)) {
      WEIR_RETURN_IF_ERROR(events_->AddScalar(tag, step, static_cast<double>(*count)));
    }
  }
  return events_->Flush();
}

}  // namespace weir
