"""The two costs of network2, which stand for jaxnet's own in training."""

import numpy as np
from jaxtyping import Float
from scipy.special import expit, xlogy

from jaxnet.core import costs
from jaxnet.core.arguments import brief

Column = Float[np.ndarray, "n 1"]
"""A column of numbers, one for each output."""


class CrossEntropyCost:
    """The cross-entropy of sigmoid outputs, jaxnet's `costs.CrossEntropy()`.

    >>> CrossEntropyCost.fn(np.array([[0.5], [1.0]]), np.array([[1.0], [1.0]])).round(4).item()
    0.6931
    """

    @staticmethod
    def fn(a: Column, y: Column) -> float:
        """The cost of one example, −Σ (y ln a + (1−y) ln(1−a)), where 0·ln 0 is 0.

        Args:
          a: the output activations, (n_out, 1), in [0, 1].
          y: the targets, (n_out, 1), in [0, 1].

        Returns:
          The cost.
        """
        return -np.sum(xlogy(y, a) + xlogy(1 - y, 1 - a))

    @staticmethod
    def delta(z: Column, a: Column, y: Column) -> Column:
        """The error of the output layer, a − y.

        Args:
          z: the weighted inputs of the outputs, (n_out, 1), which this error does not depend on.
          a: the output activations, (n_out, 1).
          y: the targets, (n_out, 1).

        Returns:
          The derivative of the cost by z, (n_out, 1).
        """
        return a - y


class QuadraticCost:
    """Half the squared distance of sigmoid outputs to their targets, `costs.Quadratic()`.

    >>> QuadraticCost.fn(np.array([[0.5], [1.0]]), np.array([[1.0], [0.0]])).item()
    0.625
    """

    @staticmethod
    def fn(a: Column, y: Column) -> float:
        """The cost of one example, ½ Σ (a−y)².

        Args:
          a: the output activations, (n_out, 1).
          y: the targets, (n_out, 1).

        Returns:
          The cost.
        """
        return 0.5 * np.sum((a - y) ** 2)

    @staticmethod
    def delta(z: Column, a: Column, y: Column) -> Column:
        """The error of the output layer, (a − y) σ'(z).

        Args:
          z: the weighted inputs of the outputs, (n_out, 1).
          a: the output activations, (n_out, 1).
          y: the targets, (n_out, 1).

        Returns:
          The derivative of the cost by z, (n_out, 1).
        """
        return (a - y) * expit(z) * expit(-z)


BookCost = type[CrossEntropyCost] | type[QuadraticCost]
"""A cost of network2: the class itself, as the book passes it."""
BY_NAME: dict[str, BookCost] = {cls.__name__: cls for cls in (CrossEntropyCost, QuadraticCost)}
"""The costs by the names that network2's files have for them."""


def cost_for_training(cost: object) -> costs.Cost:
    """jaxnet's cost for one of network2's.

    Args:
      cost: the class `CrossEntropyCost` or `QuadraticCost`.

    Returns:
      The cost, which has sigmoid outputs.

    Raises:
      ValueError: it is neither of the two.

    >>> cost_for_training(CrossEntropyCost)
    CrossEntropy()
    """
    if cost is CrossEntropyCost:
        return costs.CrossEntropy()
    if cost is QuadraticCost:
        return costs.Quadratic()
    raise ValueError(
        "cost must be the class CrossEntropyCost or QuadraticCost of jaxnet.book.network2, not "
        f"{brief(cost)}; for other costs use jaxnet.Network."
    )
