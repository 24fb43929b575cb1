"""The command line: `jaxnet train`, `jaxnet predict`, `jaxnet check`."""

import contextlib
import dataclasses
import inspect
import io
import json
import platform
import re
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import numpy as np
import tyro
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from jaxnet import (
    activations,
    costs,
    datasets,
    gradcheck,
    initializers,
    network,
    optimizers,
    plots,
    storage,
    training,
)
from jaxnet.activations import Activation
from jaxnet.network import Network
from jaxnet.training import EpochReport, Recipe, Run
from jaxnet.types import Dataset

ActivationName = Literal[tuple(activations.NAMED)]
CostName = Literal[tuple(costs.NAMED)]
InitName = Literal[(*initializers.NAMED, "gaussian")]
OptimizerName = Literal[tuple(optimizers.NAMED)]
SizesOption = tuple[int, ...]
HyperOption = Annotated[float | None, tyro.conf.arg(metavar="FLOAT")]


class FailedError(Exception):
    """The call was right, but it failed: told in one line, with exit status 1."""


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The options that make a network."""

    sizes: SizesOption = (784, 30, 10)
    """Units per layer, input and output included."""
    hidden: tuple[ActivationName, ...] = ("sigmoid",)  # pyright: ignore[reportInvalidTypeForm]
    """Activation of the hidden layers: one for all, or one for each."""
    cost: CostName = "cross-entropy"  # pyright: ignore[reportInvalidTypeForm]
    """Cost, which decides the outputs: cross-entropy has sigmoid ones, log-likelihood softmax."""
    output: ActivationName = "sigmoid"  # pyright: ignore[reportInvalidTypeForm]
    """Output activation under the quadratic and the absolute-error cost."""
    temperature: float = 1.0
    """Temperature of the softmax under the log-likelihood cost."""
    init: InitName = "default"  # pyright: ignore[reportInvalidTypeForm]
    """Initial weights: default N(0, 1/n_in), large N(0, 1), he, glorot, or gaussian N(0, STD²)."""
    std: float = 0.01
    """Standard deviation of the gaussian initial weights."""
    precision: Literal["default", "high", "highest"] = "highest"
    """Matrix products on accelerators: highest is full float32."""

    def network(self) -> Network:
        """The network that the options describe."""
        names = self.hidden * (len(self.sizes) - 2) if len(self.hidden) == 1 else self.hidden
        hidden = tuple(activations.NAMED[name] for name in names)
        named = initializers.NAMED | {"gaussian": initializers.gaussian(self.std)}
        return Network(self.sizes, hidden, self._cost(), named[self.init], self.precision)

    def _cost(self) -> costs.Cost:
        output: Activation = activations.NAMED[self.output]
        if self.cost == "log-likelihood":
            return costs.LogLikelihood(self.temperature)
        if self.cost == "cross-entropy":
            return costs.CrossEntropy()
        return costs.NAMED[self.cost](output)


@dataclasses.dataclass(frozen=True)
class Train(Architecture):
    """Train a network and test it: the book's, on MNIST, unless told otherwise.

    Prints its progress and a table, and writes a folder runs/TIME-NAME/: the network of the best
    validation epoch (network.json, which network2 reads, and network.safetensors), history.csv,
    config.json, curves.png.
    """

    optimizer: OptimizerName = "sgd"  # pyright: ignore[reportInvalidTypeForm]
    """Update rule."""
    learning_rate: HyperOption = None
    """Learning rate; each optimizer has its default, sgd 0.5."""
    decay: HyperOption = None
    """Decay of momentum, nesterov (0.9) or rmsprop (0.9)."""
    b1: HyperOption = None
    """First-moment decay of adam and adamw (0.9)."""
    b2: HyperOption = None
    """Second-moment decay of adam and adamw (0.999)."""
    eps: HyperOption = None
    """The small number under adagrad's, rmsprop's and adam's division."""
    weight_decay: HyperOption = None
    """Decoupled weight decay of adamw (1e-4)."""
    initial_accumulator_value: HyperOption = None
    """Where adagrad's sum of squares starts (0.1)."""
    l2: HyperOption = 5.0
    """λ of the penalty (λ/2n)Σw², n the number of training examples."""
    l1: HyperOption = None
    """λ of the penalty (λ/n)Σ|w|."""
    epochs: int = 30
    """How many times every example is visited."""
    batch_size: int = 10
    """Examples per mini-batch."""
    seed: int = 0
    """Of the initial weights and the mini-batches: the same seed gives the same bits."""
    data: str = "mnist"
    """What to learn: mnist, digits, a folder of four IDX files, or an .npz archive."""
    monitor: tuple[Literal["evaluation", "training"], ...] = ("evaluation", "training")
    """What to evaluate after each epoch."""
    runs: Path = Path("runs")
    """Where to write the run's folder."""
    name: str = ""
    """The run's name in its folder's; by default its sizes."""

    def __call__(self, console: Console) -> None:
        """Train, test, write."""
        net, recipe, data = self.network(), self.recipe(), _read(self.data)
        training.checked(net, data, self.epochs, self.batch_size, self.seed)
        folder = self._folder()
        console.print(_headline(net, recipe, self), soft_wrap=True)
        console.print(_describe(self.data, data), soft_wrap=True)
        console.print()
        with warnings.catch_warnings():
            # The driver's only warning is that it diverged; it is said below, after the results.
            warnings.simplefilter("ignore", RuntimeWarning)
            run = self._train(net, recipe, data, console)
        results = _test(run, data)
        _write(folder, self, run, data, results)
        console.print(_results_table(run, results))
        written = "the network, history.csv, config.json, curves.png"
        console.print(f"Written to {folder}/: {written}", soft_wrap=True)
        option = "" if self.data == "mnist" else f" --data {self.data}"
        example = f"jaxnet predict {folder}/network.json{option} --test 0 1 2 3"
        if data.test is not None:
            console.print(f"Next: {example}", soft_wrap=True)
        if run.stopped:
            raise FailedError(run.stopped)

    def recipe(self) -> Recipe:
        """The recipe that the options describe."""
        constructor = optimizers.NAMED[self.optimizer]
        known = inspect.signature(constructor).parameters
        flags = ("learning_rate", "decay", "b1", "b2", "eps", "weight_decay")
        flags = (*flags, "initial_accumulator_value")
        given = {flag: value for flag in flags if (value := getattr(self, flag)) is not None}
        if unknown := [flag for flag in given if flag not in known]:
            raise ValueError(
                f"{self.optimizer} takes no {_flag(unknown[0])}; its options are "
                f"{', '.join(map(_flag, known))}."
            )
        return Recipe(constructor(**given), self.l2, self.l1)

    def _folder(self) -> Path:
        name = self.name or "-".join(map(str, self.sizes))
        if not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(
                f"--name must be made of letters, digits, '.', '-', '_', not {name!r}."
            )
        stem, count = self.runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}", 1
        while True:
            folder = stem if count == 1 else stem.with_name(f"{stem.name}-{count}")
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:
                if not folder.is_dir():
                    raise
                count += 1

    def _train(self, net: Network, recipe: Recipe, data: Dataset, console: Console) -> Run:
        with _progress(console, self.epochs, len(data.train.x)) as on_epoch:
            return training.train(
                net,
                data,
                recipe,
                epochs=self.epochs,
                batch_size=self.batch_size,
                seed=self.seed,
                monitor=self.monitor,
                on_epoch=on_epoch,
            )


@dataclasses.dataclass(frozen=True)
class Predict:
    """Classify images, or rows of a test set, and print the output of every class.

    An image is a PNG, or a .npy array, with as many pixels as the network has inputs; white on
    black, as MNIST is.
    """

    network: tyro.conf.Positional[Path]
    """A network.json or network.safetensors."""
    images: tyro.conf.Positional[tuple[Path, ...]] = ()
    """PNG or .npy files."""
    test: tuple[int, ...] = ()
    """Rows of the test set."""
    data: str = "mnist"
    """Where the test set is: mnist, digits, a folder of four IDX files, or an .npz archive."""
    invert: bool = False
    """The images are dark on a light ground."""

    def __call__(self, console: Console) -> None:
        """Classify and print."""
        if not self.images and not self.test:
            raise ValueError("nothing to classify: name image files, or rows with --test 0 1 2.")
        net, params = storage.load(self.network)
        names, xs, labels = [], [], []
        for path in self.images:
            names.append(path.name)
            xs.append(_read_image(path, net.sizes[0], self.invert))
            labels.append("")
        if self.test:
            test = _read(self.data).test
            if test is None:
                raise ValueError(f"--data {self.data} has no test set.")
            for row in self.test:
                if not 0 <= row < len(test.x):
                    raise ValueError(f"--test must be in [0, {len(test.x) - 1}], not {row}.")
                names.append(f"test {row}")
                xs.append(test.x[row])
                labels.append(str(np.asarray(test.y[row])))
        outputs = [np.asarray(network.predict(net, params, x)) for x in xs]
        kind = "probability" if isinstance(net.cost, costs.LogLikelihood) else "output"
        console.print(_outputs_table(kind, names, labels, outputs))


@dataclasses.dataclass(frozen=True)
class Check(Architecture):
    """Prove the handwritten gradient of a network against autodiff and finite differences."""

    seed: int = 0
    """Of the random weights and examples to check it with."""

    def __call__(self, console: Console) -> None:
        """Check and print the table."""
        net = self.network()
        try:
            checks = gradcheck.check_gradients(net, seed=self.seed)
        except gradcheck.GradientError as error:
            raise FailedError(str(error)) from None
        table = Table(
            box=box.SIMPLE, title=f"Backpropagation in {_architecture(net)}", title_justify="left"
        )
        table.add_column("gradient of")
        table.add_column("norm", justify="right")
        table.add_column("from autodiff", justify="right")
        table.add_column("from finite differences", justify="right")
        for check in checks:
            errors = (f"{check.autodiff_error:.1e}", f"{check.numerical_error:.1e}")
            table.add_row(check.name, f"{check.norm:.3g}", *errors)
        console.print(table)
        console.print(
            f"All relative errors are within {gradcheck.AUTODIFF_TOLERANCE:.0e} and "
            f"{gradcheck.NUMERICAL_TOLERANCE:.0e}: the gradient is right."
        )


def main(args: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status: 0, 1 (it failed) or 2 (the call was wrong)."""
    try:
        command = _parse(args)
        command(Console(highlight=False))
    except (ValueError, ModuleNotFoundError) as error:
        return _complain(str(error), 2)
    except OSError as error:
        return _complain(f"{error.filename or 'output'}: {error.strerror}.", 2)
    except FailedError as error:
        return _complain(str(error), 1)
    except KeyboardInterrupt:
        return _complain("interrupted.", 130)
    return 0


def _parse(args: Sequence[str] | None) -> Callable[[Console], None]:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.extras.subcommand_cli_from_dict(
                {"train": Train, "predict": Predict, "check": Check},
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
            raise ValueError(_one_line(complaint.getvalue())) from None
        raise


def _one_line(boxed: str) -> str:
    """The first paragraph of tyro's boxed complaint, and its suggestion if there is one."""
    lines = [line.strip(" │") for line in boxed.splitlines()]
    # Below the title: the upper edge of the box, or a rule of dashes where there are no boxes.
    lines = lines[1:-1] if boxed.startswith("╭") else lines[2:-1]
    end = next((i for i, line in enumerate(lines) if not line.strip("─-")), len(lines))
    said = lines[:end]
    if lines[end + 1 : end + 2] == ["Perhaps you meant:"]:
        said += lines[end + 1 : end + 3]
    return " ".join(" ".join(said).split()).rstrip(".") + "; see jaxnet --help."


def _complain(message: str, status: int) -> int:
    print(f"jaxnet: {message}", file=sys.stderr)
    return status


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _read(data: str) -> Dataset:
    if data == "mnist":
        return datasets.mnist()
    if data == "digits":
        return datasets.digits()
    path = Path(data)
    if path.is_dir():
        return datasets.idx(path)
    if path.suffix == ".npz":
        return datasets.npz(path)
    raise ValueError(
        f"--data must be mnist, digits, a folder of IDX files or an .npz archive, not {data!r}."
    )


def _read_image(path: Path, n_in: int, invert: bool) -> np.ndarray:
    try:
        if path.suffix == ".npy":
            x = np.load(path, allow_pickle=False)
        else:
            from PIL import Image  # matplotlib brings it

            with Image.open(path) as image:
                x = np.asarray(image.convert("L"))
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "it is no PNG or .npy file"
        raise ValueError(f"cannot read {path}: {reason}.") from None
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(f"{path} holds {x.dtype}; use uint8 pixels or floats in [0, 1].")
    if x.size != n_in:
        side = round(n_in**0.5)
        shape = f", {side}×{side}" if side * side == n_in else ""
        raise ValueError(
            f"{path} has {'×'.join(map(str, x.shape[::-1]))} pixels, but the network takes "
            f"{n_in}{shape}; resize it."
        )
    if invert:
        x = (255 - x) if x.dtype == np.uint8 else 1 - x
    return x.reshape(-1)


def _outputs_table(
    kind: str, names: list[str], labels: list[str], outputs: list[np.ndarray]
) -> Table:
    """A row an image: what the network says, and every class's output (of many, the largest)."""
    n_out = len(outputs[0])
    wide = n_out > 10
    title = f"{kind.capitalize()} of {'the likeliest classes' if wide else 'each class'}, in %"
    table = Table(box=box.SIMPLE, padding=(0, 1), title=title, title_justify="left")
    table.add_column("image", no_wrap=True)
    if any(labels):
        table.add_column("label", no_wrap=True)
    table.add_column("says", style="bold", no_wrap=True)
    for heading in [""] if wide else map(str, range(n_out)):
        table.add_column(heading, justify="left" if wide else "right", no_wrap=True)
    for name, label, a in zip(names, labels, outputs, strict=True):
        says = int(a[0] > 0.5) if n_out == 1 else int(a.argmax())
        cells = [f"{100 * value:.0f}" for value in a]
        if wide:
            cells = ["   ".join(f"{k}: {cells[k]}" for k in np.argsort(-a, kind="stable")[:5])]
        table.add_row(name, *([label] if any(labels) else []), str(says), *cells)
    return table


def _architecture(net: Network) -> str:
    hidden = " ".join(dict.fromkeys(str(storage.part_name(f)) for f in net.activations))
    kinds = f" {hidden}," if hidden else ""
    return f"[{', '.join(map(str, net.sizes))}]{kinds} {type(net.cost).__name__}"


def _headline(net: Network, recipe: Recipe, options: Train) -> str:
    penalties = [f"{k}={float(v):g}" for k in ("l2", "l1") if (v := getattr(recipe, k)) is not None]
    parts = [_architecture(net), repr(recipe.optimizer), *penalties]
    return ", ".join([*parts, f"batch {options.batch_size}", f"seed {options.seed}"])


def _describe(name: str, data: Dataset) -> str:
    counts = [
        f"{len(split.x):,} {kind}"
        for kind, split in zip(("training", "validation", "test"), data, strict=True)
        if split is not None
    ]
    device = jax.devices()[0]
    return f"{name}: {', '.join(counts)} examples; on {device.device_kind}, jax {jax.__version__}"


@contextlib.contextmanager
def _progress(console: Console, epochs: int, n: int) -> Any:
    """Yield an `on_epoch` that moves a bar on a terminal, and prints a line an epoch elsewhere."""
    last = [0.0]

    def said(report: EpochReport) -> dict[str, str]:
        rate, last[0] = n / (report.seconds - last[0]), report.seconds
        accuracy, score = report.evaluation_accuracy, report.evaluation_cost
        shown = f"{accuracy:.2%}" if np.isfinite(accuracy) else f"cost {score:.4g}"
        return {"rate": f"{rate:,.0f} examples/s", "score": shown if np.isfinite(score) else ""}

    if not console.is_terminal:

        def line(report: EpochReport) -> None:
            words = said(report)
            score = f"validation {words['score']}, " if words["score"] else ""
            console.print(f"epoch {report.epoch:2d}/{epochs}: {score}{words['rate']}")

        yield line
        return
    columns = (
        TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[score]}"),
        TextColumn("{task.fields[best]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=epochs, score="compiling …", best="", rate="")
        best = [""]

        def move(report: EpochReport) -> None:
            words = said(report)
            if report.best_epoch == report.epoch and words["score"]:
                best[0] = f"best {words['score']}"
            score, rate = words["score"], words["rate"]
            progress.update(task, completed=report.epoch, best=best[0], score=score, rate=rate)

        yield move


def _test(run: Run, data: Dataset) -> dict[str, dict[str, float]]:
    """Scores of the best and of the last network: the test set is evaluated here, once."""
    results = {}
    for name, epoch, params in (
        ("best", run.best_epoch, run.best_params),
        ("last", len(run.history.training_cost), run.params),
    ):
        row: dict[str, float] = {"epoch": epoch}
        for kind in ("evaluation", "training"):
            for metric in ("accuracy", "cost"):
                curve = getattr(run.history, f"{kind}_{metric}")
                row[f"{kind}_{metric}"] = _decimal(curve[epoch - 1]) if epoch else float("nan")
        if data.test is not None:
            recipe = run.recipe
            scores = training.evaluate(run.network, params, data.test, recipe.l1, recipe.l2)
            row |= {"test_accuracy": _decimal(scores.accuracy), "test_cost": _decimal(scores.cost)}
        results[name] = row
    return results


def _decimal(number: Any) -> float:
    """The shortest decimal that is this float32: 0.9634, not 0.9634000062942505."""
    return float(str(np.asarray(number)))


def _results_table(run: Run, results: dict[str, dict[str, float]]) -> Table:
    best, last = results["best"], results["last"]
    table = Table(box=box.SIMPLE)
    table.add_column("")
    table.add_column(f"best epoch, {best['epoch']}", justify="right")
    table.add_column(f"last epoch, {last['epoch']}", justify="right")
    names = {"evaluation": "validation", "training": "training", "test": "test"}
    for key in best:
        kind, _, metric = key.partition("_")
        if not metric or not np.isfinite(best[key] + last[key]):
            continue
        form = "{:.2%}" if metric == "accuracy" else "{:.4f}"
        style = "bold" if key == "test_accuracy" else ""
        row = (f"{names[kind]} {metric}", form.format(best[key]), form.format(last[key]))
        table.add_row(*row, style=style)
    return table


def _write(folder: Path, options: Train, run: Run, data: Dataset, results: dict[str, Any]) -> None:
    storage.save(folder / "network.json", run.network, run.best_params)
    storage.save(folder / "network.safetensors", run.network, run.best_params)
    storage.write_atomic(folder / "history.csv", storage.history_csv(run.history))
    config = {
        "settings": dataclasses.asdict(options) | {"runs": str(options.runs)},
        "recipe": repr(run.recipe),
        "stopped": run.stopped,
        "results": results,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("jaxnet-mlp", "jax", "jaxlib", "optax", "numpy")},
        "device": {"platform": jax.default_backend(), "kind": jax.devices()[0].device_kind},
        "data": {"source": options.data, "sha256": datasets.sha256(data)},
    }
    text = json.dumps(_without_nan(config), indent=2) + "\n"
    storage.write_atomic(folder / "config.json", text.encode())
    figure = plots.curves(run.history, run.best_epoch, _architecture(run.network))
    storage.write_atomic(folder / "curves.png", plots.png(figure))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
