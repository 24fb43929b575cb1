"""What commands print at 60, 80 and 120 columns, against golden files."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

import jaxnet as jn
from jaxnet.cli import console, data_options, final_words, fitted_tables, streams
from jaxnet.cli import main as cli
from jaxnet.comparison import comparison_folder
from jaxnet.reporting import comparison_page
from jaxnet.training import devices
from tests.support.golden import assert_golden

OLD_COMPARISON = Path(__file__).parents[1] / "data" / "version_0_2_0" / "comparison"
WIDTHS = (60, 80, 120)
COMMANDS = {
    "train": "train --data xor --hidden-sizes 4 --epochs 2 --name golden",
    "sweep": "sweep --data xor --hidden-sizes 3 --epochs 2 --seeds 2 --folder golden"
    " --vary learning_rate=0.1,1 l2=0,0.1 label_smoothing=0,0.1 init_scale=0.5,1",
    "compare": "compare --plot-only --comparisons . --name comparison",
    "check": "check --sizes 3 2 2",
}
TO_COPY = ("Next: ", "Compare optimizers on it: ")
"""What lines begin with that hold a command, and are never wrapped."""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "use_all_cores", lambda: 1)  # JAX has begun in this process
    return tmp_path


def plain(text):
    """What a person sees in the end: without colours, bars, the time and the machine."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    lines = [line.rpartition("\r")[2] for line in text.splitlines()]
    text = "\n".join(line.rstrip() for line in lines if "━" not in line)
    text = re.sub(r"\d+-\d+-(?=[\d-]*golden)", "TIME-", text)
    text = re.sub(r"[\w. ]+, jax [\d.]+", " DEVICE", text)
    return text.strip() + "\n"


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_terminal_shows_fits_it_and_is_the_golden_text(here, capsys, monkeypatch, command):
    if command == "compare":
        shutil.copytree(OLD_COMPARISON, here / "comparison")
        monkeypatch.setattr(
            comparison_page, "publish", lambda folder, command: comparison_folder.read(folder)
        )
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        for folder in ("golden", "runs"):  # a second run of a second would be called otherwise
            shutil.rmtree(here / folder, ignore_errors=True)
        assert cli.main(shlex.split(COMMANDS[command])) == 0
        text = plain(capsys.readouterr().out)
        for line in text.splitlines():
            assert len(line) <= width or line.startswith(TO_COPY), line
        assert "…" not in text
        # A sentence of a comparison of version 0.2 is read, not written.
        assert command == "compare" or " %" not in text
        assert_golden(f"output-{command}-{width}", text, has_numbers=True)


def test_no_line_of_a_pipe_ends_with_blanks_or_is_wrapped(here, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    out = streams.Terminal()
    table = fitted_tables.fitted(out, [fitted_tables.Column("a\nb", ["1", "22"])], "title")
    out.print(table)
    sentence = "word " * 40
    console.say(out, sentence)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert sentence.rstrip() in lines
    assert [line.split() for line in lines[:5]] == [["title"], [], ["a"], ["b"], ["────"]]


@pytest.mark.parametrize("columns", [None, "", "80"])
def test_a_pipe_has_no_width_unless_columns_says_so(monkeypatch, capsys, columns):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    cells = [fitted_tables.Column(f"column {k}", ["1" * 30], rank=k) for k in range(9)]
    out = streams.Terminal()
    out.print(fitted_tables.fitted(out, cells, "title"))
    printed = capsys.readouterr().out
    assert printed.count("1" * 30) == (2 if columns else 9)
    assert max(map(len, printed.splitlines())) < 400


def test_columns_are_left_out_by_rank_before_a_number_is_cut(monkeypatch, capsys):
    columns = [
        fitted_tables.Column("always", ["1" * 30]),
        fitted_tables.Column("first to go", ["2" * 30], rank=2),
        fitted_tables.Column("last to go", ["3" * 30], rank=1),
    ]
    for width, shown in ((120, "123"), (80, "13"), (40, "1"), (20, "1")):
        monkeypatch.setenv("COLUMNS", str(width))
        out = streams.Terminal()
        table = fitted_tables.fitted(out, columns)
        out.print(table)
        text = capsys.readouterr().out
        assert [digit for digit in "123" if digit in text] == list(shown)
        if width > 30:
            assert all(digit * 30 in text for digit in shown)


@pytest.fixture(scope="module")
def study():
    recipe = jn.Recipe(jn.sgd([0.01, 0.1, 1.0]), l2=0.1)
    net = jn.Network((2, 4, 2))
    return jn.sweep(net, jn.datasets.xor(n=40), recipe, seeds=3, epochs=2, log=None)


@pytest.mark.slow
def test_a_sweep_chooses_the_recipe_of_the_highest_mean_and_says_what_to_expect(study):
    """Against the curves: the mean and SD over seeds of each network's best epoch."""
    choice, correction = final_words.choice(study, ["learning_rate"])
    best = np.asarray(study.history.evaluation_accuracy).max(axis=-1)
    place = int(best.mean(axis=1).argmax())
    mean, sd = best[place].mean(), best[place].std(ddof=1)
    rate = (0.01, 0.1, 1)[place]
    assert choice == (
        f"Choose recipe {place} (learning_rate {rate}): validation accuracy {mean:.2%} ± {sd:.2%} "
        "(mean ± SD of 3 seeds), the highest of 3 recipes."
    )
    corrected = study.corrected_score().corrected
    assert f"expect {min(corrected, mean):.2%} on other validation data" in correction


@pytest.mark.slow
def test_a_corrected_score_is_never_better_than_the_best(study, monkeypatch):
    best = float(np.asarray(study.history.evaluation_accuracy).max(axis=-1).mean(axis=1).max())
    for corrected in (best + 0.01, best - 0.01):
        monkeypatch.setattr(final_words, "_corrected", lambda _, score=corrected: score)
        correction = final_words.choice(study, ["learning_rate"])[1]
        assert f"expect {min(corrected, best):.2%} on other validation" in correction
        assert ("nothing changes" in correction) == (corrected > best)
    monkeypatch.setattr(type(study), "higher_is_better", property(lambda _: False))
    for corrected in (-best + 0.01, -best - 0.01):  # as if the study's scores were minus a cost
        monkeypatch.setattr(final_words, "_corrected", lambda _, score=corrected: score)
        correction = final_words.choice(study, ["learning_rate"])[1]
        assert f"expect {max(corrected, -best):.2%} on other validation" in correction
        assert ("nothing changes" in correction) == (corrected < -best)


@pytest.mark.slow
def test_the_choice_of_an_interrupted_sweep_is_not_corrected(study):
    half = study._replace(epochs=np.where(np.arange(3)[:, None] == 0, 1, study.epochs))
    assert half.interruption is not None
    (sentence,) = final_words.choice(half, ["learning_rate"])
    assert sentence.startswith("So far recipe ")
    assert f"Networks have had 1 to {study.epochs.max()} epochs: wait" in sentence


@pytest.mark.parametrize(
    ("file", "rows"),
    [
        ("own.npz", "the archive's own validation examples"),
        ("held.npz", "the last 10 of the 60 training examples"),
        ("ordered.npz", "random ones of the 60 training examples"),
    ],
)
def test_the_rows_that_validate_are_named(here, file, rows):
    random = np.random.default_rng(0)
    x, y = random.random((60, 3)), random.integers(0, 2, 60)
    y = np.sort(y) if file == "ordered.npz" else y
    own = {"x_valid": x[:7], "y_valid": y[:7]} if file == "own.npz" else {}
    np.savez(here / file, x_train=x, y_train=y, **own)
    if file == "ordered.npz":
        with pytest.warns(UserWarning, match="random ones validate instead"):
            data = data_options.read(file)
    else:
        data = data_options.read(file)
    assert data.valid is not None
    assert data_options.validation_rows(file, data) == rows
    if file == "held.npz":
        np.testing.assert_array_equal(data.valid.x, x[-10:])
    assert f"validated on {rows};" in console.describe(file, data)


@pytest.mark.parametrize("name", data_options.DATA_SETS)
def test_every_named_set_says_what_validates(name):
    data = data_options.read(name)
    assert data_options.validation_rows(name, data) == data_options.OWN_VALIDATION[name]
    assert data_options.absolute(name) == name
    if name == "digits":
        first, last = re.findall(r"[\d,]{5}", data_options.OWN_VALIDATION[name])
        rows = [int(number.replace(",", "")) for number in (first, last)]
        assert (len(data.train.x), len(data.train.x) + len(data.valid.x) - 1) == tuple(rows)


def test_the_layers_at_the_ends_of_a_compared_network_come_from_the_data(here):
    x, y = np.random.default_rng(0).random((60, 5)), np.arange(60) % 3
    np.savez(here / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    for options, sizes in (("", (5, 30, 3)), ("--hidden-sizes 7 6", (5, 7, 6, 3))):
        command = cli._parse(f"compare --data d.npz {options}".split())
        task = jn.comparison.tasks.named("book")
        assert command._network(task, command._data(task)).sizes == sizes
    with pytest.raises(ValueError, match="--hidden-sizes are those between"):
        cli._parse("compare --sizes 5 3 3 --hidden-sizes 2 --data d.npz".split())._network(
            task, command._data(task)
        )
