"""The stages of a comparison: tuning, its extensions, the report. Each is one sweep."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from jaxnet.comparison import result_tables, tuning
from jaxnet.comparison.protocol import Protocol, has_labels
from jaxnet.comparison.result_tables import Runs
from jaxnet.comparison.tuning import Search
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, Params, Split
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps import sweep
from jaxnet.sweeps.executors import SweepReport
from jaxnet.sweeps.study import Study
from jaxnet.training import evaluation


class Stages:
    """Trains the runs that a comparison asks for, and scores them."""

    def __init__(
        self,
        net: Network,
        data: Dataset,
        protocol: Protocol,
        folder: Path,
        on_progress: Callable[[str, SweepReport], None] | None,
        log: Callable[[str], None] | None,
    ) -> None:
        self.net, self.data, self.protocol, self.folder = net, data, protocol, folder
        self.on_progress, self.log = on_progress, log
        self.network_epochs = 0

    def tuned(self, name: str, recipes: Mapping[str, list[Recipe]]) -> list[Runs]:
        """The runs of these trials from the tuning seeds, a `Runs` for each label."""
        return [runs for runs, _ in self._runs(name, recipes, self.protocol.tuning_seeds)]

    def reported(self, recipes: Mapping[str, list[Recipe]]) -> tuple[list[Runs], np.ndarray]:
        """The runs from the report's seeds, and scores and losses: (2, label, seed, example)."""
        pairs = self._runs("Report", recipes, self.protocol.report_seeds)
        return [runs for runs, _ in pairs], np.stack([table[:, 0] for _, table in pairs], axis=1)

    def _runs(
        self, name: str, recipes: Mapping[str, list[Recipe]], seeds: tuple[int, ...]
    ) -> list[tuple[Runs, np.ndarray]]:
        """A sweep over all trials of all labels, and what came of each label's."""
        protocol, on_progress, log = self.protocol, self.on_progress, self.log
        study = sweep(
            self.net,
            self.data,
            [recipe for trials in recipes.values() for recipe in trials],
            seeds=seeds,
            epochs=protocol.epochs,
            batch_size=protocol.batch_size,
            evaluate_on=("evaluation",),
            folder=self.folder,
            on_progress=None if on_progress is None else lambda report: on_progress(name, report),
            log=None if log is None else lambda plan: log(f"{name}: {plan}"),
        )
        if any(study.ending(*lane) == "interrupted" for lane in np.ndindex(study.epochs.shape)):
            raise KeyboardInterrupt
        self.network_epochs += study.epochs.size * protocol.epochs
        ends = np.cumsum([0, *(len(trials) for trials in recipes.values())])
        return [
            self._scored(label, study, range(begin, end))
            for label, begin, end in zip(recipes, ends, ends[1:])
        ]

    def _scored(self, label: str, study: Study, places: range) -> tuple[Runs, np.ndarray]:
        """Losses and scores of some recipes of a study, on the validation and the test set.

        Returns:
          The runs, and score and loss of each test example: (2, trial, seed, example).
        """
        shape = (len(places), len(study.seeds))
        losses, scores = np.full((2, *shape), np.inf), np.zeros((2, *shape))
        assert self.data.valid is not None
        assert self.data.test is not None
        on_test = np.zeros((2, *shape, len(self.data.test.x)), np.float32)
        on_test[1] = np.inf
        for trial, seed in np.ndindex(shape):
            if study.diverged_epoch[places[trial], seed]:
                continue
            params = study.params(places[trial], seed)
            for k, split in enumerate((self.data.valid, self.data.test)):
                score, cost = _by_example(self.net, params, split)
                losses[k, trial, seed] = np.mean(cost, dtype=float)
                scores[k, trial, seed] = np.mean(score, dtype=float)
                if split is self.data.test:
                    on_test[:, trial, seed] = score, cost
        losses[~np.isfinite(losses)] = np.inf
        rows = slice(places.start, places.stop)
        cost_curve, score_curve = _curves(study, rows, self.data.valid)
        runs = Runs(
            label, tuple(study.settings[recipe].recipe for recipe in places),
            tuple(study.seeds.tolist()), losses[0], scores[0], losses[1], scores[1],
            study.diverged_epoch[rows], study.diverged_step[rows], cost_curve, score_curve,
        )  # fmt: skip
        return runs, on_test


def tune(searches: list[Search], stages: Stages) -> tuple[list[Search], list[Runs]]:
    """The searches, extended as far as need be, and all their runs."""
    seed = stages.protocol.seed
    runs = stages.tuned("Tuning", {search.label: search.points(seed) for search in searches})
    for extension in range(1, tuning.EXTENSIONS + 1):
        chosen = [tried.recipes[result_tables.best_trial(tried)] for tried in runs]
        edges = {s.edge(tuning.rate_of(recipe)) for s, recipe in zip(searches, chosen, strict=True)}
        for side in sorted(edges - {0}):  # for all, where it is needed for any
            extended = [search.extended(side, seed + extension) for search in searches]
            searches = [search for search, _ in extended]
            name = f"Extension {extension}, {'smaller' if side < 0 else 'larger'} learning rates"
            new = stages.tuned(name, {search.label: recipes for search, recipes in extended})
            runs = [_joined(*parts) for parts in zip(runs, new, strict=True)]
    return searches, runs


def _joined(a: Runs, b: Runs) -> Runs:
    """The runs of two parts of a search, in the order of their learning rates."""
    recipes = (*a.recipes, *b.recipes)
    order = np.argsort([tuning.rate_of(recipe) for recipe in recipes], kind="stable")
    arrays = {
        name: np.concatenate([getattr(a, name), getattr(b, name)])[order]
        for name in Runs._fields[3:]
    }
    return Runs(a.label, tuple(recipes[k] for k in order), a.seeds, **arrays)


def _by_example(net: Network, params: Params, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Score and cost of each example; the scores are 0 if their mean, an R², is negative."""
    cost, hit = evaluation.by_example(net, params, split)
    score = hit if has_labels(split) else 1 - cost / _cost_of_mean(split)
    return np.where(np.mean(score) > 0, score, 0.0), cost


def _curves(study: Study, rows: slice, valid: Split) -> tuple[np.ndarray, np.ndarray]:
    """Validation cost and score after each epoch, of some recipes of a study."""
    cost = np.asarray(study.history.evaluation_cost[rows])
    if not has_labels(valid):
        return cost, np.maximum(0.0, 1 - cost / _cost_of_mean(valid))
    # The counts behind the fractions: 0.95, not float32's 0.949999988, is 0.95.
    n = len(valid.x)
    return cost, np.rint(n * np.asarray(study.history.evaluation_accuracy[rows], float)) / n


def _cost_of_mean(split: Split) -> float:
    """The quadratic cost of answering every input with the mean of the targets."""
    return float(np.mean(np.sum((split.y - split.y.mean(axis=0)) ** 2, axis=-1)) / 2)
