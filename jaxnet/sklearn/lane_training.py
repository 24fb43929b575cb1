"""Train many estimators at once, in chunks of lanes that share examples, order and program.

Estimators with an equal `random_state` and equal layers have the same initial weights and the same
orders in scikit-learn, too. So those that are trained on the same examples are lanes of one
program, whatever their learning rates, penalties and numbers of epochs are.
"""

import copy
import threading
import time
from collections.abc import Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import joblib
import numpy as np

from jaxnet.core.types import Params
from jaxnet.recipes.recipe import Recipe
from jaxnet.sklearn.base import (
    MultilayerPerceptron,
    architecture,
    computing,
    keep,
    validate,
    widened,
)
from jaxnet.sklearn.lane_programs import (
    LaneOrder,
    LaneShape,
    begin_lanes,
    evaluate_lanes,
    params_of_lanes,
    train_lanes,
)
from jaxnet.sklearn.mapping import draw_params
from jaxnet.sklearn.programs import epoch_shape, padded, room, with_inputs
from jaxnet.sklearn.stopping import Progress, Validated
from jaxnet.sklearn.training import (
    Examples,
    Networks,
    clipped_batch_size,
    loss_of,
    on_device,
    random_states,
    split_off,
)
from jaxnet.sweeps import chunk_sizes
from jaxnet.sweeps.lanes import lane_group
from jaxnet.sweeps.time_estimates import EpochSize, compile_seconds, lane_epoch_seconds

FEWEST_SLOTS = 4
"""The fewest lanes of a program that others have left."""


@dataclass
class Lane:
    """An estimator to train, and how far it has come."""

    estimator: MultilayerPerceptron
    """The estimator, with the attributes that `prepared` sets."""
    examples: Examples
    """What it is trained on: the same object for estimators that share it."""
    recipe: Recipe
    """How it is trained."""
    progress: Progress = field(default_factory=Progress)
    """Its curves."""
    params: Params | None = None
    """Its parameters where it stands, or ended."""
    seconds: float = 0.0
    """Its share of its chunk's time."""
    error: Exception | None = None
    """Why it could not be trained."""

    def is_going_on(self, n_epochs: int) -> bool:
        """Whether there is something to train before it has had so many epochs."""
        progress = self.progress
        most = min(n_epochs, self.estimator.max_iter)
        return progress.is_training and progress.n_iter < most

    def keep(self) -> None:
        """Set the attributes of the trained estimator.

        Raises:
          Exception: it could not be trained, or its weights are not finite.
        """
        if self.error is not None:
            raise self.error
        params = self.params if self.progress.best_params is None else self.progress.best_params
        assert params is not None  # it was trained
        stacked = jax.tree.map(lambda array: np.asarray(array)[None], params)
        stacked = with_inputs(stacked, self.examples.x.shape[1])
        keep(self.estimator, Networks(stacked, [self.progress]))


def may_share(estimator: MultilayerPerceptron) -> bool:
    """Whether an estimator can be a lane: it is one network, trained in epochs.

    Args:
      estimator: the estimator.
    """
    return estimator.solver != "lbfgs" and estimator.n_members == 1


def in_chunks(lanes: Iterable[Lane], n_threads: int, has_losses: bool) -> list["Chunk"]:
    """Divide lanes into chunks that are trained as one program each.

    Args:
      lanes: the lanes.
      n_threads: how many chunks are trained side by side.
      has_losses: whether to measure each epoch's loss where it decides nothing.
    """
    groups: dict[Hashable, list[Lane]] = {}
    for lane in lanes:
        groups.setdefault(_group_of(lane), []).append(lane)
    by_program: dict[Hashable, list[list[Lane]]] = {}
    for (program, *_), group in groups.items():  # pyright: ignore[reportGeneralTypeIssues]
        by_program.setdefault(program, []).append(group)
    chunks = []
    for groups_of_program in by_program.values():
        n_slots = _n_slots(groups_of_program, n_threads)
        for group in groups_of_program:
            parts = (group[first : first + n_slots] for first in range(0, len(group), n_slots))
            chunks.extend(Chunk(part, n_slots, has_losses) for part in parts)
    return chunks


def _group_of(lane: Lane) -> tuple[Hashable, ...]:
    """What lanes of one chunk have in common; first what those of one program do."""
    estimator, examples = lane.estimator, lane.examples
    structure = jax.tree.structure(lane.recipe)
    program = (architecture(estimator, examples), structure, examples.x.dtype, estimator.device)
    random: Any = estimator.random_state
    if not isinstance(random, int | np.integer):
        random = joblib.hash(random_states(estimator)[0].get_state())
    order = (estimator.shuffle, clipped_batch_size(estimator, len(examples.x)))
    validation = (estimator.early_stopping, estimator.early_stopping and (
        estimator.validation_fraction
    ))  # fmt: skip
    return program, id(examples), random, order, validation


def _n_slots(groups: Sequence[Sequence[Lane]], n_threads: int) -> int:
    """The number of lanes of the program that trains these groups."""
    lane = groups[0][0]
    net = architecture(lane.estimator, lane.examples)
    n_most = max(map(len, groups))
    with computing(lane.estimator, lane.examples.x.dtype):
        (device,) = jnp.zeros(()).devices()
        batch_size = clipped_batch_size(lane.estimator, len(lane.examples.x))
        most = chunk_sizes.most_lanes(net, lane.recipe, batch_size, n_most, device)
    _, n_lanes = chunk_sizes.program_shape(n_most, len(groups), most, n_threads, device.platform)
    return max(2, n_lanes)


class Chunk:
    """Lanes in one program, and the states of their training.

    Args:
      lanes: the lanes, which share the examples and their order.
      n_slots: the number of lanes of the program, at least as many.
      has_losses: whether to measure each epoch's loss where it decides nothing.
    """

    def __init__(self, lanes: Sequence[Lane], n_slots: int, has_losses: bool) -> None:
        self.lanes, self.n_slots, self.has_losses = list(lanes), n_slots, has_losses
        self.estimator, self.examples = lanes[0].estimator, lanes[0].examples
        self.is_begun = False
        self.error: Exception | None = None
        self.state: Any = None

    def train(self, n_epochs: int, interrupted: threading.Event) -> None:
        """Train each lane until its end, or until it has had so many epochs.

        Args:
          n_epochs: the most epochs.
          interrupted: ends the training after an epoch.
        """
        if interrupted.is_set() or self.error is not None:
            return
        start = time.perf_counter()
        try:
            with computing(self.estimator, self.examples.x.dtype):
                if not self.is_begun:
                    self._begin()
                if any(lane.is_going_on(n_epochs) for lane in self.slots):
                    self._train_until(n_epochs, interrupted)
                    self._collect()
        except Exception as error:  # it costs the scores of these lanes alone
            self.error = error
        for lane in self.lanes:
            lane.seconds += (time.perf_counter() - start) / len(self.lanes)
            lane.error = self.error
        if not any(lane.is_going_on(lane.estimator.max_iter) for lane in self.lanes):
            self.data = self.state = None  # which take memory

    def _train_until(self, n_epochs: int, interrupted: threading.Event) -> None:
        """Train each lane until its end, or until it has had so many epochs."""
        while not interrupted.is_set():
            going_on = [lane.is_going_on(n_epochs) for lane in self.slots]
            if not any(going_on):
                return
            if not self._shrink(going_on, n_epochs):
                self._train_epoch(np.array(going_on))

    def _begin(self) -> None:
        """Draw the initial weights, divide the examples, and start the optimizers."""
        estimator, examples = self.estimator, self.examples
        (random,) = random_states(estimator)
        net = architecture(estimator, examples)
        drawn = draw_params(net, estimator.activation, random)
        self.net, examples = widened(estimator, net, examples)
        self.rows, self.valid = np.arange(len(examples.x)), None
        if estimator.early_stopping:
            self.rows, valid_rows = split_off(estimator, examples, self.rows, random)
            self.valid = _rows_of(examples, valid_rows)
            self.valid_data = on_device(self.valid, room(len(valid_rows), 64))
        self.seed = np.array(copy.deepcopy(random).randint(2**31 - 1), np.uint32)
        self.random, self.order = random, self.rows
        self.batch_size = clipped_batch_size(estimator, len(self.rows))
        self.shape = epoch_shape(self.net, len(self.rows), self.batch_size, is_single=True)
        self.data = on_device(examples, max(self.shape.n_rows, room(len(examples.x))))
        for lane in self.lanes:
            rate = lane.recipe.optimizer.hyper.get("learning_rate", 0.0)
            lane.progress.begin(float(rate))
        self._enter(self.lanes, self.n_slots)
        dtype = examples.x.dtype
        stacked = jax.tree.map(lambda array: array[None].astype(dtype), drawn)
        params = jax.tree.map(lambda array: array[0], with_inputs(stacked, self.net.sizes[0]))
        self.state = begin_lanes(self.lane_shape, self.recipe, self.seed, params)
        for lane in self.lanes if estimator.early_stopping else []:
            lane.progress.best_params = params  # until a score is better
        self.is_begun = True

    def _enter(self, lanes: list[Lane], n_slots: int) -> None:
        """Put lanes into the slots of a program; those that are left repeat the first lane."""
        self.slots = lanes
        self.padding = [0] * (n_slots - len(lanes))
        recipes = [lane.recipe for lane in lanes]
        recipes += [recipes[0] for _ in self.padding]
        dtype = self.examples.x.dtype
        self.recipe: Recipe = jax.tree.map(lambda *numbers: _stacked(numbers, dtype), *recipes)
        group = lane_group(self.net, self.recipe, n_slots)
        is_needed = any(_may_stop_by_loss(lane.estimator) for lane in lanes)
        self.lane_shape = LaneShape(self.shape, group, self.has_losses or is_needed)

    def _shrink(self, going_on: Sequence[bool], n_epochs: int) -> bool:
        """Move the lanes that go on to a program of half the size, where that saves time."""
        n_slots, n_left = self.lane_shape.group.n_lanes, sum(going_on)
        smaller = n_slots
        while smaller // 2 >= max(n_left, FEWEST_SLOTS):
            smaller //= 2
        if smaller == n_slots or not self._pays(n_slots - smaller, n_epochs):
            return False
        self._collect()
        chosen = np.flatnonzero(going_on)
        before = self.lane_shape.group
        self._enter([self.slots[index] for index in chosen], smaller)
        taken = np.concatenate([chosen, chosen[self.padding]])

        def take(leaf: jax.Array) -> jax.Array:
            axis = before.lane_axis(leaf)
            return leaf if axis is None else jnp.take(leaf, taken, axis=axis)

        self.state = jax.tree.map(take, self.state)
        return True

    def _pays(self, n_freed: int, n_epochs: int) -> bool:
        """Whether fewer slots save more time than another program takes to compile."""
        size = EpochSize(self.batch_size, len(self.rows), 0)
        seconds = lane_epoch_seconds(self.net, self.recipe, size, self.lane_shape.group.n_lanes)
        n_left = max(
            min(n_epochs, lane.estimator.max_iter) - lane.progress.n_iter for lane in self.slots
        )
        return n_freed * n_left * seconds > compile_seconds(self.net)

    def _train_epoch(self, going_on: np.ndarray) -> None:
        """Train an epoch of the lanes that go on, and note what came of it."""
        if self.estimator.shuffle:
            permutation = np.arange(len(self.order))
            self.random.shuffle(permutation)  # sklearn.utils.shuffle, without its checks
            self.order = self.order[permutation]
        n, dtype = len(self.rows), self.examples.x.dtype
        rates = [lane.progress.learning_rate for lane in self.slots]
        order = LaneOrder(
            self.seed,
            np.array([n, self.batch_size], np.int32),
            padded(self.order.astype(np.int32), self.shape.n_rows),
        )
        self.state, losses = train_lanes(
            self.lane_shape, self.data, self.recipe, order,
            self._in_slots(np.array(rates, dtype)), self._in_slots(going_on) & self._is_occupied(),
            self.state,
        )  # fmt: skip
        validations = None if self.valid is None else self._validate(going_on)
        is_measured, losses = self.lane_shape.measures_losses, np.asarray(losses, float)
        for index in np.flatnonzero(going_on).tolist():
            lane = self.slots[index]
            loss = loss_of(self.net, *losses[index]) if is_measured else np.nan
            validated = None if validations is None else validations[index]
            lane.progress.add_epoch(lane.estimator, n, loss, validated)
            if validated is None and is_measured and not np.isfinite(loss):
                lane.progress.is_training = False  # its weights are not finite, and remain so

    def _in_slots(self, numbers: np.ndarray) -> np.ndarray:
        return np.concatenate([numbers, numbers[self.padding]])

    def _is_occupied(self) -> np.ndarray:
        return np.arange(self.lane_shape.group.n_lanes) < len(self.slots)

    def _validate(self, going_on: np.ndarray) -> dict[int, Validated]:
        """What the validation examples say of each lane that goes on."""
        assert self.valid is not None  # there is early stopping
        params = params_of_lanes(self.lane_shape, self.recipe, self.state)
        outputs, costs = evaluate_lanes(self.lane_shape, params, self.valid_data)
        outputs, costs = np.asarray(outputs)[:, : len(self.valid.x)], np.asarray(costs, float)
        host_params = self._params_of_slots(params)
        y, weight = self.valid.y, self.valid.weight
        return {
            index: Validated(
                loss_of(self.net, costs[index], 0.0),
                *validate(self.slots[index].estimator, outputs[index], y, weight),
                host_params[index],
            )
            for index in np.flatnonzero(going_on).tolist()
        }

    def _params_of_slots(self, params: Params) -> list[Params]:
        """The parameters of each lane, from stacked ones."""
        group = self.lane_shape.group

        def rows(leaf: jax.Array) -> np.ndarray:
            return np.moveaxis(np.asarray(leaf), group.lane_axis(leaf) or 0, 0)

        stacked = jax.tree.map(rows, params)
        return [
            jax.tree.map(lambda array, k=index: array[k].copy(), stacked)
            for index in range(len(self.slots))
        ]

    def _collect(self) -> None:
        """Give each lane its parameters."""
        params = params_of_lanes(self.lane_shape, self.recipe, self.state)
        for lane, own in zip(self.slots, self._params_of_slots(params), strict=True):
            lane.params = own


def _rows_of(examples: Examples, rows: np.ndarray) -> Examples:
    weight = None if examples.weight is None else examples.weight[rows]
    return examples._replace(x=examples.x[rows], y=examples.y[rows], weight=weight)


def _stacked(numbers: Sequence[Any], dtype: np.dtype) -> np.ndarray:
    stacked = np.stack(numbers)
    return stacked.astype(dtype) if stacked.dtype.kind == "f" else stacked


def _may_stop_by_loss(estimator: MultilayerPerceptron) -> bool:
    """Whether the losses of epochs can change how an estimator is trained."""
    return not estimator.early_stopping and estimator.n_iter_no_change + 1 < estimator.max_iter


def train_chunks(chunks: Sequence[Chunk], n_epochs: int, n_threads: int) -> None:
    """Train chunks side by side.

    Args:
      chunks: the chunks.
      n_epochs: the most epochs that each lane has had in the end.
      n_threads: how many to train at once: a program on a CPU uses one core.
    """
    interrupted = threading.Event()
    config: Any = jax.config
    device = config.jax_default_device  # which threads do not inherit

    def train_on_device(chunk: Chunk) -> None:
        with jax.default_device(device):
            chunk.train(n_epochs, interrupted)

    with ThreadPoolExecutor(n_threads) as pool:
        futures = [pool.submit(train_on_device, chunk) for chunk in chunks]
        try:
            for future in futures:
                future.result()
        except BaseException:
            interrupted.set()
            raise
