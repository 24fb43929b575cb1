"""The data set of --data: its names, what is read, which rows validate, and a table's defaults."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tyro

from jaxnet.core.arguments import likeliest
from jaxnet.core.types import Dataset
from jaxnet.data import datasets
from jaxnet.data.splits import are_in_order_of_class
from jaxnet.data.tables import Table
from jaxnet.io import number_text, numpy_files, table_files
from jaxnet.sweeps import tabular

DataOption = Annotated[str, tyro.conf.arg(metavar="NAME|PATH")]
DATA_SETS: dict[str, Callable[[], Dataset]] = {
    "mnist": datasets.mnist,
    "digits": datasets.digits,
    "spirals": datasets.spirals,
    "xor": datasets.xor,
}
"""The data sets that --data names; its other values are paths."""
OWN_VALIDATION = {
    "mnist": "the last 10,000 examples of MNIST's training file, as in the book",
    "digits": "rows 1,197 to 1,496 of scikit-learn's digits, from 0",
    "spirals": "points of their own draw",
    "xor": "points of their own draw",
}
"""What validates of the data sets that --data names."""
TABLE_NETWORK = {
    "hidden": ("silu",),
    "hidden_sizes": tabular.HIDDEN_SIZES,
    "init": "he",
    "l2": None,
    "epochs": tabular.EPOCHS,
    "batch_size": tabular.BATCH_SIZE,
}
"""The options of a table that were not typed: those of `jaxnet.tabular_defaults`."""
TABLE_OPTIMIZER = {
    "optimizer": "adamw",
    "learning_rate": tabular.LEARNING_RATE,
    "weight_decay": tabular.WEIGHT_DECAY,
    "schedule": "warmup-cosine",
}
"""Likewise, where --optimizer was not typed: another optimizer has its own numbers."""


def absolute(data: str) -> str:
    """The value of --data, independent of the working directory."""
    return data if data in DATA_SETS else str(Path(data).absolute())


def read(data: str) -> Dataset:
    """The data set that --data names."""
    if data in DATA_SETS:
        return DATA_SETS[data]()
    path = Path(data)
    is_table = path.suffix.lower() in table_files.SUFFIXES and path.is_file()
    if is_table and not (path.suffix == ".csv" and number_text.is_pixel_table(path)):
        raise ValueError(
            f"{path} is a table, of which jaxnet train and sweep need the column to predict: "
            "--target COLUMN."
        )
    if path.exists() or path.suffix == ".npz":
        return datasets.load(path)
    meant = likeliest(data, DATA_SETS)
    raise ValueError(
        f"--data must be {', '.join(DATA_SETS)}, a folder of a published data set, or a file: an "
        f".npz archive, or a CSV of labels and pixels; {data} does not exist."
        + (f" Did you mean {meant}?" if meant else "")
    )


def n_inputs(data: Dataset) -> int:
    """The inputs of a network for a data set."""
    return math.prod(data.train.x.shape[1:])


def examples_text(name: str, data: Dataset) -> str:
    """The sizes of a data set's splits, and which rows validate, in one line.

    Args:
      name: the value of --data.
      data: the splits.
    """
    counts = [
        f"{len(split.x):,} {kind}"
        for kind, split in zip(("training", "validation", "test"), data, strict=True)
        if split is not None
    ]
    counted = f"{name}: {', '.join(counts)} examples"
    if data.valid is None:
        return counted
    return f"{counted}; validated on {validation_rows(name, data)}"


def validation_rows(name: str, data: Dataset) -> str:
    """Which rows of a data set validate, for a sentence.

    Args:
      name: the value of --data.
      data: the splits, of which the validation split is not None.

    Returns:
      The rows: "the last 233 of the 1,400 training examples".
    """
    assert data.valid is not None
    if name in OWN_VALIDATION:
        return OWN_VALIDATION[name]
    if isinstance(data, Table):
        return "a fifth of the rows, drawn at random"
    path = Path(name)
    if path.suffix == ".npz" and numpy_files.read_npz(path, ("x_valid", "val_images")):
        return "the archive's own validation examples"
    n_valid, n_train = len(data.valid.x), len(data.train.x)
    which = "random ones" if are_in_order_of_class(data.train.y) else f"the last {n_valid:,}"
    return f"{which} of the {n_valid + n_train:,} training examples"
