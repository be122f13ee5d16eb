// Asking a run to stop: SIGUSR1 (which mpirun forwards to all ranks) and, in a process of its own, SIGINT and SIGTERM.
#pragma once

namespace weir {

// Once, before threads are started. Under mpirun (`alone` false) SIGINT and SIGTERM keep their effect: the launcher ends
// the ranks a second later anyway. A second SIGINT or SIGTERM ends the process at once.
void InstallStopSignals(bool alone);

// Whether one of them came. Any thread.
bool StopAsked();

}  // namespace weir
