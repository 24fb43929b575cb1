"""Asynchronous successive halving: recipes go on before all others have started."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, SupportsIndex

import numpy as np

from jaxnet.core.display import html_of
from jaxnet.core.hyperparameters import count
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.recipes.recipe import Recipe
from jaxnet.searches.ranges import checked_ranges
from jaxnet.searches.results import BestNetwork, Progress, best_of, scores_by_epoch, search_text
from jaxnet.sweeps import Study, sample, sweep
from jaxnet.sweeps.halving import Asynchronous, Ranking, Rung
from jaxnet.sweeps.search_space import Range


class Asha(NamedTuple):
    """The result of `asha`.

    Attributes:
      best: the best setting, and its network.
      networks_epochs: epochs trained, over all networks.
      progress: how the best score rose, with one number per chunk.
      chunks: the chunks in the order in which they were trained: the recipes, by their places in
        the study, and the epochs that each has had then.
      study: all results.

    >>> import jaxnet as jn
    >>> search = jn.searches.asha(
    ...     jn.Network((2, 4, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd()),
    ...     {"learning_rate": (0.1, 10)}, n=4, epochs=2, factor=2, chunk=2, log=None,
    ... )
    >>> [(len(recipes), epochs) for recipes, epochs in search.chunks]
    [(2, 1), (2, 1), (2, 2)]
    """

    best: BestNetwork
    networks_epochs: int
    progress: Progress
    chunks: tuple[tuple[tuple[int, ...], int], ...]
    study: Study

    def __repr__(self) -> str:
        return search_text(self, self.best, self.networks_epochs)

    def _repr_html_(self) -> str | None:
        return html_of(self)


def asha(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    *,
    n: SupportsIndex = 81,
    epochs: SupportsIndex = 81,
    factor: SupportsIndex = 3,
    chunk: SupportsIndex = 9,
    seeds: SupportsIndex | Sequence[int] = 1,
    batch_size: SupportsIndex = 10,
    seed: int = 0,
    folder: str | Path | None = None,
    log: Callable[[str], None] | None = print,
) -> Asha:
    """Search by asynchronous successive halving (ASHA), with chunks of recipes as workers.

    The rungs are at …, R/η², R/η, R epochs. As soon as `chunk` recipes of a rung are among the best
    1/η of those that have ended it, and have not gone on, they go on to the next rung, from the
    highest rung on which that is so; otherwise `chunk` new recipes start. So good networks have all
    their epochs long before the last recipe has started. All chunks have one size, and so share a
    program, until all recipes have started; then the rungs are emptied from below, in what chunks
    there are. What is chosen depends on scores alone, and not on what takes how long.

    Args:
      net: the architecture.
      data: the splits; the validation split ranks or, without one, the training split.
      recipe: what all recipes have in common.
      ranges: the range of each hyperparameter to vary, by name, as `jaxnet.sample` takes it:
        `{"learning_rate": (1e-3, 1.0)}`.
      n: the number of recipes, at least 1; 81 by default. They are Sobol points, which start in
        their order.
      epochs: R, the most epochs per network, at least 1; 81 by default.
      factor: η, of which one recipe goes on, a whole number of at least 2; 3 by default.
      chunk: the recipes that are trained together, at least 1; 9 by default.
      seeds: the number of seeds per recipe, or a list of them, as in `jaxnet.sweep`; 1 by default.
        Recipes are ranked by the mean over the seeds.
      batch_size: examples per mini-batch, at least 1; 10 by default.
      seed: the seed of the points, at least 0, which is the default.
      folder: a folder that keeps the study, made if it does not exist. The same call goes on where
        an earlier one ended. `None`, the default, keeps nothing.
      log: called with the plan, in one line; `None` for silence.

    Returns:
      An `Asha`. After Ctrl-C it is that of what was trained, with a warning.

    Raises:
      ValueError: network, data, recipe and ranges do not fit together, a count is out of its range,
        or the folder holds a study of other data.
      OSError: the folder cannot be written.

    Warns:
      RuntimeWarning: Ctrl-C ended the search.

    Source: Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht, Talwalkar, A system for
    massively parallel hyperparameter tuning, MLSys 2020, algorithm 2. There a worker takes one
    recipe, and the rungs are never emptied, as recipes start without end.

    >>> import jaxnet as jn
    >>> search = asha(
    ...     jn.Network((2, 4, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd()),
    ...     {"learning_rate": (0.1, 10)}, n=4, epochs=2, factor=2, chunk=2, log=None,
    ... )
    >>> search.networks_epochs, search.study.epochs.sum(axis=0).tolist()
    (6, [6])
    """
    n_epochs = count("epochs", epochs, low=1)
    swept = sample(recipe, count("n", n, low=1), seed=seed, **checked_ranges(ranges))
    eta, n_chunk = count("factor", factor, low=2), count("chunk", chunk, low=1)
    halving = _Recorder(Asynchronous(eta, n_chunk))
    study = sweep(
        net,
        data,
        swept,
        seeds=seeds,
        epochs=n_epochs,
        batch_size=batch_size,
        successive_halving=halving,
        folder=folder,
        log=log,
    )
    return Asha(
        best=best_of([study]),
        networks_epochs=int(study.epochs.sum()),
        progress=_progress(study, halving.chunks),
        chunks=tuple(halving.chunks),
        study=study,
    )


class _Recorder:
    """Asynchronous halving that notes its chunks in `chunks`, as `Asha` has them."""

    def __init__(self, halving: Asynchronous) -> None:
        self.halving = halving
        self.chunks: list[tuple[tuple[int, ...], int]] = []

    def rungs(self, n_recipes: int, epochs: int, ranked: Ranking) -> Iterator[Rung]:
        """The rungs; see `Halving.rungs`."""
        for rung in self.halving.rungs(n_recipes, epochs, ranked):
            self.chunks.append((rung.recipes, rung.epochs))
            yield rung


def _progress(study: Study, chunks: Sequence[tuple[tuple[int, ...], int]]) -> Progress:
    """The networks·epochs and the best score after each chunk."""
    epochs_of_recipes, scores = np.zeros(len(study.settings), int), scores_by_epoch(study)
    spent, best, best_before = [], [], -np.inf
    for recipes, until in chunks:
        places = list(recipes)
        epochs_of_recipes[places] = np.minimum(study.epochs[places], until).sum(axis=1)
        spent.append(int(epochs_of_recipes.sum()))
        best_before = max(best_before, float(scores[places, until - 1].max()))
        best.append(best_before)
    return Progress(np.array(spent), np.array(best))
