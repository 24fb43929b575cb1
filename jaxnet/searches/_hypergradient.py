"""Hypergradients: descend along the derivative of the validation cost through whole trainings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, SupportsFloat, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Integer, PyTree

from jaxnet.core import network
from jaxnet.core.arguments import path_of, require_function
from jaxnet.core.checks import check_data
from jaxnet.core.display import html_of
from jaxnet.core.dtypes import unshared
from jaxnet.core.hyperparameters import constant, count
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, Dataset, Params
from jaxnet.data.doubtful import warn_if_doubtful
from jaxnet.interrupts import interruptible
from jaxnet.io.files import JsonObject
from jaxnet.recipes.recipe import Recipe
from jaxnet.searches.ranges import Scale, checked_ranges, scales_of, swept_numbers, with_numbers
from jaxnet.searches.results import BestNetwork, Progress, scored_split, search_text
from jaxnet.searches.saved import (
    SavedSearch,
    check_not_fewer,
    described_search,
    warn_of_interruption,
)
from jaxnet.sweeps import sample
from jaxnet.sweeps.checks import checked_settings
from jaxnet.sweeps.search_space import Range
from jaxnet.sweeps.store import Setting
from jaxnet.training import evaluate, fit
from jaxnet.training.checks import check_not_traced
from jaxnet.training.measured import measured


class Hypergradient(NamedTuple):
    """The result of `hypergradient`.

    Attributes:
      best: the setting with the lowest cost of all starts and steps, and its network. Its score is
        the negative of that cost.
      networks_epochs: epochs trained, over all networks. A slope counts as the training of one
        network, as it takes about as long: with k ranges each step of a start counts k + 1.
      progress: how the best score rose, with one number per step.
      numbers: the hyperparameters of each start at each step, (steps, starts), by name.
      costs: the cost of each start at each step, without penalties, (steps, starts); NaN after
        divergence.
      recipe: the tuned recipes, an array of the starts in place of each number: those of the step
        with the lowest cost of each.

    >>> import jaxnet as jn
    >>> search = jn.searches.hypergradient(
    ...     jn.Network((2, 4, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd()),
    ...     {"learning_rate": (0.1, 10)}, starts=2, steps=3, epochs=2, log=None,
    ... )
    >>> search.costs.shape, len(search.recipe)
    ((3, 2), 2)
    """

    best: BestNetwork
    networks_epochs: int
    progress: Progress
    numbers: dict[str, Float[np.ndarray, "steps starts"]]
    costs: Float[np.ndarray, "steps starts"]
    recipe: Recipe

    def __repr__(self) -> str:
        return search_text(self, self.best, self.networks_epochs)

    def _repr_html_(self) -> str | None:
        return html_of(self)


def hypergradient(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    *,
    starts: SupportsIndex = 8,
    steps: SupportsIndex = 10,
    epochs: SupportsIndex = 10,
    step_size: SupportsFloat = 0.05,
    batch_size: SupportsIndex = 10,
    seed: int = 0,
    folder: str | Path | None = None,
    log: Callable[[str], None] | None = print,
) -> Hypergradient:
    """Search by hypergradients: tune continuous hyperparameters by the derivative of training.

    C is the cost without penalties after the last epoch of `jaxnet.fit`. A hyperparameter is moved
    in its position in its range, on the range's own scale: from 0 at the low end to 1 at the high
    one. Forward mode gives C's slopes by the positions, in as much memory as training takes,
    whatever the number of epochs. Each start descends along them by Adam: a slope whose norm is
    above 1 is shortened to 1, one that is not finite counts as 0, and positions stay in [0, 1].

    Where a learning rate is so high that training is chaotic, slopes are useless: give ranges that
    end before, and several starts.

    Args:
      net: the architecture.
      data: the splits; C is that of the validation split or, without one, of the training split.
      recipe: what all trainings have in common, without a stopping rule; with an optimizer that has
        a derivative: not `lbfgs`, `newton_cg`.
      ranges: the range of each hyperparameter to tune, by name, as `jaxnet.sample` takes it:
        `{"learning_rate": (1e-3, 1.0), "decay": jaxnet.OneMinus(0.01, 1.0)}`. A number that only
        decides, such as a dropout rate, has a slope that says little.
      starts: the number of starts, at least 1, which are Sobol points; 8 by default.
      steps: how often C and its slopes are computed, at least 1; 10 by default.
      epochs: epochs of each training, at least 1; 10 by default.
      step_size: Adam's learning rate, above 0: how far a position moves in a step, at first. 0.05
        by default.
      batch_size: examples per mini-batch, at least 1; 10 by default.
      seed: the seed of weights, mini-batches and points, in [0, 2³²); 0 by default.
      folder: a folder that keeps the search after each step, made if it does not exist. The same
        call goes on where an earlier one ended, one with more steps computes only what is missing.
        `None`, the default, keeps nothing.
      log: called after each step with a line; `None` for silence.

    Returns:
      A `Hypergradient`. After Ctrl-C it is that of the steps that ended, with a warning.

    Raises:
      ValueError: network, data, recipe and ranges do not fit together, a number is out of its
        range, or the folder holds something else.
      OSError: the folder cannot be written.

    Warns:
      RuntimeWarning: Ctrl-C ended the search.
      UserWarning: the data are hardly what is meant.

    Source: Maclaurin, Duvenaud, Adams, Gradient-based hyperparameter optimization through
    reversible learning, 2015; Franceschi, Donini, Frasconi, Pontil, Forward and reverse
    gradient-based hyperparameter optimization, 2017.

    >>> import jaxnet as jn
    >>> search = hypergradient(
    ...     jn.Network((2, 4, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd()),
    ...     {"learning_rate": (0.1, 10)}, starts=2, steps=3, epochs=2, log=None,
    ... )
    >>> search.networks_epochs, search.numbers["learning_rate"].shape
    (24, (3, 2))
    """
    check_not_traced("hypergradient", "differentiate jaxnet.fit, a pure function", data, recipe)
    require_function("log", log)
    n_starts, n_steps = count("starts", starts, low=1), count("steps", steps, low=1)
    seed = count("seed", seed, low=0, high=2**32)
    size = constant("step_size", step_size, low=0)
    if not size > 0:
        raise ValueError(f"step_size must be above 0, not {size}.")
    data = check_data(net, data)._replace(test=None)
    warn_if_doubtful(data, "the data")
    swept = sample(recipe, n_starts, seed=seed, **checked_ranges(ranges))
    if recipe.stopping is not None:
        raise ValueError(
            "recipe has a stopping rule, by whose epoch there is no derivative; leave it out."
        )
    choices = measured((scored_split(data),))
    descent = _Descent(
        settings=checked_settings(net, data, swept, epochs, batch_size, None, choices, data),
        swept=swept,
        data=data,
        scales=scales_of(ranges),
        epochs=count("epochs", epochs, low=1),
        step_size=size,
        seed=seed,
    )
    return descent.run(n_steps, None if folder is None else path_of("folder", folder), log)


class Training(NamedTuple):
    """The static choices of the trainings that are differentiated."""

    network: Network
    """The architecture."""
    epochs: int
    """Epochs of each training."""
    batch_size: int
    """Examples per mini-batch."""
    scales: tuple[tuple[str, Scale], ...]
    """The hyperparameters and their ranges."""


@partial(jax.jit, static_argnames="training")
@partial(jax.vmap, in_axes=(None, None, None, None, 0))
def costs_and_slopes(
    training: Training,
    recipe: Recipe,
    seed: Integer[AnyArray, ""],
    data: Dataset,
    positions: Float[AnyArray, " numbers"],
) -> tuple[Float[Array, ""], Float[Array, " numbers"], Params]:
    """The cost after training, its slopes by the positions of hyperparameters, and the parameters.

    Args:
      training: the static choices.
      recipe: a recipe that `jaxnet.sample` made, whose arrays the hyperparameters replace.
      seed: the seed of weights and mini-batches, as an unsigned number of 32 bits.
      data: the splits.
      positions: the position of each hyperparameter in its range; a row for each start.
    """
    net = training.network
    scored = data.train if data.valid is None else data.valid

    def cost_after_training(
        positions: Float[AnyArray, " numbers"],
    ) -> tuple[Array, tuple[Array, Params]]:
        numbers = {name: scale.at(positions[i]) for i, (name, scale) in enumerate(training.scales)}
        params, _ = fit(
            net,
            data,
            with_numbers(recipe, numbers),
            epochs=training.epochs,
            batch_size=training.batch_size,
            seed=seed,
            evaluate_on=(),
        )
        cost = jnp.asarray(evaluate(net, params, scored).cost)
        return cost, (cost, params)

    slopes, (cost, params) = jax.jacfwd(cost_after_training, has_aux=True)(positions)
    return cost, slopes, params


class _Carry(NamedTuple):
    """All that the next step depends on: what a folder keeps."""

    positions: Float[AnyArray, "starts numbers"]
    """Where C is computed next."""
    adam: PyTree
    all_positions: Float[np.ndarray, "steps starts numbers"]
    """Where C was computed."""
    costs: Float[np.ndarray, "steps starts"]
    best: Params
    """The parameters of the network with the lowest cost so far."""


@dataclass(frozen=True)
class _Descent:
    """Descends from all starts, step by step.

    Attributes:
      settings: the setting of each start.
      swept: their recipes.
      data: the splits.
      scales: the range of each hyperparameter.
      epochs: epochs of each training.
      step_size: Adam's learning rate.
      seed: the seed.
    """

    settings: tuple[Setting, ...]
    swept: Recipe
    data: Dataset
    scales: dict[str, Scale]
    epochs: int
    step_size: float
    seed: int

    def run(
        self, n_steps: int, folder: Path | None, log: Callable[[str], None] | None
    ) -> Hypergradient:
        """Take so many steps, or until Ctrl-C; from the folder's state on."""
        data = jax.device_put(unshared(self.data))
        with SavedSearch(folder, self._description()) as saved, interruptible() as interrupted:
            carry = saved.load(self._start())
            check_not_fewer("steps", n_steps, len(carry.costs), folder)
            for step in range(len(carry.costs), n_steps):
                if interrupted and step:
                    break
                carry = self._take_step(carry, data)
                saved.save(carry)
                if log is not None:
                    lowest = _lowest(carry.costs)
                    log(f"Step {step + 1} of {n_steps}: lowest cost {lowest.min():.4g}.")
        if len(carry.costs) < n_steps:
            warn_of_interruption(f"{len(carry.costs)} of {n_steps} steps", folder)
        return self._result(carry)

    @property
    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(self.step_size)

    def _start(self) -> _Carry:
        """The search before its first step."""
        numbers, dtype = swept_numbers(self.swept), jax.dtypes.canonicalize_dtype(float)
        columns = [scale.position(numbers[name]) for name, scale in self.scales.items()]
        positions = np.clip(np.stack(columns, axis=1), 0, 1).astype(dtype)
        params = network.zero_params(self.settings[0].network)
        return _Carry(
            positions=jnp.asarray(positions),
            adam=self._adam.init(jnp.asarray(positions)),
            all_positions=np.zeros((0, *positions.shape), dtype),
            costs=np.zeros((0, len(positions)), dtype),
            best=jax.tree.map(np.asarray, params),
        )

    def _take_step(self, carry: _Carry, data: Dataset) -> _Carry:
        """The search after one more evaluation of C and its slopes, and the move along these."""
        setting = self.settings[0]
        training = Training(
            setting.network, self.epochs, setting.batch_size, tuple(self.scales.items())
        )
        costs, slopes, params = costs_and_slopes(
            training, self.swept, np.array(self.seed, np.uint32), data, carry.positions
        )
        positions, adam = self._moved(carry, jnp.where(jnp.isfinite(slopes), slopes, 0))
        all_costs, best = np.concatenate([carry.costs, np.asarray(costs)[None]]), carry.best
        if len(all_costs) == 1 or _lowest(all_costs)[-1] < _lowest(carry.costs).min():
            start = int(np.argmin(np.nan_to_num(np.asarray(costs), nan=np.inf)))
            best = jax.tree.map(lambda leaf: np.asarray(leaf[start]), params)
        return _Carry(
            positions=positions,
            adam=adam,
            all_positions=np.concatenate([carry.all_positions, np.asarray(carry.positions)[None]]),
            costs=all_costs,
            best=best,
        )

    def _moved(
        self, carry: _Carry, slopes: Float[Array, "starts numbers"]
    ) -> tuple[Float[Array, "starts numbers"], PyTree]:
        """The positions after a step of Adam, and its state."""
        norms = jnp.linalg.norm(slopes, axis=1, keepdims=True)
        updates, adam = self._adam.update(slopes / jnp.maximum(norms, 1), carry.adam)
        moved = optax.apply_updates(carry.positions, updates)
        return jnp.clip(jnp.asarray(moved), 0, 1), adam

    def _description(self) -> JsonObject:
        """What identifies the search in its folder."""
        described = described_search(
            "hypergradient", self.settings[0], self.swept, self.data, self.scales
        )
        return described | {
            "starts": len(self.settings),
            "epochs": self.epochs,
            "step_size": self.step_size,
            "seed": self.seed,
        }

    def _result(self, carry: _Carry) -> Hypergradient:
        """The result of the steps so far."""
        costs, starts = carry.costs, np.arange(len(self.settings))
        numbers = {
            name: np.asarray(scale.at(carry.all_positions[..., index]))
            for index, (name, scale) in enumerate(self.scales.items())
        }
        ranked = np.nan_to_num(costs, nan=np.inf)
        best_steps = np.argmin(ranked, axis=0)
        tuned = {name: rows[best_steps, starts] for name, rows in numbers.items()}
        recipe = with_numbers(self.swept, tuned)
        best_start = int(np.argmin(ranked[best_steps, starts]))
        setting = self.settings[best_start]._replace(
            recipe=with_numbers(self.swept, {name: row[best_start] for name, row in tuned.items()})
        )
        per_step = len(self.settings) * self.epochs * (1 + len(self.scales))
        best_score = -np.minimum.accumulate(_lowest(costs))
        return Hypergradient(
            best=BestNetwork(setting, float(best_score[-1]), carry.best),
            networks_epochs=per_step * len(costs),
            progress=Progress(per_step * np.arange(1, len(costs) + 1), best_score),
            numbers=numbers,
            costs=costs,
            recipe=recipe,
        )


def _lowest(costs: Float[np.ndarray, "steps starts"]) -> Float[np.ndarray, " steps"]:
    """The lowest cost of each step; infinite where all networks diverged."""
    return np.nan_to_num(costs, nan=np.inf).min(axis=1)
