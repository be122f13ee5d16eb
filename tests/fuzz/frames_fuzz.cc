// Every decoder of bytes from the network, for libFuzzer: the first byte of the input says which, or, for all inputs,
// WEIR_FUZZ_DECODER (0 to 8, as below).
//   cmake --preset fuzz && ninja -C build-fuzz frames_fuzz
//   build-fuzz/frames_fuzz -max_total_time=600 -max_len=4096 CORPUS
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "param_server/protocol.h"
#include "param_server/row_messages.h"

namespace weir {
namespace {

const std::vector<TableFormat> kFormats = {
    {4}, {1, WireConfig::BFLOAT16, WireConfig::FLOAT16, false}, {16, WireConfig::FLOAT16, WireConfig::BFLOAT16}};
constexpr JobToken kToken = {};

// What a decoder accepts must lie in the payload: touch all of it.
uint64_t g_sum = 0;  // keeps the reads
void TouchKeys(std::span<const uint64_t> keys) {
  for (const uint64_t key : keys) g_sum += key;
}
void TouchPush(const PushMessage& push) {
  for (const TablePush& table : push.tables) {
    TouchKeys(table.keys);
    const size_t values = table.keys.size() * kFormats[table.table].dim;
    for (size_t i = 0; i < values; ++i) {
      uint32_t bits;
      std::memcpy(&bits, table.gradients + i, sizeof(bits));
      g_sum += bits;
    }
  }
}

void DecodePulls(std::span<const uint8_t> payload) {
  const auto pull = DecodePull(payload, kFormats);
  if (!pull.ok()) return;
  for (const TableKeys& table : pull->tables) {
    TouchKeys(table.keys);
    TouchKeys(table.asked());
    if (table.num_unasked > 0 && (kFormats[table.table].synchronous || pull->kind != PullKind::kTraining)) std::abort();
  }
  if (RowsBytes(*pull, kFormats) > (payload.size() + 8) * 16 * 4) std::abort();
}

// A push that answers a pull of the same input.
void DecodePushes(std::span<const uint8_t> payload) {
  const auto with_keys = DecodePush(payload, kFormats, nullptr);
  if (with_keys.ok()) TouchPush(*with_keys);
  static constexpr uint64_t kKeys[] = {5, 6, 7};
  PullMessage pulled;
  pulled.step = 1;
  pulled.tables = {{0, kKeys}, {1, std::span(kKeys).first(1)}, {2, {}}};
  const auto as_pulled = DecodePush(payload, kFormats, &pulled);
  if (as_pulled.ok()) TouchPush(*as_pulled);
}

void DecodeHeaders(std::span<const uint8_t> payload) {
  if (payload.size() < kFrameHeaderBytes) return;
  const auto header = DecodeHeader(payload.first<kFrameHeaderBytes>(), kToken, 1000);
  if (header.ok() && header->payload_bytes > 1000) std::abort();
}

// The rows that come early of a pull of 70, 1 and no keys.
void DecodeEarly(std::span<const uint8_t> payload) {
  static constexpr TableCount kPulled[] = {{0, 70}, {1, 1}, {2, 0}};
  const auto early = DecodeEarlyRows(payload, kPulled, kFormats);
  if (!early.ok()) return;
  for (size_t i = 0; i < std::size(kPulled); ++i) {
    for (const uint32_t position : early->positions[i]) {
      if (position >= kPulled[i].num_keys) std::abort();
    }
  }
  for (const uint8_t byte : early->values) g_sum += byte;
}

void DecodeOne(uint8_t which, std::span<const uint8_t> payload) {
  Status error;
  switch (which % 11) {
    case 0:
      return DecodeHeaders(payload);
    case 1:
      return DecodePulls(payload);
    case 2:
      return DecodePushes(payload);
    case 3:
      g_sum += DecodeHello(payload).ok();
      return;
    case 4:
      g_sum += DecodeFiles(payload).ok();
      return;
    case 5:
      g_sum += DecodeStats(payload).ok();
      return;
    case 6:
      g_sum += DecodeHeartbeat(payload).ok();
      return;
    case 7:
      g_sum += DecodeError(payload, &error).ok();
      return;
    case 8:
      g_sum += DecodeWelcome(payload).ok();
      return;
    case 9:
      return DecodeEarly(payload);
    default:
      g_sum += DecodeStep(payload).ok();
  }
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // Aligned, and no longer than what came, so that the sanitizer sees a read past it.
  weir::Buffer payload(size - 1);
  if (size > 1) std::memcpy(payload.data(), data + 1, size - 1);
  static const char* const only = std::getenv("WEIR_FUZZ_DECODER");
  weir::DecodeOne(only != nullptr ? static_cast<uint8_t>(std::atoi(only)) : data[0], payload.span());
  return 0;
}
