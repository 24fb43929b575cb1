import csv
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import monitoring

import jaxnet as jn
from jaxnet.io import files, reading
from jaxnet.sweeps import chunk_sizes, executors, planning
from jaxnet.sweeps.halving import epochs_of_rungs
from jaxnet.sweeps.recipe_batch import RecipeBatch

RANDOM = np.random.default_rng(0)
DATA = jn.Dataset(
    jn.Split(RANDOM.random((53, 4)).astype(np.float32), RANDOM.integers(3, size=53)),
    jn.Split(RANDOM.random((20, 4)).astype(np.float32), RANDOM.integers(3, size=20)),
)
NET = jn.Network((4, 6, 3))
RECIPE = jn.grid(jn.Recipe(jn.momentum(0.1)), learning_rate=[0.1, 1.0, 3.0], decay=[0.0, 0.9])
OPTIONS = {"epochs": 3, "batch_size": 6, "log": None}


def data():
    """What a worker process loads by itself."""
    return DATA


def data_as_people_bring_it():
    """The same data in other types, as a worker loads them."""
    train, valid = DATA.train, DATA.valid
    return jn.Dataset(
        jn.Split(train.x.astype(">f8").tolist(), train.y[:, None].astype(float)),
        jn.Split(valid.x, np.eye(3)[valid.y]),
    )


@pytest.mark.parametrize("by_workers", [False, True])
def test_a_sweep_converts_what_people_bring(by_workers):
    options = {"seeds": 2, "epochs": 2, "batch_size": 6, "log": None}
    expected = jn.sweep(NET, DATA, jn.Recipe(jn.sgd(0.1)), **options)
    with ThreadPoolExecutor(1) as executor:
        study = jn.sweep(
            NET,
            data_as_people_bring_it if by_workers else data_as_people_bring_it(),
            jn.Recipe(jn.sgd(0.1)),
            executor=executor if by_workers else None,
            **options,
        )
    for curve, expected_curve in zip(
        study.history.to_array(), expected.history.to_array(), strict=True
    ):
        np.testing.assert_array_equal(curve, expected_curve)
    assert np.isfinite(study.history.evaluation_accuracy).all()


def _named_f(slope):
    """Networks whose activations only seem to be the same: one code that reads another global."""
    f = eval("lambda z: slope * z", {"slope": slope})
    return jn.Network((4, 6, 3), jn.activations.Elementwise("f", f, f))


def _same(single, other):
    assert single.settings[0]._replace(recipe=None) == other.settings[0]._replace(recipe=None)
    for a, b in zip(
        (single.history.to_array(), *single[3:7]),
        (other.history.to_array(), *other[3:7]),
        strict=True,
    ):
        assert np.array_equal(a, b, equal_nan=True)


@pytest.fixture(scope="module")
def study():
    return jn.sweep(NET, DATA, RECIPE, seeds=3, **OPTIONS)


def test_every_lane_is_where_its_recipe_and_seed_are(study):
    assert study.history.evaluation_cost.shape == (6, 3, 3)
    assert study.axes == ("recipe", "seed", "epoch")
    for recipe, seed in ((0, 0), (3, 2), (4, 1)):
        alone = jn.train(
            NET, DATA, study.settings[recipe].recipe, epochs=3, batch_size=6, seed=seed
        )
        np.testing.assert_allclose(
            study.history.evaluation_cost[recipe, seed], alone.history.evaluation_cost, rtol=1e-5
        )


def test_a_replay_has_the_lanes_bits_and_alone_nearly(study):
    recipe, seed = study.best_lane
    run = study.run(recipe, seed)
    assert np.array_equal(run.history.evaluation_cost, study.history.evaluation_cost[recipe, seed])
    again = study.replay(recipe, seed)
    for a, b in zip(jax.tree.leaves(run.params), jax.tree.leaves(again.params), strict=True):
        assert np.array_equal(a, b)
    assert run.seed == study.seeds[seed]
    alone = study.replay(recipe, seed, alone=True)
    np.testing.assert_allclose(alone.params[0].w, run.params[0].w, rtol=1e-4, atol=1e-5)


def test_the_same_call_resumes_and_more_of_anything_grows(tmp_path, study):
    folder = tmp_path / "study"
    few = jn.grid(jn.Recipe(jn.momentum(0.1)), learning_rate=[0.1, 1.0], decay=[0.0, 0.9])
    jn.sweep(NET, DATA, few, seeds=2, folder=folder, **(OPTIONS | {"epochs": 2}))
    trained = []
    count = lambda report: trained.append(report.total)
    grown = jn.sweep(NET, DATA, RECIPE, seeds=3, folder=folder, on_progress=count, **OPTIONS)
    assert max(trained) == 8 * 1 + 10 * 3  # one epoch more of eight lanes, ten new ones
    np.testing.assert_allclose(grown.history.evaluation_cost, study.history.evaluation_cost, 1e-4)
    again = jn.sweep(NET, DATA, RECIPE, seeds=range(3), folder=folder, on_progress=count, **OPTIONS)
    assert trained[-1] == 0
    _same(again, grown)
    run = again.run(2, 1)
    np.testing.assert_array_equal(run.params[1].w, grown.replay(2, 1).params[1].w)


def test_more_epochs_continue_to_the_bits_of_a_longer_sweep(tmp_path, study):
    jn.sweep(NET, DATA, RECIPE, seeds=3, folder=tmp_path, **(OPTIONS | {"epochs": 1}))
    _same(jn.sweep(NET, DATA, RECIPE, seeds=3, folder=tmp_path, **OPTIONS), study)


def test_a_sweep_that_is_killed_goes_on_to_the_same_bits(tmp_path, study):
    script = textwrap.dedent("""
        import sys
        sys.path.insert(0, sys.argv[2])
        import tests.sweeps.test_sweep as t, jaxnet as jn
        print("ready", flush=True)
        jn.sweep(t.NET, t.DATA, t.RECIPE, seeds=3, folder=sys.argv[1], **t.OPTIONS)
    """)
    chunks = tmp_path / "chunks"
    here = str(Path(__file__).parents[2])
    for _ in range(2):
        command = [sys.executable, "-c", script, str(tmp_path), here]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        before = len(list(chunks.glob("*.safetensors"))) if chunks.exists() else 0
        while child.poll() is None and len(list(chunks.glob("*.safetensors"))) <= before:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert list(chunks.glob("*.safetensors"))
    _same(jn.sweep(NET, DATA, RECIPE, seeds=3, folder=tmp_path, **OPTIONS), study)


def test_an_exception_in_a_callback_loses_no_epoch_of_a_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "REPORT_SECONDS", 0.001)
    mistake, options = ValueError("my mistake"), OPTIONS | {"epochs": 2000}

    def on_progress(report):
        if report.trained:
            raise mistake

    with pytest.raises(ValueError, match="my mistake") as raised:
        jn.sweep(NET, DATA, RECIPE, folder=tmp_path, on_progress=on_progress, **options)
    assert raised.value is mistake
    (chunk,) = (tmp_path / "chunks").iterdir()
    _, header = reading.read_file(
        chunk, "a chunk", lambda file: files.read_sealed(file, "chunk", 2)
    )
    assert 0 < header["epochs"] < 2000
    assert {path.name for path in tmp_path.iterdir()} == {
        "call.safetensors",
        "chunks",
        "study.json",
    }  # no lock is left


def test_a_keyboard_interrupt_in_a_callback_ends_a_sweep_as_ctrl_c_does(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "REPORT_SECONDS", 0.001)

    def on_progress(report):
        if report.trained and report.training:
            raise KeyboardInterrupt

    options = OPTIONS | {"epochs": 2000}
    with pytest.warns(
        RuntimeWarning, match="was interrupted: .* make the same call again"
    ) as caught:
        study = jn.sweep(NET, DATA, RECIPE, folder=tmp_path, on_progress=on_progress, **options)
    assert study.ending(0, 0) == "interrupted"
    assert 0 < study.epochs.max() < 2000
    assert str(study.interruption) in str(caught[0].message)
    assert f"interrupted: {study.interruption}" in repr(study)


def test_an_interrupted_study_says_which_networks_have_begun(monkeypatch):
    monkeypatch.setattr(executors, "REPORT_SECONDS", 0.001)
    monkeypatch.setattr(chunk_sizes, "most_lanes", lambda *_: 1)
    reports = []

    def on_progress(report):
        reports.append(report)
        if report.trained:
            raise KeyboardInterrupt

    options = {"seeds": 2, "epochs": 2000, "batch_size": 6, "log": None}
    with pytest.warns(RuntimeWarning, match="begins anew, and with a folder it would go on"):
        study = jn.sweep(NET, DATA, jn.Recipe(jn.sgd(0.1)), on_progress=on_progress, **options)
    n_epochs = study.epochs[0, 0]
    assert study.epochs.tolist() == [[n_epochs, 0]]
    assert study.interruption == (
        f"1 of 2 networks have begun (1 of 2 seeds), with {n_epochs:,} of 2,000 epochs"
    )
    assert study.seeds_begun(0) == 1
    assert (reports[-1].done, reports[-1].interrupted) == (0, True)
    assert not reports[0].interrupted


def test_a_chunk_that_fails_does_not_take_the_others_with_it(tmp_path, study, monkeypatch):
    monkeypatch.setattr(chunk_sizes, "most_lanes", lambda *_: 6)

    class FirstFails:
        """Begins the second job only after the first one has failed."""

        def submit(self, function, *args):
            future = Future()
            if not jobs:
                future.set_exception(MemoryError("of one worker"))
            elif len(jobs) == 1:
                future.set_running_or_notify_cancel()
                thread = threading.Timer(0.5, lambda: future.set_result(function(*args)))
                thread.start()
            jobs.append(future)
            return future

    jobs = []
    with pytest.raises(MemoryError, match="of one worker"):
        jn.sweep(NET, data, RECIPE, seeds=3, folder=tmp_path, executor=FirstFails(), **OPTIONS)
    assert len(jobs) == 3
    assert jobs[2].cancelled()
    assert len(list((tmp_path / "chunks").iterdir())) == 1
    _same(jn.sweep(NET, DATA, RECIPE, seeds=3, folder=tmp_path, **OPTIONS), study)


def test_whatever_chunks_are_lost_the_same_call_makes_the_same_programs(tmp_path, monkeypatch):
    """Of 40 lanes in chunks of 14, 14 and 12, the 26 of two are not cut into 13 and 13."""
    monkeypatch.setattr(chunk_sizes, "most_lanes", lambda *_: 16)
    net, data = jn.Network((2, 4, 2)), jn.datasets.xor(n=20)
    recipe = jn.Recipe(jn.sgd(np.linspace(0.1, 4, 40)))
    call = lambda: jn.sweep(net, data, recipe, epochs=3, folder=tmp_path, log=None)
    whole = call()
    chunks = sorted((tmp_path / "chunks").iterdir(), key=lambda path: path.stat().st_size)
    assert len(chunks) == 3
    for path in chunks[:2]:
        path.unlink()
    again = call()
    assert [size.lanes for size in again.plan.sizes] == [14]
    _same(again, whole)


def test_a_damaged_chunk_is_named_and_another_study_refused(tmp_path):
    jn.sweep(NET, DATA, jn.Recipe(jn.sgd(0.1)), folder=tmp_path, **OPTIONS)
    with pytest.raises(ValueError, match="holds another study: evaluate_on was"):
        jn.sweep(NET, DATA, jn.Recipe(jn.sgd(0.1)), folder=tmp_path, evaluate_on=(), **OPTIONS)
    (chunk,) = (tmp_path / "chunks").iterdir()
    content = bytearray(chunk.read_bytes())
    content[-3] ^= 1
    chunk.write_bytes(content)
    study = jn.sweep(NET, DATA, jn.Recipe(jn.sgd(0.1)), folder=tmp_path, **OPTIONS)
    with pytest.raises(ValueError, match=r"is not a chunk of this study: .*; delete it"):
        study.run(0, 0)


def test_fewer_epochs_than_there_are_are_refused(tmp_path):
    jn.sweep(NET, DATA, jn.Recipe(jn.sgd(0.1)), folder=tmp_path, **OPTIONS)
    with pytest.raises(ValueError, match=r"epochs is 2, but networks of this study .* have had 3"):
        jn.sweep(NET, DATA, jn.Recipe(jn.sgd(0.1)), folder=tmp_path, **(OPTIONS | {"epochs": 2}))


def test_without_a_validation_split_training_ranks():
    study = jn.sweep(NET, DATA._replace(valid=None), jn.Recipe(jn.sgd([0.01, 0.5])), **OPTIONS)
    assert np.isfinite(study.score).all()
    assert np.array_equal(study.score, study.history.training_accuracy[:, :, -1])


def test_an_executors_workers_find_the_same(tmp_path, study):
    # Workers start afresh: JAX's threads do not survive a fork.
    import multiprocessing

    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        result = jn.sweep(NET, data, RECIPE, seeds=3, executor=pool, folder=tmp_path, **OPTIONS)
    np.testing.assert_allclose(result.history.evaluation_cost, study.history.evaluation_cost, 1e-4)
    _same(jn.sweep(NET, DATA, RECIPE, seeds=3, folder=tmp_path, **OPTIONS), result)


def test_halving_goes_on_with_the_best_recipes_only(study):
    halved = jn.sweep(NET, DATA, RECIPE, seeds=3, successive_halving=2, **(OPTIONS | {"epochs": 4}))
    assert sorted(halved.epochs.max(axis=1)) == [1, 1, 1, 2, 4, 4]
    assert np.array_equal(halved.epochs == 4, ~halved.stopped)
    first = study.history.evaluation_accuracy[:, :, 0].mean(axis=1)
    stayed = halved.epochs.max(axis=1) > 1
    assert first[stayed].min() >= first[~stayed].max()
    assert halved.saved == pytest.approx(1 - (3 * 1 + 2 + 2 * 4) / (6 * 4))
    run = halved.replay(int(np.argmax(halved.epochs.max(axis=1))), 0)
    assert len(run.history.evaluation_cost) == 4


@pytest.mark.parametrize(
    ("epochs", "n", "factor", "rungs"),
    [(9, 9, 3, [1, 3, 9]), (4, 2, 2, [2, 4]), (2, 64, 3, [2]), (30, 8, 3, [3, 10, 30])],
)
def test_halving_goes_down_to_one_recipe_if_there_are_epochs_enough(epochs, n, factor, rungs):
    assert epochs_of_rungs(factor, n, epochs) == rungs


def test_widths_share_a_program_and_depths_do_not_behind_one_call():
    nets = [jn.Network((4, 5, 3)), jn.Network((4, 7, 3)), jn.Network((4, 3))]
    study = jn.sweep(nets, DATA, jn.Recipe(jn.sgd([0.1, 0.2])), **OPTIONS)
    assert [setting.network for setting in study.settings] == [net for net in nets for _ in "ab"]
    programs = {record.program_sizes for record in study.source.records}
    assert programs == {(4, 7, 3), (4, 3)}
    for recipe, net in ((1, nets[0]), (4, nets[2])):
        setting = study.settings[recipe]
        alone = jn.train(net, DATA, setting.recipe, epochs=3, batch_size=6)
        np.testing.assert_allclose(
            study.history.evaluation_cost[recipe, 0], alone.history.evaluation_cost, rtol=1e-4
        )
    assert study.run(0, 0).params[0].w.shape == (4, 5)


def test_batch_sizes_and_training_sets_of_several_sizes_are_behind_one_call():
    options = OPTIONS | {"batch_size": [6, 20]}
    study = jn.sweep(NET, DATA, jn.Recipe(jn.sgd(0.5)), examples=[20, 53], **options)
    few = DATA._replace(train=jn.Split(DATA.train.x[:20], DATA.train.y[:20]))
    alone = jn.train(NET, few, jn.Recipe(jn.sgd(0.5)), epochs=3, batch_size=6)
    sizes = [(setting.batch_size, setting.examples) for setting in study.settings]
    assert sizes == [(6, 20), (6, 53), (20, 20), (20, 53)]
    np.testing.assert_allclose(
        study.history.evaluation_cost[0, 0], alone.history.evaluation_cost, rtol=1e-5
    )


def test_files_hold_every_epoch_of_every_lane(tmp_path, study):
    study.to_csv(tmp_path / "study.csv")
    with open(tmp_path / "study.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 * 3 * 3
    row = rows[3 * 3 + 3 + 1]  # recipe 1, seed 1, epoch 2
    assert [row[name] for name in ("recipe", "seed", "epoch")] == ["1", "1", "2"]
    assert float(row["decay"]) == np.float32(0.9)
    assert float(row["evaluation_cost"]) == study.history.evaluation_cost[1, 1, 1]
    assert row["training_cost"] == ""
    study.to_parquet(tmp_path / "study.parquet")
    for frame in (pandas.read_parquet(tmp_path / "study.parquet"), study.to_frame()):
        assert list(frame.columns) == list(row)
        assert len(frame) == len(rows)
        assert frame.evaluation_cost[3 * 3 + 3 + 1] == study.history.evaluation_cost[1, 1, 1]
        assert frame.training_cost.isna().all()


def test_a_frame_or_parquet_says_which_extra_it_needs(monkeypatch, tmp_path, study):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxnet-mlp\[tables\]'"):
        study.to_frame()
    with pytest.raises(ImportError, match=r"pip install 'jaxnet-mlp\[tables\]'"):
        study.to_parquet(tmp_path / "study.parquet")


def test_a_chunk_that_does_not_fit_into_memory_is_halved(monkeypatch, study):
    real = executors.train_chunk

    def short_of_memory(spec, *args):
        if len(spec.seeds) > 2:
            raise MemoryError
        return real(spec, *args)

    monkeypatch.setattr(executors, "train_chunk", short_of_memory)
    result = jn.sweep(NET, DATA, RECIPE, seeds=3, **OPTIONS)
    assert result.plan.backed_off > 0
    assert "halved for memory" in str(result.plan)
    np.testing.assert_allclose(result.history.evaluation_cost, study.history.evaluation_cost, 1e-4)


def test_all_chunks_of_a_size_are_one_program():
    compiled = []
    recipe = jn.Recipe(jn.nesterov(np.linspace(0.1, 0.2, 16), decay=0.5))
    monitoring.register_event_duration_secs_listener(lambda name, *_, **__: compiled.append(name))
    try:
        study = jn.sweep(jn.Network((4, 9, 3)), DATA, recipe, seeds=4, **OPTIONS)
        n = sum("backend_compile" in name for name in compiled)
        jn.sweep(jn.Network((4, 9, 3)), DATA, recipe, seeds=[5, 7, 8, 9], **OPTIONS)
    finally:
        monitoring.clear_event_listeners()
    assert len(study.source.records) >= 4
    assert sum("backend_compile" in name for name in compiled) == n


@given(
    st.integers(1, 300), st.integers(1, 70), st.integers(1, 64), st.integers(1, 8),
    st.sampled_from(["cpu", "gpu"]),
)  # fmt: skip
def test_a_rectangle_is_never_larger_than_it_may_be_nor_much_larger_than_needed(
    recipes, seeds, most, devices, platform
):
    groups, lanes = chunk_sizes.program_shape(recipes, seeds, most, devices, platform)
    assert groups * lanes <= max(most, 1)
    chunks = -(-recipes // lanes) * -(-seeds // groups)
    assert chunks * groups * lanes < 2 * recipes * seeds + groups * lanes
    assert chunks >= min(devices, recipes * seeds) or groups * lanes == 1 or chunks * 2 > devices


def test_a_program_has_as_many_lanes_as_fit_into_the_cache():
    """A lane of [784, 30, 10] has 95 kB of weights, and in a span no gradient of most of them."""
    most = partial(chunk_sizes.most_lanes, jn.Network((784, 30, 10)), device=jax.devices("cpu")[0])
    sgd, adam = jn.Recipe(jn.sgd()), jn.Recipe(jn.adam())
    assert most(sgd, 10, 64) == 64
    assert most(sgd, 10, 1) == most(sgd, 128, 64) == 32
    assert most(adam, 10, 64) == 16
    deep = jn.Network((784, 1500, 10))  # whose lanes are too few for a span
    assert chunk_sizes.most_lanes(deep, sgd, 10, 64, jax.devices("cpu")[0]) == 1


def test_the_plan_grows_with_the_chunk_not_with_the_sweep():
    net, recipe = jn.Network((784, 30, 10)), jn.Recipe(jn.adam())
    size = planning.Size(net, recipe, 10, 50_000, 1, 8, chunks=8, epochs=640)
    few = planning.predict_plan([size], 64, 10, 0, jax.devices()[:1], False)
    longer = size._replace(chunks=1250, epochs=100_000)
    many = planning.predict_plan([longer], 10_000, 10, 0, jax.devices()[:1], False)
    assert few.bytes == many.bytes < 2**30
    assert "10,000 networks × 10 epochs: 1,250 × 8 networks [784, 30, 10]" in str(many)


def test_a_plan_counts_the_compiling_that_is_left(monkeypatch):
    monkeypatch.setattr(planning, "_TRAINED", set())
    monkeypatch.setattr(planning, "_operations_per_second", lambda _: 1.4e11)
    net, data = jn.Network((2, 4, 2)), jn.datasets.xor(n=20)
    plans = [
        jn.sweep(own, data, jn.Recipe(jn.sgd([0.1, 0.2])), seeds=2, epochs=1, log=None).plan
        for own in (net, net, jn.Network((2, 5, 5, 2)))
    ]
    first, again, another = (plan.seconds for plan in plans)
    of_other_data = jn.sweep(
        net, jn.datasets.xor(n=30), jn.Recipe(jn.sgd([0.1, 0.2])), seeds=2, epochs=1, log=None
    ).plan.seconds
    assert of_other_data - again == pytest.approx(2 * 1.0 + 0.2, abs=0.1)
    assert first - again == pytest.approx(1.0 + 2 * 1.0 + 0.2)  # tracing, two layers, the draws
    assert another - again == pytest.approx(3 * 1.0 + 0.2, abs=0.1)


def test_a_plan_has_the_examples_that_are_trained_on(monkeypatch):
    monkeypatch.setattr(planning, "_operations_per_second", lambda _: 1.4e11)
    sweep = partial(
        jn.sweep, jn.Network((2, 4, 2)), jn.datasets.xor(n=400), jn.Recipe(jn.sgd()), epochs=1,
        seeds=2, log=None,
    )  # fmt: skip
    (size,) = sweep(examples=[40, 400]).plan.sizes
    assert size.examples == 220


@given(st.integers(1, 40), st.floats(1e-6, 1.0), st.floats(1.1, 1e6), st.integers(0, 99))
def test_samples_lie_in_their_ranges_and_are_spread_evenly(n, low, factor, seed):
    recipe = jn.sample(
        jn.Recipe(jn.momentum()), n, seed=seed, learning_rate=(low, low * factor),
        l2=jn.Uniform(0, 5),
    )  # fmt: skip
    rates = recipe.optimizer.hyper["learning_rate"].astype(float)
    assert len(recipe) == n
    assert rates.min() >= low * (1 - 1e-6)
    assert rates.max() <= low * factor * (1 + 1e-6)
    if n >= 8:  # of a Sobol sequence's first 8 points, one lies in each eighth
        assert len(set(np.floor(np.log(rates[:8] / low) / np.log(factor) * 8 - 1e-6))) >= 6
    assert ((recipe.l2 >= 0) & (recipe.l2 <= 5)).all()


def test_a_grid_reaches_all_parts_of_a_recipe():
    recipe = jn.Recipe(jn.sgd(0.1), stopping=jn.stopping.no_improvement_in(3))
    swept = jn.grid(recipe, patience=[1, 2], dropout=[0.1, 0.2], init_scale=0.5)
    assert [single.stopping.patience.item() for single in RecipeBatch(swept).rows()] == [1, 1, 2, 2]
    assert swept.init_scale.tolist() == [0.5] * 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: jn.grid(jn.Recipe(jn.momentum()), speed=[1]),
            "not a number of this recipe; its numbers are decay",
        ),
        (
            lambda: jn.grid(jn.Recipe(jn.momentum()), decay=[1.5]),
            r"decay must be a number in \[0, 1",
        ),
        (
            lambda: jn.sample(jn.Recipe(jn.momentum()), 4, l2=(0, 1)),
            "has no logarithm; begin above 0, or take",
        ),
        (lambda: jn.sample(jn.Recipe(jn.sgd()), 4, l2=3), r"l2 needs a range \(low, high\), not 3"),
        (lambda: jn.sample(jn.Recipe(jn.sgd()), 4, l2=(2, 1)), "must have low < high"),
        (
            lambda: jn.sweep(NET, DATA, jn.Recipe(jn.sgd([0.1, 0.2]), l2=[1, 2, 3]), **OPTIONS),
            r"the arrays of a recipe are zipped, so they must have one length: .*jaxnet.grid",
        ),
        (
            lambda: jn.sweep(NET, DATA, RECIPE, seeds=[1, 1], **OPTIONS),
            "seeds must be a number of seeds, at least 1, or one or more different seeds",
        ),
        (lambda: jn.sweep(NET, DATA, RECIPE, seeds=0, **OPTIONS), "seeds must be a whole number"),
        (
            lambda: jn.sweep(NET, DATA, RECIPE, successive_halving=1, **OPTIONS),
            "halving must be a whole",
        ),
        (
            lambda: jn.sweep(NET, DATA, RECIPE, examples=54, **OPTIONS),
            r"examples must be .*\[1, 54\)",
        ),
        (lambda: jn.sweep([], DATA, RECIPE, **OPTIONS), "at least one network"),
        (lambda: jn.sweep(NET, DATA, RECIPE, examples=[], **OPTIONS), "not an empty list"),
        (
            lambda: jn.sweep(NET, DATA, RECIPE, successive_halving=2, evaluate_on=(), **OPTIONS),
            "successive_halving ranks by evaluations",
        ),
        (lambda: jn.sample(jn.Recipe(jn.sgd()), 4), "sample takes one or more names"),
        (
            lambda: jn.grid(jn.Recipe(jn.sgd(), schedule=jn.schedules.exponential()), rate=[-2]),
            r"rate must be a number in \[0, inf\), not -2",
        ),
        (
            lambda: jn.sweep([_named_f(1.0), _named_f(2.0)], DATA, RECIPE, **OPTIONS),
            "two settings are called the same",
        ),
    ],
)
def test_bad_input_is_told_in_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_sweep_within_a_context_of_float64_trains_in_float64():
    with jax.enable_x64(True):
        study = jn.sweep(NET, DATA, jn.Recipe(jn.sgd([0.1, 0.2])), **OPTIONS)
        alone = jn.train(NET, DATA, jn.Recipe(jn.sgd(0.2)), epochs=3, batch_size=6)
        np.testing.assert_allclose(study.params(1, 0)[0].w, alone.params[0].w, rtol=1e-12)


def test_a_lane_that_is_not_there_is_told(study):
    with pytest.raises(ValueError, match=r"there is no network \(6, 0\): the study has 6 recipes"):
        study.run(6, 0)


def test_a_lane_that_halving_dropped_comes_back_as_it_was_dropped():
    halved = jn.sweep(NET, DATA, RECIPE, seeds=1, successive_halving=2, **(OPTIONS | {"epochs": 4}))
    dropped = int(np.argmin(halved.epochs[:, 0]))
    setting = halved.settings[dropped]
    alone = jn.train(NET, DATA, setting.recipe, epochs=1, batch_size=6)
    run = halved.replay(dropped, 0)
    np.testing.assert_allclose(run.params[0].w, alone.params[0].w, rtol=1e-4, atol=1e-5)
    assert (run.ending, len(run.history.evaluation_cost)) == ("stopped", 1)


def test_lanes_leave_chunks_of_different_lengths(tmp_path):
    rates = lambda *values: jn.Recipe(jn.sgd(list(values)))
    options = {"folder": tmp_path, "batch_size": 6, "log": None}
    older = jn.sweep(NET, DATA, rates(0.1, 0.2), epochs=1, **options)
    jn.sweep(NET, DATA, rates(0.3, 0.4), epochs=2, **options)
    study = jn.sweep(NET, DATA, rates(0.1, 0.3), epochs=3, **options)
    assert (study.epochs == 3).all()
    whole = jn.sweep(NET, DATA, rates(0.1, 0.3), epochs=3, batch_size=6, log=None)
    cost, expected = study.history.evaluation_cost, whole.history.evaluation_cost
    np.testing.assert_allclose(cost, expected, rtol=1e-4)
    again = jn.sweep(NET, DATA, rates(0.1, 0.2), epochs=3, **options)
    totals = []
    record_total = lambda report: totals.append(report.total)
    jn.sweep(NET, DATA, rates(0.5, 0.6, 0.7), epochs=1, **options)
    jn.sweep(NET, DATA, rates(0.5), epochs=3, **options)  # it leaves the other two behind
    jn.sweep(NET, DATA, rates(0.5, 0.6), epochs=3, on_progress=record_total, **options)
    jn.sweep(NET, DATA, rates(0.5, 0.6, 0.7), epochs=3, on_progress=record_total, **options)
    assert sorted(set(totals)) == [2]  # two epochs of 0.6, then two of 0.7
    for study, epochs in ((older, 1), (again, 3)):  # the older one is not given newer weights
        alone = jn.train(NET, DATA, jn.Recipe(jn.sgd(0.2)), epochs=epochs, batch_size=6)
        w = study.params(1, 0)[0].w
        np.testing.assert_allclose(w, alone.params[0].w, rtol=1e-4, atol=1e-5)


def test_places_and_names_that_a_study_does_not_have_are_refused():
    study = jn.sweep(
        jn.Network((2, 2)), jn.datasets.xor(n=20), jn.Recipe(jn.sgd([0.1, 1.0])), log=None
    )
    assert study.ending(-1, -1) == "done"
    for call in (study.ending, study.run, study.params):
        for places in ((9, 0), (0, -2), (0, 0, 1)):
            with pytest.raises(
                ValueError, match=r"there is no network .*: the study has 2 recipes"
            ):
                call(*places)
    with pytest.raises(
        ValueError, match=r"'learning_rat' is no number .*did you mean learning_rate"
    ):
        study.settings[0].number("learning_rat")
