"""Training: one loop body, `epoch`; `fit`, a pure function of it; and `train`, its driver.

A run is a function of (network, data, recipe, seed). Randomness is *addressed*, not consumed: the
key for the initial weights, for the order of epoch e and for mini-batch t are each derived from
the seed and that address alone (`address`). So a run that stops can go on to the same bits, and all
recipes under one seed see the same initial weights and the same mini-batches.
"""

import contextlib
import math
import operator
import re
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, SupportsIndex

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from jaxnet import checkpoints, datasets, network
from jaxnet.backprop import gradient
from jaxnet.network import Network
from jaxnet.optimizers import Optimizer
from jaxnet.regularization import add_penalty_gradient, penalty
from jaxnet.types import (
    AnyArray,
    Dataset,
    History,
    KeyArray,
    Layer,
    Params,
    Split,
    count,
    leaf,
    pytree,
)

BLOCK_ROWS = 640
"""Examples gathered at once: one gather of 500 rows costs less than fifty of 10, and as uint8 they
still fit into the cache."""
EVALUATION_CHUNK = 1000
"""Examples evaluated at once: bounds the memory, keeps the matrix products large."""

Monitor = tuple[str, ...]
"""Which splits to evaluate after an epoch: "evaluation", "training"."""


@pytree()
@dataclass(frozen=True, eq=False)
class Recipe:
    """How a network is trained: its parts are static shapes with numeric leaves.

    Args:
      optimizer: the update rule, such as `sgd(0.5)`.
      l2: λ₂ ≥ 0 of (λ₂/2n)Σw², in the book's units; `None` leaves the term out of the program.
      l1: λ₁ ≥ 0 of (λ₁/n)Σ|w|, likewise.

    >>> from jaxnet.optimizers import sgd
    >>> Recipe(sgd(0.5), l2=5.0).l2.item()
    5.0
    """

    optimizer: Optimizer
    l2: Any = None
    l1: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.optimizer, Optimizer):
            raise ValueError(
                f"a recipe's optimizer must be an Optimizer such as jaxnet.sgd(0.5), "
                f"not {self.optimizer!r}."
            )
        object.__setattr__(self, "l2", leaf("l2", self.l2))
        object.__setattr__(self, "l1", leaf("l1", self.l1))


class TrainState(NamedTuple):
    """What training carries from one mini-batch to the next."""

    params: Params
    opt_state: Any
    step: Int[Array, ""]
    """Mini-batches trained so far: the address of the next one's randomness."""


class Scores(NamedTuple):
    """A network's regularized cost and its accuracy on a split."""

    cost: Float[Array, ""]
    accuracy: Float[Array, ""]


class EpochReport(NamedTuple):
    """What `train` tells `on_epoch`, in plain Python numbers."""

    epoch: int
    """Epochs done, from 1."""
    epochs: int
    evaluation_cost: float
    evaluation_accuracy: float
    training_cost: float
    training_accuracy: float
    best_epoch: int
    """The best epoch so far, from 1; 0 while there is none."""
    seconds: float
    """Time since training began; the first epoch's includes compilation."""


@dataclass(frozen=True)
class Run:
    """A finished training run.

    `params` are those after the last epoch, `best_params` those of `best_epoch` (counted from 1;
    0 is the start): the highest evaluation accuracy or, without accuracies, the lowest evaluation
    cost; the last epoch where nothing was evaluated. `stopped` says why a run ended early.
    """

    network: Network
    recipe: Recipe
    epochs: int
    batch_size: int
    seed: int
    params: Params = field(repr=False)
    history: History = field(repr=False)
    best_epoch: int
    best_params: Params = field(repr=False)
    stopped: str | None = None


def address(
    key: KeyArray, stream: Literal["init", "order", "step", "rule"], index: Any = 0
) -> KeyArray:
    """The random key of one place in a run, from the run's own key."""
    number = ("init", "order", "step", "rule").index(stream)
    return jax.random.fold_in(jax.random.fold_in(key, number), index)


def shuffle(key: KeyArray, n: int) -> Int[Array, " n"]:
    """A random order of n examples, by sorting on random 32-bit keys.

    One sort instead of the two of `jax.random.permutation` halves its time. Of 50,000 keys a pair
    is equal in one epoch of four, and keeps its order then: a bias of 10⁻¹⁰ that nothing can see.
    """
    return jnp.argsort(jax.random.bits(key, (n,), jnp.uint32))


def start(net: Network, recipe: Recipe, key: KeyArray, params: Params | None = None) -> TrainState:
    """The state before the first mini-batch: initial parameters drawn at their address.

    Parameters that are given come to JAX's default float type, that of the recipe's leaves.
    """
    drawn = network.init(net, address(key, "init")) if params is None else params
    dtype = jax.dtypes.canonicalize_dtype(float)
    params = tuple(Layer(*(jnp.asarray(array, dtype) for array in layer)) for layer in drawn)
    transformation = recipe.optimizer.transformation(address(key, "rule"))
    return TrainState(params, transformation.init(params), jnp.zeros((), jnp.int32))


def step(
    net: Network,
    n: int,
    key: KeyArray,
    recipe: Recipe,
    state: TrainState,
    xs: Array,
    ys: Array,
    weights: Float[Array, " batch"],
) -> TrainState:
    """Train one mini-batch of a split of n examples; `weights` sum to 1, and are 0 for padding."""
    l1, l2 = recipe.l1, recipe.l2

    def value_fn(params: Params) -> Float[Array, ""]:
        costs = jax.vmap(partial(_cost_of_one, net, params))(xs, ys)
        return jnp.sum(weights * costs) + penalty(params, n, l1, l2)

    params = state.params
    grads = gradient(net, params, xs, ys, weights=weights)
    grads = add_penalty_gradient(grads, params, n, l1, l2)
    transformation = recipe.optimizer.transformation(address(key, "step", state.step))
    # Line searches need the value and its function; where a rule ignores them, so does XLA.
    updates, opt_state = transformation.update(
        grads, state.opt_state, params, value=value_fn(params), grad=grads, value_fn=value_fn
    )
    trained: Any = optax.apply_updates(params, updates)
    return TrainState(trained, opt_state, state.step + 1)


def epoch(
    net: Network,
    batch_size: int,
    data: Split,
    order: Int[AnyArray, " n"],
    key: KeyArray,
    recipe: Recipe,
    state: TrainState,
) -> TrainState:
    """Train every example once, in this order, in mini-batches: the one training loop.

    The last, smaller mini-batch is filled up with examples of weight 0, and is divided by its
    true size.

    Args:
      net: the architecture (static).
      batch_size: examples per mini-batch (static).
      data: the split to train on.
      order: the examples' indices, in the order in which to visit them.
      key: the run's own key, from which each mini-batch's is addressed.
      recipe: optimizer and penalties.
      state: what the last epoch left.

    Returns:
      The state after the epoch.
    """
    n = len(order)
    n_steps = -(-n // batch_size)
    padded = jnp.pad(jnp.asarray(order), (0, n_steps * batch_size - n)).reshape(-1, batch_size)
    sizes = np.minimum(batch_size, n - batch_size * np.arange(n_steps))
    weights = (np.arange(batch_size) < sizes[:, None]) / sizes[:, None]
    weights = jnp.asarray(weights, state.params[0].w.dtype)
    xs, ys = jnp.asarray(data.x), jnp.asarray(data.y)

    def train_batch(state: TrainState, batch: Any) -> tuple[TrainState, None]:
        return step(net, n, key, recipe, state, *batch), None

    def train_block(state: TrainState, block: Any) -> tuple[TrainState, None]:
        indices, weights = block
        return jax.lax.scan(train_batch, state, (xs[indices], ys[indices], weights))

    block = _block_steps(n_steps, batch_size)
    whole = n_steps // block * block
    blocks = [array[:whole].reshape(-1, block, batch_size) for array in (padded, weights)]
    state, _ = jax.lax.scan(train_block, state, tuple(blocks))
    if whole < n_steps:
        state, _ = train_block(state, (padded[whole:], weights[whole:]))
    return state


def _block_steps(n_steps: int, batch_size: int) -> int:
    """Mini-batches per block: if possible so many that no smaller block, and program, is left."""
    most = min(n_steps, max(1, BLOCK_ROWS // batch_size))
    divisors = [size for size in range(most // 2 + 1, most + 1) if n_steps % size == 0]
    return max(divisors, default=most)


def evaluate(
    net: Network,
    params: Params,
    split: Split,
    l1: Any = None,
    l2: Any = None,
) -> Scores:
    """The cost and the accuracy of a network on a split.

    The cost is the mean over the split plus the penalties, with the *split's* size for n, as in
    network2's `total_cost`. The accuracy is the fraction of examples whose largest output is
    their label's (for one output: whose side of ½ is); it is NaN for float targets.

    Args:
      net: the architecture.
      params: its parameters.
      split: what to evaluate it on.
      l1: λ₁ of the penalty, or `None`.
      l2: λ₂ of the penalty, or `None`.

    Raises:
      ValueError: network and split do not fit together.

    >>> net = Network((2, 3, 2))
    >>> split = Split(jnp.ones((4, 2)), jnp.zeros(4, int))
    >>> evaluate(net, network.init(net, jax.random.key(0)), split).accuracy.item() in (0.0, 1.0)
    True
    """
    network.check_params(net, params)
    _check_split(net, "evaluated", split)
    return _compiled_scores(net, params, split, leaf("l1", l1), leaf("l2", l2))


def _scores(net: Network, params: Params, split: Split, l1: Any, l2: Any) -> Scores:
    xs, ys = jnp.asarray(split.x), jnp.asarray(split.y)
    classes = jnp.issubdtype(ys.dtype, jnp.integer)

    def score(example: tuple[Array, Array]) -> tuple[Array, Array]:
        x, y = example
        a = net.cost.output.fn(z := network.logits(net, params, x))
        label = (a[0] > 0.5) if net.sizes[-1] == 1 else jnp.argmax(a)
        target = network.targets(y, net.sizes[-1], z.dtype)
        hit = (label == y).astype(z.dtype) if classes else jnp.full((), jnp.nan, z.dtype)
        return net.cost.fn(z, target), hit

    costs, hits = jax.lax.map(score, (xs, ys), batch_size=min(EVALUATION_CHUNK, len(xs)))
    # Behind the barrier XLA divides; else it multiplies by 1/n, rounded: 0.96339995, not 0.9634.
    n = jax.lax.optimization_barrier(jnp.asarray(len(xs), hits.dtype))
    return Scores(jnp.sum(costs) / n + penalty(params, len(xs), l1, l2), jnp.sum(hits) / n)


_compiled_scores = jax.jit(_scores, static_argnames="net")


def fit(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    *,
    epochs: SupportsIndex,
    batch_size: SupportsIndex = 10,
    seed: Any = 0,
    params: Params | None = None,
    monitor: Sequence[str] = ("evaluation", "training"),
) -> tuple[Params, History]:
    """A whole training run as a pure function: `jit`, `vmap` or differentiate it.

    Args:
      net, epochs, batch_size, monitor: static; see `train`.
      data: the splits to train on and to evaluate; an argument of the program, not a constant.
      recipe: optimizer and penalties, whose leaves may be traced: `jax.jvp` with respect to the
        learning rate works.
      seed: an integer, traced or not.
      params: initial parameters, instead of those drawn from the seed.

    Returns:
      The parameters after the last epoch, and the history.

    Raises:
      ValueError: network and data do not fit together, or a count is out of range.

    >>> from jaxnet import datasets
    >>> from jaxnet.optimizers import adam
    >>> run = partial(fit, Network((2, 8, 2)), epochs=3)
    >>> params, history = jax.jit(run)(datasets.xor(), Recipe(adam(0.01)))
    >>> history.training_cost.shape
    (3,)
    """
    data = checked(net, data, recipe, epochs, batch_size, seed, params)
    epochs, batch_size = operator.index(epochs), operator.index(batch_size)
    monitor = _monitored(monitor)
    key = jax.random.key(seed)
    state = start(net, recipe, key, params)

    def body(state: TrainState, index: Array) -> tuple[TrainState, History]:
        state, _, row, _ = _advance(net, batch_size, monitor, data, key, index, recipe, state)
        return state, row

    state, history = jax.lax.scan(body, state, jnp.arange(epochs))
    return recipe.optimizer.evaluation_params(state.opt_state, state.params), history


def train(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    *,
    epochs: SupportsIndex = 30,
    batch_size: SupportsIndex = 10,
    seed: SupportsIndex = 0,
    params: Params | None = None,
    monitor: Sequence[str] = ("evaluation", "training"),
    on_epoch: Callable[[EpochReport], None] | None = None,
    checkpoint: str | Path | None = None,
    resume: str | Path | None = None,
) -> Run:
    """Train a network, an epoch at a time: the driver around the compiled `epoch`.

    The program is compiled once for all epochs; a changed number in the recipe, or another seed,
    compiles nothing. Data goes to the device once.

    Args:
      net: the architecture.
      data: the training split is trained on; the validation split, where there is one, is
        evaluated after every epoch and decides on the best one. The test split is not touched.
      recipe: optimizer and penalties, with scalars for leaves (arrays are for sweeps).
      epochs: how many times every example is visited.
      batch_size: examples per mini-batch.
      seed: of initial weights and mini-batches, in [0, 2³²). The weights have their own address
        under it: they are not `init(net, jax.random.key(seed))`.
      params: initial parameters, instead of those drawn from the seed.
      monitor: which splits to evaluate after each epoch: "evaluation", "training", both or none.
      on_epoch: called after every epoch with an `EpochReport`.
      checkpoint: a folder to keep `checkpoint.safetensors` in, written after every epoch.
      resume: a folder with a checkpoint to go on from, to the bits of a run that never stopped;
        checkpoints go on there too, unless `checkpoint` says otherwise. `epochs` may be more than
        before; all other settings and the data must be the same.

    Returns:
      A `Run`. Ctrl-C ends it after the epoch, a second Ctrl-C at once. If the parameters or a cost
      stop being finite, it ends with a `RuntimeWarning` that names the epoch, and holds the
      parameters and the history up to the epoch before.

    Raises:
      ValueError: network, data and settings do not fit together, or the checkpoint is damaged or
        of another run.
      OSError: a checkpoint cannot be written; the one before it is unharmed.

    >>> from jaxnet import datasets
    >>> from jaxnet.optimizers import sgd
    >>> run = train(Network((2, 8, 2)), datasets.xor(), Recipe(sgd(0.5)), epochs=20)
    >>> run.history.training_accuracy.shape
    (20,)
    """
    data = checked(net, data, recipe, epochs, batch_size, seed, params)
    epochs, batch_size, seed = map(operator.index, (epochs, batch_size, seed))
    monitor = _monitored(monitor)
    data = jax.device_put(data)
    key = jax.random.key(seed)
    state = _compiled_start(net, recipe, key, params)
    best, best_epoch, stopped = state.params, 0, None
    rows: list[np.ndarray] = []
    checkpoint = resume if checkpoint is None else checkpoint
    settings: dict[str, Any] = {}
    if checkpoint is not None:  # hashing the data takes time
        settings = _settings(net, data, recipe, epochs, batch_size, seed, monitor, params)
    if resume is not None:
        like = {"state": state, "best": best, "best_epoch": np.int32(0), "history": None}
        saved = checkpoints.load(resume, like, settings, free={"epochs"})
        state, best, best_epoch = saved["state"], saved["best"], int(saved["best_epoch"])
        rows = list(np.asarray(saved["history"]))
        if len(rows) > epochs:
            raise ValueError(f"epochs is {epochs}, but {resume} has had {len(rows)} already.")
    current = recipe.optimizer.evaluation_params(state.opt_state, state.params)
    best_score = _score(History(*rows[best_epoch - 1])) if best_epoch else None
    began = time.perf_counter()
    with _interruptible() as interrupted:
        for index in range(len(rows), epochs):
            if interrupted:
                stopped = f"interrupted after epoch {index} of {epochs}."
                break
            state, kept, row, finite = _compiled_advance(
                net, batch_size, monitor, data, key, np.int32(index), recipe, state
            )
            if not finite:
                stopped = _diverged(index + 1, recipe)
                warnings.warn(stopped, RuntimeWarning, stacklevel=2)
                break
            rows.append(np.asarray(row))
            current = kept
            score = _score(row)
            if score is None or best_score is None or score > best_score:
                best, best_epoch, best_score = current, index + 1, score
            if checkpoint is not None:
                tree = {"state": state, "best": best, "best_epoch": np.int32(best_epoch)}
                checkpoints.save(checkpoint, tree | {"history": np.array(rows)}, settings)
            if on_epoch is not None:
                numbers = {name: float(number) for name, number in row._asdict().items()}
                seconds = time.perf_counter() - began
                on_epoch(
                    EpochReport(
                        epoch=index + 1,
                        epochs=epochs,
                        best_epoch=best_epoch,
                        seconds=seconds,
                        **numbers,
                    )
                )
    history = History(*np.array(rows, state.params[0].w.dtype).reshape(-1, 4).T)
    return Run(
        net,
        recipe,
        epochs,
        batch_size,
        seed,
        current,
        history,
        best_epoch,
        best,
        stopped,
    )


def _settings(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    epochs: int,
    batch_size: int,
    seed: int,
    monitor: Monitor,
    params: Params | None,
) -> dict[str, Any]:
    """What makes a run this run: the settings that a checkpoint names."""
    optimizer = recipe.optimizer
    leaves, _ = jax.tree_util.tree_flatten_with_path(recipe)
    rule = f"{optimizer.rule.__module__}.{optimizer.name}{list(optimizer.options)}"
    return {
        # Where a function lies in memory is no setting.
        "network": re.sub(r" at 0x\w+", "", f"{net!r}, init {net.init!r}, {net.precision}"),
        "optimizer": rule,
        "recipe": {jax.tree_util.keystr(path): np.asarray(leaf).item() for path, leaf in leaves},
        "data": datasets.sha256(data),
        "epochs": epochs,
        "batch_size": batch_size,
        "seed": seed,
        "monitor": list(monitor),
        "initial parameters": None if params is None else "given",
    }


@contextlib.contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Ctrl-C asks for an end after the epoch: the list fills. A second one interrupts at once."""
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        if asked:
            signal.default_int_handler(number, frame)
        asked.append(number)

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield asked  # somebody else's thread, or somebody else's Ctrl-C
        return
    signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def checked(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    epochs: SupportsIndex,
    batch_size: SupportsIndex,
    seed: Any,
    params: Params | None,
) -> Dataset:
    """The data without its test split, if network, data and settings fit together.

    Raises:
      ValueError: they do not; the message names the value, what is allowed and the remedy.
    """
    for name, given, kind in (
        ("net", net, Network),
        ("data", data, Dataset),
        ("recipe", recipe, Recipe),
    ):
        if not isinstance(given, kind):
            raise ValueError(f"{name} must be a {kind.__name__}, not {type(given).__name__}.")
    if any(np.ndim(number) for number in jax.tree.leaves(recipe)):
        raise ValueError(
            "train and fit take scalars, but a number in the recipe is an array; sweep it."
        )
    count("epochs", epochs, low=1)
    n = len(data.train.x)
    if count("batch_size", batch_size, low=1) > n:
        raise ValueError(
            f"batch_size must be in [1, {n}], the number of training examples, not {batch_size}."
        )
    if not isinstance(seed, jax.core.Tracer):
        count("seed", seed, low=0, high=2**32)
    for name, split in zip(("training", "validation", "test"), data, strict=True):
        if split is not None:
            _check_split(net, name, split)
    if params is not None:
        network.check_params(net, params)
    return data._replace(test=None)


def _check_split(net: Network, name: str, split: Split) -> None:
    n_in, n_out = net.sizes[0], net.sizes[-1]
    x, y = split
    arrays = (jax.Array, np.ndarray)
    if not (isinstance(x, arrays) and isinstance(y, arrays)):
        raise ValueError(f"the {name} split must hold arrays; jaxnet.datasets.arrays makes them.")
    if x.ndim != 2 or x.shape[1] != n_in:
        raise ValueError(
            f"the {name} inputs have shape {x.shape}, but the network's {n_in} inputs need "
            f"(n, {n_in}); choose sizes that begin with {x.shape[-1]}, or reshape them."
        )
    if len(x) != len(y) or not len(x):
        raise ValueError(f"the {name} split has {len(x)} inputs and {len(y)} targets.")
    floats = jnp.issubdtype(x.dtype, jnp.floating)
    if x.dtype != np.uint8 and not floats:
        raise ValueError(f"the {name} inputs are {x.dtype}; use uint8 for pixels, or floats.")
    if floats and not isinstance(x, jax.core.Tracer) and not np.isfinite(np.sum(np.asarray(x))):
        raise ValueError(f"the {name} inputs hold NaN or infinity, or overflow when added up.")
    if jnp.issubdtype(y.dtype, jnp.floating):
        if y.shape != (len(x), n_out):
            raise ValueError(
                f"the {name} targets have shape {y.shape}, but the network's {n_out} outputs need "
                f"({len(x)}, {n_out}); choose sizes that end with {y.shape[-1]}, or reshape them."
            )
    elif not jnp.issubdtype(y.dtype, jnp.integer) or y.ndim != 1:
        raise ValueError(
            f"the {name} targets are {y.dtype} of shape {y.shape}; use n integer labels, or floats "
            f"(n, {n_out})."
        )
    elif not isinstance(y, jax.core.Tracer):
        n_classes = max(2, n_out)
        # By NumPy, since JAX would trace it where the caller is being compiled.
        labels = np.asarray(y)
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= n_classes:
            raise ValueError(
                f"the {name} labels lie in [{low}, {high}], but the network's {n_out} outputs can "
                f"tell 0 to {n_classes - 1} apart; choose sizes that end with {high + 1}."
            )


def _monitored(monitor: Sequence[str]) -> Monitor:
    if not isinstance(monitor, (tuple, list)) or not set(monitor) <= {"evaluation", "training"}:
        raise ValueError(
            f'monitor must be a tuple of "evaluation" and "training", or empty, not {monitor!r}.'
        )
    return tuple(sorted(set(monitor)))


def _cost_of_one(net: Network, params: Params, x: Array, y: Array) -> Float[Array, ""]:
    z = network.logits(net, params, x)
    return net.cost.fn(z, network.targets(y, net.sizes[-1], z.dtype))


def _advance(
    net: Network,
    batch_size: int,
    monitor: Monitor,
    data: Dataset,
    key: KeyArray,
    index: Int[AnyArray, ""],
    recipe: Recipe,
    state: TrainState,
) -> tuple[TrainState, Params, History, Bool[Array, ""]]:
    """Shuffle, train, evaluate: the state, what it says to keep, the row, whether all is finite."""
    order = shuffle(address(key, "order", index), len(data.train.x))
    state = epoch(net, batch_size, data.train, order, key, recipe, state)
    params = recipe.optimizer.evaluation_params(state.opt_state, state.params)
    nothing = Scores(*[jnp.full((), jnp.nan, params[0].w.dtype)] * 2)

    def scores(name: str, split: Split | None) -> Scores:
        if name not in monitor or split is None:
            return nothing
        return _scores(net, params, split, recipe.l1, recipe.l2)

    evaluation, training = scores("evaluation", data.valid), scores("training", data.train)
    finite = [jnp.all(jnp.isfinite(array)) for array in jax.tree.leaves(state.params)]
    measured = [given.cost for given in (evaluation, training) if given is not nothing]
    finite += [jnp.isfinite(cost) for cost in measured]
    row = History(evaluation.cost, evaluation.accuracy, training.cost, training.accuracy)
    return state, params, row, jnp.all(jnp.stack(finite))


_compiled_start = jax.jit(start, static_argnames="net")
_compiled_advance = jax.jit(_advance, static_argnames=("net", "batch_size", "monitor"))


def _score(row: History) -> float | None:
    """What the best epoch has most of: evaluation accuracy or else −cost; None if unmonitored."""
    cost, accuracy = float(row.evaluation_cost), float(row.evaluation_accuracy)
    if not math.isnan(accuracy):
        return accuracy
    return None if math.isnan(cost) else -cost


def _diverged(index: int, recipe: Recipe) -> str:
    rate = recipe.optimizer.hyper.get("learning_rate")
    cause = "Its steps are too large for this network and data; try larger mini-batches."
    if rate is not None:
        cause = f"The learning rate {float(rate):g} is probably too large; try a smaller one."
    kept = f" The {index - 1} epochs before it are kept." if index > 1 else ""
    fault = "a weight or a cost is no longer finite"
    return f"training diverged in epoch {index}: {fault}. {cause}{kept}"
