// Trace: what the threads of a process did when, for a picture of a step (Chrome's trace event format, that Perfetto
// and chrome://tracing open).
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"

namespace weir {

// Thread-safe. Holds the last spans_max spans: 40 bytes each.
class Trace {
 public:
  // `clock` outlives the trace.
  explicit Trace(int64_t spans_max = 20'000, const Clock* clock = &SystemClock());

  // A line of the picture, for one thread at a time.
  int AddTrack(std::string name);
  // `name` must live for ever (a literal).
  void AddSpan(int track, const char* name, int64_t step, int64_t begin_ns, int64_t end_ns);

  int64_t Now() const { return clock_->SteadyNanos(); }

  // Events of a JSON array, each followed by a comma and a newline: names of the process and of its tracks, then spans.
  // ts is (steady time + offset_ns) in microseconds.
  std::string ToEvents(int process, const std::string& process_name, int64_t offset_ns) const;

 private:
  struct Span {
    const char* name = nullptr;
    int64_t begin_ns = 0;
    int64_t end_ns = 0;
    int64_t step = 0;
    int32_t track = 0;
  };

  const size_t spans_max_;
  const Clock* const clock_;
  mutable std::mutex mutex_;
  std::vector<std::string> tracks_;  // guarded by mutex_, as is what follows
  std::vector<Span> spans_;
  size_t next_ = 0;  // the oldest, once there are spans_max_
};

// What a thread draws with; without a trace it does nothing.
struct TraceTrack {
  Trace* trace = nullptr;
  int track = 0;
};

// From its making to its end.
class TraceSpan {
 public:
  TraceSpan(const TraceTrack& to, const char* name, int64_t step)
      : to_(to), name_(name), step_(step), begin_ns_(to.trace != nullptr ? to.trace->Now() : 0) {}
  ~TraceSpan() {
    if (to_.trace != nullptr) to_.trace->AddSpan(to_.track, name_, step_, begin_ns_, to_.trace->Now());
  }
  TraceSpan(const TraceSpan&) = delete;
  TraceSpan& operator=(const TraceSpan&) = delete;

 private:
  const TraceTrack to_;
  const char* const name_;
  const int64_t step_;
  const int64_t begin_ns_;
};

}  // namespace weir
