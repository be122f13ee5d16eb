"""Tables of bfloat16 weights, and all rules for rows: trained, committed, resumed, served, exported."""
import glob
import json
import sys
import unittest

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import runs

BFLOAT16 = runs.DEEPFM.replace("dim: 5", "dim: 5 weight_type: BFLOAT16")

RULES = {
    "momentum": ("rows { learning_rate: 0.02 momentum { nesterov: true } clip_norm: 0.01 }",
                 "dense { learning_rate: 0.005 momentum {} clip_norm: 1 clip_value: 0.1 }"),
    "amsgrad": ("rows { learning_rate: 0.02 weight_decay: 0.001 adam { amsgrad: true } clip_value: 0.001 }",
                "dense { learning_rate: 0.005 adam { amsgrad: true } }"),
    "ftrl": ("rows { learning_rate: 0.1 ftrl { l1: 0.0001 } schedule { decay: COSINE decay_steps: 30 } }",
             "dense { learning_rate: 0.005 adam {} }"),
    "group_lasso_ftrl": ("rows { learning_rate: 0.1 group_lasso_ftrl { l21: 0.0001 } }",
                         "dense { learning_rate: 0.005 adam {} }"),
}


def with_rules(job, rows, dense):
    before, _, rest = job.partition("optimizers {")
    return before + "optimizers {\n" + rows + "\n" + dense + "\n}\n" + rest.partition("\n}\n")[2]


def stored_weights(checkpoint, table):
    """{key: weights} of one table, and the field of the weights."""
    weights, field = {}, None
    for path in sorted(glob.glob(checkpoint + "/rows-*.arrow")):
        with pa.ipc.open_file(path) as reader:
            if reader.schema.metadata[b"weir.table"].decode() != table:
                continue
            field = reader.schema.field("weights")
            for key, row in zip(*(reader.read_all().column(name).to_pylist() for name in ("key", "weights"))):
                weights[key] = row
    return weights, field


class Bfloat16(unittest.TestCase):
    def check_equal(self, a, b, what):
        done = runs.weir("checkpoint", "diff", a["checkpoint"], b["checkpoint"])
        self.assertEqual(done.returncode, 0, f"{what}:\n{done.stdout}{done.stderr}")

    def test_same_bits_resumed_and_served(self):
        with runs.Workspace(BFLOAT16) as space:
            straight = runs.train(space, "straight", "train.max_steps=50")
            runs.train(space, "halves", "train.max_steps=25")
            self.check_equal(straight, runs.train(space, "halves", "train.max_steps=50"), "resumed")
            self.check_equal(straight, runs.train(space, "served", "train.max_steps=50", workers=1, servers=2), "served")
            verified = runs.weir("checkpoint", "verify", straight["checkpoint"])
            self.assertEqual(verified.returncode, 0, verified.stderr)

    def test_all_rules_resume_to_the_same_bits(self):
        for name, (rows, dense) in RULES.items():
            for job in (runs.DEEPFM, BFLOAT16):
                with runs.Workspace(with_rules(job, rows, dense)) as space:
                    straight = runs.train(space, "straight", "train.max_steps=30")
                    runs.train(space, "halves", "train.max_steps=15", workers=1, servers=1)
                    self.check_equal(straight, runs.train(space, "halves", "train.max_steps=30"), name)

    def test_it_is_stored_in_half_and_exported_whole(self):
        with runs.Workspace(BFLOAT16) as space:
            run = runs.train(space, "run", "train.max_steps=30")
            weights, field = stored_weights(run["checkpoint"], "C2")
            self.assertEqual(field.type, pa.list_(pa.field("item", pa.uint16(), nullable=False), 5))
            self.assertEqual(field.metadata, {b"weir.weight_type": b"bfloat16"})
            done = runs.weir("export", run["checkpoint"], "--out", space.path("export"))
            self.assertEqual(done.returncode, 0, done.stderr)
            exported = pq.read_table(space.path("export/rows-C2.parquet"))
            self.assertEqual(exported.num_rows, len(weights))
            self.assertGreater(len(weights), 20)
            for key, vector in zip(exported["key"].to_pylist(), exported["vector"].to_pylist()):
                widened = (np.array(weights[key], np.uint32) << 16).view(np.float32)
                np.testing.assert_array_equal(np.array(vector, np.float32), widened)

    def test_another_weight_type_is_refused(self):
        with runs.Workspace(BFLOAT16) as space:
            narrow = runs.train(space, "run", "train.max_steps=10")
            with open(space.job, "w") as job:
                job.write(runs.DEEPFM)
            done = runs.weir("train", space.job, f"data.train.uri={space.train}", f"output={space.path('run')}",
                             "train.max_steps=20")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("weight_type", done.stderr)
            wide = runs.train(space, "wide", "train.max_steps=10")
            diff = runs.weir("checkpoint", "diff", narrow["checkpoint"], wide["checkpoint"])
            self.assertNotEqual(diff.returncode, 0)
            self.assertIn("weights in bfloat16", diff.stdout + diff.stderr)

    def test_it_learns_as_float32_does(self):
        auc = {}
        for name, job in (("float32", runs.DEEPFM), ("bfloat16", BFLOAT16)):
            with runs.Workspace(job) as space:
                runs.train(space, "run", f"data.eval.uri={space.eval}", "train.epochs=3")
                with open(space.path("run/metrics.jsonl")) as lines:
                    auc[name] = [line["auc"] for line in map(json.loads, lines) if line["kind"] == "eval"][-1]
        self.assertGreater(auc["float32"], 0.6)
        self.assertLess(abs(auc["float32"] - auc["bfloat16"]), 0.02, auc)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
