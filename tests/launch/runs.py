"""Runs `weir` for the end-to-end tests: a small data set, jobs, processes."""
import json
import os
import shutil
import subprocess
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BINARY_DIR = os.environ["WEIR_BINARY_DIR"]
WEIR = os.path.join(BINARY_DIR, "weir")
TIMEOUT_S = 120

DEEPFM = """
name: "small"
data {
  label { column: "label" }
  streams: 4
  shuffle_rows: 256
}
features { name: "C[1-3]" sparse { table: "C[1-3]" } }
features { name: "tags" sparse { table: "C1" pooling: MEAN } }
features { name: "I[1-2]" numeric { log: true } }
tables { name: "C[1-3]" dim: 5 initializer { uniform { scale: 0.1 } } }
model { deepfm { hidden: [16, 8] dropout: 0.2 } }
optimizers {
  rows { learning_rate: 0.02 weight_decay: 0.001 adam {} }
  dense { learning_rate: 0.005 adam {} schedule { warmup_steps: 10 } }
}
train { batch_size: 64 epochs: 1 seed: 7 threads: 1 }
metrics { every_s: 1 }
"""

DLRM = """
name: "small-dlrm"
data {
  label { column: "label" }
  streams: 4
  shuffle_rows: 256
}
features { name: "C[1-3]" sparse {} }
features { name: "I[1-2]" numeric { log: true } }
tables { name: "C[1-3]" dim: 4 }
model { dlrm { bottom: [8] top: [16] } }
optimizers {
  rows { learning_rate: 0.05 rowwise_adagrad {} }
  dense { learning_rate: 0.01 adagrad {} }
}
train { batch_size: 64 epochs: 1 seed: 3 threads: 1 }
metrics { every_s: 1 }
"""


def table(rows, seed):
    """A learnable click log: 3 categorical columns, one list of tags, 2 numbers."""
    rng = np.random.default_rng(seed)
    ids = [np.minimum(rng.zipf(1.3, rows), limit) for limit in (50, 400, 9)]
    numbers = rng.lognormal(0.5, 1.0, (rows, 2)).astype(np.float32)
    logit = np.sin(ids[0]) + np.cos(ids[1] * 2) + 0.3 * np.log1p(numbers[:, 0]) - 0.5
    label = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int32)
    tags = [[int(t) for t in rng.integers(0, 60, n)] for n in rng.integers(0, 4, rows)]
    return pa.table({
        "label": label,
        "I1": numbers[:, 0], "I2": numbers[:, 1],
        "C1": ids[0].astype(np.int64), "C2": ids[1].astype(np.int64),
        "C3": pa.array([f"c{i}" for i in ids[2]]),
        "tags": pa.array(tags, pa.list_(pa.int64())),
    })


def write_data(folder, rows=3200, files=2, row_group=500, seed=1):
    os.makedirs(folder, exist_ok=True)
    for i in range(files):
        pq.write_table(table(rows // files, seed * 1000 + i), f"{folder}/part-{i}.parquet", row_group_size=row_group,
                       write_page_checksum=True)
    return folder


class Workspace:
    """A temporary folder with a job file and data; removed at the end."""

    def __init__(self, job=DEEPFM):
        self.root = tempfile.mkdtemp(prefix="weir-test-")
        self.job = os.path.join(self.root, "job.textproto")
        with open(self.job, "w") as f:
            f.write(job)
        self.train = os.path.join(self.root, "train")
        self.eval = os.path.join(self.root, "eval")
        write_data(self.train)
        write_data(self.eval, rows=1000, files=1, seed=2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.root, name)


def mpirun(ranks):
    if ranks == 0:
        return []
    return ["mpirun", "--bind-to", "none", "--oversubscribe", "-n", str(ranks)]


def environment():
    env = dict(os.environ)
    env.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_NUM_THREADS="1")
    return env


def weir(*args, ranks=0, timeout_s=TIMEOUT_S):
    """Runs a command (under mpirun if ranks > 0) and returns the completed process, output captured."""
    return subprocess.run(mpirun(ranks) + [WEIR, *args], capture_output=True, text=True, timeout=timeout_s,
                          env=environment(), check=False)


def start(*args, ranks=0):
    """Starts a command and returns the running process, in a process group of its own."""
    return subprocess.Popen(mpirun(ranks) + [WEIR, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=environment(), start_new_session=True)


def train(space, output, *overrides, workers=0, servers=0):
    """Trains to space.path(output); workers=0: one process without MPI. Returns the JSON of the last line."""
    done = weir("train", space.job, f"data.train.uri={space.train}", f"output={space.path(output)}",
                f"cluster.servers={servers}", *overrides, ranks=workers + servers if workers else 0)
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout.strip().splitlines()[-1])


def commits(output):
    """The names of the whole checkpoints in a job's output."""
    folder = os.path.join(output, "checkpoints")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(name for name in names if name.startswith("step-") and "." not in name)
