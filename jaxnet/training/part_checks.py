"""Check parts that a caller has written, by tracing each one alone, before training is traced.

An error of a caller's function would otherwise come out of a program that is made of many parts,
and a wrong shape might even be broadcast. Parts of the library, and optax's rules, are not checked
here.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from jaxnet.core import activations, costs, network
from jaxnet.core.activation import Activation
from jaxnet.core.arguments import brief, reason_of
from jaxnet.core.costs import Cost
from jaxnet.core.network import Network
from jaxnet.core.parametric import Parametric
from jaxnet.core.types import Params
from jaxnet.recipes.optimizers import Optimizer


def check_own_parts(net: Network, optimizer: Optimizer) -> None:
    """Check a network's activations, that of the output included, its cost, and an update rule.

    Args:
      net: the architecture.
      optimizer: the update rule, with scalar numbers.

    Raises:
      ValueError: a function of a part raises an error, which is chained, or returns another shape
        than it has to; the message names the part.
    """
    all_activations = (*net.activations, net.cost.output)
    for activation, width in zip(all_activations, net.sizes[1:], strict=True):
        _check_activation(activation, width)
    _check_cost(net.cost, net)
    is_own = optimizer.rule.__module__.partition(".")[0] not in ("jaxnet", "optax")
    if is_own and not optimizer.curvature:  # tracing takes milliseconds
        _check_rule(optimizer, jax.eval_shape(lambda: network.init(net, jax.random.key(0))))


def _check_activation(activation: Activation, width: int) -> None:
    """Check the activation of a layer with this many units."""
    if activations.NAMED.is_built_in(activation):
        return
    z = jax.ShapeDtypeStruct((width,), jnp.zeros(()).dtype)
    arguments = {"fn": (z,), "pullback": (z, z)}
    if isinstance(activation, Parametric):
        p = jax.ShapeDtypeStruct((), z.dtype)
        arguments |= dict.fromkeys(("f", "prime", "parameter_prime"), (z, p))
    for method, inputs in arguments.items():
        name = f"{method} of the activation {brief(activation)}"
        value = _traced(name, f"shape {z.shape}", getattr(activation, method), *inputs)
        _require_shape(name, value, z.shape)


def _check_cost(cost: Cost, net: Network) -> None:
    """Check a cost."""
    if costs.NAMED.is_built_in(type(cost)):
        return
    dtype = jnp.zeros(()).dtype
    z = jax.ShapeDtypeStruct(net.sizes[-1:], dtype)
    y = jax.ShapeDtypeStruct((net.n_targets,), dtype)
    for method, shape in (("fn", ()), ("delta", z.shape)):
        name = f"{method} of the cost {brief(cost)}"
        inputs = f"logits {z.shape} and targets {y.shape}"
        _require_shape(name, _traced(name, inputs, getattr(cost, method), z, y), shape)


def _check_rule(optimizer: Optimizer, params: Params) -> None:
    """Check what an update rule makes of gradients, and of its own state."""
    transformation = optimizer.transformation(jax.random.key(0))
    shapes = f"parameters {[layer.w.shape for layer in params]}"
    name = f"the optimizer {brief(optimizer)}"
    state = _traced(f"the state of {name}", shapes, transformation.init, params)
    sum_of = lambda tree: sum(jnp.sum(array) for array in jax.tree.leaves(tree))
    update = lambda grads, state, params: transformation.update(
        grads, state, params, value=sum_of(params), grad=grads, value_fn=sum_of
    )
    updates, new_state = _traced(f"the update of {name}", shapes, update, params, state, params)
    # Updates of another float type are converted when they are added to the parameters.
    updates = jax.tree.map(lambda array: array.update(dtype=jnp.zeros(()).dtype), updates)
    for result, model, expected, returned in (
        ("updates", "the gradients", params, updates),
        ("a state", "the one that it got", state, new_state),
    ):
        if _shapes(expected) != _shapes(returned):
            raise ValueError(
                f"{name} must return {result} with the structure, shapes and types of {model}, "
                f"{brief(_shapes(expected)[1])}, not {brief(_shapes(returned)[1])}."
            )


def _traced(name: str, inputs: str, function: Callable[..., PyTree], *arguments: PyTree) -> PyTree:
    """The shapes of what a function returns; its errors are chained to a sentence."""
    try:
        return jax.eval_shape(lambda *args: jax.tree.map(jnp.asarray, function(*args)), *arguments)
    except Exception as error:  # a function of the caller's may raise anything
        raise ValueError(f"{name} cannot be computed for {inputs}: {reason_of(error)}.") from error


def _require_shape(name: str, value: PyTree, shape: tuple[int, ...]) -> None:
    """Refuse another shape than a part has to return."""
    if not isinstance(value, jax.ShapeDtypeStruct) or value.shape != shape:
        returned = getattr(value, "shape", brief(value))
        raise ValueError(f"{name} must return an array of shape {shape}, not {returned}.")


def _shapes(tree: PyTree) -> tuple[object, list[str]]:
    """The structure of a pytree, and the types and shapes of its arrays."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, [f"{leaf.dtype}{list(leaf.shape)}" for leaf in leaves]
