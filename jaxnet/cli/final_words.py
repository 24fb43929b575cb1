"""What a sweep ends with: the recipe that it would choose, and why."""

from collections.abc import Sequence

import numpy as np

from jaxnet.cli import fitted_tables
from jaxnet.reporting.axis_names import curve_in_words
from jaxnet.sweeps.study import Study

CORRECTED_UP_TO = 2000
"""The most networks of a study whose choice is corrected for selection, so that nobody waits: every
network predicts the validation examples for it."""


def choice(study: Study, names: Sequence[str]) -> list[str]:
    """The recipe that the study would choose, and how good it is, in sentences.

    Args:
      study: the study.
      names: the numbers that it varies.

    Returns:
      A sentence or two; none if no network has a score.
    """
    recipe, curve = study.best_recipe, study.ranked_by
    score = fitted_tables.finite_scores(study, recipe)
    if not score.size:
        return []
    text = fitted_tables.number_of(curve)
    sign = 1 if study.higher_is_better else -1
    numbers = ", ".join(f"{name} {study.settings[recipe].number(name):.4g}" for name in names)
    n_recipes, most = len(study.settings), "highest" if study.higher_is_better else "lowest"
    value = text(sign * score.mean())
    if score.size > 1:
        value += f" ± {text(score.std(ddof=1))} (mean ± SD of {score.size} seeds)"
    rank = f", the {most} of {n_recipes} recipes" if n_recipes > 1 else ""
    if study.interruption:
        fewest, most_epochs = study.epochs.min(), study.epochs.max()
        trained = f"All networks have had {most_epochs} epochs."
        if fewest < most_epochs:
            trained = f"Networks have had {fewest} to {most_epochs} epochs: wait to compare them."
        return [
            f"So far recipe {recipe} ({numbers}) leads: {curve_in_words(curve)} {value}{rank}. "
            f"{trained}"
        ]
    sentences = [f"Choose recipe {recipe} ({numbers}): {curve_in_words(curve)} {value}{rank}."]
    if (corrected := _corrected(study)) is not None:
        # An estimate from resampled examples may come out above the best, which is no correction.
        is_worse = sign * corrected < score.mean()
        expected = text(corrected if is_worse else sign * score.mean())
        changes = "," if is_worse else " nothing changes:"
        sentences.append(
            f"Corrected for the choice of the best of {n_recipes}{changes} expect {expected} on "
            "other validation data."
        )
    return sentences


def _corrected(study: Study) -> float | None:
    """The best recipe's score without the bias of selection; None where it is not known."""
    if len(study.settings) == 1 or study.epochs.size > CORRECTED_UP_TO:
        return None
    try:
        corrected = study.corrected_score().corrected
    except ValueError:  # examples that trained the networks rank them, or costs with penalties
        return None
    return corrected if np.isfinite(corrected) else None
