"""Tables: scikit-learn's transformers on the same rows, and what a table may not be."""

import json
import pickle

import jax
import numpy as np
import pandas
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import jaxnet as jn
from jaxnet.data.encoding import Category, Encoding, Number, Target, load_encoding
from jaxnet.data.tables import Table
from jaxnet.sweeps.ensemble import Ensemble, Member

NUMBERS, TOWNS = ["age", "pressure"], ["Bern", "Zug", "Basel", "Chur", "Thun"]


def _patients(n=400, seed=0):
    """Rows with strings, gaps and an unbalanced label."""
    random = np.random.default_rng(seed)
    town = random.choice(TOWNS, n, p=[0.5, 0.3, 0.19, 0.005, 0.005])
    age, pressure = random.normal(45, 12, n), random.normal(120, 15, n)
    logit = (age - 45) / 12 + 1.5 * (town == "Zug") + (pressure - 120) / 20 - 2.5
    frame = pandas.DataFrame({"age": age, "town": town, "pressure": pressure})
    frame["ill"] = np.where(random.uniform(size=n) < 1 / (1 + np.exp(-logit)), "yes", "no")
    frame.loc[random.uniform(size=n) < 0.1, "age"] = np.nan
    frame.loc[random.uniform(size=n) < 0.05, "town"] = None
    return frame


def test_inputs_are_those_of_scikit_learns_transformers():
    frame = _patients()
    data = jn.datasets.table(frame, "ill", valid=0.25, test=0.25, min_count=5)
    encode = ColumnTransformer(
        [
            ("age", make_pipeline(StandardScaler(), SimpleImputer(add_indicator=True)), ["age"]),
            (
                "town",
                OneHotEncoder(min_frequency=5, sparse_output=False),
                ["town"],
            ),
            ("pressure", StandardScaler(), ["pressure"]),
        ]
    )
    # The rows of each split, by a column that tells them apart.
    place = {value: row for row, value in enumerate(frame["pressure"])}
    pressure = data.encoding.columns[-1]
    rows = [
        [
            min(place.values(), key=lambda row: abs(frame["pressure"][row] - value))
            for value in split.x[:, -1] * pressure.sd + pressure.mean
        ]
        for split in data
    ]
    frame["town"] = frame["town"].fillna("~missing")
    encode.fit(frame.iloc[rows[0]])
    names = data.encoding.input_names
    order = ["town = Basel", "town = Bern", "town = Zug", "town is missing", "town = (rare)"]
    columns = [0, 1, *(names.index(name) for name in order if name in names), -1]
    for split, own_rows in zip(data, rows, strict=True):
        assert len(set(own_rows)) == len(own_rows)
        expected = encode.transform(frame.iloc[own_rows])
        np.testing.assert_allclose(split.x[:, columns], expected, atol=1e-5)
        assert (np.array(["no", "yes"])[split.y] == frame["ill"].iloc[own_rows]).all()


def test_splits_are_stratified_and_groups_stay_together():
    frame = _patients(400)
    frame["patient"] = np.arange(400) // 4
    data = jn.datasets.table(frame, "ill", valid=0.2, test=0.2, drop=["patient"])
    share = (frame["ill"] == "yes").mean()
    assert all(abs(split.y.mean() - share) < 0.02 for split in data)
    assert [len(split.y) for split in data] == [240, 80, 80]
    grouped = jn.datasets.table(frame, "ill", valid=0.2, test=0.2, groups="patient")
    pressures = frame.groupby("pressure")["patient"].first()
    column = grouped.encoding.columns[-1]
    patients = [
        {
            pressures.iloc[np.abs(pressures.index - value).argmin()]
            for value in split.x[:, -1] * column.sd + column.mean
        }
        for split in grouped
    ]
    assert not (patients[0] & patients[1] or patients[0] & patients[2] or patients[1] & patients[2])
    assert "patient" not in grouped.encoding.input_names


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", "frame", "mapping"])
def test_every_kind_of_source_gives_the_same_table(tmp_path, suffix):
    frame = _patients(60)
    expected = jn.datasets.table(frame, "ill")
    source = frame
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(source := tmp_path / "table.parquet")
    elif suffix.startswith("."):
        delimiter = "\t" if suffix == ".tsv" else ";"
        frame.to_csv(source := tmp_path / f"table{suffix}", sep=delimiter, index=suffix == ".csv")
    elif suffix == "mapping":
        source = {name: frame[name].tolist() for name in frame}
    data = jn.datasets.table(source, "ill")
    assert data.encoding.columns == expected.encoding.columns
    for arrays in zip(jax.tree.leaves(data), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(*arrays)


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
def test_a_file_is_enough_to_predict(tmp_path, suffix):
    frame = _patients(120)
    data = jn.datasets.table(frame, "ill")
    net = jn.Network((data.n_inputs, 4, data.n_outputs), cost=jn.costs.LogLikelihood())
    params = jn.train(net, data, jn.Recipe(jn.adam(0.01)), epochs=2).params
    path = tmp_path / f"net.{suffix}"
    jn.save(path, net, params, encoding=data.encoding)
    encoding = load_encoding(path)
    assert encoding == data.encoding
    new = frame.drop(columns="ill")[["town", "pressure", "age"]].head(7)
    answers = encoding.predictions(*jn.load(path), new)
    outputs = np.asarray(jn.predict(net, params, data.encoding.inputs(frame.head(7))))
    np.testing.assert_allclose(answers["p(yes)"], outputs[:, 1], atol=1e-6)
    assert answers["ill"].tolist() == [["no", "yes"][row.argmax()] for row in outputs]
    jn.save(path, net, params)
    with pytest.raises(ValueError, match=r"without an encoding.*encoding=table\.encoding"):
        load_encoding(path)


@pytest.mark.slow
def test_an_ensemble_keeps_the_encoding(tmp_path):
    data = jn.datasets.table(_patients(100), "ill", valid=0)
    net = jn.Network((data.n_inputs, 3, 2), cost=jn.costs.LogLikelihood())
    study = jn.sweep(
        net, data, jn.Recipe(jn.adam(0.03)), resample=jn.resampling.k_fold(2), epochs=1, log=None
    )
    study.ensemble(top=2).save(tmp_path / "e.safetensors", encoding=data.encoding)
    encoding = load_encoding(tmp_path / "e.safetensors")
    assert encoding == data.encoding
    ensemble = jn.Ensemble.load(tmp_path / "e.safetensors")
    x = encoding.inputs(_patients(100).head(5))
    expected = np.mean([np.asarray(row) for row in study.predict(x)[0, 0]], axis=0)
    answers = encoding.decode(ensemble.predict(x))
    np.testing.assert_allclose(answers["p(yes)"], expected[:, 1], atol=1e-6)


@pytest.mark.slow
def test_numbers_are_predicted_in_their_unit():
    random = np.random.default_rng(0)
    rows = {"size": random.uniform(50, 150, 300), "garden": random.choice(["yes", "no"], 300)}
    rows["price"] = 5000.0 * rows["size"] + 100000 * (rows["garden"] == "yes")
    data = jn.datasets.table(rows, "price")
    assert abs(data.train.y.mean()) < 1e-6
    assert abs(data.train.y.std() - 1) < 1e-6
    cost = jn.costs.Quadratic(jn.activations.linear)
    net = jn.Network((data.n_inputs, data.n_outputs), cost=cost)
    run = jn.train(net, data, jn.Recipe(jn.adam(0.03)), epochs=30)
    new = {"size": [100.0, 60.0], "garden": ["yes", "no"]}
    predicted = data.encoding.predictions(net, run.best_params, new)["price"]
    np.testing.assert_allclose(predicted, [600000, 300000], rtol=0.02)
    spread = data.encoding.decode(np.array([[0.0, 2 * np.log(0.5)]]), has_variances=True)
    target = data.encoding.target
    np.testing.assert_allclose(spread["price"], [target.mean])
    np.testing.assert_allclose(spread["price sd"], [target.sd / 2])


@pytest.mark.slow
def test_folds_standardize_numbers_by_their_own_training_rows():
    data = jn.datasets.table(_patients(200), "ill", valid=0.0)
    net = jn.Network((data.n_inputs, 4, 2))
    study = jn.sweep(
        net, data, jn.Recipe(jn.sgd(0.1)), resample=jn.resampling.k_fold(3), epochs=1, log=None
    )
    are_numbers = data.encoding.are_numbers
    for lane in study.source.folds:
        own = lane.standardized(data.train.x)
        train = own[lane.fold.train]
        np.testing.assert_allclose(train[:, are_numbers].mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(train[:, are_numbers].std(axis=0), 1, atol=1e-6)
        np.testing.assert_array_equal(own[:, ~are_numbers], data.train.x[:, ~are_numbers])
    as_it_is = jn.sweep(
        net, data, jn.Recipe(jn.sgd(0.1)), resample=jn.resampling.k_fold(3), epochs=1, log=None,
        standardize=False,
    )  # fmt: skip
    assert all(lane.shift is None for lane in as_it_is.source.folds)


def test_a_table_stays_one_as_long_as_its_inputs_do():
    data = jn.datasets.table(_patients(80), "ill")
    assert pickle.loads(pickle.dumps(data)).encoding == data.encoding
    weighted = jn.datasets.class_weighted(data, "balanced")
    assert isinstance(weighted, Table)
    assert weighted.encoding == data.encoding
    other = data._replace(train=data.train._replace(x=data.train.x * 2))
    assert type(other) is jn.Dataset
    assert jax.tree.map(lambda array: array, data).encoding is None


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ({"a": [1, 2], "y": [0, 1]}, {"target": "z"}, "target names 'z', which is no column.*a and y"),
        ({"a": [1, 2], "y": ["u", "u"]}, {}, "all cells of the target 'y' are 'u'"),
        ({"a": [1, 2], "y": ["u", "v"]}, {}, "2 different classes in 2 rows"),
        ({"a": [1, 2, 3], "y": [None] * 3}, {}, "all cells of the target, 'y', are missing"),
        ({"a": [1, 2], "y": ["u"]}, {}, "equally many rows"),
        ([1, 2], {}, "a table is the path of a CSV"),
        ({"a": ["2024-05-01"] * 8, "y": [0, 1] * 4}, {}, r"holds dates, such as 2024.*drop=\['a'\]"),
        (
            {"a": pandas.to_datetime(["2024-05-01"] * 8), "y": [0, 1] * 4},
            {},
            "holds dates, such as 2024-05-01",
        ),
        ({"a": ["1,5", "2,5"] * 4, "y": [0, 1] * 4}, {}, "numbers with commas, such as '1,5'"),
        ({"a": ["1", "2"] * 19 + ["x", "3"], "y": [0, 1] * 20}, {}, "1 cells such as 'x' too"),
        ({"a": [1, np.inf] * 4, "y": [0, 1] * 4}, {}, "row 1 of the column 'a' is inf"),
        ({"a": [object()] * 8, "y": [0, 1] * 4}, {}, "cells must be numbers, strings or booleans"),
        ({"a": [1, 2] * 4, "y": ["u", "v"] * 4}, {"task": "regression"}, "holds strings, such as 'u'"),
        ({"a": [1, 2] * 4, "y": [0, 1] * 4}, {"drop": "a"}, r"drop must be a list of names, such as"),
        ({"a": [1, 2] * 4, "y": [0, 1] * 4}, {"weight": "y"}, "weight names the target"),
        ({"a": [1, 2] * 4, "y": [0, 1] * 4}, {"valid": 1.5}, "valid must be a number in"),
        ({"a": [1, 2] * 4, "y": [0, 1] * 4}, {"valid": 0.5, "test": 0.5}, "leaves none to train on"),
        ({"a": [1, 2] * 4, "y": [0, 1] * 4}, {"valid": 0.01}, "less than one of 8 rows"),
        ({"a": [1, 2] * 4, "y": [0, 1] * 4}, {"groups": "a", "valid": 0.2, "test": 0.2}, "2 groups, fewer than"),
        ({"a": [1, 2] * 4, "y": [0, 1] * 4}, {"min_count": 0}, "min_count must be"),
        ({"a": [1, 2] * 4, "y": [0.5] * 8}, {}, "nothing to predict"),
    ],
)  # fmt: skip
def test_a_bad_table_is_refused_in_one_sentence(rows, options, message):
    with pytest.raises(ValueError, match=message) as error:
        jn.datasets.table(rows, **({"target": "y", "valid": 0} | options))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"a": [1, 2] * 4, "b": [3] * 8}, "'b' is left out: all its cells are the same"),
        (
            {"a": [1, 2] * 4, "b": list("abcdefgh")},
            "'b' is left out: it has 8 different values in 8",
        ),
        (
            {"a": [1, 2] * 6, "y": [0, 1] * 6, "b": list(range(12))},
            r"'b' increases from row to row.*drop=\['b'\]",
        ),
        ({"a": [1, 2] * 5, "y": [0, 1] * 4 + [None] * 2}, "2 of 10 rows have no 'y'"),
    ],
)
def test_what_is_doubtful_is_said(rows, message):
    with pytest.warns(UserWarning, match=message):
        jn.datasets.table({"y": [0, 1] * 4} | rows, "y", valid=0)


COLUMNS = (Number("age", 40.0, 10.0), Category("town", ("Bern", "Zug")))
ENCODING = Encoding(Target("ill", ("no", "yes")), COLUMNS, ("weight",))


@pytest.mark.parametrize(
    ("rows", "error", "warning"),
    [
        ({"age": [50]}, "no column 'town', an input of the network", None),
        ({"age": ["old"], "town": ["Zug"]}, "row 0 of the column 'age' is 'old'", None),
        ({"age": [50], "town": ["Zug"], "hair": ["red"]}, None, "left out: hair"),
        ({"age": [50], "town": ["Chur"]}, None, "such as 'Chur', did not occur in training"),
        ({"age": [None], "town": ["Zug"]}, None, "its mean stands in"),
        ({"age": [50], "town": [None]}, None, "are missing, though none was in training"),
        ({"age": ["50"], "town": ["Zug"], "ill": ["no"], "weight": [1]}, None, None),
    ],
)
def test_rows_unlike_those_of_training(rows, error, warning):
    if error is not None:
        with pytest.raises(ValueError, match=error):
            ENCODING.inputs(rows)
    elif warning is not None:
        with pytest.warns(UserWarning, match=warning):
            assert np.isfinite(ENCODING.inputs(rows)).all()
    else:
        assert ENCODING.inputs(rows).tolist() == [[1, 0, 1]]


def test_a_damaged_encoding_is_refused():
    described = json.loads(json.dumps(ENCODING.to_json()))
    assert Encoding.from_json(described) == ENCODING
    for damaged in (
        {},
        described | {"columns": [{"kind": "date", "name": "a"}]},
        described | {"target": {}},
    ):
        with pytest.raises(ValueError, match="its encoding"):
            Encoding.from_json(damaged)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,y\n1,0\n2\n", "row 2 has 1 cells, but the header has 2"),
        (b"a,a\n1,0\n", "2 of its columns are called 'a'"),
        (b"a,y\n", "it has no row below its header"),
        (b"a,y\n\xff,1\n", "UTF-8"),
        (b'a,y\n"1,0\n', "its CSV is damaged"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, content, message):
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        jn.datasets.table(tmp_path / "table.csv", "y")
    with pytest.raises(ValueError, match="must end with one of .csv"):
        jn.datasets.table(tmp_path / "table.xls", "y")


@pytest.mark.slow
def test_as_good_as_scikit_learns_pipeline_on_16_seeds():
    frame = _patients(1500)
    data = jn.datasets.table(frame, "ill", valid=0, test=0.4)
    net = jn.Network(
        (data.n_inputs, 16, 2),
        jn.activations.relu,
        jn.costs.LogLikelihood(),
        jn.initializers.glorot,
    )
    study = jn.sweep(
        net, data, jn.Recipe(jn.adam(0.003)), seeds=16, epochs=20, batch_size=32,
        evaluate_on=("test",), metrics={"auc": jn.metrics.roc_auc}, log=None,
    )  # fmt: skip
    ours = study.history.metrics["test_auc"][0, :, -1]
    theirs = []
    for seed in range(16):
        mlp = MLPClassifier(
            (16,), learning_rate_init=0.003, batch_size=32, max_iter=20, alpha=0, random_state=seed,
            tol=0, n_iter_no_change=100,
        )  # fmt: skip
        for _ in range(20):
            mlp.partial_fit(data.train.x, data.train.y, classes=[0, 1])
        theirs.append(roc_auc_score(data.test.y, mlp.predict_proba(data.test.x)[:, 1]))
    difference = ours - np.array(theirs)
    margin = 2.13 * difference.std(ddof=1) / 4  # Student's t at 97.5% with 15 degrees of freedom
    assert abs(difference.mean()) + margin < 0.01


@pytest.mark.slow
def test_folds_keep_groups_together():
    frame = _patients(200)
    frame["patient"] = np.arange(200) // 5
    data = jn.datasets.table(frame, "ill", valid=0, groups="patient")
    groups = np.array(data.groups)
    assert len(groups) == len(data.train.y)
    folds = jn.resampling.k_fold(4, groups=data.groups).folds(data.train)
    tested = np.concatenate([fold.test for fold in folds])
    np.testing.assert_array_equal(np.sort(tested), np.arange(200))
    for fold in folds:
        assert len(fold.test) == 50
        assert not set(groups[fold.train]) & set(groups[fold.test])
    net, recipe = jn.Network((data.n_inputs, 2)), jn.Recipe(jn.sgd(0.1))
    with pytest.warns(UserWarning, match="is scored on others of it, which makes scores too good"):
        jn.cross_validate(net, data, recipe, jn.resampling.k_fold(4), epochs=1)
    with pytest.raises(ValueError, match="groups of k_fold go with neither"):
        jn.resampling.k_fold(4, stratify=True, groups=data.groups)
    with pytest.raises(ValueError, match="groups name 3 rows, but there are 200"):
        jn.resampling.k_fold(2, groups=[1, 2, 3]).folds(data.train)
    with pytest.raises(ValueError, match="2 groups, fewer than the 3 parts"):
        jn.resampling.k_fold(3, groups=[1, 2] * 100).folds(data.train)
    frame.loc[3, "patient"] = np.nan
    with pytest.raises(ValueError, match="row 3 of the column 'patient', of groups, is missing"):
        jn.datasets.table(frame, "ill", groups="patient")


def test_weights_of_classes_go_by_their_names():
    rows = {"a": [0.5, 1.5] * 9, "y": ["cat", "dog", "dog"] * 6}
    weight = jn.datasets.table(rows, "y", valid=0, class_weight={"dog": 3.0}).train.weight
    assert weight.tolist() == [1, 3, 3] * 6
    numbers = rows | {"y": [1, 2, 3] * 6}
    weight = jn.datasets.table(numbers, "y", valid=0, class_weight={2: 9.0}).train.weight
    assert weight.tolist() == [1, 9, 1] * 6
    with pytest.raises(ValueError, match="names class 'cow', but the training labels are cat, dog"):
        jn.datasets.table(rows, "y", valid=0, class_weight={"cow": 3.0})


def test_pixels_are_answered_as_they_are_trained():
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (60, 16)).astype(np.uint8), random.choice(["a", "b"], 60)
    data = jn.datasets.arrays(x, y)
    net = jn.Network((16, 2), cost=jn.costs.LogLikelihood())
    params = jn.init(net, jax.random.key(0))
    answers = data.encoding.predictions(net, params, x)
    np.testing.assert_allclose(answers["p(b)"], jn.predict(net, params, x)[:, 1], atol=1e-6)
    assert len(data.encoding.predictions(net, params, x[0])["p(b)"]) == 1


def test_columns_that_are_not_used_may_hold_anything():
    days = pandas.date_range("2024-05-01", periods=20)
    frame = pandas.DataFrame({"a": [1.5, 2.5] * 10, "y": [0, 1] * 10, "when": days})
    data = jn.datasets.table(frame, "y", valid=0, drop=["when"])
    assert data.encoding.input_names == ["a"]
    assert data.encoding.inputs(frame.head(1)).shape == (1, 1)
    grouped = jn.datasets.table(frame, "y", valid=0.2, groups="when")
    assert len(set(grouped.groups)) == len(grouped.train.y)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"a": [1e300, 1.0] * 6}, "'a' has no standard deviation in float64, with numbers such as"),
        ({"a": [1e-200, 2e-200] * 6}, "'a' has no standard deviation in float64"),
        ({"a": 3}, r"the column 'a' is 3; give a list of cells, such as \[3\] for one row"),
        ({"a": ["2020/01/03", "2021/02/03"] * 6}, "holds dates, such as 2020/01/03"),
        ({"a": ["3 Jan 2020", "4 Feb 2020"] * 6}, "holds dates, such as 3 Jan 2020"),
        ({"a": [1.5, 2.5, "unknown"] * 4}, "4 cells such as 'unknown' too"),
    ],
)
def test_what_has_no_meaning_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        jn.datasets.table(rows | {"y": [0, 1] * 6}, "y", valid=0)


def test_masked_cells_are_missing():
    masked = np.ma.array([1.0, 2.0, 99999.0] * 5, mask=[0, 0, 1] * 5)
    data = jn.datasets.table({"a": masked, "y": [0, 1, 0] * 5}, "y", valid=0)
    assert data.encoding.columns[0] == Number("a", 1.5, 0.5, has_missing=True)


def test_a_number_far_from_training_is_named():
    with pytest.raises(ValueError, match="row 1 of the column 'age' is 1e.300, but in training"):
        ENCODING.inputs({"age": [50, 1e300], "town": ["Zug", "Zug"]})
    rare = Category("town", ("Bern",), rare=("Zug",))
    assert rare.inputs(np.array(["Zug", "Bern"], object)).tolist() == [[0, 1], [1, 0]]
    with pytest.warns(
        UserWarning, match="such as 'Chur', did not occur in training; they are count"
    ):
        assert rare.inputs(np.array(["Chur"], object)).tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="the network has 3 outputs, but the target 'ill' has 2"):
        ENCODING.decode(np.ones((1, 3)))


def test_a_column_of_one_keeps_its_empty_lines(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("x\n1\n\n3\n\n", encoding="utf-8")
    encoding = Encoding(Target("y", (0, 1)), (Number("x", 0.0, 1.0, True),))
    assert encoding.inputs(path).tolist() == [[1, 0], [0, 1], [3, 0]]


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            jn.Network((3, 2)),
            "the network has 3 inputs, but the encoding makes 1 of a row; give the",
        ),
        (
            jn.Network((1, 3)),
            "the network predicts 3 targets, but 'ill' is 2 classes; give the enco",
        ),
    ],
)
def test_an_encoding_is_saved_with_a_network_that_it_fits(net, message, tmp_path):
    table = jn.datasets.table({"age": [1, 2, 3, 4], "ill": ["no", "yes"] * 2}, "ill", valid=0)
    params = jn.init(net, jax.random.key(0))
    with pytest.raises(ValueError, match=message):
        jn.save(tmp_path / "net.safetensors", net, params, encoding=table.encoding)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=message):
        Ensemble((Member(net, params),)).save(tmp_path / "e.safetensors", encoding=table.encoding)
