"""Pruning: which weights to remove from a network, as masks for `trainable=`.

A pruned network starts from `apply(params, mask)`, where the removed weights are 0, and is trained
with `trainable=mask`, so that they stay 0.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from jaxnet.core.activations import prelu, sigmoid
from jaxnet.core.arguments import brief, require_choice
from jaxnet.core.hyperparameters import constant, leaf
from jaxnet.core.network import Network, are_layers, check_params
from jaxnet.core.types import AnyLayer, ParametricLayer, Params
from jaxnet.recipes.trainable import LayerMasks, Trainable, trainable_masks


def magnitude(
    params: Params, sparsity: float, scope: Literal["layer", "global"] = "layer"
) -> tuple[AnyLayer, ...]:
    """The mask that removes the weights of smallest magnitude |w|; all else stays.

    Of n weights, round(sparsity · n) are removed, with a half rounded to the even number. Among
    equal magnitudes, those that come first are removed: layer by layer, row by row. So weights that
    are 0 already are removed first, and a mask of a pruned network with a higher sparsity keeps
    nothing that was removed, if no other weight is 0.

    Args:
      params: the network's parameters.
      sparsity: the fraction of the weights to remove, in [0, 1).
      scope: "layer" (the default) removes this fraction in each layer, "global" in the whole
        network, where all magnitudes are compared.

    Returns:
      A mask for `trainable=`: for each layer a `Layer` (a `ParametricLayer` where the parameters
      are one) whose `w` is a boolean array, False where a weight is removed, and whose other fields
      are True.

    Raises:
      ValueError: a weight is not finite, or an argument is out of its range.

    Source: Frankle and Carbin, The lottery ticket hypothesis, 2019, section 2.

    >>> from jaxnet.core.types import Layer
    >>> params = (Layer(np.array([[0.3, -0.1], [0.2, 0.4]]), np.zeros(2)),)
    >>> magnitude(params, 0.5)[0].w.tolist()
    [[True, False], [False, True]]
    """
    _network(params)
    leaf("sparsity", sparsity, high=1)
    fraction = constant("sparsity", sparsity)
    require_choice("scope", scope, ("layer", "global"))
    magnitudes = [np.abs(np.asarray(layer.w)).ravel() for layer in params]
    for index, values in enumerate(magnitudes):
        if not np.isfinite(values).all():
            raise ValueError(
                f"the weights of layer {index} must be finite to be compared, but one is "
                f"{values[~np.isfinite(values)][0]}; prune a network that has not diverged."
            )
    if scope == "layer":
        keep = np.concatenate([_keep_largest(values, fraction) for values in magnitudes])
    else:
        keep = _keep_largest(np.concatenate(magnitudes), fraction)
    ends = np.cumsum([len(values) for values in magnitudes])
    parts = np.split(keep, ends[:-1])
    return tuple(
        layer._make([part.reshape(np.shape(layer.w)), *[True] * (len(layer) - 1)])
        for part, layer in zip(parts, params, strict=True)
    )


def _keep_largest(values: Float[np.ndarray, " n"], sparsity: float) -> Bool[np.ndarray, " n"]:
    """A mask that is False for the smallest values, the first of equal ones first."""
    keep = np.ones(len(values), bool)
    keep[np.argsort(values, kind="stable")[: round(sparsity * len(values))]] = False
    return keep


def apply(params: Params, mask: Trainable) -> Params:
    """The parameters with 0 for what a mask removes.

    Args:
      params: the network's parameters.
      mask: a tuple with a `Layer` per layer, of boolean arrays of the parameters' shapes or single
        booleans, such as `magnitude` returns.

    Returns:
      The parameters, NumPy arrays of the same shapes and types.

    Raises:
      ValueError: the mask has another number of layers or another shape.

    >>> from jaxnet.core.types import Layer
    >>> params = (Layer(np.array([[0.3, -0.1]]), np.ones(2)),)
    >>> apply(params, magnitude(params, 0.5))[0].w.tolist()
    [[0.3, 0.0]]
    """
    masks = trainable_masks(_network(params), mask, "mask")
    masks = masks or (LayerMasks(None, None),) * len(params)
    return tuple(
        layer._make(
            np.asarray(array) if keep is None else np.where(keep, array, np.zeros_like(array))
            for array, keep in zip(layer, layer_masks)
        )
        for layer, layer_masks in zip(params, masks, strict=True)
    )


def _network(params: Params) -> Network:
    """A network that has parameters of these shapes."""
    if not are_layers(params) or not params or any(np.ndim(layer.w) != 2 for layer in params):
        raise ValueError(
            "params must be a tuple of jaxnet.Layer(w, b) as Run.params holds them, not "
            f"{brief(params)}."
        )
    sizes = (len(params[0].w), *(np.shape(layer.w)[1] for layer in params))
    # Any activation with a parameter will do.
    hidden = [prelu if isinstance(layer, ParametricLayer) else sigmoid for layer in params[:-1]]
    net = Network(sizes, tuple(hidden))
    check_params(net, params)
    return net
