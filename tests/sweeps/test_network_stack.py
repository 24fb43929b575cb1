"""Outputs and scores of all networks of a study, against a loop over them in NumPy."""

import dataclasses

import jax
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.sweeps import network_stack

RANDOM = np.random.default_rng(0)


def _split(n):
    return jn.Split(RANDOM.normal(2.0, 3.0, (n, 4)), RANDOM.integers(3, size=n), RANDOM.random(n))


DATA = jn.Dataset(_split(47), _split(20), _split(15))
RELU = jn.activations.relu
NETS = [
    jn.Network((4, 5, 3), RELU, jn.costs.LogLikelihood()),
    jn.Network((4, 6, 4, 3), (RELU, jn.activations.tanh), jn.costs.LogLikelihood()),
]
RECIPE = jn.Recipe(jn.sgd([0.05, 0.2, 0.5]))
OPTIONS = {"seeds": 2, "epochs": 3, "batch_size": 6, "log": None}
METRICS = {"auc": jn.metrics.roc_auc, "loss": jn.metrics.log_loss}


def _outputs(net, params, x):
    """A forward pass by hand."""
    functions = {RELU: lambda z: np.maximum(z, 0), jn.activations.tanh: np.tanh}
    for layer, activation in zip(params, net.activations):
        x = functions[activation](x @ layer.w + layer.b)
    z = x @ params[-1].w + params[-1].b
    exponentials = np.exp(z - z.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def study():
    with jax.enable_x64(True):
        yield jn.sweep(NETS, DATA, RECIPE, metrics=METRICS, examples=[20, 47], **OPTIONS)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("most_bytes", [network_stack.MOST_BYTES, 1, 20_000])
def test_predictions_are_those_of_each_network(study, most_bytes, monkeypatch):
    monkeypatch.setattr(network_stack, "MOST_BYTES", most_bytes)
    x = RANDOM.normal(size=(11, 4))
    outputs = study.predict(x)
    assert outputs.shape == (12, 2, 11, 3)
    for lane in np.ndindex(12, 2):
        net = study.settings[lane[0]].network
        expected = _outputs(net, study.best_params(*lane), x)
        np.testing.assert_allclose(outputs[lane], expected, 1e-9, 1e-12)
    np.testing.assert_allclose(study.predict(x[3]), outputs[:, :, 3], 1e-9, 1e-12)
    with pytest.raises(ValueError, match="x has shape"):
        study.predict(np.zeros((5, 7)))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["training", "validation", "test"])
def test_scores_are_those_of_each_network(study, name):
    scores = study.evaluate(name)
    by_hand = {"validation": DATA.valid, "test": DATA.test}.get(name, DATA.train)
    assert by_hand is not None
    for lane in np.ndindex(12, 2):
        setting = study.settings[lane[0]]
        split = by_hand if name != "training" else by_hand.take(slice(setting.examples))
        params = study.best_params(*lane)
        alone = jn.evaluate(setting.network, params, split, metrics=METRICS)
        np.testing.assert_allclose(scores.cost[lane], alone.cost, 1e-9)
        np.testing.assert_allclose(scores.accuracy[lane], alone.accuracy, 1e-9)
        for metric in METRICS:
            np.testing.assert_allclose(scores.metrics[metric][lane], alone.metrics[metric], 1e-9)
        chosen = _outputs(setting.network, params, split.x).argmax(axis=1)
        hits = np.average(chosen == split.y, weights=split.weight)
        np.testing.assert_allclose(scores.accuracy[lane], hits, 1e-9)
    if name == "validation":
        np.testing.assert_allclose(scores.accuracy, study.score, 1e-9)
    if name != "training":
        again = study.evaluate(by_hand)
        np.testing.assert_array_equal(again.cost, scores.cost)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("standardize", [False, True])
def test_each_fold_reads_inputs_and_rows_as_in_training(standardize):
    folds = jn.resampling.k_fold(3, valid=0.2)
    options = OPTIONS | {"resample": folds, "standardize": standardize}
    study = jn.sweep(NETS[0], DATA, RECIPE, **options)
    np.testing.assert_allclose(study.evaluate("test").accuracy, study.score, 1e-9)
    outputs, scores = study.predict(DATA.test.x), study.evaluate(DATA.test)
    valid = study.evaluate("validation")
    assert outputs.shape == (3, 2, 3, 15, 3)
    for lane in ((0, 0, 0), (2, 1, 1), (1, 0, 2)):
        _, seed, fold = lane
        own = study.source.folds[3 * seed + fold]
        rows = own.fold.train
        mean = DATA.train.x[rows].mean(axis=0) if standardize else 0
        deviation = DATA.train.x[rows].std(axis=0) if standardize else 1
        x = (DATA.test.x - mean) / deviation
        expected = _outputs(NETS[0], study.best_params(*lane), x)
        np.testing.assert_allclose(outputs[lane], expected, 1e-9, 1e-12)
        hits = np.average(expected.argmax(axis=1) == DATA.test.y, weights=DATA.test.weight)
        np.testing.assert_allclose(scores.accuracy[lane], hits, 1e-9)
        run = study.run(*lane)
        cost = run.history.evaluation_data_cost[run.best_epoch - 1]
        np.testing.assert_allclose(valid.cost[lane], cost, 1e-9)


def test_networks_that_were_not_started_have_nan(study):
    rows = {lane: row for lane, row in study.source.row_by_lane.items() if lane[0] != 4}
    source = dataclasses.replace(study.source, row_by_lane=rows)
    interrupted = study._replace(source=source)
    outputs, scores = interrupted.predict(np.zeros(4)), interrupted.evaluate(DATA.test)
    for array in (outputs, scores.cost, scores.accuracy, scores.metrics["auc"]):
        assert np.isnan(array[4]).all()
        assert np.isfinite(np.delete(array, 4, axis=0)).all()


def test_a_split_that_there_is_not_is_refused(study):
    without = study._replace(source=dataclasses.replace(study.source, test=None))
    with pytest.raises(ValueError, match="split is 'test', but the study's data has none"):
        without.evaluate("test")
