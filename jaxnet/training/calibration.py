"""Calibration: whether the probabilities of a classifier are as often right as they say."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special

from jaxnet.core.activations import Softmax, sigmoid
from jaxnet.core.network import Network

N_BINS = 15
"""Bins of the reliability curve, as Guo et al. have them."""
LARGEST_TEMPERATURE = 100.0
"""A fitted temperature is at most this, and at least its inverse."""


class Reliability(NamedTuple):
    """How often predictions are right, by how sure of them the network is.

    The bins divide (0, 1] into equal parts. What is empty has NaN.

    Attributes:
      confidence: the mean probability of the predicted class in each bin, (bins,).
      accuracy: the fraction of its predictions that are right, (bins,).
      counts: the number of its examples, (bins,).
      share: its share of all examples, weighted if they have weights, (bins,).

    >>> curve = reliability(np.array([0.6, 0.7, 0.95]), np.array([True, False, True]), n_bins=2)
    >>> curve.counts, curve.accuracy
    (array([0, 3]), array([       nan, 0.66666667]))
    """

    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]
    counts: Int[np.ndarray, " bins"]
    share: Float[np.ndarray, " bins"]

    @property
    def error(self) -> float:
        """The expected calibration error Σₘ shareₘ·|accuracyₘ − confidenceₘ|, in [0, 1].

        Source: Guo et al., On calibration of modern neural networks, 2017, equation 3.
        """
        return float(np.nansum(self.share * np.abs(self.accuracy - self.confidence)))


def reliability(
    confidence: Float[np.ndarray, " n"],
    is_right: Bool[np.ndarray, " n"],
    weight: Float[np.ndarray, " n"] | None = None,
    n_bins: int = N_BINS,
) -> Reliability:
    """The reliability curve of predictions.

    Args:
      confidence: the probability of each predicted class, in (0, 1].
      is_right: whether it is the example's class.
      weight: how much each example counts; `None`, the default, for all the same.
      n_bins: the number of bins, 15 by default.
    """
    weight = np.ones(len(confidence)) if weight is None else np.asarray(weight, float)
    bins = np.clip(np.ceil(np.asarray(confidence, float) * n_bins).astype(int) - 1, 0, n_bins - 1)

    def sums(values: np.ndarray) -> Float[np.ndarray, " bins"]:
        return np.bincount(bins, weight * values, minlength=n_bins)

    total = sums(np.ones(len(bins)))
    filled = np.where(total > 0, total, np.nan)
    return Reliability(
        confidence=sums(confidence) / filled,
        accuracy=sums(is_right.astype(float)) / filled,
        counts=np.bincount(bins, minlength=n_bins),
        share=total / total.sum(),
    )


def log_probabilities(
    net: Network, logits: Float[np.ndarray, "n n_out"], temperature: float = 1.0
) -> Float[np.ndarray, "n classes"]:
    """The logarithms of the probabilities of all classes.

    Args:
      net: the architecture, of whose outputs `has_probabilities` says that they are probabilities.
      logits: the weighted inputs of its outputs.
      temperature: what they are divided by; 1, the default, for the network's own probabilities.

    Returns:
      ln p of each class. A single output is that of class 1. Several sigmoid outputs are divided by
      their sum.
    """
    z = np.asarray(logits, float) / temperature
    if isinstance(net.cost.output, Softmax):
        return special.log_softmax(z / float(net.cost.output.temperature), axis=1)
    logarithms = special.log_expit(z)
    if z.shape[1] == 1:
        return np.concatenate([special.log_expit(-z), logarithms], axis=1)
    return logarithms - special.logsumexp(logarithms, axis=1, keepdims=True)


def has_probabilities(net: Network) -> bool:
    """Whether outputs are probabilities of classes: those of a softmax or of sigmoid units."""
    return isinstance(net.cost.output, Softmax) or net.cost.output == sigmoid


def fitted_temperature(
    log_probabilities_at: Callable[[float], Float[np.ndarray, "n classes"]],
    labels: Int[np.ndarray, " n"],
    weight: Float[np.ndarray, " n"] | None = None,
) -> float:
    """The temperature T that gives labels the highest likelihood.

    Args:
      log_probabilities_at: the logarithms of all classes' probabilities at a temperature.
      labels: the classes of the examples.
      weight: how much each example counts; `None`, the default, for all the same.

    Returns:
      T in [0.01, 100]: above 1 if the network is too sure of itself.

    Source: Guo et al., On calibration of modern neural networks, 2017, section 4.2.
    """
    from scipy import optimize  # takes time to import

    places = np.arange(len(labels)), np.asarray(labels)

    def negative_log_likelihood(log_temperature: float) -> float:
        logarithms = log_probabilities_at(float(np.exp(log_temperature)))[places]
        return -float(np.average(logarithms, weights=weight))

    limit = np.log(LARGEST_TEMPERATURE)
    options = {"xatol": 1e-6}
    result = optimize.minimize_scalar(
        negative_log_likelihood, bounds=(-limit, limit), method="bounded", options=options
    )
    return float(np.exp(result.x))
