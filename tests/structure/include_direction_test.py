"""The include directions of docs/architecture.md: who may include whom, read from every source and header."""

import os
import pathlib
import re
import tempfile
import unittest

ROOT = pathlib.Path(os.environ["WEIR_SOURCE_DIR"])

# What each folder may include besides itself, base and proto. The longest path that fits a file decides.
MAY_INCLUDE = {
    "base": [],
    "proto": [],
    "batch": [],
    "data_loader": ["batch"],
    "embeddings": ["batch"],
    "models": ["batch"],
    "checkpoint": ["embeddings"],
    "param_server/message_bytes": [],
    "param_server/protocol": ["embeddings", "checkpoint", "param_server/message_bytes"],
    "param_server/client": ["embeddings", "checkpoint", "param_server/protocol"],
    "param_server/server": ["embeddings", "checkpoint", "param_server/protocol"],
    # What is common to both sides lies in the folder itself; it knows neither.
    "param_server": ["embeddings", "checkpoint", "param_server/protocol", "param_server/message_bytes"],
    "trainer": ["batch", "data_loader", "models", "embeddings", "checkpoint", "param_server/client"],
    "serving": ["batch", "data_loader", "models", "embeddings", "checkpoint"],
}
EVERYONE = ["base", "proto"]
# May include anything; nothing includes them but they themselves.
TOPS = ["launch", "examples", "bench", "tests"]
FORBIDDEN_FOLDERS = {"common", "utils", "util", "core", "helpers", "misc"}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def unit(path):
    """The longest entry of the table, or of TOPS, that holds this path."""
    fits = [u for u in [*MAY_INCLUDE, *TOPS] if path == u or path.startswith(u + "/") or path.startswith(u + ".")]
    return max(fits, key=len, default=None)


def violations(root):
    found = []
    for path in sorted([*root.rglob("*.h"), *root.rglob("*.cc")]):
        name = path.relative_to(root).as_posix()
        if name.split("/")[0].startswith((".", "build")):
            continue
        includer = unit(name)
        if includer is None:
            found.append(f"{name}: lies in no folder of docs/architecture.md")
            continue
        for included in INCLUDE.findall(path.read_text()):
            target = unit(included)
            if target is None:
                found.append(f'{name}: "{included}" is no path from the root of the tree')
            elif includer in TOPS:
                if target in TOPS and target != includer and not (includer == "tests" or includer == "bench"):
                    found.append(f"{name}: {includer} includes {included}")
            elif target != includer and target not in EVERYONE and target not in allowed(includer):
                found.append(f"{name}: {includer} may not include {included}")
    return found


def allowed(includer):
    names = list(MAY_INCLUDE[includer])
    # param_server's shared part is below both its sides.
    if includer in ("param_server/client", "param_server/server"):
        names.append("param_server")
    return names


class IncludeDirection(unittest.TestCase):
    def test_the_tree_follows_the_table(self):
        self.assertEqual(violations(ROOT), [])

    def test_no_drawers(self):
        folders = {p.name for p in ROOT.iterdir() if p.is_dir()}
        self.assertEqual(folders & FORBIDDEN_FOLDERS, set())

    def test_something_was_read(self):
        self.assertGreater(len(list(ROOT.glob("*/*.h"))), 20)

    def planted(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return violations(root)

    def test_planted_violations_are_found(self):
        cases = [
            ("base/a.h", "embeddings/table.h"),
            ("batch/a.h", "embeddings/table.h"),
            ("models/a.cc", "trainer/step.h"),
            ("embeddings/a.cc", "checkpoint/checkpoint.h"),
            ("param_server/client/a.cc", "param_server/server/shard.h"),
            ("param_server/server/a.cc", "param_server/client/remote_store.h"),
            ("trainer/a.cc", "param_server/server/shard.h"),
            ("serving/a.cc", "trainer/step.h"),
            ("trainer/a.cc", "launch/commands.h"),
            ("embeddings/a.cc", "tests/embeddings/oracle.h"),
            ("data_loader/a.cc", "table.h"),
        ]
        for includer, included in cases:
            with self.subTest(includer=includer, included=included):
                found = self.planted({includer: f'#pragma once\n  #  include "{included}"\n'})
                self.assertEqual(len(found), 1, found)

    def test_folders_of_no_place_are_found(self):
        self.assertEqual(len(self.planted({"utils/a.h": ""})), 1)

    def test_what_is_allowed_passes(self):
        cases = [
            ("batch/a.h", "base/status.h"),
            ("models/a.cc", "proto/job.pb.h"),
            ("trainer/a.cc", "param_server/client/remote_store.h"),
            ("param_server/client/a.cc", "param_server/protocol.h"),
            ("launch/a.cc", "param_server/server/server.h"),
            ("tests/a/b_test.cc", "launch/commands.h"),
            ("bench/a.cc", "embeddings/table.h"),
        ]
        for includer, included in cases:
            with self.subTest(includer=includer, included=included):
                self.assertEqual(self.planted({includer: f'#include "{included}"\n#include <vector>\n'}), [])


if __name__ == "__main__":
    unittest.main()
