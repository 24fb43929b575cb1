"""The progress of a sweep in words, and on the line that shows it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxnet.sweeps.executors import SweepReport
from jaxnet.training.progress_line import Line, duration


def seconds_left(report: SweepReport) -> float:
    """The time that a sweep will still take; NaN where nothing is known.

    Until an epoch has ended it is what the plan expects, compiling included. Then it is that of the
    epochs to come, at the speed since then: the time to compile would make them slower than they
    are.

    Args:
      report: the progress.

    >>> report = SweepReport(lanes=4, done=1, training=2, diverged=0, best=0.5, trained=10,
    ...                      total=40, seconds=12.0, first_epoch=10.0)
    >>> seconds_left(report), seconds_left(report._replace(trained=0, planned=20.0))
    (6.0, 8.0)
    """
    to_come = report.total - report.trained
    seconds = report.seconds - report.first_epoch
    if report.trained and seconds > 0:
        return to_come * seconds / report.trained
    return report.planned - report.seconds if report.planned > report.seconds else float("nan")


def stage_of(report: SweepReport) -> str:
    """The stage of a sweep, in a word or a few.

    Args:
      report: the progress.

    >>> stage_of(SweepReport(lanes=4, done=0, training=0, diverged=0, best=-np.inf, trained=0,
    ...                      total=40, seconds=2.0))
    'compiling'
    """
    if report.evaluating:
        return "evaluating"
    if report.done == report.lanes:
        return "trained"
    if report.interrupted:
        return "ending after this epoch"
    return "training" if report.trained else "compiling"


def words_of(report: SweepReport) -> list[str]:
    """The progress of a sweep in words, those that matter most first.

    Args:
      report: the progress.

    >>> report = SweepReport(lanes=4, done=1, training=2, diverged=0, best=0.5, trained=10,
    ...                      total=40, seconds=2.0)
    >>> words_of(report)
    ['training', '1 of 4 networks', 'best 50.00%', '6 s left', '10 of 40 epochs', '5.0 epochs/s']
    >>> words_of(report._replace(done=0, trained=0, best=-np.inf, planned=14.0))
    ['compiling', '0 of 4 networks', '12 s left']
    """
    best, left, has_ended = report.best, seconds_left(report), report.done == report.lanes
    score = f"{best:.2%}" if 0 <= best <= 1 else f"{-best:.4g}"
    seconds, stage = report.seconds - report.first_epoch, stage_of(report)
    words = {
        stage: stage != "trained",
        f"{report.done:,} of {report.lanes:,} networks": True,
        f"best {score}": np.isfinite(best),
        f"{duration(left)} left": np.isfinite(left) and not (report.interrupted or has_ended),
        f"{report.trained:,} of {report.total:,} epochs": report.trained,
        f"{report.diverged:,} diverged": report.diverged,
        f"{report.trained / seconds if seconds else 0:,.1f} epochs/s": report.trained and seconds,
    }
    return [text for text, is_shown in words.items() if is_shown]


def show_report(line: Line, report: SweepReport, stage: str = "") -> None:
    """Show the progress of a sweep on a line.

    Args:
      line: the line.
      report: the progress.
      stage: the name of the stage of a comparison; empty, the default, for a sweep.
    """
    words = [*filter(None, [stage]), *words_of(report)]
    line(report.trained, report.total or None, "  ".join(words))


def with_line(
    on_progress: Callable[..., None] | None, line: Line | None
) -> Callable[..., None] | None:
    """What is called with the progress: a function of the caller's, and the line.

    Args:
      on_progress: the caller's function of the report, in a comparison of the stage's name and the
        report; `None` for none.
      line: the line; `None` for none.
    """
    if line is None:
        return on_progress

    def show_and_pass_on(*stage_and_report: Any) -> None:
        *stage, report = stage_and_report
        show_report(line, report, *stage)
        if on_progress is not None:
            on_progress(*stage_and_report)

    return show_and_pass_on
