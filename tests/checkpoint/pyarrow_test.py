"""The golden checkpoint is what docs/formats.md says, as another implementation reads it."""
import os
import re
import sys

import pyarrow as pa

folder = os.path.join(os.environ["WEIR_SOURCE_DIR"], "tests", "checkpoint", "golden", "v1", "step-3")
MASK = 2**64 - 1


def fmix64(x):
    x ^= x >> 33
    x = x * 0xFF51AFD7ED558CCD & MASK
    x ^= x >> 33
    x = x * 0xC4CEB9FE1A85EC53 & MASK
    return x ^ x >> 33


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def check_manifest():
    data = open(os.path.join(folder, "MANIFEST"), "rb").read()
    text, last = data[:-17], data[-17:].decode()
    assert last == "crc32c: %08x\n" % crc32c(text), last
    files = re.findall(r'name: "(\S+\.arrow)"\s+kind: \w+\s+bytes: (\d+)\s+crc32c: (\d+)', text.decode())
    assert len(files) == 3, files
    for name, size, crc in files:
        content = open(os.path.join(folder, name), "rb").read()
        assert len(content) == int(size) and crc32c(content) == int(crc), name


def check_rows():
    reader = pa.ipc.open_file(os.path.join(folder, "rows-0000-test-00000.arrow"))
    fields = {field.name: str(field.type) for field in reader.schema}
    assert fields == {
        "key": "uint64",
        "last_step": "int64",
        "count": "uint64",
        "weights": "fixed_size_list<item: float not null>[2]",
        "state.exp_avg": "fixed_size_list<item: float not null>[2]",
        "state.sum": "fixed_size_list<item: float not null>[1]",
    }, fields
    metadata = {key.decode(): value.decode() for key, value in reader.schema.metadata.items()}
    assert metadata == {
        "weir.format_version": "1",
        "weir.table": "user",
        "weir.dim": "2",
        "weir.virtual_shards": "8",
        "weir.shard_begin": "0",
        "weir.shard_end": "8",
    }, metadata
    rows = reader.read_all().to_pylist()
    order = [(fmix64(row["key"]) >> 61, row["key"]) for row in rows]
    assert order == sorted(set(order)) and len(rows) == 40
    for row in rows:
        i, remainder = divmod(row["key"], 7919)
        assert remainder == 0 and row["count"] == i + 1 and row["last_step"] == i % 4, row
        assert row["weights"] == [i / 4, -i / 4] and row["state.exp_avg"] == [i / 4 + 1, i / 4 + 2], row
        assert row["state.sum"] == [i / 4 + 3], row


def check_dense():
    tensors = pa.ipc.open_file(os.path.join(folder, "dense.arrow")).read_all().to_pylist()
    assert tensors == [
        {"name": "parameter/top.0.weight", "shape": [2, 3], "values": [1, 2, 3, 4, 5, 6]},
        {"name": "parameter/top.0.bias", "shape": [2], "values": [0.5, -0.5]},
    ], tensors


def main():
    check_manifest()
    check_rows()
    check_dense()
    return 0


if __name__ == "__main__":
    sys.exit(main())
