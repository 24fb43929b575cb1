"""Reports on classifiers: scores of each class, calibration, and the most confident errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxnet.training.calibration import Reliability, reliability

N_WRONG = 10
"""Wrong predictions that a report lists, at most."""
LogProbabilities = Callable[[float], Float[np.ndarray, "n classes"]]
"""The logarithms of the probabilities of all classes at a temperature."""


class WrongExample(NamedTuple):
    """An example that is classified wrongly.

    Attributes:
      row: its place in the split, from 0.
      label: its class, from 0.
      predicted: the class that was predicted.
      probability: the probability of the predicted class, in (0, 1].

    >>> WrongExample(row=7, label=4, predicted=9, probability=0.98).predicted
    9
    """

    row: int
    label: int
    predicted: int
    probability: float


class Calibration(NamedTuple):
    """Whether the probabilities of a classifier are as often right as they say.

    Attributes:
      curve: the reliability curve of the network's own probabilities.
      temperature: the temperature T > 0 that fits the validation split best: above 1 if the network
        is too sure of itself. NaN without a validation split.
      scaled_curve: the reliability curve with the logits divided by T; None without a validation
        split.

    >>> curve = reliability(np.array([0.9, 0.9]), np.array([True, False]))
    >>> Calibration(curve, 1.0, curve).curve.error
    0.4
    """

    curve: Reliability
    temperature: float
    scaled_curve: Reliability | None


@dataclass(frozen=True, eq=False)
class ClassificationReport:
    """How well a network classifies a split; `print` shows it as a table.

    `jaxnet.report` makes one.

    Attributes:
      class_names: the name of each class.
      precision: hits / predicted for each class, (classes,); 0 for one that is never predicted.
      recall: hits / true for each class, (classes,); 0 for one that never appears.
      f1: 2·hits / (predicted + true) for each class, (classes,).
      support: the number of examples of each class, (classes,); of weighted examples the sum of
        their weights.
      accuracy: the fraction of examples that are classified correctly, in [0, 1].
      log_loss: the mean of −ln p of the examples' classes; NaN where outputs are no probabilities.
      calibration: how calibrated the probabilities are; None where outputs are no probabilities of
        one class among several.
      wrong: the most confident wrong predictions, at most ten, the most confident first.

    >>> import jaxnet as jn
    >>> net, data = jn.Network((2, 8, 2)), jn.datasets.xor()
    >>> run = jn.train(net, data, jn.Recipe(jn.adam(0.05)), epochs=20)
    >>> report = jn.report(net, run.params, data.test)
    >>> report.precision.shape, report.accuracy > 0.9
    ((2,), True)
    """

    class_names: tuple[str, ...]
    precision: Float[np.ndarray, " classes"]
    recall: Float[np.ndarray, " classes"]
    f1: Float[np.ndarray, " classes"]
    support: Float[np.ndarray, " classes"]
    accuracy: float
    log_loss: float
    calibration: Calibration | None
    wrong: tuple[WrongExample, ...]

    def to_dict(self) -> dict[str, object]:
        """The report in JSON's types.

        Returns:
          A dictionary; a number that is not known is None.
        """
        names = ("precision", "recall", "f1", "support")
        content: dict[str, object] = {
            "classes": [
                {"class": name, **{key: float(getattr(self, key)[place]) for key in names}}
                for place, name in enumerate(self.class_names)
            ],
            "accuracy": self.accuracy,
            "log_loss": known(self.log_loss),
            "wrong": [example._asdict() for example in self.wrong],
        }
        if self.calibration is not None:
            curve, temperature, scaled = self.calibration
            content["calibration"] = {
                "error": curve.error,
                "curve": _curve_rows(curve),
                "temperature": known(temperature),
                "scaled_error": None if scaled is None else scaled.error,
                "scaled_curve": None if scaled is None else _curve_rows(scaled),
            }
        return content

    def __str__(self) -> str:
        width = max(len("class"), *map(len, self.class_names))
        lines = [f"{'class':{width}}  precision  recall     F1  support"]
        columns = (self.precision, self.recall, self.f1, self.support)
        names = (*self.class_names, "mean")
        means = (*(float(np.mean(values)) for values in columns[:3]), float(np.sum(self.support)))
        for name, numbers in zip(names, [*zip(*columns, strict=True), means], strict=True):
            precision, recall, f1, support = numbers
            lines.append(
                f"{name:{width}}  {precision:9.3f}  {recall:6.3f}  {f1:5.3f}  {support:7g}"
            )
        scores = f"accuracy {self.accuracy:.2%}"
        if np.isfinite(self.log_loss):
            scores += f", log loss {self.log_loss:.4f}"
        lines += ["", scores]
        if self.calibration is not None:
            lines.append(_calibration_line(self.calibration))
        if self.wrong:
            lines += ["", "most confidently wrong:"]
        for example in self.wrong:
            label, predicted = (self.class_names[k] for k in (example.label, example.predicted))
            lines.append(
                f"example {example.row}: {predicted} with {example.probability:.1%}, is {label}"
            )
        return "\n".join(lines)


def class_report(
    predicted: Int[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    weight: Float[np.ndarray, " n"] | None,
    class_names: tuple[str, ...],
    log_probabilities: LogProbabilities | None,
    temperature: float,
) -> ClassificationReport:
    """The report on predictions of one class among several.

    Args:
      predicted: the predicted class of each example.
      labels: its class.
      weight: how much it counts; None for all the same.
      class_names: the name of each class.
      log_probabilities: the logarithms of the probabilities of all classes at a temperature; None
        where outputs are no probabilities.
      temperature: the temperature that was fitted on the validation split; NaN for none.
    """
    is_right, calibration, wrong, log_loss = predicted == labels, None, (), float("nan")
    if log_probabilities is not None:
        logarithms, rows = log_probabilities(1.0), np.arange(len(labels))
        confidence = np.exp(logarithms[rows, predicted])
        log_loss = float(np.average(-logarithms[rows, labels], weights=weight))
        scaled = None
        if np.isfinite(temperature):
            scaled_confidence = np.exp(log_probabilities(temperature)[rows, predicted])
            scaled = reliability(scaled_confidence, is_right, weight)
        calibration = Calibration(reliability(confidence, is_right, weight), temperature, scaled)
        wrong = _wrong(labels, predicted, confidence)
    return ClassificationReport(
        class_names,
        *_scores_by_class(labels, predicted, weight, range(len(class_names))),
        accuracy=float(np.average(is_right, weights=weight)),
        log_loss=log_loss,
        calibration=calibration,
        wrong=wrong,
    )


def multi_label_report(
    predicted: Bool[np.ndarray, "n classes"],
    targets: Bool[np.ndarray, "n classes"],
    weight: Float[np.ndarray, " n"] | None,
    class_names: tuple[str, ...],
) -> ClassificationReport:
    """The report on predictions of several labels at once.

    Args:
      predicted: which labels are predicted for each example.
      targets: which labels it has.
      weight: how much it counts; None for all the same.
      class_names: the name of each label.
    """
    return ClassificationReport(
        class_names,
        *_scores_by_class(targets, predicted, weight, None),
        accuracy=float(np.average((predicted == targets).all(axis=1), weights=weight)),
        log_loss=float("nan"),
        calibration=None,
        wrong=(),
    )


def sklearn_metrics() -> ModuleType:
    """The module `sklearn.metrics`.

    Raises:
      ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn import metrics
    except ImportError:
        raise ImportError("report needs scikit-learn: pip install scikit-learn.") from None
    return metrics


def known(number: float) -> float | None:
    """A number, or None in place of NaN, which JSON does not have."""
    return float(number) if np.isfinite(number) else None


def _scores_by_class(
    targets: np.ndarray,
    predicted: np.ndarray,
    weight: Float[np.ndarray, " n"] | None,
    labels: Sequence[int] | None,
) -> tuple[np.ndarray, ...]:
    """Precision, recall, F1 and support of each class."""
    scores = sklearn_metrics().precision_recall_fscore_support(
        targets, predicted, labels=labels, sample_weight=weight, zero_division=0.0
    )
    return tuple(np.asarray(values, float) for values in scores)


def _wrong(
    labels: Int[np.ndarray, " n"],
    predicted: Int[np.ndarray, " n"],
    confidence: Float[np.ndarray, " n"],
) -> tuple[WrongExample, ...]:
    """The most confident wrong predictions, the most confident first."""
    rows = np.flatnonzero(predicted != labels)
    rows = rows[np.argsort(-confidence[rows], kind="stable")][:N_WRONG]
    return tuple(
        WrongExample(int(row), int(labels[row]), int(predicted[row]), float(confidence[row]))
        for row in rows
    )


def _curve_rows(curve: Reliability) -> list[dict[str, float | int | None]]:
    """The bins of a reliability curve that are not empty."""
    return [
        {
            "confidence": known(curve.confidence[place]),
            "accuracy": known(curve.accuracy[place]),
            "count": int(curve.counts[place]),
        }
        for place in np.flatnonzero(curve.counts)
    ]


def _calibration_line(calibration: Calibration) -> str:
    """The calibration errors, in a sentence."""
    line = f"expected calibration error {calibration.curve.error:.2%}"
    if calibration.scaled_curve is None:
        return line
    scaled = calibration.scaled_curve.error
    return f"{line}, with logits divided by {calibration.temperature:.3g} {scaled:.2%}"
