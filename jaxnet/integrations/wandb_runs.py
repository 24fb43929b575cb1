"""Weights & Biases' runs: one for each training, and for a study a group of runs."""

import os
import re
import secrets
import shutil
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jaxnet.core.types import Params
from jaxnet.integrations.tracking import Curves, key_of
from jaxnet.io.reading import JsonObject
from jaxnet.training.run import Ending

if TYPE_CHECKING:
    import wandb  # pyright: ignore[reportMissingImports]

Mode = Literal["offline", "online"]
FINISHED = "finished"
"""The suffix of an empty file in a run's folder, made last and called by the number of epochs."""
PATIENCE = {"init_timeout": 10.0, "finish_timeout": 30.0, "finish_timeout_raises": True}
"""How long W&B waits for a server, in seconds: to begin a run, and to send the rest of one. By its
own default a training would wait for 90 seconds, and at the end for ever."""


@dataclass(frozen=True)
class WandbTool:
    """A project of Weights & Biases, and the folder that its runs are written to."""

    folder: Path
    """The folder, absolute; W&B makes the folder `wandb` in it."""
    project: str
    """The project that the runs belong to."""
    name: str | None
    """The name of the runs; `None` for one that W&B makes up."""
    mode: Mode
    """Whether runs are sent while they are written."""
    label = "Weights & Biases"

    def training(self, key: str, parameters: JsonObject, done: int) -> "WandbRun":
        """Begin the run of a training; see `Tool`."""
        earlier = sorted(self._folders(f"{key}-*")) if done and key else []
        if earlier:
            run = self.begin(_id_of(earlier[-1]), self.name, parameters, resume="allow")
            return WandbRun(run, _epochs(earlier[-1]) or 0)
        run_id = f"{key or key_of(parameters)}-{secrets.token_hex(4)}"
        return WandbRun(self.begin(run_id, self.name, parameters))

    def study(self, key: str, kind: str) -> "WandbStudy":
        """The parent run of a study; see `Tool`."""
        name = self.name or kind
        return WandbStudy(self, key_of(key, name), name)

    def begin(
        self, run_id: str, name: str | None, parameters: JsonObject, **options: Any
    ) -> "wandb.Run":
        """Begin a run.

        Args:
          run_id: its identity in the project.
          name: its name.
          parameters: its settings.
          **options: further ones of `wandb.init`.
        """
        import wandb  # pyright: ignore[reportMissingImports]

        self.folder.mkdir(parents=True, exist_ok=True)
        is_in_study = options.get("job_type") == "network"
        settings = wandb.Settings(
            silent=True, console="off", x_disable_stats=True, disable_git=True, save_code=False,
            # Listing the installed packages takes most of the time, and the study's run has them.
            x_save_requirements=not is_in_study, **_patience(wandb.Settings.model_fields),
        )  # fmt: skip
        return wandb.init(
            project=self.project, dir=str(self.folder), mode=self.mode, id=run_id, name=name,
            config=parameters, reinit="create_new", settings=settings, **options,
        )  # fmt: skip

    def _folders(self, run_id: str) -> list[Path]:
        """The folders of a run."""
        return list((self.folder / "wandb").glob(f"*run-*-{run_id}"))

    def finished(self) -> dict[str, int]:
        """The epochs of each finished run, by its identity."""
        epochs = {_id_of(path): _epochs(path) for path in self._folders("*")}
        return {name: n for name, n in epochs.items() if n is not None}

    def remove(self, run_id: str) -> None:
        """Remove the folders of a run.

        Args:
          run_id: its identity.
        """
        for path in self._folders(run_id):
            shutil.rmtree(path)


class WandbRun:
    """A run of Weights & Biases that is being written."""

    def __init__(self, run: "wandb.Run", last: int = 0) -> None:
        self.run, self.last = run, last

    def log(self, first: int, curves: Curves) -> None:
        """Write epochs; see `OpenRun`."""
        n_epochs = max(map(len, curves.values()), default=0)
        for row in range(n_epochs):
            if first + row > self.last:
                numbers = {name: float(curve[row]) for name, curve in curves.items()}
                finite = {name: x for name, x in numbers.items() if not np.isnan(x)}
                self.run.log(finite, step=first + row)
        self.last = max(self.last, first - 1 + n_epochs)

    def log_weights(self, epoch: int, params: Params) -> None:
        """Only curves are written; see `OpenRun`."""

    def end(
        self,
        ending: Ending | None,
        results: Mapping[str, float | str],
        files: Sequence[Path],
    ) -> None:
        """Write the results, and close the run; see `OpenRun`."""
        import wandb  # pyright: ignore[reportMissingImports]

        self.run.summary.update(dict(results))
        if files:
            artifact = wandb.Artifact(f"{self.run.id}-files", type="results")
            for path in files:
                artifact.add_file(str(path))
            self.run.log_artifact(artifact)
        folder = Path(self.run.dir).parent
        self.run.finish(exit_code=int(ending in (None, "diverged")))
        if ending is not None:
            (folder / f"{self.last}.{FINISHED}").touch()


class WandbStudy:
    """A group of runs, with one of its own for what they have in common."""

    def __init__(self, tool: WandbTool, run_id: str, group: str) -> None:
        self.tool, self.run_id, self.group = tool, run_id, group
        prefix = f"{run_id}-"
        self.finished = {
            name.removeprefix(prefix): n
            for name, n in tool.finished().items()
            if name.startswith(prefix)
        }

    def network(self, key: str, name: str, parameters: JsonObject) -> WandbRun:
        """Begin the run of a network; see `OpenStudy`."""
        run_id = f"{self.run_id}-{key}"
        self.tool.remove(run_id)
        options = {"group": self.group, "job_type": "network"}
        return WandbRun(self.tool.begin(run_id, name, parameters, **options))

    def end(
        self,
        ending: Ending | None,
        results: Mapping[str, float | str],
        files: Sequence[Path],
    ) -> None:
        """Write the results of the study; see `OpenStudy`."""
        self.tool.remove(self.run_id)
        options = {"group": self.group, "job_type": "study"}
        WandbRun(self.tool.begin(self.run_id, self.group, {}, **options)).end(
            ending, results, files
        )


def _patience(known: Container[str]) -> dict[str, Any]:
    """The settings of `PATIENCE` that this version of W&B has, and the person has not set."""
    return {
        name: value
        for name, value in PATIENCE.items()
        if name in known and f"WANDB_{name.upper()}" not in os.environ
    }


def _id_of(folder: Path) -> str:
    """The identity of a run, from the name of its folder."""
    return re.sub(r"^(offline-)?run-\d+_\d+-", "", folder.name)


def _epochs(folder: Path) -> int | None:
    """The epochs of a run that was written to the end; `None` for another one."""
    return max((int(path.stem) for path in folder.glob(f"*.{FINISHED}")), default=None)
