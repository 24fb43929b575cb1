"""Class weights: how much the examples of each class count in training."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from jaxnet.core.arguments import brief
from jaxnet.core.conversion import weight_array
from jaxnet.core.types import Dataset
from jaxnet.data.tables import encoding_of

ClassWeight = Literal["balanced"] | Mapping[int, float] | Mapping[str, float]
"""A weight for each class, or "balanced": each class counts as much as any other."""


def class_weighted(data: Dataset, class_weight: ClassWeight) -> Dataset:
    """The data set, with the weights of its training examples multiplied by those of their classes.

    The validation and the test split stay as they are: they measure what the data are like.

    Args:
      data: the splits; the training targets are integer labels.
      class_weight: "balanced" for n/(K·nₖ), with nₖ of the n training examples in class k and K
        classes that have any, where nₖ and n are sums of weights if there are weights; or a weight
        of at least 0 for some of the classes, by their labels, or by their names in a
        `jaxnet.datasets.Table`; 1 for the others.

    Returns:
      The data set with other training weights.

    Raises:
      ValueError: the targets are floats, a class has no example, or a weight is out of its range.

    Source: King and Zeng, Logistic regression in rare events data, 2001; the same numbers as
    scikit-learn's `compute_class_weight`.

    >>> from jaxnet.core.types import Split
    >>> data = Dataset(Split(np.zeros((4, 2)), np.array([0, 0, 0, 1])))
    >>> class_weighted(data, "balanced").train.weight.round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    labels = np.asarray(data.train.y)
    if labels.dtype.kind == "f":
        raise ValueError(
            "class_weight is for integer labels, but the training targets are floats; give each "
            "example a weight instead."
        )
    weight = np.ones(len(labels)) if data.train.weight is None else np.asarray(data.train.weight)
    classes, class_of_example = np.unique(labels, return_inverse=True)
    if isinstance(class_weight, str) and class_weight == "balanced":
        sums = np.bincount(class_of_example, weight)
        n_counted = np.count_nonzero(sums)
        factors = sums.sum() / (n_counted * np.where(sums > 0, sums, np.inf))
    elif isinstance(class_weight, Mapping):
        factors = _factors(class_weight, _names(data, classes))
    else:
        raise ValueError(
            'class_weight must be "balanced" or a weight for each class, such as {0: 1.0, 1: 5.0}, '
            f"not {brief(class_weight)}."
        )
    product = weight_array(weight * factors[class_of_example], len(labels), "class_weight")
    return data._replace(train=data.train._replace(weight=product))


def _names(data: Dataset, labels: np.ndarray) -> list[object]:
    """What a person calls the classes with these labels: their names, where the data have them."""
    encoding = encoding_of(data)
    names = () if encoding is None else encoding.target.classes
    return [names[label] if names else label for label in labels.tolist()]


def _factors(class_weight: Mapping[Any, float], names: list[object]) -> np.ndarray:
    """The weight of each of the classes."""
    unknown = [name for name in class_weight if name not in names]
    if unknown:
        raise ValueError(
            f"class_weight names class {brief(unknown[0])}, but the training labels are "
            f"{', '.join(map(str, names[:10]))}{' …' if len(names) > 10 else ''}; name one of them."
        )
    weights = [class_weight.get(name, 1.0) for name in names]
    factors = weight_array(weights, len(names), "class_weight", "weights of classes")
    return np.asarray(factors, float)
