"""Bad data and bad configurations: each ends the run with a message that names what was expected, what came and where."""
import os
import sys
import time
import unittest

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import runs


class BadInput(unittest.TestCase):
    def setUp(self):
        self.space = runs.Workspace()
        self.first = os.path.join(self.space.train, "part-0.parquet")

    def tearDown(self):
        self.space.__exit__()

    def fails(self, *expected, overrides=(), ranks=0):
        """Training ends with an error that holds all of `expected`, and commits nothing."""
        done = runs.weir("train", self.space.job, f"data.train.uri={self.space.train}",
                         f"output={self.space.path('out')}", *overrides, ranks=ranks)
        self.assertNotEqual(done.returncode, 0, done.stdout + done.stderr)
        for text in expected:
            self.assertIn(text, done.stderr)
        checkpoints = self.space.path("out/checkpoints")
        self.assertEqual([n for n in (os.listdir(checkpoints) if os.path.isdir(checkpoints) else [])
                          if n.startswith("step-") and "." not in n], [])
        return done.stderr

    def replace(self, column, values):
        data = pq.read_table(self.first)
        index = data.schema.get_field_index(column)
        data = data.remove_column(index) if values is None else data.set_column(index, column, values)
        pq.write_table(data, self.first, row_group_size=500, write_page_checksum=True)

    def test_missing_column(self):
        self.replace("I2", None)
        self.fails("I2", "part-0.parquet")

    def test_wrong_type(self):
        rows = pq.read_metadata(self.first).num_rows
        self.replace("I2", pa.array(["x"] * rows))
        self.fails("I2", "string")

    def test_float_is_not_hashed(self):
        rows = pq.read_metadata(self.first).num_rows
        self.replace("C1", pa.array(np.ones(rows)))
        self.fails("C1", "double")

    def test_torn_file(self):
        size = os.path.getsize(self.first)
        with open(self.first, "r+b") as f:
            f.truncate(size // 2)
        self.fails("part-0.parquet")

    def test_flipped_bit(self):
        column = pq.read_metadata(self.first).row_group(0).column(1)
        with open(self.first, "r+b") as f:
            place = column.data_page_offset + column.total_compressed_size - (column.data_page_offset - (
                column.dictionary_page_offset or column.data_page_offset)) - 5
            f.seek(place)
            byte = f.read(1)[0]
            f.seek(place)
            f.write(bytes([byte ^ 4]))
        for ranks in (0, 2):
            self.fails("DataLoss", "part-0.parquet", ranks=ranks)

    def test_unknown_fields_all_at_once(self):
        with open(self.space.job) as f:
            text = f.read().replace("train { ", "train { epoch: 3 ") + "trian { }\n"
        with open(self.space.job, "w") as f:
            f.write(text)
        message = self.fails("trian", "epochs", "batch_size", overrides=["train.bach_size=3"])
        self.assertRegex(message, r"job.textproto:\d+:\d+")

    def test_nan(self):
        numbers = pq.read_table(self.first).column("I1").to_numpy().copy()
        numbers[17] = np.nan
        self.replace("I1", pa.array(numbers))
        self.fails("I1", "NaN", "part-0.parquet", "data.max_bad_rows")
        trained = runs.train(self.space, "skips", "data.max_bad_rows=1")
        self.assertEqual(trained["steps"], 50)

    def test_bad_label(self):
        labels = pq.read_table(self.first).column("label").to_numpy().copy()
        labels[3] = 7
        self.replace("label", pa.array(labels))
        self.fails("label", "7")

    def test_empty_file(self):
        open(self.first, "w").close()
        self.fails("part-0.parquet")

    def test_no_rows(self):
        empty = pq.read_table(self.first).slice(0, 0)
        for name in os.listdir(self.space.train):
            pq.write_table(empty, os.path.join(self.space.train, name))
        self.fails("expected at least one row")

    def test_no_files(self):
        for name in os.listdir(self.space.train):
            os.remove(os.path.join(self.space.train, name))
        self.fails("NotFound", self.space.train)

    def test_no_glob_match(self):
        self.fails("NotFound", "nothing-*.parquet",
                   overrides=[f"data.train.uri={self.space.train}/nothing-*.parquet"])

    def test_model_and_tables_disagree(self):
        self.fails("dim", overrides=["tables[1].dim=7"])

    def test_another_job_is_not_resumed(self):
        runs.train(self.space, "out2", "train.max_steps=10")
        done = runs.weir("train", self.space.job, f"data.train.uri={self.space.train}",
                         f"output={self.space.path('out2')}", "optimizers.dense.learning_rate=0.5")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("learning_rate", done.stderr)

    def test_two_runs_on_one_output(self):
        running = runs.start("train", self.space.job, f"data.train.uri={self.space.train}",
                             f"output={self.space.path('out3')}", "train.epochs=100000")
        try:
            deadline = time.time() + 30
            while not os.path.exists(self.space.path("out3/metrics.jsonl")):
                self.assertLess(time.time(), deadline)
                time.sleep(0.05)
            second = runs.weir("train", self.space.job, f"data.train.uri={self.space.train}",
                               f"output={self.space.path('out3')}")
            self.assertNotEqual(second.returncode, 0)
            self.assertIn("held by another process", second.stderr)
            self.assertIsNone(running.poll())
        finally:
            running.kill()
            running.communicate()

    def test_more_workers_than_row_groups(self):
        few = runs.write_data(self.space.path("few"), rows=640, files=1, row_group=640)
        one = runs.train(self.space, "one", f"data.train.uri={few}", "data.streams=8")
        five = runs.train(self.space, "five", f"data.train.uri={few}", "data.streams=8", workers=5, servers=1)
        self.assertEqual((one["samples"], one["steps"], one["rows"]), (five["samples"], five["steps"], five["rows"]))
        self.assertEqual(one["samples"], 640)

    def test_complete_run_trains_nothing(self):
        first = runs.train(self.space, "done", f"data.eval.uri={self.space.eval}")
        again = runs.train(self.space, "done", f"data.eval.uri={self.space.eval}")
        for field in ("steps", "samples", "auc", "logloss", "rows", "checkpoint"):
            self.assertEqual(first[field], again[field], field)
        self.assertGreater(first["auc"], 0.5)
        self.assertEqual(again["samples_per_s"], 0)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
