// Runs one function on several workers of one process, each on a thread of its own.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "trainer/in_process_collective.h"

namespace weir {

inline void RunWorkers(int size, int64_t timeout_ns, const std::function<void(Collective&)>& work) {
  auto members = MakeInProcessCollectives(size, timeout_ns);
  std::vector<std::thread> threads;
  for (auto& member : members) {
    threads.emplace_back([&work, mine = std::move(member)] { work(*mine); });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace weir
