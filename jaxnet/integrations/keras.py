"""Networks for Keras: the list of weights of a `keras.Sequential`."""

import numpy as np

from jaxnet.core.network import Network
from jaxnet.core.types import Params
from jaxnet.integrations.exported_layers import exported_layers

KNOWN = (
    "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "exponential", "gelu", "silu",
    "linear", "softmax", "prelu",
)  # fmt: skip
"""The activations that Keras has, too."""


def to_keras(net: Network, params: Params) -> list[np.ndarray]:
    """The weights of a trained network in the order of Keras: kernel and bias of each layer.

    `model.set_weights` takes them, for a model with a `Dense` layer and an activation for each
    layer of the network. The outputs are those of `jaxnet.predict`, for inputs as floats: divide
    pixels by 255. Keras has the activations under the same names. Its `leaky_relu` has another
    slope by default, `prelu` is the layer `keras.layers.PReLU(shared_axes=[1])` after a `Dense`
    layer without an activation, and its `exponential` is not bounded at e⁴⁰. Softmax with a
    temperature T is one without, after weights and biases divided by T.

    Args:
      net: the architecture, with any of `jaxnet.activations` but snake.
      params: its parameters.

    Returns:
      The kernel, (n_in, n_out), and the bias, (n_out,), of each layer; after them the slope, (1,),
      where the activation is prelu.

    Raises:
      ValueError: the parameters are not the network's, or Keras lacks an activation.

    >>> from jaxnet.core.network import zero_params
    >>> net = Network((2, 3, 1))
    >>> [array.shape for array in to_keras(net, zero_params(net))]
    [(2, 3), (3,), (3, 1), (1,)]
    """
    weights = []
    for layer in exported_layers(net, params, "Keras", KNOWN):
        weights += [layer.w, layer.b]
        if layer.name == "prelu":
            weights.append(np.array([layer.parameter], layer.w.dtype))
    return weights
