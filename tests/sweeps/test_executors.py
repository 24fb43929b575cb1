"""Sweeps over several processes: together (SPMD), and by workers that may die."""

import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.io import locks

ROOT = str(Path(__file__).parents[2])
"""Workers unpickle this module's functions by name, as tests.sweeps.test_executors."""
NET = jn.Network((4, 6, 3))
RECIPE = jn.grid(jn.Recipe(jn.sgd(0.1)), learning_rate=np.linspace(0.1, 1, 6))
OPTIONS = {"seeds": 2, "epochs": 3, "batch_size": 6, "log": None}
FOLDS = {"resample": jn.resampling.k_fold(3, valid=0.2), "standardize": True}

DROPPED = jn.Recipe(jn.noisy_sgd(0.1), l2=1.0, dropout=0.3)
OPTIONS_OF_ONE = {"epochs": 3, "batch_size": 6}


def data():
    """What a worker loads by itself."""
    random = np.random.default_rng(0)
    draw = lambda n: jn.Split(random.random((n, 4)).astype(np.float32), random.integers(3, size=n))
    return jn.Dataset(draw(53), draw(20))


def fold_results(study):
    """The curves, scores and best network of a study with folds, as one array."""
    best = study.run(*study.best_lane).best_params
    arrays = jax.tree.leaves((study.history, study.score, study.best_epoch, best))
    return np.concatenate([np.asarray(array, float).ravel() for array in arrays])


PROCESS = """
import sys, jax
jax.distributed.initialize(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
sys.path.insert(0, sys.argv[4])
from jaxnet.training.parallelism import DataParallel
import jaxnet as jn, numpy as np, tests.sweeps.test_executors as t
study = jn.sweep(t.NET, t.data(), t.RECIPE, **t.OPTIONS)
np.save(sys.argv[5], study.history.to_array())
if sys.argv[2] == "4":
    sys.exit()
lane = study.best_lane
assert np.array_equal(study.run(*lane).params[0].w, study.replay(*lane).params[0].w)
run = jn.train(t.NET, t.data(), t.DROPPED, **t.OPTIONS_OF_ONE, devices=jax.devices())
np.savez(sys.argv[5] + ".npz", *jax.tree.leaves((run.params, run.history)))
try:
    jn.train(t.NET, t.data(), t.DROPPED, time_budget=1.0, devices=jax.devices())
except ValueError as error:
    assert "time_budget is for the devices of one process" in str(error)
else:
    sys.exit("a time budget of several clocks was taken")
folder = sys.argv[5].rpartition("/")[0]  # all processes see it, and the first one locks it for all
jn.sweep(t.NET, t.data(), t.RECIPE, folder=folder + "/study", **t.OPTIONS)
options = t.OPTIONS_OF_ONE | {"devices": jax.devices()}
jn.train(t.NET, t.data(), t.DROPPED, checkpoint=folder + "/run", **options)
refused = 0
for call in (
    lambda held: jn.sweep(t.NET, t.data(), t.RECIPE, folder=held, **t.OPTIONS),
    lambda held: jn.train(t.NET, t.data(), t.DROPPED, checkpoint=held, **options),
):
    try:
        call(folder + "/held")
    except ValueError as error:
        message = "could not lock" if jax.process_index() else "is in use by process"
        refused += message in str(error)
assert refused == 2
in_memory = jn.sweep(t.NET, t.data(), t.RECIPE, **t.FOLDS, **t.OPTIONS)
for epochs in (2, 3):  # the second call goes on from what all processes have written
    options = t.OPTIONS | t.FOLDS | {"epochs": epochs, "folder": folder + "/folds"}
    grown = jn.sweep(t.NET, t.data(), t.RECIPE, **options)
np.savez(sys.argv[5] + ".folds.npz", *map(t.fold_results, (in_memory, grown)))
rows = DataParallel(devices=tuple(jax.devices())).split(np.zeros((8, 4)))
assert len(rows.addressable_shards[0].data) == 8 // int(sys.argv[2])
"""


@pytest.mark.parametrize("n", [2, pytest.param(4, marks=pytest.mark.exhaustive)])
def test_processes_share_a_sweep_and_each_returns_it_whole(n, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    files = [tmp_path / f"{process}.npy" for process in range(n)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, address, str(n), str(process), ROOT, str(file)],
            stderr=subprocess.PIPE,
        )
        for process, file in enumerate(files)
    ]
    with locks.locked(tmp_path / "held"):
        for process in processes:
            _, complaints = process.communicate(timeout=180)
            assert process.returncode == 0, complaints.decode()[-2000:]
    assert not list(tmp_path.rglob(".lock*"))
    results = [np.load(file) for file in files]
    for other in results[1:]:
        assert np.array_equal(results[0], other, equal_nan=True)
    alone = jn.sweep(NET, data(), RECIPE, **OPTIONS)
    np.testing.assert_allclose(results[0], alone.history.to_array(), rtol=1e-5)
    if n == 4:
        return
    run = jn.train(NET, data(), DROPPED, **OPTIONS_OF_ONE)
    for file in files:  # and one network, whose mini-batches they share
        for array, other in zip(
            jax.tree.leaves((run.params, run.history)), np.load(f"{file}.npz").values()
        ):
            np.testing.assert_allclose(array, other, rtol=1e-4, atol=1e-6)
    # Each process has the networks of all folds, in memory and in the folder.
    in_memory, grown = zip(*(np.load(f"{file}.folds.npz").values() for file in files))
    for results in (*in_memory[1:], *grown):
        assert np.array_equal(results, in_memory[0], equal_nan=True)
    alone = fold_results(jn.sweep(NET, data(), RECIPE, **FOLDS, **OPTIONS))
    np.testing.assert_allclose(in_memory[0], alone, rtol=1e-4, atol=1e-6)


def test_a_cluster_whose_workers_are_killed_finds_the_same_bits(tmp_path):
    distributed = pytest.importorskip("distributed")
    environment = {"PYTHONPATH": ROOT}

    def swept(folder: Path, kill: bool) -> jn.Study:
        cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
            env=environment,
        )  # fmt: skip
        with cluster, distributed.Client(cluster) as client:
            client.run(lambda: __import__("jaxnet"))

            def killer() -> None:
                while not list((folder / "chunks").glob("*.safetensors")):
                    time.sleep(0.05)
                pid = next(iter(client.run(os.getpid).values()))
                os.kill(pid, 9)

            thread = threading.Thread(target=killer, daemon=True)
            if kill:
                thread.start()
            executor = client.get_executor()
            options = OPTIONS | {"epochs": 40}
            results = jn.sweep(NET, data, RECIPE, executor=executor, folder=folder, **options)
            if kill:
                thread.join(10)
                assert not thread.is_alive()
        return results

    whole, torn = swept(tmp_path / "whole", False), swept(tmp_path / "torn", True)
    for a, b in zip(whole.history.to_array(), torn.history.to_array(), strict=True):
        assert np.array_equal(a, b, equal_nan=True)
    assert (torn.epochs == 40).all()


def test_what_is_no_executor_and_processes_that_would_hang_are_refused():
    with pytest.raises(ValueError, match="executor must be an object with submit, such as"):
        jn.sweep(NET, data, RECIPE, executor=ThreadPoolExecutor, **OPTIONS)
    with (
        ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool,
        pytest.raises(ValueError, match=r"forks its processes.*get_context\(.spawn.\)"),
    ):
        jn.sweep(NET, data, RECIPE, executor=pool, **OPTIONS)
    loky_pool = SimpleNamespace(submit=print, _context=multiprocessing.get_context("fork"))
    with pytest.raises(ValueError, match="forks its processes"):
        jn.sweep(NET, data, RECIPE, executor=loky_pool, **OPTIONS)


def test_a_function_that_returns_other_data_trains_on_them_or_is_refused():
    """Workers keep the data of a sweep, not the first data that a function has ever returned."""
    seeds = [0, 1]
    load = lambda: jn.datasets.xor(n=40, seed=seeds[0])  # the worker is a thread of this process
    net, options = jn.Network((2, 3, 2)), {"epochs": 1, "log": None}
    with ThreadPoolExecutor(1) as pool:
        jn.sweep(net, load, jn.Recipe(jn.sgd(0.5)), executor=pool, **options)
        del seeds[0]
        second = jn.sweep(net, load, jn.Recipe(jn.sgd(0.5)), executor=pool, **options)
        here = jn.sweep(net, load(), jn.Recipe(jn.sgd(0.5)), **options)
        assert np.array_equal(second.history.evaluation_cost, here.history.evaluation_cost)
        seeds[:] = range(10, 99)
        load_another = lambda: jn.datasets.xor(n=40, seed=seeds.pop())
        with pytest.raises(ValueError, match="returned other data in a worker than in the process"):
            jn.sweep(net, load_another, jn.Recipe(jn.sgd(0.5)), executor=pool, **options)
