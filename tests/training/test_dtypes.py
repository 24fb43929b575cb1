"""`dtype=`: the float type of one call, whatever JAX's global switch says."""

import contextlib
import functools
import threading

import jax
import numpy as np
import pytest

import jaxnet as jn

XOR = jn.datasets.xor(n=40)
NET = jn.Network((2, 5, 2))
RECIPE = jn.Recipe(jn.adam(0.5), l2=0.25, dropout=0.25)
train = functools.partial(jn.train, NET, XOR, RECIPE, epochs=2)


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


@pytest.mark.xfail(
    jax.__version_info__ >= (0, 11),
    reason="newer versions of JAX at times call a program of the other thread's type",
    strict=False,
)
def test_threads_compute_in_types_of_their_own():
    alone = {dtype: train(dtype=dtype).params for dtype in ("float32", "float64")}
    barrier, runs = threading.Barrier(2), {}

    def work(dtype):
        barrier.wait()
        runs[dtype] = []
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # which leaves fewer than 3 runs
            for _ in range(3):
                runs[dtype].append(train(dtype=dtype).params)

    threads = [threading.Thread(target=work, args=(dtype,)) for dtype in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for dtype, expected in alone.items():
        assert len(runs[dtype]) == 3
        for params in runs[dtype]:
            _assert_dtype(params, dtype)
            _assert_same_bits(params, expected)
    assert not jax.config.jax_enable_x64


def test_a_run_goes_on_and_is_resumed_in_its_type_alone(tmp_path):
    whole = train(dtype="float64", checkpoint=tmp_path)
    first = jn.train(NET, XOR, RECIPE, epochs=1, dtype="float64")
    second = jn.train(NET, XOR, RECIPE, epochs=1, dtype="float64", state=first.state)
    _assert_same_bits(second.params, whole.params)
    assert jn.train(NET, XOR, RECIPE, epochs=1, state=first.state).state.phase == 1
    with pytest.raises(ValueError, match="dtype was 'float64' and is"):
        train(dtype="float32", resume=tmp_path)
    _assert_same_bits(train(dtype="float64", resume=tmp_path).params, whole.params)


def test_a_compiled_function_has_one_type():
    fit = functools.partial(jn.fit, NET, recipe=RECIPE, epochs=1)
    with pytest.raises(
        ValueError, match=r"fit with dtype='float64' works on the host, .*enable_x64"
    ):
        jax.jit(lambda data: fit(data, dtype="float64"))(XOR)
    with jax.enable_x64(True):
        params, _ = jax.jit(lambda data: fit(data, dtype="float64"))(XOR)
    assert params[0].w.dtype == np.float64
