"""weir table-sim: rows as a real training run gets them, text, JSON, a page that stands alone, errors."""
import json
import unittest

import pages
import runs

POLICIES = """
policies { name: "few" buckets: 16 }
policies { name: "c2" tables: "C2" buckets: 16 }
"""


class TableSim(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.space = runs.Workspace()
        cls.policies = cls.space.path("policies.textproto")
        with open(cls.policies, "w") as f:
            f.write(POLICIES)

    @classmethod
    def tearDownClass(cls):
        cls.space.__exit__()

    def simulate(self, *arguments):
        done = runs.weir("table-sim", self.space.job, f"data.train.uri={self.space.train}",
                         f"output={self.space.path('none')}", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def rows(self, output, *overrides, job=None):
        """Rows by table after a real training run."""
        done = runs.weir("train", job or self.space.job, f"data.train.uri={self.space.train}",
                         f"output={self.space.path(output)}", *overrides)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = runs.weir("table-report", self.space.path(output), "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return {table["table"]: table["rows"] for table in json.loads(done.stdout)["tables"]}

    def test_rows_are_those_of_training(self):
        result = json.loads(self.simulate("--policies", self.policies, "--json", "train.epochs=2"))
        self.assertEqual([policy["policy"] for policy in result["policies"]], ["job", "few", "c2"])
        self.assertEqual(result["rows"], 6400)
        own, few, c2 = [{table["table"]: table["rows"] for table in p["tables"]} for p in result["policies"]]
        self.assertEqual(own, self.rows("own", "train.epochs=2"))
        folds = [f"features[{i}].sparse.buckets=16" for i in range(2)]
        self.assertEqual(few, self.rows("few", "train.epochs=2", *folds))
        self.assertEqual(c2, {**own, "C2": few["C2"]})
        for policy in result["policies"]:
            total = policy["total"]
            self.assertEqual(total["rows"], sum(table["rows"] for table in policy["tables"]))
            self.assertEqual(total["values"], sum(point["values"] for point in policy["points"]))
            self.assertEqual(total["hits"], sum(point["hits"] for point in policy["points"]))
            self.assertEqual(policy["points"][-1]["step"], result["steps"])
            self.assertEqual(policy["points"][-1]["rows"], total["rows"])

    def test_rows_are_those_of_training_under_limits(self):
        limits = {
            "count": "admission { count { threshold: 3 window_steps: 40 filter_memory: '4KiB' } }",
            "chance": "admission { probability { probability: 0.2 } }",
            "ttl": "eviction { ttl_steps: 6 every_steps: 5 }",
            "full": "memory: '16KiB' eviction { when_full: LEAST_FREQUENT }",
        }
        policies = [word for name, text in limits.items() for word in ["--policy", f"name: '{name}' {text}"]]
        result = json.loads(self.simulate("--json", "cluster.virtual_shards=4", *policies))
        found = {p["policy"]: {table["table"]: table["rows"] for table in p["tables"]} for p in result["policies"]}
        evicted = {p["policy"]: p["total"]["rows_evicted"] for p in result["policies"]}
        for name, text in limits.items():
            job = self.space.path(name + ".textproto")
            with open(self.space.job) as f:
                whole = f.read().replace("initializer { uniform", text + " initializer { uniform")
            with open(job, "w") as f:
                f.write(whole)
            self.assertEqual(found[name], self.rows(name, "cluster.virtual_shards=4", job=job), name)
            self.assertNotEqual(found[name], found["job"], name)
        self.assertEqual([name for name in evicted if evicted[name] > 0], ["ttl", "full"])

    def test_text_and_page(self):
        page = self.space.path("sim.html")
        text = self.simulate("--policy", "name: 'tiny' buckets: 2", "--rows", "1000", "--html", page)
        self.assertTrue(text.startswith("16 steps, 1,024 rows, "), text)
        for line in ["\njob ", "\ntiny ", "\nC1     job ", "\nC3     tiny "]:
            self.assertIn(line, text)
        shown = "".join(pages.check(self, page).itertext())
        self.assertIn("Hit rate over time.", shown)
        self.assertIn("tiny", shown)

    def test_what_cannot_be(self):
        for arguments, expected in [
            (["--policy", "name: 'x' bukets: 3"], "bukets"),
            (["--policy", "name: 'x' tables: 'C11'"], 'did you mean "C1"?'),
            (["--policies", self.space.path("nowhere")], "nowhere"),
            (["--rows", "many"], '--rows is "many"'),
            (["data.train.uri=/no/such/folder"], "/no/such/folder"),
        ]:
            done = runs.weir("table-sim", self.space.job, f"data.train.uri={self.space.train}", "output=none",
                             *arguments)
            self.assertEqual((done.returncode, done.stdout), (1, ""), arguments)
            self.assertIn("weir table-sim: ", done.stderr)
            self.assertIn(expected, done.stderr)


if __name__ == "__main__":
    unittest.main()
