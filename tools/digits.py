"""The digits of models/: IDX files, the enlargement from 8 x 8 to 28 x 28, what is trained on. Needs numpy; uci_digits scikit-learn."""
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


def uci_digits():
    """(images u8[N,8,8], labels u8[N]) for training, then the same held out: of each class, in file
    order, every fifth image."""
    import sklearn.datasets
    data = sklearn.datasets.load_digits()
    images, labels = data.images.astype(np.uint8), data.target.astype(np.uint8)
    held_out = np.zeros(len(labels), bool)
    for digit in range(10):
        held_out[np.flatnonzero(labels == digit)[4::5]] = True
    return images[~held_out], labels[~held_out], images[held_out], labels[held_out]


def read_mnist(folder):
    """Images u8[10000,28,28] and labels of MNIST's test files: those of even index are trained on, the others tested."""
    return [read_idx(folder / f"t10k-{part}-ubyte.gz") for part in ("images-idx3", "labels-idx1")]
