"""Studies: all results of a sweep, network by network."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, SupportsIndex

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int

from jaxnet.core.arguments import require_function
from jaxnet.core.display import html_of
from jaxnet.core.hyperparameters import count
from jaxnet.core.types import EvaluatedSplit, History, Params, Split
from jaxnet.io import csv, parquet
from jaxnet.io.csv import Row
from jaxnet.io.files import Origin
from jaxnet.recipes.stopping import Criterion
from jaxnet.sweeps import importance, leaderboard
from jaxnet.sweeps.chunk_params import Epoch
from jaxnet.sweeps.ensemble import Ensemble
from jaxnet.sweeps.network_stack import NetworkScores, outputs_of, scores_of
from jaxnet.sweeps.planning import Plan
from jaxnet.sweeps.ranking import ranking_curve, ranking_scores, recipe_order, seeds_from_median
from jaxnet.sweeps.selection_bias import CorrectedScore, bias_over_folds, bootstrap_score
from jaxnet.sweeps.source import Source
from jaxnet.sweeps.store import Lane, Setting, first_examples
from jaxnet.sweeps.study_networks import StudyNetworks
from jaxnet.training import train
from jaxnet.training.run import Ending, Run

if TYPE_CHECKING:
    import pandas  # pyright: ignore[reportMissingImports]

AXES = ("recipe", "seed", "epoch")


class Study(NamedTuple):
    """All results of a sweep: arrays with the named axes (recipe, seed, epoch).

    With `sweep(resample=…)` there is an axis fold after that of the seeds.

    A place on the axis recipe is a setting: a recipe with its network, batch size and number of
    examples. The curves of `history` have all three axes and are NaN after a network's end; all
    other arrays have one number per network, and the axes (recipe, seed).

    Attributes:
      settings: along the axis recipe: network, recipe, batch size and number of examples.
      seeds: the seeds along the axis seed.
      history: the curves and metrics, each (recipe, seed, epoch), and the monitors, each (recipe,
        seed, epoch, measurements, layers); NaN where not evaluated.
      epochs: epochs trained.
      best_epoch: the best epoch by the stopping rule's metric, from 1; 0 is the start. Without a
        rule it is the one with the highest evaluation accuracy or, without accuracies, the lowest
        evaluation cost without penalties; the last one if no validation split was evaluated.
      stopped: whether the stopping rule, or successive halving, ended the network's training.
      diverged_epoch: the epoch in which the network diverged, from 1; 0 if it did not.
      diverged_step: the mini-batch of that epoch, from 1, after which a parameter was not finite;
        or 0.
      plan: how the sweep was divided into programs, with its predicted memory and time.
      seconds: seconds that the call of `sweep` took.
      saved: the fraction of all epochs, in [0, 1], not computed because networks stopped or
        diverged.
      source: the data and trained chunks, from which any network can be trained again.

    >>> import jaxnet as jn
    >>> recipe = jn.Recipe(jn.sgd([0.1, 1.0]))
    >>> study = jn.sweep(jn.Network((2, 4, 2)), jn.datasets.xor(), recipe,
    ...                  seeds=3, epochs=2, log=None)
    >>> study.score.shape, study.history.evaluation_cost.shape
    ((2, 3), (2, 3, 2))
    >>> study.settings[1].number("learning_rate"), study.ending(1, 2)
    (1.0, 'done')
    >>> recipe, seed = study.best_lane
    >>> study.run(recipe, seed).params[0].w.shape
    (2, 4)
    """

    settings: tuple[Setting, ...]
    seeds: Int[np.ndarray, " seeds"]
    history: History
    epochs: Int[np.ndarray, "recipes seeds *folds"]
    best_epoch: Int[np.ndarray, "recipes seeds *folds"]
    stopped: Bool[np.ndarray, "recipes seeds *folds"]
    diverged_epoch: Int[np.ndarray, "recipes seeds *folds"]
    diverged_step: Int[np.ndarray, "recipes seeds *folds"]
    plan: Plan
    seconds: float
    saved: float
    source: Source

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes of the curves: recipe, seed, fold if there are folds, and epoch."""
        return AXES if self.source.folds is None else (*AXES[:-1], "fold", AXES[-1])

    @property
    def n_folds(self) -> int:
        """The number of folds of each seed; 1 without folds."""
        return 1 if self.source.folds is None else len(self.source.folds) // len(self.seeds)

    @property
    def interruption(self) -> str | None:
        """What Ctrl-C has left of the study, in words; `None` if nothing is missing.

        >>> import jaxnet as jn
        >>> recipe = jn.Recipe(jn.sgd([0.1, 1.0]))
        >>> study = jn.sweep(jn.Network((2, 4, 2)), jn.datasets.xor(), recipe,
        ...                  seeds=3, epochs=2, log=None)
        >>> print(study._replace(epochs=np.array([[2, 1, 0], [2, 0, 0]])).interruption)
        3 of 6 networks have begun (2 of 3 seeds), with 1 to 2 of 2 epochs
        """
        n_epochs = self.history.training_cost.shape[-1]
        has_ended = self.stopped | (self.diverged_epoch > 0) | (self.epochs == n_epochs)
        if has_ended.all():
            return None
        has_begun = (self.epochs > 0) | (self.diverged_epoch > 0)
        n_begun, n_seeds = int(has_begun.sum()), self.seeds_begun(slice(None))
        if not n_begun:
            return f"none of {has_begun.size:,} networks has had an epoch"
        fewest, most = int(self.epochs[has_begun].min()), int(self.epochs.max())
        seeds = f" ({n_seeds:,} of {len(self.seeds):,} seeds)" if n_seeds < len(self.seeds) else ""
        epochs = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
        return (
            f"{n_begun:,} of {has_begun.size:,} networks have begun{seeds}, with {epochs} of "
            f"{n_epochs:,} epochs"
        )

    def seeds_begun(self, recipe: int | slice) -> int:
        """The number of seeds under which a network has begun: all, unless Ctrl-C ended the sweep.

        Args:
          recipe: the place on the axis recipe, from 0; a slice for several.

        Returns:
          The number of seeds.
        """
        has_begun = (self.epochs > 0) | (self.diverged_epoch > 0)
        recipes = has_begun[recipe].reshape(-1, len(self.seeds), self.n_folds)
        return int(recipes.any(axis=(0, 2)).sum())

    @property
    def n_left_out(self) -> int:
        """The number of networks of other calls, with other settings or seeds, in the folder.

        A folder keeps the networks of all calls with the same data; a study has those of its own.
        """
        records, rows = self.source.records, self.source.row_by_lane.values()
        kept = {run for record in records for run in record.lanes}
        return len(kept - {records[index].lanes[row] for index, row in rows})

    @property
    def score(self) -> Float[np.ndarray, "recipes seeds *folds"]:
        """The score that ranks the networks, (recipe, seed) or (recipe, seed, fold).

        It is that of the best epoch, whose parameters are `Run.best_params`: the curve
        `ranked_by`, with a minus sign if lower is better. A network that diverged has −∞.
        """
        return ranking_scores(self.history, self.best_epoch, self.diverged_epoch, self._rank_by)

    @property
    def ranked_by(self) -> str:
        """The name of the curve that ranks the networks, in `History.curves`.

        It is that of `sweep(select_by=…)`. By default it is the evaluation accuracy or, where there
        are no accuracies, the evaluation cost without penalties; if no validation split was
        evaluated, the training curves count in the same way. In a study with folds it is that of
        the test rows, which had no part in the training.
        """
        return ranking_curve(self.history, self._rank_by)

    @property
    def higher_is_better(self) -> bool:
        """Whether more of `ranked_by` is better; if not, `score` is the curve's negative."""
        criterion = self._rank_by
        if criterion is None:
            return not self.ranked_by.endswith("cost")
        return criterion.higher_is_better

    @property
    def _rank_by(self) -> Criterion | None:
        """What ranks the networks; None for the default of a study without folds."""
        measured = self.source.measured
        if self.source.folds is None:
            return measured.rank_by
        accuracy = np.asarray(self.history.metrics["test_accuracy"])
        return measured.test_criterion("accuracy" if np.isfinite(accuracy).any() else "cost")

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The versions of jaxnet and JAX, and the kinds of device, that trained the networks.

        Bits depend on these: if there are several, the results may differ in the last places.
        """
        records = (self.source.records[index] for index, _ in self.source.row_by_lane.values())
        origins = (origin for record in records for origin in record.result.origins)
        return tuple(dict.fromkeys(origins))

    @property
    def best_lane(self) -> tuple[int, ...]:
        """The typical network of the best recipe: its places on recipe, seed and any fold, from 0.

        It is the network of `best_recipe` with the median score over the seeds; of an even number
        of seeds, the lower of the two in the middle. The highest score of all would be that of a
        lucky seed. Seeds that diverged do not count, if there are others.
        """
        recipe = self.best_recipe
        scores = self.score[recipe]
        median = int(seeds_from_median(scores.ravel())[0])
        return recipe, *map(int, np.unravel_index(median, scores.shape))

    @property
    def best_recipe(self) -> int:
        """The place on the axis recipe, from 0, with the highest mean score over the seeds.

        The mean of a recipe with a diverged seed is −∞. If all recipes have one, those with the
        fewest count, and of these the mean over the other seeds.
        """
        return int(recipe_order(self.score.reshape(len(self.settings), -1))[0])

    def run(self, recipe: int, seed: int, fold: int | None = None) -> Run:
        """A network as the `Run` that `train` would have returned.

        Args:
          recipe: the network's place on the axis recipe, from 0; negative counts from the end.
          seed: its place on the axis seed (not the seed itself), likewise.
          fold: its place on the axis fold, likewise; `None`, the default, in a study without folds.

        Returns:
          The finished run.

        Raises:
          ValueError: the study has no such network, or the sweep was interrupted before it.
        """
        lane = self._networks.lane(recipe, seed, fold)
        params, best_params = (
            self._networks.params_of_one(lane, "last"),
            self._networks.params_of_one(lane, "best"),
        )
        return self._as_run(lane, params, best_params)

    def params(
        self, recipe: int | None = None, seed: int | None = None, fold: int | None = None
    ) -> Params:
        """The parameters after the last epoch, of one network or of all.

        They come from memory, from a temporary folder where the sweep had more than fit there, or
        from the sweep's folder. If a later call with that folder has trained a network for longer,
        it is trained again.

        Args:
          recipe: the network's place on the axis recipe, from 0; negative counts from the end.
            `None`, the default, for all networks.
          seed: its place on the axis seed (not the seed itself), likewise.
          fold: its place on the axis fold, likewise; `None`, the default, in a study without folds.

        Returns:
          The parameters, as `predict` and `save` take them. Those of all networks are stacked:
          each array has the axes recipe, seed and, with folds, fold in front of its own.

        Raises:
          ValueError: the study has no such network, or the sweep was interrupted before it; or the
            parameters of all networks differ in shape.

        >>> import jaxnet as jn
        >>> recipe = jn.Recipe(jn.sgd([0.1, 1.0]))
        >>> study = jn.sweep(jn.Network((2, 4, 2)), jn.datasets.xor(), recipe,
        ...                  seeds=3, epochs=2, log=None)
        >>> study.params(0, 0)[0].w.shape, study.params()[0].w.shape
        ((2, 4), (2, 3, 2, 4))
        """
        return self._params("last", recipe, seed, fold)

    def best_params(
        self, recipe: int | None = None, seed: int | None = None, fold: int | None = None
    ) -> Params:
        """The parameters after the best epoch, of one network or of all.

        Args:
          recipe: the network's place on the axis recipe, from 0; negative counts from the end.
            `None`, the default, for all networks.
          seed: its place on the axis seed (not the seed itself), likewise.
          fold: its place on the axis fold, likewise; `None`, the default, in a study without folds.

        Returns:
          The parameters, as in `params`.

        Raises:
          ValueError: as in `params`.
        """
        return self._params("best", recipe, seed, fold)

    def predict(self, x: ArrayLike) -> Float[np.ndarray, "recipes seeds ..."]:
        """The outputs of all networks, with the parameters after their best epochs.

        Networks of one architecture share a program, in parts that fit into memory. In a study
        whose folds are standardized, each network reads the inputs as it did in training.

        Args:
          x: one example, (n_in,), or many, (n, n_in), as `jaxnet.predict` takes them.

        Returns:
          The output activations, (recipe, seed, n, n_out), with an axis fold after that of the
          seeds if there are folds, and without the axis n for one example. A network that was not
          started because the sweep was interrupted has NaN.

        Raises:
          ValueError: x does not fit the networks.

        >>> import jaxnet as jn
        >>> recipe = jn.Recipe(jn.sgd([0.1, 1.0]))
        >>> study = jn.sweep(jn.Network((2, 4, 2)), jn.datasets.xor(), recipe,
        ...                  seeds=3, epochs=2, log=None)
        >>> study.predict(np.zeros((5, 2))).shape
        (2, 3, 5, 2)
        """
        outputs = outputs_of([stack for _, stack in self._networks.stacks()], self.epochs.size, x)
        return outputs.reshape(*self.epochs.shape, *outputs.shape[1:])

    def evaluate(self, split: Split | EvaluatedSplit) -> NetworkScores:
        """Costs, accuracies and the study's metrics of all networks, after their best epochs.

        Args:
          split: examples and their targets; or "training", "validation" or "test", the study's own
            splits. In a study with folds these are each fold's own rows, and inputs are
            standardized as in training.

        Returns:
          `cost` (without penalties), `accuracy` and `metrics`, arrays with the axes recipe, seed
          and, with folds, fold. A network that was not started because the sweep was interrupted
          has NaN.

        Raises:
          ValueError: the split does not fit the networks, or the study has no split of this name.

        >>> import jaxnet as jn
        >>> data, recipe = jn.datasets.xor(), jn.Recipe(jn.sgd([0.1, 1.0]))
        >>> study = jn.sweep(jn.Network((2, 4, 2)), data, recipe, seeds=3, epochs=2, log=None)
        >>> scores = study.evaluate("validation")
        >>> bool((scores.accuracy == study.score).all()), study.evaluate(data.test).cost.shape
        (True, (2, 3))
        """
        if isinstance(split, str):
            pairs = [
                (stack, self._networks.own_split(lane, split))
                for lane, stack in self._networks.stacks(split)
            ]
        else:
            pairs = [(stack, split) for _, stack in self._networks.stacks()]
        return scores_of(pairs, self.epochs.shape, self.source.measured.metrics)

    def leaderboard(
        self, metric: str | None = None, by: str | None = None, top: int | None = None
    ) -> list[Row]:
        """The settings, ranked by the mean of a metric over the networks after their best epochs.

        As in `best_recipe`, settings with a diverged network follow all others.

        Args:
          metric: "accuracy", "cost" (without penalties) or the name of one of the study's metrics,
            on the split that `ranked_by` names; or a curve's name, such as "training_cost". `None`,
            the default, for `ranked_by`.
          by: a column, such as "optimizer" or "network": of each of its values only the best
            setting is listed. `None`, the default, lists all.
          top: how many rows, at least 1; `None`, the default, for all.

        Returns:
          A row for each setting, the best first, which pandas' `DataFrame` takes: its rank, its
          place on the axis recipe, the mean of the metric (under the curve's name), its standard
          deviation `sd` over `n` networks, how many diverged, the median best epoch, and all of
          `Setting.columns`. In a study with several folds the first row has, under `corrected`,
          what the best setting scores on new data: see `corrected_score`.

        Raises:
          ValueError: the metric was not evaluated, or there is no such column.

        >>> import jaxnet as jn
        >>> recipe = jn.Recipe(jn.sgd([0.001, 1.0]))
        >>> study = jn.sweep(jn.Network((2, 8, 2)), jn.datasets.xor(), recipe,
        ...                  seeds=3, epochs=5, log=None)
        >>> [(row["rank"], row["recipe"], row["n"]) for row in study.leaderboard("cost")]
        [(1, 1, 3), (2, 0, 3)]
        """
        criterion = self._criterion(metric)
        corrected = self.corrected_score(metric).corrected if self.n_folds > 1 else None
        n_axes, n_recipes = self.epochs.ndim, len(self.settings)
        history, best_epoch, diverged_epoch = jax.tree.map(
            lambda array: np.asarray(array).reshape(n_recipes, -1, *array.shape[n_axes:]),
            (self.history, self.best_epoch, self.diverged_epoch),
        )
        rows = leaderboard.leaderboard(
            self.settings, history, best_epoch, diverged_epoch, criterion, corrected
        )
        return leaderboard.selected(rows, by, top)

    def importance(self, metric: str | None = None, *, seed: SupportsIndex = 0) -> list[Row]:
        """How much of the differences between settings is due to which hyperparameter.

        Functional ANOVA. With x₁, …, x_d what was varied, each drawn independently from the values
        that the settings have, a regression tree's score f(x) has the variance
        V = Σ Vᵢ + Σ Vᵢⱼ + …, where Vᵢ is the variance of E[f | xᵢ], and Vᵢⱼ that of E[f | xᵢ, xⱼ]
        without Vᵢ and Vⱼ. The shares are Vᵢ/V and Vᵢⱼ/V. Where all combinations were tried they are
        those of the table of mean scores. Otherwise they are averages over 100 trees, each fitted
        to the mean scores of other draws of seeds and of settings.

        Args:
          metric: what the score is, as in `leaderboard`; `None`, the default, for `ranked_by`.
          seed: the seed of these draws, at least 0; 0 by default.

        Returns:
          A row for each effect, the largest first: `effect`, a column of `Setting.columns`, a pair
          such as "learning_rate × l2", or "three or more"; its `share` of the variance, in [0, 1];
          and `low` and `high`, between which 95% of the shares lie if seeds (and, unless all
          combinations were tried, settings) are drawn again; with one seed and all combinations
          they are equal. The shares sum to 1, or to 0 where there are no differences. Numbers that
          were varied together are one effect. A network that diverged has the worst score of the
          others. A number that a setting lacks is a value of its own, but one that only one
          optimizer or network has belongs to that.

        Raises:
          ValueError: the metric was not evaluated, the settings do not differ, or no network has a
            score.
          ImportError: scikit-learn is missing.

        Warns:
          UserWarning: the shares are doubtful: not all combinations were tried, and trees predict
            left-out settings with an R² below 0.5, or there are fewer than ten settings; or all
            were tried, and half of the variance between their means, or more, is due to seeds.

        Source: Hutter, Hoos, Leyton-Brown, An efficient approach for assessing hyperparameter
          importance, 2014.

        >>> import jaxnet as jn
        >>> recipe = jn.grid(jn.Recipe(jn.sgd()), learning_rate=[0.01, 0.1, 1.0], l2=[0.0, 1e-5])
        >>> study = jn.sweep(jn.Network((2, 4, 2)), jn.datasets.xor(), recipe,
        ...                  seeds=3, epochs=5, log=None)
        >>> study.importance("cost")[0]["effect"]
        'learning_rate'
        """
        criterion, seed = self._criterion(metric), count("seed", seed, low=0)
        scores = ranking_scores(self.history, self.best_epoch, self.diverged_epoch, criterion)
        return importance.importance(
            self.settings,
            scores.reshape(len(self.settings), -1),
            self.diverged_epoch.reshape(len(self.settings), -1) > 0,
            seed,
        )

    def corrected_score(
        self, metric: str | None = None, *, resamples: SupportsIndex = 500, seed: SupportsIndex = 0
    ) -> CorrectedScore:
        """The best setting's mean score, without the bias that comes from choosing it by this.

        With K ≥ 2 folds the bias is estimated from the folds' own best settings (Tibshirani and
        Tibshirani). A study without folds is corrected by the bootstrap (Tsamardinos et al.): the
        networks predict the examples that ranked them, settings are chosen on resampled examples,
        and their scores on the others are averaged. The bias that comes from choosing the best
        epoch by the same examples stays.

        Args:
          metric: what ranks the settings, as in `leaderboard`; `None`, the default, for
            `ranked_by`.
          resamples: how often the examples are resampled in a study without folds, at least 1; 500
            by default.
          seed: the seed of these draws, at least 0; 0 by default.

        Returns:
          The place of the best setting, its mean score, and the corrected one.

        Raises:
          ValueError: the metric was not evaluated; or the study has no folds, and its settings are
            ranked by training examples, by a cost with penalties, or by examples that it was
            opened without; or it has one fold only.

        Source: Tibshirani and Tibshirani, A bias correction for the minimum error rate in
          cross-validation, 2009; Tsamardinos, Greasidou and Borboudakis, Bootstrapping the
          out-of-sample predictions for efficient and accurate cross-validation, 2018.

        >>> import jaxnet as jn
        >>> recipe = jn.Recipe(jn.sgd([0.1, 1.0, 10.0]))
        >>> study = jn.sweep(jn.Network((2, 4, 2)), jn.datasets.xor(), recipe, epochs=2,
        ...                  resample=jn.resampling.k_fold(5), log=None)
        >>> score = study.corrected_score()
        >>> bool(score.corrected <= score.best)
        True
        """
        criterion = self._criterion(metric)
        resamples, seed = count("resamples", resamples, low=1), count("seed", seed, low=0)
        scores = ranking_scores(self.history, self.best_epoch, self.diverged_epoch, criterion)
        sign = 1 if criterion.higher_is_better else -1
        by_recipe = scores.reshape(len(self.settings), -1)
        recipe = int(recipe_order(by_recipe)[0])
        finite = by_recipe[recipe][np.isfinite(by_recipe[recipe])]
        best = sign * float(finite.mean(dtype=float)) if len(finite) else float("nan")
        if self.source.folds is None:
            corrected = bootstrap_score(self._networks, criterion, resamples, seed)
        elif self.n_folds > 1:
            corrected = best - sign * bias_over_folds(scores)
        else:
            raise ValueError(
                "the study has one fold, of which the bias of selection cannot be estimated; sweep "
                "over several, such as resample=jaxnet.resampling.k_fold(5)."
            )
        return CorrectedScore(recipe, best, corrected)

    def ensemble(self, top: int = 16, where: Callable[[Setting], bool] | None = None) -> Ensemble:
        """The best networks of the study, with the parameters after their best epochs.

        Args:
          top: how many networks, at least 1, by their own `score`; by default 16. Networks that
            diverged are left out, so that there may be fewer.
          where: which settings the networks may have: a function of a `Setting`, such as `lambda
            setting: setting.batch_size == 32`. `None`, the default, for all settings.

        Returns:
          The ensemble, its best network first.

        Raises:
          ValueError: there is no such network.

        >>> import jaxnet as jn
        >>> recipe = jn.Recipe(jn.adam([0.01, 0.1]))
        >>> study = jn.sweep(jn.Network((2, 8, 2)), jn.datasets.xor(), recipe,
        ...                  seeds=3, epochs=5, log=None)
        >>> ensemble = study.ensemble(top=4)
        >>> len(ensemble), ensemble.predict(np.zeros((5, 2))).shape
        (4, (5, 2))
        """
        top = count("top", top, low=1)
        require_function("where", where)
        allowed = [where is None or where(setting) for setting in self.settings]
        scores = self.score.reshape(len(self.settings), -1)
        scores = np.where(np.array(allowed)[:, None], scores, -np.inf)
        best = np.argsort(-scores, axis=None, kind="stable")[:top]
        lanes = [
            divmod(int(place), scores.shape[1]) for place in best if scores.flat[place] > -np.inf
        ]
        if not any(allowed):
            raise ValueError(
                f"there is no network for an ensemble: where allows none of the "
                f"{len(self.settings)} settings; their numbers are floats of 32 bits, so compare "
                "them by math.isclose."
            )
        if not lanes:
            raise ValueError(
                "there is no network for an ensemble: all of these settings diverged; allow others."
            )
        return Ensemble(tuple(map(self._networks.member, lanes)))

    def replay(self, recipe: int, seed: int, fold: int | None = None, alone: bool = False) -> Run:
        """Train a network again.

        Args:
          recipe: the network's place on the axis recipe, from 0; negative counts from the end.
          seed: its place on the axis seed (not the seed itself), likewise.
          fold: its place on the axis fold, likewise; `None`, the default, in a study without folds.
          alone: False trains it in programs of the sizes that the sweep used, to the same bits;
            True trains it by `train`, whose results may differ in the last places.

        Returns:
          The finished run.

        Raises:
          ValueError: the study has no such network, the sweep was interrupted before it, or the
            study was opened without data.
        """
        lane = self._networks.lane(recipe, seed, fold)
        if not alone:
            params = self._networks.replayed(lane)
            net, row = self.settings[lane[0]].network, np.zeros(1, int)
            last, best = (
                jax.tree.map(lambda array: array[0], params.of_rows(net, row, epoch))
                for epoch in ("last", "best")
            )
            return self._as_run(lane, last, best)
        setting, measured = self.settings[lane[0]], self.source.measured
        data, start = first_examples(self._networks.data, setting.examples), self.source.start(lane)
        return train(
            setting.network,
            data if self.source.folds is None else self.source.folds[lane[1]].of(data),
            setting.recipe,
            epochs=max(1, int(self.epochs[self._networks.places(lane)])),
            batch_size=setting.batch_size,
            seed=self._networks.seed(lane),
            evaluate_on=measured.evaluate_on,
            metrics=dict(measured.metrics),
            monitors=measured.monitors,
            order=self.source.order,
            params=None if start is None else start.params,
            trainable=None if start is None else start.trainable,
            dtype=self.source.dtype,
        )

    def rows(self) -> Iterator[Row]:
        """The study as a table: a row for each epoch of each network.

        Returns:
          Dictionaries with the place on the axis recipe, all of `Setting.columns`, the seed, how
          the network ended, its number of epochs and its best one, the epoch (from 1) and the
          curves.

        >>> import jaxnet as jn
        >>> study = jn.sweep(jn.Network((2, 4, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd(0.1)),
        ...                  epochs=2, log=None)
        >>> [(row["learning_rate"], row["seed"], row["epoch"]) for row in study.rows()]
        [(0.10000000149011612, 0, 1), (0.10000000149011612, 0, 2)]
        """
        for places in np.ndindex(self.epochs.shape):
            recipe, seed, *fold = places
            lane_columns = {
                "recipe": recipe,
                **self.settings[recipe].columns(),
                "seed": int(self.seeds[seed]),
                **({"fold": fold[0]} if fold else {}),
                "ending": self.ending(*places),
                "epochs": int(self.epochs[places]),
                "best_epoch": int(self.best_epoch[places]),
            }
            for epoch in range(self.epochs[places]):
                curves = {
                    name: float(curve[*places, epoch])
                    for name, curve in self.history.curves.items()
                }
                yield lane_columns | {"epoch": epoch + 1} | curves

    def ending(self, recipe: int, seed: int, fold: int | None = None) -> Ending:
        """How a network's training ended, in a word.

        Args:
          recipe: the network's place on the axis recipe, from 0.
          seed: its place on the axis seed (not the seed itself), from 0.
          fold: its place on the axis fold, from 0; `None`, the default, in a study without folds.

        Returns:
          "done" after all epochs, "stopped" by the stopping rule or successive halving, "diverged",
          or "interrupted" by Ctrl-C.

        Raises:
          ValueError: the study has no such network.
        """
        places = self._networks.places(self._networks.lane_at(recipe, seed, fold))
        if self.diverged_epoch[places]:
            return "diverged"
        if self.stopped[places]:
            return "stopped"
        n_epochs_asked_for = self.history.training_cost.shape[-1]
        return "done" if self.epochs[places] == n_epochs_asked_for else "interrupted"

    def to_csv(self, path: str | Path) -> None:
        """Write `rows` as a CSV file, atomically; a curve that was not evaluated stays empty.

        Args:
          path: the file; one that exists is replaced.

        Raises:
          OSError: the file cannot be written.
        """
        csv.write_csv(path, self.rows())

    def to_frame(self) -> "pandas.DataFrame":
        """`rows` as a pandas DataFrame.

        Returns:
          A DataFrame with one row per epoch of each network.

        Raises:
          ImportError: pandas is not installed.
        """
        try:
            import pandas  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ImportError("to_frame needs pandas: pip install 'jaxnet-mlp[tables]'.") from None
        return pandas.DataFrame(list(self.rows()))

    def to_parquet(self, path: str | Path) -> None:
        """Write `rows` as a Parquet file, atomically.

        Args:
          path: the file; one that exists is replaced.

        Raises:
          ImportError: pyarrow is not installed.
          OSError: the file cannot be written.
        """
        parquet.write_parquet(path, self.rows())

    def __repr__(self) -> str:
        lane = recipe, seed, *_ = self.best_lane
        n_diverged, origins = np.count_nonzero(self.diverged_epoch), self.origins
        return (
            f"Study({len(self.settings)} recipes × {len(self.seeds)} seeds × "
            f"{self.epochs.max(initial=0)} epochs; best recipe: {recipe}, whose median seed, "
            f"{self.seeds[seed]}, has {self.score[lane]:.4g}; "
            f"{n_diverged} of {self.epochs.size} networks diverged"
            + (f"; interrupted: {self.interruption}" if self.interruption else "")
            + (f"; mixed: {'; '.join(map(str, origins))})" if len(origins) > 1 else ")")
        )

    def _repr_html_(self) -> str | None:
        return html_of(self)

    def _criterion(self, metric: str | None) -> Criterion:
        """What ranks the settings by a metric; by `ranked_by` for None."""
        default = Criterion(self.ranked_by, self.higher_is_better)
        return leaderboard.criterion_of(metric, self.history, self.source.measured, default)

    @property
    def _networks(self) -> StudyNetworks:
        """The networks of the study, by their places on its axes."""
        return StudyNetworks(self.settings, self.seeds, self.epochs, self.source)

    def _params(
        self, epoch: Epoch, recipe: int | None, seed: int | None, fold: int | None
    ) -> Params:
        """The parameters of one network, or of all, stacked along the axes of the study."""
        if recipe is None and seed is None and fold is None:
            return self._networks.all_params(epoch)
        lane = self._networks.lane(recipe, seed, fold)
        return self._networks.params_of_one(lane, epoch)

    def _as_run(self, lane: Lane, params: Params, best_params: Params) -> Run:
        """A lane's results as a `Run`."""
        setting, places = self.settings[lane[0]], self._networks.places(lane)
        n_epochs, ending = int(self.epochs[places]), self.ending(*places)
        monitors = self.source.measured.monitors
        history = jax.tree.map(lambda curve: curve[places][:n_epochs], self.history)
        n_steps = -(-setting.examples // setting.batch_size)
        stopped = None
        if ending == "diverged":
            stopped = (
                f"training diverged in epoch {self.diverged_epoch[places]}, at mini-batch "
                f"{self.diverged_step[places]} of it."
            )
        elif ending == "stopped":
            stopped = f"stopped after epoch {n_epochs}."
        return Run(
            network=setting.network,
            recipe=setting.recipe,
            epochs=self.history.training_cost.shape[-1],
            batch_size=setting.batch_size,
            seed=self._networks.seed(lane),
            params=params,
            history=history,
            best_epoch=int(self.best_epoch[places]),
            best_params=best_params,
            monitors=(
                {} if monitors is None else monitors.by_measurement(history.monitors, n_steps)
            ),
            ending=ending,
            stopped=stopped,
        )
