"""When an example counts as classified correctly: for labels, multi-label and soft targets.

Targets that are integer labels are compared with the predicted class. Float targets are classes,
too, where the cost's outputs are in [0, 1]:

- Targets that add up to 1 by the cost's own bounds, as those of a softmax do, are probabilities.
  The predicted class has to be their most probable one, or one of these.
- Targets that are all 0 or 1 are multi-label: every output has to be on its target's side of ½.
  This is the subset accuracy, scikit-learn's `accuracy_score` of multi-label targets.
- Other targets of several outputs that add up to 1 are probabilities as well.
- All others are numbers to predict, which have no accuracy: it is NaN.
"""

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxnet.core.activations import Bounds
from jaxnet.core.costs import Cost
from jaxnet.core.network import are_labels
from jaxnet.core.types import AnyArray, Target

TOLERANCE = 1e-3
"""How far a sum of probabilities may be from 1."""


def is_correct(
    cost: Cost, a: Float[Array, " n_out"], y: Target, predicted: Int[Array, ""]
) -> Float[Array, ""]:
    """Whether an example is classified correctly.

    Args:
      cost: the network's cost, whose `target_bounds` say what float targets can be.
      a: the output activations, (n_out,).
      y: the label, or float targets, (n_targets,).
      predicted: the predicted class; −1 where an output is NaN.

    Returns:
      1 where it is, 0 where it is not, NaN where targets are no classes.

    >>> from jaxnet.core.costs import CrossEntropy
    >>> a, y = jnp.array([0.9, 0.2, 0.7]), jnp.array([1.0, 0.0, 1.0])
    >>> is_correct(CrossEntropy(), a, y, jnp.argmax(a)).item()
    1.0
    """
    y = jnp.asarray(y)
    if are_labels(y):
        return (predicted == y).astype(a.dtype)
    if not _have_classes(cost.target_bounds):
        return jnp.full((), jnp.nan, a.dtype)
    is_most_probable = (predicted >= 0) & (y[predicted] == jnp.max(y))
    if cost.target_bounds.total is not None:
        return is_most_probable.astype(a.dtype)
    all_agree = jnp.all((a > 0.5) == (y > 0.5)) & (predicted >= 0)
    is_right = jnp.where(_is_multi_label(y), all_agree, is_most_probable).astype(a.dtype)
    return jnp.where(_is_multi_label(y) | _are_probabilities(y), is_right, jnp.nan)


def have_accuracy(cost: Cost, ys: AnyArray) -> bool:
    """Whether targets have an accuracy under a cost; for those of a whole split.

    Args:
      cost: the network's cost.
      ys: labels, (n,), or float targets, (n, n_targets).

    Returns:
      False if `is_correct` is NaN for any of them; of traced targets, if it is NaN whatever their
      values.

    >>> from jaxnet.core.costs import CrossEntropy
    >>> have_accuracy(CrossEntropy(), np.array([[1.0, 1.0], [0.0, 1.0]]))
    True
    >>> have_accuracy(CrossEntropy(), np.array([[0.3, 0.4]]))
    False
    """
    if are_labels(ys):
        return True
    if not _have_classes(cost.target_bounds):
        return False
    if cost.target_bounds.total is not None or isinstance(ys, jax.core.Tracer):
        return True
    values = np.asarray(ys)
    return bool(np.all(_is_multi_label(values) | _are_probabilities(values)))


def are_multi_label(cost: Cost, ys: Float[AnyArray, "n n_targets"]) -> bool:
    """Whether float targets are multi-label: each of them is 0 or 1, and outputs are independent.

    Args:
      cost: the network's cost.
      ys: the targets, (n, n_targets).

    >>> from jaxnet.core.costs import CrossEntropy
    >>> are_multi_label(CrossEntropy(), np.array([[1.0, 1.0], [0.0, 1.0]]))
    True
    """
    bounds = cost.target_bounds
    is_independent = _have_classes(bounds) and bounds.total is None
    return is_independent and bool(np.all(_is_multi_label(np.asarray(ys))))


def _have_classes(bounds: Bounds) -> bool:
    """Whether targets of a cost can be classes: they are in [0, 1]."""
    return (bounds.low, bounds.high) == (0.0, 1.0)


def _is_multi_label(y: Float[AnyArray, "*n n_targets"]) -> Bool[AnyArray, "*n"]:
    """Whether all targets of an example are 0 or 1."""
    return ((y == 0) | (y == 1)).all(axis=-1)


def _are_probabilities(y: Float[AnyArray, "*n n_targets"]) -> Bool[AnyArray, "*n"]:
    """Whether the targets of several outputs add up to 1."""
    return (abs(y.sum(axis=-1) - 1) <= TOLERANCE) & (y.shape[-1] > 1)
