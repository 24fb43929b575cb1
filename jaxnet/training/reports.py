"""`report`: how good a trained network is, class by class or target by target."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxnet.core import accuracy, network
from jaxnet.core.arguments import brief
from jaxnet.core.checks import check_split
from jaxnet.core.costs import GaussianNLL
from jaxnet.core.network import Network
from jaxnet.core.types import Params, Split
from jaxnet.training.calibration import fitted_temperature, has_probabilities, log_probabilities
from jaxnet.training.classification_report import (
    ClassificationReport,
    class_report,
    multi_label_report,
)
from jaxnet.training.regression_report import RegressionReport, number_report


def report(
    net: Network,
    params: Params,
    split: Split,
    *,
    valid: Split | None = None,
    class_names: Sequence[str] | None = None,
) -> ClassificationReport | RegressionReport:
    """How good a trained network is on a split: a table for `print`, and its numbers.

    For classes: precision, recall, F1 and support of each, accuracy and log loss, the calibration
    of the probabilities, and the most confident errors. Probabilities are those of a softmax, or of
    sigmoid outputs, of which several are divided by their sum. For numbers: bias, root mean
    squared and mean absolute error, R², and for `GaussianNLL` the coverage of the intervals that
    the predicted variances state. Where the split has weights, all of these are weighted.

    Args:
      net: the architecture.
      params: its parameters.
      split: the examples to report on, such as the test split.
      valid: other examples, such as the validation split, to fit a temperature on by which the
        logits are divided, for probabilities that are calibrated better. None, the default, fits
        none.
      class_names: the names of the classes, in the order of the labels; None, the default, for "0",
        "1" and so on.

    Returns:
      A `ClassificationReport` or a `RegressionReport`: `print(report)` shows it, `to_dict()` has
      its numbers in JSON's types.

    Raises:
      ValueError: network, parameters, splits and names do not fit together, or outputs are NaN.
      ImportError: scikit-learn is not installed.

    Source: scikit-learn's `classification_report`; Guo et al., On calibration of modern neural
      networks, 2017.

    >>> import jaxnet as jn
    >>> net, data = jn.Network((2, 8, 2)), jn.datasets.xor(n=40)
    >>> run = jn.train(net, data, jn.Recipe(jn.adam(0.1)), epochs=30)
    >>> result = report(net, run.best_params, data.test, class_names=["same", "other"])
    >>> print(str(result).splitlines()[0])
    class  precision  recall     F1  support
    """
    network.check_params(net, params)
    split, logits = _evaluated(net, params, split, "reported")
    valid_pair = None if valid is None else _evaluated(net, params, valid, "valid")
    return report_of_logits(net, split, logits, valid_pair, class_names)


def report_of_logits(
    net: Network,
    split: Split,
    logits: Float[np.ndarray, "n n_out"],
    valid: tuple[Split, Float[np.ndarray, "n_valid n_out"]] | None,
    class_names: object,
    deviation: Float[np.ndarray, "n n_targets"] | None = None,
) -> ClassificationReport | RegressionReport:
    """The report on logits that are known already.

    Args:
      net: the architecture.
      split: the examples, as `check_split` returns them.
      logits: the weighted inputs of its outputs for these.
      valid: other examples and their logits, to fit a temperature on; None for none.
      class_names: the names of the classes, to be checked; None for numbers.
      deviation: the standard deviations of numbers to predict; None for those of the network.

    Raises:
      ValueError: the names are not one for each class, or logits are NaN.
      ImportError: scikit-learn is not installed.
    """
    weight = None if split.weight is None else np.asarray(split.weight, float)
    is_nan = np.asarray(np.isnan(logits).any(axis=1))
    if is_nan.any():
        raise ValueError(
            f"the network's outputs are NaN for {is_nan.sum()} of {len(is_nan)} examples of the "
            "split, so that there is nothing to report; use params from before it diverged."
        )
    if not accuracy.have_accuracy(net.cost, split.y):
        if class_names is not None:
            raise ValueError(
                "class_names are for classes, but the targets are numbers to predict; leave them "
                "out."
            )
        predicted, own_deviation = _predicted_numbers(net, logits)
        deviation = own_deviation if deviation is None else deviation
        return number_report(predicted, np.asarray(split.y, float), weight, deviation)
    names = _checked_names(class_names, max(2, net.sizes[-1]))
    if not network.are_labels(split.y) and accuracy.are_multi_label(net.cost, split.y):
        names = _checked_names(class_names, net.sizes[-1])
        return multi_label_report(
            _outputs(net, logits) > 0.5, np.asarray(split.y) > 0.5, weight, names
        )
    probabilities, temperature = None, float("nan")
    if has_probabilities(net):
        probabilities = lambda temperature: log_probabilities(net, logits, temperature)
        if valid is not None:
            valid_split, valid_logits = valid
            temperature = fitted_temperature(
                lambda temperature: log_probabilities(net, valid_logits, temperature),
                _labels(valid_split),
                None if valid_split.weight is None else np.asarray(valid_split.weight, float),
            )
    outputs = _outputs(net, logits)
    is_single = outputs.shape[1] == 1
    classes = (outputs[:, 0] > 0.5).astype(int) if is_single else np.argmax(outputs, axis=1)
    return class_report(classes, _labels(split), weight, names, probabilities, temperature)


def _evaluated(
    net: Network, params: Params, split: Split, name: str
) -> tuple[Split, Float[np.ndarray, "n n_out"]]:
    """A split, checked, and the logits of its examples."""
    split = check_split(net, name, split)
    logits = np.asarray(network.logits(net, params, split.x), float)
    return split, logits


def _outputs(net: Network, logits: Float[np.ndarray, "n n_out"]) -> Float[np.ndarray, "n n_out"]:
    """The output activations of logits."""
    return np.asarray(jax.vmap(net.cost.output.fn)(jnp.asarray(logits)), float)


def _predicted_numbers(
    net: Network, logits: Float[np.ndarray, "n n_out"]
) -> tuple[Float[np.ndarray, "n n_targets"], Float[np.ndarray, "n n_targets"] | None]:
    """The predictions of a regression, and their standard deviations where the cost has them."""
    outputs = _outputs(net, logits)
    if not isinstance(net.cost, GaussianNLL):
        return outputs, None
    means, log_variances = np.split(outputs, 2, axis=1)
    return means, np.exp(log_variances / 2)


def _labels(split: Split) -> Int[np.ndarray, " n"]:
    """The classes of examples; those of probabilities are the most probable ones."""
    targets = np.asarray(split.y)
    return targets.astype(int) if network.are_labels(targets) else np.argmax(targets, axis=1)


def _checked_names(names: object, n_classes: int) -> tuple[str, ...]:
    """The names of all classes."""
    if names is None:
        return tuple(map(str, range(n_classes)))
    texts = list(names) if isinstance(names, (list, tuple, np.ndarray)) else []
    if len(texts) != n_classes or not all(isinstance(text, str) for text in texts):
        raise ValueError(
            f"class_names must be a list of {n_classes} texts, one for each class, not "
            f"{brief(names)}."
        )
    return tuple(map(str, texts))
