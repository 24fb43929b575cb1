"""The command line: `jaxnet train`, `sweep`, `compare`, `predict`, `check`."""

import contextlib
import dataclasses
import io
import json
import os
import re
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import numpy as np
import tyro
from rich.console import Console

from jaxnet import (
    callbacks,
    checkpoints,
    console,
    costs,
    datasets,
    doors,
    driver,
    evaluation,
    gradcheck,
    network,
    plots,
    schedules,
    storage,
)
from jaxnet.compare_command import Compare
from jaxnet.driver import Run
from jaxnet.monitors import Monitors
from jaxnet.network import Network
from jaxnet.options import (
    WHOLE_OPTION,
    Architecture,
    DataOption,
    FailedError,
    HyperOption,
    MonitorName,
    Training,
    numbers,
    read,
)
from jaxnet.recipe import Recipe
from jaxnet.sweep_command import Sweep
from jaxnet.types import Dataset, count


@dataclasses.dataclass(frozen=True)
class Train(Training):
    """Train a network and test it: the book's, on MNIST, unless told otherwise.

    Prints its progress and a table, and writes a folder runs/TIME-NAME/: the network of the best
    validation epoch (network.json, which network2 reads, and network.safetensors), history.csv,
    config.json, curves.png, and confusion.csv, of the test set.
    """

    time_budget: HyperOption = None
    """Seconds, compilation included, after which no further epoch is begun; each time that the run
    is resumed (none)."""
    seed: int = 0
    """Of the initial weights and the mini-batches: the same seed gives the same bits."""
    monitor: tuple[Literal["evaluation", "training"], ...] = ("evaluation", "training")
    """What to evaluate after each epoch: the validation set, the training set."""
    measure: Annotated[
        tuple[MonitorName, ...], tyro.conf.arg(help_behavior_hint="")  # pyright: ignore[reportInvalidTypeForm]
    ] = ()
    """What to measure inside the network, in single mini-batches, for monitors.csv and monitors.png
    (nothing): norms of gradient, mean error (delta) and weights, the size of an update relative to
    its weights, shares of saturated activations and of dead units, the learning rate."""
    measure_every: Annotated[int | None, WHOLE_OPTION] = None
    """Mini-batches between measurements (the last one of each epoch is measured)."""
    checkpoint_every: int = 1
    """Epochs between checkpoints."""
    tensorboard: bool = False
    """Write events for TensorBoard into the run's folder."""
    runs: Path = Path("runs")
    """Where to write the run's folder."""
    name: Annotated[str, tyro.conf.arg(help_behavior_hint="")] = ""
    """The run's name in its folder's (its sizes)."""
    resume: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")] = None
    """The folder of a run to go on with, to the bits of one that never stopped. Only more --epochs,
    --time-budget, --checkpoint-every and --tensorboard go with it."""

    def __call__(self, out: Console) -> None:
        """Train, test, write."""
        if self.resume is None:
            # A schedule keeps its end when the run is resumed for more epochs.
            name, horizon = self.schedule, self.horizon
            if name and horizon is None and "horizon" in numbers(schedules.NAMED, name):
                horizon = float(self.epochs)
            dataclasses.replace(self, horizon=horizon)._run(out, None)
        else:
            self._resumed()._run(out, self.resume)

    def _run(self, out: Console, before: Path | None) -> None:
        net = self.full_network()
        recipe, data = self.recipe(), read(self.data)
        watched, counts = self._monitors(), (self.epochs, self.batch_size, self.seed)
        doors.checked(net, data, recipe, *counts, None, self.monitor, watched)
        with self._folder(before) as folder:
            console.say(out, console.architecture(net))
            console.say(out, console.headline(recipe, self.batch_size, self.seed))
            console.say(out, console.describe(self.data, data))
            console.say(out, f"{'Resumed from' if before else 'To be written to'} {folder}/")
            out.print()
            if before is None:  # a resumed run has its own, which a refusal must not touch
                _write_config(folder, self, recipe, data)
            began = time.perf_counter()
            run = self._train(net, recipe, data, out, folder, before)
            seconds = time.perf_counter() - began
            n_epochs = len(run.history.training_cost)
            if not n_epochs:
                raise FailedError(f"{run.stopped} Nothing is written.")
            results = _test(run, data)
            confusion = _confusion(run, data)
            _write_config(folder, self, recipe, data, results, run.stopped)
            _write(folder, run, confusion)
        out.print(console.results_table(results))
        if confusion is not None:
            console.say(out, f"Test accuracy by class, best: {console.classes(confusion)}")
            out.print()
        plural = "s" if n_epochs > 1 else ""
        if run.ending in ("stopped", "out of time"):
            console.say(out, f"{str(run.stopped).capitalize()}")
        console.say(out, f"{n_epochs} epoch{plural}; this took {seconds:.1f} s.")
        console.say(out, f"Written to {folder}/: {', '.join(sorted(os.listdir(folder)))}")
        option = "" if self.data == "mnist" else f" --data {self.data}"
        if data.test is not None:
            console.say(out, f"Next: jaxnet predict {folder}{option} --test 0 1 2 3")
        further = f"Go on with jaxnet train --resume {folder}"
        if run.ending == "interrupted":
            raise FailedError(f"{run.stopped} {further}", 130)
        if run.ending == "diverged":
            raise FailedError(str(run.stopped))
        if run.ending == "out of time":
            console.say(out, further)

    def _resumed(self) -> "Train":
        """The settings of the run to go on with; only the number of epochs may be another."""
        path = Path(str(self.resume)) / "config.json"
        try:
            known: dict[str, Any] = json.loads(path.read_bytes())["settings"]
            known["runs"] = Path(known["runs"])
            known |= {k: tuple(v) for k, v in known.items() if isinstance(v, list)}
            before = Train(**known)
        except OSError as error:
            raise ValueError(f"cannot resume from {path}: {error.strerror}.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no run's config.json: {error}.") from None
        default = Train()
        given = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(Train)
            if field.name != "resume" and getattr(self, field.name) != getattr(default, field.name)
        }
        epochs = given.pop("epochs", before.epochs)
        # None of these changes a bit of what is learnt.
        free = ("time_budget", "tensorboard", "checkpoint_every")
        freely = {name: given.pop(name, getattr(before, name)) for name in free}
        for name, value in given.items():
            if value != getattr(before, name):
                raise ValueError(
                    f"--{name.replace('_', '-')} was {getattr(before, name)!r} and is {value!r}: "
                    "that would be another run; a resumed one may have more --epochs, another "
                    "--time-budget or --checkpoint-every, and --tensorboard."
                )
        return dataclasses.replace(before, epochs=epochs, **freely)

    def _monitors(self) -> Monitors | None:
        if self.measure_every is not None and not self.measure:
            raise ValueError("--measure-every needs --measure: what?")
        return Monitors(self.measure, self.measure_every) if self.measure else None

    @contextlib.contextmanager
    def _folder(self, before: Path | None) -> Iterator[Path]:
        """The run's folder: that of before, or a new one, which goes if nothing is trained."""
        if before is not None:
            yield before
            return
        name = self.name or "-".join(map(str, self.sizes))
        if not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(
                f"--name must be made of letters, digits, '.', '-', '_', not {name!r}."
            )
        stem = folder = self.runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
        self.runs.mkdir(parents=True, exist_ok=True)
        count = 1
        while folder.exists():
            count += 1
            folder = stem.with_name(f"{stem.name}-{count}")
        folder.mkdir()
        try:
            yield folder
        finally:
            if not (folder / checkpoints.FILE).exists():
                shutil.rmtree(folder)

    def _train(
        self,
        net: Network,
        recipe: Recipe,
        data: Dataset,
        out: Console,
        folder: Path,
        before: Path | None,
    ) -> Run:
        events = callbacks.tensorboard(folder) if self.tensorboard else None
        with (
            console.progress(out, self.epochs, len(data.train.x)) as move,
            warnings.catch_warnings(),
        ):

            def on_epoch(report: driver.EpochReport) -> None:
                move(report)
                if events is not None:
                    events(report)

            # The driver warns when it diverges; it is said after the results.
            warnings.simplefilter("ignore", RuntimeWarning)
            return driver.train(
                net,
                data,
                recipe,
                epochs=self.epochs,
                batch_size=self.batch_size,
                seed=self.seed,
                monitor=self.monitor,
                monitors=self._monitors(),
                on_epoch=on_epoch,
                checkpoint=folder,
                every=self.checkpoint_every,
                resume=before,
                time_budget=self.time_budget,
            )


@dataclasses.dataclass(frozen=True)
class Predict:
    """Classify images, or rows of a test set, and print the output of every class.

    An image is a PNG, or a .npy array, with as many pixels as the network has inputs; white on
    black, as MNIST is.
    """

    network: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="NETWORK")]
    """A network.json or network.safetensors, a run's folder, or a folder of runs: its newest."""
    images: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        tyro.conf.arg(metavar="IMAGE", help_behavior_hint=""),
    ] = ()
    """PNG or .npy files, before any option."""
    test: Annotated[tuple[int, ...], tyro.conf.arg(help_behavior_hint="")] = ()
    """Rows of the test set."""
    data: DataOption = "mnist"
    """Where the test set is: mnist, digits, a folder of IDX files, or an .npz archive."""
    invert: bool = False
    """The images are dark on a light ground."""

    def __call__(self, out: Console) -> None:
        """Classify and print."""
        if not self.images and not self.test:
            raise ValueError("nothing to classify: name image files, or rows with --test 0 1 2.")
        if self.invert and not self.images:
            raise ValueError("--invert is for images; rows of a test set are as they are.")
        net, params = storage.load(_network_file(self.network))
        names, xs, labels = [], [], []
        for path in self.images:
            names.append(path.name)
            xs.append(_read_image(path, net.sizes[0], self.invert))
            labels.append("")
        if self.test:
            test = read(self.data).test
            if test is None:
                raise ValueError(f"--data {self.data} has no test set.")
            if test.x.shape[1] != net.sizes[0]:
                raise ValueError(
                    f"{self.data} has {test.x.shape[1]} inputs, but the network takes "
                    f"{net.sizes[0]}; choose its own data set with --data."
                )
            for row in self.test:
                if not 0 <= row < len(test.x):
                    raise ValueError(f"--test must be in [0, {len(test.x) - 1}], not {row}.")
                names.append(f"test {row}")
                xs.append(test.x[row])
                labels.append(str(np.asarray(test.y[row])))
        outputs = [np.asarray(network.predict(net, params, x)) for x in xs]
        kind = "probability" if isinstance(net.cost, costs.LogLikelihood) else "output"
        out.print(console.outputs_table(kind, names, labels, outputs))
        if kind == "output":
            console.say(out, "These outputs stand for themselves: they need not add up to 100.")


@dataclasses.dataclass(frozen=True)
class Check(Architecture):
    """Prove the handwritten gradient of a network against autodiff and finite differences."""

    seed: int = 0
    """Of the random weights and examples to check it with."""

    def __call__(self, out: Console) -> None:
        """Check and print the table."""
        net = self.network()
        try:
            checks = gradcheck.check_gradients(net, seed=count("seed", self.seed, low=0))
        except gradcheck.GradientError as error:
            raise FailedError(str(error)) from None
        out.print(console.checks_table(net, checks))
        console.say(
            out,
            f"All relative errors are within {gradcheck.AUTODIFF_TOLERANCE:.0e} and "
            f"{gradcheck.NUMERICAL_TOLERANCE:.0e}: the gradient is right.",
        )


COMMANDS = {"train": Train, "sweep": Sweep, "compare": Compare, "predict": Predict, "check": Check}


def main(args: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status: 0, 1 (it failed), 2 (a wrong call), 130 (Ctrl-C)."""
    args = sys.argv[1:] if args is None else args
    if list(args) == ["--version"]:
        print(f"jaxnet {version('jaxnet-mlp')}, jax {jax.__version__}")
        return 0
    try:
        command = _parse(args)
        command(Console(highlight=False))
    except (ValueError, ModuleNotFoundError) as error:
        return _complain(str(error), 2)
    except OSError as error:
        return _complain(f"cannot write or read {error.filename or 'output'}: {error.strerror}.", 2)
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).splitlines()[0]
        return _complain(f"the network does not run on this machine: {reason}.", 1)
    except FailedError as error:
        return _complain(str(error), error.status)
    except KeyboardInterrupt:
        return _complain(
            "interrupted at once; a run's folder keeps its last checkpoint, if it had one.", 130
        )
    return 0


def _parse(args: Sequence[str]) -> Callable[[Console], None]:
    complaint = io.StringIO()
    columns = os.environ.get("COLUMNS")
    if {"-h", "--help"}.isdisjoint(args):
        # A complaint is told in one line, which must not break within what was typed.
        os.environ["COLUMNS"] = "1000"
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.extras.subcommand_cli_from_dict(
                COMMANDS,
                prog="jaxnet",
                args=args,
                description=(
                    "Train, use and check small neural networks, with handwritten backpropagation "
                    "in JAX. `jaxnet train` alone trains the network of Nielsen's book on the "
                    "MNIST that ships with the package; `jaxnet COMMAND --help` lists a command's "
                    "options."
                ),
            )
    except SystemExit as stop:
        if stop.code == 2:
            page = f"jaxnet {args[0]}" if args and args[0] in COMMANDS else "jaxnet"
            raise ValueError(f"{_one_line(complaint.getvalue())} See {page} --help.") from None
        raise
    finally:
        os.environ.pop("COLUMNS", None)
        if columns is not None:
            os.environ["COLUMNS"] = columns


def _one_line(boxed: str) -> str:
    """The first paragraph of tyro's boxed complaint, and its suggestion if there is one."""
    lines = [line.strip(" │") for line in boxed.splitlines()]
    # Below the title: the upper edge of the box, or a rule of dashes where there are no boxes.
    lines = lines[1:-1] if boxed.startswith("╭") else lines[2:-1]
    end = next((i for i, line in enumerate(lines) if not line.strip("─-")), len(lines))
    said = " ".join(lines[:end]).rstrip(".") + "."
    hints = lines[end + 1 : end + 3]
    if hints[0].startswith("Available"):
        said += f" {hints[0]}."
    elif hints[0].startswith("Perhaps you meant"):
        said += f" Perhaps you meant {hints[1]}."
    return " ".join(said.split())


def _complain(message: str, status: int) -> int:
    print(f"jaxnet: {message}", file=sys.stderr)
    return status


def _network_file(path: Path) -> Path:
    """The network that a path means: itself, or that of the newest run below a folder."""
    if not path.exists() and not path.suffix:
        raise ValueError(f"there is no folder {path}: train a network first, or name another.")
    if not path.is_dir():
        return path
    for pattern in ("network.safetensors", "*/network.safetensors"):
        if found := list(path.glob(pattern)):
            return max(found, key=lambda file: file.stat().st_mtime)
    raise ValueError(f"there is no run in the folder {path}.")


def _read_image(path: Path, n_in: int, invert: bool) -> np.ndarray:
    """An image as float32 in [0, 1], flattened: white is 1."""
    try:
        x = np.load(path, allow_pickle=False) if path.suffix == ".npy" else _pixels(path)
    except OSError as error:
        reason = error.strerror or "it is no PNG or .npy file"
        raise ValueError(f"cannot read {path}: {reason}.") from None
    except (ValueError, EOFError, SyntaxError):
        raise ValueError(f"cannot read {path}: it is no PNG or .npy file.") from None
    if x.dtype == np.uint8:
        x = x / np.float32(255)
    if x.dtype.kind != "f" or not x.size or not (x.min() >= 0 and x.max() <= 1):
        raise ValueError(f"{path} must hold uint8 pixels, or floats in [0, 1].")
    side = round(n_in**0.5)
    shapes = {(n_in,), (1, n_in)} | ({(side, side)} if side * side == n_in else set())
    if x.shape not in shapes:
        wanted = f"{side}×{side}" if (side, side) in shapes else str(n_in)
        given = "×".join(map(str, x.shape[::-1]))
        raise ValueError(f"{path} has {given} pixels, but the network takes {wanted}; resize it.")
    x = x.astype(np.float32).reshape(-1)
    return 1 - x if invert else x


def _pixels(path: Path) -> np.ndarray:
    """The grey values of a picture, of 8 or of 16 bits, on black where it is transparent."""
    from PIL import Image  # matplotlib brings it

    try:
        with Image.open(path) as image:
            if image.mode.startswith("I"):
                return np.asarray(image) / np.float32(65535)
            if "A" in image.getbands() or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
            return np.asarray(image.convert("L"))
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from None


def _test(run: Run, data: Dataset) -> dict[str, dict[str, float]]:
    """Scores of the best and of the last network: the test set is evaluated here, once."""
    results = {}
    for name, epoch, params in (
        ("best", run.best_epoch, run.best_params),
        ("last", len(run.history.training_cost), run.params),
    ):
        row: dict[str, Any] = {"epoch": epoch}
        for kind in ("evaluation", "training"):
            for metric in ("accuracy", "cost"):
                curve = getattr(run.history, f"{kind}_{metric}")
                row[f"{kind}_{metric}"] = _decimal(curve[epoch - 1]) if epoch else float("nan")
        if data.test is not None:
            recipe = run.recipe
            scores = evaluation.evaluate(run.network, params, data.test, recipe.l1, recipe.l2)
            row |= {"test_accuracy": _decimal(scores.accuracy), "test_cost": _decimal(scores.cost)}
        results[name] = row
    return results


def _decimal(number: Any) -> float:
    """The shortest decimal that is this float32: 0.9634, not 0.9634000062942505."""
    return float(str(np.asarray(number)))


def _write_config(
    folder: Path,
    options: Train,
    recipe: Recipe,
    data: Dataset,
    results: dict[str, Any] | None = None,
    stopped: str | None = None,
) -> None:
    """All settings, before the run, so that one that is killed can be resumed, and after it."""
    parts = {name: getattr(recipe, name) for name in recipe.parts()} | recipe.optimizer.hyper
    numbers = {name: _decimal(part) for name, part in parts.items() if hasattr(part, "dtype")}
    settings = dataclasses.asdict(options) | {"runs": str(options.runs)}
    settings.pop("resume")
    config = {
        "settings": settings,
        "recipe": recipe.parts() | {"optimizer": recipe.optimizer.name} | numbers,
        "stopped": stopped,
        "results": results,
        **storage.environment(),
        "data_sha256": datasets.sha256(data),
    }
    text = json.dumps(_without_nan(config), indent=2) + "\n"
    storage.write_atomic(folder / "config.json", text.encode())


def _confusion(run: Run, data: Dataset) -> np.ndarray | None:
    """The best network's confusion matrix on the test set, where that has labels."""
    if data.test is None or not np.issubdtype(data.test.y.dtype, np.integer):
        return None
    return evaluation.confusion(run.network, run.best_params, data.test)


def _write(folder: Path, run: Run, confusion: np.ndarray | None) -> None:
    """The network of the best epoch in both formats, the curves and measurements, the pictures."""
    storage.save(folder / "network.json", run.network, run.best_params)
    storage.save(folder / "network.safetensors", run.network, run.best_params)
    storage.write_atomic(folder / "history.csv", storage.history_csv(run.history))
    if confusion is not None:
        lines = [",".join(map(str, row)) for row in confusion]
        storage.write_atomic(folder / "confusion.csv", ("\n".join(lines) + "\n").encode())
    if run.monitors:
        storage.write_atomic(folder / "monitors.csv", storage.monitors_csv(run.monitors))
        picture = plots.png(plots.measured(run.monitors))
        storage.write_atomic(folder / "monitors.png", picture)
    title = console.headline(run.recipe, run.batch_size, run.seed)
    title = f"{console.architecture(run.network)}, {title}"
    figure = plots.curves(run.history, run.best_epoch, title)
    storage.write_atomic(folder / "curves.png", plots.png(figure))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
