"""A study's folder is opened without training: it is the study that `sweep` returned."""

import json

import jax
import numpy as np
import optax
import pytest

import jaxnet as jn
from jaxnet.sweeps import executors
from jaxnet.sweeps.call_file import FILE

RANDOM = np.random.default_rng(0)


def _split(n):
    return jn.Split(RANDOM.normal(size=(n, 4)), RANDOM.integers(3, size=n))


DATA = jn.Dataset(_split(47), _split(20), _split(15))
NETS = [jn.Network((4, width, 3), jn.activations.LeakyRelu(0.1)) for width in (3, 6)]
RECIPES = [
    jn.Recipe(jn.sgd([0.1, 0.3, 1.0, 3.0]), l2=0.1),
    jn.Recipe(jn.adam(0.05), stopping=jn.stopping.no_improvement_in(1, metric="loss")),
]
OPTIONS = {"seeds": [3, 7], "epochs": 4, "batch_size": 6, "log": None}
METRICS = {"loss": jn.metrics.log_loss, "f1": jn.metrics.F1(label=1)}
CALLS = {
    "plain": {"batch_size": [6, 8], "examples": [20, 47], "order": "sequential"},
    "halving, metrics and monitors": {
        "successive_halving": 2, "metrics": METRICS, "select_by": "f1",
        "monitors": jn.Monitors(("weight_norm",), every=3), "evaluate_on": ("training", "test"),
    },
    "float64": {"dtype": "float64", "metrics": METRICS},
    "folds": {"resample": jn.resampling.k_fold(3, valid=0.3), "standardize": True},
}  # fmt: skip


def _assert_same(tree, expected):
    assert jax.tree.all(
        jax.tree.map(lambda a, b: np.array_equal(a, b, equal_nan=True), tree, expected)
    )


@pytest.mark.parametrize("name", CALLS)
def test_it_is_the_study_that_the_sweep_returned(name, tmp_path, monkeypatch):
    recipes = RECIPES[0] if name in ("plain", "folds") else RECIPES
    if name.startswith("halving"):
        rule = jn.stopping.no_improvement_in(1, metric="loss", split="training")
        recipes = [RECIPES[0], jn.Recipe(jn.adam(0.05), stopping=rule)]
    nets = NETS if name == "plain" else NETS[0]
    study = jn.sweep(nets, DATA, recipes, folder=tmp_path, **OPTIONS | CALLS[name])
    monkeypatch.setattr(executors, "train_chunk", None)
    opened, with_data = jn.open_study(tmp_path), jn.open_study(str(tmp_path), DATA)
    assert opened.settings == study.settings
    assert opened.axes == study.axes
    for field in ("seeds", "history", "epochs", "best_epoch", "stopped", "score", "saved"):
        _assert_same(getattr(opened, field), getattr(study, field))
    assert (study.stopped.any()) == (name in ("halving, metrics and monitors", "float64"))
    assert opened.plan.lanes == study.epochs.size
    assert repr(opened) == repr(study)
    assert list(map(repr, opened.rows())) == list(map(repr, study.rows()))
    assert repr(opened.leaderboard("cost")) == repr(study.leaderboard("cost"))
    lane = study.best_lane
    assert opened.best_lane == lane
    _assert_same(opened.run(*lane).best_params, study.run(*lane).best_params)
    if name == "folds":  # each fold reads the inputs in its own way
        _assert_same(opened.predict(DATA.valid.x), study.predict(DATA.valid.x))
        _assert_same(with_data.evaluate("test"), study.evaluate("test"))
    if name == "plain":
        _assert_same(with_data.replay(*lane).params, study.params(*lane))
    with pytest.raises(ValueError, match=r"opened without its data.*open_study\(folder, data\)"):
        opened.replay(*lane)
    with pytest.raises(ValueError, match="opened without its data"):
        opened.evaluate("validation")


def test_the_last_call_counts_and_what_is_missing_is_said(tmp_path, monkeypatch):
    jn.sweep(NETS[0], DATA, RECIPES[0], folder=tmp_path, **OPTIONS | {"epochs": 2})
    real, trained = executors.train_chunk, []

    def failing(spec, *args):
        if trained:
            raise RuntimeError("the power is off")
        trained.append(spec)
        return real(spec, *args)

    monkeypatch.setattr(executors, "train_chunk", failing)
    with pytest.raises(RuntimeError, match="power"):
        jn.sweep(NETS, DATA, RECIPES[0], folder=tmp_path, **OPTIONS | {"seeds": 3})
    opened = jn.open_study(tmp_path)
    assert opened.epochs.shape == (8, 3)
    assert opened.history.evaluation_cost.shape == (8, 3, 4)
    assert 0 < (opened.epochs > 0).sum() < 24
    assert opened.interruption is not None
    assert np.isnan(opened.predict(np.zeros(4))).any()


def own_rule(learning_rate):
    """A user's own."""
    return optax.sgd(learning_rate)


@pytest.mark.parametrize("kind", ["function", "trainable", "older", "damaged", "nothing"])
def test_what_cannot_be_opened_is_refused_with_the_remedy(kind, tmp_path):
    recipe = jn.custom(own_rule, learning_rate=0.1) if kind == "function" else jn.sgd(0.1)
    trainable = (False, True) if kind == "trainable" else None
    options = OPTIONS | {"epochs": 1, "trainable": trainable}
    remedy = "make the same call of jaxnet.sweep again, which trains nothing that the folder holds"
    if kind == "nothing":
        remedy = "holds no study; name the folder of a sweep"
    else:
        jn.sweep(NETS[0], DATA, jn.Recipe(recipe), folder=tmp_path, **options)
    if kind == "older":
        (tmp_path / FILE).unlink()
    if kind == "damaged":
        content = (tmp_path / FILE).read_bytes()
        (tmp_path / FILE).write_bytes(content.replace(b"4", b"5"))
    with pytest.raises(ValueError, match=remedy):
        jn.open_study(tmp_path)


def test_other_data_are_refused(tmp_path):
    jn.sweep(NETS[0], DATA, RECIPES[0], folder=tmp_path, **OPTIONS | {"epochs": 1})
    other = DATA._replace(train=DATA.train._replace(x=DATA.train.x + 1))
    with pytest.raises(ValueError, match=r"data are not those .* leave data out"):
        jn.open_study(tmp_path, other)
    header = json.loads((tmp_path / "study.json").read_text())
    (tmp_path / "study.json").write_text(json.dumps(header | {"dtype": "float16"}))
    with pytest.raises(ValueError, match="has the type 'float16'"):
        jn.open_study(tmp_path)
