"""Hyperband: successive halving from several starts, from many recipes to many epochs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, SupportsIndex

import numpy as np

from jaxnet.core.arguments import path_of
from jaxnet.core.display import html_of
from jaxnet.core.hyperparameters import count
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.interrupts import interruptible
from jaxnet.recipes.recipe import Recipe
from jaxnet.searches.ranges import checked_ranges
from jaxnet.searches.results import BestNetwork, Progress, best_of, scores_by_epoch, search_text
from jaxnet.searches.saved import warn_of_interruption
from jaxnet.sweeps import Study, sample, sweep
from jaxnet.sweeps.halving import Synchronous
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.sweeps.search_space import Range

Sizes = tuple[tuple[int, int], ...]
"""The recipes and the epochs of each rung of a bracket."""


class Hyperband(NamedTuple):
    """The result of `hyperband`.

    Attributes:
      best: the best setting of all brackets, and its network.
      networks_epochs: epochs trained, over all networks.
      progress: how the best score rose, with one number per rung, bracket after bracket.
      brackets: for each bracket its rungs: the recipes, and the epochs that they have had then.
      studies: the study of each bracket.

    >>> import jaxnet as jn
    >>> search = jn.searches.hyperband(
    ...     jn.Network((2, 4, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd()),
    ...     {"learning_rate": (0.1, 10)}, epochs=4, factor=2, log=None,
    ... )
    >>> search.brackets
    (((4, 1), (2, 2), (1, 4)), ((3, 2), (1, 4)), ((3, 4),))
    >>> len(search.studies[0].settings), search.networks_epochs
    (4, 28)
    """

    best: BestNetwork
    networks_epochs: int
    progress: Progress
    brackets: tuple[Sizes, ...]
    studies: tuple[Study, ...]

    def __repr__(self) -> str:
        return search_text(self, self.best, self.networks_epochs)

    def _repr_html_(self) -> str | None:
        return html_of(self)


def hyperband(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    *,
    epochs: SupportsIndex = 81,
    factor: SupportsIndex = 3,
    seeds: SupportsIndex | Sequence[int] = 1,
    batch_size: SupportsIndex = 10,
    seed: int = 0,
    folder: str | Path | None = None,
    log: Callable[[str], None] | None = print,
) -> Hyperband:
    """Search by Hyperband: brackets of successive halving, the first with most recipes.

    With R epochs and the factor η, s_max = ⌊log R / log η⌋. Bracket s, from s_max down to 0, starts
    ⌈(s_max+1)·ηˢ/(s+1)⌉ recipes, which all have R/ηˢ epochs; the best 1/η of them go on to η times
    as many, and so on up to R. So each bracket trains for about (s_max+1)·R epochs: the first one
    trusts short runs, the last one trusts none. The recipes are points of one Sobol sequence.

    Args:
      net: the architecture.
      data: the splits; the validation split ranks or, without one, the training split.
      recipe: what all recipes have in common.
      ranges: the range of each hyperparameter to vary, by name, as `jaxnet.sample` takes it:
        `{"learning_rate": (1e-3, 1.0)}`.
      epochs: R, the most epochs per network, at least 1; 81 by default.
      factor: η, of which one recipe goes on, a whole number of at least 2; 3 by default.
      seeds: the number of seeds per recipe, or a list of them, as in `jaxnet.sweep`; 1 by default.
        Recipes are ranked by the mean over the seeds.
      batch_size: examples per mini-batch, at least 1; 10 by default.
      seed: the seed of the points, at least 0, which is the default.
      folder: a folder with a study for each bracket, made if it does not exist. The same call goes
        on where an earlier one ended. `None`, the default, keeps nothing.
      log: called with the plan of each bracket, in one line; `None` for silence.

    Returns:
      A `Hyperband`. After Ctrl-C it is that of the brackets that have begun, with a warning.

    Raises:
      ValueError: network, data, recipe and ranges do not fit together, a count is out of its range,
        or the folder holds a study of other data.
      OSError: the folder cannot be written.

    Warns:
      RuntimeWarning: Ctrl-C ended the search.

    Source: Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar, Hyperband: a novel bandit-based approach
    to hyperparameter optimization, Journal of Machine Learning Research 18, 2018, algorithm 1.

    >>> import jaxnet as jn
    >>> search = hyperband(
    ...     jn.Network((2, 4, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd()),
    ...     {"learning_rate": (0.1, 10)}, epochs=4, factor=2, log=None,
    ... )
    >>> bool(0 <= search.best.score <= 1)
    True
    """
    n_epochs, eta = count("epochs", epochs, low=1), count("factor", factor, low=2)
    all_sizes = brackets(n_epochs, eta)
    n_recipes = [sizes[0][0] for sizes in all_sizes]
    swept = RecipeBatch(sample(recipe, sum(n_recipes), seed=seed, **checked_ranges(ranges)))
    ends = np.cumsum([0, *n_recipes])
    studies = []
    with interruptible() as interrupted:
        for index, sizes in enumerate(all_sizes):
            if interrupted and studies:
                break
            study = sweep(
                net,
                data,
                swept.select(slice(ends[index], ends[index + 1])).recipe,
                seeds=seeds,
                epochs=n_epochs,
                batch_size=batch_size,
                successive_halving=Synchronous(sizes),
                folder=None if folder is None else path_of("folder", folder) / f"bracket_{index}",
                log=log,
            )
            studies.append(study)
    if len(studies) < len(all_sizes) and studies[-1].interruption is None:
        done = f"{len(studies)} of {len(all_sizes)} brackets"
        warn_of_interruption(done, None if folder is None else path_of("folder", folder))
    return Hyperband(
        best=best_of(studies),
        networks_epochs=int(sum(study.epochs.sum() for study in studies)),
        progress=_progress(studies, all_sizes),
        brackets=all_sizes,
        studies=tuple(studies),
    )


def brackets(epochs: int, factor: int) -> tuple[Sizes, ...]:
    """The brackets of Hyperband, the one with most recipes first.

    Args:
      epochs: R, at least 1.
      factor: η, at least 2.

    Returns:
      For each bracket, the recipes and the epochs of each rung.

    >>> brackets(9, 3)
    (((9, 1), (3, 3), (1, 9)), ((5, 3), (1, 9)), ((3, 9),))
    """
    s_max = 0
    while factor ** (s_max + 1) <= epochs:  # a logarithm in floats would be rounded
        s_max += 1
    all_sizes = []
    for s in reversed(range(s_max + 1)):
        n = -(-(s_max + 1) * factor**s // (s + 1))
        all_sizes.append(tuple((n // factor**i, epochs // factor ** (s - i)) for i in range(s + 1)))
    return tuple(all_sizes)


def _progress(studies: Sequence[Study], all_sizes: Sequence[Sizes]) -> Progress:
    """The networks·epochs and the best score after each rung of each bracket."""
    spent, best, spent_before, best_before = [], [], 0, -np.inf
    for study, sizes in zip(studies, all_sizes):
        scores = scores_by_epoch(study)
        for _, until in sizes:
            spent.append(spent_before + int(np.minimum(study.epochs, until).sum()))
            best_before = max(best_before, float(scores[:, :until].max(initial=-np.inf)))
            best.append(best_before)
        spent_before += int(study.epochs.sum())
    return Progress(np.array(spent), np.array(best))
