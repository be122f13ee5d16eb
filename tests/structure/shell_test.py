"""The shell scripts: they parse, stop at the first error, and set-up does nothing when nothing is missing."""

import os
import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(os.environ["WEIR_SOURCE_DIR"])
SCRIPTS = ["launch/setup.sh", "launch/build.sh", "launch/demo.sh", "tests/run.sh"]


class Shell(unittest.TestCase):
    def test_they_parse_and_stop_at_errors(self):
        for script in SCRIPTS:
            with self.subTest(script=script):
                subprocess.run(["bash", "-n", ROOT / script], check=True)
                self.assertRegex((ROOT / script).read_text(), r"(?m)^set -eu(o pipefail)?$")

    def test_ci_runs_the_tests_and_nothing_else(self):
        lines = (ROOT / ".ci/run").read_text().splitlines()
        self.assertEqual(lines[0], "#!/usr/bin/env bash")
        self.assertEqual([line for line in lines[1:] if line], ['cd "$(dirname "${BASH_SOURCE[0]}")/.."', 'exec bash tests/run.sh "$@"'])

    def test_setup_refuses_unknown_arguments(self):
        run = subprocess.run(["bash", ROOT / "launch/setup.sh", "--frobnicate"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 1)
        self.assertIn("--frobnicate", run.stderr)

    def test_setup_without_root_names_what_is_missing(self):
        # As if nothing were installed, and neither root nor sudo at hand.
        stubs = 'dpkg-query() { return 1; }; id() { echo 1000; }; command() { [ "$2" != sudo ]; }; export -f dpkg-query id command;'
        run = subprocess.run(
            ["bash", "-c", f'{stubs} bash "$1"', "-", ROOT / "launch/setup.sh"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 1)
        self.assertIn("apt-get install build-essential", run.stderr)
        self.assertIn("libopenmpi-dev", run.stderr)


if __name__ == "__main__":
    unittest.main()
