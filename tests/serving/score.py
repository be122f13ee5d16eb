"""Scores rows with an exported model, from what its README says alone: PyTorch, PyArrow and an XXH3 of PyPI.

Nothing of Weir's is used, so that a mistake in its hashing, its transforms or its export shows as another score.
"""
import json
import os
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import xxhash

MASK = (1 << 64) - 1


def split_mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def random_bits(seed, purpose, a, b):
    x = split_mix(seed ^ split_mix(purpose))
    x = split_mix(x ^ a)
    return split_mix(x ^ split_mix(b ^ 0x5851F42D4C957F2D))


class Table:
    """The rows of a table; a key that has none has its initial row."""

    ROW_INIT = 1

    def __init__(self, folder, entry):
        self.dim, self.seed = entry["dim"], int(entry["seed"])
        self.initializer = entry["initializer"]
        data = pq.read_table(os.path.join(folder, entry["file"]), page_checksum_verification=True)
        assert data.num_rows == int(entry["rows"]), entry["file"]
        vectors = data["vector"].combine_chunks()
        values = np.array(vectors.flatten(), dtype=np.float32).reshape(-1, self.dim)
        self.rows = dict(zip(data["key"].to_pylist(), values))
        self.misses = 0

    def __getitem__(self, key):
        row = self.rows.get(key)
        if row is None:
            self.misses += 1
            row = self.initial(key)
        return row

    def initial(self, key):
        if "constant" in self.initializer:
            return np.full(self.dim, self.initializer["constant"].get("value", 0), dtype=np.float32)
        if "normal" in self.initializer:
            raise NotImplementedError("normal initial rows")
        scale = np.float32(self.initializer.get("uniform", {}).get("scale", 0.05))
        units = [random_bits(self.seed, self.ROW_INIT, key, column) >> 40 for column in range(self.dim)]
        return (np.array(units, dtype=np.float32) * np.float32(2.0**-23) - np.float32(1)) * scale


class KeyRule:
    def __init__(self, config):
        self.seed = xxhash.xxh3_64_intdigest(config["hash_space"].encode())
        self.buckets = int(config.get("buckets", 0))
        self.identity = config.get("identity", False)
        self.boundaries = config.get("boundaries", [])

    def __call__(self, value):
        if self.boundaries:
            value = int(np.searchsorted(self.boundaries, float(value), side="right"))
        if isinstance(value, str):
            data = value.encode()
        else:
            value &= MASK
            data = struct.pack("<Q", value)
        key = value if self.identity else xxhash.xxh3_64_intdigest(data, seed=self.seed)
        return key % self.buckets if self.buckets else key


def sparse_values(feature, column):
    """For each row the list of values that have a key."""
    config = feature["sparse"]
    default = None
    if "default_value" in config:
        text = config["default_value"]
        kind = column.type.value_type if pa.types.is_list(column.type) else column.type
        default = int(text) if pa.types.is_integer(kind) else float(text) if pa.types.is_floating(kind) else text
    for value in column.to_pylist():
        if value is None:
            yield [] if default is None else [default]
        elif "split" in config:
            yield [part for part in value.split(config["split"]) if part]
        elif isinstance(value, list):
            yield [element for element in value if element is not None]
        else:
            yield [value]


def numeric_values(feature, column):
    config = feature["numeric"]
    x = np.array([config.get("default_value", 0) if v is None else v for v in column.to_pylist()], dtype=np.float64)
    x = np.clip(x, config.get("clip_min", -np.inf), config.get("clip_max", np.inf))
    if config.get("log", False):
        x = np.copysign(np.log1p(np.abs(x)), x)
    if "standard" in config:
        x = (x - config["standard"].get("mean", 0)) / config["standard"].get("stddev", 1)
    return x.astype(np.float32)


class ExportedModel:
    def __init__(self, folder):
        with open(os.path.join(folder, "export.json"), encoding="utf-8") as f:
            self.manifest = json.load(f)
        assert self.manifest["format_version"] == 1
        assert self.manifest["hash_rule"]["version"] == 1
        self.features = {feature["name"]: feature for feature in self.manifest["job"]["features"]}
        self.tables = {entry["name"]: Table(folder, entry) for entry in self.manifest["tables"]}
        self.dense = torch.jit.load(os.path.join(folder, self.manifest["dense_file"]))

    def inputs(self, data):
        numeric = np.zeros((data.num_rows, len(self.manifest.get("numeric", []))), dtype=np.float32)
        for i, name in enumerate(self.manifest.get("numeric", [])):
            feature = self.features[name]
            numeric[:, i] = numeric_values(feature, data[feature.get("column", name)])
        pooled = np.zeros((data.num_rows, self.manifest["pooled_dim"]), dtype=np.float32)
        for entry in self.manifest.get("sparse", []):
            feature, table = self.features[entry["feature"]], self.tables[entry["table"]]
            rule = KeyRule(feature["sparse"])
            columns = slice(entry["offset"], entry["offset"] + entry["dim"])
            for i, values in enumerate(sparse_values(feature, data[feature.get("column", entry["feature"])])):
                if not values:
                    continue
                rows = np.sum([table[rule(value)] for value in values], axis=0)
                pooled[i, columns] = rows / len(values) if entry["pooling"] == "MEAN" else rows
        return torch.from_numpy(numeric), torch.from_numpy(pooled)

    def score(self, data):
        """data: a pyarrow.Table with the job's columns. Returns the probability of label 1 for each row."""
        with torch.no_grad():
            return torch.sigmoid(self.dense(*self.inputs(data))).numpy()
