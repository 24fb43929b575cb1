"""The tables that scikit-learn ships or makes, in two halves: one to tune on, one to judge by.

Of `sklearn.datasets`: all sets for classification and regression that are shipped or drawn, but for
those that must be downloaded, multi-label and two-way clustering sets, and linnerud, whose 20 rows
leave too few to test on. Of each kind, in alphabetical order, every second set belongs to the half
that judges; nothing was chosen by looking at a score.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split

import jaxnet as jn

N_ROWS = 1500
"""Rows of the sets that are drawn."""

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class TabularSet:
    """A table of numbers and what to predict."""

    name: str
    is_classification: bool
    arrays: Callable[[], Any]
    """Makes the inputs, (n, n_in), and the labels or numbers, (n,)."""

    def split(self, seed: int, n_rows: int | None = None) -> tuple[Arrays, Arrays]:
        """Two thirds of the rows to train on, and one third to test on.

        Args:
          seed: decides on the rows; classes are stratified.
          n_rows: the first so many rows alone; `None`, the default, for all.
        """
        x, y = (np.asarray(array)[:n_rows] for array in self.arrays()[:2])
        labels = y if self.is_classification else None
        parts = train_test_split(x, y, test_size=1 / 3, random_state=seed, stratify=labels)
        x_train, x_test, y_train, y_test = map(np.asarray, parts)
        return (x_train, y_train), (x_test, y_test)


def as_table(is_classification: bool, arrays: Arrays) -> jn.datasets.Table:
    """Training rows as a table, all of which train; inputs and numbers are standardized by them."""
    x, y = arrays
    columns = {f"x{index}": column for index, column in enumerate(x.T)}
    task = "classification" if is_classification else "regression"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of pixels that are the same in all rows
        return jn.datasets.table(columns | {"y": y}, target="y", task=task, valid=0.0)


def _shipped(loader: Callable) -> Callable[[], Any]:
    return lambda: loader(return_X_y=True)


def _classification(n_classes: int, n_features: int, n_informative: int) -> Any:
    return datasets.make_classification(
        N_ROWS, n_features, n_informative=n_informative, n_redundant=2, n_classes=n_classes,
        flip_y=0.02, random_state=0,
    )  # fmt: skip


CLASSIFICATION = (
    TabularSet(
        "blobs", True,
        lambda: datasets.make_blobs(N_ROWS, 5, centers=8, cluster_std=4.0, random_state=0),
    ),
    TabularSet("breast cancer", True, _shipped(datasets.load_breast_cancer)),
    TabularSet(
        "circles", True,
        lambda: datasets.make_circles(N_ROWS, noise=0.15, factor=0.6, random_state=0),
    ),
    TabularSet("classification, 2 classes", True, lambda: _classification(2, 20, 6)),
    TabularSet("classification, 6 classes", True, lambda: _classification(6, 30, 12)),
    TabularSet("digits", True, _shipped(datasets.load_digits)),
    TabularSet(
        "gaussian quantiles", True,
        lambda: datasets.make_gaussian_quantiles(
            n_samples=N_ROWS, n_features=8, n_classes=4, random_state=0
        ),
    ),
    TabularSet("hastie 10.2", True, lambda: datasets.make_hastie_10_2(N_ROWS, random_state=0)),
    TabularSet("iris", True, _shipped(datasets.load_iris)),
    TabularSet("moons", True, lambda: datasets.make_moons(N_ROWS, noise=0.3, random_state=0)),
    TabularSet("wine", True, _shipped(datasets.load_wine)),
)  # fmt: skip

REGRESSION = (
    TabularSet("diabetes", False, _shipped(datasets.load_diabetes)),
    TabularSet(
        "friedman 1", False, lambda: datasets.make_friedman1(N_ROWS, noise=1.0, random_state=0)
    ),
    TabularSet(
        "friedman 2", False, lambda: datasets.make_friedman2(N_ROWS, noise=125.0, random_state=0)
    ),
    TabularSet(
        "friedman 3", False, lambda: datasets.make_friedman3(N_ROWS, noise=0.1, random_state=0)
    ),
    TabularSet(
        "regression", False,
        lambda: datasets.make_regression(
            N_ROWS, 30, n_informative=15, noise=50.0, random_state=0
        ),
    ),
    TabularSet("s curve", False, lambda: datasets.make_s_curve(N_ROWS, noise=0.2, random_state=0)),
    TabularSet(
        "sparse uncorrelated", False,
        lambda: datasets.make_sparse_uncorrelated(N_ROWS, random_state=0),
    ),
    TabularSet(
        "swiss roll", False, lambda: datasets.make_swiss_roll(N_ROWS, noise=1.0, random_state=0)
    ),
)  # fmt: skip

Half = Literal["tune", "judge"]


def half(which: Half) -> tuple[TabularSet, ...]:
    """The sets of one half.

    Args:
      which: "tune" or "judge".
    """
    first = 0 if which == "tune" else 1
    return CLASSIFICATION[first::2] + REGRESSION[first::2]
