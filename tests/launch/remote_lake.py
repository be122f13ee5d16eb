"""What the tests of remote storage share: runs that must end like the one on local files, and runs that must fail."""
import re
import time
import unittest

import runs

# A run that ends at start: the program, its ranks and its libraries, on a busy machine.
AT_ONCE_S = 20


class RemoteLakeTest(unittest.TestCase):
    """Subclasses set cls.space, and cls.local: the report of the run on local files."""

    def failure(self, uri, *overrides, workers=0):
        """What a run that must fail says."""
        done = runs.weir("train", self.space.job, f"data.train.uri={uri}", f"output={self.space.path(self.id())}",
                         *overrides, ranks=workers)
        self.assertEqual(done.returncode, 1, done.stderr)
        return done.stderr

    def failure_at_once(self, uri, *overrides, workers=0):
        """The same, of a run that must not try anything again."""
        begin = time.monotonic()
        stderr = self.failure(uri, *overrides, workers=workers)
        self.assertLess(time.monotonic() - begin, AT_ONCE_S)
        self.assertNotIn("again in", stderr)
        return stderr

    def assert_same_bits(self, report):
        """Rows, net and position are those of the run on local files, but for the paths."""
        done = runs.weir("checkpoint", "diff", self.local["checkpoint"], report["checkpoint"])
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 2, done.stdout + done.stderr)  # one a file
        for line in lines:
            sizes = re.fullmatch(r"position: input file \d: \S+ \((.*)\) and \S+ \((.*)\)", line)
            self.assertIsNotNone(sizes, line)
            self.assertEqual(sizes[1], sizes[2])
