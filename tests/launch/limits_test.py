"""Tables with limits, from the job to the metrics: the same bits on any servers and across a stop, within the budget."""
import json
import os
import sys
import unittest

import runs

LIMITED = runs.DLRM.replace('tables { name: "C[1-3]" dim: 4 }', """
tables {
  name: "C[1-3]" dim: 4 memory: "12KiB"
  admission { count { threshold: 2 window_steps: 12 filter_memory: "1KiB" } not_admitted: SHARED }
  eviction { when_full: LEAST_FREQUENT ttl_steps: 15 min_norm: 0.01 every_steps: 3 }
}
""") + "cluster { virtual_shards: 4 }\ncheckpoint { every_steps: 20 }\n"

LISTED = runs.DLRM.replace('tables { name: "C[1-3]" dim: 4 }', """
tables { name: "C[1-2]" dim: 4 }
tables { name: "C3" dim: 4 admission { allow_list { path: "LIST" } } }
""")


def with_disk(space):
    """The path of a job like space.job whose table C2 has a disk."""
    with open(space.job, encoding="utf-8") as f:
        job = f.read()
    tables = 'tables { name: "C1" dim: 4 }\ntables {\n  name: "C2" dim: 4 memory: "8KiB"\n  disk { path: "%s" }\n}\n' \
             'tables { name: "C3" dim: 4 }' % space.path("rows")
    path = space.path("tiered.textproto")
    with open(path, "w", encoding="utf-8") as f:
        f.write(job.replace('tables { name: "C[1-3]" dim: 4 }', tables))
    return path


def lines(space, output, kind):
    with open(os.path.join(space.path(output), "metrics.jsonl"), encoding="utf-8") as f:
        return [line for line in map(json.loads, f) if line["kind"] == kind]


class Limits(unittest.TestCase):
    def check_equal(self, a, b, what):
        done = runs.weir("checkpoint", "diff", a["checkpoint"], b["checkpoint"])
        self.assertEqual(done.returncode, 0, f"{what}:\n{done.stdout}{done.stderr}")

    def test_one_worker_anywhere(self):
        with runs.Workspace(LIMITED) as space:
            alone = runs.train(space, "alone", "train.max_steps=50")
            tables = lines(space, "alone", "tables")[-1]
            self.assertGreater(tables["C2/not_admitted"], 0)
            self.assertGreater(tables["C2/admitted"], 0)
            self.assertGreater(tables["C2/evicted_expired"], 0)
            self.assertGreater(sum(tables[f"C{i}/evicted_full"] for i in (1, 2, 3)) + tables["C2/evicted_expired"], 0)
            for line in lines(space, "alone", "tables"):
                for name in ("C1", "C2", "C3"):
                    self.assertLessEqual(line[f"{name}/bytes"], line[f"{name}/memory"])
            self.assertLess(alone["rows"], 460)
            for servers in (0, 3):
                served = runs.train(space, f"served{servers}", "train.max_steps=50", workers=1, servers=servers)
                self.check_equal(alone, served, f"one process against 1 worker, {servers} servers")
                self.assertEqual(lines(space, f"served{servers}", "tables")[-1]["C2/admitted"], tables["C2/admitted"])
            verified = runs.weir("checkpoint", "verify", alone["checkpoint"])
            self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

    def test_a_disk_gives_the_bits_of_memory(self):
        with runs.Workspace(runs.DLRM + "cluster { virtual_shards: 4 }\n") as space:
            in_memory = {workers: runs.train(space, f"memory{workers}", workers=workers, servers=1) for workers in (1, 2)}
            space.job = with_disk(space)
            for workers, servers in ((1, 1), (1, 3), (2, 1), (2, 3), (2, 0)):
                name = f"disk{workers}-{servers}"
                tiered = runs.train(space, name, workers=workers, servers=servers)
                self.check_equal(in_memory[workers], tiered, f"{workers} workers, {servers} servers")
                tables = lines(space, name, "tables")[-1]
                self.assertGreater(tables["C2/disk_rows"], 50)
                self.assertGreater(tables["C2/disk_hits"], 50)

    def test_stopped_and_resumed(self):
        with runs.Workspace(LIMITED) as space:
            straight = runs.train(space, "straight", "train.max_steps=50", workers=2, servers=1)
            runs.train(space, "halves", "train.max_steps=27", workers=2, servers=3)
            second = runs.train(space, "halves", "train.max_steps=50", workers=2, servers=2)
            self.check_equal(straight, second, "2 workers, 3 then 2 servers")

    def test_allow_list(self):
        with runs.Workspace(LISTED) as space:
            path = space.path("list.txt")
            with open(space.job, "w", encoding="utf-8") as f:
                f.write(LISTED.replace("LIST", path))
            arguments = (space.job, f"data.train.uri={space.train}", f"output={space.path('out')}")
            missing = runs.weir("train", *arguments)
            self.assertNotEqual(missing.returncode, 0)
            self.assertIn("allow-list of table C3", missing.stderr)
            self.assertIn(path, missing.stderr)
            with open(path, "w", encoding="utf-8") as f:
                f.write("c1\nc2\nno such value\n")
            runs.train(space, "out", "train.max_steps=20", workers=1, servers=1)
            tables = lines(space, "out", "tables")[-1]
            self.assertEqual(tables["C3/rows"], 2)
            self.assertNotIn("C1/rows", tables)

    def test_validate_predicts(self):
        with runs.Workspace(LIMITED) as space:
            done = runs.weir("validate", space.job, f"data.train.uri={space.train}", f"output={space.path('out')}")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"# C2 .*1KiB +12KiB +\d+\n")
            small = runs.weir("validate", space.job, f"data.train.uri={space.train}", f"output={space.path('out')}",
                              "tables[0].memory=5KiB")
            self.assertNotEqual(small.returncode, 0)
            self.assertIn("memory is 5KiB, expected at least", small.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
