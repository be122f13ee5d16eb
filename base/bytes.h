// Text as the bytes that files and messages take.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace weir {

// A view: as long as the text.
inline std::span<const uint8_t> BytesOf(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace weir
