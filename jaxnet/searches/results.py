"""What all searches return: the best network, the work done, and how the best score rose."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxnet.core.display import brief_repr
from jaxnet.core.types import Dataset, EvaluatedSplit, Params
from jaxnet.sweeps import Study
from jaxnet.sweeps.ranking import recipe_order
from jaxnet.sweeps.store import Setting


class BestNetwork(NamedTuple):
    """The best setting that a search has found.

    Attributes:
      setting: the network, its recipe with scalars for all numbers, the batch size and the number
        of examples.
      score: its score, as `Study.score` defines it, over the seeds the mean: higher is better.
      params: the parameters of its network; of several seeds, of the one with the median score.

    >>> import jaxnet as jn
    >>> search = jn.searches.hyperband(
    ...     jn.Network((2, 4, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd()),
    ...     {"learning_rate": (0.1, 10)}, epochs=2, factor=2, log=None,
    ... )
    >>> search.best.params[0].w.shape
    (2, 4)
    """

    setting: Setting
    score: float
    params: Params

    def __repr__(self) -> str:
        return brief_repr(self, ("setting", "score"))


class Progress(NamedTuple):
    """How the best score rose with the work done: two arrays with one number per step of a search.

    Attributes:
      networks_epochs: epochs trained so far, over all networks.
      best_score: the highest score so far, as `Study.score` defines it; over the seeds the mean.

    >>> progress = Progress(np.array([10, 20]), np.array([0.5, 0.8]))
    >>> progress.best_score[-1].item()
    0.8
    """

    networks_epochs: Int[np.ndarray, " steps"]
    best_score: Float[np.ndarray, " steps"]

    def __repr__(self) -> str:
        return brief_repr(self, self._fields)


def search_text(search: tuple, best: BestNetwork, networks_epochs: int) -> str:
    """A search in one line.

    Args:
      search: what it returned.
      best: its best setting.
      networks_epochs: epochs trained, over all networks.
    """
    sizes = "-".join(map(str, best.setting.network.sizes))
    return (
        f"{type(search).__name__}({networks_epochs:,} epochs of networks; best: {sizes}, "
        f"{best.setting.recipe!r}, score {best.score:.4g})"
    )


def scored_split(data: Dataset) -> EvaluatedSplit:
    """The split that scores networks: the validation split or, without one, the training split.

    Args:
      data: the splits.
    """
    return "training" if data.valid is None else "validation"


def best_of(studies: Sequence[Study]) -> BestNetwork:
    """The recipe with the highest mean score over the seeds, of all studies.

    Args:
      studies: studies of one recipe or more each.
    """
    means = [study.score[study.best_recipe].mean(keepdims=True) for study in studies]
    study = studies[int(recipe_order(np.stack(means))[0])]
    recipe, seed, *_ = study.best_lane
    params = study.run(recipe, seed).best_params
    return BestNetwork(study.settings[recipe], float(study.score[recipe].mean()), params)


def scores_by_epoch(study: Study) -> Float[np.ndarray, "recipes epochs"]:
    """The score of each recipe after each epoch: of the best epoch so far, the mean over the seeds.

    It stays where a network has ended, and is −∞ before the first epoch and with a diverged seed.

    Args:
      study: the study, without folds.
    """
    curves = np.asarray(study.history.curves[study.ranked_by], float)
    scores = curves if study.higher_is_better else -curves
    best = np.maximum.accumulate(np.where(np.isfinite(scores), scores, -np.inf), axis=-1)
    best[study.diverged_epoch > 0] = -np.inf
    return best.mean(axis=1)
