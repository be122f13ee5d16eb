"""The steps of examples/criteo: bench/criteo_lake.py on a few MB of text, and memory that stays as text grows."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

import runs

SOURCE = os.environ["WEIR_SOURCE_DIR"]


def peak_bytes(*command):
    """Of a command that is waited for, by the kernel's count."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               env=runs.environment())
    with process.stderr:
        errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, errors
    return usage.ru_maxrss * 1024


class CriteoLake(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weir-test-")
        self.addCleanup(folder.cleanup)
        self.root = folder.name

    def make(self, name, text_bytes):
        path = os.path.join(self.root, name)
        subprocess.run([sys.executable, f"{SOURCE}/bench/make_criteo_tsv.py", path, "--bytes", str(text_bytes)],
                       check=True)
        self.assertLess(abs(os.path.getsize(path) - text_bytes), 1000)
        return path

    def test_all_steps_agree_and_keep_their_limits(self):
        done = subprocess.run(
            [sys.executable, f"{SOURCE}/bench/criteo_lake.py", self.root, "--bytes", "4000000", "--workers", "1",
             "--weir", runs.WEIR, "model.dlrm.bottom=16", "model.dlrm.top=16", "train.batch_size=1024"],
            capture_output=True, text=True, env=runs.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = {line["case"]: line for line in map(json.loads, done.stdout.splitlines())}
        for case in ["stats: peak memory", "convert: peak memory", "train: peak memory over all ranks"]:
            self.assertGreater(lines[case]["ratio"], 1)
            self.assertGreater(lines[case]["value"], 10 << 20)
        self.assertEqual(os.listdir(self.root), [])

    def test_memory_stays_as_text_grows(self):
        small, large = self.make("small", 60_000_000), self.make("large", 180_000_000)
        for command in [["convert", "criteo"], ["stats", "--criteo"]]:
            peaks = []
            for path in [small, large]:
                out = [os.path.join(self.root, os.path.basename(path) + ".parquet")] if command[0] == "convert" else []
                peaks.append(peak_bytes(runs.WEIR, *command, path, *out))
            self.assertLess(peaks[0], 500 << 20, command)
            self.assertLess(peaks[1] - peaks[0], 96 << 20, command)


if __name__ == "__main__":
    unittest.main()
