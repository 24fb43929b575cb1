"""Pad hidden layers with masked units to a multiple of the SIMD width.

A loop over 30 numbers runs at a half to a third of the rate of one over 32, the next multiple of
the SIMD width, and a hidden layer's width is the last axis of nearly every array in a step. So
programs that train have padded hidden layers. An unmasked padded unit would have the activation
f(0), and would learn; a masked one has weights 0 into it and out of it, and they stay 0. Padding is
exact if zero weights and zero gradients give zero updates, which depends on the optimizer and on
the activations: see `can_pad`. In the same way networks of different widths share a program.
"""

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from jaxnet.core.hyperparameters import pytree, static
from jaxnet.core.network import Network, param_shapes
from jaxnet.core.types import AnyArray, Params
from jaxnet.recipes.recipe import Recipe

SIMD_WIDTH = 8
"""Floats that one SIMD instruction works on: widths are padded to a multiple of this number."""
MAX_GROWTH = 1.1
"""The largest factor by which padding may widen a layer: beyond it, padding costs more than it
saves."""

Tree = TypeVar("Tree")


@pytree
class UnitMasks:
    """Which hidden units of a padded network are the network's own.

    Attributes:
      masks: for each hidden layer, 1.0 for the network's own units and 0.0 for padding, with the
        padded width as last axis; in a sweep there are axes for lanes before it.
      widths: the hidden layers' true widths, at which dropout is drawn (static).
    """

    masks: tuple[Float[AnyArray, "..."], ...]
    widths: tuple[int, ...] = static()

    def zero_padding(self, params: Params) -> Params:
        """The padded parameters with 0 for all weights and biases of padded units.

        Args:
          params: the parameters of the padded network.

        Returns:
          The parameters, of the same shapes.
        """
        dtype = params[0].w.dtype
        n_in, n_out = params[0].w.shape[0], params[-1].w.shape[1]
        ends = (jnp.ones(n_in), jnp.ones(n_out))
        unit_masks = [jnp.asarray(mask, dtype) for mask in (ends[0], *self.masks, ends[1])]
        return tuple(
            layer._replace(w=layer.w * rows[:, None] * columns[None], b=layer.b * columns)
            for layer, rows, columns in zip(params, unit_masks, unit_masks[1:])
        )

    def unpad(self, program: Network, *trees: Params) -> tuple[Network, tuple[Params, ...]]:
        """Remove the padding from a network, and from trees that are shaped like its parameters.

        Args:
          program: the padded network.
          *trees: parameters, gradients or updates of the padded network.

        Returns:
          The network of the true widths, and the trees cut to its shapes.
        """
        sizes = (program.sizes[0], *self.widths, program.sizes[-1])
        net = dataclasses.replace(program, sizes=sizes)
        return net, tuple(unpad_params(net, tree) for tree in trees)


def padded_width(width: int) -> int:
    """The padded width of a hidden layer.

    Args:
      width: units of the layer, at least 1.

    Returns:
      The next multiple of `SIMD_WIDTH`; `width` itself if that would be over 10% more.

    >>> padded_width(30), padded_width(100), padded_width(5)
    (32, 104, 5)
    """
    multiple = -(-width // SIMD_WIDTH) * SIMD_WIDTH
    return width if multiple > MAX_GROWTH * width else multiple


def can_pad(net: Network, recipe: Recipe) -> bool:
    """Whether masked units can be added to a network without changing how the others train.

    They can if each activation depends on its own unit alone, and if the optimizer's update does
    not depend on array shapes and is 0 where weights and gradients are 0. An ε of 0 fails that:
    where a gradient and the optimizer's state are 0, the update would be 0/0.

    Args:
      net: the architecture.
      recipe: how it is trained; its numbers must be known, not traced.

    Returns:
      Whether padding is exact.

    >>> from jaxnet.recipes.optimizers import adam, muon
    >>> net = Network((784, 30, 10))
    >>> [can_pad(net, Recipe(rule)) for rule in (adam(), adam(eps=0), muon())]
    [True, False, False]
    """
    optimizer = recipe.optimizer
    epsilons = [value for name, value in optimizer.hyper.items() if name.startswith("eps")]
    separable = all(activation.apart for activation in net.activations)
    return (
        separable
        and not optimizer.shaped
        and all(np.all(np.asarray(epsilon) > 0) for epsilon in epsilons)
    )


def program_network(networks: Sequence[Network], recipe: Recipe) -> Network:
    """The network of a program that can train all of the given ones.

    Args:
      networks: architectures that differ only in the widths of their hidden layers.
      recipe: how they are trained.

    Returns:
      The network with the largest width of each hidden layer, padded where `can_pad` allows it.

    >>> from jaxnet.recipes.optimizers import sgd
    >>> program_network([Network((784, 30, 10))], Recipe(sgd())).sizes
    (784, 32, 10)
    """
    widths = [max(layer) for layer in zip(*(net.sizes[1:-1] for net in networks), strict=True)]
    net = networks[0]
    hidden = map(padded_width, widths) if can_pad(net, recipe) else widths
    return dataclasses.replace(net, sizes=(net.sizes[0], *hidden, net.sizes[-1]))


def masks(net: Network, program: Network) -> tuple[np.ndarray, ...]:
    """The masks that tell a network's own hidden units from the padding of its program.

    Args:
      net: the network.
      program: the network of the program, with hidden layers at least as wide.

    Returns:
      For each hidden layer a vector of the program's width: 1 for the network's own units, which
      come first, 0 for padding.

    >>> masks(Network((2, 3, 1)), Network((2, 4, 1)))[0].tolist()
    [1.0, 1.0, 1.0, 0.0]
    """
    pairs = zip(net.sizes[1:-1], program.sizes[1:-1], strict=True)
    return tuple((np.arange(padded) < width).astype(np.float32) for width, padded in pairs)


def pad_tree(tree: Tree, like: PyTree) -> Tree:
    """A tree whose arrays are padded with zeros, at the end of each axis.

    Args:
      tree: the arrays.
      like: a tree of the same structure, whose arrays (or their shapes) have the shapes to pad to.

    Returns:
      The padded tree.
    """

    def pad(array: Array, padded: Array | jax.ShapeDtypeStruct) -> Array:
        padding = [
            (0, padded_size - size)
            for size, padded_size in zip(array.shape, padded.shape, strict=True)
        ]
        return jnp.pad(array, padding) if any(map(sum, padding)) else array

    return jax.tree.map(pad, tree, like)


def unpad_tree(tree: Tree, like: PyTree) -> Tree:
    """The inverse of `pad_tree`: a tree whose arrays are cut at the end of each axis.

    Args:
      tree: the padded arrays.
      like: a tree of the same structure, whose arrays have the shapes to cut to.

    Returns:
      The tree without its padding.

    >>> padded = pad_tree([jnp.ones(3)], [jnp.zeros(4)])
    >>> padded[0].tolist(), unpad_tree(padded, [jnp.zeros(3)])[0].tolist()
    ([1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0])
    """
    return jax.tree.map(lambda padded, array: padded[tuple(map(slice, array.shape))], tree, like)


def unpad_params(net: Network, params: Params) -> Params:
    """A network's own parameters, cut out of padded ones.

    Args:
      net: the network, of the true widths.
      params: padded parameters.

    Returns:
      The parameters of the shapes that `net.sizes` name.
    """
    return tuple(
        layer._make(array[tuple(map(slice, shape))] for array, shape in zip(layer, own_shapes))
        for layer, own_shapes in zip(params, param_shapes(net))
    )
