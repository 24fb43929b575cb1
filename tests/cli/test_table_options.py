"""Tables on the command line: from a CSV file to a network and predictions on new rows."""

import csv
import dataclasses
import json

import numpy as np
import pytest

import jaxnet as jn
from jaxnet.cli.main import _parse, main
from jaxnet.training import devices


@pytest.fixture
def patients(tmp_path, monkeypatch):
    """A CSV file with strings, gaps and an unbalanced label."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "use_all_cores", lambda: 1)  # JAX has begun in this process
    random = np.random.default_rng(0)
    with open("patients.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["age", "town", "visits", "ill"])
        for row in range(200):
            age, town = random.normal(45, 12), random.choice(["Bern", "Zug"])
            ill = age + 10 * (town == "Zug") + random.normal(0, 5) > 55
            rows.writerow([f"{age:.1f}" if row % 9 else "", town, row % 7, "yes" if ill else "no"])
    return tmp_path


def _run(capsys, command):
    status = main(command.split())
    printed = capsys.readouterr()
    return status, " ".join(printed.out.split()), " ".join(printed.err.split())


@pytest.mark.slow
def test_from_a_csv_to_predictions(patients, capsys):
    options = "--optimizer adam --learning-rate 0.03 --l2 0.1 --epochs 8 --metrics roc_auc"
    status, out, _ = _run(
        capsys, f"train --data patients.csv --target ill --hidden-sizes 5 --folds 3 {options}"
    )
    assert status == 0
    assert "[5, 5, 2] silu, LogLikelihood(temperature=1.0)" in out
    assert (
        "Numbers: age (with gaps), visits Categories: town: Bern, Zug To predict: ill, no or" in out
    )
    assert "Cross-validation, mean ± SD of 3 folds: accuracy 0." in out
    auc = float(out.partition("roc_auc ")[2].split()[0])
    assert 0.75 < auc <= 1
    assert "Test accuracy by class, best: no: " in out
    assert "NEW.csv --output answers.csv" in out
    (folder,) = (patients / "runs").iterdir()
    header, *matrix = (folder / "confusion.csv").read_text(encoding="utf-8").splitlines()
    assert header == "true \\ predicted,no,yes"
    assert sum(int(cell) for row in matrix for cell in row.split(",")[1:]) == 40
    assert json.loads((folder / "config.json").read_text())["settings"]["sizes"] == [5, 5, 2]

    (patients / "new.csv").write_text("town,visits,age\nZug,3,70\nBern,1,\n", encoding="utf-8")
    status, out, err = _run(capsys, "predict runs new.csv --output answers.csv")
    assert (status, err) == (0, "")
    with open("answers.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["ill"] for row in rows] == ["yes", "no"]
    assert float(rows[0]["p(yes)"]) + float(rows[0]["p(no)"]) == pytest.approx(1, abs=1e-5)
    assert "2 rows are written to answers.csv" in out

    status, _, err = _run(capsys, f"train --resume {folder} --epochs 9")
    assert (status, err) == (0, "")
    status, _, err = _run(capsys, "predict runs new.csv --output answers.parquet")
    assert (status, "must end with .csv" in err) == (2, True)

    table = (patients / "patients.csv").read_text(encoding="utf-8")
    (patients / "patients.csv").write_text(table.replace("Zug", "Chur"), encoding="utf-8")
    status, _, err = _run(capsys, f"train --resume {folder} --epochs 10")
    assert (status, "has other columns, values or classes than" in err) == (2, True)


@pytest.mark.slow
def test_numbers_are_predicted_and_swept(patients, capsys):
    status, out, _ = _run(
        capsys,
        "sweep --data patients.csv --target age --drop ill --optimizer adam --epochs 2 --seeds 1 "
        "--vary learning_rate=0.01,0.1",
    )
    assert status == 0
    assert "Quadratic(output=linear)" in out
    assert "To predict: age, a number" in out
    (folder,) = (patients / "studies").iterdir()
    (patients / "new.csv").write_text("town,visits\nZug,3\n", encoding="utf-8")
    status, out, _ = _run(capsys, f"predict {folder} new.csv")
    assert status == 0
    assert 20 < float(out.split()[-1]) < 70


@pytest.mark.slow
def test_errors_of_numbers_are_in_the_unit_of_the_table(patients, capsys):
    status, out, _ = _run(
        capsys, "train --data patients.csv --target age --drop ill --folds 2 --epochs 2"
    )
    assert status == 0
    assert "Cross-validation, mean ± SD of 2 folds: cost " in out
    error = float(out.partition("Best, on the test set: age to ± ")[2].split()[0])
    report = json.loads(next((patients / "runs").glob("*/report.json")).read_text())
    assert error == pytest.approx(report["unit"] * report["targets"][0]["rmse"], rel=1e-3)
    assert 5 < error < 30  # the deviation of age is 12


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "train --data patients.csv",
            "is a table, of which jaxnet train and sweep need the",
        ),
        ("compare --data patients.csv", "jaxnet train and sweep need the column to predict"),
        ("train --target ill", "--target names a column of a table, a file that ends with .csv"),
        ("train --data patients.csv --target il", "no column of the table; did you mean ill?"),
        (
            "train --data patients.csv --target ill --class-weight maybe=2",
            "such as no=1 yes=1, not",
        ),
        ("train --data patients.csv --target ill --drop ill", "--drop names the target, 'ill'"),
        ("train --task regression", "--task is for a table"),
        ("train --drop age", "--drop is for a table, of which --target names a column"),
        ("train --data gone.csv --target ill", "cannot read gone.csv: No such file"),
        ("train --data patients.csv --target ill --folds 1", "--folds must be"),
        (
            "train --data patients.csv --target ill --sizes 4 3 2",
            "choose --sizes that begin with 5",
        ),
        ("predict runs patients.csv", "the folder runs does not exist"),
    ],
)
def test_wrong_options_are_refused(patients, capsys, command, message):
    status, _, err = _run(capsys, command)
    assert status == 2
    assert message in err
    assert not (patients / "runs").exists() or not list((patients / "runs").iterdir())


def test_a_number_after_target_is_stop_at(patients, capsys):
    status, _, err = _run(capsys, "train --data digits --epochs 0 --target 0.5")
    assert status == 2
    assert "--target NUMBER is now called --stop-at NUMBER" in err


@pytest.mark.parametrize(
    ("typed", "changed"),
    [
        ("", {}),
        ("--learning-rate 0.1", {"learning_rate": 0.1}),
        ("--optimizer adam --epochs 3", {"optimizer": "adam", "epochs": 3, "schedule": None}),
        ("--sizes 5 4 2 --hidden relu", {"sizes": [5, 4, 2], "hidden": ["relu"]}),
    ],
)
def test_a_table_has_defaults_of_its_own(patients, typed, changed):
    command = _parse(f"train --data patients.csv --target ill {typed}".split())
    data = command.training_data()
    command = command.for_data(data)
    defaults = jn.tabular_defaults(data)
    if not changed:
        assert command.full_network() == defaults.network
        assert dataclasses.replace(command, horizon=40.0).recipe() == defaults.recipe
        assert (command.epochs, command.batch_size) == (defaults.epochs, defaults.batch_size)
    for name, value in changed.items():
        own = getattr(command, name)
        assert (list(own) if isinstance(own, tuple) else own) == value
    assert command.l2 is None


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_a_table_is_trained_for_one_epoch_without_a_warm_up(patients, command):
    typed = f"{command} --data patients.csv --target ill --epochs"
    with pytest.warns(UserWarning, match="without a table's warm-up of an epoch"):
        schedule = _parse(f"{typed} 1".split()).recipe().schedule
    assert float(schedule.factor(0, steps_per_epoch=4)) == 1
    assert float(schedule.factor(4, steps_per_epoch=4)) == pytest.approx(0, abs=1e-6)
    schedule = _parse(f"{typed} 2".split()).recipe().schedule
    assert float(schedule.factor(0, steps_per_epoch=4)) == 0
    assert _parse(f"{typed} 0".split()).schedule is None
    with pytest.raises(ValueError, match="warmup must be shorter"):
        _parse(f"{typed} 1 --schedule warmup-cosine".split()).recipe()


def test_a_sweep_of_a_table_varies_rates_about_its_own(patients):
    assert _parse("sweep --data patients.csv --target ill".split()).vary == (
        "learning_rate=0.001:0.1:5",
    )
    book = _parse("sweep --data patients.csv --target ill --optimizer sgd".split())
    assert (book.vary, book.learning_rate, book.batch_size) == (
        ("learning_rate=0.01:10:10",), None, 32,
    )  # fmt: skip


def test_a_small_table_is_one_mini_batch(patients):
    with open("small.csv", "w", encoding="utf-8") as file:
        file.write("age,ill\n" + "1.5,no\n2.5,yes\n" * 10)
    command = _parse("train --data small.csv --target ill".split())
    data = command.training_data()
    with pytest.warns(UserWarning, match="are of all 12 training rows, not of 32"):
        assert command.for_data(data).batch_size == 12
