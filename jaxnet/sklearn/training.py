"""How an estimator trains: epochs in scikit-learn's order, until its rules say stop.

The epochs are jaxnet's (`jaxnet.training.epochs`); the order of the examples, the validation split
and the end are scikit-learn's, drawn and decided on the host after each epoch.
"""

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from jaxnet.core.arguments import brief
from jaxnet.core.network import Network
from jaxnet.core.types import Params, Split
from jaxnet.recipes.recipe import Recipe
from jaxnet.sklearn.mapping import COSTS, recipe_of
from jaxnet.sklearn.parameters import Parameters
from jaxnet.sklearn.programs import (
    Member,
    begin_members,
    epoch_shape,
    evaluate_members,
    padded,
    params_to_predict_with,
    room,
    train_members,
)
from jaxnet.sklearn.stopping import Progress, Validated
from jaxnet.training.step import TrainState

Validate = Callable[[np.ndarray, np.ndarray, np.ndarray | None], tuple[float, dict[str, float]]]
"""`(outputs, ys, weights) -> (score, metrics)`: of a network's outputs for some examples."""


class Examples(NamedTuple):
    """What an estimator is fitted to."""

    x: np.ndarray
    """The inputs, (n, n_in)."""
    y: np.ndarray
    """The targets, (n, n_out)."""
    weight: np.ndarray | None
    """The examples' weights, (n,); `None` if all count the same."""
    stratify: bool
    """Whether the validation split keeps the shares of the classes."""


@dataclass
class Networks:
    """The networks of an estimator: what `partial_fit` and `warm_start` go on with."""

    params: Params
    """Their parameters, stacked, as they predict."""
    progress: list[Progress]
    """The curves of each."""
    state: TrainState | None = None
    """The optimizer's, stacked; `None` before the first epoch."""
    optimizer_name: str = ""
    """The name of this optimizer."""

    def member(self, index: int) -> Params:
        """The parameters of one network.

        Args:
          index: its number, from 0.
        """
        return jax.tree.map(lambda array: array[index], self.params)


def random_states(parameters: Parameters) -> list[np.random.RandomState]:
    """Where each network's initial weights and orders come from.

    Args:
      parameters: the estimator.

    Returns:
      The estimator's own random state for the first network, so that it is the one of an estimator
      of a single network; states with seeds drawn from a copy of it for the others.
    """
    first = check_random_state(parameters.random_state)
    seeds = copy.deepcopy(first).randint(2**31 - 1, size=parameters.n_members - 1)
    return [first, *map(np.random.RandomState, seeds)]


def train(
    parameters: Parameters,
    net: Network,
    examples: Examples,
    networks: Networks,
    randoms: Sequence[np.random.RandomState],
    validate: Validate,
    is_partial: bool,
) -> None:
    """Train the networks of an estimator until they stop; they are changed in place.

    Args:
      parameters: the estimator.
      net: their architecture.
      examples: what to train on.
      networks: the networks.
      randoms: where each network's orders come from.
      validate: scores outputs for the validation examples, and measures metrics.
      is_partial: whether to train a single epoch, with the optimizer's state of earlier ones.

    Raises:
      ValueError: there are too few examples for a validation split, or several recipes.

    Warns:
      ConvergenceWarning: the last epoch came before the end that the stopping rule looks for.
      UserWarning: the batch size is clipped, or the training was interrupted.
    """
    recipe = recipe_of(parameters)
    check_recipe(recipe)
    loop = _Loop(parameters, net, examples, networks, randoms, recipe)
    loop.begin(goes_on=is_partial and networks.state is not None)
    n_left = 1 if is_partial else parameters.max_iter
    try:
        while n_left and any(progress.is_training for progress in networks.progress):
            n_left -= loop.train_epochs(n_left, validate)
    except KeyboardInterrupt:
        warnings.warn("the training was interrupted; its last epoch is kept.", stacklevel=4)
    else:
        if not is_partial and any(progress.is_training for progress in networks.progress):
            warnings.warn(
                f"the training has not converged after max_iter={parameters.max_iter} epochs; "
                "raise max_iter, or tol.",
                ConvergenceWarning,
                stacklevel=4,
            )
    loop.end()


def check_recipe(recipe: Recipe) -> None:
    """Refuse arrays of hyperparameters, which a sweep takes.

    Args:
      recipe: the recipe of an estimator.

    Raises:
      ValueError: it has some.
    """
    if len(recipe) > 1:
        raise ValueError(
            f"an estimator has one recipe, but its numbers make {len(recipe)}; pass single numbers."
        )


class _Loop:
    """One call: what its epochs read, and the state that they change."""

    def __init__(
        self,
        parameters: Parameters,
        net: Network,
        examples: Examples,
        networks: Networks,
        randoms: Sequence[np.random.RandomState],
        recipe: Recipe,
    ) -> None:
        self.parameters, self.net, self.examples = parameters, net, examples
        self.networks, self.randoms, self.recipe = networks, randoms, recipe
        n = len(examples.x)
        self.rows = [np.arange(n)] * len(randoms)
        self.valid: _Validation | None = None
        if parameters.early_stopping:
            self._split_off_validation()
        self.orders = self.rows
        self.n_examples = len(self.rows[0])
        self.batch_size = clipped_batch_size(parameters, self.n_examples)
        if is_batch_clipped(parameters, self.n_examples):
            warn_of_clipped_batches(parameters, self.n_examples, stacklevel=6)
        decides_after_each = parameters.early_stopping or parameters.learning_rate == "invscaling"
        self.shape = epoch_shape(net, self.n_examples, self.batch_size, decides_after_each)
        self.data = on_device(examples, max(self.shape.n_rows, room(n)))
        self.valid_arrays = [] if self.valid is None else self.valid.arrays(examples.x.dtype)
        self.seeds = [copy.deepcopy(random).randint(2**31 - 1) for random in randoms]
        self.state: Any = None

    def _split_off_validation(self) -> None:
        pairs = [
            split_off(self.parameters, self.examples, rows, random)
            for rows, random in zip(self.rows, self.randoms, strict=True)
        ]
        self.rows = [rows for rows, _ in pairs]
        self.valid = _Validation.of(self.examples, np.stack([rows for _, rows in pairs]))
        for index, progress in enumerate(self.networks.progress):
            if progress.best_params is None:
                progress.best_params = self.networks.member(index)

    def begin(self, goes_on: bool) -> None:
        """Start the optimizers, or go on with their states."""
        networks, state = self.networks, self.networks.state
        name = self.recipe.optimizer.name
        if goes_on and networks.optimizer_name != name:
            raise ValueError(
                f"partial_fit goes on with the state of {networks.optimizer_name}, but solver is "
                f"{brief(self.parameters.solver)}; leave solver as it was, or fit anew."
            )
        networks.optimizer_name = name
        if goes_on and state is not None:
            params = state.params if self.recipe.optimizer.evaluation else networks.params
            self.state = state._replace(params=params)
        else:
            seeds = np.array(self.seeds, np.uint32)
            self.state = begin_members(self.net, self.recipe, seeds, networks.params)
        first_rate = float(self.recipe.optimizer.hyper.get("learning_rate", 0.0))
        for progress in networks.progress:
            progress.begin(progress.learning_rate if goes_on else first_rate)

    def train_epochs(self, n_left: int, validate: Validate) -> int:
        """Train some epochs at once, up to the first one after which something changes.

        The program does not know scikit-learn's rules. Where they end the training of a network, or
        change its learning rate, in the middle, the epochs up to there are trained again.
        """
        n_epochs = min(self.shape.n_epochs, n_left)
        orders, states = self._draw_orders(n_epochs)
        members = self._members(orders)
        losses = self._run(members, n_epochs)
        index, is_changed = -1, False
        while not is_changed and index + 1 < n_epochs:
            index += 1
            is_changed = self._end_epoch(losses[:, index], validate)
        if index + 1 < n_epochs:
            self._run(members, index + 1)
            for random, own in zip(self.randoms, states, strict=True):
                random.set_state(own[index])
        self.orders = [own[index] for own in orders]
        return index + 1

    def _draw_orders(self, n_epochs: int) -> tuple[list[list[np.ndarray]], list[list[Any]]]:
        """Each network's orders in the epochs, and its random state after each of them."""
        orders: list[list[np.ndarray]] = []
        states: list[list[Any]] = []
        progress = self.networks.progress
        for order, random, own in zip(self.orders, self.randoms, progress, strict=True):
            orders.append([])
            states.append([])
            for _ in range(n_epochs):
                if self.parameters.shuffle and own.is_training:
                    permutation = np.arange(len(order))
                    random.shuffle(permutation)  # sklearn.utils.shuffle, without its checks
                    order = order[permutation]
                orders[-1].append(order)
                states[-1].append(random.get_state())
        return orders, states

    def _members(self, orders: list[list[np.ndarray]]) -> Member:
        """What the program reads of each network."""
        progress = self.networks.progress
        indices = np.zeros((len(orders), self.shape.n_epochs, self.shape.n_rows), np.int32)
        indices[:, : len(orders[0]), : self.n_examples] = orders
        return Member(
            seed=np.array(self.seeds, np.uint32),
            orders=indices,
            learning_rate=np.array([own.learning_rate for own in progress], self.data.x.dtype),
            is_training=np.array([own.is_training for own in progress]),
            state=self.state,
        )

    def _run(self, members: Member, n_epochs: int) -> np.ndarray:
        """Train so many epochs; returns the losses of each, (members, epochs, 2)."""
        counts = np.array([n_epochs, self.n_examples, self.batch_size], np.int32)
        self.state, losses = train_members(self.shape, self.data, self.recipe, counts, members)
        return np.asarray(losses, float)

    def _end_epoch(self, losses: np.ndarray, validate: Validate) -> bool:
        """Note the losses of an epoch, (members, 2), and decide how the networks go on.

        Returns whether a network ends, or has another learning rate from now on.
        """
        parameters, networks, valid = self.parameters, self.networks, self.valid
        outputs = costs = params = None
        if valid is not None:
            params = self._params()
            outputs, costs = evaluate_members(self.net, params, *self.valid_arrays)
            outputs, costs = np.asarray(outputs), np.asarray(costs, float)
        is_changed = False
        for index, progress in enumerate(networks.progress):
            if not progress.is_training:
                continue
            validated = None
            if valid is not None and outputs is not None and costs is not None:
                own = outputs[index, : len(valid.ys[index])]
                validated = Validated(
                    loss_of(self.net, costs[index], 0.0),
                    *validate(own, valid.ys[index], valid.weights_of(index)),
                    jax.tree.map(lambda array, k=index: np.array(array[k]), params),
                )
            before = progress.learning_rate
            loss = loss_of(self.net, *losses[index])
            texts = progress.add_epoch(parameters, self.n_examples, loss, validated)
            is_changed |= not progress.is_training or progress.learning_rate != before
            if parameters.verbose:
                print("\n".join(texts))
        return is_changed

    def _params(self) -> Params:
        if self.recipe.optimizer.evaluation is None:
            return self.state.params
        return params_to_predict_with(self.recipe, self.state)

    def end(self) -> None:
        """Keep what the networks have come to."""
        networks = self.networks
        networks.params = jax.tree.map(np.array, self._params())
        networks.state = jax.tree.map(np.asarray, self.state)
        if self.valid is not None:
            best = [progress.best_params for progress in networks.progress]
            networks.params = jax.tree.map(lambda *arrays: np.stack(arrays), *best)


class _Validation(NamedTuple):
    """The validation examples of each network."""

    xs: np.ndarray
    ys: np.ndarray
    weights: np.ndarray | None

    @classmethod
    def of(cls, examples: Examples, rows: np.ndarray) -> "_Validation":
        """These rows of the examples, (members, n)."""
        weights = None if examples.weight is None else examples.weight[rows]
        return cls(examples.x[rows], examples.y[rows], weights)

    def weights_of(self, index: int) -> np.ndarray | None:
        """The weights of one network's examples."""
        return None if self.weights is None else self.weights[index]

    def arrays(self, dtype: np.dtype) -> list[jax.Array]:
        """Inputs, targets and weights, with room for more examples."""
        n = self.xs.shape[1]
        weights = np.ones(self.xs.shape[:2]) if self.weights is None else self.weights
        return [
            jnp.asarray(np.stack([padded(own, room(n, 64)) for own in array]), dtype)
            for array in (self.xs, self.ys, weights)
        ]


def split_off(
    parameters: Parameters, examples: Examples, rows: np.ndarray, random: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """The rows to train on, and those to validate on for early stopping.

    Args:
      parameters: the estimator.
      examples: the examples.
      rows: the rows to divide.
      random: where the division comes from.

    Raises:
      ValueError: there are too few examples.
    """
    fraction = parameters.validation_fraction
    stratify = examples.y if examples.stratify else None
    train_rows, valid_rows = map(
        np.asarray,
        train_test_split(rows, random_state=random, test_size=fraction, stratify=stratify),
    )
    if len(valid_rows) < 2:
        raise ValueError(
            f"validation_fraction={fraction:g} of {len(examples.x)} examples are fewer than 2; "
            "raise it, or take more examples."
        )
    return train_rows, valid_rows


def clipped_batch_size(parameters: Parameters, n_examples: int) -> int:
    """The number of examples per mini-batch.

    Args:
      parameters: the estimator.
      n_examples: the training examples, which a mini-batch has at most.
    """
    batch_size = 200 if parameters.batch_size == "auto" else int(parameters.batch_size)
    return min(batch_size, n_examples)


def is_batch_clipped(parameters: Parameters, n_examples: int) -> bool:
    """Whether mini-batches are smaller than a number that was asked for.

    Args:
      parameters: the estimator.
      n_examples: the training examples.
    """
    return parameters.batch_size not in ("auto", clipped_batch_size(parameters, n_examples))


def warn_of_clipped_batches(parameters: Parameters, n_examples: int, stacklevel: int) -> None:
    """Say that mini-batches are smaller than asked for.

    Args:
      parameters: the estimator.
      n_examples: the training examples.
      stacklevel: how many calls up the user's code is.
    """
    warnings.warn(
        f"batch_size={parameters.batch_size} is clipped to the {n_examples} training examples.",
        stacklevel=stacklevel + 1,
    )


def on_device(examples: Examples, n_rows: int) -> Split:
    """The examples with room for more, as arrays of JAX."""
    x, y, weight = examples.x, examples.y, examples.weight
    weight = np.ones(len(x)) if weight is None else weight
    arrays = (padded(array, n_rows) for array in (x, y, weight))
    return Split(*(jnp.asarray(array, x.dtype) for array in arrays))


def loss_of(net: Network, cost: float, penalty: float) -> float:
    """Scikit-learn's loss: its squared error is a mean over outputs where jaxnet's is a sum.

    Args:
      net: the network.
      cost: the mean cost.
      penalty: the penalties.
    """
    n_averaged = net.sizes[-1] if net.cost == COSTS["squared_error"][0] else 1
    return float(cost) / n_averaged + float(penalty)
