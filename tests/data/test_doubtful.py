import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(256, size=(40, 16)).astype(np.uint8)
LABELS = np.arange(40) % 4
NET = jn.Network((16, 4))
RECIPE = jn.Recipe(jn.sgd(0.1))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (PIXELS.astype(np.float32), LABELS, r"reach 255, and floats are used as.*divide pixels by"),
        (PIXELS.astype(int), LABELS, "reach 255, and floats are used as they are; divide pixels"),
        (PIXELS.tolist(), LABELS, "reach 255, and floats are used as they are; divide pixels"),
        (PIXELS * 100.0, LABELS, r"reach 25500, and floats are used as they are; standardize them"),
        (PIXELS - 300.0, LABELS, r"reach 300, and floats are used as they are; standardize them"),
        (
            PIXELS % 17,
            LABELS,
            "divided by 255, as pixels are, but these reach only 16; if they are",
        ),
        (PIXELS % 2, LABELS, "but these reach only 1; if they are no pixels, pass x.astype"),
        (PIXELS[:, :5], LABELS, "but these have only 5 columns; if they are no pixels"),
        (
            PIXELS,
            LABELS * 0 + 2,
            "all 40 training labels are 2, so that a network learns to answer",
        ),
    ],
)
def test_doubtful_training_data_are_accepted_with_a_warning(x, y, message):
    with pytest.warns(UserWarning, match=message) as caught:
        data = jn.datasets.arrays(x, y)
    assert [str(warning.message)[:12] for warning in caught] == ["the arrays: "]
    assert caught[0].category is UserWarning
    assert np.array_equal(data.train.x, np.asarray(x))


def test_labels_that_no_training_example_has_are_named():
    rest = LABELS != 3
    with pytest.warns(
        UserWarning, match="10 of 40 validation labels, such as 3, are of classes th"
    ):
        jn.datasets.arrays(PIXELS[rest], LABELS[rest], valid=(PIXELS, LABELS))
    with pytest.warns(UserWarning, match="10 of 40 test labels, such as 3, are of classes that no"):
        jn.datasets.arrays(PIXELS[rest], LABELS[rest], test=(PIXELS, LABELS))


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (PIXELS, LABELS),
        (PIXELS / 255, LABELS),
        (RANDOM.standard_normal((40, 3)) * 20, LABELS),
        (np.zeros((40, 16), np.uint8), LABELS),
        (PIXELS / 255, LABELS[:, None] / 4),
        (PIXELS[:1], LABELS[:1]),
    ],
)
def test_ordinary_data_are_accepted_in_silence(x, y):
    jn.datasets.arrays(x, y)  # a warning would be an error


@pytest.mark.slow
def test_each_array_is_named_once_however_it_comes():
    data = jn.Dataset(jn.Split(PIXELS.astype(np.float32), LABELS))
    sweep = lambda data: jn.sweep(NET, data, RECIPE, epochs=1, log=None)
    fit = lambda data: jn.fit(NET, data, RECIPE, epochs=1)
    for call in (sweep, fit, lambda data: jn.train(NET, data, RECIPE, epochs=1)):
        fresh = jn.Dataset(jn.Split(data.train.x.copy(), LABELS))
        with pytest.warns(UserWarning, match="^the data: training inputs reach 255") as caught:
            call(fresh)
        assert len(caught) == 1
        call(fresh)  # a warning would be an error
    jax.jit(fit)(data)  # traced numbers are not known


def test_a_jax_array_is_examined_too():
    with pytest.warns(UserWarning, match="reach 255"):
        jn.datasets.arrays(jnp.asarray(PIXELS, float), LABELS)


@pytest.mark.slow
def test_the_warning_points_at_the_callers_line(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, jaxnet as jn\n"
        "data = jn.Dataset(jn.Split(np.full((4, 2), 255.0), np.array([0, 1, 0, 1])))\n"
        "jn.train(jn.Network((2, 2)), data, jn.Recipe(jn.sgd(0.1)), batch_size=2)\n"
        "jn.datasets.arrays(np.full((4, 2), 255.0), [0, 1, 0, 1])\n"
    )
    process = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    lines = [line for line in process.stderr.splitlines() if "UserWarning" in line]
    places = [line.partition(" UserWarning: ")[0] for line in lines]
    assert places == [f"{script}:3:", f"{script}:4:"]


ORDERED = np.repeat([2, 0, 1], 10)  # the examples of each class together


def _write(path, y, **more):
    np.savez(path, x_train=RANDOM.random((len(y), 3)), y_train=y, **more)
    return path


def test_an_archive_in_order_of_classes_is_validated_on_all_of_them(tmp_path):
    path = _write(tmp_path / "ordered.npz", ORDERED)
    with pytest.warns(
        UserWarning, match=r"ordered\.npz: the examples are in order of their .* la"
    ) as w:
        data = jn.datasets.npz(path, n_valid=9)
    assert "the last 9 would be of 1 of 3 classes; random ones validate instead" in str(
        w[0].message
    )
    assert set(data.valid.y) == {0, 1, 2}
    assert (len(data.train.y), len(data.valid.y)) == (21, 9)
    with np.load(path) as archive:
        rows = np.concatenate([data.train.x, data.valid.x]).tolist()
        assert sorted(rows) == sorted(archive["x_train"].tolist())  # each example once
        pairs = dict(zip(map(tuple, archive["x_train"].tolist()), ORDERED.tolist(), strict=True))
    for split in (data.train, data.valid):
        assert [pairs[tuple(row)] for row in split.x.tolist()] == split.y.tolist()
    with pytest.warns(UserWarning, match="in order of their classes"):
        again = jn.datasets.npz(path, n_valid=9)
    assert jn.datasets.sha256(again) == jn.datasets.sha256(data)


@pytest.mark.parametrize(
    "y",
    [
        RANDOM.permutation(ORDERED),  # in no order
        np.arange(30) % 3,
        np.arange(30) / 30,  # a regression
        np.array([0, 0, 1, 1]),  # a few, which chance may have put in order
    ],
)
def test_other_archives_are_validated_on_their_last_examples(tmp_path, y):
    path = _write(tmp_path / "data.npz", y)
    with warnings.catch_warnings():
        if len(y) == 4:
            warnings.simplefilter("ignore")
        data = jn.datasets.npz(path, n_valid=2)
    with np.load(path) as archive:
        assert np.array_equal(data.valid.x, archive["x_train"][-2:])


def test_an_archive_with_a_validation_set_of_its_own_keeps_its_order(tmp_path):
    path = _write(tmp_path / "data.npz", ORDERED, x_valid=np.zeros((2, 3)), y_valid=[0, 1])
    assert np.array_equal(jn.datasets.npz(path).train.y, ORDERED)
