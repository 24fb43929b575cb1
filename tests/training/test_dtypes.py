"""`dtype=`: the float type of one call, whatever JAX's global switch says."""

import contextlib
import functools
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.training.evaluation import by_example

XOR = jn.datasets.xor(n=40)
NET = jn.Network((2, 5, 2))
RECIPE = jn.Recipe(jn.adam(0.5), l2=0.25, dropout=0.25)
train = functools.partial(jn.train, NET, XOR, RECIPE, epochs=2)
N_RUNS_OF_THREAD = 50


def _assert_dtype(tree, dtype):
    for leaf in jax.tree.leaves(tree):
        assert isinstance(leaf, np.ndarray)
        assert leaf.dtype in (dtype, np.int32, np.int64, np.bool_)


def _assert_same_bits(tree, expected):
    jax.tree.map(np.testing.assert_array_equal, tree, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_call_computes_as_with_the_global_switch(dtype):
    with jax.enable_x64(dtype == "float64"):
        # Numbers that were made in float32, as the recipe of the other call is.
        recipe = jax.tree.map(lambda number: number.astype(dtype), RECIPE)
        expected = jn.train(NET, XOR, recipe, epochs=2)
    with jax.enable_x64(dtype == "float32"):  # the other switch
        reports = []
        run = train(dtype=dtype, on_epoch=reports.append)
        params, history = jn.fit(NET, XOR, RECIPE, epochs=2, dtype=dtype)
    for tree in (run.params, run.best_params, run.initial_params, run.state.train.opt_state):
        _assert_dtype(tree, dtype)
    _assert_dtype((params, *history, *run.history, reports[0].params), dtype)
    _assert_same_bits(run.params, expected.params)
    _assert_same_bits(run.history, expected.history)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(params[0].w, run.params[0].w, rtol=tolerance)


def test_threads_compute_in_types_of_their_own():
    """Threads that share the arrays of data, parameters and recipe, and switch often."""
    start = jn.init(NET, jax.random.key(1))
    start = tuple(jn.Layer(*(np.asarray(array, np.float64) for array in layer)) for layer in start)
    train_shared = lambda dtype: train(dtype=dtype, params=start).params
    alone = {dtype: train_shared(dtype) for dtype in ("float32", "float64")}
    barrier, runs = threading.Barrier(2), {dtype: [] for dtype in alone}

    def work(dtype):
        barrier.wait()
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # which leaves fewer runs
            for _ in range(N_RUNS_OF_THREAD):
                runs[dtype].append(train_shared(dtype))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(len(alone)) as pool:
            list(pool.map(work, alone))
    finally:
        sys.setswitchinterval(interval)
    for dtype, expected in alone.items():
        assert len(runs[dtype]) == N_RUNS_OF_THREAD
        for params in runs[dtype]:
            _assert_dtype(params, dtype)
            _assert_same_bits(params, expected)
    assert XOR.train.x.dtype == np.float64  # which JAX casts in the other thread
    assert not jax.config.jax_enable_x64


def test_a_run_goes_on_and_is_resumed_in_its_type_alone(tmp_path):
    whole = train(dtype="float64", checkpoint=tmp_path)
    first = jn.train(NET, XOR, RECIPE, epochs=1, dtype="float64")
    second = jn.train(NET, XOR, RECIPE, epochs=1, dtype="float64", state=first.state)
    _assert_same_bits(second.params, whole.params)
    next_phase = jn.train(NET, XOR, RECIPE, epochs=1, dtype="float32", state=first.state)
    assert next_phase.state.phase == 1
    _assert_dtype(next_phase.params, "float32")
    with pytest.raises(ValueError, match="dtype was 'float64' and is"):
        train(dtype="float32", resume=tmp_path)
    _assert_same_bits(train(dtype="float64", resume=tmp_path).params, whole.params)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_goes_on_in_the_type_of_its_state_if_none_is_given(dtype):
    whole = train(dtype=dtype)
    first = jn.train(NET, XOR, RECIPE, epochs=1, dtype=dtype)
    with jax.enable_x64(dtype == "float32"):  # the other switch
        second = jn.train(NET, XOR, RECIPE, epochs=1, state=first.state)
    assert (second.state.phase, second.state.epochs) == (0, 2)
    _assert_dtype((second.params, second.best_params, second.state.train.opt_state), dtype)
    _assert_same_bits(second.params, whole.params)
    tuned = jn.train(NET, XOR, jn.Recipe(jn.sgd(0.5)), epochs=1, state=first.state)
    assert tuned.state.phase == 1
    assert tuned.params[0].w.dtype == dtype


def test_a_compiled_function_has_one_type():
    fit = functools.partial(jn.fit, NET, recipe=RECIPE, epochs=1)
    with pytest.raises(
        ValueError, match=r"fit with dtype='float64' works on the host, .*enable_x64"
    ):
        jax.jit(lambda data: fit(data, dtype="float64"))(XOR)
    with jax.enable_x64(True):
        params, _ = jax.jit(lambda data: fit(data, dtype="float64"))(XOR)
    assert params[0].w.dtype == np.float64


@pytest.mark.filterwarnings("error")
def test_a_network_is_evaluated_in_its_own_type():
    """Float64 parameters are not rounded where JAX's default is float32: against NumPy."""
    rng = np.random.default_rng(0)
    params = tuple(
        jn.Layer(rng.standard_normal(pair), rng.standard_normal(pair[1]))
        for pair in [(2, 5), (5, 2)]
    )
    x, y = XOR.train.x, XOR.train.y
    hidden = 1 / (1 + np.exp(-(x @ params[0].w + params[0].b)))
    z = hidden @ params[1].w + params[1].b
    a = 1 / (1 + np.exp(-z))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-13)
    logits, outputs = jn.logits(NET, params, x), jn.predict(NET, params, x)
    cost, accuracy = jn.evaluate(NET, params, XOR.train, l2=0.25)
    _assert_dtype((logits, outputs, cost, accuracy, jn.predict(NET, params, x[0])), "float64")
    close(logits, z)
    close(outputs, a)
    close(jn.predict(NET, params, x[0]), a[0])
    one_hot = np.eye(2)[y]
    costs = -np.sum(one_hot * np.log(a) + (1 - one_hot) * np.log(1 - a), axis=1)
    penalty = 0.25 / (2 * len(x)) * sum(np.sum(layer.w**2) for layer in params)
    close(cost, np.mean(costs) + penalty)
    assert accuracy == np.mean(a.argmax(axis=1) == y)
    close(by_example(NET, params, XOR.train)[0], costs)
    hits = [[np.sum((y == i) & (a.argmax(axis=1) == j)) for j in (0, 1)] for i in (0, 1)]
    np.testing.assert_array_equal(jn.confusion(NET, params, XOR.train), hits)


@pytest.mark.filterwarnings("error")
def test_a_compiled_prediction_has_the_default_type():
    params = jax.tree.map(
        lambda array: np.asarray(array, np.float64), jn.init(NET, jax.random.key(0))
    )
    x = XOR.train.x
    expected = jn.predict(NET, params, x)
    predict = functools.partial(jn.predict, NET)
    for outputs in (
        jax.jit(functools.partial(predict, params))(x),
        jax.jit(lambda: predict(params, x))(),
        jax.jit(predict)(params, x),
        jax.vmap(functools.partial(predict, params))(x),
    ):
        assert outputs.dtype == np.float32
        np.testing.assert_allclose(outputs, expected, rtol=1e-5)
