"""weir stats on files and on a job's source: text, JSON and a page that stands alone, against PyArrow and NumPy."""
import json
import os
import unittest

import numpy as np
import pyarrow.parquet as pq

import pages
import runs


class Stats(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.space = runs.Workspace()
        cls.table = pq.read_table(cls.space.train)

    @classmethod
    def tearDownClass(cls):
        cls.space.__exit__()

    def stats(self, *arguments):
        path = self.space.path("stats.json")
        done = runs.weir("stats", *arguments, "--json", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(path) as file:
            return json.load(file), done.stdout

    def assert_refused(self, words, *arguments):
        done = runs.weir("stats", *arguments)
        self.assertEqual(done.returncode, 1, done.stdout)
        for word in words:
            self.assertIn(word, done.stderr)

    def check_numbers(self, column, values):
        self.assertEqual(column["values"], len(values))
        self.assertEqual(column["nan"] + column["infinite"], 0)
        self.assertEqual((column["min"], column["max"]), (values.min(), values.max()))
        self.assertAlmostEqual(column["mean"] / values.mean(), 1, places=9)
        self.assertAlmostEqual(column["stddev"] / values.std(), 1, places=9)
        self.assertEqual([point["q"] for point in column["quantiles"]], [i / 1000 for i in range(1001)])
        ordered = np.sort(values)
        for point in column["quantiles"]:
            error = column["quantile_rank_error"] + 1 / len(values)
            self.assertGreaterEqual(np.searchsorted(ordered, point["value"], "right") / len(values), point["q"] - error)
            self.assertLessEqual(np.searchsorted(ordered, point["value"], "left") / len(values), point["q"] + error)

    def check_top(self, column, values):
        distinct, counts = np.unique(values, return_counts=True)
        self.assertLess(abs(column["distinct"] / len(distinct) - 1), 0.05)
        exact = dict(zip(distinct.tolist(), counts.tolist()))
        self.assertEqual([top["count"] for top in column["top"]], sorted(exact.values(), reverse=True)[:20])
        for top in column["top"]:
            self.assertEqual((exact[top["value"]], 0), (top["count"], top["error"]))
        self.assertEqual(column["top_error"], 0)

    def test_json_agrees_with_the_data(self):
        stats, _ = self.stats(self.space.train)
        self.assertEqual((stats["format"], stats["version"]), ("weir.stats", 1))
        self.assertEqual((stats["uris"], stats["files"]), ([self.space.train], 2))
        self.assertEqual((stats["rows"], stats["rows_read"]), (3200, 3200))
        columns = {column["name"]: column for column in stats["columns"]}
        self.assertEqual([column["name"] for column in stats["columns"]], self.table.column_names)
        self.assertEqual([columns[name]["type"] for name in ["label", "I1", "C1", "C3"]],
                         ["int32", "float", "int64", "string"])
        for name in ["label", "I1", "I2", "C1", "C2"]:
            self.check_numbers(columns[name], self.table[name].to_numpy().astype(np.float64))
        for name in ["C1", "C2", "C3"]:
            self.check_top(columns[name], self.table[name].to_numpy())
        self.assertNotIn("quantiles", columns["C3"])
        lists = self.table["tags"].to_pylist()
        lengths = columns["tags"]["lengths"]
        self.assertEqual((lengths["min"], lengths["max"]), (0, 3))
        self.assertAlmostEqual(lengths["mean"], sum(map(len, lists)) / len(lists))
        self.assertEqual(columns["tags"]["values"], sum(map(len, lists)))
        for column in stats["columns"]:
            self.assertEqual(column["growth"][-1], {"rows": 3200, "distinct": column["distinct"]})
            growth = [point["distinct"] for point in column["growth"]]
            self.assertEqual(growth, sorted(growth))

    def test_text_and_page(self):
        page = self.space.path("stats.html")
        _, text = self.stats(self.space.train, "--html", page)
        for name in self.table.column_names:
            self.assertRegex(text, rf"(?m)^{name} ")
        for title in ["Columns.", "Numbers.", "Lists.", "Vocabulary."]:
            self.assertIn(title, text)
        pages.check(self, page)

    def test_of_a_job(self):
        source = f"data.train.uri={self.space.train}"
        stats, _ = self.stats(self.space.job, source, "output=unused")
        self.assertEqual(stats["rows"], 3200)
        stats, _ = self.stats(self.space.job, source, f"data.eval.uri={self.space.eval}", "output=unused", "--eval")
        self.assertEqual(stats["rows"], 1000)

    def test_a_sample_is_spread_over_the_files(self):
        stats, text = self.stats(self.space.train, "--rows", "1000")
        self.assertEqual(stats["rows"], 3200)
        self.assertLess(abs(stats["rows_read"] - 1000), 500)
        self.assertIn("of them read", text)
        self.assertEqual(stats["columns"][0]["rows"], stats["rows_read"])

    def test_csv_and_criteo(self):
        csv = self.space.path("a.csv")
        with open(csv, "w") as file:
            file.write("id;price;name\n")
            file.write("".join(f"{i % 7};{'' if i % 5 == 0 else i / 4};n<{i % 3}>\n" for i in range(100)))
        page = self.space.path("csv.html")
        stats, _ = self.stats(csv, "data.csv.delimiter=;", "--html", page)
        pages.check(self, page)
        self.assertEqual([(column["type"], column["missing"]) for column in stats["columns"]],
                         [("integer", 0), ("number", 20), ("string", 0)])
        self.assertEqual(stats["columns"][0]["max"], 6)
        self.assertEqual(stats["columns"][2]["top"][0], {"value": "n<0>", "count": 34, "error": 0})
        criteo = self.space.path("day_0")
        with open(criteo, "w") as file:
            file.write("\n".join(["1\t" + 12 * "5\t" + "\t" + 25 * "00ff00ff\t" + "12345678"] * 3))
        stats, _ = self.stats("--criteo", criteo)
        self.assertEqual([column["name"] for column in stats["columns"]][::13], ["label", "I13", "C13", "C26"])
        self.assertEqual([column["missing"] for column in stats["columns"]][12:15], [0, 3, 0])
        self.assertEqual(stats["columns"][14]["top"], [{"value": "00ff00ff", "count": 3, "error": 0}])

    def test_what_is_wrong(self):
        self.assert_refused(["NotFound", "nothing"], self.space.path("nothing"))
        self.assert_refused(["--rows"], self.space.train, "--rows", "0")
        self.assert_refused(["data.csv.delimitter", "delimiter"], self.space.train, "data.csv.delimitter=;")
        other = self.space.path("other.parquet")
        pq.write_table(self.table.select(["label"]), other)
        self.assert_refused(["other.parquet", "expected column I1"], self.space.train, other)
        torn = self.space.path("torn.parquet")
        with open(torn, "wb") as file, open(os.path.join(self.space.train, "part-0.parquet"), "rb") as whole:
            file.write(whole.read()[:-100])
        self.assert_refused(["DataLoss", "torn.parquet"], torn)


if __name__ == "__main__":
    unittest.main()
