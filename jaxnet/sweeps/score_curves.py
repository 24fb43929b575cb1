"""The scores of a sweep's networks after each epoch, gathered while the sweep goes on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from jaxnet.core.types import History
from jaxnet.recipes.stopping import Criterion
from jaxnet.sweeps.ranking import ranking_curve, with_data_costs
from jaxnet.sweeps.store import Lane, Setting


@dataclass(eq=False)
class ScoreCurves:
    """The scores of a sweep's networks after each epoch so far: they go on being filled.

    Attributes:
      settings: the settings of the study, along the first axis.
      values: the curve of each network, (settings, networks of a setting, epochs). It is NaN for
        epochs to come, and all along for a network that has diverged.
      criterion: what ranks the networks; `None` for an accuracy or a cost.
      name: the name of the curve, such as "evaluation_accuracy"; empty before the first epoch.

    >>> curves = ScoreCurves((), np.full((1, 2, 2), np.nan, np.float32), None)
    >>> missing = np.full((1, 1), np.nan)
    >>> curves.add([(0, 1)], History(missing, np.array([[0.75]]), missing, missing), until=1)
    >>> curves.name, curves.best().tolist()
    ('evaluation_accuracy', [[-inf, 0.75]])
    """

    settings: tuple[Setting, ...]
    values: Float[np.ndarray, "settings networks epochs"]
    criterion: Criterion | None
    name: str = ""

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value is a better score."""
        if self.criterion is not None:
            return self.criterion.higher_is_better
        return not self.name.endswith("cost")

    def add(
        self,
        lanes: Sequence[Lane],
        history: History,
        until: int,
        diverged: Bool[np.ndarray, " lanes"] | None = None,
    ) -> None:
        """Fill in the scores of some networks.

        Args:
          lanes: the places of the networks.
          history: their curves, each (lanes, epochs).
          until: the epoch, from 1, that the curves end with.
          diverged: which of the networks have diverged; `None` for none.
        """
        name = ranking_curve(history, self.criterion)
        curve = np.asarray(with_data_costs(history).curves[name])
        if np.isfinite(curve).any():
            self.name = name
        recipes, groups = np.array(lanes).T
        self.values[recipes, groups, until - curve.shape[-1] : until] = curve
        if diverged is not None:
            self.values[recipes[diverged], groups[diverged]] = np.nan

    def best(self) -> Float[np.ndarray, "settings networks"]:
        """The score of each network's best epoch so far; −∞ without one, and −cost for a cost."""
        rises = self.higher_is_better
        best = np.fmax.reduce(self.values, -1) if rises else -np.fmin.reduce(self.values, -1)
        return np.where(np.isfinite(best), best, -np.inf)
