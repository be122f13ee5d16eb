#include "proto/sampling_rules.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "proto/nearest_name.h"

namespace weir {
namespace {

void CheckLabel(const DataConfig& data, JobErrors* errors) {
  const LabelConfig& label = data.label();
  if (label.positive().empty() && !label.negative().empty()) {
    errors->Add("data.label.negative", "is set without data.label.positive");
  }
  const std::set<std::string> positive(label.positive().begin(), label.positive().end());
  for (int i = 0; i < label.negative_size(); ++i) {
    if (positive.count(label.negative(i)) == 0) continue;
    errors->Add(fmt::format("data.label.negative[{}]", i),
                fmt::format("\"{}\" is also among data.label.positive", label.negative(i)));
  }
  if (label.has_at_least() && !label.positive().empty()) {
    errors->Add("data.label.at_least", "does not go with data.label.positive: expected one rule");
  }
  if (label.has_column()) {
    if (label.column().empty()) errors->Add("data.label.column", "is empty, expected a column");
    return;
  }
  if (label.has_at_least() || !label.positive().empty()) {
    errors->Add("data.label.column", "is required where data.label says what its values mean");
  } else if (!data.train().sampling().has_negatives()) {
    errors->Add("data.label.column",
                "is required: without it every sample is a positive one, and only data.train.sampling.negatives would "
                "make up others");
  }
}

const FeatureConfig* Find(const Job& job, const std::string& name) {
  for (const FeatureConfig& feature : job.features()) {
    if (feature.name() == name) return &feature;
  }
  return nullptr;
}

// The feature of that name; null after an error.
const FeatureConfig* FindOrReport(const Job& job, const std::string& name, const std::string& path, JobErrors* errors) {
  const FeatureConfig* feature = Find(job, name);
  if (feature == nullptr) {
    std::vector<std::string> names;
    for (const FeatureConfig& known : job.features()) names.push_back(known.name());
    errors->Add(path, fmt::format("names \"{}\", which is no feature of the job{}", name, SuggestName(name, names)));
  }
  return feature;
}

void CheckNegatives(const Job& job, const NegativesConfig& negatives, const std::string& path, JobErrors* errors) {
  if (negatives.uniform() + negatives.popular() + negatives.in_batch() + negatives.hard() == 0) {
    errors->Add(path, "makes none: expected uniform, popular, in_batch or hard of at least 1");
  }
  if ((negatives.hard() > 0) != negatives.has_hard_items()) {
    errors->Add(path + (negatives.hard() > 0 ? ".hard_items" : ".hard"),
                fmt::format("is required with {}", negatives.hard() > 0 ? "hard" : "hard_items"));
  }
  const FeatureConfig* id = nullptr;
  std::set<std::string> seen;
  for (int i = 0; i < negatives.features_size(); ++i) {
    const std::string here = fmt::format("{}.features[{}]", path, i);
    const FeatureConfig* feature = FindOrReport(job, negatives.features(i), here, errors);
    if (!seen.insert(negatives.features(i)).second) {
      errors->Add(here, fmt::format("names \"{}\" again", negatives.features(i)));
    }
    if (i == 0) id = feature;
  }
  if (id == nullptr) return;
  if (!id->has_sparse()) {
    errors->Add(path + ".features[0]", fmt::format("\"{}\" is the item's id, expected a sparse feature", id->name()));
    return;
  }
  for (int i = 0; i < negatives.except_size(); ++i) {
    const std::string here = fmt::format("{}.except[{}]", path, i);
    const FeatureConfig* feature = FindOrReport(job, negatives.except(i), here, errors);
    if (feature == nullptr) continue;
    const SparseConfig &a = feature->sparse(), &b = id->sparse();
    if (feature->has_sparse() && a.hash_space() == b.hash_space() && a.buckets() == b.buckets() &&
        a.identity() == b.identity() && a.type() == b.type() &&
        std::equal(a.boundaries().begin(), a.boundaries().end(), b.boundaries().begin(), b.boundaries().end())) {
      continue;
    }
    errors->Add(here, fmt::format("\"{}\" has other keys than \"{}\": expected a sparse feature with the same "
                                  "hash_space, buckets, identity, type and boundaries",
                                  feature->name(), id->name()));
  }
  if (!negatives.has_hard_items() || negatives.hard_items().by().empty()) return;
  const FeatureConfig* by = FindOrReport(job, negatives.hard_items().by(), path + ".hard_items.by", errors);
  if (by != nullptr && (!by->has_sparse() || seen.count(by->name()) > 0)) {
    errors->Add(path + ".hard_items.by",
                fmt::format("names \"{}\", expected a sparse feature that is none of the item's", by->name()));
  }
}

void CheckSource(const Job& job, const SourceConfig& source, const std::string& path, JobErrors* errors) {
  if (source.sampling().has_negatives()) {
    CheckNegatives(job, source.sampling().negatives(), path + ".sampling.negatives", errors);
  }
  const NextItemConfig& next = source.next_item();
  for (int i = 0; i < next.aligned_size(); ++i) {
    if (next.aligned(i) != next.column()) continue;
    errors->Add(fmt::format("{}.next_item.aligned[{}]", path, i), "is the list column itself");
  }
}

}  // namespace

void CheckSampling(const Job& job, JobErrors* errors) {
  CheckLabel(job.data(), errors);
  CheckSource(job, job.data().train(), "data.train", errors);
  CheckSource(job, job.data().eval(), "data.eval", errors);
  if (job.data().has_ledger() && job.data().train().has_sampling()) {
    errors->Add("data.ledger",
                "does not go with data.train.sampling: a ledger accounts for the rows of the lake, all of "
                "which are trained or skipped as bad");
  }
  if (job.data().eval().sampling().has_keep_negatives()) {
    errors->Add("data.eval.sampling.keep_negatives",
                "is for data.train: an evaluation on fewer negatives would not see what the model is corrected for");
  }
}

}  // namespace weir
