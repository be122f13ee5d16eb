"""End to end: train, export, and score with plain PyTorch; `weir predict` has to give the same scores, and `weir eval`
their loss."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from score import ExportedModel

WEIR = os.path.join(os.environ["WEIR_BINARY_DIR"], "weir")
TOLERANCE = 1e-5

DATA = """
data { label { column: "label" } streams: 2 shuffle_rows: 256 }
train { batch_size: 64 epochs: 2 seed: 5 threads: 1 }
optimizers {
  rows { learning_rate: 0.05 rowwise_adagrad {} }
  dense { learning_rate: 0.01 adam {} }
}
"""

# Every transform and pooling of the schema, lists and features that share a table.
FEATURES = """
features { name: "user" sparse {} }
features { name: "text" sparse { table: "words" default_value: "none" } }
features { name: "words" sparse { table: "words" split: " " pooling: MEAN } }
features { name: "tags" sparse { buckets: 37 } }
features { name: "age_group" column: "age" sparse { boundaries: [18, 30, 50] default_value: "-1" } }
features { name: "slot" sparse { identity: true } }
features { name: "best_tag" column: "tags" sparse { table: "tags" buckets: 37 pooling: MAX } }
features {
  name: "visits"
  sparse { pooling: WEIGHTED_SUM weight_column: "visit_shares" default_value: "-7" }
}
features { name: "history" column: "visits" sparse { table: "visits" pooling: NONE max_length: 3 } }
features { name: "queries" sparse { table: "words" split: "|" pooling: WEIGHTED_SUM weight_column: "query_weights" } }
features { name: "place" sparse { table: "slot" default_value: "3" pooling: WEIGHTED_SUM weight_column: "nearness" } }
features { name: "age" numeric { default_value: 33 clip_min: 5 clip_max: 70 standard { mean: 40 stddev: 15 } } }
features { name: "spent" numeric { log: true } }
columns { name: "hour" from: "at" time {} }
columns { name: "age_bin" from: "age" bucketize { quantiles { buckets: 4 stats_file: "STATS" } } }
columns { name: "age_x_hour" from: ["age_bin", "hour"] cross {} }
columns { name: "kinds" from: "visits" lookup { uri: "ITEMS" key: "id" value: "kind" } }
columns { name: "vector" from: "user" lookup { uri: "ITEMS" key: "id" value: "vector" } }
columns { name: "waited" from: ["since", "at"] lag {} }
columns { name: "kind_places" from: "kinds" vocabulary { path: "KINDS" } }
features { name: "age_x_hour" sparse { table: "age_group" } }
features { name: "seen" column: "visits" sparse { table: "visits" pooling: NONE max_length: 2 keep: LAST group: "seen" } }
features {
  name: "seen_kinds"
  column: "kind_places"
  sparse { table: "visits" pooling: NONE max_length: 2 keep: LAST group: "seen" default_value: "-3" }
}
features { name: "vector" numeric { length: 3 default_value: 0.25 clip_max: 1 } }
features { name: "waited" numeric { log: true standard { stats_file: "STATS" } } }
features { name: "rank" column: "age_bin" numeric { min_max { max: 3 } } }
tables { name: "[TABLES]" dim: DIM INITIALIZER }
"""

TABLES = ["user", "words", "tags", "age_group", "slot", "visits"]


def job(model, dim, initializer):
    features, table = FEATURES[: FEATURES.index("tables {")], FEATURES[FEATURES.index("tables {") :]
    table = table.replace("DIM", str(dim)).replace("INITIALIZER", initializer)
    return features + "".join(table.replace("[TABLES]", name) for name in TABLES) + DATA + f"model {{ {model} }}\n"


def table(rows, seed, users):
    rng = np.random.default_rng(seed)
    words = ["river", "weir", "lake", "", "sluice gate", "überlauf", "a word of more than sixteen bytes"]
    user = rng.integers(-users, users, rows)
    age = [None if x < 0 else int(x) for x in rng.integers(-5, 90, rows)]
    visits = [[int(v) for v in rng.integers(0, 40, n)] for n in rng.integers(0, 6, rows)]
    shares = [[float(w) for w in rng.normal(0, 1, len(v))] for v in visits]
    queries = [[str(q) for q in rng.choice(words, n)] for n in rng.integers(0, 4, rows)]
    queries = [q + ["end"] if q[-1:] == [""] else q for q in queries]  # nothing stands after a separator at the end
    logit = np.sin(user) + np.array([0 if a is None else a / 40 - 1 for a in age])
    logit += [sum(w * np.cos(v) for v, w in zip(*row)) for row in zip(visits, shares)]
    return pa.table({
        "label": (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int32),
        "user": pa.array(user, pa.int32()),
        "text": pa.array([None if i == 0 else words[i] for i in rng.integers(0, len(words), rows)]),
        "words": pa.array([" ".join(rng.choice(words, n)) for n in rng.integers(0, 4, rows)]),
        "tags": pa.array([[int(t) for t in rng.integers(0, 500, n)] for n in rng.integers(0, 5, rows)]),
        "age": pa.array(age, pa.int16()),
        "slot": pa.array(rng.integers(0, 1 << 63, rows, dtype=np.uint64) >> rng.integers(55, 63, rows).astype(np.uint64),
                         pa.uint64()),
        "spent": pa.array(rng.normal(0, 100, rows)),
        "visits": pa.array([None if i % 17 == 0 else v for i, v in enumerate(visits)], pa.list_(pa.int32())),
        "visit_shares": pa.array([None if i % 17 == 0 else w for i, w in enumerate(shares)], pa.list_(pa.float32())),
        "queries": pa.array(["|".join(q) for q in queries]),
        "query_weights": pa.array(["|".join(f"{w:.3f}" for w in rng.normal(0, 1, len(q))) for q in queries]),
        "place": pa.array([None if p == 9 else int(p) for p in rng.integers(0, 10, rows)], pa.int64()),
        "nearness": pa.array(rng.integers(-2, 3, rows), pa.int8()),
        "since": pa.array(rng.integers(0, 1_000_000, rows), pa.int64()),
        "at": pa.array([None if t % 11 == 0 else int(t) for t in rng.integers(0, 1_000_000, rows)], pa.int64()),
    })


def items():
    """What is known of users and visits by id; not of all."""
    rng = np.random.default_rng(3)
    ids = [i for i in range(-100, 100) if i % 9]
    return pa.table({
        "id": pa.array(ids, pa.int64()),
        "kind": pa.array([f"kind {i % 5}" for i in ids]),
        "vector": pa.array([None if i % 7 == 0 else [float(x) for x in rng.normal(0, 1, 3)] for i in ids]),
    })


def stats(data):
    """As `weir stats --json` writes it, as far as a job looks."""
    def column(name):
        x = np.array([v for v in data[name].to_pylist() if v is not None], dtype=np.float64)
        quantiles = [{"q": i / 1000, "value": float(np.quantile(x, i / 1000))} for i in range(1001)]
        return {"name": name, "values": len(x), "min": x.min(), "max": x.max(), "mean": x.mean(), "stddev": x.std(),
                "quantiles": quantiles}
    names = {"age": "age", "waited": "since"}
    columns = [{**column(source), "name": name} for name, source in names.items()]
    return {"format": "weir.stats", "version": 1, "columns": columns}


class ScoreTest(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="weir-score-")
        self.addCleanup(shutil.rmtree, self.root)
        pq.write_table(table(2000, 1, users=100), self.path("train.parquet"), row_group_size=300)
        pq.write_table(items(), self.path("items.parquet"))
        with open(self.path("stats.json"), "w", encoding="utf-8") as f:
            json.dump(stats(table(2000, 1, users=100)), f)
        with open(self.path("kinds.txt"), "w", encoding="utf-8") as f:
            f.write("".join(f"kind {i}\n" for i in (3, 1, 4, 0, 2)))
        self.unseen = table(500, 2, users=150)  # a third of the users have no row
        pq.write_table(self.unseen, self.path("unseen.parquet"))

    def path(self, name):
        return os.path.join(self.root, name)

    def weir(self, *arguments):
        done = subprocess.run([WEIR, *arguments], capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-4000:])
        return done.stdout

    def check(self, model, dim, initializer):
        text = job(model, dim, initializer)
        for name, file in {"STATS": "stats.json", "ITEMS": "items.parquet", "KINDS": "kinds.txt"}.items():
            text = text.replace(f'"{name}"', f'"{self.path(file)}"')
        with open(self.path("job.textproto"), "w", encoding="utf-8") as f:
            f.write(text)
        run, exported, scores = self.path("run"), self.path("exported"), self.path("scores.parquet")
        self.weir("train", self.path("job.textproto"), f"output={run}", f"data.train.uri={self.path('train.parquet')}")
        # What was learned, and the vocabulary, are in the checkpoint.
        for file in ("stats.json", "kinds.txt"):
            os.remove(self.path(file))
        self.weir("export", run, "--out", exported)
        self.weir("predict", run, "--out", scores, "--columns", "user", f"data.eval.uri={self.path('unseen.parquet')}")
        report = self.weir("eval", run, f"data.eval.uri={self.path('unseen.parquet')}")
        found = pq.read_table(scores)
        self.assertEqual(found["user"].to_pylist(), self.unseen["user"].to_pylist())
        predicted = found["score"].to_numpy()
        net = ExportedModel(exported)
        expected = net.score(self.unseen)
        self.assertLessEqual(np.abs(predicted - expected).max(), TOLERANCE)
        self.assertGreater(np.std(expected), 0.02)  # the model tells samples apart
        labels, p = self.unseen["label"].to_numpy(), predicted.astype(np.float64)
        logloss = -np.mean(np.where(labels == 1, np.log(p), np.log(1 - p)))
        self.assertAlmostEqual(json.loads(report.strip().splitlines()[-1])["logloss"], logloss, delta=TOLERANCE)
        self.assertGreater(net.tables["user"].misses, 50)
        self.assertEqual(net.tables["age_group"].misses, 0)

    def test_files_are_those_of_the_training(self):
        self.check("logistic_regression {}", 1, "initializer { constant { value: 0.01 } }")
        os.rename(self.path("items.parquet"), self.path("moved.parquet"))
        predict = ["predict", self.path("run"), "--out", self.path("again.parquet"),
                   f"data.eval.uri={self.path('unseen.parquet')}"]
        places = [f"columns[{i}].lookup.uri={self.path('moved.parquet')}" for i in (3, 4)]
        self.weir(*predict, *places)
        self.assertTrue(pq.read_table(self.path("again.parquet"))["score"].equals(
            pq.read_table(self.path("scores.parquet"))["score"]))
        pq.write_table(items().slice(1), self.path("moved.parquet"))
        predict[3] = self.path("third.parquet")
        done = subprocess.run([WEIR, *predict, *places], capture_output=True, text=True, timeout=120, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("expected the file that the job was made with", done.stderr)

    def test_logistic_regression(self):
        self.check("logistic_regression {}", 1, "initializer { constant { value: 0.01 } }")

    def test_deepfm(self):
        self.check("deepfm { hidden: [16, 8] dropout: 0.2 }", 5, "")

    def test_dlrm(self):
        self.check("dlrm { bottom: [8] top: [16, 8] }", 4, "initializer { uniform { scale: 0.2 } }")


if __name__ == "__main__":
    unittest.main()
