"""A run gives the same bits wherever its rows live, and however often it is stopped (docs: determinism)."""
import glob
import sys
import unittest

import numpy as np
import pyarrow as pa

import runs


def differences(a, b):
    done = runs.weir("checkpoint", "diff", a["checkpoint"], b["checkpoint"])
    return done.returncode, done.stdout + done.stderr


def rows(checkpoint):
    """{(table file's table, key): weights} and {dense tensor: values} of a checkpoint."""
    weights, dense = {}, {}
    for path in glob.glob(checkpoint + "/*.arrow"):
        with pa.ipc.open_file(path) as reader:
            data = reader.read_all()
            if "key" in data.column_names:
                name = reader.schema.metadata[b"weir.table"]
                width = data.column("weights").type.list_size
                values = np.concatenate([np.asarray(c.flatten()) for c in data.column("weights").chunks] or
                                        [np.zeros(0, np.float32)]).reshape(-1, width)
                for key, row in zip(data.column("key").to_pylist(), values):
                    weights[name, key] = row
            else:
                for row in data.to_pylist():
                    values = row["values"]
                    dense[row["name"]] = (np.frombuffer(values, np.float32) if isinstance(values, bytes)
                                          else np.asarray(values, np.float32))
    return weights, dense


class SameBits(unittest.TestCase):
    jobs = {"deepfm": runs.DEEPFM, "dlrm": runs.DLRM}

    def check_equal(self, a, b, what):
        code, text = differences(a, b)
        self.assertEqual(code, 0, f"{what}:\n{text}")

    def test_one_worker_anywhere(self):
        for name, job in self.jobs.items():
            with runs.Workspace(job) as space:
                alone = runs.train(space, "alone", "train.max_steps=50")
                self.assertEqual(alone["steps"], 50)
                for servers in (0, 1, 3):
                    served = runs.train(space, f"served{servers}", "train.max_steps=50", workers=1, servers=servers)
                    self.check_equal(alone, served, f"{name}: one process against 1 worker, {servers} servers")
                other = runs.train(space, "other", "train.max_steps=50", "train.seed=8")
                self.assertNotEqual(differences(alone, other)[0], 0, "another seed must give other bits")

    def test_two_workers_anywhere(self):
        for name, job in self.jobs.items():
            with runs.Workspace(job) as space:
                colocated = runs.train(space, "colocated", "train.max_steps=50", workers=2)
                for servers in (1, 3):
                    served = runs.train(space, f"served{servers}", "train.max_steps=50", workers=2, servers=servers)
                    self.check_equal(colocated, served, f"{name}: 2 workers, 0 against {servers} servers")

    def test_buckets_of_gradients_change_no_bit(self):
        with runs.Workspace(runs.DLRM) as space:
            whole = runs.train(space, "whole", "train.max_steps=50", workers=2)
            cut = runs.train(space, "cut", "train.max_steps=50", "cluster.gradient_bucket_bytes=1", workers=2)
            self.check_equal(whole, cut, "one bucket against one a parameter")

    def check_close(self, a, b):
        (weights1, dense1), (weights2, dense2) = rows(a["checkpoint"]), rows(b["checkpoint"])
        self.assertEqual(weights1.keys(), weights2.keys())
        self.assertGreater(len(weights1), 100)
        self.assertEqual(dense1.keys(), dense2.keys())
        for key, row in weights1.items():
            self.assertLessEqual(np.abs(row - weights2[key]).max(), 1e-4, key)
        for tensor, values in dense1.items():
            self.assertLessEqual(np.abs(values - dense2[tensor]).max(), 1e-4, tensor)

    def test_the_library_s_order_differs_by_rounding(self):
        sgd = runs.DEEPFM.replace("adam {}", "sgd {}")
        with runs.Workspace(sgd) as space:
            for servers in (0, 1):
                ranks = runs.train(space, f"ranks{servers}", "train.max_steps=50", workers=3, servers=servers)
                library = runs.train(space, f"library{servers}", "train.max_steps=50", "cluster.all_reduce=LIBRARY",
                                     "cluster.gradient_bucket_bytes=1", workers=3, servers=servers)
                self.check_close(ranks, library)

    def test_two_workers_do_what_one_does(self):
        sgd = runs.DEEPFM.replace("adam {}", "sgd {}")
        with runs.Workspace(sgd) as space:
            one = runs.train(space, "one", "train.max_steps=50")
            two = runs.train(space, "two", "train.max_steps=50", workers=2, servers=1)
            self.check_close(one, two)

    def test_stopped_and_resumed(self):
        for workers, servers, then_servers in ((0, 0, 0), (1, 0, 0), (1, 1, 3), (2, 0, 0), (2, 3, 1)):
            with runs.Workspace() as space:
                straight = runs.train(space, "straight", "train.max_steps=50", workers=workers, servers=servers)
                first = runs.train(space, "halves", "train.max_steps=25", workers=workers, servers=servers)
                self.assertEqual(first["steps"], 25)
                second = runs.train(space, "halves", "train.max_steps=50", workers=workers, servers=then_servers)
                self.check_equal(straight, second, f"{workers} workers, {servers} then {then_servers} servers")

    def test_across_an_epoch(self):
        with runs.Workspace() as space:
            straight = runs.train(space, "straight", "train.epochs=2")
            self.assertEqual(straight["samples"], 6400)
            runs.train(space, "halves", "train.epochs=2", "train.max_steps=60")
            second = runs.train(space, "halves", "train.epochs=2", workers=1, servers=2)
            self.check_equal(straight, second, "stopped within the second epoch")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
