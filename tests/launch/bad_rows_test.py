"""Bad rows over whole runs: policies, the limit over all workers, bad_rows.jsonl, prediction and evaluation."""
import json
import os
import sys
import unittest

import pyarrow.parquet as pq

import runs

JOB = """
name: "bad-rows"
data {
  label { column: "label" }
  csv { column_names: ["id", "label", "C1", "x"] header: false }
  shuffle_rows: 16
}
features { name: "C1" sparse { default_value: "none" } }
features { name: "x" numeric { default_value: 0.5 } }
tables { name: "C1" dim: 1 }
model { logistic_regression {} }
train { batch_size: 40 seed: 3 threads: 1 }
"""
ROWS = 400


def lines(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


class BadRows(unittest.TestCase):
    def setUp(self):
        self.space = runs.Workspace(JOB)
        self.data = os.path.join(self.space.root, "lake")
        os.makedirs(self.data)
        # In a.csv every tenth x is no number, in b.csv every fiftieth row has a field too few.
        with open(f"{self.data}/a.csv", "w") as f:
            f.writelines(f"a{i},{i % 2},c{i % 9},{'x' if i % 10 == 0 else i / ROWS}\n" for i in range(ROWS))
        with open(f"{self.data}/b.csv", "w") as f:
            f.writelines(f"b{i},{i % 2}\n" if i % 50 == 7 else f"b{i},{i % 2},c{i % 9},{i / ROWS}\n"
                         for i in range(ROWS))

    def tearDown(self):
        self.space.__exit__()

    def weir(self, command, output, *overrides, ranks=0):
        return runs.weir(command, self.space.job, f"data.train.uri={self.data}", f"output={self.space.path(output)}",
                         *overrides, ranks=ranks)

    def train(self, output, *overrides, ranks=0):
        done = self.weir("train", output, "data.max_bad_rows=48", *overrides, ranks=ranks)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout.strip().splitlines()[-1])

    def test_counted_by_column_file_and_reason_over_workers(self):
        for ranks in (0, 3):
            trained = self.train(f"out{ranks}", ranks=ranks)
            self.assertEqual(trained["bad_rows"], 48)
            written = lines(self.space.path(f"out{ranks}/bad_rows.jsonl"))
            counts = {(os.path.basename(c["file"]), c["column"], c["reason"]): c["rows"]
                      for c in written if c["kind"] == "count"}
            self.assertEqual(counts, {("a.csv", "x", "is no number"): 40,
                                      ("b.csv", "", "has 2 fields, expected 4"): 8})
            samples = [s for s in written if s["kind"] == "row"]
            self.assertEqual(len(samples), 10)
            for sample in samples:
                in_a = sample["file"].endswith("a.csv")
                self.assertEqual((sample["row"] - 1) % (10 if in_a else 50), 0 if in_a else 7)
                self.assertEqual(sample["value"], "x" if in_a else f"b{sample['row'] - 1},{(sample['row'] - 1) % 2}")
            metrics = [m for m in lines(self.space.path(f"out{ranks}/metrics.jsonl")) if m["kind"] == "bad_rows"]
            self.assertEqual(metrics[-1]["rows"], 48)
            self.assertEqual(metrics[-1][f"x/is no number/{self.data}/a.csv"], 40)
            self.assertEqual(metrics[-1][f"(row)/has 2 fields, expected 4/{self.data}/b.csv"], 8)

    def test_the_limit_is_over_all_workers(self):
        for ranks in (0, 3):
            done = self.weir("train", f"out{ranks}", "data.max_bad_rows=47", ranks=ranks)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr,
                             r"InvalidArgument.*\.csv: row \d+: .*48 bad rows, and data.max_bad_rows is 47")
            written = lines(self.space.path(f"out{ranks}/bad_rows.jsonl"))
            self.assertEqual(sum(c["rows"] for c in written if c["kind"] == "count"), 48)

    def test_stop_names_the_row(self):
        done = self.weir("train", "out", "data.max_bad_rows=1000", "features[1].on_bad_row=STOP", ranks=2)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"a\.csv: row \d+1: column x is no number: found 'x'.*STOP")

    def test_defaults_are_trained(self):
        skipped = self.train("skipped")
        kept = self.train("kept", "data.on_bad_row=DEFAULT", ranks=2)
        self.assertEqual(kept["bad_rows"], skipped["bad_rows"])
        policies = {s["policy"] for s in lines(self.space.path("kept/bad_rows.jsonl")) if s["kind"] == "row"}
        self.assertEqual(policies, {"DEFAULT", "SKIP"})
        checkpoint = kept["checkpoint"]
        scored = self.space.path("scored.parquet")
        done = runs.weir("predict", checkpoint, "--out", scored, "--columns", "id", f"data.eval.uri={self.data}")
        self.assertEqual(done.returncode, 0, done.stderr)
        scores = pq.read_table(scored)
        self.assertEqual(scores.num_rows, 2 * ROWS)
        self.assertEqual(scores["score"].null_count, 8, "only the rows that are broken as a whole")
        done = runs.weir("predict", skipped["checkpoint"], "--out", self.space.path("skipped.parquet"), "--columns",
                         "id", f"data.eval.uri={self.data}")
        self.assertEqual(pq.read_table(self.space.path("skipped.parquet"))["score"].null_count, 48)
        done = runs.weir("predict", checkpoint, "--out", self.space.path("none.parquet"), "--columns", "id",
                         f"data.eval.uri={self.data}", "data.csv.on_bad_row=STOP")
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"b\.csv: row 8: the row has 2 fields, expected 4: found 'b7,1'")

    def test_evaluation_counts_over_all_workers(self):
        checkpoint = self.train("out")["checkpoint"]
        for ranks in (0, 2):
            done = runs.weir("eval", checkpoint, f"data.eval.uri={self.data}", ranks=ranks)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout.strip().splitlines()[-1])["bad_rows"], 48)
            done = runs.weir("eval", checkpoint, f"data.eval.uri={self.data}", "data.max_bad_rows=47", ranks=ranks)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stderr, r"data\.eval.*48 bad rows, and data.max_bad_rows is 47")

    def test_the_policy_may_change_on_a_resume(self):
        first = self.train("out", "train.max_steps=5")
        second = self.train("out", "features[0].on_bad_row=DEFAULT", "data.label.on_bad_row=STOP", ranks=2)
        self.assertEqual(second["bad_rows"], 48, first)

    def test_labels_have_no_default(self):
        done = self.weir("train", "out", "data.label.on_bad_row=DEFAULT", "data.csv.on_bad_row=DEFAULT")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("data.label.on_bad_row", done.stderr)
        self.assertIn("data.csv.on_bad_row", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
