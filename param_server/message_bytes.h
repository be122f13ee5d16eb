// The fields of a message, written and read one after the other.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/status.h"

namespace weir {

static_assert(std::endian::native == std::endian::little,
              "the wire is little-endian, and keys and rows go as they are");

// Writes fields one after the other into a buffer of the right size.
class MessageWriter {
 public:
  explicit MessageWriter(uint8_t* out) : out_(out) {}
  template <typename T>
  void Put(T value) {
    std::memcpy(out_, &value, sizeof(T));
    out_ += sizeof(T);
  }
  void PutBytes(std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(out_, bytes.data(), bytes.size());
    out_ += bytes.size();
  }
  uint8_t* position() { return out_; }

 private:
  uint8_t* out_;
};

// Reads fields; past the end it gives zeros and remembers.
class MessageReader {
 public:
  explicit MessageReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  template <typename T>
  T Get() {
    T value{};
    if (bytes_.size() < sizeof(T)) {
      torn_ = true;
      bytes_ = {};
      return value;
    }
    std::memcpy(&value, bytes_.data(), sizeof(T));
    bytes_ = bytes_.subspan(sizeof(T));
    return value;
  }
  // `size` is not trusted.
  std::span<const uint8_t> GetBytes(uint64_t size) {
    if (size > bytes_.size()) {
      torn_ = true;
      bytes_ = {};
      return {};
    }
    const auto result = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return result;
  }
  std::string GetString(uint64_t size) {
    const auto bytes = GetBytes(size);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  uint64_t left() const { return bytes_.size(); }
  bool torn() const { return torn_; }
  // OK only if the bytes were exactly what was read.
  Status End(std::string_view what) const {
    if (torn_) return DataLoss(fmt::format("{} message is cut short", what));
    if (!bytes_.empty()) return DataLoss(fmt::format("{} message has {} bytes too many", what, bytes_.size()));
    return Status();
  }

 private:
  std::span<const uint8_t> bytes_;
  bool torn_ = false;
};

}  // namespace weir
