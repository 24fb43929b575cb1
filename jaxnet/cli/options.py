"""Options that several commands take: network, recipe, data set."""

import dataclasses
import inspect
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import tyro

from jaxnet.cli.data_options import (
    DATA_SETS,
    TABLE_NETWORK,
    TABLE_OPTIMIZER,
    DataOption,
    n_inputs,
    read,
)
from jaxnet.core import activations, costs, initializers
from jaxnet.core.arguments import likeliest
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, Order
from jaxnet.data import datasets
from jaxnet.data.tables import encoding_of, n_outputs
from jaxnet.io import table_files
from jaxnet.recipes import optimizers, schedules, stopping
from jaxnet.recipes.augmentation import Augmentation
from jaxnet.recipes.recipe import Recipe
from jaxnet.training import measured, metrics, monitors
from jaxnet.training.metrics import MetricFunction

ActivationName = Literal[tuple(activations.NAMED)]
CostName = Literal[tuple(costs.NAMED)]
InitName = Literal[(*initializers.NAMED, "gaussian")]
OptimizerName = Literal[tuple(optimizers.NAMED)]
ScheduleName = Literal[tuple(schedules.NAMED)]
MonitorName = Literal[monitors.ALL_NAMES]
MetricName = Literal[tuple(name for name in metrics.NAMED if name not in measured.RESERVED)]
RankName = Literal[(*stopping.METRICS, *(n for n in metrics.NAMED if n not in measured.RESERVED))]
Curve = Literal[
    tuple(f"{split}-{name}" for split in ("evaluation", "training") for name in get_args(RankName))
]
SizesOption = tuple[int, ...]
# An option that only some choices take, whose default is theirs, and stands in its description.
NUMBER_OPTION = tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")
WHOLE_OPTION = tyro.conf.arg(metavar="INT", help_behavior_hint="")
HyperOption = Annotated[float | None, NUMBER_OPTION]
RENAMED_OPTIONS = {
    "halving": "reduce_on_plateau",
    "keep": "successive_halving",
    "measure": "monitors",
    "measure_every": "monitors_every",
    "monitor": "evaluate_on",
}
"""What options are called now, by their names in version 0.2, which work until 0.4."""
TAKE_OUTPUT = "quadratic, absolute-error and huber"
"""The costs whose output activation is a choice."""
HIDDEN_SIZES = (30,)
"""The hidden layers of a network whose sizes are not given: those of the book's network."""


TrainingOptions = TypeVar("TrainingOptions", bound="Training")


class FailedError(Exception):
    """A valid command failed: its message is printed in one line; `status` is the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Options of the network."""

    sizes: SizesOption = (784, 30, 10)
    """Units per layer, input and output included."""
    hidden: tuple[ActivationName, ...] = ("sigmoid",)  # pyright: ignore[reportInvalidTypeForm]
    """Activation of the hidden layers: one for all, or one for each (for a table silu)."""
    cost: CostName = "cross-entropy"  # pyright: ignore[reportInvalidTypeForm]
    """Cost, which decides the outputs: cross-entropy has sigmoid ones, log-likelihood and focal
    softmax, poisson e^z, and gaussian-nll a mean and a log-variance for each target."""
    output: Annotated[ActivationName | None, tyro.conf.arg(help_behavior_hint="")] = None  # pyright: ignore[reportInvalidTypeForm]
    """Output activation under the quadratic or the absolute-error cost (sigmoid), or huber
    (linear)."""
    temperature: HyperOption = None
    """Temperature of the softmax under the log-likelihood cost (1)."""
    cost_hyper: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="NAME=NUMBER", help_behavior_hint="")
    ] = ()
    """Number of the cost: huber threshold=1, focal gamma=2."""

    def network(self) -> Network:
        """The network that the options describe."""
        names = self.hidden * (len(self.sizes) - 2) if len(self.hidden) == 1 else self.hidden
        hidden = tuple(activations.NAMED[name] for name in names)
        cost = cost_function(self.cost, self.output, self.temperature, self.cost_hyper)
        return Network(self.sizes, hidden, cost)


@dataclasses.dataclass(frozen=True)
class Training(Architecture):
    """Options of the network, the recipe, the data set and the length of training."""

    sizes: Annotated[SizesOption, tyro.conf.arg(help_behavior_hint="")] = ()
    """Units per layer, input and output included (as many as the data have, with --hidden-sizes in
    between: 784 30 10)."""
    hidden_sizes: Annotated[SizesOption, tyro.conf.arg(help_behavior_hint="")] = ()
    """Units of each hidden layer, in place of --sizes (30; for a table 128 128)."""
    cost: Annotated[CostName | None, tyro.conf.arg(help_behavior_hint="")] = None  # pyright: ignore[reportInvalidTypeForm, reportIncompatibleVariableOverride]
    """Cost, which decides the outputs: cross-entropy has sigmoid ones, log-likelihood and focal
    softmax, poisson e^z, and gaussian-nll a mean and a log-variance for each target
    (cross-entropy; for a table's classes log-likelihood, and quadratic with --output linear for
    its numbers)."""
    init: InitName = "default"  # pyright: ignore[reportInvalidTypeForm]
    """Initial weights: default N(0, 1/n_in), large N(0, 1), he, glorot, or gaussian N(0, STD²)
    (for a table he)."""
    std: HyperOption = None
    """Standard deviation of the gaussian initial weights (0.01)."""
    precision: Literal["default", "high", "highest"] = "highest"
    """Matrix products on accelerators: highest is full float32."""
    optimizer: OptimizerName = "sgd"  # pyright: ignore[reportInvalidTypeForm]
    """Update rule (for a table adamw, with learning rate 0.01, weight decay 1 and a warmup-cosine
    schedule)."""
    learning_rate: HyperOption = None
    """Learning rate (the optimizer's default, such as sgd 0.5, adam 1e-3)."""
    decay: HyperOption = None
    """Decay of momentum, nesterov (0.9) or rmsprop (0.9)."""
    b1: HyperOption = None
    """First-moment decay of adam and adamw (0.9)."""
    b2: HyperOption = None
    """Second-moment decay of adam and adamw (0.999)."""
    eps: HyperOption = None
    """Small number that keeps a denominator from 0 (adagrad 1e-7, the others 1e-8)."""
    weight_decay: HyperOption = None
    """Decoupled weight decay of adamw (1e-4)."""
    hyper: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="NAME=NUMBER", help_behavior_hint="")
    ] = ()
    """Any other number of the optimizer: --hyper initial_accumulator_value=0, or centered=true."""
    l2: HyperOption = 5.0
    """λ of the penalty (λ/2n)Σw², n the number of training examples (5; for a table none)."""
    l1: HyperOption = None
    """λ of the penalty (λ/n)Σ|w| (none)."""
    dropout: HyperOption = None
    """Probability of dropping a hidden unit (none)."""
    input_dropout: HyperOption = None
    """Probability of dropping an input (none)."""
    max_norm: HyperOption = None
    """Largest norm of the weights into a hidden unit (none)."""
    label_smoothing: HyperOption = None
    """ε by which the targets are smoothed (none)."""
    shift: Annotated[int | None, WHOLE_OPTION] = None
    """Augmentation: images are shifted by up to this number of pixels (none)."""
    rotation: HyperOption = None
    """Augmentation: images are turned by up to this number of degrees (none)."""
    scaling: HyperOption = None
    """Augmentation: images are scaled by up to this fraction, such as 0.1 (none)."""
    elastic: HyperOption = None
    """Augmentation: elastic distortion with this α, smoothed over 4 pixels (none)."""
    schedule: Annotated[ScheduleName | None, tyro.conf.arg(help_behavior_hint="")] = None  # pyright: ignore[reportInvalidTypeForm]
    """Factor of the learning rate along the run (none)."""
    schedule_hyper: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="NAME=NUMBER", help_behavior_hint="")
    ] = ()
    """Numbers of the schedule, lengths in epochs: exponential rate=0.95 every=1; staircase rate=0.5
    every=10; cosine end=0; warmup length=1 start=0; warmup-cosine warmup=1 start=0 end=0; one-cycle
    warmup=0.3·horizon start=0.04 end=4e-6; constant value=1."""
    horizon: HyperOption = None
    """Epochs after which a cosine, warmup-cosine or one-cycle schedule ends (--epochs)."""
    patience: Annotated[int | None, WHOLE_OPTION] = None
    """Stop after this number of epochs without a new best (never)."""
    reduce_on_plateau: bool = False
    """Halve the learning rate instead, and stop at 1/128 of the first."""
    stop_at: HyperOption = None
    """Stop once the curve that decides has reached this value (never)."""
    decides: Annotated[Curve, tyro.conf.arg(metavar="CURVE")] = "evaluation-accuracy"  # pyright: ignore[reportInvalidTypeForm]
    """The curve that decides on the best epoch, with --patience or --stop-at: evaluation-accuracy,
    evaluation-cost (without penalties), or a metric of --metrics, such as evaluation-f1; or the
    same of the training set, such as training-cost."""
    metrics: Annotated[
        tuple[MetricName, ...], tyro.conf.arg(help_behavior_hint="")  # pyright: ignore[reportInvalidTypeForm]
    ] = ()
    """Metrics to evaluate after each epoch besides costs and accuracies (none)."""
    order: Order = "shuffled"
    """Order in which each epoch visits the examples: a new random one, or as they lie in the
    data."""
    class_weight: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="balanced|LABEL=WEIGHT", help_behavior_hint="")
    ] = ()
    """How much the training examples of each class count: balanced, each class as much as any
    other, or numbers such as 0=1 1=5 (all examples the same)."""
    epochs: int = 30
    """Number of times that every example is visited (for a table 40)."""
    batch_size: int = 10
    """Examples per mini-batch (for a table 32)."""
    data: DataOption = "mnist"
    """Data set: mnist; digits (with scikit-learn); spirals or xor, in the plane; a folder of the
    files of MNIST, Fashion-MNIST, KMNIST, QMNIST, EMNIST or USPS, or one of these files; an .npz
    archive of x_train, y_train, x_test, y_test, and x_valid, y_valid (else the last sixth of the
    training examples validates), or of MedMNIST; a CSV of labels and pixels; or, with --target, a
    table, .csv, .tsv or .parquet: a header and a row for each example, of which a fifth validates
    and a fifth tests."""
    target: Annotated[str, tyro.conf.arg(metavar="COLUMN", help_behavior_hint="")] = ""
    """Column of the table to predict (none)."""
    task: Annotated[
        Literal["classification", "regression"] | None, tyro.conf.arg(help_behavior_hint="")
    ] = None
    """Whether --target is a class or a number (strings and up to 20 different whole numbers are
    classes)."""
    drop: Annotated[tuple[str, ...], tyro.conf.arg(metavar="COLUMN", help_behavior_hint="")] = ()
    """Columns of the table to leave out (none)."""
    categories: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="COLUMN", help_behavior_hint="")
    ] = ()
    """Columns of numbers that are categories, such as a postal code (none)."""
    groups: Annotated[str, tyro.conf.arg(metavar="COLUMN", help_behavior_hint="")] = ""
    """Column, such as a patient's number, whose rows stay together and which is no input (none)."""

    def full_network(self) -> Network:
        """The network with its initial weights and its precision."""
        return dataclasses.replace(
            self.network(), init=self.initializer(), precision=self.precision
        )

    def training_data(self) -> Dataset:
        """The data set, with the weights of --class-weight."""
        data = self._table() if self.target else read(self.data)
        for option in ("task", "drop", "categories", "groups"):
            if getattr(self, option) and not self.target:
                raise ValueError(f"--{option} is for a table, of which --target names a column.")
        if not self.class_weight:
            return data
        if self.class_weight == ("balanced",):
            return datasets.class_weighted(data, "balanced")
        encoding = encoding_of(data)
        names = () if encoding is None else encoding.target.classes
        labels = {str(name): name for name in names}
        pairs = [pair.partition("=") for pair in self.class_weight]
        if not all(number and (name in labels or name.isdigit()) for name, _, number in pairs):
            example = " ".join(f"{name}=1" for name in list(labels)[:2]) or "0=1 1=5"
            raise ValueError(
                "--class-weight must be balanced, or LABEL=WEIGHT for some of the classes, such as "
                f"{example}, not {' '.join(self.class_weight)!r}."
            )
        weights = named_numbers("--class-weight", self.class_weight)
        by_class: dict[Any, float] = {
            labels[n] if n in labels else int(n): w for n, w in weights.items()
        }
        return datasets.class_weighted(data, by_class)

    def _table(self) -> datasets.Table:
        """The table of --data."""
        if self.data in DATA_SETS or Path(self.data).suffix.lower() not in table_files.SUFFIXES:
            raise ValueError(
                f"--target names a column of a table, a file that ends with "
                f"{', '.join(table_files.SUFFIXES)}, but --data is {self.data}."
            )
        return datasets.table(
            self.data, self.target, task=self.task, valid=0.2, test=0.2, groups=self.groups or None,
            categories=self.categories, drop=self.drop,
        )  # fmt: skip

    def with_table_defaults(self: TrainingOptions, flags: Collection[str]) -> TrainingOptions:
        """The options with the defaults for tables, if the data is one, in place of MNIST's.

        Args:
          flags: the options that were typed, such as "--l2", which keep their values.
        """
        if not self.target:
            return self
        defaults = TABLE_NETWORK | ({} if "--optimizer" in flags else TABLE_OPTIMIZER)
        typed = {flag.removeprefix("--").replace("-", "_") for flag in flags}
        typed |= {pair.partition("=")[0] for pair in self.hyper}
        if "sizes" in typed:
            typed.add("hidden_sizes")
        untyped = {name: value for name, value in defaults.items() if name not in typed}
        return dataclasses.replace(self, **untyped)._without_long_warmup("schedule" in untyped)

    def _without_long_warmup(self: TrainingOptions, is_default: bool) -> TrainingOptions:
        """The options with another schedule where a table's default needs more than an epoch."""
        horizon = self.epochs if self.horizon is None else self.horizon
        numbers_of_warmup = {pair.partition("=")[0] for pair in self.schedule_hyper}
        is_too_long = self.schedule == "warmup-cosine" and horizon <= 1
        if not (is_default and is_too_long) or {"warmup", "start"} & numbers_of_warmup:
            return self
        if horizon <= 0:
            return dataclasses.replace(self, schedule=None)
        warnings.warn(
            f"the learning rate falls from its full value, without a table's warm-up of an epoch, "
            f"since its schedule ends after {horizon:g}.",
            UserWarning,
            stacklevel=2,
        )
        return dataclasses.replace(self, schedule="cosine")

    def for_data(self: TrainingOptions, data: Dataset) -> TrainingOptions:
        """The options with the sizes and the cost that fit the data, where they were not given.

        Args:
          data: the splits.
        """
        encoding = encoding_of(data)
        cost, output = self.cost, self.output
        if cost is None and encoding is not None and not encoding.target.classes:
            cost, output = "quadratic", output or "linear"
        elif cost is None:
            cost = "cross-entropy" if encoding is None else "log-likelihood"
        sizes = self.sizes
        check_sizes(sizes, self.hidden_sizes)
        if not sizes:
            n_last = n_outputs(data) * (2 if cost == "gaussian-nll" else 1)
            hidden_sizes = self.hidden_sizes or HIDDEN_SIZES
            sizes = (n_inputs(data), *hidden_sizes, n_last)
        batch_size, n_rows = self.batch_size, len(data.train.x)
        if self.target and batch_size > n_rows:
            warnings.warn(
                f"mini-batches are of all {n_rows} training rows, not of {batch_size}.",
                UserWarning,
                stacklevel=2,
            )
            batch_size = n_rows
        return dataclasses.replace(
            self, sizes=sizes, cost=cost, output=output, batch_size=batch_size
        )

    def chosen_metrics(self) -> dict[str, MetricFunction]:
        """The metrics of --metrics by name, and the one that --decides names."""
        names = (*self.metrics, self.decides.partition("-")[2])
        return {name: metrics.NAMED[name] for name in names if name not in stopping.METRICS}

    def initializer(self) -> Any:
        """The initializer that the options name."""
        if self.init == "gaussian":
            return initializers.gaussian(0.01 if self.std is None else self.std)
        if self.std is not None:
            raise ValueError(f"--init {self.init} takes no --std; --init gaussian does.")
        return initializers.NAMED[self.init]

    def recipe(self) -> Recipe:
        """The recipe that the options describe."""
        constructor = optimizers.NAMED[self.optimizer]
        known = numbers(optimizers.NAMED, self.optimizer)
        flags = ("learning_rate", "decay", "b1", "b2", "eps", "weight_decay")
        hyper = {flag: value for flag in flags if (value := getattr(self, flag)) is not None}
        for name, number in named_numbers("--hyper", self.hyper).items():
            if name in hyper:
                flag = f"--{name.replace('_', '-')}"
                raise ValueError(f"{name} is given by --hyper and by {flag}; give it once.")
            hyper[name] = number
        if unknown := [flag for flag in hyper if flag not in known]:
            meant = likeliest(unknown[0], known)
            but = "" if meant is None else f", but {meant}"
            raise ValueError(
                f"{self.optimizer} takes no {unknown[0]}{but}; its numbers are {', '.join(known)}."
            )
        return Recipe(
            constructor(**hyper),
            self.l2,
            self.l1,
            self.dropout,
            self.input_dropout,
            self.max_norm,
            self.label_smoothing,
            self._augmentation(),
            self._schedule(),
            self._stopping(),
        )

    def _augmentation(self) -> Augmentation | None:
        numbers = (self.shift, self.rotation, self.scaling, self.elastic)
        return None if all(number is None for number in numbers) else Augmentation(*numbers)

    def _schedule(self) -> schedules.Schedule | None:
        if self.schedule is None:
            if self.schedule_hyper or self.horizon is not None:
                raise ValueError("--schedule-hyper and --horizon need a --schedule.")
            return None
        constructor = schedules.NAMED[self.schedule]
        known = numbers(schedules.NAMED, self.schedule)
        hyper = named_numbers("--schedule-hyper", self.schedule_hyper)
        if "horizon" in hyper:
            raise ValueError("the horizon of a schedule is an option of its own, --horizon.")
        if "horizon" in known:
            hyper["horizon"] = self.epochs if self.horizon is None else self.horizon
        elif self.horizon is not None:
            raise ValueError(f"{self.schedule} has no end, and takes no --horizon.")
        if "warmup" in known and self.schedule == "one-cycle":
            hyper.setdefault("warmup", 0.3 * hyper["horizon"])
        if unknown := [name for name in hyper if name not in known]:
            raise ValueError(
                f"{self.schedule} takes no {unknown[0]}; its numbers are {', '.join(known)}."
            )
        return constructor(**hyper)

    def _stopping(self) -> stopping.Stopping | None:
        split, _, metric = self.decides.partition("-")
        if self.stop_at is not None and metric == "accuracy" and self.stop_at > 1:
            raise ValueError(
                f"--stop-at must be an accuracy in [0, 1], such as 0.95 for 95%, not "
                f"{self.stop_at:g}; or choose --decides evaluation-cost."
            )
        where: dict[str, Any] = {"metric": metric, "split": split, "target": self.stop_at}
        if self.reduce_on_plateau and self.patience is None:
            raise ValueError(
                "--reduce-on-plateau needs a --patience: after how many epochs without a best?"
            )
        if self.patience is None and self.stop_at is None:
            if self.decides != "evaluation-accuracy":
                raise ValueError("--decides needs a --patience or a --stop-at to decide on.")
            return None
        if self.reduce_on_plateau and self.patience is not None:
            return stopping.reduce_on_plateau(self.patience, **where)
        return stopping.Stopping(patience=self.patience, **where)


def check_sizes(sizes: Sequence[int], hidden_sizes: Sequence[int]) -> None:
    """Raise a ValueError for --hidden-sizes that are none, or stand beside --sizes."""
    if sizes and hidden_sizes:
        raise ValueError(
            "--hidden-sizes are those between the first and the last of --sizes; give one of the "
            "two options."
        )
    if any(size < 1 for size in hidden_sizes):
        raise ValueError(
            "--hidden-sizes must be positive whole numbers, such as 64 32, not "
            f"{' '.join(map(str, hidden_sizes))}."
        )


def cost_function(
    name: str,
    output: str | None,
    temperature: float | None = None,
    hyper: Sequence[str] = (),
) -> costs.Cost:
    """The cost that --cost, --output, --temperature and --cost-hyper describe."""
    constructor = costs.NAMED[name]
    known = [field.name for field in dataclasses.fields(constructor)]
    arguments: dict[str, Any] = named_numbers("--cost-hyper", hyper)
    if temperature is not None:
        if name != "log-likelihood":
            raise ValueError(f"{name} takes no --temperature; log-likelihood does.")
        if "temperature" in arguments:
            raise ValueError(
                "temperature is given by --cost-hyper and by --temperature; give it once."
            )
        arguments["temperature"] = temperature
    for number in arguments:
        if number not in known or number == "output":
            listed = ", ".join(name for name in known if name != "output") or "none"
            raise ValueError(f"{name} takes no {number}; its numbers are {listed}.")
    if output is not None:
        if "output" not in known:
            raise ValueError(
                f"{name} takes no --output, since its outputs are "
                f"{activations.NAMED.name_of(constructor().output)}; {TAKE_OUTPUT} do."
            )
        arguments["output"] = activations.NAMED[output]
    return constructor(**arguments)


def numbers(named: Mapping[str, Callable[..., Any]], name: str) -> list[str]:
    """The names of the numbers that an optimizer or a schedule takes."""
    return [number for number in inspect.signature(named[name]).parameters if number != "unit"]


def named_numbers(option: str, pairs: Sequence[str]) -> dict[str, bool | float]:
    """The numbers of an option that takes several NAME=NUMBER, each name once."""
    numbers_by_name: dict[str, bool | float] = {}
    for pair in pairs:
        name, number = name_and_number(option, pair)
        if name in numbers_by_name:
            raise ValueError(f"{option} names {name} twice; give it one number.")
        numbers_by_name[name] = number
    return numbers_by_name


def name_and_number(option: str, typed: str) -> tuple[str, Any]:
    """Parse NAME=NUMBER; true and false are booleans."""
    name, _, value = typed.partition("=")
    if value in ("true", "false"):
        return name, value == "true"
    try:
        return name, int(value) if value.lstrip("-").isdigit() else float(value)
    except ValueError:
        raise ValueError(
            f"{option} must be NAME=NUMBER, such as rate=0.95, not {typed!r}."
        ) from None
