"""weir eval gives what training reported, from any checkpoint, with any number of ranks."""
import json
import os
import sys
import unittest

import runs

FIELDS = {"samples", "samples_per_s", "peak_rss_bytes", "steps", "logloss", "auc", "rows", "bad_rows",
          "checkpoint"}


class Eval(unittest.TestCase):
    def evaluate(self, *args, ranks=0):
        done = runs.weir("eval", *args, ranks=ranks)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout.strip().splitlines()[-1])
        self.assertTrue(FIELDS <= report.keys())
        return report

    def test_any_ranks_find_what_training_found(self):
        with runs.Workspace() as space:
            trained = runs.train(space, "out", f"data.eval.uri={space.eval}", "train.epochs=3", workers=2, servers=2)
            self.assertEqual(trained.keys(), FIELDS)
            alone = self.evaluate(trained["checkpoint"])
            self.assertEqual(alone["samples"], 1000)
            self.assertAlmostEqual(alone["auc"], trained["auc"], delta=1e-6)
            self.assertAlmostEqual(alone["logloss"], trained["logloss"], delta=1e-6)
            for workers, servers in ((2, 1), (1, 3), (2, 0)):
                served = self.evaluate(space.path("out"), f"cluster.servers={servers}", ranks=workers + servers)
                self.assertAlmostEqual(served["auc"], alone["auc"], delta=1e-6)
                self.assertAlmostEqual(served["logloss"], alone["logloss"], delta=1e-6)
                self.assertEqual((served["samples"], served["steps"]), (alone["samples"], alone["steps"]))

    def test_other_data(self):
        with runs.Workspace() as space:
            trained = runs.train(space, "out", "train.max_steps=20")
            self.assertEqual((trained["auc"], trained["logloss"]), (None, None))
            self.assertEqual(self.evaluate(space.path("out"), f"data.eval.uri={space.train}")["samples"], 3200)

    def test_messages(self):
        with runs.Workspace() as space:
            runs.train(space, "out", "train.max_steps=20")
            no_data = runs.weir("eval", space.path("out"))
            self.assertEqual(no_data.returncode, 1)
            self.assertIn("data.eval.uri", no_data.stderr)
            other_net = runs.weir("eval", space.path("out"), f"data.eval.uri={space.eval}",
                                  "model.deepfm.hidden=4")
            self.assertEqual(other_net.returncode, 1)
            self.assertIn("hidden", other_net.stderr)
            nothing = runs.weir("eval", space.path("nothing"), ranks=2)
            self.assertNotEqual(nothing.returncode, 0)
            self.assertIn("NotFound", nothing.stderr)

    def test_damaged_newest_commit_is_set_aside(self):
        with runs.Workspace() as space:
            runs.train(space, "out", "train.max_steps=40", "checkpoint.every_steps=20")
            newest = space.path("out/checkpoints/step-40")
            rows = next(n for n in sorted(os.listdir(newest)) if n.startswith("rows-"))
            with open(os.path.join(newest, rows), "r+b") as f:
                f.seek(os.path.getsize(f.name) // 2)
                byte = f.read(1)[0]
                f.seek(-1, os.SEEK_CUR)
                f.write(bytes([byte ^ 1]))
            resumed = runs.train(space, "out", "train.max_steps=50")
            straight = runs.train(space, "straight", "train.max_steps=50")
            diff = runs.weir("checkpoint", "diff", resumed["checkpoint"], straight["checkpoint"])
            self.assertEqual(diff.returncode, 0, diff.stdout)
            self.assertTrue(any(n.startswith("step-40.bad-") for n in os.listdir(space.path("out/checkpoints"))))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
