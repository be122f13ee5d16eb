"""weir table-report on a trained run: text, JSON and a page that stands alone; errors for what cannot be read."""
import glob
import json
import os
import subprocess
import unittest

import pages
import runs

TABLES = ["C1", "C2", "C3"]


class TableReport(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.space = runs.Workspace()
        cls.trained = runs.train(cls.space, "out")
        cls.out = cls.space.path("out")

    @classmethod
    def tearDownClass(cls):
        cls.space.__exit__()

    def test_json_agrees_with_the_run(self):
        done = runs.weir("table-report", self.out, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["step"], self.trained["steps"])
        self.assertEqual([table["table"] for table in report["tables"]], TABLES)
        self.assertEqual(sum(table["rows"] for table in report["tables"]), self.trained["rows"])
        for table in report["tables"]:
            for name in ["age", "count", "norm"]:
                self.assertEqual(sum(b["rows"] for b in table[name]["histogram"]), table["rows"])
            self.assertLess(table["age"]["max"], self.trained["steps"])
            self.assertLessEqual(table["count"]["max"], self.trained["steps"])

    def test_text_has_a_line_a_table_in_each_grid(self):
        done = runs.weir("table-report", self.out)
        self.assertEqual(done.returncode, 0, done.stderr)
        for title in ["Memory.", "Age.", "Count.", "L2 norm of the weights."]:
            self.assertIn("\n" + title, done.stdout)
        for table in TABLES:
            self.assertEqual(done.stdout.count(f"\n{table} "), 4)

    def test_one_table_has_its_histograms(self):
        done = runs.weir("table-report", self.out, "--table", "C2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("\nC1 ", done.stdout)
        for title in ["age in steps", "count", "L2 norm of the weights"]:
            self.assertRegex(done.stdout, rf"\nC2\n *{title}  rows")
        self.assertIn("█", done.stdout)

    def test_page(self):
        page = self.space.path("report.html")
        done = runs.weir("table-report", self.out, "--html", page)
        self.assertEqual(done.returncode, 0, done.stderr)
        text = "".join(pages.check(self, page).itertext())
        for table in TABLES:
            self.assertIn("Table " + table, text)

    def test_what_cannot_be_read(self):
        done = runs.weir("table-report", self.space.path("nowhere"))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("weir table-report: NotFound: ", done.stderr)
        done = runs.weir("table-report", self.out, "--table", "C9")
        self.assertEqual(done.returncode, 1)
        self.assertIn('no table "C9"', done.stderr)
        done = runs.weir("table-report", self.out, "--html", self.space.path("no/such/folder.html"))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("no/such/folder.html", done.stderr)

    def test_a_damaged_file_is_named(self):
        copy = self.space.path("copy")
        subprocess.run(["cp", "-r", self.out, copy], check=True)
        rows = max(glob.glob(f"{copy}/checkpoints/step-*/rows-*"), key=os.path.getsize)
        with open(rows, "r+b") as f:
            f.seek(os.path.getsize(rows) // 2)
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 4]))
        done = runs.weir("table-report", copy)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("weir table-report: DataLoss: ", done.stderr)
        self.assertIn(os.path.basename(rows), done.stderr)


if __name__ == "__main__":
    unittest.main()
