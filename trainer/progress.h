// Progress: shows a person how training goes, on stderr: one living line on a terminal, else a plain line now and then.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "trainer/metrics.h"

namespace weir {

// Where training stands. Totals of 0 are unknown and not shown.
struct ProgressState {
  int64_t step = 0;
  int64_t steps_total = 0;
  int64_t epoch = 0;  // 1-based as shown; 0 is not shown
  int64_t epochs_total = 0;
  int64_t samples = 0;        // trained, over all workers
  int64_t samples_total = 0;  // at the end of the run, for the ETA; else it is taken from the steps
  int64_t table_bytes = 0;    // memory of the tables; 0 is not shown
  int64_t table_bytes_max = 0;
};

struct ProgressOptions {
  bool terminal = false;  // one living line
  int width = 80;         // columns of the terminal; a living line is cut there
  double every_s = 10;    // between plain lines

  // As stderr is: a terminal of that width, or not.
  static ProgressOptions ForStderr(double every_s);
};

// For rank 0 alone. Any thread. On a terminal the cursor rests at the line's start, so that a log line written
// meanwhile overwrites the living line instead of growing it; Clear() first leaves nothing of it.
class Progress {
 public:
  // out, clock: must outlive it.
  Progress(const ProgressOptions& options, std::ostream& out, const Clock& clock = SystemClock());
  // Clears the living line.
  ~Progress();

  // Call after every step: it costs a clock reading unless a line is due (ten times a second on a terminal, else every
  // every_s). measure is called for a due line, on a terminal once a second at most; it may be empty.
  void Update(const ProgressState& state, const std::function<WindowMetrics()>& measure);
  // A line that stays, above the living one: "evaluation at step 200: logloss 0.31, auc 0.91".
  void Say(std::string_view line);
  // Takes the living line away until the next Update: before log lines and evaluations.
  void Clear();

 private:
  struct Mark {
    int64_t time_ns;
    int64_t samples;
    int64_t step;
  };

  bool Due(int64_t now_ns) const;
  void Note(int64_t now_ns, const ProgressState& state);
  std::string Line(const ProgressState& state) const;
  std::optional<double> SecondsLeft(const ProgressState& state) const;
  void ClearLocked();

  const ProgressOptions options_;
  std::ostream& out_;
  const Clock& clock_;

  std::mutex mutex_;        // guards what follows
  std::deque<Mark> marks_;  // of the lines drawn lately: the rate shown is theirs
  std::optional<int64_t> drawn_at_ns_;
  std::optional<int64_t> measured_at_ns_;
  WindowMetrics metrics_;
  bool line_stands_ = false;
};

// "12.3k", "4.56M": four characters or so.
std::string ShortNumber(double value);
// "45s", "3m12s", "2h05m".
std::string ShortDuration(double seconds);

}  // namespace weir
