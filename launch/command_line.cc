#include "launch/command_line.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "proto/nearest_name.h"

namespace weir {
namespace {

// Reads the flag at words[*at] and, if its value stands apart, steps over that too.
Status ParseFlag(const CommandSyntax& syntax, std::span<const std::string> words, size_t* at, CommandLine* line) {
  const std::string& word = words[*at];
  const size_t begin = word.find_first_not_of('-');
  const size_t equals = word.find('=');
  const std::string name = begin == std::string::npos ? "" : word.substr(begin, equals - begin);
  const auto spec = std::find_if(syntax.flags.begin(), syntax.flags.end(),
                                 [&](const FlagSpec& candidate) { return candidate.name == name; });
  if (spec == syntax.flags.end()) {
    std::vector<std::string> known = {"help"};
    for (const FlagSpec& flag : syntax.flags) known.push_back(flag.name);
    return InvalidArgument(fmt::format("unknown flag {}{}", word, SuggestName(name, known)));
  }
  if (spec->value.empty()) {
    if (equals != std::string::npos) return InvalidArgument(fmt::format("--{} takes no value", name));
    line->flags[name] = {""};
    return Status();
  }
  std::string value;
  if (equals != std::string::npos) {
    value = word.substr(equals + 1);
  } else if (*at + 1 < words.size()) {
    value = words[++*at];
  }
  if (value.empty()) return InvalidArgument(fmt::format("--{} needs a value: {}", name, spec->value));
  std::vector<std::string>& values = line->flags[name];
  if (!spec->repeated) values.clear();
  values.push_back(value);
  return Status();
}

Status ParseWord(const CommandSyntax& syntax, const std::string& word, CommandLine* line) {
  if (static_cast<int>(line->arguments.size()) < syntax.arguments_max) {
    line->arguments.push_back(word);
  } else if (!syntax.overrides) {
    return InvalidArgument(fmt::format("one argument too many: \"{}\"", word));
  } else if (word.find('=') == std::string::npos) {
    return InvalidArgument(
        fmt::format("\"{}\" is no override: expected field.path=value, for example train.epochs=3", word));
  } else {
    line->overrides.push_back(word);
  }
  return Status();
}

}  // namespace

std::string CommandLine::Flag(const std::string& name, const std::string& otherwise) const {
  const auto flag = flags.find(name);
  return flag == flags.end() ? otherwise : flag->second.back();
}

std::vector<std::string> CommandLine::Flags(const std::string& name) const {
  const auto flag = flags.find(name);
  return flag == flags.end() ? std::vector<std::string>() : flag->second;
}

Result<int64_t> CommandLine::Number(const std::string& name, int64_t otherwise, int64_t least, int64_t most) const {
  if (!HasFlag(name)) return otherwise;
  const std::string text = Flag(name);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most) {
    return InvalidArgument(fmt::format("--{} is \"{}\", expected a number from {} to {}", name, text, least, most));
  }
  return number;
}

Result<CommandLine> ParseCommandLine(const CommandSyntax& syntax, std::span<const std::string> words) {
  CommandLine line;
  line.command = syntax.name;
  bool flags_ended = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!flags_ended && word == "--") {
      flags_ended = true;
    } else if (!flags_ended && word.size() > 1 && word[0] == '-') {
      WEIR_RETURN_IF_ERROR(ParseFlag(syntax, words, &i, &line));
    } else {
      WEIR_RETURN_IF_ERROR(ParseWord(syntax, word, &line));
    }
  }
  if (static_cast<int>(line.arguments.size()) < syntax.arguments_min) {
    return InvalidArgument(fmt::format("expected {} argument{}, found {}", syntax.arguments_min,
                                       syntax.arguments_min == 1 ? "" : "s", line.arguments.size()));
  }
  for (const FlagSpec& flag : syntax.flags) {
    if (flag.required && !line.HasFlag(flag.name)) {
      return InvalidArgument(fmt::format("expected --{} {}: {}", flag.name, flag.value, flag.help));
    }
  }
  return line;
}

}  // namespace weir
