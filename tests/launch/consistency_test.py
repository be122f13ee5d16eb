"""Stale and asynchronous runs: they learn as the synchronous one does, are as stale as allowed, stop and go on."""
import json
import sys
import unittest

import runs

STEPS = 200
MODES = {
    "sync": [],
    "stale": ["cluster.staleness=3"],
    "async": ["cluster.async=true"],
    "half": ["cluster.staleness=2", "cluster.wire.pull=BFLOAT16", "cluster.wire.push=FLOAT16"],
}


def staleness(space, output):
    """The last staleness record of metrics.jsonl, or None."""
    with open(space.path(output) + "/metrics.jsonl", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    found = [record for record in records if record["kind"] == "staleness"]
    return found[-1] if found else None


class Consistency(unittest.TestCase):
    def train(self, space, name, *overrides, **ranks):
        return runs.train(space, name, f"data.eval.uri={space.eval}", "train.epochs=4", "checkpoint.every_steps=70",
                          *overrides, **ranks)

    def test_every_mode_learns_alike(self):
        with runs.Workspace(runs.DLRM) as space:
            reports = {}
            for name, overrides in MODES.items():
                reports[name] = self.train(space, name, *overrides, workers=2, servers=2)
                self.assertEqual(reports[name]["steps"], STEPS, name)
                self.assertAlmostEqual(reports[name]["auc"], reports["sync"]["auc"], delta=0.01, msg=name)
                self.assertEqual(reports[name]["rows"], reports["sync"]["rows"], name)
            self.assertGreater(reports["sync"]["auc"], 0.65)
            self.assertIsNone(staleness(space, "sync"))
            for name, most in (("stale", 3), ("half", 2), ("async", 16)):
                seen = staleness(space, name)
                self.assertLessEqual(seen["mean_steps"], most, name)
                for field in seen:
                    if field.startswith("rows_"):
                        self.assertLessEqual(int(field.split("_")[1]), most, name)

    def test_a_stale_run_goes_on_where_it_was_stopped(self):
        with runs.Workspace(runs.DLRM) as space:
            for overrides in (MODES["stale"], MODES["async"]):
                name = overrides[0].replace("=", "-")
                halted = self.train(space, name, "train.max_steps=90", *overrides, workers=2)
                self.assertEqual(halted["steps"], 90)
                done = self.train(space, name, *overrides, workers=2)
                self.assertEqual(done["steps"], STEPS)
                self.assertEqual(done["samples"], 4 * 3200)

    def test_a_trace_shows_every_rank_and_stage(self):
        with runs.Workspace(runs.DLRM) as space:
            self.train(space, "traced", "train.trace=true", "train.max_steps=30", workers=2, servers=1)
            with open(space.path("traced") + "/trace.json", encoding="utf-8") as file:
                events = json.load(file)
            names = {event["args"]["name"]: event["pid"] for event in events
                     if event["ph"] == "M" and event["name"] == "process_name"}
            self.assertEqual(sorted(names.values()), [0, 1, 2])
            spans = [event for event in events if event["ph"] == "X"]
            for rank in (0, 1):
                for stage in ("load", "distinct", "start pull", "wait for rows", "pool", "forward and backward",
                              "sum gradients of rows", "push", "all-reduce", "dense optimizer"):
                    steps = {span["args"]["step"] for span in spans if span["pid"] == rank and span["name"] == stage}
                    self.assertGreaterEqual(steps, set(range(1, 31)), f"rank {rank}: {stage}")
            applied = {span["args"]["step"]: span["ts"] for span in spans if span["pid"] == 2 and span["name"] == "apply"}
            self.assertEqual(set(applied), set(range(1, 31)))
            # One clock: a step's rows are waited for until its pull is served, after the step before was applied.
            for span in spans:
                if span["name"] == "wait for rows" and span["args"]["step"] > 1:
                    self.assertGreater(span["ts"] + span["dur"], applied[span["args"]["step"] - 1])

    def test_one_process_is_never_stale(self):
        with runs.Workspace(runs.DLRM) as space:
            plain = runs.train(space, "plain", "train.max_steps=40")
            ahead = runs.train(space, "ahead", "train.max_steps=40", "cluster.staleness=4")
            same = runs.weir("checkpoint", "diff", plain["checkpoint"], ahead["checkpoint"])
            self.assertEqual(same.returncode, 0, same.stdout + same.stderr)
            self.assertIsNone(staleness(space, "ahead"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
