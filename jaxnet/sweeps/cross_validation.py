"""`cross_validate`: how well a recipe, or the best of many, predicts what did not train it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, SupportsIndex

import numpy as np
from jaxtyping import Float, Int

from jaxnet.core.arguments import path_of
from jaxnet.core.display import brief_repr
from jaxnet.core.dtypes import FloatType
from jaxnet.core.network import Network, predict
from jaxnet.core.types import Dataset, Params
from jaxnet.data.resampling import InnerFolds, Resampling, inner_folds, resampling_of
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.trainable import Trainable
from jaxnet.sweeps._sweep import Resample, sweep
from jaxnet.sweeps.checks import as_list
from jaxnet.sweeps.ranking import recipe_order
from jaxnet.sweeps.settings import Settings
from jaxnet.sweeps.study import Study
from jaxnet.training.metrics import MetricFunction


class CrossValidation(NamedTuple):
    """The result of `cross_validate`.

    Attributes:
      study: all networks, with the axes recipe (of length 1 if there is one recipe), seed, fold and
        epoch.
      scores: the score of each network on its fold's test rows, (seed, fold): its accuracy, or what
        `select_by` names, with a minus sign if lower is better. See `Study.score`. With `nested`
        they are those of the setting that was selected for the fold.
      mean: the mean of the scores.
      sd: their standard deviation over seeds and folds, with n − 1; NaN if there is only one.
      predictions: the output activations for each training example, (n, n_out), by the networks
        that were not trained on it: their mean, or NaN where there is none.
      selected: for each fold the place, on the axis recipe, of its setting: with `nested` the one
        with the best mean score over the fold's inner folds, and 0 otherwise.
      best: the mean score of `study.best_recipe`, the setting that is best on the test rows
        themselves. It is too good, unlike `mean`, if there are many settings.
      inner: the networks of all inner folds, those of the first fold first; None without `nested`.

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
    selected: Int[np.ndarray, " folds"]
    best: float
    inner: Study | None

    def __repr__(self) -> str:
        return brief_repr(self, [name for name in self._fields if name != "inner"])


def cross_validate(
    net: Network,
    data: Dataset,
    recipe: Recipe | Sequence[Recipe] | Settings,
    resample: Resample,
    *,
    nested: SupportsIndex | Resampling | None = None,
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

    With `nested` there may be many recipes: in each fold, inner folds of its training rows select
    one, whose network, trained on all of these rows, is scored. The mean score is then what the
    selection comes to on new data. All networks of all inner folds are one sweep, and those of all
    recipes on the outer folds another.

    Args:
      net: the architecture.
      data: the training split, of which folds are made; a validation split chooses the best epoch
        where the folds have no rows for that. The test split is not touched.
      recipe: how to train, with scalars for numbers. With `nested`, what `sweep` takes: several
        recipes, one with arrays, or settings.
      resample: the folds, such as `resampling.k_fold(5)`: see `sweep`.
      nested: how many folds of each fold's training rows select the recipe, at least 2, or a
        resampling such as `resampling.k_fold(5, stratify=True)`. None, the default, for one recipe.
      epochs: the most epochs per network, at least 1; 30 by default.
      batch_size: examples per mini-batch, at least 1; 10 by default.
      seeds: the number of seeds per fold, at least 1, the default. A recipe is selected by the mean
        over them.
      standardize: whether to shift and scale the inputs of each fold by the mean and the standard
        deviation of its own training rows; `None`, the default, does so for the numbers of a
        `jaxnet.datasets.table`, and leaves all other inputs as they are, as False does.
      params: initial parameters of all networks, as in `train`; None, the default, draws them.
      trainable: which parameters are trained, as in `train`; None, the default, trains all.
      metrics: what else to evaluate on the test rows, by name, as in `train`: `{"auc":
        jaxnet.metrics.roc_auc}` is recorded in `study.history.metrics["test_auc"]`. None, the
        default, for nothing.
      select_by: "accuracy", "cost" or the name of one of `metrics`: it is what `scores` are of,
        selects among recipes, and decides on the best epoch where there are rows for that and no
        stopping rule. None, the default, is what a stopping rule looks at, if that is one of
        `metrics`, and otherwise the accuracy, or the cost without labels.
      folder: a folder that keeps the networks, as in `sweep`, those of inner folds in its folder
        `inner`; None, the default, for none.
      dtype: "float32" or "float64": the type to compute in, as in `train`; None, the default, is
        JAX's default.

    Returns:
      The scores, their mean and standard deviation, a prediction for each example, and with
      `nested` the setting that was selected for each fold.

    Raises:
      ValueError: the arguments do not fit together, or there are several recipes without `nested`.
      KeyboardInterrupt: Ctrl-C during the inner folds; with a folder, the same call goes on.

    Source: Stone, Cross-validatory choice and assessment of statistical predictions, 1974; nested:
      Varma and Simon, Bias in error estimation when using cross-validation for model selection,
      2006.

    >>> import jaxnet as jn
    >>> result = cross_validate(jn.Network((2, 8, 2)), jn.datasets.xor(), jn.Recipe(jn.adam(0.05)),
    ...                         jn.resampling.k_fold(3, stratify=True))
    >>> result.mean > 0.9
    True
    """
    outer = resampling_of(resample)
    inner = None if nested is None else inner_folds(outer, nested)
    if inner is None:
        _require_one(recipe)

    def study_of(folds: Resampling, path: str | Path | None) -> Study:
        return sweep(
            net, data, recipe, seeds=seeds, epochs=epochs, batch_size=batch_size, resample=folds,
            standardize=standardize, params=params, trainable=trainable, metrics=metrics,
            select_by=select_by, folder=path, log=None, dtype=dtype,
        )  # fmt: skip

    inner_study = None
    if inner is not None:
        inner_path = None if folder is None else path_of("folder", folder) / "inner"
        inner_study = study_of(inner, inner_path)
        if inner_study.interruption is not None:
            raise KeyboardInterrupt
    study = study_of(outer, folder)
    selected = np.zeros(study.n_folds, int)
    if inner is not None and inner_study is not None:
        selected = _selected(inner_study, inner)
    scores = study.score[selected, :, np.arange(study.n_folds)].T
    return CrossValidation(
        study=study,
        scores=scores,
        mean=float(np.mean(scores)),
        sd=float(np.std(scores, ddof=1)) if scores.size > 1 else float("nan"),
        predictions=_predictions(study, selected),
        selected=selected,
        best=float(np.mean(study.score[study.best_recipe])),
        inner=inner_study,
    )


def _require_one(recipe: object) -> None:
    """Refuse several recipes."""
    n_recipes = sum(
        len(entry) if isinstance(entry, (Recipe, Settings)) else 1 for entry in as_list(recipe)
    )
    if n_recipes > 1:
        raise ValueError(
            f"cross_validate takes one recipe, but this one stands for {n_recipes}; give nested=5, "
            "for example, to select one in each fold, or use jaxnet.sweep(…, resample=…)."
        )


def _selected(study: Study, inner: InnerFolds) -> Int[np.ndarray, " folds"]:
    """For each outer fold, the setting with the best mean score over its inner folds."""
    assert study.source.data is not None
    groups = inner.by_outer_fold(study.source.data.train)
    ends = np.cumsum([len(group) for group in groups])
    parts = np.split(study.score, ends[:-1], axis=2)
    return np.array([recipe_order(scores.reshape(len(scores), -1))[0] for scores in parts])


def _predictions(study: Study, selected: Int[np.ndarray, " folds"]) -> Float[np.ndarray, "n n_out"]:
    """The mean prediction for each example, by the networks that were not trained on it."""
    folds, data = study.source.folds, study.source.data
    assert folds is not None  # the sweep has made them
    assert data is not None
    n_out = study.settings[0].network.sizes[-1]
    total, count = np.zeros((len(data.train.x), n_out)), np.zeros((len(data.train.x), 1))
    for seed, fold in np.ndindex(study.score.shape[1:]):
        lane, recipe = folds[seed * study.n_folds + fold], int(selected[fold])
        rows, net = lane.fold.test, study.settings[recipe].network
        inputs = lane.standardized(np.asarray(data.train.x)[rows])
        total[rows] += np.asarray(predict(net, study.best_params(recipe, seed, fold), inputs))
        count[rows] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
