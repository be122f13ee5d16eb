"""Holds the models to the same nets written in plain PyTorch: forward, loss and gradients from the same weights."""
import json
import os
import subprocess
import unittest

import torch
from torch import nn

TOLERANCE = 1e-5
DUMP = os.path.join(os.environ["WEIR_BINARY_DIR"], "tests", "model_dump")


def mlp(widths, relu_last):
    layers = []
    for i, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        layers.append(nn.Linear(inputs, outputs))
        if relu_last or i + 2 < len(widths):
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class LogisticRegression(nn.Module):
    def __init__(self, sparse, numeric, dim):
        super().__init__()
        self.linear = nn.Linear(numeric, 1) if numeric else None
        self.bias = None if numeric else nn.Parameter(torch.zeros(1))

    def forward(self, numeric, pooled):
        dense = self.linear(numeric).squeeze(1) if self.linear else self.bias
        return pooled.sum(1) + dense

    def place(self, name):
        return f"linear.{name}" if self.linear else name


class DeepFM(nn.Module):
    def __init__(self, sparse, numeric, dim, hidden):
        super().__init__()
        self.sparse, self.dim = sparse, dim
        if numeric:
            self.numeric_weight = nn.Parameter(torch.zeros(numeric))
            self.numeric_factors = nn.Parameter(torch.zeros(numeric, dim - 1))
        self.deep = mlp([(sparse + numeric) * (dim - 1), *hidden, 1], False)

    def forward(self, numeric, pooled):
        rows = pooled.view(-1, self.sparse, self.dim)
        first, factors = rows[:, :, 0].sum(1), [rows[:, i, 1:] for i in range(self.sparse)]
        for j in range(numeric.shape[1]):
            first = first + numeric[:, j] * self.numeric_weight[j]
            factors.append(numeric[:, j : j + 1] * self.numeric_factors[j])
        pairs = 0
        for i in range(len(factors)):
            for j in range(i):
                pairs = pairs + (factors[i] * factors[j]).sum(1)
        return first + pairs + self.deep(torch.cat(factors, 1)).squeeze(1)

    def place(self, name):
        return sequential_place(name)


class DLRM(nn.Module):
    def __init__(self, sparse, numeric, dim, bottom, top):
        super().__init__()
        self.sparse, self.dim = sparse, dim
        n = sparse + (1 if numeric else 0)
        self.bottom = mlp([numeric, *bottom, dim], True) if numeric else None
        self.top = mlp([(dim if numeric else 0) + n * (n - 1) // 2, *top, 1], False)
        self.low, self.high = torch.tril_indices(n, n, -1)

    def forward(self, numeric, pooled):
        t = pooled.view(-1, self.sparse, self.dim)
        x = [self.bottom(numeric)] if self.bottom else []
        t = torch.cat([v.unsqueeze(1) for v in x] + [t], 1)
        z = torch.bmm(t, t.transpose(1, 2))[:, self.low, self.high]
        return self.top(torch.cat(x + [z], 1)).squeeze(1)

    def place(self, name):
        return sequential_place(name)


def sequential_place(name):
    """nn.Sequential counts the ReLUs between its layers: layer i of ours is its 2 i."""
    parts = name.split(".")
    return ".".join([parts[0], str(2 * int(parts[1])), parts[2]]) if len(parts) == 3 else name


def dump(sparse, numeric, dim, samples, model):
    arguments = [DUMP, str(sparse), str(numeric), str(dim), str(samples), model]
    output = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, timeout=60).stdout
    return {
        name: torch.tensor(entry["values"], dtype=torch.float32).reshape(entry["shape"])
        for name, entry in json.loads(output).items()
    }


class TorchParityTest(unittest.TestCase):
    def near(self, ours, theirs, what):
        self.assertEqual(ours.shape, theirs.shape, what)
        worst = (ours - theirs).abs().max().item()
        self.assertLessEqual(worst, TOLERANCE, what)

    def check(self, net, sparse, numeric, dim, samples, model):
        found = dump(sparse, numeric, dim, samples, model)
        parameters = {
            net.place(name.removeprefix("parameter/")): value
            for name, value in found.items()
            if name.startswith("parameter/")
        }
        net.load_state_dict(parameters)  # strict: every name and shape is the same
        pooled = found["pooled"].requires_grad_()
        logits = net(found["numeric"], pooled)
        losses = nn.functional.binary_cross_entropy_with_logits(
            logits, found["labels"], weight=found["weights"], reduction="sum"
        )
        loss = losses / found["weights"].sum()
        loss.backward()
        self.near(found["logits"], logits, "logits in training")
        self.near(found["evaluated"], logits, "logits in evaluation")
        self.near(found["loss"], loss, "loss")
        self.near(found["pooled.grad"], pooled.grad, "gradient of the pooled rows")
        gradients = {name: p.grad for name, p in net.named_parameters()}
        self.assertEqual(len(gradients), len(parameters))
        for name, value in found.items():
            if name.startswith("gradient/"):
                self.near(value, gradients[net.place(name.removeprefix("gradient/"))], name)

    def test_logistic_regression(self):
        for numeric in (0, 3):
            self.check(LogisticRegression(4, numeric, 1), 4, numeric, 1, 50, "logistic_regression {}")

    def test_deepfm(self):
        for numeric in (0, 3):
            net = DeepFM(5, numeric, 9, [32, 16])
            self.check(net, 5, numeric, 9, 70, "deepfm { hidden: 32 hidden: 16 }")

    def test_deepfm_without_hidden_layers(self):
        self.check(DeepFM(2, 1, 2, []), 2, 1, 2, 5, "deepfm {}")

    def test_dlrm(self):
        for numeric in (0, 3):
            net = DLRM(6, numeric, 8, [24, 12], [32, 16])
            self.check(net, 6, numeric, 8, 70, "dlrm { bottom: 24 bottom: 12 top: 32 top: 16 }")

    def test_dlrm_of_criteo(self):
        net = DLRM(26, 13, 16, [512, 256, 64], [512, 256])
        model = "dlrm { bottom: [512, 256, 64] top: [512, 256] }"
        self.check(net, 26, 13, 16, 33, model)


if __name__ == "__main__":
    unittest.main()
