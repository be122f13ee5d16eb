"""Runs the collective over MPI between real processes: sums bit by bit, deserters named in time, no orphans."""

import os
import re
import signal
import subprocess
import time
import unittest

RANKS = os.path.join(os.environ["WEIR_BINARY_DIR"], "tests", "mpi_ranks")


def command(ranks, what):
    return ["mpirun", "--bind-to", "none", "--oversubscribe", "-n", str(ranks), RANKS, what]


def environment():
    return dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def run(ranks, what, timeout_s=100):
    start = time.monotonic()
    done = subprocess.run(
        command(ranks, what), env=environment(), capture_output=True, text=True, timeout=timeout_s, check=False
    )
    done.seconds = time.monotonic() - start
    return done


def ranks_alive(what):
    """Processes of the rank binary with this argument."""
    alive = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if words[0] == RANKS.encode() and words[1:2] == [what.encode()]:
            alive.append(int(pid))
    return alive


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


class MpiCollectiveTest(unittest.TestCase):
    def assert_all_ok(self, done, ranks):
        self.assertEqual(done.returncode, 0, done.stderr)
        for rank in range(ranks):
            self.assertIn(f"rank {rank} of {ranks} ok", done.stdout)

    def test_does_what_a_collective_must(self):
        for ranks in (1, 2, 3):
            self.assert_all_ok(run(ranks, "check"), ranks)

    def test_cutting_changes_no_bit(self):
        self.assert_all_ok(run(3, "cut"), 3)

    def test_workers_work_without_the_servers(self):
        self.assert_all_ok(run(4, "split"), 4)

    def test_ten_million_floats(self):
        self.assert_all_ok(run(3, "big"), 3)

    def test_a_rank_that_stops_calling_is_named_at_the_deadline(self):
        done = run(3, "stop")
        self.assertEqual(done.returncode, 17, done.stderr)
        for rank in (0, 2):
            saw = re.search(rf"rank {rank} saw DeadlineExceeded: (.*)", done.stderr)
            self.assertIsNotNone(saw, done.stderr)
            self.assertRegex(saw.group(1), r"all-reduce: rank .*1.* did not answer within 2 s")
        self.assertLess(done.seconds, 15)
        self.assertTrue(wait_for(lambda: not ranks_alive("stop"), 5))

    def assert_rank_1_is_named(self, what, message):
        done = run(3, what)
        self.assertEqual(done.returncode, 17, done.stderr)
        for rank in (0, 2):
            saw = re.search(rf"rank {rank} saw DeadlineExceeded: (.*)", done.stderr)
            self.assertIsNotNone(saw, done.stderr)
            self.assertRegex(saw.group(1), message)
        self.assertLess(done.seconds, 15)
        self.assertTrue(wait_for(lambda: not ranks_alive(what), 5))

    def test_a_rank_that_leaves_a_started_sum_is_named(self):
        for what in ("stop-started", "stop-unstarted"):
            with self.subTest(what):
                self.assert_rank_1_is_named(what, "all-reduce: rank 1 did not answer within 2 s")

    def test_the_library_s_order_adds_up_to_the_same(self):
        for ranks in (2, 3, 4):
            self.assert_all_ok(run(ranks, "library"), ranks)

    def test_a_rank_that_leaves_the_library_s_sum_is_named(self):
        self.assert_rank_1_is_named("library-stop", "all-reduce: rank 1 did not answer within 2 s")

    def test_a_rank_that_does_not_come_to_the_library_s_sums_is_named(self):
        self.assert_rank_1_is_named(
            "library-making", "making the workers' communicator: barrier: rank 1 did not answer within 2 s"
        )

    def test_a_killed_rank_ends_the_job(self):
        done = run(3, "die")
        self.assertNotEqual(done.returncode, 0)
        self.assertLess(done.seconds, 15)
        self.assertTrue(wait_for(lambda: not ranks_alive("die"), 5))

    def test_different_calls_are_an_error(self):
        done = run(2, "mismatch")
        self.assertEqual(done.returncode, 17, done.stderr)
        self.assertRegex(done.stderr, "rank . failed: (Internal|Unavailable): .*all-reduce")

    def test_ranks_die_with_their_launcher(self):
        launcher = subprocess.Popen(
            command(2, "stop"), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self.assertTrue(wait_for(lambda: len(ranks_alive("stop")) == 2, 20))
            time.sleep(0.5)
        finally:
            launcher.send_signal(signal.SIGKILL)
            launcher.wait(10)
        self.assertTrue(wait_for(lambda: not ranks_alive("stop"), 2))

    def test_nothing_is_started_without_a_launcher(self):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_", "PMI"))}
        done = subprocess.run([RANKS, "check"], env=clean, capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("expected to be started by mpirun", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
