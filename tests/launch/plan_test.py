"""weir validate's plan: it is what a run then carries, it says when there is no data, and exits as it should."""
import json
import os
import unittest

import runs

FIGURES = ["rows", "keys_pulled", "keys_pushed", "bytes_in", "bytes_out"]
HEADER_BYTES_MAX = 100  # of a frame


def records(space, output, kind):
    with open(space.path(output) + "/metrics.jsonl", encoding="utf-8") as lines:
        return [record for record in map(json.loads, lines) if record["kind"] == kind]


class Plan(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.space = runs.Workspace()
        cls.data = f"data.train.uri={cls.space.train}"

    @classmethod
    def tearDownClass(cls):
        cls.space.__exit__()

    def validate(self, *arguments, status=0):
        done = runs.weir("validate", self.space.job, f"output={self.space.path('none')}", *arguments)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def plan(self, *arguments):
        return json.loads(self.validate("--json", self.data, *arguments).stdout)["plan"]

    def check(self, name, workers, servers, *overrides):
        """A run of as many steps as the plan's sample counts the same, to the byte."""
        plan = self.plan("--workers", str(workers), f"cluster.servers={servers}", *overrides)
        self.assertEqual(plan["steps"], 32)
        runs.train(self.space, name, "train.max_steps=32", *overrides, workers=workers, servers=servers)
        run = records(self.space, name, "servers")[-1]
        self.assertEqual(len(plan["servers"]), servers or workers)
        for server, planned in enumerate(plan["servers"]):
            for figure in FIGURES:
                self.assertEqual(run[f"{server}/{figure}"], planned[figure], f"server {server}: {figure}")
        for figure in ["rows", "keys_pulled", "bytes_in", "bytes_out"]:
            self.assertEqual(run[f"imbalance/{figure}"], plan["imbalance"][figure], figure)
        self.assertEqual(sum(worker["samples"] for worker in plan["workers"]), plan["rows"])
        # Worker 0's store counts heartbeats, stats, drains and the commit too.
        end = records(self.space, name, "run")[-1]
        for figure in ["bytes_sent", "bytes_received"]:
            extra = end[figure] - plan["workers"][0][figure]
            self.assertGreaterEqual(extra, 0, figure)
            self.assertLess(extra, 40 * (servers or workers) * HEADER_BYTES_MAX + 20_000, figure)
        return plan, run

    def test_dedicated_servers_carry_what_was_planned(self):
        plan, run = self.check("dedicated", 2, 3)
        self.assertGreater(plan["servers"][0]["bytes_in"], 10_000)
        self.assertGreater(run["imbalance/rows"], 1)

    def test_colocated_servers_carry_what_was_planned(self):
        self.check("colocated", 3, 0, "cluster.wire.pull=BFLOAT16", "cluster.wire.push=FLOAT16")

    def test_rows_of_an_epoch_lie_within_the_bounds(self):
        plan = self.plan("--rows", "1000", "cluster.servers=2")
        whole = self.plan("--rows", "1000000", "cluster.servers=2")
        self.assertEqual(whole["rows"], 3200)
        for some, every in zip(plan["tables"] + plan["servers"], whole["tables"] + whole["servers"]):
            self.assertLessEqual(some["rows"], every["rows"])
            self.assertGreaterEqual(some["rows_max"], every["rows"])
            self.assertEqual(every["rows_max"], every["rows"])

    def test_text_is_a_job_again(self):
        text = self.validate(self.data, "--workers", "2", "cluster.servers=1").stdout
        for line in ["\n# Plan: 2 workers on 1 server, from a sample of the first 32 steps of training: 2,048 of the 3,200",
                     "\n# server ", "\n# worker ", "\n# table ", "\n# most / mean ", "\n# C3 "]:
            self.assertIn(line, text)
        again = self.space.path("again.textproto")
        with open(again, "w", encoding="utf-8") as file:
            file.write(text)
        done = runs.weir("validate", again, "--workers", "2")
        self.assertEqual((done.returncode, done.stdout), (0, text), done.stderr)

    def test_data_that_is_not_here_is_said_and_no_error(self):
        done = self.validate("data.train.uri=/no/such/folder")
        self.assertIn("\n# No plan, for the training data could not be read here: NotFound: ", done.stdout)
        self.assertIn("/no/such/folder", done.stdout)
        self.assertIn("\n# Memory of the tables", done.stdout)
        self.assertIn("data.train.uri names nothing", self.validate().stdout)
        told = json.loads(self.validate("--json").stdout)
        self.assertIsNone(told["plan"])
        self.assertIn("data.train.uri names nothing", told["no_plan"])
        self.assertEqual([table["table"] for table in told["memory"]], ["C1", "C2", "C3"])
        self.assertIn("\n# No plan: --rows is 0\n", self.validate(self.data, "--rows", "0").stdout)

    def test_a_plan_that_was_asked_for_and_data_that_does_not_suit_are_errors(self):
        asked = self.validate("data.train.uri=/no/such/folder", "--rows", "100", status=1)
        self.assertIn("weir validate: NotFound: ", asked.stderr)
        self.assertIn("batch_size: 64", asked.stdout)
        torn = self.space.path("torn.parquet")
        with open(os.path.join(self.space.train, "part-0.parquet"), "rb") as whole, open(torn, "wb") as file:
            file.write(whole.read()[:5000])
        self.assertIn("torn.parquet", self.validate(f"data.train.uri={torn}", status=1).stderr)
        missing = self.validate(self.data, "features[0].column=C9", status=1)
        self.assertIn("C9", missing.stderr)
        self.assertIn("--workers is \"0\"", self.validate("--workers", "0", status=1).stderr)


if __name__ == "__main__":
    unittest.main()
