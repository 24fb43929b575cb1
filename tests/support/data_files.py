"""Tiny data sets in the formats in which they are published, written by hand.

What a format does to images and labels stands here once more, by the names of the files: EMNIST
holds images column by column, its letters and LIBSVM's USPS count from 1, USPS's pixels are in
[−1, 1].
"""

import bz2
import csv
import gzip
import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.io

from jaxnet.data.file_sets import FileSet

COMPRESS = {"": lambda content: content, ".gz": gzip.compress, ".bz2": bz2.compress}


def idx_bytes(array: np.ndarray, kind: int = 8) -> bytes:
    """The content of an IDX file: of bytes (8) or of big-endian int32 (12)."""
    header = struct.pack(f">4B{array.ndim}I", 0, 0, kind, array.ndim, *array.shape)
    return header + array.astype(np.uint8 if kind == 8 else ">i4").tobytes()


def npz_bytes(compressed: bool = False, **arrays: np.ndarray) -> bytes:
    """The content of a NumPy archive."""
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def mat_bytes(compressed: bool = True, **variables: object) -> bytes:
    """The content of a MATLAB file."""
    file = io.BytesIO()
    scipy.io.savemat(file, variables, do_compression=compressed)
    return file.getvalue()


def csv_bytes(rows: list[list[object]]) -> bytes:
    """The content of a CSV file."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def images(n: int, side: int, seed: int = 0) -> np.ndarray:
    """Images as MNIST holds them, of which no two rows, columns or pixels look the same."""
    drawn = np.random.default_rng(seed).integers(0, 256, (n, side, side), np.uint8)
    drawn[:, 0, 0], drawn[:, 0, 1] = 0, 255
    return drawn


def contents_of(file_set: FileSet, x: list[np.ndarray], y: list[np.ndarray]) -> dict[str, bytes]:
    """The contents of a set's files by name, from training and test images and labels from 0."""
    first = file_set.files[0]
    if first.startswith("emnist"):
        x = [images.transpose(0, 2, 1) for images in x]
    if first.startswith("emnist-letters") or first == "usps":
        y = [labels + 1 for labels in y]
    write = {
        "idx": _idx, "npz": _npz, "mat": _mat, "csv": _csv, "libsvm": _libsvm, "columns": _columns,
    }[file_set.format]  # fmt: skip
    return dict(zip(file_set.files, write(first, x, y), strict=True))


def _idx(first: str, x: list[np.ndarray], y: list[np.ndarray]) -> list[bytes]:
    files = []
    for images, labels in zip(x, y):
        if first.startswith("qmnist"):  # seven further columns: writer, field, …
            table = np.column_stack([labels, *(labels + 1000 * k for k in range(1, 8))])
            files += [idx_bytes(images), idx_bytes(table, 12)]
        else:
            files += [idx_bytes(images), idx_bytes(labels)]
    return files


def _npz(first: str, x: list[np.ndarray], y: list[np.ndarray]) -> list[bytes]:
    arrays = [array.astype(np.uint8) for pair in zip(x, y) for array in pair]
    return [npz_bytes(compressed=True, arr_0=array) for array in arrays]


def _mat(first: str, x: list[np.ndarray], y: list[np.ndarray]) -> list[bytes]:
    parts = {
        part: {
            "images": images.reshape(len(images), -1),
            "labels": labels.astype(np.uint8)[:, None],
            "writers": np.arange(len(labels))[:, None],
        }
        for part, images, labels in zip(("train", "test"), x, y)
    }
    mapping = np.column_stack([np.arange(10), np.arange(48, 58)])
    compressed = first != "emnist-digits.mat"  # one as MATLAB 6 writes it
    return [mat_bytes(compressed, dataset=parts | {"mapping": mapping})]


def _csv(first: str, x: list[np.ndarray], y: list[np.ndarray]) -> list[bytes]:
    side, rows = x[0].shape[1], range(1, 1 + x[0].shape[1])
    headers = {
        "train.csv": [["label", *(f"pixel{n}" for n in range(side**2))]],
        "fashion-mnist_train.csv": [["label", *(f"pixel{n + 1}" for n in range(side**2))]],
        "mnist_train.csv": [["label", *(f"{row}x{column}" for row in rows for column in rows)]],
    }
    return [
        csv_bytes(
            [*headers.get(first, []), *([label, *i.ravel()] for i, label in zip(images, labels))]
        )
        for images, labels in zip(x, y)
    ]


def scaled(images: np.ndarray) -> np.ndarray:
    """Pixels in [−1, 1], of which some are 0, as USPS has them: with three digits."""
    return np.round(np.maximum(images / 127.5 - 1, -0.999) * (images > 9), 3)


def _libsvm(first: str, x: list[np.ndarray], y: list[np.ndarray]) -> list[bytes]:
    return [
        "".join(
            f"{label} "
            + " ".join(f"{n}:{pixel:g}" for n, pixel in enumerate(row, 1) if pixel)
            + " \n"
            for row, label in zip(scaled(images).reshape(len(images), -1), labels)
        ).encode()
        for images, labels in zip(x, y)
    ]


def _columns(first: str, x: list[np.ndarray], y: list[np.ndarray]) -> list[bytes]:
    return [
        "".join(
            f"{label:.4f} " + " ".join(f"{pixel:.4f}" for pixel in row) + " \n"
            for row, label in zip(scaled(images).reshape(len(images), -1), labels)
        ).encode()
        for images, labels in zip(x, y)
    ]


def write_files(folder: Path, contents: dict[str, bytes], suffix: str = "") -> None:
    """Write files of these contents, compressed if their suffix says so."""
    compress: Callable[[bytes], bytes] = COMPRESS[suffix]
    for name, content in contents.items():
        (folder / f"{name}{suffix}").write_bytes(compress(content))
