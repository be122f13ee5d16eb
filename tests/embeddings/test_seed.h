// A new seed for each run of a random test, or the one in WEIR_TEST_SEED, said in every failure.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

namespace weir {

inline uint64_t TestSeed() {
  const char* given = std::getenv("WEIR_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

}  // namespace weir

#define WEIR_TRACE_SEED(seed) SCOPED_TRACE(::testing::Message() << "WEIR_TEST_SEED=" << (seed))
