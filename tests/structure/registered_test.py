"""Every *_test.cc and *_test.py under tests/ is registered with CTest, under its own name."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(os.environ["WEIR_SOURCE_DIR"])
CTEST = sys.argv.pop(1) if len(sys.argv) > 1 else "ctest"


def test_files(root):
    files = [p for pattern in ("*_test.cc", "*_test.py") for p in (root / "tests").rglob(pattern)]
    return {p.relative_to(root / "tests").with_suffix("").as_posix() for p in files}


def registered():
    listing = subprocess.run(
        [CTEST, "--test-dir", os.environ["WEIR_BINARY_DIR"], "--show-only=json-v1"],
        check=True, capture_output=True, text=True)
    return {test["name"] for test in json.loads(listing.stdout)["tests"]}


def unregistered(files, names):
    """A script may be registered several times, as NAME and NAME_PART."""
    return sorted(f for f in files if not any(n == f or n.startswith(f + "_") for n in names))


class Registered(unittest.TestCase):
    def test_every_test_is_run(self):
        files = test_files(ROOT)
        self.assertGreater(len(files), 5)
        self.assertEqual(unregistered(files, registered()), [])

    def test_a_forgotten_one_is_found(self):
        self.assertEqual(unregistered({"base/a_test", "base/b_test"}, {"base/a_test"}), ["base/b_test"])


if __name__ == "__main__":
    unittest.main()
