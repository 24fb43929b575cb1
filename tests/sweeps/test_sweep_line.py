"""The progress of a sweep in words: stages, the time that is left, and what fits into a line."""

import numpy as np
import pytest

import jaxnet as jn
from jaxnet.sweeps import sweep_line
from jaxnet.sweeps.executors import SweepReport
from jaxnet.training import progress_line

REPORT = SweepReport(
    lanes=8, done=2, training=2, diverged=1, best=0.964, trained=120, total=400, seconds=30.0,
    planned=40.0, first_epoch=24.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "first", "left"),
    [
        ({"done": 0, "trained": 0, "best": -np.inf}, "compiling", "10 s left"),
        # 120 epochs in the 6 s since the compilation, and 280 to come.
        ({}, "training", "14 s left"),
        ({"first_epoch": 0.0}, "training", "70 s left"),  # a worker says nothing of compiling
        ({"interrupted": True}, "ending after this epoch", None),
        ({"done": 8, "trained": 400}, "8 of 8 networks", None),
        ({"done": 8, "trained": 400, "evaluating": True}, "evaluating", None),
        ({"done": 0, "trained": 0, "best": -np.inf, "planned": 20.0}, "compiling", None),
    ],
)
def test_the_stage_comes_first_and_the_time_counts_what_is_to_come(changes, first, left):
    words = sweep_line.words_of(REPORT._replace(**changes))
    assert words[0] == first
    assert [word for word in words if word.endswith(" left")] == ([left] if left else [])
    assert not {"chunk", "lane", "frozen"} & set(" ".join(words).split())


def test_a_score_that_is_minus_a_cost_is_shown_as_the_cost():
    assert "best 0.25" in sweep_line.words_of(REPORT._replace(best=-0.25))
    assert "best 96.40%" in sweep_line.words_of(REPORT)


@pytest.mark.parametrize("width", [20, 40, 60, 200])
def test_a_narrow_line_leaves_out_whole_parts_the_last_first(width):
    words = "  ".join(sweep_line.words_of(REPORT))
    shown = progress_line.fitted(words, width)
    assert words.startswith(shown)
    assert len(shown) <= width
    assert words[len(shown) :] == "" or words[len(shown) :].startswith("  ")


def test_a_sweep_reports_its_plan_and_when_its_first_epoch_ended():
    reports = []
    study = jn.sweep(
        jn.Network((2, 3, 2)), jn.datasets.xor(n=20), jn.Recipe(jn.sgd([0.1, 0.2])), epochs=2,
        log=None, on_progress=reports.append,
    )  # fmt: skip
    last = reports[-1]
    assert last.planned == study.plan.seconds > 0
    assert 0 < last.first_epoch <= last.seconds
