#include "launch/table_sim/policies.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include "proto/job_rules.h"
#include "proto/job_text.h"
#include "proto/nearest_name.h"
#include "proto/table_sim.pb.h"

namespace weir {
namespace {

class ParseErrors : public google::protobuf::io::ErrorCollector {
 public:
  ParseErrors(std::string name, std::vector<std::string>* messages) : name_(std::move(name)), messages_(messages) {}

  // line and column are 0-based.
  void AddError(int line, int column, const std::string& message) override {
    messages_->push_back(fmt::format("{}:{}:{}: {}", name_, line + 1, column + 1, message));
  }

 private:
  const std::string name_;
  std::vector<std::string>* const messages_;
};

bool Parse(const std::string& name, const std::string& text, google::protobuf::Message* message,
           std::vector<std::string>* errors) {
  ParseErrors collector(name, errors);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&collector);
  return parser.ParseFromString(text, message);
}

bool IsFor(const TableSimPolicy& policy, const std::string& table) {
  return policy.tables().empty() ||
         std::find(policy.tables().begin(), policy.tables().end(), table) != policy.tables().end();
}

void CheckTables(const Job& job, const TableSimPolicy& policy, JobErrors* errors) {
  std::vector<std::string> known;
  for (const TableConfig& table : job.tables()) known.push_back(table.name());
  for (const std::string& table : policy.tables()) {
    if (std::find(known.begin(), known.end(), table) != known.end()) continue;
    errors->Add("tables",
                fmt::format("names \"{}\", which is no table of the job{}", table, SuggestName(table, known)));
  }
}

// A replay knows keys and steps, not times and not weights.
void CheckTellable(const Job& job, JobErrors* errors) {
  for (const TableConfig& table : job.tables()) {
    const EvictionConfig& eviction = table.eviction();
    const auto refuse = [&](bool set, const char* field, const char* why) {
      if (set) errors->Add("", fmt::format("table \"{}\": eviction.{} {}", table.name(), field, why));
    };
    refuse(eviction.ttl_s() > 0, "ttl_s", "goes by the clock, which a replay has not: give the same time as ttl_steps");
    refuse(eviction.min_norm() > 0, "min_norm", "goes by trained weights, which a replay has not");
    refuse(eviction.when_full() == EvictionConfig::SMALL_NORM, "when_full: SMALL_NORM",
           "goes by trained weights, which a replay has not");
  }
}

SimPolicy OfJob(const Job& job) {
  SimPolicy own = {kJobPolicy, job};
  for (TableConfig& table : *own.job.mutable_tables()) {
    // With a disk no row is ever lost: as if memory held them all.
    if (!table.has_disk()) continue;
    table.clear_disk();
    table.clear_memory();
  }
  return own;
}

SimPolicy Apply(const Job& job, const TableSimPolicy& policy) {
  SimPolicy applied = OfJob(job);
  applied.name = policy.name();
  for (TableConfig& table : *applied.job.mutable_tables()) {
    if (!IsFor(policy, table.name())) continue;
    table.clear_admission();
    table.clear_eviction();
    table.clear_memory();
    if (policy.has_admission()) *table.mutable_admission() = policy.admission();
    if (policy.has_eviction()) *table.mutable_eviction() = policy.eviction();
    if (policy.has_memory()) table.set_memory(policy.memory());
  }
  for (FeatureConfig& feature : *applied.job.mutable_features()) {
    const bool folds = policy.buckets() > 0 && feature.has_sparse() && IsFor(policy, feature.sparse().table());
    if (folds) feature.mutable_sparse()->set_buckets(policy.buckets());
  }
  return applied;
}

}  // namespace

std::vector<uint64_t> SimPolicy::feature_buckets() const {
  std::vector<uint64_t> buckets;
  for (const FeatureConfig& feature : job.features()) buckets.push_back(feature.sparse().buckets());
  return buckets;
}

Result<std::vector<SimPolicy>> ReadSimPolicies(const Job& job, std::span<const std::string> texts,
                                               const std::string& file_name, const std::string& file_text) {
  std::vector<std::string> messages;
  TableSimPolicies wanted;
  Parse(file_name, file_text, &wanted, &messages);
  for (const std::string& text : texts) {
    TableSimPolicy policy;
    if (Parse(fmt::format("--policy '{}'", text), text, &policy, &messages)) *wanted.add_policies() = policy;
  }

  std::vector<SimPolicy> policies = {OfJob(job)};
  std::set<std::string> names = {kJobPolicy};
  const auto check = [&](const SimPolicy& policy, JobErrors* errors) {
    if (errors->empty()) CheckMeaning(policy.job, errors);
    CheckTellable(policy.job, errors);
    for (const std::string& message : errors->messages()) {
      messages.push_back(fmt::format("policy \"{}\": {}", policy.name, message));
    }
  };
  JobErrors own_errors;
  check(policies.front(), &own_errors);
  for (const TableSimPolicy& policy : wanted.policies()) {
    JobErrors errors;
    CheckFieldRules(policy, &errors);
    CheckTables(job, policy, &errors);
    if (!names.insert(policy.name()).second) errors.Add("name", "stands twice (the job's own policy is \"job\")");
    policies.push_back(Apply(job, policy));
    check(policies.back(), &errors);
  }
  if (!messages.empty()) return InvalidArgument(fmt::format("{}", fmt::join(messages, "\n")));
  return policies;
}

}  // namespace weir
