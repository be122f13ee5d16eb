"""Dead and silent ranks, strangers on the ports, a full disk: the job ends at once by name, or is not disturbed."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

import runs
import strangers

SILENCE_S = 4
LONG = ["train.epochs=100000", f"cluster.silence_s={SILENCE_S}", "checkpoint.every_steps=100"]


def free_ports(count):
    """The first of `count` free ports in a row."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            base = probe.getsockname()[1]
        try:
            for i in range(count):
                with socket.socket() as each:
                    each.bind(("127.0.0.1", base + i))
            return base
        except (OSError, OverflowError):
            continue
    raise RuntimeError("no free ports")


def ranks_of(launcher):
    """{rank: pid} of the processes that this mpirun started."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
            if parent != launcher:
                continue
            with open(f"/proc/{pid}/environ", "rb") as f:
                variables = dict(v.split(b"=", 1) for v in f.read().split(b"\0") if b"=" in v)
            found[int(variables[b"OMPI_COMM_WORLD_RANK"])] = int(pid)
        except (OSError, KeyError):
            continue
    return found


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Faults(unittest.TestCase):
    def setUp(self):
        self.space = runs.Workspace()
        self.process = None

    def tearDown(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
        self.space.__exit__()

    def begin(self, ranks, *overrides):
        self.process = runs.start("train", self.space.job, f"data.train.uri={self.space.train}",
                                  f"output={self.space.path('out')}", *LONG, *overrides, ranks=ranks)
        deadline = time.time() + 60
        while not self.commits():
            if self.process.poll() is not None:
                self.fail("the job ended by itself:\n" + "".join(self.process.communicate()))
            self.assertLess(time.time(), deadline, "no commit after 60 s")
            time.sleep(0.05)
        return ranks_of(self.process.pid)

    def commits(self):
        return runs.commits(self.space.path("out"))

    def ends_naming(self, pids, within_s, peer):
        """The job ends within the time, and one line of an error names the peer and the step."""
        began = time.time()
        out, err = self.process.communicate(timeout=within_s + 10)
        self.assertLess(time.time() - began, within_s, err)
        self.assertNotEqual(self.process.returncode, 0)
        errors = [line for line in err.splitlines() if "Unavailable" in line or "DeadlineExceeded" in line]
        self.assertTrue(any(re.search(rf"{peer}\b.*\bstep \d+", line) for line in errors), err)
        self.all_gone(pids)

    def all_gone(self, pids):
        """The launcher may return a moment before the last rank is reaped."""
        deadline = time.time() + 5
        while any(map(is_alive, pids.values())) and time.time() < deadline:
            time.sleep(0.05)
        for rank, pid in pids.items():
            self.assertFalse(is_alive(pid), f"rank {rank}, process {pid}, is still there")

    def test_worker_killed(self):
        pids = self.begin(4, "cluster.servers=2")
        os.kill(pids[1], signal.SIGKILL)
        self.ends_naming(pids, SILENCE_S + 3, "worker 1")

    def test_server_killed(self):
        pids = self.begin(4, "cluster.servers=2")
        os.kill(pids[3], signal.SIGKILL)
        self.ends_naming(pids, SILENCE_S + 3, "server 1")

    def test_colocated_worker_killed(self):
        pids = self.begin(2)
        os.kill(pids[1], signal.SIGKILL)
        self.ends_naming(pids, SILENCE_S + 3, "(worker|server) 1")

    def test_server_silent(self):
        pids = self.begin(3, "cluster.servers=1")
        os.kill(pids[2], signal.SIGSTOP)
        self.ends_naming(pids, SILENCE_S + 5, "server 0")

    def test_worker_silent(self):
        pids = self.begin(3, "cluster.servers=1")
        os.kill(pids[1], signal.SIGSTOP)
        self.ends_naming(pids, SILENCE_S + 5, "worker 1")

    def test_killed_run_resumes(self):
        pids = self.begin(3, "cluster.servers=1")
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        self.process.communicate(timeout=30)
        done = runs.train(self.space, "out", "train.max_steps=3000", "train.epochs=100000", workers=2, servers=2)
        straight = runs.train(self.space, "straight", "train.max_steps=3000", "train.epochs=100000", workers=2,
                              servers=1)
        diff = runs.weir("checkpoint", "diff", done["checkpoint"], straight["checkpoint"])
        self.assertEqual(diff.returncode, 0, diff.stdout + diff.stderr)

    def test_port_taken(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = runs.weir("train", self.space.job, f"data.train.uri={self.space.train}",
                             f"output={self.space.path('out')}", "cluster.servers=1", f"cluster.base_port={port}",
                             "cluster.bind_address=127.0.0.1", ranks=2)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(str(port), done.stderr)
        self.assertIn("cluster.base_port", done.stderr)

    def test_strangers_do_not_disturb(self):
        """From before the job listens until after its end, on the ports of both servers and on their Unix sockets."""
        port, began = free_ports(2), time.time()
        attack = strangers.start(["127.0.0.1"], port, port + 1, unix=True)
        self.addCleanup(attack.kill)
        pids = self.begin(4, "cluster.servers=2", f"cluster.base_port={port}", "cluster.bind_address=127.0.0.1")
        time.sleep(strangers.ENOUGH_S)
        self.process.send_signal(signal.SIGUSR1)
        out, err = self.process.communicate(timeout=runs.TIMEOUT_S)
        took_s, attacked = time.time() - began, strangers.stop(attack)
        self.assertEqual(self.process.returncode, 0, err)
        self.all_gone(pids)
        self.assertEqual(len(attacked), 4, attacked.keys())
        strangers.check(self, attacked, err, took_s)
        loud = json.loads(out.strip().splitlines()[-1])
        quiet = runs.train(self.space, "quiet", "train.epochs=100000", f"train.max_steps={loud['steps']}", workers=2,
                           servers=2)
        self.assertLess(loud["peak_rss_bytes"], 1.1 * quiet["peak_rss_bytes"])
        diff = runs.weir("checkpoint", "diff", quiet["checkpoint"], loud["checkpoint"])
        self.assertEqual(diff.returncode, 0, diff.stdout + diff.stderr)

    def test_full_disk(self):
        folder = self.space.path("out/checkpoints")
        os.makedirs(folder)
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], capture_output=True,
                               text=True, check=False)
        if mount.returncode != 0:
            if os.environ.get("CI") == "true":
                self.fail("mounting a small disk: " + mount.stderr)
            self.skipTest("mounting a small disk needs more rights: " + mount.stderr)
        try:
            done = runs.weir("train", self.space.job, f"data.train.uri={self.space.train}",
                             f"output={self.space.path('out')}", "train.epochs=1000", "checkpoint.every_steps=20",
                             "checkpoint.keep=100", "cluster.servers=1", ranks=2)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr, r"saving step \d+.*No space left on device")
            self.assertTrue(self.commits())
            for name in self.commits():
                verified = runs.weir("checkpoint", "verify", os.path.join(folder, name))
                self.assertEqual(verified.returncode, 0, verified.stderr)
        finally:
            subprocess.run(["umount", folder], check=True)

    def test_stop_on_request_commits(self):
        pids = self.begin(3, "cluster.servers=1")
        os.kill(self.process.pid, signal.SIGUSR1)
        out, err = self.process.communicate(timeout=60)
        self.assertEqual(self.process.returncode, 0, err)
        stopped = json.loads(out.strip().splitlines()[-1])
        self.assertEqual(os.path.basename(stopped["checkpoint"]), f"step-{stopped['steps']}")
        self.all_gone(pids)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
