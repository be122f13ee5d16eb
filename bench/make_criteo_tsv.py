"""Writes text in the form of Criteo's logs: label, 13 integers, 26 hexadecimal ids, parted by tabs, no header.

    python3 bench/make_criteo_tsv.py FILE --bytes 10000000000 [--seed 1]

As many distinct ids a column as the Kaggle set has, drawn by Zipf's law; every other column misses some of its values.
Labels follow from the first ids, so that a model has something to learn. The same arguments write the same bytes, at
about 100 MB/s.
"""
import argparse

import numpy as np

CARDINALITIES = [1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194, 27, 14992, 5461306,
                 10, 5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572]
ZIPF_EXPONENT = 1.05
MISSING = 0.03  # of the values of a column that has missing ones: every other one
ROWS = 1 << 16  # made at a time
DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
# Fields are written into a row of fixed width; a zero byte is dropped.
INTEGER_WIDTH = 6


def spread(numbers):
    """A bijection of 32 bits that leaves no order."""
    numbers = (numbers ^ (numbers >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    numbers = (numbers ^ (numbers >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return numbers ^ (numbers >> np.uint32(16))


def draw_ids(random, column, n):
    """Ids whose rank r comes with a probability in proportion to r ** -ZIPF_EXPONENT."""
    power = 1 - ZIPF_EXPONENT
    top = float(CARDINALITIES[column] + 1) ** power
    ranks = ((1 - random.random(n) * (1 - top)) ** (1 / power)).astype(np.uint32)
    return spread(np.minimum(ranks, CARDINALITIES[column]) + np.uint32(column << 24))


def hexadecimal(ids):
    """[n, 8] letters."""
    shifts = np.arange(28, -4, -4, dtype=np.uint32)
    return DIGITS[(ids[:, None] >> shifts) & np.uint32(15)]


def decimal(numbers):
    """[n, INTEGER_WIDTH] letters of numbers from -9 to 99,999, to the right, zero bytes before."""
    letters = np.zeros((len(numbers), INTEGER_WIDTH), np.uint8)
    rest = np.abs(numbers)
    for place in range(INTEGER_WIDTH - 1, -1, -1):
        digit = rest % 10 + ord("0")
        letters[:, place] = np.where((rest > 0) | (place == INTEGER_WIDTH - 1), digit, 0)
        rest = rest // 10
    letters[numbers < 0, INTEGER_WIDTH - 2] = ord("-")
    return letters


def lines(random, n):
    fields = []
    odds = np.full(n, -1.2)
    for column in range(26):
        ids = draw_ids(random, column, n)
        if column < 8:
            odds += (spread(ids) / 2**32 - 0.5) * 1.5
        letters = hexadecimal(ids)
        if column % 2:
            letters[random.random(n) < MISSING] = 0
        fields.append(letters)
    for column in range(13):
        numbers = np.minimum(random.lognormal(1.5, 1.5, n), 99999).astype(np.int32) - (2 if column == 1 else 0)
        letters = decimal(numbers)
        if column % 2:
            letters[random.random(n) < MISSING] = 0
        fields.insert(column, letters)
    labels = (random.random(n) < 1 / (1 + np.exp(-odds))) + ord("0")
    tab = np.full((n, 1), ord("\t"), np.uint8)
    parts = [labels.astype(np.uint8)[:, None]]
    for letters in fields:
        parts += [tab, letters]
    parts.append(np.full((n, 1), ord("\n"), np.uint8))
    text = np.concatenate(parts, axis=1)
    return text[text != 0].tobytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--bytes", type=int, required=True, help="the file is at least as large, by one line at most")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    written = 0
    with open(arguments.file, "wb") as out:
        while written < arguments.bytes:
            text = lines(random, ROWS)
            if written + len(text) > arguments.bytes:
                text = text[:text.index(b"\n", arguments.bytes - written - 1) + 1]
            out.write(text)
            written += len(text)


if __name__ == "__main__":
    main()
