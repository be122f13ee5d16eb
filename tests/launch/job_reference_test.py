"""docs/job.md is what proto/job.proto says today, and every field of the schema explains itself."""

import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(os.environ["WEIR_SOURCE_DIR"])
BUILD = pathlib.Path(os.environ["WEIR_BINARY_DIR"])


class JobReference(unittest.TestCase):
    def setUp(self):
        self.made = subprocess.run(
            [BUILD / "job_reference", BUILD / "launch/job.descriptors"], check=True, capture_output=True,
            text=True).stdout

    def test_it_is_current(self):
        self.assertEqual(
            (ROOT / "docs/job.md").read_text(), self.made,
            "run: build/job_reference build/launch/job.descriptors > docs/job.md")

    def test_every_field_says_why_it_is_there(self):
        rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", self.made, re.MULTILINE)
        self.assertGreater(len(rows), 80)
        # The members of a oneof are explained by their own message.
        silent = [name for name, why in rows if not why or why.startswith("(one of")]
        explained = {"sgd", "adagrad", "rowwise_adagrad", "adam", "logistic_regression", "deepfm", "dlrm"}
        self.assertEqual(set(silent) - explained, set())

    def test_the_fields_that_scripts_set_are_there(self):
        for name in ["uri", "streams", "shuffle_rows", "max_steps", "epochs", "batch_size", "seed", "eval_every_steps",
                     "patience", "servers", "staleness", "async", "silence_s", "progress_s", "every_steps", "output"]:
            self.assertIn(f"| `{name}` |", self.made)

    def test_it_refuses_what_is_no_descriptor(self):
        run = subprocess.run([BUILD / "job_reference", "/dev/null"], capture_output=True)
        self.assertEqual(run.returncode, 1)


if __name__ == "__main__":
    unittest.main()
