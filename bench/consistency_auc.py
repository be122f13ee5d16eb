"""AUC of a job in every mode of consistency and with every wire, as a Markdown table: mean over seeds, least, most.

    python3 bench/consistency_auc.py examples/frappe/deepfm.textproto data.train.uri=... data.eval.uri=... [field=value ...]

Each run has 2 workers and 2 servers under mpirun and writes to a temporary folder; --seeds says how many runs a row has.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile

MODES = {
    "synchronous": [],
    "staleness 2": ["cluster.staleness=2"],
    "staleness 8": ["cluster.staleness=8"],
    "async": ["cluster.async=true"],
}
WIRES = {"float32": [], "bfloat16": ["cluster.wire.pull=BFLOAT16", "cluster.wire.push=BFLOAT16"]}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--weir", default="build/weir")
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args()


def run(arguments, overrides):
    with tempfile.TemporaryDirectory(prefix="weir-consistency-") as folder:
        return run_in(os.path.join(folder, "run"), arguments, overrides)


def run_in(output, arguments, overrides):
    command = ["mpirun", "--bind-to", "none", "--oversubscribe", "-n", "4", arguments.weir, "train", arguments.job,
               f"output={output}", "cluster.servers=2", *arguments.overrides, *overrides]
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    unseen = None
    with open(os.path.join(output, "metrics.jsonl"), encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record["kind"] == "staleness":
                unseen = record["mean_steps"]
    return json.loads(done.stdout.strip().splitlines()[-1])["auc"], unseen


def main():
    arguments = parse()
    print("| mode | wire | AUC, mean | least | most | mean steps not seen |\n| --- | --- | --- | --- | --- | --- |")
    for mode, mode_fields in MODES.items():
        for wire, wire_fields in WIRES.items():
            runs = [run(arguments, [*mode_fields, *wire_fields, f"train.seed={seed}"])
                    for seed in range(1, arguments.seeds + 1)]
            aucs = [auc for auc, _ in runs]
            unseen = [steps for _, steps in runs if steps is not None]
            print(f"| {mode} | {wire} | {statistics.mean(aucs):.5f} | {min(aucs):.5f} | {max(aucs):.5f} | "
                  f"{statistics.mean(unseen) if unseen else 0:.2f} |", flush=True)


if __name__ == "__main__":
    main()
