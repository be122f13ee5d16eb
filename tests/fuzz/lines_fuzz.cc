// The decoders of text lines, for libFuzzer: the first byte of the input says which, or, for all inputs,
// WEIR_FUZZ_DECODER (0: Criteo, 1: Criteo without label, 2: libsvm, 3: libffm).
//   cmake --preset fuzz && ninja -C build-fuzz lines_fuzz
//   build-fuzz/lines_fuzz -max_total_time=300 -max_len=1024 CORPUS
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "data_loader/formats/criteo_line.h"
#include "data_loader/formats/libsvm_line.h"

namespace weir {
namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

// The text of a fault lies in the line.
void CheckFault(const LineFault& fault, std::string_view line) {
  Check(fault.field >= 1);
  if (fault.text.empty()) return;
  Check(fault.text.data() >= line.data() && fault.text.data() + fault.text.size() <= line.data() + line.size());
}

std::string CriteoText(const CriteoRow& row, bool labelled) {
  std::string text = labelled ? fmt::format("{}\t", row.label) : "";
  for (int i = 0; i < kCriteoIntegers; ++i) text += row.has_integer(i) ? fmt::format("{}\t", row.integers[i]) : "\t";
  for (int i = 0; i < kCriteoIds; ++i) text += row.has_id(i) ? fmt::format("{:x}\t", row.ids[i]) : "\t";
  text.pop_back();
  return text;
}

void DecodeCriteo(std::string_view line, bool labelled) {
  CriteoRow row, again;
  const LineFault fault = DecodeCriteoLine(line, labelled, &row);
  if (fault.is_fault()) return CheckFault(fault, line);
  // What was understood, written anew, is understood the same.
  const std::string text = CriteoText(row, labelled);
  Check(!DecodeCriteoLine(text, labelled, &again).is_fault());
  Check(CriteoText(again, labelled) == text && again.present == row.present);
}

std::string LibsvmText(const LibsvmRows& rows, int64_t row) {
  std::string text = fmt::format("{}", rows.labels[row]);
  for (int64_t i = rows.offsets[row]; i < rows.offsets[row + 1]; ++i) {
    text += rows.fields.empty() ? " " : fmt::format(" {}:", rows.fields[i]);
    text += fmt::format("{}:{}", rows.indices[i], rows.values[i]);
  }
  return text;
}

void DecodeLibsvm(std::string_view line, LibsvmKind kind) {
  DetectLibsvmKind(line);
  if (!IsLibsvmRow(line)) return;
  LibsvmRows rows;
  Check(!DecodeLibsvmLine(kind == LibsvmKind::kLibffm ? "1 2:3:4" : "1 2:3", kind, &rows).is_fault());
  const LineFault fault = DecodeLibsvmLine(line, kind, &rows);
  Check(rows.size() == (fault.is_fault() ? 1 : 2));
  Check(rows.offsets.size() == rows.labels.size() + 1 && rows.indices.size() == rows.values.size());
  Check(rows.offsets.back() == static_cast<int64_t>(rows.indices.size()));
  Check(rows.fields.size() == (kind == LibsvmKind::kLibffm ? rows.indices.size() : 0));
  for (const float value : rows.values) Check(std::isfinite(value));
  for (const int64_t index : rows.indices) Check(index >= 0);
  if (fault.is_fault()) return CheckFault(fault, line);
  LibsvmRows again;
  const std::string text = LibsvmText(rows, 1);
  Check(!DecodeLibsvmLine(text, kind, &again).is_fault());
  if (!again.indices.empty()) Check(LibsvmText(again, 0) == text);
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // A copy no longer than what came, so that the sanitizer sees a read past it.
  const std::string copy(reinterpret_cast<const char*>(data) + 1, size - 1);
  static const char* const only = std::getenv("WEIR_FUZZ_DECODER");
  switch ((only != nullptr ? static_cast<uint8_t>(std::atoi(only)) : data[0]) % 4) {
    case 0:
      weir::DecodeCriteo(copy, true);
      break;
    case 1:
      weir::DecodeCriteo(copy, false);
      break;
    case 2:
      weir::DecodeLibsvm(copy, weir::LibsvmKind::kLibsvm);
      break;
    default:
      weir::DecodeLibsvm(copy, weir::LibsvmKind::kLibffm);
  }
  return 0;
}
