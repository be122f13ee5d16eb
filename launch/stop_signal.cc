#include "launch/stop_signal.h"

#include <csignal>

namespace weir {
namespace {

// A signal handler may touch nothing else of the process; this is why the flag is not a member of anything.
volatile std::sig_atomic_t stop_asked = 0;

void Handle(int signal) {
  stop_asked = 1;
  if (signal != SIGUSR1) std::signal(signal, SIG_DFL);
}

}  // namespace

void InstallStopSignals(bool alone) {
  std::signal(SIGUSR1, Handle);
  if (!alone) return;
  std::signal(SIGINT, Handle);
  std::signal(SIGTERM, Handle);
}

bool StopAsked() { return stop_asked != 0; }

}  // namespace weir
