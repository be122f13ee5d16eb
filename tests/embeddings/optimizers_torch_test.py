"""Holds the rules for rows to PyTorch's optimizers. Those that PyTorch lacks: row-wise AdaGrad to a NumPy statement of
FBGEMM's, FTRL to statements in Python's float64.

Usage: optimizers_torch_test.py TRAIN_ROWS_BINARY
"""
import math
import subprocess
import sys

import numpy as np
import torch

ROWS, STEPS = 12, 25


def touched_rows(rng):
    return rng.choice(ROWS, size=rng.integers(1, ROWS), replace=False)


def make_run(dim, seed, every_row=False):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(ROWS, dim)).astype(np.float32)
    steps = []
    for _ in range(STEPS):
        rows = np.arange(ROWS) if every_row else touched_rows(rng)
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


def torch_row_by_row(make, weights, steps, clip=lambda parameter: None):
    """Each row a parameter of its own, which steps when it is touched: what lazy rules without bias correction do."""
    parameters = [torch.nn.Parameter(torch.from_numpy(row.copy())) for row in weights]
    optimizers = [make([parameter]) for parameter in parameters]
    for rows, gradients in steps:
        for row, gradient in zip(rows, gradients):
            parameters[row].grad = torch.from_numpy(gradient.copy())
            clip(parameters[row])
            optimizers[row].step()
    found = np.stack([parameter.detach().numpy() for parameter in parameters])
    return found, [optimizer.state[parameter] for optimizer, parameter in zip(optimizers, parameters)]


def states(per_row, name, shape):
    """A state of every row; zeros for one that was never touched."""
    found = [state.get(name) for state in per_row]
    return np.stack([np.zeros(shape, np.float32) if value is None else value.numpy() for value in found])


def python_ftrl(weights, steps, alpha, beta, l1, l2, decay, l21=None):
    """McMahan et al., 2013, Algorithm 1, from the z that belongs to the initial weights; with l21, a row is a group."""
    sign = lambda x: math.copysign(1, x) if x else 0
    shrink = lambda z: 0.0 if abs(z) <= l1 else z - sign(z) * l1
    norm = lambda values: math.sqrt(sum(value * value for value in values))
    curvature = lambda n: (beta + math.sqrt(n)) / alpha + l2
    w = [[float(x) for x in row] for row in weights]
    threshold = (l21 or 0) * math.sqrt(len(w[0]))
    z, n = [[0.0] * len(row) for row in w], [[0.0] * len(row) for row in w]
    seen = set()
    for rows, gradients in steps:
        for row, gradient in zip(rows, gradients):
            wr, zr, nr = w[row], z[row], n[row]
            if row not in seen:
                seen.add(row)
                size = norm([x * curvature(0) for x in wr])
                stretch = 1 + threshold / size if size else 1
                zr[:] = [-x * curvature(0) * stretch - sign(x) * l1 for x in wr]
            for i, x in enumerate(gradient):
                g = float(x) + decay * wr[i]
                sigma = (math.sqrt(nr[i] + g * g) - math.sqrt(nr[i])) / alpha
                zr[i] += g - sigma * wr[i]
                nr[i] += g * g
            size = norm([shrink(x) for x in zr])
            share = 0 if size <= threshold else 1 - threshold / size
            wr[:] = [-shrink(x) * share / curvature(m) for x, m in zip(zr, nr)]
    return np.hstack([np.array(w), np.array(z), np.array(n)])


def check(what, actual, expected, tolerance=1e-6):
    assert actual.shape == expected.shape, f"{what}: expected shape {expected.shape}, found {actual.shape}"
    worst = np.max(np.abs(actual - expected) / np.maximum(1, np.abs(expected)))
    assert worst <= tolerance, f"{what}: expected to agree within {tolerance}, found {worst:.3g}"
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


def check_momentum(binary, dim, decay, seed):
    weights, steps = make_run(dim, seed)
    for nesterov in (False, True):
        expected, state = torch_row_by_row(
            lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.8, nesterov=nesterov, weight_decay=decay), weights, steps)
        actual = ours(binary, f"weight_decay: {decay} learning_rate: 0.02 "
                      f"momentum {{ momentum: 0.8 nesterov: {str(nesterov).lower()} }}", weights, steps)
        check(f"momentum, dim {dim}, decay {decay}, nesterov {nesterov}", actual,
              np.hstack([expected, states(state, "momentum_buffer", dim)]))


def check_amsgrad(binary, dim, decay, seed):
    """On rows that every step touches: torch.optim.Adam has no lazy form."""
    weights, steps = make_run(dim, seed, every_row=True)
    parameter = torch.nn.Parameter(torch.from_numpy(weights.copy()))
    optimizer = torch.optim.Adam([parameter], lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=decay, amsgrad=True)
    for _, gradients in steps:
        parameter.grad = torch.from_numpy(gradients.copy())
        optimizer.step()
    state = optimizer.state[parameter]
    actual = ours(binary, f"weight_decay: {decay} learning_rate: 0.05 "
                  "adam { beta1: 0.8 beta2: 0.95 eps: 1e-3 amsgrad: true }", weights, steps)
    check(f"amsgrad, dim {dim}, decay {decay}", actual, np.hstack(
        [parameter.detach().numpy()] + [state[k].numpy() for k in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")]),
        tolerance=3e-6)


def check_clipping(binary, dim, decay, seed):
    weights, steps = make_run(dim, seed)

    def clip(parameter, value, norm):
        if value:
            torch.nn.utils.clip_grad_value_([parameter], value)
        if norm:
            torch.nn.utils.clip_grad_norm_([parameter], norm)

    for value, norm in ((0.5, 0), (0, 0.8), (0.5, 0.8)):
        expected, _ = torch_row_by_row(lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=decay), weights, steps,
                                       lambda parameter: clip(parameter, value, norm))
        actual = ours(binary, f"weight_decay: {decay} learning_rate: 0.1 sgd {{}} "
                      f"clip_value: {value} clip_norm: {norm}", weights, steps)
        check(f"clipping to {value} and norm {norm}, dim {dim}, decay {decay}", actual, expected)


def check_ftrl(binary, dim, decay, seed):
    weights, steps = make_run(dim, seed)
    weights[::2] = 0
    ftrl = dict(alpha=0.1, beta=0.7, l1=1.5, l2=0.2)
    text = f"weight_decay: {decay} learning_rate: 0.1 %s {{ beta: 0.7 l1: 1.5 l2: 0.2 %s }}"
    # z is a sum of large numbers that cancel, so float32 leaves fewer digits of it.
    expected = python_ftrl(weights, steps, decay=decay, **ftrl)
    actual = ours(binary, text % ("ftrl", ""), weights, steps)
    touched = sorted({row for rows, _ in steps for row in rows})
    check(f"ftrl, dim {dim}, decay {decay}", actual[touched], expected[touched], tolerance=2e-5)
    assert dim == 1 or np.any(actual[:, :dim] == 0), "expected l1 to turn some weights to 0"

    expected = python_ftrl(weights, steps, decay=decay, l21=3, **ftrl)
    actual = ours(binary, text % ("group_lasso_ftrl", "l21: 3"), weights, steps)
    check(f"group_lasso_ftrl, dim {dim}, decay {decay}", actual[touched], expected[touched], tolerance=2e-5)
    assert dim == 1 or np.any(np.all(actual[:, :dim] == 0, axis=1)), "expected l21 to turn some rows to 0"


def main():
    binary = sys.argv[1]
    for dim in (1, 5, 16):
        for decay in (0, 0.03):
            for checks in (check_rules, check_momentum, check_amsgrad, check_clipping, check_ftrl):
                checks(binary, dim, decay, seed=dim)


main()
