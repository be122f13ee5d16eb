#include "launch/data_words.h"

#include "proto/job_overrides.h"

namespace weir {

Result<std::vector<std::string>> TakeDataWords(std::span<const std::string> words, Job* job) {
  std::vector<std::string> others;
  for (const std::string& word : words) {
    if (word.starts_with("data.") && word.find('=') != std::string::npos) {
      const Result<std::string> path = ApplyOverride(word, job);
      if (!path.ok()) return path.status().Wrap(word);
    } else {
      others.push_back(word);
    }
  }
  return others;
}

}  // namespace weir
