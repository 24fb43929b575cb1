"""Reports on regressions: residuals, and whether intervals hold as many targets as they say."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

from jaxnet.training.classification_report import known, sklearn_metrics

LEVELS = (0.5, 0.8, 0.95)
"""The probabilities of the intervals whose coverage is measured."""


@dataclass(frozen=True, eq=False)
class RegressionReport:
    """How well a network predicts the numbers of a split; `print` shows it as a table.

    `jaxnet.report` makes one. All arrays have one number for each target.

    Attributes:
      bias: the mean of prediction − target.
      rmse: the root of the mean squared error.
      mae: the mean absolute error.
      r2: 1 − Σ(a−y)² / Σ(y−ȳ)².
      coverage: by the probability of an interval, 0.5, 0.8 and 0.95, the fraction of targets in it:
        in mean ± z·sd, with the standard deviation that the network, or the ensemble, predicts.
        Empty where none is predicted.

    >>> import jaxnet as jn
    >>> net = jn.Network((1, 8, 2), jn.activations.tanh, cost=jn.costs.GaussianNLL())
    >>> data = jn.datasets.function(np.sin, n=50)
    >>> run = jn.train(net, data, jn.Recipe(jn.adam(0.02)), epochs=20)
    >>> report = jn.report(net, run.params, data.test)
    >>> report.r2.shape, sorted(report.coverage)
    ((1,), [0.5, 0.8, 0.95])
    """

    bias: Float[np.ndarray, " targets"]
    rmse: Float[np.ndarray, " targets"]
    mae: Float[np.ndarray, " targets"]
    r2: Float[np.ndarray, " targets"]
    coverage: dict[float, Float[np.ndarray, " targets"]]

    def to_dict(self) -> dict[str, object]:
        """The report in JSON's types.

        Returns:
          A dictionary; a number that is not known is None.
        """
        names = ("bias", "rmse", "mae", "r2")
        rows = [
            {
                **{name: known(getattr(self, name)[place]) for name in names},
                "coverage": {
                    f"{level:g}": known(share[place]) for level, share in self.coverage.items()
                },
            }
            for place in range(len(self.bias))
        ]
        return {"targets": rows}

    def __str__(self) -> str:
        headings = ["bias", "RMSE", "MAE", "R²", *(f"in {level:.0%}" for level in self.coverage)]
        lines = ["  ".join(["target", *(f"{heading:>9}" for heading in headings)])]
        for place in range(len(self.bias)):
            numbers = [
                f"{values[place]:9.4g}" for values in (self.bias, self.rmse, self.mae, self.r2)
            ]
            shares = [f"{share[place]:9.1%}" for share in self.coverage.values()]
            lines.append("  ".join([f"{place:6d}", *numbers, *shares]))
        return "\n".join(lines)


def number_report(
    predicted: Float[np.ndarray, "n targets"],
    targets: Float[np.ndarray, "n targets"],
    weight: Float[np.ndarray, " n"] | None,
    deviation: Float[np.ndarray, "n targets"] | None,
) -> RegressionReport:
    """The report on predicted numbers.

    Args:
      predicted: the predictions.
      targets: the targets.
      weight: how much each example counts; None for all the same.
      deviation: the standard deviation that each prediction states; None for none.
    """
    metrics = sklearn_metrics()
    options = {"sample_weight": weight, "multioutput": "raw_values"}
    errors, coverage = predicted - targets, {}
    if deviation is not None:
        for level in LEVELS:
            is_inside = np.abs(errors) <= special.ndtri(0.5 + level / 2) * deviation
            coverage[level] = np.average(is_inside, axis=0, weights=weight)
    r2 = np.full(targets.shape[1], np.nan)  # R² of one example is not defined
    if len(targets) > 1:
        r2 = np.asarray(metrics.r2_score(targets, predicted, **options))
    return RegressionReport(
        bias=np.average(errors, axis=0, weights=weight),
        rmse=np.sqrt(metrics.mean_squared_error(targets, predicted, **options)),
        mae=np.asarray(metrics.mean_absolute_error(targets, predicted, **options)),
        r2=r2,
        coverage=coverage,
    )
