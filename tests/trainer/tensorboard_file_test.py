"""Reads our event files back with TensorBoard's own reader, which checks every checksum."""

import math
import os
import subprocess
import tempfile
import unittest

from tensorboard.backend.event_processing import event_accumulator, event_file_loader

WRITE_EVENTS = os.path.join(os.environ["WEIR_BINARY_DIR"], "tests", "write_events")
POINTS = 5000


class TensorboardTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, folder):
        done = subprocess.run([WRITE_EVENTS, folder, str(POINTS)], capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.strip()

    def test_reads_back(self):
        path = self.write(os.path.join(self.folder.name, "made", "events"))
        self.assertRegex(os.path.basename(path), r"^events\.out\.tfevents\.\d{10}\.")
        accumulator = event_accumulator.EventAccumulator(os.path.dirname(path), size_guidance={"scalars": 0})
        accumulator.Reload()
        self.assertEqual(sorted(accumulator.Tags()["scalars"]), ["eval/auc", "train/logloss"])
        for tag, value in (("train/logloss", lambda i: 1 / i), ("eval/auc", lambda i: -math.sqrt(i))):
            scalars = accumulator.Scalars(tag)
            self.assertEqual([scalar.step for scalar in scalars], [10 * i for i in range(1, POINTS + 1)])
            for i, scalar in enumerate(scalars, start=1):
                self.assertAlmostEqual(scalar.value, value(i), delta=abs(value(i)) * 1e-7)
                self.assertEqual(scalar.wall_time, 1.7e9 + i / 4)

    def test_first_record_is_the_version(self):
        events = list(event_file_loader.RawEventFileLoader(self.write(self.folder.name)).Load())
        self.assertIn(b"brain.Event:2", events[0])
        self.assertEqual(len(events), 1 + 2 * POINTS)

    def test_a_flipped_bit_is_seen(self):
        path = self.write(self.folder.name)
        with open(path, "r+b") as file:
            file.seek(60)
            byte = file.read(1)[0]
            file.seek(60)
            file.write(bytes([byte ^ 4]))
        try:
            events = list(event_file_loader.RawEventFileLoader(path).Load())
        except Exception:  # pylint: disable=broad-exception-caught  # which one depends on the reader
            return
        self.assertLess(len(events), 1 + 2 * POINTS)


if __name__ == "__main__":
    unittest.main(verbosity=2)
