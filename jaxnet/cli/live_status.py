"""What the live page shows: the status of a sweep or a comparison, as it stands in JSON."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet.cli import fitted_tables
from jaxnet.io.reading import JsonObject
from jaxnet.reporting.axis_names import curve_in_words
from jaxnet.sweeps.executors import SweepReport
from jaxnet.sweeps.ranking import recipe_order
from jaxnet.sweeps.score_curves import ScoreCurves
from jaxnet.sweeps.store import Setting
from jaxnet.sweeps.sweep_line import seconds_left, stage_of
from jaxnet.training.progress_line import duration

ROWS = 10
"""The settings on the page."""
CURVES = 6
"""The settings, the best first, whose curves are drawn."""
POINTS = 100
"""The most epochs of a curve on the page."""
STATES = ("finished", "interrupted", "failed")
"""The states that end a command."""
_NUMBER = "{:.4g}".format


class Heading(NamedTuple):
    """What the page is about, which no report says."""

    title: str
    """The command: "jaxnet sweep"."""
    about: tuple[str, ...]
    """Network, recipe and data, in lines."""
    names: tuple[str, ...]
    """The numbers that differ from setting to setting; empty for those that differ."""


def of_report(heading: Heading, report: SweepReport, stage: str = "") -> JsonObject:
    """The status while networks are trained.

    Args:
      heading: what the page is about.
      report: the progress.
      stage: the name of the stage of a comparison; empty for a sweep.
    """
    left, best = seconds_left(report), report.best
    seconds = report.seconds - report.first_epoch
    speed = report.trained / seconds if report.trained and seconds > 0 else 0.0
    facts = {
        "networks": f"{report.done:,} of {report.lanes:,}",
        "epochs": f"{report.trained:,} of {report.total:,}" if report.total else "",
        "time": duration(report.seconds),
        "time left": duration(left) if report.trained < report.total else "",
        "best": _best_text(report) if np.isfinite(best) else "",
        "epochs a second": f"{speed:,.1f}" if speed else "",
        "diverged": f"{report.diverged:,}" if report.diverged else "",
    }
    return {
        **before_training(heading),
        "state": stage_of(report),
        "stage": stage,
        "trained": report.trained,
        "total": report.total,
        "best": facts["best"],
        "facts": [[name, text] for name, text in facts.items() if text],
        **_scores(report.curves, heading.names),
    }


def before_training(heading: Heading) -> JsonObject:
    """The status before the first report.

    Args:
      heading: what the page is about.
    """
    return {
        "title": heading.title,
        "about": list(heading.about),
        "state": "preparing",
        "stage": "",
        "is_over": False,
        "trained": 0,
        "total": 0,
        "best": "",
        "facts": [],
        "result": [],
        "time": time.time(),
        **_scores(None, ()),
    }


def at_the_end(status: JsonObject, state: str, result: Sequence[str]) -> JsonObject:
    """The status of a command that has ended.

    Args:
      status: the last one.
      state: one of `STATES`.
      result: what it came to, in sentences.
    """
    # Those of a network that has diverged count as trained while the command goes on, since they
    # will not be; the result has the sum without them.
    dropped = {"time left", "epochs"} if state == "finished" else {"time left"}
    facts = [[name, text] for name, text in status["facts"] if name not in dropped]
    over = {"state": state, "stage": "", "is_over": True, "facts": facts, "result": list(result)}
    return status | over | {"time": time.time()}


def _best_text(report: SweepReport) -> str:
    """The best score of any network so far."""
    if report.curves is None or not report.curves.name:
        return _NUMBER(report.best)
    sign = 1 if report.curves.higher_is_better else -1
    return fitted_tables.number_of(report.curves.name)(sign * report.best)


def _scores(curves: ScoreCurves | None, names: Sequence[str]) -> JsonObject:
    """The entries of the leaderboard and of the curves."""
    empty: JsonObject = {"score": "", "caption": "", "is_share": False, "n_epochs": 0}
    empty |= {"columns": [], "rows": [], "curves": []}
    if curves is None or not curves.name:
        return empty
    best = curves.best()
    has_score = np.isfinite(best)
    order = [k for k in recipe_order(best)[:ROWS].tolist() if has_score[k].any()]
    if not order:
        return empty
    score = curve_in_words(curves.name)
    text, sign = fitted_tables.number_of(curves.name), 1 if curves.higher_is_better else -1
    columns = _columns([curves.settings[k] for k in order], names)
    columns["mean ± SD"] = [
        fitted_tables.mean_and_sd(sign * best[k][has_score[k]], text) for k in order
    ]
    columns["networks"] = [str(np.count_nonzero(has_score[k])) for k in order]
    was_scored = np.asarray(np.isfinite(curves.values[order]).any(axis=1))
    last_epochs = was_scored.shape[1] - was_scored[:, ::-1].argmax(axis=1)
    columns["epochs"] = list(map(str, last_epochs.tolist()))
    drawn = [_drawn(curve) for curve in curves.values[order[:CURVES]]]
    return {
        "score": score,
        "caption": f"{len(order)} of {len(curves.settings):,} settings, by their {score}: "
        "each network's best epoch, mean over the seeds.",
        "is_share": curves.name.endswith("_accuracy"),
        "n_epochs": curves.values.shape[-1],
        "columns": [{"text": name, "is_text": name == "optimizer"} for name in columns],
        "rows": [list(cells) for cells in zip(*columns.values(), strict=True)],
        "curves": drawn,
    }


def _columns(settings: Sequence[Setting], names: Sequence[str]) -> dict[str, list[str]]:
    """What tells the settings apart: the named numbers, or optimizer and numbers that differ."""
    if names:
        return {
            name.replace("_", " "): [_NUMBER(setting.number(name)) for setting in settings]
            for name in names
        }
    tables = [setting.columns() for setting in settings]
    columns = dict.fromkeys(name for table in tables for name in table)
    differing = [
        name
        for name in columns
        if name in ("optimizer", "learning_rate") or len({t.get(name) for t in tables}) > 1
    ]
    return {
        name.replace("_", " "): [_cell(table.get(name)) for table in tables] for name in differing
    }


def _cell(value: Any) -> str:
    """A value of a table; a dash where a setting has none."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else _NUMBER(value)


def _drawn(values: np.ndarray) -> JsonObject:
    """The mean, after each epoch, over the networks that have had it, in few points."""
    values = np.where(np.isfinite(values), values.astype(float), np.nan)
    begun = values[np.isfinite(values).any(axis=1)]
    epochs = np.flatnonzero(np.isfinite(begun).any(axis=0))
    if len(epochs) > POINTS:
        epochs = epochs[np.unique(np.linspace(0, len(epochs) - 1, POINTS).round().astype(int))]
    means = np.nanmean(begun[:, epochs], axis=0)
    return {
        "epochs": (epochs + 1).tolist(),
        "values": [float(_NUMBER(value)) for value in means],
    }
