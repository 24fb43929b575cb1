"""A network's architecture, its initial parameters, and what it computes.

Everything here is written for one example; `vmap` turns it into a function of many.
"""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxnet.core import initializers
from jaxnet.core.activation import Activation
from jaxnet.core.activations import Softmax, sigmoid
from jaxnet.core.arguments import brief, lists_keywords, reason_of, require_choice, require_kind
from jaxnet.core.conversion import input_array
from jaxnet.core.costs import Cost, CrossEntropy
from jaxnet.core.display import html_of
from jaxnet.core.dtypes import computing_in, on_host, unrounded_type, unshared
from jaxnet.core.parametric import Parametric
from jaxnet.core.types import (
    AnyArray,
    AnyLayer,
    Initializer,
    Input,
    Inputs,
    KeyArray,
    Layer,
    ParametricLayer,
    Params,
    Target,
    layer_of,
)

Masks = Sequence[Float[AnyArray, "..."]] | None
"""One vector per hidden layer that its activations are multiplied by (dropout), or no masks."""


@lists_keywords
@dataclass(frozen=True)
class Network:
    """The architecture of a feed-forward network: a static, hashable choice.

    Args:
      sizes: the number of units in each layer, input and output included: (784, 30, 10).
      hidden: the activation of all hidden layers, or a tuple with one for each; sigmoid by default.
      cost: the cost, which brings the output activation with it; cross-entropy by default.
      init: draws a layer's initial weights and biases, `(key, n_in, n_out) -> Layer`.
      precision: of matrix products: "highest", the default, is full float32 everywhere; "high" and
        "default" let an accelerator round their inputs to fewer bits, for speed.

    Raises:
      ValueError: the sizes, or a part, cannot make a network; the message says why.

    >>> Network((784, 30, 10)).n_params
    23860
    """

    sizes: tuple[int, ...]
    hidden: Activation | tuple[Activation, ...] = sigmoid
    cost: Cost = CrossEntropy()
    init: Initializer = field(default=initializers.default, repr=False)
    precision: Literal["default", "high", "highest"] = field(default="highest", repr=False)

    def __post_init__(self) -> None:
        sizes = _checked_sizes(self.sizes)
        hidden = _checked_hidden(self.hidden, sizes)
        if not isinstance(self.init, Initializer) or isinstance(self.init, type):
            raise ValueError(
                "init must be a function (key, n_in, n_out) -> Layer such as "
                f"jaxnet.initializers.he, or jaxnet.initializers.gaussian(0.1), not "
                f"{brief(self.init)}."
            )
        require_kind("cost", self.cost, Cost, "jaxnet.costs.CrossEntropy()")
        try:
            hash((hidden, self.cost, self.init))
        except TypeError as error:
            raise ValueError(
                f"a network's parts must be hashable, such as frozen dataclasses: {error}."
            ) from None
        object.__setattr__(self, "sizes", sizes)
        # Equal activations are stored as a single one, so that equal networks compare equal, and
        # share a compiled program.
        all_equal = len(set(hidden)) <= 1
        single = hidden[0] if hidden else sigmoid
        object.__setattr__(self, "hidden", single if all_equal else hidden)
        if isinstance(self.cost.output, Softmax) and sizes[-1] == 1:
            raise ValueError("the softmax of a single output is always 1; take two outputs.")
        self.cost.n_targets(sizes[-1])  # it refuses a number of outputs that it is not for
        if self.n_params >= 2**31:
            raise ValueError(
                f"sizes {brief(sizes)} make {brief(self.n_params)} parameters, but there must be "
                "fewer than 2³¹; choose smaller layers."
            )
        require_choice("precision", self.precision, ("default", "high", "highest"))

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activation of each hidden layer."""
        if isinstance(self.hidden, tuple):
            return self.hidden
        return (self.hidden,) * (len(self.sizes) - 2)

    @property
    def n_params(self) -> int:
        """The number of weights and biases, and of the activations' own parameters."""
        return sum(math.prod(shape) for layer in param_shapes(self) for shape in layer)

    @property
    def n_targets(self) -> int:
        """The number of float targets of an example: of most costs, the number of outputs."""
        return self.cost.n_targets(self.sizes[-1])

    def _repr_html_(self) -> str | None:
        return html_of(self)


def _checked_sizes(sizes: Iterable[int]) -> tuple[int, ...]:
    """The sizes as Python ints, if they are two or more positive whole numbers."""
    try:
        given_sizes = tuple(sizes)
        integers = tuple(int(size) for size in given_sizes)
        all_whole = integers == given_sizes and bool not in map(type, given_sizes)
    except (TypeError, ValueError, OverflowError):
        integers, all_whole = (), False
    has_order = not isinstance(sizes, (Set, Mapping))
    if not (all_whole and has_order) or len(integers) < 2 or min(integers) < 1:
        raise ValueError(
            f"sizes must be two or more positive whole numbers, input and output included, "
            f"such as (784, 30, 10), not {brief(sizes)}."
        )
    return integers


def _checked_hidden(
    hidden: Activation | Sequence[Activation], sizes: tuple[int, ...]
) -> tuple[Activation, ...]:
    """One activation for each hidden layer."""
    n_hidden = len(sizes) - 2
    if isinstance(hidden, Activation):
        return (hidden,) * n_hidden
    if not isinstance(hidden, (tuple, list)) or not all(
        isinstance(activation, Activation) for activation in hidden
    ):
        raise ValueError(
            f"hidden must be an Activation such as jaxnet.activations.relu, not {brief(hidden)}."
        )
    if len(hidden) != n_hidden:
        raise ValueError(
            f"hidden names {len(hidden)} activations, but sizes {sizes} has {n_hidden} hidden "
            f"layer{'s' * (n_hidden != 1)}; give one activation for all, or one for each."
        )
    return tuple(hidden)


LayerShapes = Any
"""A `Layer` or `ParametricLayer` that holds the shape of each array in its place."""


def param_shapes(net: Network) -> tuple[LayerShapes, ...]:
    """The shapes of a network's parameters.

    Args:
      net: the architecture.

    Returns:
      A layer of shapes, in place of arrays, for each layer: a `ParametricLayer` where the hidden
      activation has a parameter, else a `Layer`.

    >>> param_shapes(Network((2, 3, 1)))[0]
    Layer(w=(2, 3), b=(3,))
    """
    has_parameter = [isinstance(activation, Parametric) for activation in net.activations]
    pairs = zip(net.sizes, net.sizes[1:])
    return tuple(
        ParametricLayer._make([pair, pair[1:], ()]) if parametric else Layer._make([pair, pair[1:]])
        for pair, parametric in zip(pairs, [*has_parameter, False], strict=True)
    )


def zero_params(net: Network, axes: tuple[int, ...] = ()) -> Params:
    """Parameters of a network that are all 0.

    Args:
      net: the architecture.
      axes: the sizes of axes in front of those of the parameters; none by default.

    Returns:
      A layer of NumPy arrays for each layer, in JAX's default float type.

    >>> zero_params(Network((2, 3, 1)), axes=(5,))[0].b.shape
    (5, 3)
    """
    dtype = jax.dtypes.canonicalize_dtype(float)
    return tuple(
        layer._make(np.zeros((*axes, *shape), dtype) for shape in layer)
        for layer in param_shapes(net)
    )


def init(net: Network, key: KeyArray) -> Params:
    """Draw the initial parameters of a network.

    Layer l is drawn with a key of its own, made of `key` and l: its weights do not depend on how
    many layers follow, or what was drawn before.

    Args:
      net: the architecture.
      key: a random key, such as `jax.random.key(0)`.

    Returns:
      A `Layer` for each layer, or a `ParametricLayer` where the activation has a parameter, in
      JAX's default float type.

    Raises:
      ValueError: the key is not a typed random key, or the network's initializer draws arrays of
        other shapes.

    >>> params = init(Network((784, 30, 10)), jax.random.key(0))
    >>> [layer.w.shape for layer in params]
    [(784, 30), (30, 10)]
    """
    require_kind("net", net, Network, "jaxnet.Network((784, 30, 10))")
    check_key("init", key)
    pairs = zip(net.sizes, net.sizes[1:])
    layers = [
        _drawn_layer(net.init, jax.random.fold_in(key, index), n_in, n_out)
        for index, (n_in, n_out) in enumerate(pairs)
    ]
    parameters = [
        jnp.full((), f.initial, layer.w.dtype) if isinstance(f, Parametric) else None
        for f, layer in zip(net.activations, layers)
    ]
    return tuple(
        layer_of(layer.w, layer.b, parameter)
        for layer, parameter in zip(layers, [*parameters, None], strict=True)
    )


def check_key(function_name: str, key: object) -> None:
    """Check that an argument is one typed random key.

    Args:
      function_name: the function that takes it, for the error.
      key: the argument.

    Raises:
      ValueError: it is something else, such as a seed or an array of keys.

    >>> check_key("init", jax.random.key(0))
    """
    is_key = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not is_key or np.ndim(key):  # pyright: ignore[reportArgumentType]
        raise ValueError(
            f"{function_name} takes a random key, such as jax.random.key(0), not {brief(key)}."
        )


def _drawn_layer(draw: Initializer, key: KeyArray, n_in: int, n_out: int) -> Layer:
    """A layer of an initializer, which may be a user's own: its shapes are checked."""
    try:
        arrays = draw(key, n_in, n_out)
    except Exception as error:  # a function of the caller's may raise anything
        raise ValueError(
            f"init cannot draw Layer(w, b) for {n_in} inputs and {n_out} units by {brief(draw)}: "
            f"{reason_of(error)}."
        ) from error
    is_pair = isinstance(arrays, (tuple, list)) and len(arrays) == 2
    shapes = tuple(map(_shape, arrays)) if is_pair else ()
    if shapes != ((n_in, n_out), (n_out,)):
        drawn = f"shapes {shapes}" if is_pair else brief(arrays)
        raise ValueError(
            f"init must draw Layer(w, b) with shapes {((n_in, n_out), (n_out,))} for {n_in} inputs "
            f"and {n_out} units, but {brief(draw)} drew {drawn}."
        )
    return Layer(*arrays)


def _shape(array: object) -> tuple[int, ...] | None:
    """The shape of an array of floats; None for anything else."""
    if isinstance(array, (float, np.floating)):  # the parameter of an activation
        return ()
    if isinstance(array, (jax.Array, np.ndarray)) and jnp.issubdtype(array.dtype, jnp.floating):
        return tuple(array.shape)
    return None


def inputs(x: Input | Inputs, dtype: jnp.dtype) -> Float[Array, "*batch n_in"]:
    """The inputs as floats: uint8 pixels divided by 255, other numbers as they are.

    Args:
      x: uint8 pixels 0..255 or other numbers, (n_in,) or (batch, n_in).
      dtype: the float type of the result.

    Returns:
      The activations of the input layer, shaped like x.

    Raises:
      ValueError: x is of another type.

    >>> inputs(np.array([0, 255], np.uint8), np.dtype("float32")).tolist()
    [0.0, 1.0]
    """
    x, dtype = jnp.asarray(x), jax.dtypes.canonicalize_dtype(dtype)
    if not any(jnp.issubdtype(x.dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_)):
        raise ValueError(f"inputs are {x.dtype}; use uint8 for pixels 0..255, or other numbers.")
    return x.astype(dtype) / 255 if x.dtype == jnp.uint8 else x.astype(dtype)


def are_labels(y: AnyArray) -> bool:
    """Whether targets are integer class labels; if not, they are floats, one for each output.

    Args:
      y: the targets of one example or of many.

    Returns:
      Whether their type is an integer type.

    >>> are_labels(np.array([0, 2])), are_labels(np.array([[0.0, 1.0]]))
    (True, False)
    """
    return jnp.issubdtype(y.dtype, jnp.integer)


def targets(y: Target, n_targets: int, dtype: jnp.dtype) -> Float[Array, " n_targets"]:
    """An example's targets: a label one-hot (as 0 or 1 for a single one), floats as they are.

    Args:
      y: one example's label, or its float targets, (n_targets,).
      n_targets: the number of targets, the network's `n_targets`.
      dtype: the float type of the result.

    Returns:
      The targets, (n_targets,).

    Raises:
      ValueError: y is neither an integer label nor n_targets floats.

    >>> targets(2, 4, np.dtype("float32")).tolist()
    [0.0, 0.0, 1.0, 0.0]
    """
    y = jnp.asarray(y)
    floats = jnp.issubdtype(y.dtype, jnp.floating)
    if y.shape != ((n_targets,) if floats else ()) or not (floats or are_labels(y)):
        raise ValueError(
            f"a target is {y.dtype} of shape {y.shape}; use an integer label, or {n_targets} "
            "floats."
        )
    if floats:
        return y.astype(dtype)
    return y.astype(dtype)[None] if n_targets == 1 else jax.nn.one_hot(y, n_targets, dtype=dtype)


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
      The inputs of each layer, a⁰ … aᴸ⁻¹, and the weighted inputs of each layer, z¹ … zᴸ.

    Raises:
      ValueError: there are more or fewer masks than hidden layers.

    >>> net = Network((2, 3, 1))
    >>> layer_inputs, zs = forward(net, init(net, jax.random.key(0)), jnp.ones(2))
    >>> [a.shape for a in layer_inputs], [z.shape for z in zs]
    ([(2,), (3,)], [(3,), (1,)])
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

    The first layer's weights and biases are not used: a caller may compute z¹ in another way.

    Args:
      net: the architecture.
      params: its parameters.
      z1: W¹ᵀx + b¹, (n_1,).
      masks: one vector per hidden layer, (n_l,), that its activations are multiplied by.

    Returns:
      The activations of the hidden layers, a¹ … aᴸ⁻¹, and the weighted inputs of all layers,
      z¹ … zᴸ.

    Raises:
      ValueError: there are more or fewer masks than hidden layers.

    >>> net = Network((2, 3, 1))
    >>> activations, zs = forward_from(net, init(net, jax.random.key(0)), jnp.zeros(3))
    >>> activations[0].tolist()
    [0.5, 0.5, 0.5]
    """
    if masks is not None and len(masks) != len(params) - 1:
        raise ValueError(f"{len(masks)} masks for {len(params) - 1} hidden layers; give one each.")
    functions = hidden_functions(net, params)
    activations, zs = [], [z1]
    for index, layer in enumerate(params[1:]):
        a = functions[index].fn(zs[-1])
        activations.append(a if masks is None else a * masks[index])
        zs.append(jnp.dot(activations[-1], layer.w, precision=net.precision) + layer.b)
    return activations, zs


def hidden_functions(net: Network, params: Params) -> list[Activation]:
    """The activation of each hidden layer, with the layer's own parameter if it has one.

    Args:
      net: the architecture.
      params: its parameters; weights and biases are not used.

    Returns:
      The activations; an `AtParameter` where there is a parameter.

    >>> from jaxnet.core.activations import prelu
    >>> net = Network((2, 3, 1), prelu)
    >>> params = init(net, jax.random.key(0))
    >>> hidden_functions(net, params)[0].fn(jnp.array([-1.0])).tolist()
    [-0.25]
    """

    def of_layer(activation: Activation, layer: AnyLayer) -> Activation:
        if isinstance(activation, Parametric) and isinstance(layer, ParametricLayer):
            return activation.at(layer.activation)
        return activation

    return list(map(of_layer, net.activations, params))


def logits(
    net: Network,
    params: Params,
    x: ArrayLike,
) -> Float[AnyArray, "*batch n_out"]:
    """The weighted inputs zᴸ of the output layer, to which the output activation is yet to apply.

    Args:
      net: the architecture.
      params: its parameters.
      x: one example, (n_in,), or many, (n, n_in), as `predict` takes them.

    Returns:
      The logits, (n_out,) or (n, n_out), in the parameters' type: a NumPy array where they are
      float64 and JAX's default is float32.

    Raises:
      ValueError: x does not have the network's number of inputs, or holds something else than
        finite numbers; or the parameters are no layers of floats, or another network's.

    >>> net = Network((2, 3, 2))
    >>> logits(net, init(net, jax.random.key(0)), jnp.ones((5, 2))).shape
    (5, 2)
    """
    check_params(net, params)
    examples = unshared(flat_examples(x, net.sizes[0]))
    dtype = unrounded_type(params, examples)
    of_example = lambda example: forward(net, params, example)[1][-1]
    with computing_in(dtype):
        if examples.ndim == 1:
            return on_host(dtype, of_example(examples))
        return on_host(dtype, jax.vmap(of_example)(jnp.asarray(examples)))


def predict(
    net: Network,
    params: Params,
    x: ArrayLike,
) -> Float[AnyArray, "*batch n_out"]:
    """The activations of the output layer.

    Args:
      net: the architecture.
      params: its parameters.
      x: one example, (n_in,), or many, (n, n_in): uint8 pixels (scaled by 1/255) or finite
        numbers, used as they are, in an array, lists or a DataFrame. Images are flattened:
        (n, height, width), or (height, width) for one.

    Returns:
      The output activations, (n_out,) or (n, n_out). Of a classifier with several outputs the
      argmax is the predicted class. One with a single output predicts class 1 where it is above ½,
      and class 0 elsewhere: `predict(net, params, x)[..., 0] > 0.5`. They have the parameters'
      type: a NumPy array where they are float64 and JAX's default is float32.

    Raises:
      ValueError: x does not have the network's number of inputs, or holds something else than
        finite numbers; or the parameters have the shapes of another network's.

    >>> net = Network((2, 3, 2))
    >>> predict(net, init(net, jax.random.key(0)), jnp.ones((5, 2))).shape
    (5, 2)
    """
    dtype = unrounded_type(params, x)
    with computing_in(dtype):
        z = jnp.asarray(logits(net, params, x))
        output = net.cost.output.fn
        return on_host(dtype, output(z) if z.ndim == 1 else jax.vmap(output)(z))


def flat_examples(x: object, n_in: int) -> AnyArray:
    """One example or many, as an array that a network can read.

    Args:
      x: one example, (n_in,), or many, (n, n_in), as `predict` takes them.
      n_in: the number of the network's inputs.

    Returns:
      The array, (n_in,) or (n, n_in).

    Raises:
      ValueError: x does not have so many inputs, or holds something else than finite numbers.

    >>> flat_examples([[[0, 1], [2, 3]]], 4).tolist()
    [[0.0, 1.0, 2.0, 3.0]]
    """
    array = input_array(x, "x")
    if array.ndim > 2 and math.prod(array.shape[1:]) == n_in:
        return array.reshape(len(array), n_in)
    if array.ndim > 1 and array.shape[-1] != n_in and array.size == n_in:
        return array.reshape(n_in)
    if array.ndim not in (1, 2) or array.shape[-1] != n_in:
        raise ValueError(
            f"x has shape {array.shape}, but the network takes ({n_in},) or (n, {n_in}); flatten "
            "each example."
        )
    return array


def check_params(net: Network, params: Params) -> None:
    """Check that the parameters are floats of the shapes that the network's sizes ask for.

    Args:
      net: the architecture.
      params: the parameters.

    Raises:
      ValueError: they are no layers of floats, or their number or their shapes are others.

    >>> net = Network((2, 3, 2))
    >>> check_params(net, init(net, jax.random.key(0)))
    """
    require_kind("net", net, Network, "jaxnet.Network((784, 30, 10))")
    if not are_layers(params) or any(_shape(array) is None for layer in params for array in layer):
        raise ValueError(
            "params must be a tuple of jaxnet.Layer(w, b), or jaxnet.ParametricLayer(w, b, "
            "activation), with arrays of floats, as jaxnet.init makes and Run.params holds them, "
            f"not {brief(params)}."
        )
    expected = [tuple(layer) for layer in param_shapes(net)]
    actual = [tuple(map(np.shape, layer)) for layer in params]
    if actual != expected:
        raise ValueError(
            f"the parameters have shapes {actual}, but {_asking(net)} ask for {expected}; use "
            "the network that they belong to, or jaxnet.init."
        )


def check_initial_params(net: Network, params: Params) -> None:
    """Check parameters that training starts from: a network's, and finite.

    Args:
      net: the architecture.
      params: the parameters; of traced ones only the shapes are checked.

    Raises:
      ValueError: they are no layers of floats, or another network's, or not finite.

    >>> net = Network((2, 3, 2))
    >>> check_initial_params(net, init(net, jax.random.key(0)))
    """
    check_params(net, params)
    for index, layer in enumerate(params):
        for name, array in layer._asdict().items():
            if not isinstance(array, Tracer) and not np.isfinite(array).all():
                raise ValueError(
                    f"params[{index}].{name} holds a number that is not finite; training starts "
                    "from finite parameters, such as those of jaxnet.init."
                )


def _asking(net: Network) -> str:
    """What shapes of parameters depend on, for an error."""
    if any(isinstance(f, Parametric) for f in net.activations):
        return f"sizes {net.sizes} with hidden {net.hidden}"
    return f"sizes {net.sizes}"


def are_layers(params: object) -> bool:
    """Whether an object is a tuple or list of layers.

    Args:
      params: any object, such as a user's argument.

    Returns:
      True if it holds nothing but `Layer` and `ParametricLayer`; their arrays are not looked at.

    >>> are_layers((Layer(jnp.ones((2, 3)), jnp.zeros(3)),)), are_layers([jnp.ones((2, 3))])
    (True, False)
    """
    return isinstance(params, (tuple, list)) and all(isinstance(p, AnyLayer) for p in params)
