"""Holds the rules for rows to PyTorch's optimizers; row-wise AdaGrad, which PyTorch lacks, to a NumPy statement of FBGEMM's.

Usage: optimizers_torch_test.py TRAIN_ROWS_BINARY
"""
import subprocess
import sys

import numpy as np
import torch

ROWS, STEPS = 12, 25


def touched_rows(rng):
    return rng.choice(ROWS, size=rng.integers(1, ROWS), replace=False)


def make_run(dim, seed):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(ROWS, dim)).astype(np.float32)
    steps = []
    for _ in range(STEPS):
        rows = touched_rows(rng)
        steps.append((rows, rng.normal(size=(len(rows), dim)).astype(np.float32)))
    return weights, steps


def ours(binary, optimizer, weights, steps):
    def text(floats):
        return " ".join("%.9g" % f for f in np.ravel(floats))

    lines = [str(len(weights)), text(weights), str(len(steps))]
    for rows, gradients in steps:
        lines.append(str(len(rows)))
        lines += [f"{row} {text(gradient)}" for row, gradient in zip(rows, gradients)]
    output = subprocess.run([binary, optimizer, str(weights.shape[1])], input="\n".join(lines) + "\n",
                            capture_output=True, text=True, check=True, timeout=60).stdout
    # The table hands rows out by key within its only shard.
    return np.array([line.split() for line in output.splitlines()], dtype=np.float32)


def torch_dense(make, weights, steps, decay):
    """A rule whose dense form leaves rows without gradient as they are, but for decay, which here acts on touched rows."""
    parameter = torch.nn.Parameter(torch.from_numpy(weights.copy()))
    optimizer = make([parameter])
    for rows, gradients in steps:
        parameter.grad = torch.zeros_like(parameter)
        parameter.grad[rows] = torch.from_numpy(gradients) + decay * parameter.detach()[rows]
        optimizer.step()
    return parameter.detach().numpy(), optimizer.state[parameter]


def torch_sparse_adam(weights, steps, decay, **options):
    parameter = torch.nn.Parameter(torch.from_numpy(weights.copy()))
    optimizer = torch.optim.SparseAdam([parameter], **options)
    for rows, gradients in steps:
        values = torch.from_numpy(gradients) + decay * parameter.detach()[rows]
        parameter.grad = torch.sparse_coo_tensor(torch.from_numpy(rows)[None, :], values, parameter.shape,
                                                 check_invariants=True)
        optimizer.step()
    return parameter.detach().numpy(), optimizer.state[parameter]


def numpy_rowwise_adagrad(weights, steps, lr, eps, decay):
    w, total = weights.astype(np.float64), np.zeros((len(weights), 1))
    for rows, gradients in steps:
        g = gradients + decay * w[rows]
        total[rows] += (g * g).mean(axis=1, keepdims=True)
        w[rows] -= lr / (np.sqrt(total[rows]) + eps) * g
    return w, total


def check(what, actual, expected):
    assert actual.shape == expected.shape, f"{what}: expected shape {expected.shape}, found {actual.shape}"
    worst = np.max(np.abs(actual - expected) / np.maximum(1, np.abs(expected)))
    assert worst <= 1e-6, f"{what}: expected to agree within 1e-6, found {worst:.3g}"
    print(f"{what}: worst difference {worst:.3g}")


def check_rules(binary, dim, decay, seed):
    weights, steps = make_run(dim, seed)
    common = f"weight_decay: {decay} "
    name = f"dim {dim}, decay {decay}"

    expected, _ = torch_dense(lambda p: torch.optim.SGD(p, lr=0.1), weights, steps, decay)
    check(f"sgd, {name}", ours(binary, common + "learning_rate: 0.1 sgd {}", weights, steps), expected)

    expected, state = torch_dense(
        lambda p: torch.optim.Adagrad(p, lr=0.1, initial_accumulator_value=0.2, eps=1e-3), weights, steps, decay)
    actual = ours(binary, common + "learning_rate: 0.1 adagrad { initial_accumulator: 0.2 eps: 1e-3 }", weights, steps)
    check(f"adagrad, {name}", actual, np.hstack([expected, state["sum"].numpy()]))

    expected, state = torch_sparse_adam(weights, steps, decay, lr=0.05, betas=(0.8, 0.95), eps=1e-4)
    actual = ours(binary, common + "learning_rate: 0.05 adam { beta1: 0.8 beta2: 0.95 eps: 1e-4 }", weights, steps)
    check(f"adam, {name}", actual, np.hstack([expected, state["exp_avg"].numpy(), state["exp_avg_sq"].numpy()]))

    expected, total = numpy_rowwise_adagrad(weights, steps, 0.1, 1e-3, decay)
    actual = ours(binary, common + "learning_rate: 0.1 rowwise_adagrad { eps: 1e-3 }", weights, steps)
    check(f"rowwise_adagrad, {name}", actual, np.hstack([expected, total]))


def main():
    binary = sys.argv[1]
    for dim in (1, 5, 16):
        for decay in (0, 0.03):
            check_rules(binary, dim, decay, seed=dim)


main()
