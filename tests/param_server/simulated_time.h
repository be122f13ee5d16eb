// Virtual time for simulations: events in the order of their times, and ranks that take turns with them. One thing runs
// at a time, and what comes next is a function of the seed alone.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include <glog/logging.h>

#include "base/clock.h"
#include "base/random.h"

namespace weir::testing {

class SimulatedTime : public Clock {
 public:
  explicit SimulatedTime(uint64_t seed) : seed_(seed) {}
  // All ranks must have ended.
  ~SimulatedTime() override {
    for (const auto& rank : ranks_) CHECK(rank->ended) << rank->name;
  }

  int64_t SteadyNanos() const override { return now_ns_; }
  int64_t UnixNanos() const override { return 1'700'000'000 * kNanosPerSecond + now_ns_; }
  // Of a rank: other things happen meanwhile.
  void SleepNanos(int64_t duration_ns) const override {
    const_cast<SimulatedTime*>(this)->Yield(now_ns_ + duration_ns, nullptr);
  }

  uint64_t Random(uint64_t bound) {
    return BoundedIndex(RandomBits(seed_, RandomPurpose::kSampling, 99, draws_++), bound);
  }
  bool Chance(double probability) {
    return UnitDouble(RandomBits(seed_, RandomPurpose::kSampling, 98, draws_++)) < probability;
  }

  void At(int64_t time_ns, std::function<void()> event) {
    events_.push({std::max(time_ns, now_ns_), next_event_++, std::move(event)});
  }

  // A rank's main function, on a stack of its own: all ranks share the thread, for a change of threads at each turn
  // would take most of the time.
  void AddRank(std::string name, std::function<void()> body) {
    auto rank = std::make_unique<Rank>();
    rank->name = std::move(name);
    rank->body = std::move(body);
    rank->stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
    CHECK_EQ(getcontext(&rank->context), 0);
    rank->context.uc_stack.ss_sp = rank->stack.get();
    rank->context.uc_stack.ss_size = kStackBytes;
    rank->context.uc_link = &main_;
    // A context takes integers.
    const auto self = reinterpret_cast<uintptr_t>(rank.get());
    makecontext(&rank->context, reinterpret_cast<void (*)()>(&RunRank), 2, static_cast<unsigned>(self >> 32),
                static_cast<unsigned>(self));
    ranks_.push_back(std::move(rank));
  }

  // Of a rank: stands still until a time, or, if `activity` is not null, until that number has changed.
  void Yield(int64_t until_ns, const uint64_t* activity) {
    Rank* self = running_;
    CHECK(self != nullptr) << "only a rank may wait";
    self->until_ns = until_ns;
    self->activity = activity;
    self->activity_seen = activity == nullptr ? 0 : *activity;
    CHECK_EQ(swapcontext(&self->context, &main_), 0);
  }

  // Runs until all ranks have ended; false if that takes longer than the virtual time or the events allow.
  bool Run(int64_t end_ns, int64_t events_max) {
    const int64_t events_end = events_run_ + events_max;
    Resume();
    while (!AllEnded()) {
      int64_t next_ns = events_.empty() ? end_ns + 1 : events_.top().time_ns;
      for (const auto& rank : ranks_) {
        if (!rank->ended) next_ns = std::min(next_ns, std::max(rank->until_ns, now_ns_));
      }
      if (next_ns > end_ns || ++events_run_ > events_end) return false;
      const bool is_event = !events_.empty() && events_.top().time_ns == next_ns;
      now_ns_ = next_ns;
      if (is_event) {
        Event event = std::move(const_cast<Event&>(events_.top()));
        events_.pop();
        event.work();
      }
      Resume();
    }
    for (const auto& rank : ranks_) rank->stack.reset();
    return true;
  }
  std::string Unended() const {
    std::string names;
    for (const auto& rank : ranks_) {
      if (!rank->ended) names += rank->name + " ";
    }
    return names;
  }
  int64_t events_run() const { return events_run_; }

 private:
  struct Event {
    int64_t time_ns;
    uint64_t number;
    std::function<void()> work;
    bool operator<(const Event& other) const {
      return time_ns != other.time_ns ? time_ns > other.time_ns : number > other.number;
    }
  };
  struct Rank {
    std::string name;
    std::function<void()> body;
    std::unique_ptr<char[]> stack;
    ucontext_t context{};
    bool ended = false;
    int64_t until_ns = 0;
    const uint64_t* activity = nullptr;
    uint64_t activity_seen = 0;
  };

  static constexpr size_t kStackBytes = 256 << 10;

  static void RunRank(unsigned high, unsigned low) {
    auto* self = reinterpret_cast<Rank*>(uintptr_t{high} << 32 | low);
    self->body();
    self->ended = true;
  }

  bool AllEnded() const {
    for (const auto& rank : ranks_) {
      if (!rank->ended) return false;
    }
    return true;
  }

  void Resume() {
    for (size_t i = 0; i < ranks_.size(); ++i) {
      const Rank& rank = *ranks_[i];
      const bool stirred = rank.activity != nullptr && *rank.activity != rank.activity_seen;
      if (rank.ended || (rank.until_ns > now_ns_ && !stirred)) continue;
      running_ = ranks_[i].get();
      CHECK_EQ(swapcontext(&main_, &running_->context), 0);
      running_ = nullptr;
    }
  }

  const uint64_t seed_;
  uint64_t draws_ = 0;
  int64_t now_ns_ = kNanosPerSecond;
  uint64_t next_event_ = 0;
  int64_t events_run_ = 0;
  std::priority_queue<Event> events_;
  std::vector<std::unique_ptr<Rank>> ranks_;
  Rank* running_ = nullptr;
  ucontext_t main_{};
};

}  // namespace weir::testing
