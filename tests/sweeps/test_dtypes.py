"""`sweep(dtype=)`: the float type of a sweep, whatever JAX's global switch says."""

import functools
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import jax
import numpy as np
import pytest

import jaxnet as jn

XOR = jn.datasets.xor(n=40)
NET = jn.Network((2, 5, 2))
RECIPE = jn.Recipe(jn.adam([0.01, 0.5]), l2=0.25, dropout=0.25)
OPTIONS = {"seeds": 2, "epochs": 2, "log": None}
CURVES = ("evaluation_cost", "evaluation_accuracy", "evaluation_data_cost")
TYPES = ("float32", "float64")


def _sweep(dtype, **options):
    return jn.sweep(NET, XOR, RECIPE, dtype=dtype, **(OPTIONS | options))


def _assert_same_bits(tree, expected):
    jax.tree.map(np.testing.assert_array_equal, tree, expected)


def _dtypes(tree):
    return {str(leaf.dtype) for leaf in jax.tree.leaves(tree)}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("in_folder", [False, True], ids=["memory", "folder"])
def test_a_sweep_computes_as_with_the_global_switch(dtype, in_folder, tmp_path):
    folder = tmp_path / "study" if in_folder else None
    with jax.enable_x64(dtype == "float64"):
        # Numbers that were made in float32, as the recipe of the other call is.
        recipe = jax.tree.map(lambda numbers: numbers.astype(dtype), RECIPE)
        expected = jn.sweep(NET, XOR, recipe, **OPTIONS)
        params = expected.run(1, 1).best_params
    with jax.enable_x64(dtype == "float32"):  # the other switch
        study = _sweep(dtype, folder=folder)
        run, again, alone = study.run(1, 1), study.replay(1, 1), study.replay(1, 1, alone=True)
        solo = jn.train(NET, XOR, study.settings[1].recipe, epochs=2, seed=1, dtype=dtype)
    _assert_same_bits(study.history, expected.history)
    _assert_same_bits((run.best_params, again.best_params), (params, params))
    _assert_same_bits((alone.params, alone.history.evaluation_cost), (solo.params, solo.history[0]))
    assert _dtypes((study.history, run.params, again.params, alone.params)) == {dtype}
    tolerance = 1e-4 if dtype == "float32" else 1e-9
    for name in CURVES:
        lane = getattr(study.history, name)[1, 1]
        np.testing.assert_allclose(lane, getattr(solo.history, name), rtol=tolerance)
    for layer, solo_layer in zip(study.params(1, 1), solo.params, strict=True):
        np.testing.assert_allclose(layer.w, solo_layer.w, rtol=100 * tolerance, atol=tolerance)


def test_a_folder_has_one_type_and_older_ones_have_jaxs_default(tmp_path):
    jn.sweep(NET, XOR, RECIPE, folder=tmp_path / "default", **(OPTIONS | {"epochs": 1}))
    named = _sweep("float32", folder=tmp_path / "default")
    headers = [json.loads((tmp_path / "default" / "study.json").read_text())]
    _assert_same_bits(named.history, jn.sweep(NET, XOR, RECIPE, **OPTIONS).history)
    with pytest.raises(ValueError, match=r"holds another study: dtype was 'float32' and is"):
        _sweep("float64", folder=tmp_path / "default")
    _sweep("float64", folder=tmp_path / "double", epochs=1)
    headers.append(json.loads((tmp_path / "double" / "study.json").read_text()))
    grown = _sweep("float64", folder=tmp_path / "double")
    _assert_same_bits(grown.history, _sweep("float64").history)
    assert [header["dtype"] for header in headers] == list(TYPES)
    assert headers[0].keys() == headers[1].keys()


def test_sweeps_of_both_types_at_once_and_their_workers_compute_in_their_own():
    with ThreadPoolExecutor(2) as callers, ThreadPoolExecutor(2) as workers:
        for executor in (None, workers):  # whose programs have different sizes
            expected = {dtype: _sweep(dtype, executor=executor) for dtype in TYPES}
            studies = callers.map(functools.partial(_sweep, executor=executor), TYPES)
            for study, dtype in zip(studies, TYPES, strict=True):
                assert _dtypes(study.history) == _dtypes(study.run(0, 0).params) == {dtype}
                _assert_same_bits(study.history, expected[dtype].history)


def test_an_executors_processes_compute_in_the_sweeps_type():
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for dtype in TYPES:  # one worker has both in turn
            study = _sweep(dtype, executor=pool, epochs=1)
            tolerance = 1e-5 if dtype == "float32" else 1e-13  # its programs are optimized
            cost = _sweep(dtype, epochs=1).history.evaluation_cost
            np.testing.assert_allclose(study.history.evaluation_cost, cost, rtol=tolerance)
            assert _dtypes((study.history, study.run(1, 0).params)) == {dtype}


def test_a_float64_lane_takes_twice_the_memory():
    narrow, wide = (_sweep(dtype, epochs=1).plan for dtype in TYPES)
    assert 1.5 * narrow.bytes < wide.bytes < 2.5 * narrow.bytes


def test_folds_weights_and_predictions_are_of_the_type():
    for dtype in TYPES:
        result = jn.cross_validate(
            NET, XOR, jn.Recipe(jn.adam(0.05)), jn.resampling.k_fold(2), epochs=1,
            standardize=True, dtype=dtype,
        )  # fmt: skip
        assert _dtypes(result.study.history) == {dtype}
        fold = result.study.source.folds[0]
        rows = fold.fold.test
        with jax.enable_x64(dtype == "float64"):
            params = result.study.run(0, 0, 0).best_params
            predicted = jn.predict(NET, params, fold.standardized(XOR.train.x[rows]))
        _assert_same_bits(result.predictions[rows], np.asarray(predicted, float))
