"""Whole jobs on four hosts (network namespaces): the bits of one host, through losses, delays, cuts and strangers."""
import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest

import hosts
import runs
import strangers

NAMES = ["alder", "birch", "cedar", "elm"]
NEAR, FAR = NAMES[:2], NAMES[2:]  # the sides of a partition; mpirun is on the first host
# 4 workers and 4 servers: rank i is on host i modulo 4, so each host has worker i and server i.
RANKS_PER_HOST, WORKERS, SERVERS = 2, 4, 4


class SeveralHosts(unittest.TestCase):
    def setUp(self):
        reason = hosts.refusal()
        if reason and os.environ.get("CI") == "true":
            self.fail("no hosts: " + reason)
        if reason:
            self.skipTest(reason)
        self.space = runs.Workspace()
        self.addCleanup(self.space.__exit__)
        self.hosts = hosts.Hosts(NAMES, self.space.path("hosts"))
        self.addCleanup(self.hosts.close)
        self.hosts.open()
        self.process = None

    def begin(self, *overrides, options=()):
        self.process = self.hosts.weir(RANKS_PER_HOST, self.space.path("out.txt"), self.space.path("err.txt"), "train",
                                       self.space.job, f"data.train.uri={self.space.train}",
                                       f"output={self.space.path('out')}", f"cluster.servers={SERVERS}", *overrides,
                                       options=options)

    def text(self, name):
        with open(self.space.path(name), encoding="utf-8") as file:
            return file.read()

    def wait(self, what, condition, within_s):
        deadline = time.monotonic() + within_s
        while not condition():
            self.assertLess(time.monotonic(), deadline,
                            f"{what}: not within {within_s} s\n{self.hosts.processes()}\n{self.text('err.txt')}")
            time.sleep(0.02)

    def wait_for_commits(self, count):
        def there():
            self.assertIsNone(self.process.poll(), "the job ended by itself:\n" + self.text("err.txt"))
            return len(runs.commits(self.space.path("out"))) >= count

        self.wait(f"{count} commits", there, 60)

    def wait_for_end(self, within_s=runs.TIMEOUT_S):
        self.wait("the job's end", lambda: self.process.poll() is not None, within_s)

    def finish(self):
        """The report of a job that ends well and leaves nothing behind."""
        self.wait_for_end()
        self.assertEqual(self.process.returncode, 0, self.text("err.txt"))
        self.wait("the end of all its processes", lambda: not self.hosts.processes(), 15)
        return json.loads(self.text("out.txt").strip().splitlines()[-1])

    def has_the_bits_of_one_host(self, report):
        """Returns the report of the run on one host."""
        one = runs.train(self.space, "one", "train.epochs=100000", f"train.max_steps={report['steps']}",
                         workers=WORKERS, servers=SERVERS)
        diff = runs.weir("checkpoint", "diff", one["checkpoint"], report["checkpoint"])
        self.assertEqual(diff.returncode, 0, diff.stdout + diff.stderr)
        return one

    def test_same_bits_as_on_one_host(self):
        self.begin("train.max_steps=100", "train.epochs=100000")
        report = self.finish()
        self.assertEqual(report["steps"], 100)
        # A step has at least 2 frames for each of 12 pairs of a worker and a server on another host.
        self.assertGreater(self.hosts.frames()["forwarded"], 100 * 24)
        self.has_the_bits_of_one_host(report)

    def certificates(self, hosts_named=NAMES):
        """Overrides that give every host the pair of the same path, made as docs/several_hosts.md says."""
        names = ",".join(f"DNS:{name}" for name in hosts_named)
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        path = self.space.path
        self.write_file("names", f"subjectAltName={names}\n")
        for command in (
                ["req", "-x509", *curve, "-days", "2", "-subj", "/CN=weir", "-keyout", path("ca.key"), "-out",
                 path("ca.pem")],
                ["req", *curve, "-subj", "/CN=host", "-keyout", path("host.key"), "-out", path("host.csr")],
                ["x509", "-req", "-in", path("host.csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"),
                 "-CAcreateserial", "-days", "2", "-out", path("host.pem"), "-extfile", path("names")]):
            subprocess.run(["openssl", *command], check=True, capture_output=True)
        return [f"cluster.tls.certificate={path('host.pem')}", f"cluster.tls.key={path('host.key')}",
                f"cluster.tls.authority={path('ca.pem')}"]

    def write_file(self, name, text):
        with open(self.space.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def test_tls_changes_no_bit(self):
        self.begin("train.max_steps=50", "train.epochs=100000", *self.certificates())
        report = self.finish()
        self.assertEqual(report["steps"], 50)
        self.has_the_bits_of_one_host(report)

    def test_a_certificate_for_another_host_ends_the_job_by_name(self):
        self.begin("train.max_steps=50", *self.certificates(NAMES[:3]))
        self.wait_for_end()
        self.assertNotEqual(self.process.returncode, 0)
        self.assertRegex(self.text("err.txt"), r"Unauthenticated: .*joining server 3 \(elm:\d+\): TLS handshake: .*"
                                               r"subject alternative name elm, found: hostname mismatch")

    def test_files_of_tls_that_do_not_belong_together_end_the_job_by_name(self):
        overrides = self.certificates()
        overrides[1] = f"cluster.tls.key={self.space.path('ca.key')}"
        self.begin("train.max_steps=50", *overrides)
        self.wait_for_end()
        self.assertNotEqual(self.process.returncode, 0)
        self.assertIn(f'cluster.tls.key "{self.space.path("ca.key")}"', self.text("err.txt"))

    def test_losses_delays_and_reordering_do_not_change_the_bits(self):
        self.hosts.lose_packets()
        self.hosts.delay(15, 25)
        self.begin("train.max_steps=25", "train.epochs=100000")
        report = self.finish()
        self.assertEqual(report["steps"], 25)
        frames, (arrived, dropped) = self.hosts.frames(), self.hosts.packets()
        self.assertGreater(frames["overtaken"], frames["forwarded"] / 10, frames)
        self.assertGreater(dropped, arrived / 300)
        self.assertLess(dropped, arrived / 30)
        self.has_the_bits_of_one_host(report)

    def test_a_partition_of_five_seconds_is_survived(self):
        self.begin("train.epochs=100000", "cluster.silence_s=15", "checkpoint.every_steps=100")
        self.wait_for_commits(1)
        self.hosts.cut(NEAR, FAR)
        time.sleep(2)  # for a commit whose messages had all arrived
        commits = runs.commits(self.space.path("out"))
        time.sleep(3)
        self.assertIsNone(self.process.poll(), self.text("err.txt"))
        self.assertEqual(runs.commits(self.space.path("out")), commits, "the job went on over a network that is cut")
        self.assertGreater(self.hosts.frames()["cut"], 0)
        self.hosts.join()
        self.wait("a step after the partition", lambda: runs.commits(self.space.path("out")) != commits, 30)
        self.process.send_signal(signal.SIGUSR1)
        self.has_the_bits_of_one_host(self.finish())

    def test_a_partition_past_the_deadline_ends_the_job_naming_the_link(self):
        silence_s = 4
        # Open MPI's daemons learn from TCP alone that the network is cut; by default that takes a quarter of an hour.
        for name in NAMES:
            self.hosts.set(name, "net/ipv4/tcp_retries2", 4)
        self.begin("train.epochs=100000", f"cluster.silence_s={silence_s}", "checkpoint.every_steps=100",
                   options=[word for setting in ("time 4", "intvl 2", "probes 2")
                            for word in f"--mca oob_tcp_keepalive_{setting}".split()])
        self.wait_for_commits(1)
        self.assertEqual(self.ranks(), sorted(f"weir on {name}" for name in NAMES * RANKS_PER_HOST))
        self.hosts.cut(NEAR, FAR)
        # A rank that fails allows MPI 10 s to end it before it ends by itself.
        self.wait("the end of all ranks, on both sides", lambda: not self.ranks(), silence_s + 12)
        self.wait_for_end(30)
        self.wait("the end of all its processes", lambda: not self.hosts.processes(), 15)
        self.assertNotEqual(self.process.returncode, 0)
        self.names_a_link(self.text("err.txt"), f"(?:{'|'.join(NEAR)}): ", FAR)
        # What the far side says cannot reach mpirun, but each rank writes a log.
        far_ranks = [rank for rank in range(WORKERS + SERVERS) if NAMES[rank % len(NAMES)] in FAR]
        self.names_a_link("".join(self.text(f"out/logs/rank-{rank}.log") for rank in far_ranks), ": ", NEAR)

    def test_broken_connections_are_mended(self):
        """Connections to half of the servers are reset, and for two seconds new ones are refused."""
        first = 7000
        self.begin("train.epochs=100000", "cluster.silence_s=15", f"cluster.base_port={first}",
                   "checkpoint.every_steps=100")
        self.wait_for_commits(1)
        for name in FAR:
            self.hosts.reset_connections(name, first, first + SERVERS - 1)
        time.sleep(2)
        self.assertEqual(len(self.ranks()), WORKERS + SERVERS, self.text("err.txt"))
        for name in FAR:
            self.assertGreater(self.hosts.end_resets(name), 0)
        commits = runs.commits(self.space.path("out"))
        self.wait("a step after the resets", lambda: runs.commits(self.space.path("out")) != commits, 30)
        self.process.send_signal(signal.SIGUSR1)
        self.has_the_bits_of_one_host(self.finish())

    def test_strangers_do_not_disturb(self):
        """From the second host, over the ports of all servers on all hosts, from before the job until after its end."""
        first, began = 7000, time.monotonic()
        attack = strangers.start(NAMES, first, first + SERVERS - 1, enter=self.hosts.enter(NAMES[1]))
        self.addCleanup(attack.kill)
        self.begin("train.epochs=100000", "cluster.silence_s=15", f"cluster.base_port={first}",
                   "checkpoint.every_steps=500")
        self.wait_for_commits(1)
        time.sleep(strangers.ENOUGH_S)
        self.process.send_signal(signal.SIGUSR1)
        self.wait_for_end()
        attacked = strangers.stop(attack)
        report = self.finish()
        self.assertEqual(sorted(attacked), [f"{name}:{first + i}" for i, name in enumerate(NAMES)])
        strangers.check(self, attacked, self.text("err.txt"), time.monotonic() - began)
        quiet = self.has_the_bits_of_one_host(report)
        self.assertLess(report["peak_rss_bytes"], 1.1 * quiet["peak_rss_bytes"])

    def ranks(self):
        return sorted(name for name in self.hosts.processes().values() if name.startswith("weir on "))

    def names_a_link(self, text, own, others):
        """A line says which rank lost which rank on one of the `others`, and at what step."""
        rank, code = r"(?:worker|server) \d\b", "(?:Unavailable|DeadlineExceeded)"
        self.assertRegex(text, rf"{rank}.*{own}{code}: .*{rank} .*(?:{'|'.join(others)}).*\bstep \d+")


if __name__ == "__main__":
    hosts.isolate()
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
