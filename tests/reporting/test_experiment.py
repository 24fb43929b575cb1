import json
from dataclasses import dataclass

import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxnet.reporting import experiment
from jaxnet.training import devices

T15 = 2.131
"""Student's t, 15 degrees of freedom, 97.5%: any textbook's table."""


def test_a_published_number_is_reproduced_within_the_prediction_interval():
    values = np.random.default_rng(0).normal(0.9, 0.01, 16)
    half = T15 * values.std(ddof=1) * np.sqrt(1 + 1 / 16)
    inside, outside = values.mean() + 0.99 * half, values.mean() + 1.01 * half
    row = experiment.estimate_row("accuracy", values, inside)
    assert row["verdict"] == "reproduced"
    assert row["high"] - row["mean"] == pytest.approx(half, rel=1e-3)
    assert experiment.estimate_row("accuracy", values, outside)["verdict"] == "differs"
    assert experiment.estimate_row("accuracy", values[:15], inside)["verdict"] == "too few seeds"


@pytest.mark.parametrize("values", [[], [0.5]])
def test_less_than_two_seeds_have_no_interval(values):
    row = experiment.estimate_row("accuracy", values, 0.5)
    assert (row["n_seeds"], row["verdict"]) == (len(values), "too few seeds")
    assert row["low"] is None
    assert experiment.cells(row)["95% interval"] == ""


def test_a_run_that_diverged_is_named_and_not_judged():
    values = [*np.linspace(0.94, 0.96, 15), np.nan]
    assert experiment.estimate_row("accuracy", values, 0.95)["verdict"] == "diverged"
    row = experiment.difference_row("a − b", values, np.zeros(16), claimed=True)
    assert (row["verdict"], row["claimed"], row["mean"]) == ("diverged", True, None)


def test_without_a_published_number_the_interval_is_the_means():
    values = np.random.default_rng(1).normal(0.9, 0.01, 16)
    row = experiment.estimate_row("accuracy", values)
    half = T15 * values.std(ddof=1) / 4
    assert row["high"] - row["mean"] == pytest.approx(half, rel=1e-3)
    assert row["verdict"] == ""


def test_norms_are_judged_by_their_logarithm():
    values = np.exp(np.linspace(-4, 0, 16))
    row = experiment.estimate_row("norm", values, published=20.0, unit="", log=True)
    assert row["mean"] == pytest.approx(np.exp(-2))
    assert row["low"] * row["high"] == pytest.approx(row["mean"] ** 2)
    assert row["verdict"] == "differs"
    assert experiment.estimate_row("norm", values, 1.0, "", log=True)["verdict"] == "reproduced"


@pytest.mark.parametrize(
    ("shift", "claimed", "verdict"),
    [
        (1.0, True, "reproduced"), (-1.0, True, "differs"), (0.0, True, "undecided"),
        (1.0, False, "more"), (-1.0, False, "less"),
    ],
)  # fmt: skip
def test_a_claim_is_judged_by_the_paired_difference(shift, claimed, verdict):
    seeds = 100 * np.arange(16.0)  # what the seeds do to both is far more than the shift
    noise = np.random.default_rng(2).normal(0, 0.1, 16)
    noise -= noise.mean()
    row = experiment.difference_row("a − b", seeds + shift + noise, seeds, "", claimed)
    assert row["verdict"] == verdict


def test_numbers_without_chance_are_reproduced_if_they_round_to_the_published_one():
    assert experiment.digits_row("output", 0.0949, 0.09, places=2)["verdict"] == "reproduced"
    row = experiment.digits_row("output", 0.0951, 0.09, places=2, why="another start")
    assert (row["verdict"], row["why"]) == ("differs", "another start")
    assert experiment.digits_row("epochs", 154.9, 150, places=-1)["verdict"] == "reproduced"
    assert (
        experiment.claim_row("it is largest at first", 2, False, "a plateau")["why"] == "a plateau"
    )


def test_errors_are_held_to_their_bound():
    row = experiment.bound_row("distance", [1e-12, 1e-9], 1e-10)
    assert row["verdict"] == "BEYOND 1e-10"
    assert (row["low"], row["high"]) == (1e-12, 1e-9)


def test_a_script_writes_its_results_and_draws_them_again(tmp_path, monkeypatch, capsys):
    @dataclass(frozen=True)
    class Config(experiment.Config):
        seeds: int = 16

    seeds_of_runs = []

    def run(config):
        seeds_of_runs.append(config.seeds)
        return [experiment.estimate_row("ones", np.ones(config.seeds) / 2, 0.5)], {
            "x": np.arange(3)
        }

    def plot(curves):
        figure = Figure()
        figure.subplots().plot(curves["x"])
        return figure

    monkeypatch.setattr(devices, "use_all_cores", lambda: 1)

    def call(*flags):
        monkeypatch.setattr("sys.argv", ["x", "--results", str(tmp_path), *flags])
        experiment.main(
            "experiments/halves.py", "Is it a half?", Config(), Config(seeds=2), run, plot
        )

    call()
    out = capsys.readouterr().out
    assert "ones, %" in out
    assert "reproduced" in out
    call("--plot-only")
    call("--smoke")
    call("--seeds", "17")
    assert seeds_of_runs == [16, 2, 17]
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["config"]["seeds"] == results["rows"][0]["n_seeds"] == 17
    assert results["changed"] == ["seeds"]
    assert (tmp_path / "halves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--names heads edge", "--names takes some of heads, tails, not 'edge'."),
        ("--names", "--names takes at least one value."),
        ("--smoke --rates", "--rates takes at least one value."),
    ],
)
def test_an_unknown_value_is_refused_in_a_line(flags, message, tmp_path, monkeypatch, capsys):
    @dataclass(frozen=True)
    class Config(experiment.Config):
        names: tuple[str, ...] = ("heads", "tails")
        rates: tuple[float, ...] = (0.1, 0.2)

    monkeypatch.setattr("sys.argv", ["x", "--results", str(tmp_path), *flags.split()])
    with pytest.raises(SystemExit) as stopped:
        experiment.main(
            "experiments/coin.py", "Which?", Config(), Config(), lambda config: 1 / 0, abs
        )
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"error: {message}\n"
