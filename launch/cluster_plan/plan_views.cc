#include "launch/cluster_plan/plan_views.h"

#include <cmath>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "launch/report/text_grid.h"

namespace weir {
namespace {

using Align = TextGrid::Align;

std::string Digits(double number) { return GroupedDigits(std::llround(number)); }

double PerStep(int64_t sum, const ClusterPlan& plan) {
  return static_cast<double>(sum) / static_cast<double>(plan.steps);
}

std::string Range(const std::string& least, const std::string& most) {
  return least == most ? least : fmt::format("{} - {}", least, most);
}

std::string BytesRange(int64_t least, int64_t most) {
  return Range(BytesText(static_cast<double>(least)), BytesText(static_cast<double>(most)));
}

std::string Count(size_t number, const char* what) {
  return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

std::string SampleText(const ClusterPlan& plan) {
  const std::string servers = plan.colocated
                                  ? (plan.workers.size() == 1 ? "with the rows beside it" : "with the rows beside them")
                                  : "on " + Count(plan.servers.size(), "server");
  return fmt::format("{} {}, from a sample of the first {} of training: {} of the {} rows of an epoch",
                     Count(plan.workers.size(), "worker"), servers, Count(plan.steps, "step"), GroupedDigits(plan.rows),
                     GroupedDigits(plan.epoch_rows));
}

template <typename Load>
std::string ImbalanceText(const std::vector<Load>& loads, int64_t Load::*figure) {
  return fmt::format("{:.3f}", Imbalance(loads, figure));
}

TextGrid ServerGrid(const ClusterPlan& plan) {
  TextGrid grid({{"server", Align::kLeft},
                 {"keys a step"},
                 {"in a step"},
                 {"out a step"},
                 {"rows: sample - epoch"},
                 {"table memory"}});
  for (size_t i = 0; i < plan.servers.size(); ++i) {
    const ServerLoad& server = plan.servers[i];
    const ServerLoad& after = plan.servers_after[i];
    grid.AddRow({fmt::format("{}", i), Digits(PerStep(server.keys_pulled, plan)),
                 BytesText(PerStep(server.bytes_in, plan)), BytesText(PerStep(server.bytes_out, plan)),
                 Range(GroupedDigits(server.rows), GroupedDigits(after.rows)), BytesRange(server.bytes, after.bytes)});
  }
  grid.AddRow({"most / mean", ImbalanceText(plan.servers, &ServerLoad::keys_pulled),
               ImbalanceText(plan.servers, &ServerLoad::bytes_in), ImbalanceText(plan.servers, &ServerLoad::bytes_out),
               ImbalanceText(plan.servers, &ServerLoad::rows), ImbalanceText(plan.servers, &ServerLoad::bytes)});
  return grid;
}

TextGrid WorkerGrid(const ClusterPlan& plan) {
  TextGrid grid({{"worker", Align::kLeft},
                 {"samples a step"},
                 {"values a step"},
                 {"distinct keys"},
                 {"share"},
                 {"sent a step"},
                 {"received a step"}});
  for (size_t i = 0; i < plan.workers.size(); ++i) {
    const WorkerPlan& worker = plan.workers[i];
    grid.AddRow({fmt::format("{}", i), Digits(PerStep(worker.samples, plan)), Digits(PerStep(worker.values, plan)),
                 Digits(PerStep(worker.keys, plan)),
                 ShareText(static_cast<double>(worker.keys), static_cast<double>(worker.values)),
                 BytesText(PerStep(worker.bytes_sent, plan)), BytesText(PerStep(worker.bytes_received, plan))});
  }
  const auto imbalance = [&](int64_t WorkerPlan::*figure) { return ImbalanceText(plan.workers, figure); };
  grid.AddRow({"most / mean", imbalance(&WorkerPlan::samples), imbalance(&WorkerPlan::values),
               imbalance(&WorkerPlan::keys), "", imbalance(&WorkerPlan::bytes_sent),
               imbalance(&WorkerPlan::bytes_received)});
  return grid;
}

int64_t HottestValues(const TablePlan& table, size_t n) {
  int64_t values = 0;
  for (size_t i = 0; i < std::min(n, table.hottest.size()); ++i) values += table.hottest[i].count;
  return values;
}

TextGrid TableGrid(const ClusterPlan& plan) {
  TextGrid grid({{"table", Align::kLeft},
                 {"values a step"},
                 {"distinct keys"},
                 {"share"},
                 {"rows: sample - epoch"},
                 {"hottest key"},
                 {"hottest ten"}});
  for (const TablePlan& table : plan.tables) {
    const auto values = static_cast<double>(table.values);
    grid.AddRow({table.table, Digits(PerStep(table.values, plan)), Digits(PerStep(table.keys, plan)),
                 ShareText(static_cast<double>(table.keys), values),
                 Range(GroupedDigits(table.rows), GroupedDigits(table.rows_max)),
                 ShareText(static_cast<double>(HottestValues(table, 1)), values),
                 ShareText(static_cast<double>(HottestValues(table, table.hottest.size())), values)});
  }
  return grid;
}

void WriteServers(const ClusterPlan& plan, JsonWriter* json) {
  json->Name("servers");
  json->BeginArray();
  for (size_t i = 0; i < plan.servers.size(); ++i) {
    const ServerLoad& server = plan.servers[i];
    json->BeginObject();
    json->Integer("keys_pulled", server.keys_pulled);
    json->Integer("keys_pushed", server.keys_pushed);
    json->Integer("bytes_in", server.bytes_in);
    json->Integer("bytes_out", server.bytes_out);
    json->Integer("rows", server.rows);
    json->Integer("rows_max", plan.servers_after[i].rows);
    json->Integer("table_bytes", server.bytes);
    json->Integer("table_bytes_max", plan.servers_after[i].bytes);
    json->EndObject();
  }
  json->EndArray();
  json->Name("imbalance");
  json->BeginObject();
  for (const auto& [name, figure] :
       {std::pair{"keys_pulled", &ServerLoad::keys_pulled}, std::pair{"bytes_in", &ServerLoad::bytes_in},
        std::pair{"bytes_out", &ServerLoad::bytes_out}, std::pair{"rows", &ServerLoad::rows},
        std::pair{"table_bytes", &ServerLoad::bytes}}) {
    json->Number(name, Imbalance(plan.servers, figure));
  }
  json->EndObject();
}

void WriteWorkers(const ClusterPlan& plan, JsonWriter* json) {
  json->Name("workers");
  json->BeginArray();
  for (const WorkerPlan& worker : plan.workers) {
    json->BeginObject();
    json->Integer("samples", worker.samples);
    json->Integer("values", worker.values);
    json->Integer("keys", worker.keys);
    json->Integer("bytes_sent", worker.bytes_sent);
    json->Integer("bytes_received", worker.bytes_received);
    json->EndObject();
  }
  json->EndArray();
}

void WriteTables(const ClusterPlan& plan, JsonWriter* json) {
  json->Name("tables");
  json->BeginArray();
  for (const TablePlan& table : plan.tables) {
    json->BeginObject();
    json->Text("table", table.table);
    json->Integer("values", table.values);
    json->Integer("keys", table.keys);
    json->Integer("rows", table.rows);
    json->Integer("rows_max", table.rows_max);
    json->Name("hottest");
    json->BeginArray();
    for (const HeavyHitters::Counter& key : table.hottest) {
      json->BeginObject();
      json->Text("key", fmt::format("{:#018x}", key.key));
      json->Integer("values", key.count);
      json->Integer("values_min", key.count - key.error);
      json->EndObject();
    }
    json->EndArray();
    json->EndObject();
  }
  json->EndArray();
}

}  // namespace

// What makes workers unlike, where it can be mended; else nothing.
std::string StreamsText(const ClusterPlan& plan) {
  const int workers = static_cast<int>(plan.workers.size());
  if (plan.streams % workers == 0) return "";
  const int most = plan.streams / workers + 1;
  return fmt::format(
      "{} streams over {} workers: some own {}, and the others wait for them in each step. With data.streams={} they "
      "would be alike (before the first step: the order of samples depends on it).\n",
      plan.streams, workers, most, most * workers);
}

std::string PlanText(const ClusterPlan& plan) {
  std::string text = SampleText(plan) + "\n\n" + ServerGrid(plan).ToText() + "\n" + WorkerGrid(plan).ToText();
  text += StreamsText(plan);
  if (!plan.tables.empty()) text += "\n" + TableGrid(plan).ToText();
  return text;
}

void WritePlan(const ClusterPlan& plan, JsonWriter* json) {
  json->BeginObject();
  json->Integer("steps", plan.steps);
  json->Integer("rows", plan.rows);
  json->Integer("epoch_rows", plan.epoch_rows);
  json->Integer("streams", plan.streams);
  WriteServers(plan, json);
  WriteWorkers(plan, json);
  WriteTables(plan, json);
  json->EndObject();
}

}  // namespace weir
