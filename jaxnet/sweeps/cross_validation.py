"""`cross_validate`: how well a recipe predicts examples that it was not trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, SupportsIndex

import numpy as np
from jaxtyping import Float

from jaxnet.core.dtypes import FloatType
from jaxnet.core.network import Network, predict
from jaxnet.core.types import Dataset, Params
from jaxnet.data.resampling import resampling_of
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.trainable import Trainable
from jaxnet.sweeps._sweep import Resample, sweep
from jaxnet.sweeps.settings import Settings
from jaxnet.sweeps.study import Study
from jaxnet.training.metrics import MetricFunction


class CrossValidation(NamedTuple):
    """The result of `cross_validate`.

    Attributes:
      study: all networks, with the axes recipe (of length 1), seed, fold and epoch.
      scores: the score of each network on its fold's test rows, (seed, fold): its accuracy, or what
        `select_by` names, with a minus sign if lower is better. See `Study.score`.
      mean: the mean of the scores.
      sd: their standard deviation over seeds and folds, with n − 1; NaN if there is only one.
      predictions: the output activations for each training example, (n, n_out), by the networks
        that were not trained on it: their mean, or NaN where there is none.

    >>> import jaxnet as jn
    >>> result = cross_validate(jn.Network((2, 4, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd(0.5)),
    ...                         jn.resampling.k_fold(3), epochs=2)
    >>> result.scores.shape, result.predictions.shape == (len(jn.datasets.xor().train.x), 2)
    ((1, 3), True)
    """

    study: Study
    scores: Float[np.ndarray, "seeds folds"]
    mean: float
    sd: float
    predictions: Float[np.ndarray, "n n_out"]


def cross_validate(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    resample: Resample,
    *,
    epochs: SupportsIndex = 30,
    batch_size: SupportsIndex = 10,
    seeds: SupportsIndex = 1,
    standardize: bool | None = None,
    params: Params | None = None,
    trainable: Trainable = None,
    metrics: Mapping[str, MetricFunction] | None = None,
    select_by: str | None = None,
    folder: str | Path | None = None,
    dtype: FloatType | None = None,
) -> CrossValidation:
    """Train a network on each fold of the training split, and score it on the fold's other rows.

    `sweep(resample=…)` does the same for many recipes at once.

    Args:
      net: the architecture.
      data: the training split, of which folds are made; a validation split chooses the best epoch
        where the folds have no rows for that. The test split is not touched.
      recipe: how to train, with scalars for numbers.
      resample: the folds, such as `resampling.k_fold(5)`: see `sweep`.
      epochs: the most epochs per network, at least 1; 30 by default.
      batch_size: examples per mini-batch, at least 1; 10 by default.
      seeds: the number of seeds per fold, at least 1, the default.
      standardize: whether to shift and scale the inputs of each fold by the mean and the standard
        deviation of its own training rows; `None`, the default, does so for the numbers of a
        `jaxnet.datasets.table`, and leaves all other inputs as they are, as False does.
      params: initial parameters of all networks, as in `train`; None, the default, draws them.
      trainable: which parameters are trained, as in `train`; None, the default, trains all.
      metrics: what else to evaluate on the test rows, by name, as in `train`: `{"auc":
        jaxnet.metrics.roc_auc}` is recorded in `study.history.metrics["test_auc"]`. None, the
        default, for nothing.
      select_by: "accuracy", "cost" or the name of one of `metrics`: it is what `scores` are of, and
        decides on the best epoch where there are rows for that and no stopping rule. None, the
        default, is what a stopping rule looks at, if that is one of `metrics`, and otherwise the
        accuracy, or the cost without labels.
      folder: a folder that keeps the networks, as in `sweep`; None, the default, for none.
      dtype: "float32" or "float64": the type to compute in, as in `train`; None, the default, is
        JAX's default.

    Returns:
      The scores, their mean and standard deviation, and a prediction for each example.

    Raises:
      ValueError: the arguments do not fit together, or the recipe has arrays.

    Source: Stone, Cross-validatory choice and assessment of statistical predictions, 1974.

    >>> import jaxnet as jn
    >>> result = cross_validate(jn.Network((2, 8, 2)), jn.datasets.xor(), jn.Recipe(jn.adam(0.05)),
    ...                         jn.resampling.k_fold(3, stratify=True))
    >>> result.mean > 0.9
    True
    """
    if isinstance(recipe, (Recipe, Settings)) and len(recipe) > 1:
        raise ValueError(
            f"cross_validate takes one recipe, but this one stands for {len(recipe)}; "
            "use jaxnet.sweep(…, resample=…)."
        )
    study = sweep(
        net, data, recipe, seeds=seeds, epochs=epochs, batch_size=batch_size,
        resample=resampling_of(resample), standardize=standardize, params=params,
        trainable=trainable, metrics=metrics, select_by=select_by, folder=folder, log=None,
        dtype=dtype,
    )  # fmt: skip
    scores = study.score[0]
    sd = float(np.std(scores, ddof=1)) if scores.size > 1 else float("nan")
    return CrossValidation(study, scores, float(np.mean(scores)), sd, _predictions(study))


def _predictions(study: Study) -> Float[np.ndarray, "n n_out"]:
    """The mean prediction for each example, by the networks that were not trained on it."""
    folds, data = study.source.folds, study.source.data
    assert folds is not None  # the sweep has made them
    assert data is not None
    net = study.settings[0].network
    total, count = np.zeros((len(data.train.x), net.sizes[-1])), np.zeros((len(data.train.x), 1))
    for seed, fold in np.ndindex(study.score.shape[1:]):
        lane = folds[seed * study.n_folds + fold]
        rows = lane.fold.test
        inputs = lane.standardized(np.asarray(data.train.x)[rows])
        total[rows] += np.asarray(predict(net, study.best_params(0, seed, fold), inputs))
        count[rows] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
