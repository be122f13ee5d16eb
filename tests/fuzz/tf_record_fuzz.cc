// TFRecords and what is in them, for libFuzzer. Checksums stand in the way of a fuzzer: the input is the records' data,
// pieces whose lengths its bytes give; the framing is tried on the input as it is besides.
//   cmake --preset fuzz && ninja -C build-fuzz tf_record_fuzz
//   build-fuzz/tf_record_fuzz -max_total_time=600 -max_len=4096 CORPUS
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "data_loader/formats/tf_example_columns.h"
#include "data_loader/formats/tf_record.h"

namespace weir {
namespace {

// The columns of all pieces as their first ones have them.
void DecodeExamples(std::string_view input) {
  std::vector<std::string_view> examples;
  while (!input.empty()) {
    const size_t size = std::min<size_t>(static_cast<uint8_t>(input[0]), input.size() - 1);
    examples.push_back(input.substr(1, size));
    input.remove_prefix(1 + size);
  }
  TfExampleSchema schema({"a"});
  for (size_t i = 0; i < examples.size() && i < 2; ++i) {
    if (!schema.Add(examples[i]).ok()) return;
  }
  TfExampleColumns columns(schema.Finish());
  for (const std::string_view example : examples) {
    if (!columns.Add(example).ok()) return;
  }
  auto batch = columns.Finish();
  if (!batch.ok() || !(*batch)->ValidateFull().ok()) std::abort();
  if ((*batch)->num_rows() != static_cast<int64_t>(examples.size())) std::abort();
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::string_view records = input;
  while (weir::TakeTfRecord(&records).ok()) {
  }
  weir::DecodeExamples(input);
  return 0;
}
