"""A network's architecture, its initial parameters, and what it computes.

Everything here is written for one example; batches are `vmap`s of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxnet.core import initializers
from jaxnet.core.activations import Activation, Softmax, sigmoid
from jaxnet.core.costs import Cost, CrossEntropy
from jaxnet.core.types import AnyArray, Initializer, Input, Inputs, KeyArray, Params, Target

Masks = Sequence[Float[AnyArray, "..."]] | None
"""One multiplicative mask per hidden layer, or none at all."""


@dataclass(frozen=True)
class Network:
    """The architecture of a feed-forward network: a static, hashable choice.

    Args:
      sizes: units per layer, input and output included: (784, 30, 10).
      hidden: the activation of all hidden layers, or a tuple with one for each.
      cost: the cost, which brings the output activation with it.
      init: `(key, n_in, n_out) -> Layer`, the initial weights and biases.
      precision: of matrix products; "highest" is full float32 everywhere, "default" lets an
        accelerator round their inputs to fewer bits, for speed.

    >>> Network((784, 30, 10)).n_params
    23860
    """

    sizes: tuple[int, ...]
    hidden: Activation | tuple[Activation, ...] = sigmoid
    cost: Cost = CrossEntropy()
    init: Initializer = field(default=initializers.default, repr=False)
    precision: Literal["default", "high", "highest"] = field(default="highest", repr=False)

    def __post_init__(self) -> None:
        try:
            sizes = tuple(int(size) for size in self.sizes)
            exact = all(size == given for size, given in zip(sizes, self.sizes, strict=True))
        except (TypeError, ValueError):
            sizes, exact = (), False
        if not exact or len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(
                f"sizes must be two or more positive whole numbers, input and output included, "
                f"such as (784, 30, 10), not {self.sizes!r}."
            )
        object.__setattr__(self, "sizes", sizes)
        alone = isinstance(self.hidden, Activation)
        hidden = (self.hidden,) * (len(sizes) - 2) if alone else self.hidden
        if not isinstance(hidden, (tuple, list)) or not all(
            isinstance(activation, Activation) for activation in hidden
        ):
            raise ValueError(
                f"hidden must be an Activation such as jaxnet.activations.relu, "
                f"not {self.hidden!r}."
            )
        if len(hidden) != len(sizes) - 2:
            raise ValueError(
                f"hidden names {len(hidden)} activations, but sizes {sizes} has "
                f"{len(sizes) - 2} hidden layers; give one activation for all, or one for each."
            )
        try:
            hash((tuple(hidden), self.cost, self.init))
        except TypeError as error:
            raise ValueError(
                f"a network's parts must be hashable, such as frozen dataclasses: {error}."
            ) from None
        # One form for each network, so that equal networks are equal, and one program.
        same = len(set(hidden)) <= 1
        object.__setattr__(self, "hidden", next(iter(hidden), sigmoid) if same else tuple(hidden))
        if not isinstance(self.cost, Cost):
            raise ValueError(
                f"cost must be a Cost such as jaxnet.costs.CrossEntropy(), not {self.cost!r}."
            )
        if isinstance(self.cost.output, Softmax) and sizes[-1] == 1:
            raise ValueError("the softmax of a single output is always 1; take two outputs.")
        if self.n_params >= 2**31:
            raise ValueError(f"sizes {sizes} make {self.n_params:,} parameters; 2³¹ are too many.")
        if self.precision not in ("default", "high", "highest"):
            raise ValueError(
                f'precision must be "default", "high" or "highest", not {self.precision!r}.'
            )

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activation of each hidden layer."""
        if isinstance(self.hidden, tuple):
            return self.hidden
        return (self.hidden,) * (len(self.sizes) - 2)

    @property
    def n_params(self) -> int:
        """The number of weights and biases."""
        return sum((n_in + 1) * n_out for n_in, n_out in zip(self.sizes, self.sizes[1:]))


def init(net: Network, key: KeyArray) -> Params:
    """Draw the initial parameters; layer l's draw is addressed by l, not by the layers before it.

    Args:
      net: the architecture.
      key: a random key, such as `jax.random.key(0)`.

    Returns:
      A `Layer` per layer, in JAX's default float type.

    Raises:
      ValueError: the key is no random key.

    >>> params = init(Network((784, 30, 10)), jax.random.key(0))
    >>> [layer.w.shape for layer in params]
    [(784, 30), (30, 10)]
    """
    if not (isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)):
        raise ValueError(f"init takes a random key, such as jax.random.key(0), not {key!r}.")
    pairs = zip(net.sizes, net.sizes[1:])
    return tuple(
        net.init(jax.random.fold_in(key, index), n_in, n_out)
        for index, (n_in, n_out) in enumerate(pairs)
    )


def inputs(x: Input | Inputs, dtype: jnp.dtype) -> Float[Array, "*batch n_in"]:
    """What the first layer sees: uint8 pixels divided by 255, floats as they are."""
    x = jnp.asarray(x)
    if x.dtype != jnp.uint8 and not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"inputs are {x.dtype}; use uint8 for pixels 0..255, or floats.")
    return x.astype(dtype) / 255 if x.dtype == jnp.uint8 else x.astype(dtype)


def are_labels(y: Any) -> bool:
    """Whether targets are integer class labels; if not, they are floats, one for each output.

    >>> are_labels(np.array([0, 2])), are_labels(np.array([[0.0, 1.0]]))
    (True, False)
    """
    return jnp.issubdtype(y.dtype, jnp.integer)


def targets(y: Target, n_out: int, dtype: jnp.dtype) -> Float[Array, " n_out"]:
    """What the output layer should say: a label one-hot (or 0/1 for one output), floats as is."""
    y = jnp.asarray(y)
    floats = jnp.issubdtype(y.dtype, jnp.floating)
    if y.shape != ((n_out,) if floats else ()) or not (floats or are_labels(y)):
        raise ValueError(
            f"a target is {y.dtype} of shape {y.shape}; use an integer label, or {n_out} floats."
        )
    if floats:
        return y.astype(dtype)
    return y.astype(dtype)[None] if n_out == 1 else jax.nn.one_hot(y, n_out, dtype=dtype)


def forward(
    net: Network,
    params: Params,
    x: Input,
    masks: Masks = None,
) -> tuple[list[Array], list[Float[Array, "..."]]]:
    """The forward pass for one example: zˡ = Wˡᵀaˡ⁻¹ + bˡ, aˡ = mˡ·f(zˡ).

    Args:
      net: the architecture.
      params: its parameters.
      x: the example: uint8 pixels or floats, (n_in,).
      masks: one vector per hidden layer, (n_l,), that its activations are multiplied by.

    Returns:
      What goes into each layer, a⁰ … aᴸ⁻¹, and each layer's weighted inputs, z¹ … zᴸ.
    """
    first = params[0]
    a = inputs(x, first.w.dtype)
    z1 = jnp.dot(a, first.w, precision=net.precision) + first.b
    activations, zs = forward_from(net, params, z1, masks)
    return [a, *activations], zs


def forward_from(
    net: Network,
    params: Params,
    z1: Float[Array, " n_1"],
    masks: Masks = None,
) -> tuple[list[Array], list[Float[Array, "..."]]]:
    """The forward pass for one example, from the first layer's weighted inputs z¹ on.

    The first layer's weights are not used, so that a caller may have multiplied by them in a way
    of its own.

    Args:
      net: the architecture.
      params: its parameters.
      z1: W¹ᵀx + b¹, (n_1,).
      masks: one vector per hidden layer, (n_l,), that its activations are multiplied by.

    Returns:
      The hidden layers' activations, a¹ … aᴸ⁻¹, and all weighted inputs, z¹ … zᴸ.

    Raises:
      ValueError: there are more or fewer masks than hidden layers.
    """
    if masks is not None and len(masks) != len(params) - 1:
        raise ValueError(f"{len(masks)} masks for {len(params) - 1} hidden layers; give one each.")
    activations, zs = [], [z1]
    for index, layer in enumerate(params[1:]):
        a = net.activations[index].fn(zs[-1])
        activations.append(a if masks is None else a * masks[index])
        zs.append(jnp.dot(activations[-1], layer.w, precision=net.precision) + layer.b)
    return activations, zs


def logits(
    net: Network,
    params: Params,
    x: Input | Inputs,
) -> Float[Array, "*batch n_out"]:
    """The weighted inputs zᴸ of the output layer, for one example (n_in,) or for many (n, n_in)."""
    if x.ndim == 1:
        return forward(net, params, x)[1][-1]
    return jax.vmap(lambda example: forward(net, params, example)[1][-1])(jnp.asarray(x))


def predict(
    net: Network,
    params: Params,
    x: Input | Inputs,
) -> Float[Array, "*batch n_out"]:
    """The output activations, for one example (n_in,) or for many (n, n_in).

    Args:
      net: the architecture.
      params: its parameters.
      x: uint8 pixels (scaled by 1/255) or floats.

    Returns:
      The activations of the output layer; their argmax is the predicted class.

    Raises:
      ValueError: x does not have the network's number of inputs, or the parameters are another's.

    >>> net = Network((2, 3, 2))
    >>> predict(net, init(net, jax.random.key(0)), jnp.ones((5, 2))).shape
    (5, 2)
    """
    check_params(net, params)
    if np.ndim(x) not in (1, 2) or np.shape(x)[-1] != net.sizes[0]:
        raise ValueError(
            f"x has shape {np.shape(x)}, but the network takes ({net.sizes[0]},) or "
            f"(n, {net.sizes[0]}); flatten each example."
        )
    z = logits(net, params, x)
    output = net.cost.output.fn
    return output(z) if x.ndim == 1 else jax.vmap(output)(z)


def check_params(net: Network, params: Params) -> None:
    """Raise a ValueError unless the parameters have the shapes that the network's sizes ask for."""
    wanted = [((n_in, n_out), (n_out,)) for n_in, n_out in zip(net.sizes, net.sizes[1:])]
    given = [(np.shape(layer.w), np.shape(layer.b)) for layer in params]
    if given != wanted:
        raise ValueError(
            f"the parameters have shapes {given}, but sizes {net.sizes} ask for {wanted}."
        )
