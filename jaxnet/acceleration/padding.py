"""Hidden layers filled up with units that are not there, to widths that a processor likes.

A loop over 30 numbers runs at a half to a third of the rate of one over 32, the next multiple of
the vector: it is the last axis of nearly every array in a step. So networks are trained in programs
whose hidden layers are filled up. A padded unit's activation would be f(0), and it would learn;
masked, it has weights 0 into it and out of it, and stays out, exactly, if the rule and the
activations are such that nothing comes of nothing (`can_pad`). The same mechanism lets networks of
different widths share a program.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxnet.core.hyperparameters import pytree, static
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, Layer, Params
from jaxnet.recipes.recipe import Recipe

VECTOR = 8
"""Widths are filled up to a multiple of so many floats."""


@pytree
class UnitMasks:
    """Which hidden units of a network are there, where others only fill up its width."""

    masks: tuple[Float[AnyArray, "..."], ...]
    """For each hidden layer, 1 where a unit is there and 0 where none is."""
    widths: tuple[int, ...] = static()
    """The hidden layers' true widths, at which dropout is drawn."""

    def zero_padding(self, params: Params) -> Params:
        """The parameters, with 0 for those of units that are not there."""
        dtype = params[0].w.dtype
        ends = (jnp.ones(params[0].w.shape[0]), jnp.ones(params[-1].w.shape[1]))
        masks = [jnp.asarray(mask, dtype) for mask in (ends[0], *self.masks, ends[1])]
        return tuple(
            Layer(layer.w * into[:, None] * out[None], layer.b * out)
            for layer, into, out in zip(params, masks, masks[1:])
        )

    def unpad(self, program: Network, *trees: Params) -> tuple[Any, ...]:
        """The network of a program, and what is shaped like its parameters, without the others."""
        sizes = (program.sizes[0], *self.widths, program.sizes[-1])
        net = dataclasses.replace(program, sizes=sizes)
        return net, *(unpad_params(net, tree) for tree in trees)


def padded_width(width: int) -> int:
    """The width of a hidden layer in a program: a multiple of the vector's, if that costs little.

    >>> padded_width(30), padded_width(100), padded_width(5)
    (32, 104, 5)
    """
    wide = -(-width // VECTOR) * VECTOR
    return width if wide > 1.1 * width else wide


def can_pad(net: Network, recipe: Recipe) -> bool:
    """Whether units can be added to a network, and masked out, without changing the others.

    The recipe's numbers must be known. Where a gradient and all that a rule remembers are 0, an
    ε = 0 makes 0/0 of its update.

    >>> from jaxnet.recipes.optimizers import adam, muon
    >>> net = Network((784, 30, 10))
    >>> [can_pad(net, Recipe(rule)) for rule in (adam(), adam(eps=0), muon())]
    [True, False, False]
    """
    optimizer = recipe.optimizer
    numbers = [value for name, value in optimizer.hyper.items() if name.startswith("eps")]
    apart = all(activation.apart for activation in net.activations)
    return apart and not optimizer.shaped and all(np.all(np.asarray(n) > 0) for n in numbers)


def program_network(networks: Sequence[Network], recipe: Recipe) -> Network:
    """The network of the program that trains all of these.

    >>> from jaxnet.recipes.optimizers import sgd
    >>> program_network([Network((784, 30, 10))], Recipe(sgd())).sizes
    (784, 32, 10)
    """
    widths = [max(layer) for layer in zip(*(net.sizes[1:-1] for net in networks), strict=True)]
    net = networks[0]
    hidden = map(padded_width, widths) if can_pad(net, recipe) else widths
    return dataclasses.replace(net, sizes=(net.sizes[0], *hidden, net.sizes[-1]))


def masks(net: Network, program: Network) -> tuple[np.ndarray, ...]:
    """For each hidden layer of a network in a program, 1 where a unit is there and 0 elsewhere.

    >>> masks(Network((2, 3, 1)), Network((2, 4, 1)))[0].tolist()
    [1.0, 1.0, 1.0, 0.0]
    """
    pairs = zip(net.sizes[1:-1], program.sizes[1:-1], strict=True)
    return tuple((np.arange(wide) < width).astype(np.float32) for width, wide in pairs)


def pad_tree(tree: Any, like: Any) -> Any:
    """Each array, filled up with zeros at its ends to the shape of that of another tree."""

    def fill(array: Array, wide: Any) -> Array:
        room = [(0, there - here) for here, there in zip(array.shape, wide.shape, strict=True)]
        return jnp.pad(array, room) if any(map(sum, room)) else array

    return jax.tree.map(fill, tree, like)


def unpad_tree(tree: Any, like: Any) -> Any:
    """The inverse of `pad_tree`.

    >>> wide = pad_tree([jnp.ones(3)], [jnp.zeros(4)])
    >>> wide[0].tolist(), unpad_tree(wide, [jnp.zeros(3)])[0].tolist()
    ([1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0])
    """
    return jax.tree.map(lambda wide, array: wide[tuple(map(slice, array.shape))], tree, like)


def unpad_params(net: Network, params: Params) -> Params:
    """A network's own parameters, without the units that only fill up the width."""
    return tuple(
        Layer(layer.w[:n_in, :n_out], layer.b[:n_out])
        for layer, n_in, n_out in zip(params, net.sizes, net.sizes[1:])
    )
