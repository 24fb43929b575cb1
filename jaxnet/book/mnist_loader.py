"""MNIST in the formats of the book's mnist_loader.

The data come with jaxnet; no file is loaded. Pixels are divided by 256, as in the book's file.
"""

import numpy as np
from jaxtyping import Float, Int

from jaxnet.core.types import Split
from jaxnet.data import datasets

LoadedSplit = tuple[Float[np.ndarray, "_ 784"], Int[np.ndarray, " _"]]
"""Images and their labels."""
TrainingExamples = list[tuple[Float[np.ndarray, "784 1"], Float[np.ndarray, "10 1"]]]
"""Images and one-hot columns."""
LabelledExamples = list[tuple[Float[np.ndarray, "784 1"], np.integer]]
"""Images and labels."""


def load_data() -> tuple[LoadedSplit, LoadedSplit, LoadedSplit]:
    """MNIST as three pairs of arrays: training, validation and test data.

    Returns:
      Three pairs (images, labels) of 50,000, 10,000 and 10,000 examples: images (n, 784) in
      float32, in [0, 1), and labels (n,) in int64.

    >>> [images.shape for images, labels in load_data()]
    [(50000, 784), (10000, 784), (10000, 784)]
    """
    train, valid, test = datasets.mnist()
    assert valid is not None
    assert test is not None
    return _loaded(train), _loaded(valid), _loaded(test)


def load_data_wrapper() -> tuple[TrainingExamples, LabelledExamples, LabelledExamples]:
    """MNIST as three lists of examples: training, validation and test data.

    Returns:
      A list of 50,000 tuples (x, y), x an image as a column (784, 1) in float32, and y a column
      (10, 1) with 1 at the place of the digit; and two lists of 10,000 tuples (x, y) with the digit
      itself for y.

    >>> training_data, validation_data, test_data = load_data_wrapper()
    >>> x, y = training_data[0]
    >>> x.shape, y.ravel().tolist().index(1), int(validation_data[0][1])
    ((784, 1), 5, 3)
    """
    (images, labels), *others = load_data()
    training_data = list(zip(_image_columns(images), np.eye(10)[labels][:, :, None], strict=True))
    validation_data, test_data = (
        list(zip(_image_columns(images), labels, strict=True)) for images, labels in others
    )
    return training_data, validation_data, test_data


def vectorized_result(j: int | np.integer) -> Float[np.ndarray, "10 1"]:
    """A digit as the desired outputs of ten units.

    Args:
      j: the digit, 0 to 9.

    Returns:
      A column (10, 1) with 1 at the place of the digit, and 0 elsewhere.

    >>> vectorized_result(3).ravel().tolist().index(1)
    3
    """
    return np.eye(10)[j][:, None]


def _loaded(split: Split) -> LoadedSplit:
    """Images of bytes and their labels, in the types of the book's file."""
    return np.asarray(split.x, np.float32) / np.float32(256), np.asarray(split.y, np.int64)


def _image_columns(images: Float[np.ndarray, "n 784"]) -> Float[np.ndarray, "n 784 1"]:
    """Each image as a column."""
    return images[:, :, None]
