"""Ensembles, against means over their members in NumPy, and their files."""

import jax
import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

import jaxnet as jn
from jaxnet.io import files
from jaxnet.sweeps.ensemble import Member

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(2.0, 3.0, (70, 4))
LABELS = (X[:, 0] > 2).astype(int) + (X[:, 1] > 4)
WEIGHT = RANDOM.random(70)
TEST = jn.Split(X[50:], LABELS[50:], WEIGHT[50:])
DATA = jn.Dataset(jn.Split(X[:35], LABELS[:35]), jn.Split(X[35:50], LABELS[35:50]), TEST)
NETS = [
    jn.Network((4, width, 3), jn.activations.relu, jn.costs.LogLikelihood(2.0)) for width in (4, 6)
]
RECIPE = jn.Recipe(jn.adam([0.001, 0.01, 0.05]))
OPTIONS = {"seeds": 3, "epochs": 4, "batch_size": 6, "log": None}


@pytest.fixture(scope="module")
def study():
    with jax.enable_x64(True):
        yield jn.sweep(NETS, DATA, RECIPE, **OPTIONS)


def test_the_members_are_the_best_networks(study):
    ensemble = study.ensemble(top=5)
    assert len(ensemble) == 5
    threshold = np.sort(study.score.ravel())[-5]
    outputs = study.predict(TEST.x)
    chosen = ensemble.predict_all(TEST.x)
    assert chosen.shape == (5, 20, 3)
    for member in chosen:
        lanes = np.argwhere(np.isclose(outputs, member, rtol=1e-9).all(axis=(2, 3)))
        assert any(study.score[tuple(lane)] >= threshold for lane in lanes)
    np.testing.assert_allclose(ensemble.predict(TEST.x), chosen.mean(axis=0), 1e-12)
    np.testing.assert_allclose(ensemble.spread(TEST.x), chosen.std(axis=0), 1e-9, 1e-15)
    np.testing.assert_allclose(ensemble.predict(TEST.x[3]), chosen.mean(axis=0)[3], 1e-12)
    first = ensemble.members[0]
    best = np.unravel_index(study.score.argmax(), study.score.shape)
    jax.tree.map(np.testing.assert_array_equal, first.params, study.best_params(*map(int, best)))


def test_where_chooses_settings_and_top_is_at_most_all(study):
    ensemble = study.ensemble(top=99, where=lambda setting: setting.network == NETS[1])
    assert len(ensemble) == 9
    assert {member.network for member in ensemble.members} == {NETS[1]}
    with pytest.raises(ValueError, match="where allows none of the 6 settings"):
        study.ensemble(where=lambda setting: False)
    with pytest.raises(ValueError, match="top must be a whole number of at least 1"):
        study.ensemble(top=0)


@pytest.mark.usefixtures("x64")
def test_its_scores_are_those_of_the_mean_outputs(study):
    ensemble = study.ensemble(top=6)
    means = ensemble.predict(TEST.x)
    scores = ensemble.evaluate(TEST, metrics={"auc": jn.metrics.roc_auc})
    weights = np.asarray(TEST.weight)
    cost = log_loss(TEST.y, means, sample_weight=weights)
    np.testing.assert_allclose(scores.cost, cost, 1e-9)
    hits = np.average(means.argmax(axis=1) == TEST.y, weights=weights)
    np.testing.assert_allclose(scores.accuracy, hits, 1e-9)
    auc = roc_auc_score(TEST.y, means, multi_class="ovr", sample_weight=weights)
    np.testing.assert_allclose(scores.metrics["auc"], auc, 1e-9)


def _by_hand(name, a, y):
    """The mean cost of output activations."""
    if name == "cross-entropy":
        return -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a), axis=1).mean()
    if name == "poisson":
        return np.sum(a - y * np.log(a), axis=1).mean()
    return np.sum((a - y) ** 2, axis=1).mean() / 2


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("name", "cost"),
    [
        ("cross-entropy", jn.costs.CrossEntropy()),
        ("quadratic", jn.costs.Quadratic()),
        ("quadratic", jn.costs.Quadratic(jn.activations.linear)),
        ("poisson", jn.costs.Poisson()),
        ("quadratic", jn.costs.Quadratic(jn.activations.tanh)),
    ],
    ids=["cross-entropy", "sigmoid", "linear", "poisson", "tanh"],
)
def test_the_cost_of_mean_outputs(name, cost):
    net = jn.Network((4, 5, 2), cost=cost)
    members = tuple(Member(net, jn.init(net, jax.random.key(seed))) for seed in range(3))
    ensemble, y = jn.Ensemble(members), RANDOM.integers(2, size=(20, 2)).astype(float)
    split = jn.Split(TEST.x, y)
    if net.cost.output == jn.activations.tanh:
        with pytest.raises(ValueError, match="not known for the output activation"):
            ensemble.evaluate(split)
        return
    by_hand = _by_hand(name, ensemble.predict(TEST.x), y)
    np.testing.assert_allclose(ensemble.evaluate(split).cost, by_hand, 1e-9)
    alone = jn.Ensemble(members[:1]).evaluate(split)
    np.testing.assert_allclose(alone.cost, jn.evaluate(net, members[0].params, split).cost, 1e-9)


@pytest.mark.parametrize("standardize", [False, True])
def test_a_file_holds_it_to_the_bit(study, standardize, tmp_path):
    if standardize:
        folds = jn.resampling.k_fold(2)
        study = jn.sweep(NETS, DATA, RECIPE, resample=folds, standardize=True, **OPTIONS)
    ensemble, path = study.ensemble(top=7), tmp_path / "e.safetensors"
    assert all((member.shift is not None) == standardize for member in ensemble.members)
    ensemble.save(path)
    with jax.enable_x64(True):
        loaded = jn.Ensemble.load(path)
        assert [member.network for member in loaded.members] == [
            member.network for member in ensemble.members
        ]
        np.testing.assert_array_equal(loaded.predict_all(X), ensemble.predict_all(X))
    assert repr(loaded) == repr(ensemble)
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    with pytest.raises(ValueError, match=r"is not an ensemble.*SHA-256"):
        jn.Ensemble.load(path)


def test_files_and_members_that_do_not_fit_are_refused(study, tmp_path):
    ensemble = study.ensemble(top=1)
    with pytest.raises(ValueError, match=r"path must end with \.safetensors"):
        ensemble.save(tmp_path / "e.json")
    jn.save(tmp_path / "net.safetensors", NETS[0], study.params(0, 0))
    with pytest.raises(ValueError, match="is not an ensemble: it is a network"):
        jn.Ensemble.load(tmp_path / "net.safetensors")
    files.write_sealed(
        tmp_path / "lost.safetensors", "ensemble", 1, {}, {"networks": [], "members": [0]}
    )
    with pytest.raises(ValueError, match="is not an ensemble"):
        jn.Ensemble.load(tmp_path / "lost.safetensors")
    other = jn.Network((4, 2))
    with pytest.raises(ValueError, match="members must be a tuple of at least one"):
        jn.Ensemble(())
    with pytest.raises(ValueError, match="different numbers of inputs and outputs"):
        jn.Ensemble((*ensemble.members, Member(other, jn.init(other, jax.random.key(0)))))
    costs = jn.Network((4, 6, 3))
    mixed = jn.Ensemble((*ensemble.members, Member(costs, jn.init(costs, jax.random.key(0)))))
    with pytest.raises(ValueError, match="different costs"):
        mixed.evaluate(TEST)
