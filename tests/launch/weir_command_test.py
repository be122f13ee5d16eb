"""The weir command as typed: help, typos, validate, doctor, checkpoint; exit statuses and what goes to which stream."""

import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(os.environ["WEIR_SOURCE_DIR"])
WEIR = pathlib.Path(os.environ["WEIR_BINARY_DIR"]) / "weir"


def weir(*arguments):
    run = subprocess.run([WEIR, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT, timeout=100)
    return run.returncode, run.stdout, run.stderr


class WeirCommand(unittest.TestCase):
    def test_help_lists_and_explains_every_command(self):
        status, out, _ = weir("help")
        self.assertEqual(status, 0)
        for command in ["train", "eval", "predict", "export", "validate", "doctor", "checkpoint", "table-report",
                        "table-sim", "help"]:
            self.assertIn(f"\n  {command} ", out)
            if command != "help":
                self.assertIn(f"usage: weir {command}", weir("help", command)[1])
                self.assertEqual(weir("help", command)[1], weir(command, "--help")[1])

    def test_nothing_typed_is_a_usage_error(self):
        status, out, err = weir()
        self.assertEqual((status, out), (2, ""))
        self.assertIn("usage: weir COMMAND", err)

    def test_typos_get_the_nearest_name(self):
        self.assertEqual(weir("tarin")[0], 2)
        self.assertIn('unknown command "tarin" (did you mean "train"?)', weir("tarin")[2])
        status, _, err = weir("predict", "c", "--ouut", "f")
        self.assertEqual(status, 2)
        self.assertIn('(did you mean "out"?)', err)
        self.assertIn("usage: weir predict CHECKPOINT --out FILE", err)

    def test_validate_prints_a_job_that_validates_to_itself(self):
        status, out, err = weir("validate", "examples/adult/deepfm.textproto", "train.epochs=3")
        self.assertEqual(status, 0, err)
        self.assertIn("epochs: 3", out)
        self.assertIn("silence_s: 30", out)
        self.assertIn("# native_country ", out)
        with tempfile.TemporaryDirectory() as folder:
            again = pathlib.Path(folder) / "job.textproto"
            again.write_text(out)
            self.assertEqual(weir("validate", again)[1], out)

    def test_validate_reports_all_errors_with_their_places(self):
        with tempfile.TemporaryDirectory() as folder:
            job = pathlib.Path(folder) / "job.textproto"
            job.write_text((ROOT / "examples/adult/deepfm.textproto").read_text().replace("epochs:", "epoch:"))
            status, out, err = weir("validate", job, "train.batch_size=0", "tables[0].dim=x")
            self.assertEqual((status, out), (1, ""))
            self.assertIn('has no field "epoch" (did you mean "epochs"?)', err)
            self.assertIn("override train.batch_size=0: train.batch_size is 0 samples, expected at least 1", err)
            self.assertIn("override tables[0].dim=x", err)

    def test_validate_refuses_tables_that_do_not_suit_the_model(self):
        status, _, err = weir("validate", "examples/adult/lr.textproto", "tables[0].dim=4")
        self.assertEqual(status, 1)
        self.assertIn("weir validate: InvalidArgument: ", err)

    def test_a_job_that_is_not_there(self):
        status, _, err = weir("validate", "nowhere.textproto")
        self.assertEqual(status, 1)
        self.assertIn("weir validate: NotFound: ", err)
        self.assertIn("nowhere.textproto", err)

    def test_doctor_names_what_it_looked_at(self):
        status, out, _ = weir("doctor")
        for subject in ["MPI", "cores", "memory", "GPU", "open files", "shared memory", "disk", "loopback", "libraries"]:
            self.assertIn(f" {subject} ", out)
        self.assertEqual(status, 1 if "BAD" in out else 0)

    def test_doctor_without_mpirun_says_how_to_get_it(self):
        run = subprocess.run([WEIR, "doctor"], capture_output=True, text=True, env={"PATH": "/nowhere"}, timeout=100)
        self.assertEqual(run.returncode, 1)
        self.assertIn("fix: apt-get install openmpi-bin", run.stdout)

    def test_checkpoint_commands_name_what_is_missing(self):
        for arguments in [("ls", "/nowhere"), ("verify", "/nowhere"), ("diff", "/nowhere", "/nowhere")]:
            status, _, err = weir("checkpoint", *arguments)
            self.assertEqual(status, 1, arguments)
            self.assertIn("/nowhere", err)
        self.assertEqual(weir("checkpoint", "frobnicate", "x")[0], 2)
        self.assertEqual(weir("checkpoint", "ls")[0], 2)


if __name__ == "__main__":
    unittest.main()
