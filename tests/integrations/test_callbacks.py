import copy
import csv
import pickle
import signal
import struct
import sys

import numpy as np
import pytest

import jaxnet as jn
from jaxnet.training.run import EpochReport

XOR = jn.datasets.xor(n=100)
NET = jn.Network((2, 4, 2))
HEADER = (
    "epoch,evaluation_cost,evaluation_accuracy,training_cost,training_accuracy,learning_rate,"
    "best_epoch,seconds"
)
OLDER_HEADER, HEADER = HEADER, f"{HEADER},evaluation_data_cost,training_data_cost"
RECIPE = jn.Recipe(jn.sgd(0.5), schedule=jn.schedules.exponential(0.5))


def test_a_csv_file_has_a_line_an_epoch_however_often_the_run_is_resumed(tmp_path):
    path = tmp_path / "run.csv"
    options = {"on_epoch": jn.callbacks.csv(path), "checkpoint": tmp_path, "every": 2}
    run = jn.train(NET, XOR, RECIPE, epochs=2, **options)
    # An epoch that was written, and lost with the power: the run goes on from epoch 2.
    lost = path.read_text() + "3,0,0,0,0,0,0,0,0,0\n"
    path.write_text(lost)
    run = jn.train(NET, XOR, RECIPE, epochs=4, resume=tmp_path, on_epoch=jn.callbacks.csv(path))
    with open(path) as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    for name, curve in run.history.curves.items():
        np.testing.assert_allclose([float(row[name]) for row in rows], curve, rtol=1e-6)
    rates = [float(row["learning_rate"]) for row in rows]
    assert rates == pytest.approx([0.5 * 0.5 ** (epoch - 1 / 10) for epoch in (1, 2, 3, 4)])


@pytest.mark.parametrize(
    "content", [b"hello,world\n", b"", b"\xff\xfe\n", b'"', HEADER.encode() + b"\nfirst,0,0\n"]
)
def test_a_file_of_another_kind_is_not_overwritten(tmp_path, content):
    (tmp_path / "notes.csv").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"notes.csv is not a file of the CSV callback: .*; choose another name"
    ):
        jn.callbacks.csv(tmp_path / "notes.csv")


def test_a_callback_that_was_copied_to_another_process_writes_the_same(tmp_path):
    """`concurrent.futures` sends it there by pickle."""
    for name, make in (("run.csv", jn.callbacks.csv), ("events", jn.callbacks.tensorboard)):
        original = make(tmp_path / name)
        for callback in (pickle.loads(pickle.dumps(original)), copy.deepcopy(original)):
            jn.train(NET, XOR, RECIPE, epochs=1, on_epoch=callback)
        jn.train(NET, XOR, RECIPE, epochs=1, on_epoch=original)
        pickle.dumps(original)  # also after it has opened its file
    assert (tmp_path / "run.csv").read_text().startswith(HEADER + "\n1,")
    assert len(list((tmp_path / "events").iterdir())) >= 1


def test_a_csv_file_of_version_0_2_goes_on_with_data_costs(tmp_path):
    (tmp_path / "run.csv").write_text(f"{OLDER_HEADER}\n1,0.5,0.25,1e-05,nan,0.1,1,0.125\n")
    callback = jn.callbacks.csv(tmp_path / "run.csv")
    nan = float("nan")
    callback(EpochReport(2, 9, 0.1, 1.0, nan, nan, 0.30000000000000004, 2, 3.5, (), {}, 0.05))
    assert (tmp_path / "run.csv").read_bytes().decode() == (
        f"{HEADER}\n1,0.5,0.25,1e-05,nan,0.1,1,0.125,nan,nan\n"
        "2,0.1,1.0,nan,nan,0.30000000000000004,2,3.5,0.05,nan\n"
    )


def _events(folder):
    """The scalars in a folder's event files, read from the bytes of their records."""
    from tensorboardX.proto.event_pb2 import Event

    events_by_tag = {}
    for path in sorted(folder.glob("events.*")):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]
            for value in event.summary.value:
                if value.WhichOneof("value") == "simple_value":
                    events_by_tag.setdefault(value.tag, []).append((event.step, value.simple_value))
    return events_by_tag


def test_tensorboard_gets_curves_and_monitors(tmp_path):
    monitors = jn.Monitors(("weight_norm",))
    run = jn.train(
        NET, XOR, RECIPE, epochs=2, monitors=monitors, on_epoch=jn.callbacks.tensorboard(tmp_path)
    )
    events = _events(tmp_path)
    costs = [number for _, number in events["training/cost"]]
    np.testing.assert_allclose(costs, run.history.training_cost, rtol=1e-6)
    assert [step for step, _ in events["evaluation/accuracy"]] == [1, 2]
    assert [step for step, _ in events["evaluation/data_cost"]] == [1, 2]
    assert [step for step, _ in events["learning_rate"]] == [1, 2]
    norms = [number for _, number in events["weight_norm/layer_2"]]
    np.testing.assert_allclose(norms, run.monitors["weight_norm"][:, 1], rtol=1e-6)


def test_without_tensorboardx_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxnet-mlp\[tensorboard\]'"):
        jn.callbacks.tensorboard("runs")


class _Recorder:
    """A callback that notes what `train` tells it."""

    def __init__(self):
        self.begun, self.data, self.epochs, self.ended = [], [], [], []

    def begin(self, start):
        self.begun.append((start.network, start.seed, start.examples, start.epochs, start.done))
        self.data.append(start.data_sha256)

    def __call__(self, report):
        self.epochs.append(report.epoch)

    def end(self, run):
        self.ended.append(run)


def test_a_callback_with_begin_and_end_is_told_of_the_whole_run(tmp_path):
    recorder, n_examples = _Recorder(), len(XOR.train.x)
    first = jn.train(NET, XOR, RECIPE, epochs=2, seed=3, on_epoch=recorder, checkpoint=tmp_path)
    second = jn.train(NET, XOR, RECIPE, epochs=3, seed=3, on_epoch=recorder, resume=tmp_path)
    assert recorder.begun == [(NET, 3, n_examples, 2, 0), (NET, 3, n_examples, 3, 2)]
    assert recorder.epochs == [1, 2, 3]
    assert recorder.ended[0] is first
    assert recorder.ended[1] is second

    def fail(report):
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        jn.train(NET, jn.datasets.xor(n=100, seed=1), RECIPE, epochs=2, on_epoch=[recorder, fail])
    assert recorder.data[0] == recorder.data[1] != recorder.data[2]
    assert (recorder.epochs, recorder.ended[2:]) == ([1, 2, 3, 1], [None])


def test_every_beginning_has_one_end_also_without_epochs():
    recorder = _Recorder()
    run = jn.train(NET, XOR, RECIPE, epochs=0, on_epoch=recorder)
    assert recorder.begun == [(NET, 0, len(XOR.train.x), 0, 0)]
    assert (recorder.epochs, len(recorder.ended)) == ([], 1)
    assert recorder.ended[0] is run


def test_a_callback_that_could_not_begin_is_not_told_of_the_end():
    first, second, third = _Recorder(), _Recorder(), _Recorder()

    def refuse(start):
        raise OSError("the disk is full")

    second.begin = refuse
    with pytest.raises(OSError, match="the disk is full"):
        jn.train(NET, XOR, RECIPE, epochs=1, on_epoch=[first, second, third])
    assert (first.ended, second.ended, third.ended) == ([None], [], [])


def test_ctrl_c_at_the_end_of_a_callback_keeps_the_finished_run():
    slow, recorder = _Recorder(), _Recorder()
    slow.end = lambda run: signal.raise_signal(signal.SIGINT)
    # A process in the background of a shell ignores Ctrl-C.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.warns(RuntimeWarning, match=r"^Ctrl-C ended a callback's end"):
            run = jn.train(NET, XOR, RECIPE, epochs=1, on_epoch=[slow, recorder])
    finally:
        signal.signal(signal.SIGINT, previous)
    assert (run.ending, len(run.history.training_cost)) == ("done", 1)
    assert recorder.ended[0] is run
