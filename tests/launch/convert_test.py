"""weir convert: Criteo, libsvm and CSV text into Parquet, whole or not at all."""
import glob
import gzip
import json
import os
import random
import signal
import subprocess
import tempfile
import time
import unittest

import pyarrow as pa
import pyarrow.parquet as pq

import runs

INTEGERS = [f"I{i}" for i in range(1, 14)]
IDS = [f"C{i}" for i in range(1, 27)]


def criteo_rows(rows, seed):
    """Rows as lists of 40 fields, None where missing."""
    generator = random.Random(seed)
    return [[generator.randrange(2)]
            + [None if generator.random() < 0.2 else generator.randrange(-3, 10**generator.randrange(1, 9))
               for _ in INTEGERS]
            + [None if generator.random() < 0.2 else generator.getrandbits(32) for _ in IDS] for _ in range(rows)]


def criteo_text(rows):
    def field(column, value):
        return "" if value is None else f"{value:08x}" if column >= 14 else str(value)
    return "".join("\t".join(field(column, value) for column, value in enumerate(row)) + "\n" for row in rows)


def read(path):
    """Every page's checksum is verified."""
    files = sorted(glob.glob(f"{path}/*")) if os.path.isdir(path) else [path]
    return pa.concat_tables(pq.ParquetFile(file, page_checksum_verification=True).read() for file in files)


class Convert(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weir-test-")
        self.addCleanup(folder.cleanup)
        self.root = folder.name

    def path(self, name):
        return os.path.join(self.root, name)

    def write(self, name, text):
        opener = gzip.open if name.endswith(".gz") else open
        with opener(self.path(name), "wt") as file:
            file.write(text)
        return self.path(name)

    def convert(self, *arguments):
        done = runs.weir("convert", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def assert_refused(self, words, *arguments):
        done = runs.weir("convert", *arguments)
        self.assertEqual(done.returncode, 1, done.stdout)
        for word in words:
            self.assertIn(word, done.stderr)
        return done.stderr

    def names(self):
        return sorted(os.listdir(self.root))

    def test_criteo_files_of_a_folder(self):
        rows = criteo_rows(700, 1)
        os.mkdir(self.path("in"))
        self.write("in/day_0", criteo_text(rows[:300]))
        self.write("in/day_1.gz", criteo_text(rows[300:]))
        for compression in ["zstd", "lz4", "none"]:
            out = self.path(f"out-{compression}")
            report = self.convert("criteo", self.path("in"), out, "--compression", compression,
                                  "--rows_per_file", "250", "--rows_per_group", "100")
            self.assertEqual(report, {"out": out, "rows": 700, "files": 3, "bytes": report["bytes"], "bad_rows": 0,
                                      "bad_rows_by_reason": {}})
            self.assertEqual(sorted(os.listdir(out)), [f"part-{i:05}.parquet" for i in range(3)])
            self.assertEqual(report["bytes"], sum(os.path.getsize(file) for file in glob.glob(f"{out}/*")))
            table = read(out)
            self.assertEqual(table.column_names, ["label", *INTEGERS, *IDS])
            self.assertEqual([field.type for field in table.schema], 14 * [pa.int32()] + 26 * [pa.uint32()])
            self.assertEqual([list(row.values()) for row in table.to_pylist()], rows)
            column = pq.ParquetFile(f"{out}/part-00000.parquet").metadata.row_group(0).column(20)
            self.assertEqual(column.compression, {"zstd": "ZSTD", "lz4": "LZ4", "none": "UNCOMPRESSED"}[compression])

    def test_a_flipped_bit_of_a_page_is_seen(self):
        out = self.path("out.parquet")
        self.convert("criteo", self.write("in.tsv", criteo_text(criteo_rows(2000, 2))), out)
        at = pq.ParquetFile(out).metadata.row_group(0).column(20).data_page_offset + 200
        with open(out, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 16]))
        with self.assertRaises(OSError):
            read(out)

    def test_criteo_without_labels(self):
        rows = [row[1:] for row in criteo_rows(50, 3)]
        text = "".join("\t" + line.split("\t", 2)[2] for line in
                       criteo_text([[0, None, *row[1:]] for row in rows]).splitlines(keepends=True))
        path = self.write("test.txt", text)
        self.assert_refused(["line 1", "expected 40 fields", "found 39"], "criteo", path, self.path("out"))
        self.convert("criteo", path, self.path("out"), "--no_label")
        self.assertEqual([list(row.values()) for row in read(self.path("out")).to_pylist()],
                         [[None, *row[1:]] for row in rows])

    def test_bad_lines_are_counted_up_to_a_limit(self):
        lines = criteo_text(criteo_rows(20, 4)).splitlines()
        lines[4] = lines[4].replace("\t", " ", 1)
        lines[9] = "2" + lines[9][1:]
        lines[14] = lines[14] + "x"
        path = self.write("in.tsv", "\n".join(lines))
        out = self.path("out.parquet")
        self.assert_refused([f"{path}: line 5", "40 fields", "--max_bad_rows"], "criteo", path, out)
        self.assert_refused([f"{path}: line 15, field 40", "hexadecimal"], "criteo", path, out, "--max_bad_rows", "2")
        self.assertEqual(self.names(), ["in.tsv"])
        report = self.convert("criteo", path, out, "--max_bad_rows", "3")
        self.assertEqual((report["rows"], report["bad_rows"]), (17, 3))
        self.assertEqual(sorted(report["bad_rows_by_reason"].values()), [1, 1, 1])

    def test_what_is_there_is_kept_unless_forced(self):
        first = self.write("a.tsv", criteo_text(criteo_rows(5, 5)))
        second = self.write("b.tsv", criteo_text(criteo_rows(6, 6)))
        for out in [self.path("out"), self.path("out.parquet")]:
            self.convert("criteo", first, out)
            self.assert_refused(["exists", "--force"], "criteo", second, out)
            self.assertEqual(read(out).num_rows, 5)
            self.convert("criteo", second, out, "--force")
            self.assertEqual(read(out).num_rows, 6)
        self.assert_refused(["in it"], "criteo", second, self.root, "--force")
        self.assertEqual(self.names(), ["a.tsv", "b.tsv", "out", "out.parquet"])

    def test_a_full_disk(self):
        disk = self.path("disk")
        os.mkdir(disk)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "weir", disk], capture_output=True,
                                 text=True)
        if mounted.returncode != 0:
            if os.environ.get("CI") == "true":
                self.fail(mounted.stderr)
            self.skipTest(mounted.stderr)
        self.addCleanup(subprocess.run, ["umount", "--lazy", disk], check=True)
        path = self.write("in.tsv", criteo_text(criteo_rows(20_000, 7)))
        self.assert_refused(["ResourceExhausted", "No space left on device"], "criteo", path, f"{disk}/out.parquet")
        self.assertEqual(os.listdir(disk), [])

    def test_a_signal_leaves_nothing(self):
        text = criteo_text(criteo_rows(2000, 8))
        path = self.write("in.tsv", 600 * text)
        process = runs.start("convert", "criteo", path, self.path("out"))
        deadline = time.monotonic() + 60
        while not any(name.startswith(".out.tmp") for name in self.names()) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, errors)
        self.assertIn("stopped by a signal", errors)
        self.assertEqual(self.names(), ["in.tsv"])

    def test_libsvm_and_libffm(self):
        path = self.write("a.svm", "+1 3:1 7:0.5 # comment\n\n-1\n0.5 0:2\n")
        self.convert("libsvm", path, self.path("svm.parquet"))
        self.assertEqual(read(self.path("svm.parquet")).to_pydict(),
                         {"label": [1, -1, 0.5], "indices": [[3, 7], [], [0]], "values": [[1, 0.5], [], [2]]})
        path = self.write("a.ffm", "1 0:3:1 1:9:0.25\n0 1:4:1\n")
        self.convert("libsvm", path, self.path("ffm.parquet"))
        self.assertEqual(read(self.path("ffm.parquet")).to_pydict(),
                         {"label": [1, 0], "fields": [[0, 1], [1]], "indices": [[3, 9], [4]],
                          "values": [[1, 0.25], [1]]})
        self.assert_refused(["line 1, field 2", "'0:3:1'"], "libsvm", path, self.path("x"), "--kind", "libsvm")

    def test_csv_gets_types_that_hold_all_values(self):
        os.mkdir(self.path("in"))
        self.write("in/a.csv", "id;name;price;zip;gone;hash\n1;tea;2;007;;1\n2;\"a;b\";;12;;2\n")
        self.write("in/b.csv", "id;name;price;zip;gone;hash\n-3;;0.5;3;;18446744073709551615\n")
        self.convert("csv", self.path("in"), self.path("out"), "data.csv.delimiter=;", "--types", "id=double")
        table = read(self.path("out"))
        self.assertEqual([str(field.type) for field in table.schema],
                         ["double", "string", "double", "string", "string", "uint64"])
        self.assertEqual(table.to_pydict(), {"id": [1, 2, -3], "name": ["tea", "a;b", None], "price": [2, None, 0.5],
                                             "zip": ["007", "12", "3"], "gone": [None, None, None],
                                             "hash": [1, 2, 2**64 - 1]})
        arguments = ["csv", self.path("in"), self.path("x"), "data.csv.delimiter=;", "--types"]
        self.assert_refused(["in/a.csv: row 1, column name", "expected int64", "'tea'"], *arguments, "name=int64")
        self.assert_refused(["no column \"nome\""], *arguments, "nome=int64")
        self.assert_refused(["expected int64, uint64, double or string", "\"integer\""], *arguments, "id=integer")

    def test_command_lines_that_are_wrong(self):
        path = self.write("in.tsv", criteo_text(criteo_rows(1, 9)))
        self.assert_refused(["unknown format \"tsv\""], "tsv", path, self.path("out"))
        self.assert_refused(["--compression", "zstd, lz4 or none"], "criteo", path, self.path("out"),
                            "--compression", "gzip")
        self.assert_refused(["--types", "csv only"], "criteo", path, self.path("out"), "--types", "label=int64")
        self.assert_refused(["data.*", "csv only"], "criteo", path, self.path("out"), "data.csv.delimiter=;")
        self.assert_refused(["a folder's name"], "criteo", path, self.path("o.parquet"), "--rows_per_file", "5")
        self.assert_refused(["expected IN and OUT"], "csv", path, "data.csv.delimiter=;")
        self.assert_refused(["NotFound"], "criteo", self.path("nothing"), self.path("out"))
        self.assertEqual(self.names(), ["in.tsv"])


if __name__ == "__main__":
    unittest.main()
