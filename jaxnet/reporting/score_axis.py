"""What figures of a comparison show of its scores: errors, or the scores themselves."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from jaxnet.comparison import Comparison


class ScoreAxis:
    """How the figures of a comparison show its scores.

    Args:
      comparison: the comparison.

    Attributes:
      name: what the score is called, such as "accuracy".
      is_accuracy: whether it is the accuracy, which is shown in percent.
      is_negated: whether it is the negative of a metric of which less is better.
      of_diverged: the score of a run that diverged; −∞ where the metric has no worst value.
      quantity: whether figures show errors, on a logarithmic axis, or scores, on a linear one. An
        error is 1 − score for scores in [0, 1], and a metric of which less is better if it is
        nowhere negative.
    """

    def __init__(self, comparison: Comparison) -> None:
        manifest = comparison.manifest
        self.name: str = manifest["score"]
        self.is_accuracy = self.name == "accuracy"
        # Manifests that do not say so were written where a minus sign did.
        self.is_negated = not manifest.get("higher_is_better", not self.name.startswith("−"))
        is_older = self.is_negated and "higher_is_better" not in manifest
        worst = manifest.get("score_of_diverged", None if is_older else 0.0)
        self.of_diverged: float = -math.inf if worst is None else worst
        self.quantity = self._quantity(comparison)

    def _quantity(self, comparison: Comparison) -> Literal["error", "score"]:
        rows = [*comparison.runs, *comparison.tuning_curves, *comparison.report_curves]
        scores = np.array([
            row[name] for row in rows for name in ("valid_score", "test_score") if name in row
        ])  # fmt: skip
        errors = self._errors(scores[np.isfinite(scores)])
        largest = math.inf if self.is_negated else 1.0
        tolerance = 1e-5
        are_errors = np.all((errors > -tolerance) & (errors < largest + tolerance))
        return "error" if are_errors else "score"

    def _errors(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(-scores if self.is_negated else 1 - scores)

    def shown(self, scores: np.ndarray) -> np.ndarray:
        """The errors or scores that figures show; NaN where a score is infinite.

        A logarithmic axis has no 0: smaller errors are 1e-5.

        Args:
          scores: scores, of any shape.

        Returns:
          What is shown, of the same shape.
        """
        scores = np.where(np.isfinite(scores), scores, np.nan)
        if self.quantity == "score":
            return scores
        return np.asarray(np.maximum(self._errors(scores), 1e-5))

    def shades(self, scores: np.ndarray) -> np.ndarray:
        """What colours stand for, less for a better score: log₁₀ of errors, or negative scores.

        Args:
          scores: scores, of any shape.

        Returns:
          The numbers to colour by, of the same shape.
        """
        heights = self.shown(scores)
        return np.log10(heights) if self.quantity == "error" else -heights

    def worst_height(self, heights: np.ndarray) -> float:
        """Where runs that diverged are marked: at 1, or at the worst of what a panel shows.

        Args:
          heights: what the panel shows.

        Returns:
          The height.
        """
        finite = heights[np.isfinite(heights)]
        if self.quantity == "score":
            return float(finite.min()) if finite.size else 0.0
        return float(finite.max(initial=0.0)) if self.is_negated else 1.0

    def of_diverged_text(self) -> str:
        """What a run that diverged counts as in the curves, in a sentence."""
        if math.isinf(self.of_diverged):
            return "There is no mean from where a run has diverged."
        if self.is_accuracy:
            return "A diverged run has an error of 100%."
        height = self.shown(np.array(self.of_diverged))
        return f"A diverged run has the {self.quantity} {height:g}."

    def tick_text(self, x: float, place: object = None) -> str:
        """A number on an axis, for scores or errors: in percent if they are accuracies.

        Args:
          x: the number.
          place: its place on the axis, which does not matter.

        Returns:
          The text.
        """
        del place
        return f"{100 * x:.4g}%" if self.is_accuracy else f"{x:.4g}"

    def set_axis(self, panels: Sequence[Axes], name: str) -> None:
        """Label the y-axis of all panels; for errors, make it logarithmic over what they show.

        Args:
          panels: the panels, which share the axis.
          name: what is shown, such as "validation error".
        """
        if self.quantity == "score":
            panels[0].set_ylabel(f"{name}, {self.name}")
            for axes in panels:
                axes.yaxis.set_major_formatter(self.tick_text)
            return
        if not self.is_accuracy:
            name = f"{name}, {self.name[1:] if self.is_negated else f'1 − {self.name}'}"
        ends = np.array([(axes.dataLim.y0, axes.dataLim.y1) for axes in panels])
        low, high = (ends.min(), ends.max()) if np.isfinite(ends).all() else (0.1, 1.0)
        panels[0].set_ylabel(name)
        for axes in panels:
            axes.set_yscale("log")
            axes.set_ylim(low / 1.15, high * 1.15)
            axes.set_yticks(_ticks(low / 1.15, high * 1.15))
            axes.yaxis.set_major_formatter(self.tick_text)
            axes.yaxis.set_minor_formatter(NullFormatter())


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between low and high: the coarsest set with at least four of them."""
    ticks = []
    for digits in (
        (1,),
        (1, 3),
        (1, 2, 5),
        (1, 1.5, 2, 3, 5, 7),
        (1, 1.2, 1.5, 2, 2.5, *range(3, 10)),
    ):
        ticks = [m * 10.0**e for e in range(-5, 9) for m in digits if low <= m * 10.0**e <= high]
        if len(ticks) >= 4:
            break
    return ticks
