"""Label noise: wrong labels for a part of the training examples, drawn from a seed."""

import numpy as np

from jaxnet.core.arguments import brief, require_kind
from jaxnet.core.hyperparameters import constant, count
from jaxnet.core.types import Dataset


def label_noise(data: Dataset, fraction: float, seed: int = 0) -> Dataset:
    """The data set with wrong labels for a fraction of its training examples.

    ⌊fraction · n + ½⌋ examples are drawn without replacement. Each gets the label of another class,
    drawn uniformly from the other classes that the training split has. So every one of them is
    wrong, where drawing from all classes would leave some as they were. With one seed, a larger
    fraction has the same wrong labels, and more. Validation and test keep the true labels.

    Which ones were changed is `noisy.train.y != data.train.y`.

    Args:
      data: the data set; its training targets are integer labels, (n,).
      fraction: the fraction of training examples to change, in [0, 1].
      seed: the seed of the draw, in [0, 2³²); 0 by default.

    Returns:
      The data set: all other arrays are the same objects.

    Raises:
      ValueError: the training targets are not integer labels of at least two classes, or a number
        is out of its range.

    >>> from jaxnet.data.synthetic import xor
    >>> clean = xor(n=200)
    >>> int((label_noise(clean, 0.25).train.y != clean.train.y).sum())
    50
    """
    require_kind("data", data, Dataset, "jaxnet.datasets.mnist()")
    fraction = constant("fraction", fraction, low=0)
    if fraction > 1:
        raise ValueError(f"fraction must be in [0, 1], not {fraction:g}; 0.1 is a tenth.")
    random = np.random.default_rng(count("seed", seed, low=0, high=2**32))
    labels = np.asarray(data.train.y)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"label_noise needs integer labels (n,), not {labels.dtype} of shape {labels.shape}; "
            "convert the data by jaxnet.datasets.arrays."
        )
    classes, places = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"label_noise needs training labels of two classes or more, not {brief(classes)}."
        )
    chosen = random.permutation(len(labels))[: int(fraction * len(labels) + 0.5)]
    steps = random.integers(1, len(classes), len(labels))  # never all the way round
    noisy = labels.copy()
    noisy[chosen] = classes[(places + steps)[chosen] % len(classes)]
    return data._replace(train=data.train._replace(y=noisy))
