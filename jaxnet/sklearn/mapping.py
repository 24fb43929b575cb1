"""From the parameters of an estimator to a network and a recipe of jaxnet.

Scikit-learn's rules differ from jaxnet's defaults in four ways, all of which are here:

- a mini-batch's costs and penalties are divided by the sum of its own weights
  (`Recipe.normalization`), so that α weighs more in a last, smaller mini-batch;
- Adam's ε is added to √v before the correction for its start;
- initial weights and biases are both uniform, with a bound that depends on the activation;
- "sgd" has momentum, Nesterov's by default.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.special import xlogy
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from jaxnet.core import activations
from jaxnet.core.arguments import brief
from jaxnet.core.costs import Cost, CrossEntropy, LogLikelihood, Poisson, Quadratic
from jaxnet.core.hyperparameters import count, leaf
from jaxnet.core.network import Network
from jaxnet.core.types import Layer, Params
from jaxnet.recipes import optimizers
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.recipe import Recipe
from jaxnet.sklearn.parameters import SOLVERS, Parameters

ACTIVATIONS = {
    "identity": activations.linear,
    "logistic": activations.sigmoid,
    "tanh": activations.tanh,
    "relu": activations.relu,
}
"""Scikit-learn's names of the hidden layers' activations."""


@dataclass(frozen=True)
class PoissonDeviance(Poisson):
    """Half the Poisson deviance, Σ y ln(y/a) − y + a with a = eᶻ: `Poisson`, and 0 where a = y.

    >>> PoissonDeviance().fn(jnp.zeros(1), jnp.ones(1)).item()
    0.0
    """

    def fn(self, z: Float[Array, " n_out"], y: Float[Array, " n_out"]) -> Float[Array, ""]:
        """Σ eᶻ − yz + y ln y − y."""
        return super().fn(z, y) + jnp.sum(xlogy(y, y) - y)


COSTS: dict[str, tuple[Cost, str]] = {
    "multiclass": (LogLikelihood(), "softmax"),
    "binary": (CrossEntropy(), "logistic"),
    "squared_error": (Quadratic(activations.linear), "identity"),
    "poisson": (PoissonDeviance(), "exp"),
}
"""The cost of each kind of targets, and scikit-learn's name of its output activation."""


def hidden_sizes(parameters: Parameters) -> tuple[int, ...]:
    """The widths of the hidden layers.

    Args:
      parameters: the estimator.

    Returns:
      A whole number for each hidden layer.

    Raises:
      ValueError: a width is no whole number of at least 1.
    """
    sizes = parameters.hidden_layer_sizes
    if isinstance(sizes, str) or not isinstance(sizes, Iterable):
        sizes = (sizes,)
    return tuple(count("hidden_layer_sizes", size, low=1) for size in sizes)


def network_of(parameters: Parameters, n_in: int, n_out: int, cost: Cost) -> Network:
    """The network that an estimator trains.

    Args:
      parameters: the estimator.
      n_in: the number of features.
      n_out: the number of outputs.
      cost: one of `COSTS`.
    """
    sizes = (n_in, *hidden_sizes(parameters), n_out)
    return Network(sizes, ACTIVATIONS[parameters.activation], cost)


def optimizer_of(parameters: Parameters) -> Optimizer:
    """The optimizer that an estimator's solver stands for.

    Args:
      parameters: the estimator.

    Raises:
      ValueError: the solver is neither one of scikit-learn's nor one of jaxnet's optimizers, or one
        of its numbers is out of its range.
    """
    solver, rate = parameters.solver, leaf("learning_rate_init", parameters.learning_rate_init)
    if not rate > 0:
        raise ValueError(f"learning_rate_init must be above 0, not {brief(rate)}.")
    if isinstance(solver, Optimizer):
        return solver
    if solver == "sgd" or solver == "lbfgs":
        rule = optimizers.nesterov if parameters.nesterovs_momentum else optimizers.momentum
        return rule(rate, leaf("momentum", parameters.momentum, high=1))
    if solver == "adam":
        hyper = {
            "learning_rate": rate,
            "b1": leaf("beta_1", parameters.beta_1, high=1),
            "b2": leaf("beta_2", parameters.beta_2, high=1),
            "eps": leaf("epsilon", parameters.epsilon),
        }
        return Optimizer(adam_with_outer_epsilon, hyper, shaped=False)
    if not isinstance(solver, str) or solver not in optimizers.NAMED:
        names = '", "'.join([*SOLVERS, *(name for name in optimizers.NAMED if name not in SOLVERS)])
        raise ValueError(
            f'solver must be one of "{names}", or an Optimizer such as jaxnet.adamw(1e-3), not '
            f"{brief(solver)}."
        )
    return optimizers.NAMED[solver](learning_rate=rate)


def adam_with_outer_epsilon(
    learning_rate: ArrayLike, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike
) -> optax.GradientTransformation:
    """Adam with ε outside of the correction: w ← w − η√(1−β₂ᵗ)/(1−β₁ᵗ) · m/(√v+ε).

    Args:
      learning_rate: η.
      b1: β₁.
      b2: β₂.
      eps: ε.
    """
    rate, b1, b2 = jnp.asarray(learning_rate), jnp.asarray(b1), jnp.asarray(b2)

    def update(
        updates: PyTree, state: PyTree, params: PyTree = None
    ) -> tuple[PyTree, optax.ScaleByAdamState]:
        t = optax.safe_increment(state.count)
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, updates)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g**2, state.nu, updates)
        corrected = rate * jnp.sqrt(1 - b2**t) / (1 - b1**t)
        moved = jax.tree.map(lambda m, v: -corrected * m / (jnp.sqrt(v) + eps), mu, nu)
        return moved, optax.ScaleByAdamState(count=t, mu=mu, nu=nu)

    return optax.GradientTransformation(optax.scale_by_adam().init, update)


def recipe_of(parameters: Parameters) -> Recipe:
    """How an estimator trains its network.

    Args:
      parameters: the estimator.
    """
    return Recipe(
        optimizer_of(parameters),
        l2=leaf("alpha", parameters.alpha),
        l1=parameters.l1 or None,
        dropout=parameters.dropout or None,
        normalization="batch",
    )


def draw_params(net: Network, activation: str, random: np.random.RandomState) -> Params:
    """Initial parameters as scikit-learn draws them: uniform in ±√(6/(n_in+n_out)).

    Args:
      net: the network.
      activation: scikit-learn's name of the hidden activation; with "logistic" 2 takes the place of
        6.
      random: where the numbers come from: a layer's weights, then its biases.
    """
    factor = 2.0 if activation == "logistic" else 6.0
    layers = []
    for n_in, n_out in zip(net.sizes, net.sizes[1:]):
        bound = np.sqrt(factor / (n_in + n_out))
        w = random.uniform(-bound, bound, (n_in, n_out))
        layers.append(Layer(w, random.uniform(-bound, bound, n_out)))
    return tuple(layers)
