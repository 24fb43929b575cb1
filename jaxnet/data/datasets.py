"""Datasets: the MNIST that ships with the package, anyone's files and arrays, synthetic ones.

Everything is checked at the door, and every fault is a `ValueError` that names the file (or the
array) and what is wrong with it. Images stay uint8; the network scales them when it reads them.
"""

import contextlib
import functools
import gzip
import hashlib
import math
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxnet.core.types import Dataset, Split

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
MNIST_SHA256 = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
"""Of the decompressed files, in the order of `IDX_FILES`."""


@functools.cache
def mnist() -> Dataset:
    """The handwritten digits, from inside the package: 50,000 / 10,000 / 10,000, as in the book.

    Validation is the last 10,000 of the training file. Each file's SHA-256 is verified.

    Returns:
      A `Dataset` of uint8 images (n, 784) and labels 0 to 9.

    Raises:
      ValueError: a file is not MNIST's.

    Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits.

    >>> [len(split.x) for split in mnist()]
    [50000, 10000, 10000]
    """
    folder = Path(__file__).parent / "mnist"
    return _idx(folder, 10_000, 10, dict(zip(IDX_FILES, MNIST_SHA256, strict=True)))


def idx(folder: str | Path, n_valid: int | None = None, n_classes: int | None = None) -> Dataset:
    """Any folder with the four files of MNIST's names: Fashion-MNIST, KMNIST, EMNIST.

    Args:
      folder: where `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
        `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte` lie, each gzipped (`.gz`) or not.
      n_valid: how many of the last training examples validate instead; by default a sixth, which
        is the book's 10,000 of 60,000.
      n_classes: where given, labels must be below it.

    Returns:
      A `Dataset` of uint8 images (n, rows·columns) and integer labels.

    Raises:
      ValueError: a file is missing, truncated, of another format or does not match its partner.
    """
    return _idx(Path(folder), n_valid, n_classes, {})


def npz(path: str | Path, n_valid: int | None = None, n_classes: int | None = None) -> Dataset:
    """A NumPy archive of `x_train`, `y_train`, `x_test`, `y_test`, as Keras's `mnist.npz` is.

    `x_valid` and `y_valid` are read where there are any; else the last `n_valid` training examples
    validate. Without `x_test` there is no test split. Nothing pickled is ever loaded.

    Args:
      path: the archive.
      n_valid: how many of the last training examples validate, if the archive does not say; by
        default a sixth.
      n_classes: where given, labels must be below it.

    Returns:
      A `Dataset`, each example flattened.

    Raises:
      ValueError: the archive or an array in it cannot be used.
    """
    path = Path(path)
    try:
        with (
            _existing(path).open("rb") as file,
            contextlib.closing(_archive(file)) as archive,
        ):
            held = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        raise ValueError(f"{path} is not a readable .npz archive: {error}.") from None

    def split(name: str) -> Split | None:
        if f"x_{name}" not in held and f"y_{name}" not in held:
            return None
        for array in (f"x_{name}", f"y_{name}"):
            if array not in held:
                raise ValueError(f"{path} has no array {array}; it holds {sorted(held)}.")
        return _split(held[f"x_{name}"], held[f"y_{name}"], f"{path} ({name})", n_classes)

    train, valid, test = split("train"), split("valid"), split("test")
    if train is None:
        raise ValueError(f"{path} has no arrays x_train and y_train; it holds {sorted(held)}.")
    if valid is None:
        train, valid = _held_out(train, n_valid, str(path))
    return _matching(Dataset(train, valid, test), str(path))


def arrays(x: Any, y: Any, valid: Any = None, test: Any = None) -> Dataset:
    """Anyone's arrays as a `Dataset`.

    Args:
      x: the training inputs, (n, …), flattened to (n, n_in): uint8 pixels or floats.
      y: n integer labels, or float targets (n, n_out).
      valid: a pair (x, y) to validate on, or `None`.
      test: a pair (x, y) to test on, or `None`.

    Raises:
      ValueError: an array cannot be used, or the two of a pair do not match.

    >>> data = arrays(np.zeros((4, 2, 3)), [0, 1, 1, 0])
    >>> data.train.x.shape, data.valid
    ((4, 6), None)
    """
    data = Dataset(
        _split(x, y, "training data"),
        None if valid is None else _split(valid[0], valid[1], "validation data"),
        None if test is None else _split(test[0], test[1], "test data"),
    )
    return _matching(data, "the arrays")


def digits() -> Dataset:
    """scikit-learn's 1,797 digits of 8×8 pixels: a task that runs in seconds. 1,197 / 300 / 300.

    Raises:
      ModuleNotFoundError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "datasets.digits() comes with scikit-learn: pip install scikit-learn"
        ) from None
    bunch: Any = load_digits()
    x, y = (bunch.data / 16).astype(np.float32), bunch.target.astype(np.int32)
    return Dataset(*(Split(x[part], y[part]) for part in np.split(np.arange(len(x)), [1197, 1497])))


def xor(n: int = 200, noise: float = 0.1, seed: int = 0) -> Dataset:
    """The corners of the unit square, blurred: label 1 where exactly one coordinate is 1.

    Args:
      n: examples in each of the three splits.
      noise: standard deviation around the corners.
      seed: of the draw.

    >>> [split.x.shape for split in xor(n=8)]
    [(8, 2), (8, 2), (8, 2)]
    """

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        corners = random.integers(2, size=(n, 2))
        return corners + noise * random.standard_normal((n, 2)), corners.sum(axis=1) % 2

    return _synthetic(draw, seed)


def spirals(
    n: int = 300, n_classes: int = 2, turns: float = 1.0, noise: float = 0.02, seed: int = 0
) -> Dataset:
    """Interleaved spirals in the plane, one per class: easy to see, hard for a shallow network.

    Args:
      n: examples in each of the three splits.
      n_classes: arms.
      turns: revolutions of each arm.
      noise: standard deviation around an arm, whose radius ends at 1.
      seed: of the draw.

    >>> spirals(n=9, n_classes=3).train.y.max().item() < 3
    True
    """

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        label = random.integers(n_classes, size=n)
        radius = np.sqrt(random.random(n))  # even along the arm, not crowded at the centre
        angle = 2 * np.pi * (turns * radius + label / n_classes)
        x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return x + noise * random.standard_normal((n, 2)), label

    return _synthetic(draw, seed)


def function(
    f: Callable[[np.ndarray], np.ndarray],
    low: float = 0.0,
    high: float = 1.0,
    n_in: int = 1,
    n: int = 1000,
    noise: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Regression: y = f(x) + noise, with x uniform in the cube [low, high]^n_in.

    Args:
      f: maps inputs (n, n_in) to targets, (n,) or (n, n_out).
      low: the cube's lower bound.
      high: its upper bound.
      n_in: its dimension.
      n: examples in each of the three splits.
      noise: standard deviation added to the targets.
      seed: of the draw.

    >>> data = function(np.sin, high=np.pi, n=5)
    >>> bool(np.allclose(data.train.y, np.sin(data.train.x)))
    True
    """

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = random.uniform(low, high, (n, n_in))
        y = np.asarray(f(x), float).reshape(n, -1)
        return x, y + noise * random.standard_normal(y.shape)

    return _synthetic(draw, seed)


def quadratic(n: int = 1000, n_in: int = 100, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Linear regression whose cost is a quadratic of known curvatures, 1, 1/2, …, 1/n_in.

    y = Σ xⱼ√j + noise with xⱼ ~ N(0, 1/j): so a linear unit's mean squared error has the Hessian
    diag(1/j), its best weights are √j, and each direction is worth as much of the cost.

    Args:
      n: examples in each of the three splits.
      n_in: inputs.
      noise: standard deviation of the targets' noise, relative to that of the signal, √n_in.
      seed: of the draw.

    Source: the spectrum of Zhang et al., Which algorithmic choices matter at which batch sizes?,
    2019, section 3.1.

    >>> quadratic(n=5).train.x.shape
    (5, 100)
    """
    scale = np.sqrt(1 + np.arange(n_in))

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        z = random.standard_normal((n, n_in))
        error = noise * np.sqrt(n_in) * random.standard_normal((n, 1))
        return z / scale, z.sum(axis=1, keepdims=True) + error

    return _synthetic(draw, seed)


def sha256(data: Dataset) -> str:
    """The hash of a dataset's contents: two runs with the same hash saw the same examples."""
    digest = hashlib.sha256()
    for split in data:
        for array in split or ():
            array = np.ascontiguousarray(array)
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.data)
    return digest.hexdigest()


def _synthetic(
    draw: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]], seed: int
) -> Dataset:
    randoms = np.random.default_rng(seed).spawn(3)
    return Dataset(*(_split(*draw(random), "synthetic data") for random in randoms))


def _split(x: Any, y: Any, source: str, n_classes: int | None = None) -> Split:
    """Check one split, flatten its examples, and bring its arrays to the types that train."""
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim < 2:
        raise ValueError(f"{source}: inputs have shape {x.shape}; they must be (n, n_in).")
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(
            f"{source}: inputs are {x.dtype}; use uint8 for pixels 0..255 (scaled by 1/255), or "
            "floats, used as they are."
        )
    if len(x) == 0:
        raise ValueError(f"{source}: there are no examples.")
    if len(x) != len(np.atleast_1d(y)):
        raise ValueError(f"{source}: {len(x)} inputs, but {len(np.atleast_1d(y))} targets.")
    x = x.reshape(len(x), -1)
    if x.dtype.kind == "f" and not (finite := np.isfinite(x).all(axis=1)).all():
        raise ValueError(f"{source}: input {int(finite.argmin())} holds NaN or infinity.")
    if y.dtype.kind == "f":
        y = y[:, None] if y.ndim == 1 else y
        if y.ndim != 2 or not np.isfinite(y).all():
            fault = "are not (n, n_out)" if y.ndim != 2 else "hold NaN or infinity"
            raise ValueError(f"{source}: the float targets, of shape {y.shape}, {fault}.")
        return Split(x, y)
    if y.dtype.kind not in "iu" or y.ndim != 1:
        raise ValueError(
            f"{source}: targets are {y.dtype} of shape {y.shape}; they must be n integer labels, "
            "or floats (n, n_out)."
        )
    allowed = (y >= 0) & (y < (2**31 if n_classes is None else n_classes))
    if not allowed.all():
        index = int(allowed.argmin())
        bounds = "in [0, 2³¹)" if n_classes is None else f"in [0, {n_classes - 1}]"
        raise ValueError(f"{source}: label {index} is {y[index]}; labels must be {bounds}.")
    return Split(x, y.astype(np.int32))


def _matching(data: Dataset, source: str) -> Dataset:
    """The dataset, if its splits have inputs of one width and targets of one kind."""
    kinds = {(split.x.shape[1:], split.y.shape[1:], split.y.dtype.kind) for split in data if split}
    if len(kinds) > 1:
        raise ValueError(f"{source}: the splits differ in width or in their kind of targets.")
    return data


def _archive(file: BinaryIO) -> Any:
    archive = np.load(file, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError("it holds a single array")
    return archive


def _held_out(train: Split, n_valid: int | None, source: str) -> tuple[Split, Split | None]:
    """Split the last n_valid examples off."""
    n_valid = len(train.x) // 6 if n_valid is None else n_valid
    if not 0 <= n_valid < len(train.x):
        raise ValueError(
            f"{source}: n_valid must be in [0, {len(train.x) - 1}], to leave some of the "
            f"{len(train.x)} training examples, not {n_valid}."
        )
    if n_valid == 0:
        return train, None
    kept, held = slice(None, -n_valid), slice(-n_valid, None)
    return Split(train.x[kept], train.y[kept]), Split(train.x[held], train.y[held])


def _idx(
    folder: Path, n_valid: int | None, n_classes: int | None, hashes: dict[str, str]
) -> Dataset:
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder.")
    x, y, x_test, y_test = (_read_idx(folder, name, hashes.get(name)) for name in IDX_FILES)
    train = _split(x, y, f"{folder} (training files)", n_classes)
    test = _split(x_test, y_test, f"{folder} (t10k files)", n_classes)
    if train.x.shape[1] != test.x.shape[1]:
        raise ValueError(
            f"{folder}: training images have {train.x.shape[1]} pixels, test images "
            f"{test.x.shape[1]}."
        )
    return Dataset(*_held_out(train, n_valid, str(folder)), test)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path} does not exist, or is not a file.")
    return path


def _read_idx(folder: Path, name: str, sha256: str | None) -> np.ndarray:
    """One IDX file: the bytes 0, 0, type (8: uint8), rank; each dimension, big-endian; the data."""
    path = folder / name
    if not path.is_file():
        path = _existing(folder / f"{name}.gz")
    rank = int(name.split("-idx")[1][0])
    magic = bytes([0, 0, 8, rank])
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 * (1 + rank))
            if header[:4] != magic:
                raise ValueError(
                    f"{path}: magic number 0x{header[:4].hex() or '(empty)'} instead of "
                    f"0x{magic.hex()}; this is no IDX file of bytes with {rank} dimensions."
                )
            shape = tuple(int.from_bytes(header[4 * i : 4 * i + 4]) for i in range(1, rank + 1))
            size = math.prod(shape)
            # In pieces, so that memory is bounded by what is there, not by what the header
            # claims; one byte more than that shows what is too long.
            pieces, left = [], size + 1
            while left and (piece := file.read(min(left, 2**20))):
                pieces.append(piece)
                left -= len(piece)
            content = b"".join(pieces)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is truncated or no gzip file: {error}.") from None
    if len(header) < 4 * (1 + rank) or len(content) < size:
        raise ValueError(f"{path} is truncated: {len(content)} of {size} bytes for {shape}.")
    if len(content) > size:
        raise ValueError(f"{path} is longer than the {size} bytes that its header {shape} names.")
    if sha256 is not None and hashlib.sha256(header + content).hexdigest() != sha256:
        raise ValueError(f"{path} is damaged: its contents do not have MNIST's SHA-256.")
    return np.frombuffer(content, np.uint8).reshape(shape)
