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
        self.entry, self.initializer = entry, entry["initializer"]
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
        if "missing_row" in self.entry:
            return np.array(self.entry["missing_row"], dtype=np.float32)
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


def parts(text, separator):
    """What stands between separators; nothing after one at the end."""
    found = text.split(separator)
    return found[:-1] if found[-1] == "" else found


def weights_of(cell, config):
    """The weights of one row, as many as it has values."""
    if "split" in config:
        return [float(part) if part else None for part in parts(cell or "", config["split"])]
    return cell if isinstance(cell, list) else [cell]


def sparse_values(feature, column, weights):
    """For each row the list of values that have a key, each with its weight."""
    config = feature["sparse"]
    default = None
    if "default_value" in config:
        text = config["default_value"]
        kind = column.type.value_type if pa.types.is_list(column.type) else column.type
        default = int(text) if pa.types.is_integer(kind) else float(text) if pa.types.is_floating(kind) else text
    for value, weight in zip(column.to_pylist(), weights.to_pylist() if weights else [None] * len(column)):
        if value is None:
            single = isinstance(weight, (int, float))
            yield [] if default is None or "group" in config else [(default, weight if single else 1.0)]
            continue
        if "split" in config:
            values = [part or None for part in parts(value, config["split"])]
        else:
            values = value if isinstance(value, list) else [value]
        row_weights = weights_of(weight, config) if weights else [1.0] * len(values)
        assert len(values) == len(row_weights), (value, weight)
        if "group" in config and default is not None:
            values = [default if v is None else v for v in values]
        found = [(v, w) for v, w in zip(values, row_weights) if v is not None]
        stay = int(config.get("max_values", 0)) or int(config.get("max_length", 0)) or len(found)
        yield found[len(found) - stay :] if config.get("keep") == "LAST" and len(found) > stay else found[:stay]


def hash_of(value):
    data = value.encode() if isinstance(value, str) else struct.pack("<Q", value & MASK)
    return xxhash.xxh3_64_intdigest(data, seed=xxhash.xxh3_64_intdigest(b""))


def crossed(row):
    """One value of each column, none of them a list."""
    if any(value is None for value in row):
        return None
    return xxhash.xxh3_64_intdigest(b"".join(struct.pack("<Q", hash_of(value)) for value in row))


def derived(config, inputs):
    """A column that is made of others; lists go element by element."""
    if "cross" in config:
        return pa.array([crossed(row) for row in zip(*inputs)], pa.uint64())
    if "lag" in config:
        lags = [None if a is None or b is None else b - a for a, b in zip(*inputs)]
        return pa.array(lags, pa.float64())
    if "time" in config:
        assert config["time"].get("part", "HOUR") == "HOUR"
        single = lambda v: v % 86400 // 3600
    elif "vocabulary" in config:
        single = config["vocabulary"]["values"].index
    elif "bucketize" in config:
        single = lambda v: int(np.searchsorted(config["bucketize"]["boundaries"], v, side="right"))
    else:
        lookup = config["lookup"]
        side = pq.read_table(lookup["uri"])
        single = dict(zip(side[lookup["key"]].to_pylist(), side[lookup["value"]].to_pylist())).get
    each = lambda v: None if v is None else [each(e) for e in v] if isinstance(v, list) else single(v)
    return pa.array([each(value) for value in inputs[0]])


def with_columns(job, data):
    for config in job.get("columns", []):
        column = derived(config, [data[name].to_pylist() for name in config["from"]])
        data = data.append_column(config["name"], column)
    return data


def pool(entry, rows, weights):
    """The columns of one sample. rows: [values, dim], at least one."""
    if entry["pooling"] == "NONE":
        vector = np.zeros(entry["width"], dtype=np.float32)
        seen = np.concatenate(rows[: entry["max_length"]])
        vector[: len(seen)] = seen
        return vector
    if entry["pooling"] == "MAX":
        return np.max(rows, axis=0)
    if entry["pooling"] == "WEIGHTED_SUM":
        return np.sum([row * np.float32(weight) for row, weight in zip(rows, weights)], axis=0)
    total = np.sum(rows, axis=0)
    return total / len(rows) if entry["pooling"] == "MEAN" else total


def numeric_values(feature, column):
    config = feature["numeric"]
    if int(config.get("length", 0)):
        length = int(config["length"])
        column = pa.array([x for v in column.to_pylist() for x in (v if v is not None else [None] * length)], pa.float64())
    x = np.array([config.get("default_value", 0) if v is None else v for v in column.to_pylist()], dtype=np.float64)
    x = np.clip(x, config.get("clip_min", -np.inf), config.get("clip_max", np.inf))
    if config.get("log", False):
        x = np.copysign(np.log1p(np.abs(x)), x)
    if "standard" in config:
        x = (x - config["standard"].get("mean", 0)) / config["standard"].get("stddev", 1)
    if "min_max" in config:
        low = config["min_max"].get("min", 0)
        x = (x - low) / (config["min_max"].get("max", 1) - low)
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
        data = with_columns(self.manifest["job"], data)
        for i, name in enumerate(self.manifest.get("numeric", [])):
            name, _, place = name.partition("[")
            feature = self.features[name]
            values = numeric_values(feature, data[feature.get("column", name)])
            numeric[:, i] = values.reshape(data.num_rows, -1)[:, int(place[:-1]) if place else 0]
        pooled = np.zeros((data.num_rows, self.manifest["pooled_dim"]), dtype=np.float32)
        for entry in self.manifest.get("sparse", []):
            feature, table = self.features[entry["feature"]], self.tables[entry["table"]]
            rule = KeyRule(feature["sparse"])
            columns = slice(entry["offset"], entry["offset"] + entry["width"])
            weights = data[entry["weight_column"]] if entry["weight_column"] else None
            column = data[feature.get("column", entry["feature"])]
            for i, values in enumerate(sparse_values(feature, column, weights)):
                if values:
                    pooled[i, columns] = pool(entry, [table[rule(v)] for v, _ in values], [w for _, w in values])
        return torch.from_numpy(numeric), torch.from_numpy(pooled)

    def score(self, data):
        """data: a pyarrow.Table with the job's columns. Returns the probability of label 1 for each row."""
        with torch.no_grad():
            return torch.sigmoid(self.dense(*self.inputs(data))).numpy()
