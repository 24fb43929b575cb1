"""The progress of a sweep in words, and on the line that shows it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxnet.sweeps.executors import SweepReport
from jaxnet.training.progress_line import Line


def words_of(report: SweepReport) -> dict[str, str]:
    """The progress of a sweep, by what it is.

    Args:
      report: the progress.

    Returns:
      Texts such as "12 of 64" by "done", "training", "diverged", "best", "epochs/s" and "left".

    >>> report = SweepReport(lanes=4, done=1, training=2, diverged=0, best=0.5, trained=10,
    ...                      total=40, seconds=2.0)
    >>> words_of(report)["done"], words_of(report)["left"]
    ('1 of 4', '6 s')
    """
    rate = report.trained / report.seconds if report.seconds else 0
    left = (report.total - report.trained) / rate if rate else float("nan")
    time_left = f"{left:,.0f} s" if np.isfinite(left) else "compiling …"
    best = report.best
    return {
        "done": f"{report.done:,} of {report.lanes:,}",
        "training": f"{report.training:,}",
        "diverged": f"{report.diverged:,}",
        "best": f"{best:.2%}" if 0 <= best <= 1 else ("" if np.isinf(best) else f"{-best:.4g}"),
        "epochs/s": f"{rate:,.1f}",
        "left": "ending …" if report.interrupted else time_left,
    }


def show_report(line: Line, report: SweepReport, stage: str = "") -> None:
    """Show the progress of a sweep on a line.

    Args:
      line: the line.
      report: the progress.
      stage: the name of the stage of a comparison; empty, the default, for a sweep.
    """
    words = words_of(report)
    parts = [stage, f"{words['done']} networks"]
    parts += [f"{words['diverged']} diverged"] if report.diverged else []
    parts += [f"best {words['best']}"] if words["best"] else []
    parts.append(f"{words['epochs/s']} epochs/s" if report.trained else words["left"])
    line(report.trained, report.total or None, "  ".join(filter(None, parts)))


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
