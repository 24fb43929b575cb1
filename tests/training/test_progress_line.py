"""The progress is shown where a person watches, once, and nowhere else."""

import contextlib
import html
import io
from concurrent.futures import ThreadPoolExecutor

import jax
import pytest
from joblib import Parallel, delayed

import jaxnet as jn
from jaxnet.training import progress_line

NET, DATA, RECIPE = jn.Network((2, 3, 2)), jn.datasets.xor(n=20), jn.Recipe(jn.sgd([0.1, 0.2]))
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
"""What a line writes once, at its beginning and at its end."""
COMPARISON = {"tier": "defaults", "epochs": 1, "seeds": 6, "tuning_seeds": 1, "timing": False}


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")


@contextlib.contextmanager
def _watched():
    """A terminal that a person watches, in place of stderr."""
    with contextlib.redirect_stderr(_Terminal()) as stream:
        yield stream


def _train(**options):
    return jn.train(NET, DATA, jn.Recipe(jn.sgd(0.1)), epochs=2, **options)


def test_train_shows_its_epochs_on_stderr(capsys):
    with _watched() as terminal:
        run = _train()
    text, accuracy = terminal.getvalue(), run.history.evaluation_accuracy
    assert "epoch 2/2" in text
    assert f"validation {accuracy[-1]:.2%}" in text
    assert f"best {accuracy.max():.2%}" in text
    assert capsys.readouterr().out == ""


def test_sweep_shows_its_networks_and_compare_its_stages_in_one_line_each(capsys):
    with _watched() as terminal:
        comparison = jn.compare(NET, DATA, ["sgd", "adam"], log=None, **COMPARISON)
    assert "Report  12 of 12 networks" in terminal.getvalue()
    assert terminal.getvalue().count(HIDE_CURSOR) == 1  # the inner sweeps have no line
    page = comparison._repr_html_()  # here, where there is a comparison of this version
    assert comparison.conclusion[0] in html.unescape(page)
    assert page.count("<svg") == 1
    with _watched() as terminal:
        jn.sweep(NET, DATA, RECIPE, epochs=2, log=None)
    assert "2 of 2 networks" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_calls_inside_of_a_call_show_nothing():
    inner = lambda _: _train() and None
    with _watched() as terminal:
        _train(progress=False, on_epoch=inner)
    assert terminal.getvalue() == ""
    with _watched() as terminal:
        _train(on_epoch=inner)
    assert terminal.getvalue().count(HIDE_CURSOR) == 1


def test_nothing_is_shown_in_a_thread_or_in_a_file():
    with _watched() as terminal, ThreadPoolExecutor(1) as pool:
        pool.submit(_train).result()
    assert terminal.getvalue() == ""
    with contextlib.redirect_stderr(io.StringIO()) as file:
        _train()
    assert file.getvalue() == ""


@pytest.mark.exhaustive  # it starts processes
def test_a_worker_of_joblib_is_not_watched():
    def with_a_terminal():
        import contextlib
        import io

        from jaxnet.training.progress_line import is_watched

        stream = io.StringIO()
        stream.isatty = lambda: True
        with contextlib.redirect_stderr(stream):
            return is_watched()

    assert with_a_terminal()
    assert Parallel(2)(delayed(with_a_terminal)() for _ in range(2)) == [False, False]


def test_the_callback_shows_the_epochs_in_place_of_train():
    with _watched() as terminal:
        _train(on_epoch=jn.callbacks.progress())
    text = terminal.getvalue()
    assert "epoch 2/2" in text
    assert text.count(HIDE_CURSOR) == text.count(SHOW_CURSOR) == 1


def test_the_line_of_a_callback_ends_with_a_run_that_is_stopped():
    with _watched() as terminal:
        _train(on_epoch=[jn.callbacks.progress(), lambda _: "stop"])
    assert terminal.getvalue().count(SHOW_CURSOR) == 1


def test_the_line_shows_numbers_that_the_host_has(monkeypatch):
    """No array of a device, which a line would have to wait for, reaches it."""
    values = []
    monkeypatch.setattr(
        progress_line.EpochLine, "show", lambda *arguments: values.extend(arguments[3].values())
    )
    with _watched():
        _train()
    assert len(values) == 2 * len(jn.History.CURVES)
    assert not any(isinstance(value, jax.Array) for value in values)


def test_numbers_to_predict_show_the_validation_cost():
    lines = []
    line = progress_line.EpochLine(lambda *parts: lines.append(parts), 100)
    for epoch, cost in enumerate((0.5, 0.25, 1), 1):
        scores = {"evaluation_accuracy": float("nan"), "evaluation_data_cost": cost}
        line.show(epoch, 3, scores, float(epoch))
    assert lines[-1] == (3, 3, "epoch 3/3  validation 1  best 0.25  100 examples/s")
