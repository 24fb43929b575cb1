"""Which weights and biases are trained, and which are frozen: the argument `trainable`.

A frozen number keeps its bits, whatever the optimizer, the penalties and max-norm make of the
others. It is a constant of the network: an optimizer sees 0 in its place, as its value and as its
gradient. So it enters neither the optimizer's state nor a norm over many numbers, such as that of
LAMB or of L-BFGS, and the others train as if it were not among the parameters.
"""

from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from jaxnet.core.arguments import brief
from jaxnet.core.network import Network, param_shapes
from jaxnet.core.types import AnyArray, AnyLayer, Params

Trainable = Any
"""A pytree prefix of parameters, of booleans or of 0 and 1: see `trainable_masks`."""


class LayerMasks(NamedTuple):
    """Which parameters of a layer are trained.

    Attributes:
      w: for the weights, a boolean array of their shape, False where a number is frozen; `None` if
        all are trained.
      b: the same for the biases.
      activation: the same for the parameter of the layer's activation; `None`, the default, if it
        is trained, or there is none.

    >>> LayerMasks(w=np.array([[True, False]]), b=None).w.shape
    (1, 2)
    """

    w: Bool[AnyArray, "..."] | None
    b: Bool[AnyArray, "..."] | None
    activation: Bool[AnyArray, ""] | None = None


TrainableMasks = tuple[LayerMasks, ...]
"""The masks of each layer."""


def trainable_masks(
    net: Network, trainable: Trainable, name: str = "trainable"
) -> TrainableMasks | None:
    """The masks that a pytree prefix stands for.

    Args:
      net: the architecture.
      trainable: what is trained: one boolean for the whole network, or a tuple with an entry per
        layer. An entry is a boolean, or a `Layer(w, b)` of booleans and arrays of the parameters'
        shapes; a `ParametricLayer(w, b, activation)` where the layer's activation has a parameter.
        1 and 0 are booleans, too. `None` trains everything.
      name: what the argument is called, for errors; "trainable" by default.

    Returns:
      The masks of each layer. A single `True` becomes `None`, which is not in the program
      at all; a single `False` becomes an array. `None` if everything is trained by single `True`s.

    Raises:
      ValueError: it has another number of layers, an array has another shape, or a value is neither
        0 nor 1.

    >>> net = Network((2, 3, 2))
    >>> first, last = trainable_masks(net, (False, True))
    >>> first.b.tolist(), last.b
    ([False, False, False], None)
    >>> from jaxnet.core.types import Layer
    >>> first, last = trainable_masks(net, (Layer(w=np.eye(2, 3), b=True), True))
    >>> first.w.tolist()
    [[True, False, False], [False, True, False]]
    """
    n_layers = len(net.sizes) - 1
    is_tuple = isinstance(trainable, (tuple, list)) and not isinstance(trainable, AnyLayer)
    entries = trainable if is_tuple else [trainable] * n_layers
    if trainable is None:
        return None
    if len(entries) != n_layers or isinstance(trainable, AnyLayer):
        raise ValueError(
            f"{name} must be one boolean, or a tuple with one entry for each of the {n_layers} "
            f"layers of sizes {net.sizes}, not {brief(trainable)}."
        )
    masks = tuple(
        _layer_masks(f"{name}[{index}]", entry, shapes)
        for index, (entry, shapes) in enumerate(zip(entries, param_shapes(net), strict=True))
    )
    return masks if jax.tree.leaves(masks) else None


def _layer_masks(place: str, entry: object, shapes: AnyLayer) -> LayerMasks:
    """The masks of one layer, whose arrays have these shapes."""
    kind = f"jaxnet.{type(shapes).__name__}({', '.join(shapes._fields)})"
    if isinstance(entry, AnyLayer):
        if type(entry) is not type(shapes):
            raise ValueError(
                f"{place} must be a {kind}, as the layer's parameters are, not {brief(entry)}."
            )
        names = [f"{place}.{field}" for field in entry._fields]
        return LayerMasks(*map(_mask, names, entry, shapes))
    if np.ndim(entry):  # pyright: ignore[reportArgumentType]
        raise ValueError(
            f"{place} must be a boolean for the whole layer, or a {kind} with an array for each, "
            f"not {brief(entry)}."
        )
    return LayerMasks(*(_mask(place, entry, shape) for shape in shapes))


def _mask(name: str, value: object, shape: Any) -> AnyArray | None:
    """The mask of one array of parameters; `None` for a single True."""
    if isinstance(value, jax.core.Tracer):
        array = value
    else:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
            raise ValueError(f"{name} must be of booleans, or of 0 and 1, not {brief(value)}.")
    if array.shape not in ((), shape):
        raise ValueError(
            f"{name} has shape {array.shape}, but the parameters have {shape}; give an array of "
            "their shape, or one boolean."
        )
    if isinstance(array, np.ndarray):
        if array.ndim == 0:
            return None if array else np.zeros(shape, bool)
        return array.astype(bool)
    return jnp.broadcast_to(array, shape).astype(bool)


def check_masks(masks: object) -> None:
    """Raise an error unless the argument is what `trainable_masks` returns.

    Args:
      masks: the argument `trainable` of a function that takes no prefix.

    Raises:
      ValueError: it is something else, such as a prefix.

    >>> check_masks(None)
    """
    is_tuple = isinstance(masks, tuple) and all(isinstance(layer, LayerMasks) for layer in masks)
    if masks is not None and not is_tuple:
        raise ValueError(
            "trainable must be masks as jaxnet.recipes.trainable.trainable_masks(net, …) makes "
            f"them, or None, not {brief(masks)}."
        )


def where_trainable(masks: TrainableMasks | None, new: Params, old: Params) -> Params:
    """New values of what is trained, and the old ones, bit for bit, of what is frozen.

    Args:
      masks: what is trained; `None` for everything.
      new: the new parameters.
      old: the old ones, of the same shapes.

    Returns:
      The parameters.

    >>> from jaxnet.core.types import Layer
    >>> old, new = (Layer(np.zeros((1, 2)), np.zeros(2)),), (Layer(np.ones((1, 2)), np.ones(2)),)
    >>> (layer,) = where_trainable((LayerMasks(np.array([[True, False]]), None),), new, old)
    >>> layer.w.tolist(), layer.b.tolist()
    ([[1.0, 0.0]], [1.0, 1.0])
    """
    if masks is None:
        return new
    return tuple(
        layer._make(
            array if mask is None else jnp.where(mask, array, old_array)
            for array, old_array, mask in zip(layer, old_layer, layer_masks)
        )
        for layer_masks, layer, old_layer in zip(masks, new, old, strict=True)
    )


def hide_frozen(masks: TrainableMasks | None, tree: Params) -> Params:
    """Parameters or gradients with 0 for what is frozen, as an optimizer sees them.

    Args:
      masks: what is trained; `None` for everything.
      tree: parameters, or a gradient with respect to them.

    Returns:
      The tree, of the same shapes.

    >>> from jaxnet.core.types import Layer
    >>> tree = (Layer(np.ones((1, 2)), np.ones(2)),)
    >>> hide_frozen((LayerMasks(None, np.array([True, False])),), tree)[0].b.tolist()
    [1.0, 0.0]
    """
    if masks is None:
        return tree
    return tuple(
        layer._make(
            array if mask is None else jnp.where(mask, array, 0)
            for array, mask in zip(layer, layer_masks)
        )
        for layer_masks, layer in zip(masks, tree, strict=True)
    )


def is_first_layer_whole(masks: TrainableMasks | None) -> bool:
    """Whether all weights of the first layer are trained, as is known before compilation.

    Args:
      masks: what is trained; `None` for everything.

    Returns:
      True if no mask of these weights is in the program.
    """
    return masks is None or masks[0].w is None


def pad_masks(masks: TrainableMasks | None, net: Network) -> TrainableMasks | None:
    """Masks for a network with wider hidden layers: what is padding is frozen.

    Args:
      masks: what is trained of the narrower network; `None` for everything.
      net: the wider network.

    Returns:
      The masks of the wider network.

    >>> from jaxnet.core.types import Layer
    >>> masks = trainable_masks(Network((2, 3, 2)), (Layer(np.ones((2, 3)), True), True))
    >>> pad_masks(masks, Network((2, 4, 2)))[0].w[0].tolist()
    [True, True, True, False]
    """
    if masks is None:
        return None

    def pad(mask: AnyArray | None, shape: Any) -> AnyArray | None:
        if mask is None or not shape:
            return mask
        return jnp.pad(mask, [(0, padded - size) for padded, size in zip(shape, mask.shape)])

    return tuple(
        LayerMasks(*map(pad, layer, shapes)) for layer, shapes in zip(masks, param_shapes(net))
    )
