"""The stages of a comparison: tuning, extensions of the searches, report. Each one is a sweep."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxnet.comparison import looks, result_tables, tuning
from jaxnet.comparison.protocol import Protocol
from jaxnet.comparison.result_tables import Runs
from jaxnet.comparison.scores import CURVE, Score
from jaxnet.comparison.tuning import Search
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.interrupts import interruptible
from jaxnet.io.csv import Row
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps import sweep
from jaxnet.sweeps.executors import SweepReport
from jaxnet.sweeps.study import Study


class Report(NamedTuple):
    """The runs under the report's seeds."""

    runs: list[Runs]
    """Those of each label, one trial."""
    on_test: np.ndarray
    """The score and the loss of each test example, shape (2, labels, seeds, examples)."""
    looks: list[Row]
    """A row for each look and pair; none if all seeds were trained at once."""


class Stages:
    """Trains the runs of a comparison, and evaluates them on the validation and the test set.

    Args:
      net: the network that all runs train.
      data: the training, the validation and the test split.
      protocol: epochs, batch size and seeds.
      score: what judges the networks.
      folder: where the sweeps keep their runs, to continue after an interruption.
      on_progress: called with a stage's name and a `SweepReport`; `None` for no calls.
      log: called with a line of text about each stage; `None` for no calls.
    """

    def __init__(
        self,
        net: Network,
        data: Dataset,
        protocol: Protocol,
        score: Score,
        folder: Path,
        on_progress: Callable[[str, SweepReport], None] | None,
        log: Callable[[str], None] | None,
    ) -> None:
        self.net, self.data, self.protocol, self.folder = net, data, protocol, folder
        self.score, self.on_progress, self.log = score, on_progress, log
        self.network_epochs = 0

    def train_tuning(self, name: str, recipes: Mapping[str, list[Recipe]]) -> list[Runs]:
        """The runs of each label's recipes under the tuning seeds."""
        return [runs for runs, _ in self._train(name, recipes, self.protocol.tuning_seeds)]

    def train_report(self, recipes: Mapping[str, list[Recipe]]) -> Report:
        """The runs of each label's recipe under the report's seeds, and their test scores.

        With `Protocol.until` seeds are added until a look leaves no pair open.
        """
        seeds, until = self.protocol.report_seeds, self.protocol.until
        if until is None:
            return self._train_report("Report", recipes, seeds)
        plan = self.protocol.looks(len(recipes))
        parts: list[Report] = []

        def scores_of(place: int) -> list[np.ndarray]:
            """The scores of each label, after training the seeds that a look adds."""
            name = f"Report, look {place + 1} of {len(plan)}"
            begin = plan[place - 1].seeds if place else 0
            parts.append(self._train_report(name, recipes, seeds[begin : plan[place].seeds]))
            each = zip(*(part.runs for part in parts), strict=True)
            return [np.concatenate([runs.test_score[0] for runs in of]) for of in each]

        rows = looks.take(plan, tuple(recipes), until, scores_of)
        return Report(
            [_with_all_seeds(of) for of in zip(*(part.runs for part in parts), strict=True)],
            np.concatenate([part.on_test for part in parts], axis=2),
            rows,
        )

    def _train_report(
        self, name: str, recipes: Mapping[str, list[Recipe]], seeds: tuple[int, ...]
    ) -> Report:
        """The runs under some of the report's seeds."""
        pairs = self._train(name, recipes, seeds)
        on_test = np.stack([by_example[:, 0] for _, by_example in pairs], axis=1)
        return Report([runs for runs, _ in pairs], on_test, [])

    def _train(
        self, name: str, recipes: Mapping[str, list[Recipe]], seeds: tuple[int, ...]
    ) -> list[tuple[Runs, np.ndarray]]:
        """One sweep over all labels' recipes, evaluated for each label by `_evaluate`."""
        protocol, on_progress, log = self.protocol, self.on_progress, self.log
        metric = self.score.metric
        last_reports: list[SweepReport] = []

        def named_progress(report: SweepReport) -> None:
            last_reports[:] = [report]
            if on_progress is not None:
                on_progress(name, report)

        with warnings.catch_warnings(), interruptible() as interrupts:
            warnings.simplefilter("ignore", RuntimeWarning)  # an interruption is raised below
            study = sweep(
                self.net,
                self.data,
                [recipe for trials in recipes.values() for recipe in trials],
                seeds=seeds,
                epochs=protocol.epochs,
                batch_size=protocol.batch_size,
                evaluate_on=("evaluation",),
                metrics=None if metric is None else {CURVE: metric},
                folder=self.folder,
                on_progress=named_progress,
                log=None if log is None else lambda plan: log(f"{name}: {plan}"),
            )
        # After Ctrl-C in the last epoch the study is complete.
        if interrupts or study.interruption is not None:
            raise KeyboardInterrupt
        if on_progress is not None and last_reports:
            on_progress(name, last_reports[0]._replace(evaluating=True))
        self.network_epochs += study.epochs.size * protocol.epochs
        ends = np.cumsum([0, *(len(trials) for trials in recipes.values())])
        results = [
            self._evaluate(label, study, range(begin, end))
            for label, begin, end in zip(recipes, ends, ends[1:])
        ]
        if on_progress is not None and last_reports:
            on_progress(name, last_reports[0])
        return results

    def _evaluate(self, label: str, study: Study, settings: range) -> tuple[Runs, np.ndarray]:
        """Losses and scores of one label's settings in a study.

        Returns:
          The runs; and the score and the loss of each test example, shape
          (2, trials, seeds, examples).
        """
        shape = (len(settings), len(study.seeds))
        losses, scores = np.full((2, *shape), np.inf), np.full((2, *shape), self.score.of_diverged)
        assert self.data.valid is not None
        assert self.data.test is not None
        on_test = np.full((2, *shape, len(self.data.test.x)), np.inf, np.float32)
        on_test[0] = self.score.of_diverged
        for trial, seed in np.ndindex(shape):
            if study.diverged_epoch[settings[trial], seed]:
                continue
            params = study.params(settings[trial], seed)
            for k, split in enumerate((self.data.valid, self.data.test)):
                score, cost = self.score.by_example(self.net, params, split)
                losses[k, trial, seed] = np.mean(cost, dtype=float)
                scores[k, trial, seed] = np.mean(score, dtype=float)
                if split is self.data.test:
                    on_test[:, trial, seed] = score, cost
        losses[~np.isfinite(losses)] = np.inf
        rows = slice(settings.start, settings.stop)
        history = jax.tree.map(lambda curve: np.asarray(curve)[rows], study.history)
        has_diverged = study.diverged_epoch[rows] > 0
        by_score = np.where(has_diverged, np.inf, -scores[0])
        runs = Runs(
            label=label,
            recipes=tuple(study.settings[setting].recipe for setting in settings),
            seeds=tuple(study.seeds.tolist()),
            valid_loss=losses[0],
            valid_score=scores[0],
            test_loss=losses[1],
            test_score=scores[1],
            diverged_epoch=study.diverged_epoch[rows],
            diverged_step=study.diverged_step[rows],
            cost_curve=history.evaluation_cost,
            score_curve=self.score.curve(history, self.data.valid),
            selection_loss=losses[0] if self.score.metric is None else by_score,
        )
        return runs, on_test


def tune(searches: list[Search], stages: Stages) -> tuple[list[Search], list[Runs]]:
    """Train all trials; extend all searches while any best learning rate is at an edge.

    Independent random trials are not extended.

    Args:
      searches: each contender's search.
      stages: trains the trials.

    Returns:
      The searches with their extensions, and the runs of each.
    """
    seed = stages.protocol.seed
    trials = {search.label: search.points(seed) for search in searches}
    runs = stages.train_tuning("Tuning", trials)
    # What is added because of what was tried is not independent of it.
    n_extensions = 0 if stages.protocol.tier == "random" else tuning.EXTENSIONS
    for extension in range(1, n_extensions + 1):
        edges = {
            search.edge(tuning.rate_of(tried.recipes[result_tables.best_trial(tried)]))
            for search, tried in zip(searches, runs, strict=True)
        }
        for side in sorted(edges - {0}):
            # All searches are extended, so that the number of trials stays equal.
            extended = [search.extended(side, seed + extension) for search in searches]
            searches = [search for search, _ in extended]
            name = f"Extension {extension}, {'smaller' if side < 0 else 'larger'} learning rates"
            new_trials = {search.label: recipes for search, recipes in extended}
            new_runs = stages.train_tuning(name, new_trials)
            runs = [_joined(*parts) for parts in zip(runs, new_runs, strict=True)]
    return searches, runs


def _with_all_seeds(parts: Sequence[Runs]) -> Runs:
    """The runs of one label under the seeds of several looks."""
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts], axis=1)
        for name in Runs._fields[3:]
    }
    seeds = tuple(seed for part in parts for seed in part.seeds)
    return Runs(parts[0].label, parts[0].recipes, seeds, **arrays)


def _joined(a: Runs, b: Runs) -> Runs:
    """The runs of two parts of a search, sorted by learning rate."""
    recipes = (*a.recipes, *b.recipes)
    order = np.argsort([tuning.rate_of(recipe) for recipe in recipes], kind="stable")
    arrays = {
        name: np.concatenate([getattr(a, name), getattr(b, name)])[order]
        for name in Runs._fields[3:]
    }
    return Runs(a.label, tuple(recipes[k] for k in order), a.seeds, **arrays)
