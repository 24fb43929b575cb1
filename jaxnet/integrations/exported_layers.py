"""The layers of a network as other tools have them: weights, biases, and then an activation."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnet.core import activations
from jaxnet.core.activation import Activation
from jaxnet.core.activations import Elementwise, Softmax
from jaxnet.core.network import Network, check_params
from jaxnet.core.parametric import Parametric
from jaxnet.core.types import ParametricLayer, Params


class ExportedLayer(NamedTuple):
    """A layer z = xW + b, a = f(z), of arrays of NumPy.

    Attributes:
      w: the weights, (n_in, n_out).
      b: the biases, (n_out,).
      activation: f; a softmax has the temperature 1, since W and b are divided by its own.
      name: the name of f in `jaxnet.activations.NAMED`, which is that of its class where it has a
        constant.
      parameter: p of a `Parametric` activation; NaN for others.
    """

    w: Float[np.ndarray, "n_in n_out"]
    b: Float[np.ndarray, " n_out"]
    activation: Activation
    name: str
    parameter: float

    def constant(self, name: str) -> float:
        """A constant of the activation, such as the slope of `LeakyRelu`."""
        return getattr(self.activation, name)


def exported_layers(
    net: Network, params: Params, tool: str, known: Iterable[str]
) -> list[ExportedLayer]:
    """The layers of a network, from the first hidden one to the output.

    Args:
      net: the architecture.
      params: its parameters.
      tool: what the network is exported to, for errors: "PyTorch".
      known: the names of the activations that the tool has, too.

    Returns:
      The layers.

    Raises:
      ValueError: the parameters are not the network's, or the tool lacks one of its activations.

    >>> from jaxnet.core.network import zero_params
    >>> net = Network((2, 3, 1))
    >>> [layer.name for layer in exported_layers(net, zero_params(net), "PyTorch", ["sigmoid"])]
    ['sigmoid', 'sigmoid']
    """
    check_params(net, params)
    layers = []
    for activation, layer in zip((*net.activations, net.cost.output), params, strict=True):
        name = _known_name(activation, tool, list(known))
        w, b, parameter = np.asarray(layer.w), np.asarray(layer.b), float("nan")
        if isinstance(activation, Softmax):
            w, b = (array / array.dtype.type(activation.temperature) for array in (w, b))
        if isinstance(activation, Parametric):  # as an output it has the initial parameter
            is_own = isinstance(layer, ParametricLayer)
            parameter = float(layer.activation) if is_own else activation.initial
        layers.append(ExportedLayer(w, b, activation, name, parameter))
    return layers


def _known_name(activation: Activation, tool: str, known: list[str]) -> str:
    """The name of an activation that a tool has, too."""
    for name in known:
        entry = activations.NAMED[name]
        has_constant = not isinstance(entry, Elementwise)
        if entry == activation or (has_constant and type(entry) is type(activation)):
            return name
    raise ValueError(
        f"net has the activation {activation!r}, which {tool} lacks; a network whose activations "
        f"are among {', '.join(known)} can be exported."
    )
