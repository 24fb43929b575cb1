"""The parameters of every network are at hand after a sweep: nothing is trained twice."""

import gc
import pickle

import jax
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.io import files
from jaxnet.sweeps import chunk_params, chunk_sizes, executors, replaying

RANDOM = np.random.default_rng(0)
DATA = jn.Dataset(
    jn.Split(RANDOM.random((43, 4)), RANDOM.integers(3, size=43)),
    jn.Split(RANDOM.random((20, 4)), RANDOM.integers(3, size=20)),
)
NETS = [jn.Network((4, width, 3)) for width in (5, 8)]
RULE = jn.stopping.no_improvement_in([1, 2, 9])
RECIPE = jn.Recipe(jn.sgd([0.5, 2.0, 8.0]), stopping=RULE)
OPTIONS = {"seeds": 2, "epochs": 6, "batch_size": 6, "log": None}
PLACES = ("memory", "temporary files", "folder")
KINDS = dict(zip(PLACES, ("stopping", "halving", "schedule-free with frozen layers"), strict=True))
"""A kind of sweep for each place; the other pairs are among the exhaustive tests."""
FROZEN = (False, True)


def _sweep(place, tmp_path, monkeypatch, recipe=RECIPE, **options):
    monkeypatch.setattr(chunk_sizes, "most_lanes", lambda *_: 4)
    if place == "temporary files":
        monkeypatch.setattr(chunk_params, "KEPT_BYTES", 4000)
    folder = tmp_path if place == "folder" else None
    study = jn.sweep(NETS, DATA, recipe, folder=folder, **OPTIONS | options)
    assert len(study.source.records) > 2
    monkeypatch.setattr(replaying, "train_chunk", _no_training)
    return study


def _no_training(*_):
    raise AssertionError("it is trained again")


def _assert_close(params, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-9, 1e-12), params, expected)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("kind", "place"),
    [
        pytest.param(kind, place, marks=() if KINDS[place] == kind else pytest.mark.exhaustive)
        for kind in KINDS.values()
        for place in PLACES
    ],
)
def test_the_parameters_of_every_network_are_those_of_the_network_alone(
    kind, place, tmp_path, monkeypatch
):
    recipe, options = RECIPE, {}
    if kind == "halving":
        recipe, options = jn.Recipe(jn.sgd([0.5, 2.0, 8.0])), {"successive_halving": 2}
    elif kind != "stopping":
        recipe = jn.Recipe(jn.schedule_free_sgd([0.5, 1.0, 2.0]))
        options = {"trainable": [FROZEN, True, True, True, FROZEN, True], "epochs": 3}
    study = _sweep(place, tmp_path, monkeypatch, recipe, **options)
    assert (study.epochs < study.epochs.max()).any() or kind.startswith("schedule")
    for row, setting in enumerate(study.settings):
        seed = row % 2
        trainable = options.get("trainable", [True] * 6)[row]
        run = jn.train(
            setting.network, DATA, setting.recipe, epochs=int(study.epochs[row, seed]),
            batch_size=6, seed=seed, trainable=trainable,
        )  # fmt: skip
        _assert_close(study.params(row, seed), run.params)
        _assert_close(study.best_params(row, seed), run.best_params)
        _assert_close(study.run(row, seed).best_params, run.best_params)


@pytest.mark.parametrize("place", PLACES)
def test_all_parameters_are_stacked_along_the_axes(place, tmp_path, monkeypatch):
    study = _sweep(place, tmp_path, monkeypatch, resample=jn.resampling.k_fold(2, valid=0.2))
    with pytest.raises(ValueError, match=r"different shapes.*name one network by recipe and seed"):
        study.params()
    own = study._replace(settings=study.settings[:3], epochs=study.epochs[:3])  # of one width
    for stacked, params_of in ((own.params(), own.params), (own.best_params(), own.best_params)):
        assert stacked[0].w.shape == (3, 2, 2, 4, 5)
        for places in np.ndindex(3, 2, 2):
            picked = jax.tree.map(lambda array, places=places: array[places], stacked)
            jax.tree.map(np.testing.assert_array_equal, picked, params_of(*places))
    assert np.array_equal(own.params(-1, 0, 1)[1].b, own.params(2, 0, 1)[1].b)
    for places, message in (
        ((0, None, 0), "no network"),
        ((9, 0, 0), "no network"),
        ((0, 0), "2 fo"),
    ):
        with pytest.raises(ValueError, match=message):
            study.best_params(*places)


def test_temporary_files_live_as_long_as_the_study(tmp_path, monkeypatch):
    study = _sweep("temporary files", tmp_path, monkeypatch)
    kept = [record.params for record in study.source.records]
    folder = next(each._folder for each in kept if each._folder is not None).path
    assert any(each._folder is None for each in kept)  # the budget is used first
    assert list(folder.iterdir())
    before = study.params(5, 1)
    copy = pickle.loads(pickle.dumps(study.source.records))
    del study, kept
    gc.collect()
    assert not folder.exists()
    assert all(record.params.read().last for record in copy)
    assert np.isfinite(before[0].w).all()


def test_what_fits_neither_memory_nor_disk_is_trained_again(tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(chunk_params, "KEPT_BYTES", 0)
    monkeypatch.setattr(np, "save", full_disk)
    study = jn.sweep(NETS[0], DATA, RECIPE, **OPTIONS)
    assert all(record.params is None for record in study.source.records)
    run = study.run(1, 1)
    accuracy = jn.evaluate(run.network, run.best_params, DATA.valid).accuracy
    assert accuracy == study.score[1, 1]
    assert study.params()[0].w.shape == (3, 2, 4, 5)


def test_parameters_of_earlier_rungs_are_dropped(monkeypatch):
    monkeypatch.setattr(chunk_sizes, "most_lanes", lambda *_: 1)
    recipe = jn.Recipe(jn.sgd([0.1, 1.0]))
    study = jn.sweep(NETS[0], DATA, recipe, **OPTIONS | {"successive_halving": 2})
    current = {index for index, _ in study.source.row_by_lane.values()}
    records = study.source.records
    assert len(current) < len(records)
    assert {i for i, record in enumerate(records) if record.params is not None} == current


def test_a_chunk_counts_as_trained_when_its_parameters_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(chunk_sizes, "most_lanes", lambda *_: 4)
    write, trained = files.write_sealed, []

    def failing(path, kind, *args):
        if kind == "chunk" and len(list((tmp_path / "chunks").iterdir())):
            raise OSError(28, "No space left on device")
        write(path, kind, *args)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_sealed", failing)
        with pytest.raises(OSError, match="No space"):
            jn.sweep(NETS, DATA, RECIPE, folder=tmp_path, **OPTIONS)
    real = executors.train_chunk
    monkeypatch.setattr(
        executors, "train_chunk", lambda *args: trained.append(len(args[0].seeds)) or real(*args)
    )
    study = jn.sweep(NETS, DATA, RECIPE, folder=tmp_path, **OPTIONS)
    assert 0 < sum(trained) < 12
    assert study.interruption is None
    assert all(np.isfinite(study.params(*lane)[0].w).all() for lane in np.ndindex(6, 2))
