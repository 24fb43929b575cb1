"""What figures of a comparison show of its scores: errors, or the scores themselves."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from jaxnet.comparison import Comparison


def is_accuracy(comparison: Comparison) -> bool:
    """Whether the score is the accuracy, not R² or a metric.

    Args:
      comparison: the comparison.

    Returns:
      Whether it is.
    """
    return comparison.manifest["score"] == "accuracy"


def score_of_diverged(comparison: Comparison) -> float:
    """The score of a run that diverged.

    Args:
      comparison: the comparison.

    Returns:
      The score; −∞ where the metric has no worst value.
    """
    manifest = comparison.manifest
    if "score_of_diverged" not in manifest:
        is_older = _is_negated(comparison) and "higher_is_better" not in manifest
        return -math.inf if is_older else 0.0
    score = manifest["score_of_diverged"]
    return -math.inf if score is None else score


def of_diverged_text(comparison: Comparison) -> str:
    """What a run that diverged counts as in the curves, in a sentence.

    Args:
      comparison: the comparison.

    Returns:
      The sentence.
    """
    score = score_of_diverged(comparison)
    if math.isinf(score):
        return "There is no mean from where a run has diverged."
    if is_accuracy(comparison):
        return "A diverged run has an error of 100 %."
    return f"A diverged run has the {quantity(comparison)} {shown(comparison, np.array(score)):g}."


def quantity(comparison: Comparison) -> Literal["error", "score"]:
    """Whether figures show errors, on a logarithmic axis, or scores, on a linear one.

    An error is 1 − score for scores in [0, 1], and a metric of which less is better if it is
    nowhere negative.

    Args:
      comparison: the comparison.

    Returns:
      The word for what is shown.
    """
    rows = [*comparison.runs, *comparison.curves]
    scores = np.array([
        row[name] for row in rows for name in ("valid_score", "test_score") if name in row
    ])  # fmt: skip
    scores = scores[np.isfinite(scores)]
    errors = -scores if _is_negated(comparison) else 1 - scores
    largest = math.inf if _is_negated(comparison) else 1.0
    tolerance = 1e-5
    return "error" if np.all((errors > -tolerance) & (errors < largest + tolerance)) else "score"


def shown(comparison: Comparison, score: np.ndarray) -> np.ndarray:
    """The errors or scores that figures show (see `quantity`); NaN where a score is infinite.

    A logarithmic axis has no 0: smaller errors are 1e-5.

    Args:
      comparison: the comparison.
      score: scores, of any shape.

    Returns:
      What is shown, of the same shape.
    """
    score = np.where(np.isfinite(score), score, np.nan)
    if quantity(comparison) == "score":
        return score
    return np.asarray(np.maximum(-score if _is_negated(comparison) else 1 - score, 1e-5))


def worst_height(comparison: Comparison, errors: np.ndarray) -> float:
    """Where runs that diverged are marked: at 1, or at the worst of what a panel shows.

    Args:
      comparison: the comparison.
      errors: what a panel shows.

    Returns:
      The height.
    """
    finite = errors[np.isfinite(errors)]
    if quantity(comparison) == "score":
        return float(finite.min()) if finite.size else 0.0
    return float(finite.max(initial=0.0)) if _is_negated(comparison) else 1.0


def shades(comparison: Comparison, scores: np.ndarray) -> np.ndarray:
    """What colours stand for, less for a better score: log₁₀ of errors, or negative scores.

    Args:
      comparison: the comparison.
      scores: scores, of any shape.

    Returns:
      The numbers to colour by, of the same shape.
    """
    heights = shown(comparison, scores)
    return np.log10(heights) if quantity(comparison) == "error" else -heights


def tick_formatter(comparison: Comparison) -> Callable[[float, object], str]:
    """A formatter of ticks, for scores or errors: percent if they are accuracies.

    Args:
      comparison: the comparison.

    Returns:
      The formatter, from a number and its place to text.
    """
    if not is_accuracy(comparison):
        return lambda x, _: f"{x:.4g}"
    return lambda x, _: f"{100 * x:.4g} %"


def set_axis(comparison: Comparison, panels: Sequence[Axes], name: str) -> None:
    """Label the y-axis of all panels; for errors, make it logarithmic over what they show.

    Args:
      comparison: the comparison.
      panels: the panels, which share the axis.
      name: what is shown, such as "validation error".
    """
    if quantity(comparison) == "score":
        panels[0].set_ylabel(f"{name}, {comparison.manifest['score']}")
        for axes in panels:
            axes.yaxis.set_major_formatter(tick_formatter(comparison))
        return
    if not is_accuracy(comparison):
        score = comparison.manifest["score"]
        name = f"{name}, {score[1:] if _is_negated(comparison) else f'1 − {score}'}"
    ends = np.array([(axes.dataLim.y0, axes.dataLim.y1) for axes in panels])
    low, high = (ends.min(), ends.max()) if np.isfinite(ends).all() else (0.1, 1.0)
    panels[0].set_ylabel(name)
    for axes in panels:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.15, high * 1.15)
        axes.set_yticks(_ticks(low / 1.15, high * 1.15))
        axes.yaxis.set_major_formatter(tick_formatter(comparison))
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


def _is_negated(comparison: Comparison) -> bool:
    """Whether the score is the negative of a metric of which less is better."""
    manifest = comparison.manifest
    # Manifests that do not say so were written where a minus sign did.
    return not manifest.get("higher_is_better", not manifest["score"].startswith("−"))
