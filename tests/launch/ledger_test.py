"""The ledger: workers killed at random over an epoch, resumed with other numbers of them: each id stands in it once.

WEIR_LEDGER_SEED repeats a run, WEIR_LEDGER_KILLS (20) and WEIR_LEDGER_ROWS (1,500 a kill) make it longer."""
import collections
import glob
import json
import os
import random
import re
import signal
import sys
import time
import unittest

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import runs
from faults_test import ranks_of

KILLS = int(os.environ.get("WEIR_LEDGER_KILLS", 20))
ROWS = int(os.environ.get("WEIR_LEDGER_ROWS", 1500 * (KILLS + 4)))
SEED = int(os.environ.get("WEIR_LEDGER_SEED", time.time_ns() % 1000000))
COMMIT_STEPS = 3
BATCH = 50

JOB = """
name: "ledger"
data {
  label { column: "label" }
  streams: 6
  shuffle_rows: 64
  max_bad_rows: 1000000
  ledger { column: "id" }
}
features { name: "C1" sparse {} }
features { name: "x" numeric {} }
tables { name: "C1" dim: 1 }
model { logistic_regression {} }
train { seed: 3 threads: 1 }
cluster { virtual_shards: 4 silence_s: 10 }
"""

TRAILER = re.compile(rb"# step (\d+) epoch (\d+) trained (\d+) skipped (\d+) crc32c ([0-9a-f]{8})")


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def read_ledger(output):
    """[(step, fate, id)] of all files of the ledger, its checksums and counts checked; fate: b"+" or b"-"."""
    entries = []
    for path in sorted(glob.glob(f"{output}/ledger/from-*.txt")):
        with open(path, "rb") as f:
            text = f.read()
        block, start = [], 0
        while start < len(text):
            end = text.index(b"\n# ", start) + 1
            trailer_end = text.index(b"\n", end)
            step, _, trained, skipped, crc = TRAILER.fullmatch(text[end:trailer_end]).groups()
            covered = text[start:text.index(b" crc32c ", end)]
            assert crc32c(covered) == int(crc, 16), (path, step)
            block = text[start:end].splitlines()
            assert sum(line[:1] == b"+" for line in block) == int(trained), (path, step)
            assert sum(line[:1] == b"-" for line in block) == int(skipped), (path, step)
            entries += [(int(step), line[:1], line[1:].split(b"\t")[0]) for line in block]
            start = trailer_end + 1
    return entries


class LedgerTest(unittest.TestCase):
    def setUp(self):
        self.space = runs.Workspace(JOB)
        self.random = random.Random(SEED)
        self.process = None

    def tearDown(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
        self.space.__exit__()

    def write_rows(self, folder, text_ids):
        """ROWS rows in three files, about one in a hundred with a NaN. Returns all ids, and those of the bad rows."""
        rng = np.random.default_rng(SEED)
        os.makedirs(folder)
        ids = rng.permutation(ROWS) * 7 - 1000
        x = rng.random(ROWS).astype(np.float32)
        x[rng.random(ROWS) < 0.01] = np.nan
        for part, rows in enumerate(np.array_split(np.arange(ROWS), 3)):
            names = [f"user\t{i}" for i in ids[rows]] if text_ids else ids[rows]
            pq.write_table(pa.table({"id": names, "label": (rows % 2).astype(np.int32), "x": x[rows],
                                     "C1": rng.integers(0, 40, len(rows))}), f"{folder}/part-{part}.parquet",
                           row_group_size=700)
        return {str(i).encode() for i in ids}, {str(i).encode() for i in ids[np.isnan(x)]}

    def arguments(self, data, output):
        return ["train", self.space.job, f"data.train.uri={data}", f"output={output}", f"train.batch_size={BATCH}",
                f"checkpoint.every_steps={COMMIT_STEPS}"]

    def newest(self, output):
        return max([0] + [int(name[len("step-"):]) for name in runs.commits(output)])

    def run_and_kill(self, arguments, output, workers, steps):
        """Starts the workers and kills one of them, or all: some way behind the start, or `steps` later."""
        before = self.newest(output)
        self.process = runs.start(*arguments, ranks=workers)
        begun, early = time.time(), self.random.random() < 0.15
        patience_s = self.random.uniform(0.1, 1.0) if early else 60
        while time.time() - begun < patience_s and self.newest(output) < before + steps:
            self.assertIsNone(self.process.poll(), "the run ended by itself")
            time.sleep(0.005)
        self.assertTrue(early or self.newest(output) >= before + steps, "no progress within 60 s")
        time.sleep(self.random.uniform(0, 0.03))
        pids = list(ranks_of(self.process.pid).values())
        for pid in pids if self.random.random() < 0.5 else self.random.sample(pids, min(1, len(pids))):
            os.kill(pid, signal.SIGKILL)
        if not pids:
            os.killpg(self.process.pid, signal.SIGKILL)
        _, err = self.process.communicate(timeout=60)
        self.assertNotEqual(self.process.returncode, 0, err)

    def check(self, output, ids, bad, done):
        entries = read_ledger(output)
        counted = collections.Counter(name for _, _, name in entries)
        self.assertEqual([n for n, times in counted.items() if times != 1], [], f"seed {SEED}: ids that came twice")
        self.assertEqual(set(counted), ids, f"seed {SEED}")
        self.assertEqual({name for _, fate, name in entries if fate == b"-"}, bad, f"seed {SEED}")
        self.assertEqual(max(step for step, _, _ in entries), done["steps"])
        self.assertEqual(done["bad_rows"], len(bad), f"seed {SEED}")

    def test_every_id_once_however_often_workers_die(self):
        print(f"seed {SEED}", flush=True)
        data, output = self.space.path("rows"), self.space.path("out")
        ids, bad = self.write_rows(data, text_ids=False)
        arguments = self.arguments(data, output)
        steps = ROWS // BATCH // (KILLS + 2)
        workers = 3
        for kill in range(KILLS):
            self.run_and_kill(arguments, output, workers, self.random.randint(1, steps))
            print(f"kill {kill + 1}: {workers} workers, commit of step {self.newest(output)}", flush=True)
            workers = self.random.randint(1, 4)
        done = runs.weir(*arguments, ranks=workers)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check(output, ids, bad, json.loads(done.stdout.strip().splitlines()[-1]))

    def test_text_ids_and_another_ledger(self):
        data, output = self.space.path("rows"), self.space.path("out")
        self.write_rows(data, text_ids=True)
        done = runs.weir(*self.arguments(data, output), "train.max_steps=5", ranks=2)
        self.assertEqual(done.returncode, 0, done.stderr)
        entries = read_ledger(output)
        self.assertEqual(len(entries), 5 * BATCH)
        self.assertTrue(all(name.startswith(b"user\\t") for _, fate, name in entries), entries[0])
        done = runs.weir(*self.arguments(data, output), "data.ledger.column=C1", ranks=2)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("data.ledger", done.stderr)
        os.remove(sorted(glob.glob(f"{output}/ledger/*.txt"))[1])
        done = runs.weir(*self.arguments(data, output), ranks=1)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("worker-1.txt", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
