"""MLflow's runs: one for each training, and for a study a parent with a child for each network."""

import contextlib
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxnet.core.types import Params
from jaxnet.integrations.tracking import Curves
from jaxnet.io.reading import JsonObject
from jaxnet.training.run import Ending

if TYPE_CHECKING:
    from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]

KEY, EPOCHS = "jaxnet.key", "jaxnet.epochs"
"""The tags of a run: what identifies it, and, once all is written, how many epochs it has."""
MOST_METRICS, MOST_OTHERS = 800, 100
"""What is sent in one batch, metrics and parameters or tags: MLflow takes 1000 in all."""
SECONDS = 1.0
"""At least so long after a batch the next one is sent, so that short epochs wait for none."""
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
"""How long a request waits for a server, in variables that MLflow reads: some ten seconds in all.
MLflow's own default is minutes, and the training waits as long."""


@contextlib.contextmanager
def limited_patience() -> Iterator[None]:
    """Set those variables of `PATIENCE` that the person has not set, while the block runs."""
    names = [name for name in PATIENCE if name not in os.environ]
    os.environ.update({name: PATIENCE[name] for name in names})
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)


@dataclass(frozen=True)
class MlflowTool:
    """MLflow's server or store at an address."""

    uri: str | None
    """The address; `None` for MLflow's own choice."""
    experiment: str
    """The experiment that the runs are in, made if there is none."""
    name: str | None
    """The name of the runs; `None` for one that MLflow makes up."""
    label = "MLflow"

    @limited_patience()
    def training(self, key: str, parameters: JsonObject, done: int) -> "MlflowRun":
        """Begin the run of a training; see `Tool`."""
        client, experiment = self._client()
        earlier = _search(client, experiment, f"tags.`{KEY}` = '{key}'") if done and key else []
        for run in earlier:  # the latest one first
            if self.name in (None, run.info.run_name):
                client.update_run(run.info.run_id, status="RUNNING")
                return MlflowRun(client, run.info.run_id, {}, _last_step(client, run))
        run = client.create_run(experiment, tags={KEY: key}, run_name=self.name)
        return MlflowRun(client, run.info.run_id, parameters)

    @limited_patience()
    def study(self, key: str, kind: str) -> "MlflowStudy":
        """The parent run of a study; see `Tool`."""
        client, experiment = self._client()
        name = self.name or kind
        known = _search(client, experiment, f"tags.`{KEY}` = '{key}'")
        parents = [run.info.run_id for run in known if run.info.run_name == name]
        if not parents:
            run = client.create_run(experiment, tags={KEY: key}, run_name=name)
            parents = [run.info.run_id]
        client.update_run(parents[0], status="RUNNING")
        return MlflowStudy(client, experiment, parents[0])

    def _client(self) -> tuple["MlflowClient", str]:
        """MLflow's client, and the number of the experiment."""
        from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]

        client = MlflowClient(self.uri)
        experiment = client.get_experiment_by_name(self.experiment)
        if experiment is not None:
            return client, experiment.experiment_id
        return client, client.create_experiment(self.experiment)


class MlflowRun:
    """A run of MLflow that is being written, in batches."""

    def __init__(
        self, client: "MlflowClient", run_id: str, parameters: JsonObject, last: int = 0
    ) -> None:
        from mlflow.entities import Param  # pyright: ignore[reportMissingImports]

        self.client, self.run_id = client, run_id
        self.last = last
        """The last epoch that was written."""
        self.parameters = [Param(name, str(value)) for name, value in parameters.items()]
        self.metrics: list[Any] = []
        self.tags: list[Any] = []
        self.sent_at = time.perf_counter()

    def log(self, first: int, curves: Curves) -> None:
        """Write epochs; see `OpenRun`."""
        from mlflow.entities import Metric  # pyright: ignore[reportMissingImports]

        now = int(time.time() * 1000)
        self.metrics += [
            Metric(name, number, now, epoch)
            for name, curve in curves.items()
            for epoch, number in enumerate(np.asarray(curve, float).tolist(), start=first)
            if epoch > self.last and not math.isnan(number)
        ]
        self.last = max(self.last, first - 1 + max(map(len, curves.values()), default=0))
        if time.perf_counter() - self.sent_at >= SECONDS:
            self._send()

    @limited_patience()
    def _send(self) -> None:
        """Send all that waits, mostly in one batch: a database takes longest to commit each."""
        while self.metrics or self.parameters or self.tags:
            self.client.log_batch(
                self.run_id,
                metrics=self.metrics[:MOST_METRICS],
                params=self.parameters[:MOST_OTHERS],
                tags=self.tags[:MOST_OTHERS],
            )
            del self.metrics[:MOST_METRICS], self.parameters[:MOST_OTHERS], self.tags[:MOST_OTHERS]
        self.sent_at = time.perf_counter()

    def log_weights(self, epoch: int, params: Params) -> None:
        """MLflow draws no distributions; see `OpenRun`."""

    @limited_patience()
    def end(
        self,
        ending: Ending | None,
        results: Mapping[str, float | str],
        files: Sequence[Path],
    ) -> None:
        """Write the results, and close the run; see `OpenRun`."""
        from mlflow.entities import Metric, RunTag  # pyright: ignore[reportMissingImports]

        for path in files:
            self.client.log_artifact(self.run_id, str(path))
        now = int(time.time() * 1000)
        for name, result in results.items():
            if isinstance(result, str):
                self.tags.append(RunTag(name, result))
            elif not math.isnan(result):
                self.metrics.append(Metric(name, float(result), now, self.last))
        if ending is not None:
            self.tags.append(RunTag(EPOCHS, str(self.last)))
        self._send()
        status = {None: "FAILED", "diverged": "FAILED", "interrupted": "KILLED"}
        self.client.set_terminated(self.run_id, status.get(ending, "FINISHED"))


class MlflowStudy:
    """The parent run of a study in MLflow."""

    def __init__(self, client: "MlflowClient", experiment: str, run_id: str) -> None:
        self.client, self.experiment = client, experiment
        self.run = MlflowRun(client, run_id, {})
        self.ids: dict[str, str] = {}
        self.finished: dict[str, int] = {}
        for child in _search(client, experiment, f"tags.`mlflow.parentRunId` = '{run_id}'"):
            key, epochs = child.data.tags.get(KEY, ""), child.data.tags.get(EPOCHS)
            self.ids[key] = child.info.run_id
            if epochs is not None and child.info.status != "RUNNING":
                self.finished[key] = int(epochs)

    @limited_patience()
    def network(self, key: str, name: str, parameters: JsonObject) -> MlflowRun:
        """Begin the run of a network; see `OpenStudy`."""
        if key in self.ids:
            self.client.delete_run(self.ids[key])
        tags = {KEY: key, "mlflow.parentRunId": self.run.run_id}
        run = self.client.create_run(self.experiment, tags=tags, run_name=name)
        return MlflowRun(self.client, run.info.run_id, parameters)

    def end(
        self,
        ending: Ending | None,
        results: Mapping[str, float | str],
        files: Sequence[Path],
    ) -> None:
        """Write the results of the study; see `OpenStudy`."""
        self.run.end(ending, results, files)


def _search(client: "MlflowClient", experiment: str, condition: str) -> list[Any]:
    """All runs of an experiment on a condition, the latest first."""
    runs, token = [], None
    while True:
        page = client.search_runs([experiment], condition, page_token=token)
        runs, token = [*runs, *page], page.token
        if not token:
            return runs


def _last_step(client: "MlflowClient", run: Any) -> int:
    """The last epoch of a run."""
    if not run.data.metrics:
        return 0
    name = "seconds" if "seconds" in run.data.metrics else min(run.data.metrics)
    return max(metric.step for metric in client.get_metric_history(run.info.run_id, name))
