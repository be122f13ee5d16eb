"""Memory and speed of `weir stats`, `weir convert criteo` and training on what it wrote, one JSON line a result.

    python3 bench/criteo_lake.py FOLDER [--bytes 10000000000] [--steps N] [--workers 2] [field=value ...]

Makes the text with make_criteo_tsv.py in FOLDER (--tsv takes a file that is there instead), and removes what it made.
The lines are as those of the other benchmarks: `against` names a limit, `ratio` is how far below it the value is. The
limits: 2 GiB each for stats and convert; for training, the memory of the tables (examples/criteo/dlrm.textproto) + 1.5 GiB over
all ranks. Exit status 1 when one is passed, or when the three do not agree on the rows.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
JOB = os.path.join(HERE, "..", "examples", "criteo", "dlrm.textproto")
GIB = 1 << 30


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("overrides", nargs="*", help="of the job")
    parser.add_argument("--bytes", type=int, default=10_000_000_000, help="of the text that is made")
    parser.add_argument("--tsv", help="the text, if it is there already")
    parser.add_argument("--weir", default="build/weir")
    parser.add_argument("--steps", type=int, default=0, help="of training; 0: one pass")
    parser.add_argument("--workers", type=int, default=2, help="one server stands beside them")
    parser.add_argument("--keep", action="store_true", help="leaves the Parquet files, statistics and checkpoints")
    return parser.parse_intermixed_args()


def descendants(pid):
    """The process and all below it that still live."""
    found = [pid]
    for parent in found:
        try:
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children") as children:
                    found += [int(child) for child in children.read().split()]
        except OSError:
            pass  # it has ended
    return found


def resident_bytes(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # it has ended
    return 0


def measure(command, log):
    """Runs it: (stdout, peak of the memory resident in it and all below it, seconds)."""
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    start = time.monotonic()
    peak = 0
    with tempfile.TemporaryFile("w+") as out, open(log, "w") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors, env=environment)
        while process.poll() is None:
            peak = max(peak, sum(resident_bytes(pid) for pid in descendants(process.pid)))
            time.sleep(0.05)
        seconds = time.monotonic() - start
        out.seek(0)
        text = out.read()
    if process.returncode != 0:
        with open(log) as errors:
            sys.exit(f"{' '.join(command)}: exit status {process.returncode}\n{errors.read()[-4000:]}")
    return text, peak, seconds


def print_line(case, value, unit, against=None, limit=None):
    print(json.dumps({"bench": "criteo_lake", "case": case, "value": value, "unit": unit, "min": value, "max": value,
                      "against": against, "ratio": round(limit / value, 3) if limit else None}), flush=True)
    return limit is None or value <= limit


def stats(arguments, tsv, folder):
    path = os.path.join(folder, "stats.json")
    _, peak, seconds = measure([arguments.weir, "stats", "--criteo", tsv, "--json", path,
                                "--html", os.path.join(folder, "stats.html")], os.path.join(folder, "stats.log"))
    with open(path) as file:
        rows = json.load(file)["rows_read"]
    print_line("stats: speed", os.path.getsize(tsv) / seconds, "bytes/s")
    return print_line("stats: peak memory", peak, "bytes", "2 GiB", 2 * GIB), rows


def convert(arguments, tsv, folder):
    out = os.path.join(folder, "train")
    text, peak, seconds = measure([arguments.weir, "convert", "criteo", tsv, out, "--rows_per_file", "4000000"],
                                  os.path.join(folder, "convert.log"))
    written = json.loads(text)
    print_line("convert: speed", os.path.getsize(tsv) / seconds, "bytes/s")
    print_line("convert: Parquet", written["bytes"], "bytes")
    return print_line("convert: peak memory", peak, "bytes", "2 GiB", 2 * GIB), written["rows"]


def train(arguments, folder):
    overrides = [f"data.train.uri={folder}/train", f"output={folder}/run", "cluster.servers=1",
                 *([f"train.max_steps={arguments.steps}"] if arguments.steps else []), *arguments.overrides]
    plan = subprocess.run([arguments.weir, "validate", JOB, "--rows", "0", "--json", *overrides], check=True,
                          capture_output=True, text=True)
    budget = sum(table["bytes_max"] for table in json.loads(plan.stdout)["memory"])
    text, peak, _ = measure(["mpirun", "--bind-to", "none", "--oversubscribe", "-n", str(arguments.workers + 1),
                             arguments.weir, "train", JOB, *overrides], os.path.join(folder, "train.log"))
    report = json.loads(text.strip().splitlines()[-1])
    print_line("train: budget of the tables", budget, "bytes")
    print_line("train: speed", report["samples_per_s"], "samples/s")
    print_line("train: rows of the tables", report["rows"], "rows")
    # The ranks' own peaks need not fall together, so their sum is not below what was seen from outside.
    peak = max(peak, report["peak_rss_bytes"])
    within = print_line("train: peak memory over all ranks", peak, "bytes", "tables + 1.5 GiB", budget + 1.5 * GIB)
    return within, report["samples"]


def main():
    arguments = parse()
    os.makedirs(arguments.folder, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="criteo-lake-", dir=arguments.folder)
    try:
        tsv = arguments.tsv or os.path.join(folder, "day_0.tsv")
        if not arguments.tsv:
            subprocess.run([sys.executable, os.path.join(HERE, "make_criteo_tsv.py"), tsv, "--bytes",
                            str(arguments.bytes)], check=True)
        print_line("text", os.path.getsize(tsv), "bytes")
        stats_within, stats_rows = stats(arguments, tsv, folder)
        convert_within, rows = convert(arguments, tsv, folder)
        if not arguments.tsv:
            os.remove(tsv)
        train_within, samples = train(arguments, folder)
        expected = min(rows, samples) if arguments.steps else rows
        if stats_rows != rows or samples != expected:
            sys.exit(f"stats read {stats_rows} rows, convert wrote {rows}, {samples} were trained")
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if stats_within and convert_within and train_within else 1


if __name__ == "__main__":
    sys.exit(main())
