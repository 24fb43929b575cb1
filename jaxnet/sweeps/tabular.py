"""Networks for tables: a default architecture and recipe, and the ensemble that they train."""

import math
import warnings
from typing import NamedTuple, SupportsIndex

import numpy as np

from jaxnet.core import activations, initializers
from jaxnet.core.arguments import require_kind
from jaxnet.core.costs import Cost, CrossEntropy, LogLikelihood, Quadratic
from jaxnet.core.hyperparameters import count
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.data.doubtful import outer_stacklevel
from jaxnet.data.resampling import k_fold
from jaxnet.data.tables import Table, n_outputs
from jaxnet.recipes import schedules
from jaxnet.recipes.adam_family import adamw
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps._sweep import sweep
from jaxnet.sweeps.ensemble import Ensemble, Member
from jaxnet.sweeps.search_space import grid

HIDDEN_SIZES = (128, 128)
LEARNING_RATE, WEIGHT_DECAY = 0.01, 1.0
EPOCHS, BATCH_SIZE = 40, 32
WEIGHT_DECAYS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""What an ensemble chooses from: from hardly any decay to more than most tables bear."""
N_FOLDS = 4
"""The folds that choose."""
LEAST_ROWS = 20
"""Fewer rows choose nothing."""
MOST_UNITS_OFF = 4.0
"""Targets whose mean or deviation is further than this factor from 0 ± 1 are doubtful."""


class TabularDefaults(NamedTuple):
    """How a network for a table is built and trained, if nothing is known about the table.

    Attributes:
      network: the architecture.
      recipe: how it is trained.
      epochs: for how long.
      batch_size: examples per mini-batch.

    >>> import jaxnet as jn
    >>> jn.tabular_defaults(jn.datasets.xor())._replace(epochs=10).network.sizes
    (2, 128, 128, 2)
    """

    network: Network
    recipe: Recipe
    epochs: int
    batch_size: int


def tabular_defaults(data: Dataset) -> TabularDefaults:
    """The architecture and the recipe that suit tables of numbers and categories.

    Two hidden layers of 128 SiLU units, initialized as He et al. do; AdamW with the learning rate
    0.01 and the weight decay 1, warmed up for one epoch and lowered to 0 along a cosine; 40 epochs
    of mini-batches of 32, or of all rows where there are fewer. The cost is the log-likelihood for
    labels, the cross-entropy of sigmoid outputs for columns of 0 and 1, and the quadratic cost of
    linear outputs for other numbers.

    They were chosen on one half of the tables that scikit-learn ships or makes, and judged on the
    other: `experiments/tabular.py`.

    Args:
      data: a `jaxnet.datasets.table`, or another data set whose inputs, and numbers to predict, are
        about 0 ± 1.

    Returns:
      The network, the recipe, the epochs and the batch size, for `train`, `sweep` and
      `cross_validate`.

    Raises:
      ValueError: data is no data set.

    Warns:
      UserWarning: numbers to predict are not about 0 ± 1.

    >>> import jaxnet as jn
    >>> rows = {"age": [20, 30, 40, 50], "ill": ["no", "no", "yes", "yes"]}
    >>> defaults = tabular_defaults(jn.datasets.table(rows, "ill", valid=0))
    >>> defaults.network.sizes, defaults.epochs
    ((1, 128, 128, 2), 40)
    """
    require_kind("data", data, Dataset, "jaxnet.datasets.table(…)")
    y = np.asarray(data.train.y)
    cost: Cost = LogLikelihood()
    if y.dtype.kind == "f" and y.ndim == 2 and y.shape[1] > 1 and np.isin(y, (0, 1)).all():
        cost = CrossEntropy()
    elif y.dtype.kind == "f":
        cost = Quadratic(activations.linear)
        _warn_if_unscaled(y)
    sizes = (math.prod(data.train.x.shape[1:]), *HIDDEN_SIZES, n_outputs(data))
    network = Network(sizes, activations.silu, cost, initializers.he)
    recipe = Recipe(
        adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY), schedule=schedules.warmup_cosine(EPOCHS)
    )
    return TabularDefaults(network, recipe, EPOCHS, min(BATCH_SIZE, len(y)))


def tabular_ensemble(
    data: Dataset, *, n_members: SupportsIndex = 8, seed: SupportsIndex = 0
) -> Ensemble:
    """Networks that `tabular_defaults` describes, trained at once, which predict together.

    Only the weight decay is chosen for the table, among 0.01, 0.03, 0.1, 0.3, 1 and 3: by the mean
    accuracy, or cost, over four folds of the training rows, whose networks are one sweep. Then all
    training rows train each member; validation and test splits are not looked at. A member has the
    parameters after the last epoch.

    Args:
      data: a `jaxnet.datasets.table`, or another data set: see `tabular_defaults`. The folds keep
        a table's groups together. Fewer than 20 training rows choose nothing.
      n_members: the number of networks, at least 1; 8 by default.
      seed: decides on initial weights and mini-batches, from 0, the default; members of ensembles
        with other seeds differ.

    Returns:
      The ensemble: `predict`, `spread`, `report`, and `save(path, encoding=table.encoding)`.

    Raises:
      ValueError: an argument is out of its range, or the data do not go together.

    Warns:
      UserWarning: numbers to predict are not about 0 ± 1.

    >>> import jaxnet as jn
    >>> ensemble = tabular_ensemble(jn.datasets.xor(16), n_members=2)
    >>> len(ensemble), ensemble.predict(np.array([0.1, 0.9])).argmax().item()
    (2, 1)
    """
    network, recipe, epochs, batch_size = tabular_defaults(data)
    n_members = count("n_members", n_members, low=1)
    first = n_members * count("seed", seed, 0, 2**32 // n_members)
    recipe = _with_chosen_decay(data, network, recipe, epochs)
    study = sweep(
        network, data, recipe, seeds=range(first, first + n_members), epochs=epochs,
        batch_size=batch_size, evaluate_on=(), log=None,
    )  # fmt: skip
    params = [study.params(0, place) for place in range(n_members)]
    return Ensemble(tuple(Member(network, own) for own in params))


def _with_chosen_decay(data: Dataset, network: Network, recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with the weight decay that is best on folds of the training rows."""
    n, groups = len(data.train.x), data.groups if isinstance(data, Table) else None
    n_folds = N_FOLDS if groups is None else min(N_FOLDS, len(set(groups)))
    if n < LEAST_ROWS or n_folds < 2:
        return recipe
    is_classification = np.asarray(data.train.y).dtype.kind in "iu"
    study = sweep(
        network, data._replace(valid=None, test=None), grid(recipe, weight_decay=WEIGHT_DECAYS),
        resample=k_fold(n_folds, stratify=is_classification and groups is None, groups=groups),
        epochs=epochs, batch_size=min(BATCH_SIZE, n // 2), evaluate_on=(), log=None,
    )  # fmt: skip
    return study.settings[study.best_recipe].recipe


def _warn_if_unscaled(y: np.ndarray) -> None:
    """Warn of numbers to predict that are far from 0 ± 1."""
    mean, sd = float(y.mean()), float(y.std())
    if abs(mean) > MOST_UNITS_OFF or not 1 / MOST_UNITS_OFF < sd < MOST_UNITS_OFF:
        warnings.warn(
            f"the numbers to predict are {mean:.3g} ± {sd:.3g}, but the default learning rate is "
            "for numbers of about 0 ± 1; use jaxnet.datasets.table, or standardize them.",
            UserWarning,
            stacklevel=outer_stacklevel(),
        )
