"""MLflow, Weights & Biases and TensorBoard: their own readers give back what was trained."""

import copy
import importlib.util
import json
import math
import os
import pickle
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest

import jaxnet as jn
from jaxnet.integrations import Tracker

DATA, OTHER_DATA = jn.datasets.xor(n=60), jn.datasets.xor(n=60, seed=1)
NET = jn.Network((2, 4, 2))
RECIPE = jn.Recipe(jn.sgd(0.5), l2=0.1)
COMPARISON = Path(__file__).parents[1] / "data" / "version_0_2_0" / "comparison"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def _needs(*modules):
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{' and '.join(missing)} is not installed")


needs_mlflow = _needs("mlflow", "sqlalchemy", "alembic")
needs_wandb = _needs("wandb")
needs_tensorboard = _needs("tensorboard")


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """Tools write to the working directory and to the user's folders."""
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="module")
def study():
    """Two recipes, one of which diverges, under two seeds, in two folds."""
    recipe = jn.Recipe(jn.sgd([0.5, 1e30]), l2=0.1)
    linear = jn.Network((2, 3, 2), jn.activations.linear, jn.costs.Quadratic(jn.activations.linear))
    return jn.sweep(
        linear, DATA, recipe, seeds=2, epochs=3, resample=jn.resampling.k_fold(2),
        evaluate_on=("training",), standardize=True, log=None,
    )  # fmt: skip


class _Store:
    """An experiment of MLflow, read by MLflow's client."""

    def __init__(self, uri, experiment):
        from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]

        self.uri, self.experiment, self.client = uri, experiment, MlflowClient(uri)

    def tracker(self, name=None):
        return jn.callbacks.mlflow(self.uri, self.experiment, name)

    def runs(self, condition=""):
        number = self.client.get_experiment_by_name(self.experiment).experiment_id
        return list(self.client.search_runs([number], condition))

    def curve(self, run, name):
        history = self.client.get_metric_history(run.info.run_id, name)
        history = sorted(history, key=lambda metric: metric.step)
        return [metric.step for metric in history], [metric.value for metric in history]

    def files(self, run):
        return {file.path for file in self.client.list_artifacts(run.info.run_id)}

    def file(self, run, name):
        return self.client.download_artifacts(run.info.run_id, name)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """The address of a database, which takes seconds to make."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture
def store(database, request):
    """An experiment of the test's own."""
    return _Store(database, request.node.name)


def _scalars(folder):
    """The curves in a folder, by TensorBoard's own reader."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # pyright: ignore[reportMissingImports]

    events = EventAccumulator(str(folder)).Reload()
    return {
        tag: ([event.step for event in events.Scalars(tag)],
              [event.value for event in events.Scalars(tag)])
        for tag in events.Tags()["scalars"]
    }  # fmt: skip


def _wandb_records(folder):
    """The records in a run's file: messages in the parts of LevelDB's log format."""
    from wandb.proto.wandb_internal_pb2 import Record  # pyright: ignore[reportMissingImports]

    (path,) = folder.glob("run-*.wandb")
    content, at, parts, records = path.read_bytes(), 7, [], []
    while at + 7 <= len(content):
        if (room := 32768 - at % 32768) < 7:  # a block ends with zeros
            at += room
            continue
        length, kind = struct.unpack("<HB", content[at + 4 : at + 7])
        parts.append(content[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in (1, 4):  # the whole of a message, or its last part
            records.append(Record.FromString(b"".join(parts)))
            parts = []
    return records


def _wandb_curves(folder):
    curves = {}
    for record in _wandb_records(folder):
        if record.WhichOneof("record_type") == "history":
            row = {item.key or ".".join(item.nested_key): json.loads(item.value_json)
                   for item in record.history.item}  # fmt: skip
            for name, number in row.items():
                curves.setdefault(name, []).append((row["_step"], number))
    return curves


def _wandb_run(folder):
    """The run record of a folder, with its settings by name."""
    record = next(r.run for r in _wandb_records(folder) if r.WhichOneof("record_type") == "run")
    return record, {item.key: json.loads(item.value_json) for item in record.config.update}


def _trained(tracker, **options):
    return jn.train(NET, DATA, RECIPE, epochs=3, on_epoch=tracker, **options)


@needs_mlflow
def test_mlflow_has_the_settings_curves_results_and_network_of_a_training(store):
    run = _trained(store.tracker("first"), monitors=jn.Monitors(("weight_norm",)))
    (logged,) = store.runs()
    assert (logged.info.run_name, logged.info.status) == ("first", "FINISHED")
    parameters = {"network": "2-4-2", "optimizer": "sgd", "learning_rate": "0.5", "seed": "0",
                  "batch_size": "10", "examples": "60", "epochs": "3"}  # fmt: skip
    assert parameters.items() <= logged.data.params.items()
    for name, curve in run.history.curves.items():
        assert store.curve(logged, name) == ([1, 2, 3], np.asarray(curve, float).tolist())
    norms = store.curve(logged, "weight_norm/layer_2")[1]
    np.testing.assert_allclose(norms, run.history.monitors["weight_norm"].mean(axis=1)[:, 1])
    assert logged.data.metrics["best_epoch"] == run.best_epoch
    best = run.history.evaluation_accuracy[run.best_epoch - 1]
    assert logged.data.metrics["best_evaluation_accuracy"] == best
    assert store.files(logged) == {"network.safetensors", "run.html"}
    _, params = jn.load(store.file(logged, "network.safetensors"))
    np.testing.assert_array_equal(params[1].w, run.best_params[1].w)


@needs_mlflow
def test_a_resumed_training_goes_on_in_its_run(store, tmp_path):
    for epochs, options in ((2, {"checkpoint": tmp_path}), (4, {"resume": tmp_path})):
        tracker = store.tracker()
        run = jn.train(NET, DATA, RECIPE, epochs=epochs, on_epoch=tracker, **options)
    (logged,) = store.runs()
    costs = np.asarray(run.history.training_cost, float).tolist()
    assert store.curve(logged, "training_cost") == ([1, 2, 3, 4], costs)
    assert logged.info.status == "FINISHED"
    _trained(tracker)  # a new training is a new run
    assert len(store.runs()) == 2


@needs_mlflow
def test_a_resumed_training_goes_on_in_no_run_of_other_data(store, tmp_path):
    tracker = store.tracker()
    for name, data in (("first", DATA), ("second", OTHER_DATA)):
        jn.train(NET, data, RECIPE, epochs=1, on_epoch=tracker, checkpoint=tmp_path / name)
    run = jn.train(NET, DATA, RECIPE, epochs=2, on_epoch=tracker, resume=tmp_path / "first")
    second, first = store.runs()  # the latest one first
    costs = np.asarray(run.history.training_cost, float).tolist()
    assert store.curve(first, "training_cost") == ([1, 2], costs)
    assert store.curve(second, "training_cost")[0] == [1]


@needs_mlflow
def test_the_end_of_a_training_is_the_status_of_its_run(store):
    def fail(report):
        raise RuntimeError("not the tracker's")

    with pytest.raises(RuntimeError, match="not the tracker's"):
        _trained([store.tracker("error"), fail])
    stopping = jn.Recipe(jn.sgd(0.0), stopping=jn.stopping.no_improvement_in(1))
    run = jn.train(NET, DATA, stopping, epochs=9, on_epoch=store.tracker("stopped"))
    assert run.ending == "stopped"
    status = {run.info.run_name: run.info.status for run in store.runs()}
    assert status == {"error": "FAILED", "stopped": "FINISHED"}


@needs_mlflow
def test_mlflow_gives_back_the_curves_of_every_network_of_a_study(study, store, monkeypatch):
    from jaxnet.integrations.mlflow_runs import MlflowRun

    tracker = store.tracker("linear")
    monkeypatch.setattr(MlflowRun, "end", _failing_after(3, MlflowRun.end))
    with pytest.warns(UserWarning, match="MLflow failed"):
        assert jn.track(study, tracker) == 3
    monkeypatch.undo()
    assert jn.track(study, tracker) == 5  # the one that was begun is written anew
    assert jn.track(study, tracker) == 0
    (parent,) = store.runs("attributes.run_name = 'linear'")
    children = store.runs(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert len(children) == study.epochs.size == 8
    assert parent.data.metrics["networks"] == 8
    assert store.files(parent) == {"leaderboard.csv", "study.html"}
    for run in children:
        places = tuple(int(run.data.params[name]) for name in ("recipe", "seed", "fold"))
        n_epochs = study.epochs[places]
        for name, curve in study.history.curves.items():
            own = np.asarray(curve[places][:n_epochs], float)
            was_evaluated = not np.isnan(own).all()
            expected = (list(range(1, n_epochs + 1)), own.tolist()) if was_evaluated else ([], [])
            assert store.curve(run, name) == expected
        has_diverged = study.diverged_epoch[places] > 0
        assert run.info.status == ("FAILED" if has_diverged else "FINISHED")
        assert run.data.tags["ending"] == study.ending(*places)
        if has_diverged:
            assert store.files(run) == set()
            continue
        assert run.data.metrics["score"] == study.score[places]
        outputs = jn.Ensemble.load(store.file(run, "network.safetensors")).predict(DATA.test.x)
        np.testing.assert_allclose(outputs, study.predict(DATA.test.x)[places], atol=1e-5)


def _failing_after(n_calls, function):
    """A function that works so many times, and then raises."""
    calls = iter(range(n_calls))

    def wrapped(*args):
        if next(calls, None) is None:
            raise OSError("the disk is full")
        return function(*args)

    return wrapped


@needs_tensorboard
def test_tensorboard_gives_back_the_curves_of_every_network_of_a_study(study, tmp_path):
    tracker = jn.callbacks.tensorboard("runs")
    assert jn.track(study, tracker) == 8
    (tmp_path / "runs").joinpath("recipe-0-seed-0-fold-0-0").mkdir()  # of somebody else
    finished = next((tmp_path / "runs").glob("recipe-0-seed-1-fold-1-*/*.finished"))
    finished.unlink()  # as if the call had been killed
    assert jn.track(study, tracker) == 1
    assert jn.track(study, tracker) == 0
    for places in np.ndindex(study.epochs.shape):
        recipe, seed, fold = places
        (folder,) = (tmp_path / "runs").glob(f"recipe-{recipe}-seed-{seed}-fold-{fold}-?" + "?" * 7)
        n_epochs, scalars = study.epochs[places], _scalars(folder)
        for name, curve in study.history.curves.items():
            own, tag = np.asarray(curve[places][:n_epochs]), name.replace("_", "/", 1)
            if np.isnan(own).all():
                assert tag not in scalars
                continue
            assert scalars[tag][0] == list(range(1, n_epochs + 1))
            np.testing.assert_array_equal(np.float32(scalars[tag][1]), np.float32(own))
        if not study.diverged_epoch[places]:
            assert scalars["score"][1] == [pytest.approx(study.score[places])]


def test_studies_of_other_data_with_equal_settings_stand_side_by_side(tmp_path):
    pytest.importorskip("tensorboardX")
    studies = [jn.sweep(NET, data, RECIPE, epochs=1, log=None) for data in (DATA, OTHER_DATA)]
    tracker = jn.callbacks.tensorboard("runs")
    assert [jn.track(study, tracker) for study in studies] == [1, 1]
    assert [jn.track(study, tracker) for study in studies] == [0, 0]
    assert len(list((tmp_path / "runs").iterdir())) == 2


@needs_tensorboard
def test_tensorboard_has_the_settings_of_a_training(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # pyright: ignore[reportMissingImports]
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData  # pyright: ignore[reportMissingImports]

    _trained(jn.callbacks.tensorboard(tmp_path / "runs"))
    events = EventAccumulator(str(tmp_path / "runs")).Reload()
    content = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["learning_rate"].number_value == 0.5
    assert settings["network"].string_value == "2-4-2"


@needs_wandb
def test_wandb_has_the_settings_curves_results_and_network_of_a_training(tmp_path):
    run = _trained(jn.callbacks.wandb(name="first"))
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    record, settings = _wandb_run(folder)
    assert (record.display_name, record.project) == ("first", "jaxnet")
    assert settings["learning_rate"] == 0.5
    curves = _wandb_curves(folder)
    for name, curve in run.history.curves.items():
        expected = list(enumerate(np.asarray(curve, float).tolist(), start=1))
        assert curves[name] == expected
    records = _wandb_records(folder)
    assert any(record.HasField("exit") for record in records)
    summary = {item.key: json.loads(item.value_json) for record in records
               if record.HasField("summary") for item in record.summary.update}  # fmt: skip
    assert (summary["best_epoch"], summary["ending"]) == (run.best_epoch, "done")
    artifacts = [record.artifact for record in records if record.HasField("artifact")]
    artifacts += [record.request.log_artifact.artifact for record in records
                  if record.request.HasField("log_artifact")]  # fmt: skip
    assert {entry.path for entry in artifacts[0].manifest.contents} == {
        "network.safetensors", "run.html"
    }  # fmt: skip


@needs_wandb
def test_wandb_has_a_group_of_runs_for_a_study(tmp_path):
    recipe = jn.Recipe(jn.sgd([0.1, 1.0]))
    study = jn.sweep(NET, DATA, recipe, epochs=2, log=None)
    tracker = jn.callbacks.wandb(name="rates")
    assert (jn.track(study, tracker), jn.track(study, tracker)) == (2, 0)
    runs = [_wandb_run(folder) for folder in sorted((tmp_path / "wandb").glob("offline-run-*"))]
    assert {record.run_group for record, _ in runs} == {"rates"}
    assert sorted(record.job_type for record, _ in runs) == ["network", "network", "study"]
    longer = jn.sweep(NET, DATA, recipe, epochs=3, log=None)
    assert jn.track(longer, tracker) == 2  # trained for longer: written anew, in place
    folders = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert len(folders) == 3
    for folder in folders:
        record, settings = _wandb_run(folder)
        if record.job_type == "network":
            curve = [number for _, number in _wandb_curves(folder)["evaluation_cost"]]
            place = settings["recipe"]
            np.testing.assert_array_equal(curve, longer.history.evaluation_cost[place, 0])


@needs_wandb
def test_a_resumed_training_goes_on_in_its_run_of_wandb(tmp_path):
    for epochs, options in ((2, {"checkpoint": tmp_path}), (4, {"resume": tmp_path})):
        tracker = jn.callbacks.wandb()
        jn.train(NET, DATA, RECIPE, epochs=epochs, on_epoch=tracker, **options)
    folders = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert len({_wandb_run(folder)[0].run_id for folder in folders}) == 1
    steps = [step for folder in folders for step, _ in _wandb_curves(folder)["training_cost"]]
    assert steps == [1, 2, 3, 4]


@needs_tensorboard
def test_a_comparison_has_a_run_for_each_network(tmp_path):
    comparison = jn.comparison.comparison_folder.read(COMPARISON)
    tracker, n_runs = jn.callbacks.tensorboard("runs"), len(comparison.runs)
    assert (jn.track(comparison, tracker), jn.track(comparison, tracker)) == (n_runs, 0)
    names = ("phase", "optimizer", "trial", "seed")
    for run in comparison.runs[:: n_runs // 5]:
        place = [run[name] for name in names]
        (folder,) = (tmp_path / "runs").glob("-".join(map(str, place)) + "-" + "?" * 8)
        rows = [row for row in comparison.curves if [row[name] for name in names] == place]
        curve = np.float32([row["valid_cost"] for row in rows])
        np.testing.assert_array_equal(np.float32(_scalars(folder)["valid_cost"][1]), curve)


class FailingTool:
    """A tool whose writes raise from some epoch on."""

    label = "Failing"

    def __init__(self, first_bad):
        self.first_bad, self.logged, self.results = first_bad, [], None

    def training(self, key, parameters, done):
        if self.first_bad == 0:
            raise ConnectionError("nobody answers")
        return self

    def study(self, key, kind):
        raise NotImplementedError

    def log(self, first, curves):
        if first >= self.first_bad:
            raise OSError("the disk is full")
        self.logged.append((first, float(curves["training_cost"][0])))

    def log_weights(self, epoch, params):
        pass

    def end(self, ending, results, files):
        self.results = results
        if self.first_bad == math.inf:
            raise OSError("the disk is full")


@pytest.mark.parametrize("first_bad", [0, 2, math.inf])
def test_a_tracker_that_fails_never_harms_a_training(first_bad):
    alone, tool = _trained(None), FailingTool(first_bad)
    with pytest.warns(UserWarning, match=r"^Failing failed \(\w+Error: ") as caught:
        run = _trained(Tracker(tool))
    assert len(caught) == 1
    assert (run.ending, run.best_epoch) == ("done", alone.best_epoch)
    np.testing.assert_array_equal(run.params[0].w, alone.params[0].w)
    n_logged = int(min(max(first_bad - 1, 0), 3))
    costs = np.asarray(alone.history.training_cost, float)
    assert tool.logged == list(enumerate(costs[:n_logged].tolist(), start=1))
    assert (tool.results is None) == (first_bad < math.inf)


@needs_mlflow
def test_mlflow_waits_for_no_dead_server_for_long(monkeypatch):
    """Its own default is minutes. What the person has set, and the process afterwards, stays."""
    import requests

    waits, names = [], ["TIMEOUT", "MAX_RETRIES", "BACKOFF_FACTOR"]
    names = [f"MLFLOW_HTTP_REQUEST_{name}" for name in names]
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(names[2], "0")  # seconds between the tries

    def refuse(session, method, url, **options):
        retry = session.get_adapter(url).max_retries
        waits.append((options["timeout"], retry.total, retry.backoff_factor))
        raise requests.ConnectionError("refused")

    monkeypatch.setattr(requests.Session, "request", refuse)
    with pytest.warns(UserWarning, match="MLflow failed") as caught:
        run = _trained(jn.callbacks.mlflow("http://127.0.0.1:9"))
    assert (run.ending, len(caught)) == ("done", 1)
    assert waits == [(5, 1, 0)]
    assert [os.environ.get(name) for name in names] == [None, None, "0"]


@needs_wandb
def test_wandb_waits_for_no_dead_server_for_long(monkeypatch):
    import wandb  # pyright: ignore[reportMissingImports]

    settings = []

    def refuse(**options):
        settings.append(options["settings"])
        raise OSError("refused")

    monkeypatch.setattr(wandb, "init", refuse)
    for _ in range(2):
        with pytest.warns(UserWarning, match="Biases failed") as caught:
            run = _trained(jn.callbacks.wandb(mode="online"))
        assert (run.ending, len(caught)) == ("done", 1)
        monkeypatch.setenv("WANDB_INIT_TIMEOUT", "77")
    set_here = [part.model_fields_set & {"init_timeout"} for part in settings]
    assert (settings[0].init_timeout, set_here) == (10, [{"init_timeout"}, set()])


def test_a_tracker_tries_again_in_the_next_training():
    tool = FailingTool(2)
    tracker = Tracker(tool)
    with pytest.warns(UserWarning, match="Failing failed"):
        _trained(tracker)
    tool.first_bad = 9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _trained(tracker)
    assert [epoch for epoch, _ in tool.logged] == [1, 1, 2, 3]


class RecordingTool(FailingTool):
    """A tool that keeps the runs which it is asked for, each as its epochs and its ending."""

    def __init__(self):
        super().__init__(math.nan)
        self.runs = []

    def training(self, key, parameters, done):
        self.runs.append(([], []))
        return self

    def log(self, first, curves):
        self.runs[-1][0].append(first)

    def end(self, ending, results, files):
        self.runs[-1][1].append(ending)


def test_a_loop_of_ones_own_that_breaks_off_leaves_no_run_for_the_next():
    reports, tool = [], RecordingTool()
    _trained(reports.append)
    tracker = Tracker(tool)
    for report in (*reports[:2], *reports):
        tracker(report)
    _trained(tracker)
    assert tool.runs == [
        ([1, 2], ["interrupted"]), ([1, 2, 3], ["done"]), ([1, 2, 3], ["done"])
    ]  # fmt: skip


def test_what_failed_to_be_tracked_is_said_to_go_on_by_the_same_call():
    study = jn.sweep(NET, DATA, RECIPE, epochs=1, log=None)
    with pytest.warns(UserWarning, match=r"to it, and the same call goes on from there\.$"):
        assert jn.track(study, Tracker(FailingTool(0))) == 0


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_without_the_tool_the_message_says_what_to_install(monkeypatch, name):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda module: None if module == name else find_spec(module)
    )
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'jaxnet-mlp\[{name}\]'"):
        getattr(jn.callbacks, name)()


@needs_mlflow
@needs_wandb
def test_a_tracker_is_copied_with_its_tool():
    for tracker in (jn.callbacks.mlflow("sqlite:///x.db", name="x"), jn.callbacks.wandb(name="x")):
        for copied in (pickle.loads(pickle.dumps(tracker)), copy.deepcopy(tracker)):
            assert copied.tool == tracker.tool
