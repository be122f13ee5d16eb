"""Holds AUC, logloss and calibration over 1 to 4 workers to scikit-learn."""

import json
import os
import subprocess
import tempfile
import unittest

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

MEASURE = os.path.join(os.environ["WEIR_BINARY_DIR"], "tests", "measure")


def measure(logits, labels, weights, workers):
    with tempfile.NamedTemporaryFile() as file:
        np.column_stack([logits, labels, weights]).astype("<f4").tofile(file)
        file.flush()
        done = subprocess.run([MEASURE, file.name, str(workers)], capture_output=True, text=True, timeout=100, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


class AucTest(unittest.TestCase):
    def check(self, logits, labels, weights, workers_counts=(1, 2, 3, 4)):
        logits, labels, weights = (np.asarray(values, np.float32) for values in (logits, labels, weights))
        wide = logits.astype(np.float64)
        probabilities = 1 / (1 + np.exp(-wide))
        expected = {
            "samples": len(logits),
            "auc": roc_auc_score(labels, logits, sample_weight=weights) if len(set(labels)) == 2 else None,
            "logloss": log_loss(labels, probabilities, sample_weight=weights.astype(np.float64), labels=[0, 1]),
            "calibration": (
                np.average(probabilities, weights=weights) / np.average(labels, weights=weights)
                if np.dot(labels, weights) > 0
                else None
            ),
        }
        for workers in workers_counts:
            found = measure(logits, labels, weights, workers)
            self.assertEqual(found.keys(), expected.keys())
            for name, value in expected.items():
                with self.subTest(name=name, workers=workers):
                    if value is None:
                        self.assertIsNone(found[name])
                    else:
                        self.assertAlmostEqual(found[name], value, delta=1e-7 if name == "calibration" else 1e-10)

    def setUp(self):
        self.random = np.random.default_rng(20240607)

    def labels_for(self, logits):
        return self.random.random(len(logits)) < 1 / (1 + np.exp(-logits))

    def test_scores_all_different(self):
        logits = self.random.normal(size=20_000)
        self.check(logits, self.labels_for(logits), np.ones(len(logits)))

    def test_ties_and_weights(self):
        logits = np.round(self.random.normal(size=20_000), 1)
        self.check(logits, self.labels_for(logits), self.random.exponential(size=len(logits)))

    def test_some_weights_are_zero(self):
        logits = self.random.normal(size=2000)
        self.check(logits, self.labels_for(logits), self.random.integers(0, 3, size=len(logits)))

    def test_one_score(self):
        self.check(np.full(1000, 0.25), self.random.integers(0, 2, size=1000), np.ones(1000))

    def test_one_class(self):
        self.check(self.random.normal(size=100), np.zeros(100), np.ones(100))
        self.check(self.random.normal(size=100), np.ones(100), np.ones(100))

    def test_a_million_with_few_scores(self):
        logits = self.random.integers(-8, 8, size=1_000_000) / 4
        self.check(logits, self.labels_for(logits), np.ones(len(logits)), workers_counts=(1, 3))

    def test_rare_positives(self):
        logits = self.random.normal(loc=-6, size=100_000)
        self.check(logits, self.labels_for(logits), np.ones(len(logits)), workers_counts=(1, 4))


if __name__ == "__main__":
    unittest.main(verbosity=2)
