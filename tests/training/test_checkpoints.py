import errno
import os
import random
import signal
import subprocess
import sys
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.io import files
from jaxnet.training import _train, checkpoints

XOR = jn.datasets.xor(n=100)
NET = jn.Network((2, 4, 2))
RECIPE = jn.Recipe(jn.adam(0.02), l2=0.1)

SCRIPT = """
import jax, numpy as np, os, pathlib, sys, time
import jaxnet as jn

def train(folder, epochs, pause):
    def said(report):
        print(os.getpid(), report.epoch, flush=True)
        time.sleep(pause)
    resume = folder if pathlib.Path(folder, "checkpoint.safetensors").exists() else None
    run = jn.train(
        jn.Network((2, 4, 2)), jn.datasets.xor(n=100), jn.Recipe(jn.adam(0.02), l2=0.1),
        epochs=epochs, seed=3, checkpoint=folder, resume=resume, on_epoch=said,
    )
    np.savez(pathlib.Path(folder, "done.npz"), *jax.tree.leaves((run.params, run.best_params)),
             *run.history.to_array(), run.best_epoch)

for line in sys.stdin:  # a fork each, before JAX has begun: to import it takes seconds
    pid = os.fork()
    if not pid:
        folder, epochs, pause = line.split()
        train(folder, int(epochs), float(pause))
        os._exit(0)
    os.waitpid(pid, 0)
    print("ended", flush=True)
"""


def test_a_run_killed_at_random_moments_ends_with_the_bits_of_one_that_never_was(tmp_path):
    """kill -9, again and again, each time resumed: while it trains, and while it writes."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    epochs, moments = 400, random.Random(0)
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
    cache["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | cache,
    ) as process:  # fmt: skip

        def run(folder, pause=0.0):
            """Begin, or go on: the pid and the first epoch."""
            print(folder, epochs, pause, file=process.stdin, flush=True)
            return map(int, process.stdout.readline().split())

        def ended():
            while process.stdout.readline() not in ("ended\n", ""):
                pass

        run(whole)
        ended()
        for _ in range(8):
            pid, _ = run(broken, pause=0.002)  # it is past compiling
            time.sleep(moments.uniform(0, 0.06))
            os.kill(pid, signal.SIGKILL)
            ended()
            assert checkpoints.FILE in os.listdir(broken)
            assert not (broken / "done.npz").exists()
        _, first = run(broken)
        ended()
        process.stdin.close()
    assert 8 < first < epochs  # it was really resumed, and not yet done
    first, other = np.load(whole / "done.npz"), np.load(broken / "done.npz")
    assert first.files == other.files
    for name in first.files:
        assert np.array_equal(first[name], other[name]), name


def test_a_resumed_run_may_have_more_epochs(tmp_path):
    jn.train(NET, XOR, RECIPE, epochs=3, checkpoint=tmp_path)
    longer = jn.train(NET, XOR, RECIPE, epochs=5, resume=tmp_path)
    never = jn.train(NET, XOR, RECIPE, epochs=5)
    for first, two in zip(jax.tree.leaves(longer.params), jax.tree.leaves(never.params)):
        assert np.array_equal(first, two)
    assert all(map(np.array_equal, longer.history.to_array(), never.history.to_array()))
    assert longer.best_epoch == never.best_epoch
    with pytest.raises(ValueError, match=r"epochs is 4, but .* has had 5 already"):
        jn.train(NET, XOR, RECIPE, epochs=4, resume=tmp_path)


def _as_an_older_version_wrote(folder):
    """Take the data costs out of a checkpoint; its best score includes the penalties."""
    arrays, header = checkpoints.read(folder)
    history = arrays["['history']"][:, :4]
    arrays["['history']"] = history
    if np.isnan(history[:, 1]).all():  # without accuracies
        best = history[:, 0].argmin()
        arrays["['state'].watch.best_epoch"] = np.int32(best + 1)
        arrays["['state'].watch.best_score"] = -history[best, 0]
    stored = {f"tree/{name}": array for name, array in arrays.items()}
    settings = {"settings": header["settings"]}
    files.write_sealed(
        folder / checkpoints.FILE, "checkpoint", checkpoints.FORMAT, stored, settings
    )


def test_a_checkpoint_without_data_costs_goes_on(tmp_path):
    jn.train(NET, XOR, RECIPE, epochs=2, checkpoint=tmp_path)
    _as_an_older_version_wrote(tmp_path)
    resumed = jn.train(NET, XOR, RECIPE, epochs=4, resume=tmp_path)
    whole = jn.train(NET, XOR, RECIPE, epochs=4)
    for part in ("params", "best_params"):
        pairs = zip(*(jax.tree.leaves(getattr(run, part)) for run in (resumed, whole)))
        for ours, expected in pairs:
            assert np.array_equal(ours, expected)
    assert np.isnan(resumed.history.evaluation_data_cost[:2]).all()
    for curve, expected in zip(resumed.history.to_array(), whole.history.to_array(), strict=True):
        assert np.array_equal(curve[2:], expected[2:])


def test_the_best_epoch_of_a_checkpoint_without_data_costs_keeps_its_rank(tmp_path):
    """The run's cost rises after the checkpoint: the first epoch after it is not the best one."""
    net = jn.Network((1, 1), cost=jn.costs.Quadratic(jn.activations.linear))
    data = jn.datasets.function(np.sin, n=50)
    data = data._replace(valid=jn.Split(data.valid.x[:4], data.valid.y[:4]))
    rises = jn.schedules.custom(_turns, at=np.float32(10.0))
    recipe = jn.Recipe(jn.sgd(0.1), l2=10.0, schedule=rises)
    jn.train(net, data, recipe, epochs=2, batch_size=10, checkpoint=tmp_path)
    _as_an_older_version_wrote(tmp_path)
    resumed = jn.train(net, data, recipe, epochs=4, batch_size=10, resume=tmp_path)
    assert resumed.best_epoch <= 2
    data_cost, cost = resumed.history.evaluation_data_cost, resumed.history.evaluation_cost
    assert data_cost[2] < cost[:2].min()  # beside the costs with penalties it would be


def _turns(at):
    """Descent up to a step, and slow ascent from there on."""
    return lambda step: jnp.where(step < at, 1.0, -0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 20}, "batch_size was 10 and is 20"),
        ({"seed": 1}, "seed was 0 and is 1"),
        (
            {"recipe": jn.Recipe(jn.adam(0.03), l2=0.1)},
            r"recipe\.optimizer\.learning_rate was 0\.0199.* and is 0\.0299",
        ),
        (
            {"recipe": jn.Recipe(jn.adam(0.02), l2=0.1, schedule=jn.schedules.warmup(2))},
            r"recipe\.schedule was at its default and is {'rule': 'warmup', 'warmup': 2\.0}",
        ),
        ({"recipe": jn.Recipe(jn.nadam(0.02), l2=0.1)}, "optimizer.rule was 'adam' and is 'nadam'"),
        ({"net": jn.Network((2, 5, 2))}, r"network\.sizes was \[2, 4, 2\] and is \[2, 5, 2\]"),
        (
            {"net": jn.Network((2, 4, 2), init=jn.initializers.he)},
            "network.init was at its default and is 'he'",
        ),
        ({"data": jn.datasets.xor(n=100, seed=1)}, "the data are others"),
        ({"evaluate_on": ()}, "evaluate_on was .'evaluation', 'training'. and is .."),
    ],
)
def test_another_run_is_refused_by_name(tmp_path, changes, message):
    jn.train(NET, XOR, RECIPE, epochs=1, checkpoint=tmp_path)
    settings = {"net": NET, "data": XOR, "recipe": RECIPE} | changes
    with pytest.raises(ValueError, match=f"it would be another run: .*{message}"):
        jn.train(**settings, epochs=2, resume=tmp_path)


def test_a_damaged_or_missing_checkpoint_is_refused(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"cannot resume from .*: it holds no checkpoint.* begin the run with checkpoint=",
    ):
        jn.train(NET, XOR, RECIPE, epochs=2, resume=tmp_path)
    jn.train(NET, XOR, RECIPE, epochs=1, checkpoint=tmp_path)
    whole = (tmp_path / checkpoints.FILE).read_bytes()
    for content in (b"", whole[:100], whole[:-1], whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:]):
        (tmp_path / checkpoints.FILE).write_bytes(content)
        with pytest.raises(ValueError, match="is not a checkpoint"):
            jn.train(NET, XOR, RECIPE, epochs=2, resume=tmp_path)


def test_a_full_disk_harms_no_checkpoint(tmp_path, monkeypatch):
    jn.train(NET, XOR, RECIPE, epochs=1, checkpoint=tmp_path)
    before = (tmp_path / checkpoints.FILE).read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        jn.train(NET, XOR, RECIPE, epochs=2, resume=tmp_path)
    monkeypatch.undo()
    assert (tmp_path / checkpoints.FILE).read_bytes() == before
    assert len(jn.train(NET, XOR, RECIPE, epochs=2, resume=tmp_path).history.training_cost) == 2


@pytest.mark.parametrize("optimizer", [jn.noisy_sgd(0.1), jn.schedule_free_sgd(0.5), jn.muon(0.05)])
def test_every_kind_of_state_survives(tmp_path, optimizer):
    recipe = jn.Recipe(optimizer)
    jn.train(NET, XOR, recipe, epochs=2, checkpoint=tmp_path)
    resumed = jn.train(NET, XOR, recipe, epochs=3, resume=tmp_path)
    never = jn.train(NET, XOR, recipe, epochs=3)
    for first, two in zip(jax.tree.leaves(resumed.params), jax.tree.leaves(never.params)):
        assert np.array_equal(first, two)


# Every part of a recipe that remembers or draws something.
WHOLE = jn.Recipe(
    jn.momentum(0.5),
    l1=0.01,
    dropout=0.2,
    input_dropout=0.1,
    max_norm=2.0,
    label_smoothing=0.1,
    schedule=jn.schedules.cosine(6),
    stopping=jn.stopping.reduce_on_plateau(1),
)


def test_every_part_of_a_recipe_goes_on_to_the_same_bits(tmp_path):
    monitors = jn.Monitors(every=3)
    never = jn.train(NET, XOR, WHOLE, epochs=6, monitors=monitors)
    jn.train(NET, XOR, WHOLE, epochs=3, monitors=monitors, checkpoint=tmp_path)
    resumed = jn.train(NET, XOR, WHOLE, epochs=6, monitors=monitors, resume=tmp_path)
    for first, two in zip(jax.tree.leaves(resumed.params), jax.tree.leaves(never.params)):
        assert np.array_equal(first, two)
    for name, table in never.monitors.items():
        assert np.array_equal(table, resumed.monitors[name]), name
    assert never.monitors["learning_rate"][-1] < 0.5 * never.monitors["learning_rate"][0]
    with pytest.raises(ValueError, match="ends after 6 epochs, but the run has 7"):
        jn.train(NET, XOR, WHOLE, epochs=7, monitors=monitors, resume=tmp_path)
    longer = jn.Recipe(**{**WHOLE.__dict__, "schedule": jn.schedules.cosine(7)})
    with pytest.raises(ValueError, match=r"schedule\.horizon was 6\.0 and is 7\.0"):
        jn.train(NET, XOR, longer, epochs=7, monitors=monitors, resume=tmp_path)


def test_another_shift_is_another_run(tmp_path):
    data = jn.Dataset(jn.Split(np.ones((20, 12), np.float32), np.arange(20) % 2))
    recipes = [
        jn.Recipe(jn.sgd(0.1), augmentation=jn.Augmentation(shift, shape=(3, 4)))
        for shift in (1, 2)
    ]
    net = jn.Network((12, 2))
    jn.train(net, data, recipes[0], epochs=1, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"recipe\.augmentation\.shift was 1 and is 2"):
        jn.train(net, data, recipes[1], epochs=2, resume=tmp_path)


def test_a_checkpoint_is_written_every_so_many_epochs_and_at_the_end(tmp_path, monkeypatch):
    written = []
    save = checkpoints.save

    def counted(folder, tree, settings):
        written.append(len(tree["history"]))
        save(folder, tree, settings)

    monkeypatch.setattr(checkpoints, "save", counted)
    jn.train(NET, XOR, RECIPE, epochs=7, checkpoint=tmp_path, every=3)
    assert written == [3, 6, 7]
    with pytest.raises(ValueError, match="every must be a whole number of at least 1, not 0"):
        jn.train(NET, XOR, RECIPE, checkpoint=tmp_path, every=0)


def test_a_run_that_stopped_stays_stopped_when_it_is_resumed(tmp_path):
    recipe = jn.Recipe(jn.adam(0.1), stopping=jn.stopping.reach(0.8))
    run = jn.train(NET, XOR, recipe, epochs=100, checkpoint=tmp_path)
    assert run.ending == "stopped"
    again = jn.train(NET, XOR, recipe, epochs=200, resume=tmp_path)
    assert again.ending == "stopped"
    assert all(map(np.array_equal, again.history.to_array(), run.history.to_array()))


def _raise_at(epoch, error):
    """A callback that raises at the end of an epoch."""

    def on_epoch(report):
        if report.epoch == epoch:
            raise error

    return on_epoch


@pytest.mark.parametrize("error", [ValueError("my mistake"), StopIteration(), SystemExit(3)])
def test_an_exception_in_a_callback_loses_no_epoch(tmp_path, error):
    options = {"epochs": 9, "seed": 3, "every": 100}
    with pytest.raises(type(error)) as raised:
        jn.train(NET, XOR, RECIPE, checkpoint=tmp_path, on_epoch=_raise_at(5, error), **options)
    assert raised.value is error
    epochs = []
    run = jn.train(
        NET, XOR, RECIPE, resume=tmp_path, on_epoch=lambda r: epochs.append(r.epoch), **options
    )
    assert epochs == [6, 7, 8, 9]
    whole = jn.train(NET, XOR, RECIPE, **options)
    for a, b in zip(jax.tree.leaves(run.params), jax.tree.leaves(whole.params), strict=True):
        assert np.array_equal(a, b)


def test_an_exception_outside_a_callback_loses_no_epoch_either(tmp_path, monkeypatch):
    advance = _train._TrainLoop.advance

    def failing(loop, index):
        if index == 3:
            raise MemoryError
        return advance(loop, index)

    monkeypatch.setattr(_train._TrainLoop, "advance", failing)
    with pytest.raises(MemoryError):
        jn.train(NET, XOR, RECIPE, epochs=9, checkpoint=tmp_path, every=100)
    arrays, _ = checkpoints.read(tmp_path)
    assert len(arrays["['history']"]) == 3


def test_a_disk_that_fails_then_does_not_hide_the_first_exception(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "checkpoint.safetensors")

    monkeypatch.setattr(checkpoints, "save", full)
    mistake = ValueError("my mistake")
    with pytest.raises(ValueError, match="my mistake") as raised:
        jn.train(NET, XOR, RECIPE, checkpoint=tmp_path, every=100, on_epoch=_raise_at(2, mistake))
    assert any("No space left on device" in note for note in raised.value.__notes__)


def test_a_checkpoint_of_another_run_is_not_replaced(tmp_path):
    jn.train(NET, XOR, RECIPE, epochs=2, checkpoint=tmp_path)
    content = (tmp_path / checkpoints.FILE).read_bytes()
    with pytest.raises(
        ValueError, match=r"is the checkpoint of another run: seed was 0 and is 1\. Choose another"
    ):
        jn.train(NET, XOR, RECIPE, epochs=2, seed=1, checkpoint=tmp_path)
    assert (tmp_path / checkpoints.FILE).read_bytes() == content
    jn.train(NET, XOR, RECIPE, epochs=2, seed=1, checkpoint=tmp_path / "other")
    with pytest.raises(ValueError, match="is the checkpoint of another run"):
        jn.train(NET, XOR, RECIPE, epochs=3, checkpoint=tmp_path / "other", resume=tmp_path)


def test_a_run_that_begins_anew_warns_that_it_replaces_its_own_checkpoint(tmp_path):
    jn.train(NET, XOR, RECIPE, epochs=2, checkpoint=tmp_path)
    content = (tmp_path / checkpoints.FILE).read_bytes()
    with pytest.warns(UserWarning, match="of this run after epoch 2, will be replaced.* resume="):
        jn.train(NET, XOR, RECIPE, epochs=2, checkpoint=tmp_path)
    assert (tmp_path / checkpoints.FILE).read_bytes() == content


@pytest.mark.parametrize(("epoch", "ending"), [(3, "interrupted"), (5, "done")])
def test_a_keyboard_interrupt_in_a_callback_ends_the_run_as_ctrl_c_does(tmp_path, epoch, ending):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        run = jn.train(
            NET, XOR, RECIPE, epochs=5, checkpoint=tmp_path, every=100,
            on_epoch=_raise_at(epoch, KeyboardInterrupt()),
        )  # fmt: skip
    expected = [
        f"interrupted after epoch 3 of 5. Call train with resume={str(tmp_path)!r} to go on."
    ]
    assert [str(warning.message) for warning in caught] == (expected if epoch < 5 else [])
    assert (run.ending, len(run.history.training_cost)) == (ending, epoch)
    arrays, _ = checkpoints.read(tmp_path)
    assert len(arrays["['history']"]) == epoch


def test_other_initial_parameters_are_another_run(tmp_path):
    net, data, recipe = jn.Network((2, 3, 2)), jn.datasets.xor(n=20), jn.Recipe(jn.sgd(0.5))
    given, other = (jn.init(net, jax.random.key(seed)) for seed in (1, 2))
    jn.train(net, data, recipe, epochs=1, params=given, checkpoint=tmp_path)
    for params in (other, None):
        with pytest.raises(ValueError, match=r"initial parameters was '[0-9a-f]{64}' and is "):
            jn.train(net, data, recipe, epochs=2, params=params, resume=tmp_path)
    arrays, header = checkpoints.read(tmp_path)
    older = {"settings": header["settings"] | {"initial parameters": "given"}}  # it had no hash
    files.write_sealed(
        tmp_path / checkpoints.FILE, checkpoints.KIND, checkpoints.FORMAT,
        {f"tree/{name}": array for name, array in arrays.items()}, older,
    )  # fmt: skip
    with pytest.raises(ValueError, match="initial parameters was 'given' and is None"):
        jn.train(net, data, recipe, epochs=2, resume=tmp_path)
    whole = jn.train(net, data, recipe, epochs=2, params=given)
    resumed = jn.train(net, data, recipe, epochs=2, params=given, resume=tmp_path)
    assert np.array_equal(whole.params[0].w, resumed.params[0].w)


def test_a_callback_may_change_the_working_directory(tmp_path, monkeypatch):
    """A relative folder is that of the directory in which the call began."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    net, data, recipe = jn.Network((2, 2)), jn.datasets.xor(n=20), jn.Recipe(jn.sgd())
    table = jn.callbacks.csv("run.csv")
    move = lambda report: os.chdir("/" if report.epoch % 2 else tmp_path / "elsewhere")
    run = jn.train(net, data, recipe, epochs=3, checkpoint="run", on_epoch=[move, table])
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "run", "run.csv"]
    assert os.listdir(tmp_path / "run") == ["checkpoint.safetensors"]
    assert os.listdir(tmp_path / "elsewhere") == []
    os.chdir(tmp_path)
    resumed = jn.train(net, data, recipe, epochs=3, resume="run")
    np.testing.assert_array_equal(resumed.params[0].w, run.params[0].w)
    sweep = lambda: jn.sweep(
        net, data, recipe, epochs=1, folder="study", log=None,
        on_progress=lambda report: os.chdir(tmp_path / "elsewhere"),
    )  # fmt: skip
    study = sweep()
    assert os.listdir(tmp_path / "elsewhere") == []
    assert study.params(0, 0)[0].w.shape == (2, 2)
