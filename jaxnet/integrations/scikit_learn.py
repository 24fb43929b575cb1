"""Networks for scikit-learn, and its fitted `MLPClassifier` and `MLPRegressor` as networks."""

import importlib
import inspect
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from jaxnet.core import activations
from jaxnet.core.arguments import brief
from jaxnet.core.costs import Cost, CrossEntropy, LogLikelihood, Poisson, Quadratic
from jaxnet.core.network import Network
from jaxnet.core.types import Layer, Params
from jaxnet.integrations.exported_layers import exported_layers

if TYPE_CHECKING:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

HIDDEN = {"identity": "linear", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
"""The activations of scikit-learn, with their names in jaxnet."""
COSTS: dict[str, Cost] = {
    "logistic": CrossEntropy(),
    "softmax": LogLikelihood(),
    "identity": Quadratic(activations.linear),
    "exp": Poisson(),
}
"""The costs whose outputs are those of scikit-learn's output activations."""


def _neural_network() -> ModuleType:
    """The module `sklearn.neural_network`."""
    try:
        return importlib.import_module("sklearn.neural_network")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "networks of scikit-learn need scikit-learn: pip install 'jaxnet-mlp[cli]'."
        ) from None


def from_sklearn(mlp: "MLPClassifier | MLPRegressor") -> tuple[Network, Params]:
    """A fitted `MLPClassifier` or `MLPRegressor` of scikit-learn as a network and its parameters.

    Args:
      mlp: the fitted estimator. Its class k is `mlp.classes_[k]`.

    Returns:
      The network, with the cost that the estimator was fitted by (the cross-entropy for two
      classes and for several labels, the log-likelihood for more classes, the quadratic or the
      Poisson cost for numbers), and its parameters: copies, in the estimator's type.
      `jaxnet.predict` returns what its `predict_proba` or `predict` does, of two classes the
      probability of the second.

    Raises:
      ValueError: it is no such estimator, or not fitted.
      ModuleNotFoundError: scikit-learn is not installed.

    >>> from sklearn.neural_network import MLPRegressor
    >>> mlp = MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs").fit([[0.0], [1.0]], [0.0, 1.0])
    >>> from_sklearn(mlp)[0]
    Network(sizes=(1, 3, 1), hidden=relu, cost=Quadratic(output=linear))
    """
    sklearn = _neural_network()
    if not isinstance(mlp, (sklearn.MLPClassifier, sklearn.MLPRegressor)):
        raise ValueError(
            f"mlp must be a fitted MLPClassifier or MLPRegressor of scikit-learn, not {brief(mlp)}."
        )
    if not hasattr(mlp, "coefs_"):
        raise ValueError(f"mlp is not fitted, {brief(mlp)}; call its method fit first.")
    sizes = [len(mlp.coefs_[0]), *map(len, mlp.intercepts_)]
    hidden = activations.NAMED[HIDDEN[mlp.activation]]
    net = Network(tuple(sizes), hidden, COSTS[mlp.out_activation_])
    pairs = zip(mlp.coefs_, mlp.intercepts_, strict=True)
    return net, tuple(Layer(np.array(w), np.array(b)) for w, b in pairs)


def to_sklearn(net: Network, params: Params) -> "MLPClassifier | MLPRegressor":
    """A trained network as a fitted `MLPClassifier` or `MLPRegressor` of scikit-learn.

    `predict_proba` and `predict` return what `jaxnet.predict` does, for inputs as floats: divide
    pixels by 255. The classes are 0, 1, …. Several sigmoid outputs are several labels, as
    scikit-learn has them. A softmax of two outputs becomes the sigmoid of the difference of their
    logits, which is the same. `partial_fit` goes on from these parameters; what the estimator says
    of its own training (`loss_`, `n_iter_`) means nothing.

    Args:
      net: the architecture; all hidden activations are the same, of linear, sigmoid, tanh, relu,
        and the outputs are sigmoid, softmax (a classifier), linear or exponential (a regressor; the
        last with scikit-learn 1.7 or later).
      params: its parameters.

    Returns:
      The estimator, in the parameters' type.

    Raises:
      ValueError: the parameters are not the network's, or scikit-learn has no such network.
      ModuleNotFoundError: scikit-learn is not installed.

    >>> from jaxnet.core.network import zero_params
    >>> net = Network((2, 3, 1), cost=Quadratic(activations.linear))
    >>> to_sklearn(net, zero_params(net)).predict([[1.0, 2.0]]).tolist()
    [0.0]
    """
    known = ("linear", "sigmoid", "tanh", "relu", "softmax", "exponential")
    *hidden, output = exported_layers(net, params, "scikit-learn", known)
    names = {layer.name for layer in hidden} or {"relu"}
    own_name = {name: own for own, name in HIDDEN.items()}.get(min(names))
    if len(names) > 1 or own_name is None or (output.name in ("tanh", "relu")):
        raise ValueError(
            f"net has the activations {brief(net.hidden)} and {net.cost.output!r}, but a network "
            "of scikit-learn has one of linear, sigmoid, tanh, relu in all hidden layers, and "
            "sigmoid, softmax, linear or exponential outputs."
        )
    layers = [Layer(layer.w, layer.b) for layer in (*hidden, output)]
    if output.name == "softmax" and net.sizes[-1] == 2:
        layers[-1] = Layer(np.diff(output.w), np.diff(output.b))
    mlp = _begun(tuple(len(layer.b) for layer in hidden), own_name, output.name, layers)
    arrays = [*mlp.coefs_, *mlp.intercepts_]
    values = [*(layer.w for layer in layers), *(layer.b for layer in layers)]
    for array, value in zip(arrays, values, strict=True):
        array[...] = value  # in place, since the optimizer of `partial_fit` holds the array
    return mlp


def _begun(
    hidden: tuple[int, ...], activation: str, output: str, layers: list[Layer]
) -> "MLPClassifier | MLPRegressor":
    """An estimator of these sizes that has had one step of training."""
    sklearn = _neural_network()
    n_in, n_out = len(layers[0].w), len(layers[-1].b)
    options = {"hidden_layer_sizes": hidden, "activation": activation}
    x = np.zeros((max(2, n_out), n_in), layers[0].w.dtype)
    if output in ("linear", "exponential"):
        if output == "exponential":
            if "loss" not in inspect.signature(sklearn.MLPRegressor).parameters:
                raise ValueError(
                    "net has exponential outputs, which scikit-learn has since version 1.7; "
                    "install a newer one."
                )
            options["loss"] = "poisson"
        y = np.ones((len(x), n_out), x.dtype)
        return sklearn.MLPRegressor(**options).partial_fit(x, y[:, 0] if n_out == 1 else y)
    are_labels = output == "softmax" or n_out == 1
    classes = np.arange(max(2, n_out))
    y = classes if are_labels else np.eye(n_out, dtype=int)
    return sklearn.MLPClassifier(**options).partial_fit(x, y, classes=classes)
