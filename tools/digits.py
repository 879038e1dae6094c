"""The digits of models/: IDX files, and the enlargement from 8 x 8 to 28 x 28. Needs numpy only."""
import gzip

import numpy as np


def enlarge(digits):
    """u8[N,8,8] with values 0..16 -> i64[N,28,28] with values 0..1600; models/README.md has the formula.

    Bilinear to 20 x 20 (half-pixel centres, clamped at the edge) inside a border of 4 zeros. It is
    done in integers, so that any other program gets the same bits; the pixel is the value / 1600.
    """
    tenths = np.clip(4 * np.arange(20) - 3, 0, 70)
    low = tenths // 10
    high = np.minimum(low + 1, 7)
    weight = tenths % 10
    digits = digits.astype(np.int64)
    rows = digits[:, low] * (10 - weight)[:, None] + digits[:, high] * weight[:, None]
    both = rows[:, :, low] * (10 - weight) + rows[:, :, high] * weight
    return np.pad(both, ((0, 0), (4, 4), (4, 4)))


def read_idx(path):
    """The array of an IDX file of bytes, compressed with gzip or not."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", rank, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(header + array.astype(np.uint8).tobytes())
