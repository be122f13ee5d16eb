"""Holds features of every pooling under each model to plain PyTorch: logits, and the gradient of every row."""
import json
import os
import subprocess
import unittest

import torch
from torch import nn

from torch_parity_test import DLRM, DeepFM, LogisticRegression

TOLERANCE = 1e-5
DUMP = os.path.join(os.environ["WEIR_BINARY_DIR"], "tests", "pooled_dump")
VECTORS = 7  # four poolings of one vector, and a sequence of three


def pool(feature, table):
    """[samples, vectors, dim], one sample after the other."""
    length = max(feature["max_length"], 1)
    zero = torch.zeros(table.shape[1])
    pooled = []
    for begin, end in zip(feature["offsets"], feature["offsets"][1:]):
        rows = [table[key] for key in feature["values"][begin:end]]
        if feature["pooling"] == "NONE":
            pooled.append(torch.stack((rows + [zero] * length)[:length]))
            continue
        if not rows:
            pooled.append(zero.unsqueeze(0))
            continue
        stack = torch.stack(rows)
        if feature["pooling"] == "WEIGHTED_SUM":
            stack = stack * torch.tensor(feature["weights"][begin:end]).unsqueeze(1)
        pooled.append({
            "SUM": lambda: stack.sum(0),
            "WEIGHTED_SUM": lambda: stack.sum(0),
            "MEAN": lambda: stack.mean(0),
            "MAX": lambda: stack.max(0).values,
        }[feature["pooling"]]().unsqueeze(0))
    return torch.stack(pooled)


class PooledParityTest(unittest.TestCase):
    def near(self, ours, theirs, what):
        self.assertEqual(ours.shape, theirs.shape, what)
        self.assertLessEqual((ours - theirs).abs().max().item(), TOLERANCE, what)

    def check(self, net, numeric, dim, samples, model):
        arguments = [DUMP, str(numeric), str(dim), str(samples), model]
        found = json.loads(subprocess.run(arguments, check=True, stdout=subprocess.PIPE, timeout=60).stdout)
        net.load_state_dict({
            net.place(name): torch.tensor(entry["values"]).reshape(entry["shape"])
            for name, entry in found["parameters"].items()
        })
        tables = [torch.tensor(found[f"rows{t}"]).reshape(-1, dim).requires_grad_() for t in range(3)]
        self.assertEqual({f["pooling"] for f in found["features"]}, {"SUM", "MEAN", "WEIGHTED_SUM", "MAX", "NONE"})
        pooled = torch.cat([pool(f, tables[f["table"]]).flatten(1) for f in found["features"]], 1)
        self.assertEqual(pooled.shape, (samples, VECTORS * dim))
        logits = net(torch.tensor(found["numeric"], dtype=torch.float32).reshape(samples, numeric), pooled)
        nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor(found["labels"], dtype=torch.float32)).backward()
        self.near(torch.tensor(found["logits"]), logits, "logits in training")
        self.near(torch.tensor(found["evaluated"]), logits, "logits in evaluation")
        for t, table in enumerate(tables):
            gradient = torch.tensor(found[f"gradients{t}"]).reshape(-1, dim)
            self.assertGreater(gradient.abs().max().item(), 1e-4)
            self.near(gradient, table.grad, f"gradient of the rows of table {t}")

    def test_logistic_regression(self):
        self.check(LogisticRegression(VECTORS, 2, 1), 2, 1, 60, "logistic_regression {}")

    def test_deepfm(self):
        for numeric in (0, 2):
            net = DeepFM(VECTORS, numeric, 9, [16, 8])
            self.check(net, numeric, 9, 60, "deepfm { hidden: 16 hidden: 8 }")

    def test_dlrm(self):
        for numeric in (0, 2):
            net = DLRM(VECTORS, numeric, 16, [12], [24, 8])
            self.check(net, numeric, 16, 60, "dlrm { bottom: 12 top: 24 top: 8 }")


if __name__ == "__main__":
    unittest.main()
