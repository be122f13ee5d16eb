#include "proto/job_text.h"

#include <algorithm>
#include <functional>
#include <regex>

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include "proto/job_overrides.h"
#include "proto/job_resolve.h"
#include "proto/job_rules.h"
#include "proto/nearest_name.h"

namespace weir {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

namespace {

using Locations = std::vector<std::pair<std::string, std::string>>;

// Calls visit for each message type that a job can hold, once.
void VisitTypes(const Descriptor* type, std::vector<const Descriptor*>* seen) {
  if (std::find(seen->begin(), seen->end(), type) != seen->end()) return;
  seen->push_back(type);
  for (int i = 0; i < type->field_count(); ++i) {
    if (type->field(i)->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
      VisitTypes(type->field(i)->message_type(), seen);
  }
}

std::vector<const Descriptor*> JobTypes() {
  std::vector<const Descriptor*> types;
  VisitTypes(Job::descriptor(), &types);
  return types;
}

// The names an enum field takes, by the field's name: all the parser's message gives.
std::vector<std::string> EnumNames(const std::string& field_name) {
  std::vector<std::string> names;
  for (const Descriptor* type : JobTypes()) {
    const FieldDescriptor* field = type->FindFieldByName(field_name);
    if (field == nullptr || field->cpp_type() != FieldDescriptor::CPPTYPE_ENUM) continue;
    const EnumDescriptor* values = field->enum_type();
    for (int i = 0; i < values->value_count(); ++i) names.push_back(values->value(i)->name());
  }
  return names;
}

// Takes the parser's errors and warnings as errors; unknown fields are warnings, so that it goes on to the next.
class ErrorCollector : public google::protobuf::io::ErrorCollector {
 public:
  // line and column: 0-based, where the token after the culprit begins.
  using Report = std::function<void(int line, int column, const std::string& culprit, const std::string& message)>;

  explicit ErrorCollector(Report report) : report_(std::move(report)) {}

  void AddError(int line, int column, const std::string& message) override { Explain(line, column, message); }
  void AddWarning(int line, int column, const std::string& message) override { Explain(line, column, message); }

 private:
  void Explain(int line, int column, const std::string& message) {
    static const std::regex unknown_field("Message type \"([^\"]*)\" has no field named \"([^\"]*)\"\\.?");
    static const std::regex unknown_value("Unknown enumeration value of \"([^\"]*)\" for field \"([^\"]*)\"\\.?");
    std::smatch match;
    if (std::regex_match(message, match, unknown_field)) {
      std::vector<std::string> known;
      std::string type_name = match[1];
      for (const Descriptor* type : JobTypes()) {
        if (type->full_name() != match[1]) continue;
        known = FieldNames(*type);
        type_name = type->name();
      }
      report_(line, column, match[2],
              fmt::format("{} has no field \"{}\"{}", type_name, match[2].str(), SuggestName(match[2].str(), known)));
    } else if (std::regex_match(message, match, unknown_value)) {
      report_(line, column, match[1],
              fmt::format("\"{}\" is no value for {}{}", match[1].str(), match[2].str(),
                          SuggestName(match[1].str(), EnumNames(match[2]))));
    } else {
      report_(line, column, "", message);
    }
  }

  Report report_;
};

// "12:3" of a place the parser names: the last occurrence of `culprit` that begins at or before it, else the place
// itself.
std::string Place(const std::string& text, int line, int column, const std::string& culprit) {
  if (line < 0) return "";
  size_t line_begin = 0;
  for (int i = 0; i < line && line_begin != std::string::npos; ++i) {
    line_begin = text.find('\n', line_begin);
    if (line_begin != std::string::npos) ++line_begin;
  }
  if (!culprit.empty() && line_begin != std::string::npos) {
    const size_t at = text.rfind(culprit, line_begin + column);
    if (at != std::string::npos) {
      const size_t last_break = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
      line = static_cast<int>(std::count(text.begin(), text.begin() + at, '\n'));
      column = static_cast<int>(at - (last_break == std::string::npos ? 0 : last_break + 1));
    }
  }
  return fmt::format("{}:{}", line + 1, column + 1);
}

// Where each field that is set stands in the text.
void Locate(const Message& message, const TextFormat::ParseInfoTree& tree, const std::string& name,
            const std::string& prefix, Locations* locations) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool list = field->is_repeated();
    const int count = list ? message.GetReflection()->FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const std::string path = prefix + field->name() + (list ? fmt::format("[{}]", i) : "");
      const TextFormat::ParseLocation at = tree.GetLocation(field, list ? i : -1);
      if (at.line >= 0) locations->emplace_back(path, fmt::format("{}:{}:{}", name, at.line + 1, at.column + 1));
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
      const TextFormat::ParseInfoTree* nested = tree.GetTreeForNested(field, list ? i : -1);
      if (nested == nullptr) continue;
      const Message& child = list ? message.GetReflection()->GetRepeatedMessage(message, field, i)
                                  : message.GetReflection()->GetMessage(message, field);
      Locate(child, *nested, name, path + ".", locations);
    }
  }
}

// Whether `path` is `parent` itself or lies below it.
bool Covers(const std::string& parent, const std::string& path) {
  if (path.compare(0, parent.size(), parent) != 0) return false;
  return path.size() == parent.size() || parent.empty() || path[parent.size()] == '.' || path[parent.size()] == '[';
}

// Gives the entries of an expanded list the places of those they were written as.
void MoveLocations(const std::string& list, const std::vector<int>& origins, Locations* locations) {
  Locations moved;
  for (const auto& [path, place] : *locations) {
    if (!Covers(list, path) || path.size() == list.size()) {
      moved.emplace_back(path, place);
      continue;
    }
    const int written = std::stoi(path.substr(list.size() + 1));
    const std::string below = path.substr(path.find(']') + 1);
    const auto [first, last] = std::equal_range(origins.begin(), origins.end(), written);
    for (auto it = first; it != last; ++it) {
      moved.emplace_back(fmt::format("{}[{}]{}", list, it - origins.begin(), below), place);
    }
  }
  *locations = std::move(moved);
}

}  // namespace

void JobErrors::Add(const std::string& field_path, const std::string& message) {
  const std::string* place = nullptr;
  size_t longest = 0;
  // Later places win: an override stands after the text it overrides.
  for (const auto& [path, where] : locations_) {
    if (!Covers(path, field_path) || path.size() < longest) continue;
    place = &where;
    longest = path.size();
  }
  std::string text = place == nullptr ? "" : *place + ": ";
  if (!field_path.empty()) text += field_path + " ";
  text += message;
  if (std::find(messages_.begin(), messages_.end(), text) == messages_.end()) messages_.push_back(std::move(text));
}

Status JobErrors::ToStatus() const {
  if (messages_.empty()) return Status();
  return InvalidArgument(fmt::format("{}", fmt::join(messages_, "\n")));
}

// Fills a job and where its fields were set.
class JobReader {
 public:
  JobReader(std::string name, JobErrors* errors) : name_(std::move(name)), errors_(errors) {
    errors_->locations_.emplace_back("", name_);
  }

  // False when the text could not be read to its end.
  bool Parse(const std::string& text, Job* job) {
    ErrorCollector collector([&](int line, int column, const std::string& culprit, const std::string& message) {
      errors_->messages_.push_back(fmt::format("{}:{}: {}", name_, Place(text, line, column, culprit), message));
    });
    TextFormat::ParseInfoTree tree;
    TextFormat::Parser parser;
    parser.RecordErrorsTo(&collector);
    parser.AllowUnknownField(true);
    parser.WriteLocationsTo(&tree);
    const bool read = parser.ParseFromString(text, job);
    Locate(*job, tree, name_, "", &errors_->locations_);
    return read;
  }

  void Override(std::span<const std::string> overrides, Job* job) {
    for (const std::string& text : overrides) {
      const Result<std::string> path = ApplyOverride(text, job);
      if (!path.ok()) {
        errors_->messages_.push_back(fmt::format("override {}: {}", text, path.status().message()));
        continue;
      }
      // The places of what it replaced are gone.
      std::erase_if(errors_->locations_,
                    [&](const auto& location) { return location.first != "" && Covers(*path, location.first); });
      errors_->locations_.emplace_back(*path, "override " + text);
    }
  }

  void Resolve(Job* job) {
    const JobOrigins origins = ResolveJob(job, errors_);
    MoveLocations("features", origins.features, &errors_->locations_);
    MoveLocations("tables", origins.tables, &errors_->locations_);
  }

 private:
  const std::string name_;
  JobErrors* errors_;
};

Result<Job> ReadJob(const std::string& name, const std::string& text, std::span<const std::string> overrides,
                    JobErrors* errors) {
  JobErrors own_errors;
  if (errors == nullptr) errors = &own_errors;
  JobReader reader(name, errors);
  Job job;
  if (!reader.Parse(text, &job)) return errors->ToStatus();
  reader.Override(overrides, &job);
  CheckFieldRules(job, errors);
  reader.Resolve(&job);
  CheckMeaning(job, errors);
  if (!errors->empty()) return errors->ToStatus();
  return job;
}

std::string JobToText(const Job& job) {
  std::string text;
  TextFormat::Printer printer;
  printer.SetUseShortRepeatedPrimitives(true);
  CHECK(printer.PrintToString(job, &text));
  return text;
}

}  // namespace weir
