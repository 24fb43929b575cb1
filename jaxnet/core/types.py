"""The types that many modules share: arrays, examples, parameters, data sets, histories.

A NamedTuple of arrays (`Layer`, `Split`, `History`) is a pytree, which JAX's `jit`, `vmap` and
`scan` take and return. A plain frozen dataclass (`Network`, `CrossEntropy`) is a static choice:
hashable, equal by value, and a part of the compiled program.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key, UInt8

from jaxnet.core.display import brief_repr, html_of

AnyArray = Array | np.ndarray
"""A JAX or a NumPy array: users hold data in either."""
KeyArray = Key[Array, ""]
"""A typed JAX random key, as `jax.random.key(seed)` returns."""
Device: TypeAlias = jax.Device  # pyright: ignore[reportInvalidTypeForm]
"""A device of JAX, such as `jax.devices()[0]`; jaxlib declares no types."""
Numbers = ArrayLike | Sequence[float]
"""A hyperparameter as a caller gives it: a number, traced or not, or an array of them (a sweep)."""

EvaluatedSplit = Literal["validation", "training", "test", "evaluation"]
"""A split that is evaluated after each epoch; "evaluation" is network2's word for "validation"."""

Order = Literal["shuffled", "sequential"]
"""In which order an epoch visits the examples: in a random one of its own, or in the data's."""

Input = Float[AnyArray, " n_in"] | UInt8[AnyArray, " n_in"]
"""The inputs of one example: floats, or uint8 pixels."""
Inputs = Float[AnyArray, "batch n_in"] | UInt8[AnyArray, "batch n_in"]
"""The inputs of many examples."""
Target = Int[AnyArray, ""] | int | np.integer | Float[AnyArray, " n_targets"]
"""The target of one example: a class label, or floats, of most costs one for each output."""
Targets = Int[AnyArray, " batch"] | Float[AnyArray, "batch n_targets"]
"""The targets of many examples."""


class Layer(NamedTuple):
    """The parameters of one layer of a network, or a gradient with respect to them.

    Attributes:
      w: the weights, (n_in, n_out).
      b: the biases, (n_out,).

    >>> layer = Layer(w=np.ones((2, 3)), b=np.zeros(3))
    >>> np.array([1.0, 1.0]) @ layer.w + layer.b
    array([2., 2., 2.])
    """

    w: Float[AnyArray, "n_in n_out"]
    b: Float[AnyArray, " n_out"]


class ParametricLayer(NamedTuple):
    """The parameters of a hidden layer whose activation has one of its own, or their gradient.

    Attributes:
      w: the weights, (n_in, n_out).
      b: the biases, (n_out,).
      activation: the activation's parameter, an array of shape () such as the slope of
        `activations.prelu`.

    >>> layer = ParametricLayer(w=np.ones((2, 3)), b=np.zeros(3), activation=np.array(0.25))
    >>> layer._replace(activation=np.array(0.1)).activation.item()
    0.1
    """

    w: Float[AnyArray, "n_in n_out"]
    b: Float[AnyArray, " n_out"]
    activation: Float[AnyArray, ""]


AnyLayer = Layer | ParametricLayer
"""A layer, with or without a parameter of its activation."""
Params = tuple[AnyLayer, ...]
"""A network's parameters, from the first hidden layer to the output layer."""


def layer_of(w: AnyArray, b: AnyArray, activation: AnyArray | None) -> AnyLayer:
    """A layer of these arrays.

    Args:
      w: the weights, (n_in, n_out), or an array that stands in their place.
      b: the biases, (n_out,).
      activation: the parameter of the layer's activation; `None` if it has none.

    Returns:
      A `Layer`, or a `ParametricLayer` if there is such a parameter.

    >>> layer_of(np.ones((1, 2)), np.zeros(2), None)
    Layer(w=array([[1., 1.]]), b=array([0., 0.]))
    """
    return Layer(w, b) if activation is None else ParametricLayer(w, b, activation)


@runtime_checkable
class Initializer(Protocol):
    """A function that draws a layer's initial weights and biases, such as `initializers.he`."""

    def __call__(self, key: KeyArray, n_in: int, n_out: int, /) -> Layer:
        """Draw a layer's initial weights and biases.

        Args:
          key: a random key.
          n_in: the number of the layer's inputs.
          n_out: the number of its units.

        Returns:
          The weights, (n_in, n_out), and the biases, (n_out,).
        """
        ...


class Split(NamedTuple):
    """Examples to train on, to validate on or to test on: their inputs and their targets.

    Attributes:
      x: the inputs, (n, n_in): uint8 pixels 0..255, which a network divides by 255, or floats,
        which it uses as they are.
      y: the targets: n integer class labels, or floats of shape (n, n_out). A matrix of integers or
        booleans that is not one-hot is multi-label: see `jaxnet.datasets.arrays`.
      weight: how much each example counts, n numbers of at least 0, not all of them 0; `None`, the
        default, if all count the same. See `Recipe.normalization` for what training makes of them.
        Costs and accuracies are weighted means, Σwᵢcᵢ/Σwᵢ.

    >>> split = Split(x=np.zeros((5, 784), np.uint8), y=np.arange(5))
    >>> len(split.x), split.take(slice(2)).y.tolist()
    (5, [0, 1])
    """

    x: AnyArray
    y: AnyArray
    weight: Float[AnyArray, " n"] | None = None

    def take(self, rows: slice | Sequence[int] | AnyArray) -> "Split":
        """The split of some of the examples.

        Args:
          rows: which examples: a slice, indices, or a boolean for each example.

        Returns:
          Their inputs, targets and weights.
        """
        weight = None if self.weight is None else self.weight[rows]
        return Split(self.x[rows], self.y[rows], weight)

    def __repr__(self) -> str:
        return brief_repr(self, self._fields)


class Dataset(NamedTuple):
    """A training split, with a validation split and a test split where there are any.

    Attributes:
      train: the examples to train on.
      valid: the examples to validate on, or `None`.
      test: the examples to test on, or `None`.

    >>> data = Dataset(train=Split(np.zeros((5, 2)), np.zeros(5, int)))
    >>> data.valid is None
    True
    """

    train: Split
    valid: Split | None = None
    test: Split | None = None

    def __repr__(self) -> str:
        return brief_repr(self, self._fields)

    def _repr_html_(self) -> str | None:
        return html_of(self)


CURVES = (
    "evaluation_cost",
    "evaluation_accuracy",
    "training_cost",
    "training_accuracy",
    "evaluation_data_cost",
    "training_data_cost",
)
"""The fields of `History` that every run has: its costs and accuracies."""
_UNKNOWN = np.array(np.nan)


class History(NamedTuple):
    """The costs and accuracies of a run, one value per epoch.

    The first four are network2's lists, in its order. A value is NaN where it was not evaluated. A
    cost includes the penalty terms, divided by the size of the split that it is measured on, as in
    network2's `total_cost`. A data cost is the mean over the examples alone, without penalties: it
    compares networks trained with different penalties. Accuracies are fractions in [0, 1], and NaN
    where targets are numbers to predict.

    Attributes:
      evaluation_cost: the cost on the split that the run is evaluated on, (epochs,).
      evaluation_accuracy: the accuracy on that split, (epochs,).
      training_cost: the cost on the training split, (epochs,).
      training_accuracy: the accuracy on the training split, (epochs,).
      evaluation_data_cost: the cost on the evaluated split without penalties, (epochs,); NaN by
        default.
      training_data_cost: the cost on the training split without penalties, (epochs,); NaN by
        default.
      metrics: further curves, (epochs,) each, by the split and the metric: "evaluation_auc" for the
        validation split, "training_auc", "test_auc"; and of the test split "test_cost",
        "test_data_cost" and "test_accuracy", if it was evaluated. Empty by default.
      monitors: what `Monitors` measured, by the monitor's name, (epochs, measurements, layers)
        each; empty by default.

    >>> cost, accuracy, missing = np.array([0.5, 0.3]), np.array([0.8, 0.9]), np.full(2, np.nan)
    >>> history = History(cost, accuracy, missing, missing)
    >>> history.evaluation_accuracy[-1].item()
    0.9
    """

    evaluation_cost: Float[AnyArray, "..."]
    evaluation_accuracy: Float[AnyArray, "..."]
    training_cost: Float[AnyArray, "..."]
    training_accuracy: Float[AnyArray, "..."]
    evaluation_data_cost: Float[AnyArray, "..."] = _UNKNOWN
    training_data_cost: Float[AnyArray, "..."] = _UNKNOWN
    metrics: Mapping[str, Float[AnyArray, "..."]] = {}
    monitors: Mapping[str, Float[AnyArray, "..."]] = {}

    CURVES = CURVES

    @property
    def curves(self) -> dict[str, Float[AnyArray, "..."]]:
        """All curves by name: the six costs and accuracies, then the metrics."""
        return {name: getattr(self, name) for name in CURVES} | dict(sorted(self.metrics.items()))

    def to_array(self) -> Float[np.ndarray, "curves ..."]:
        """All curves along the first axis, in the order of `curves`.

        Returns:
          The array from which `from_array` makes the history again.
        """
        return np.array([np.asarray(curve) for curve in self.curves.values()])

    @classmethod
    def from_array(
        cls, curves: Float[AnyArray, "curves ..."], metric_names: Sequence[str] = ()
    ) -> "History":
        """The history whose curves are stacked in an array, such as `history.to_array()`.

        Args:
          curves: the curves along the first axis, in the order of the fields, and then those of the
            metrics. An array with the first four alone, as version 0.2.0 wrote it, has unknown data
            costs: they are NaN.
          metric_names: the names of the metrics, in alphabetical order; none by default.

        Returns:
          The history, with NumPy arrays.

        >>> History.from_array(np.ones((4, 2))).training_data_cost
        array([nan, nan])
        """
        curves = np.asarray(curves)
        known, of_metrics = curves[: len(CURVES)], curves[len(CURVES) :]
        missing = np.full((len(CURVES) - len(known), *curves.shape[1:]), np.nan, curves.dtype)
        metrics = dict(zip(metric_names, of_metrics, strict=True))
        return cls(*known, *missing, metrics=metrics)

    def __repr__(self) -> str:
        shape = getattr(self.training_cost, "shape", ())
        return f"History(curves of shape {tuple(shape)}: {', '.join(self.curves)})"

    def _repr_html_(self) -> str | None:
        return html_of(self)
