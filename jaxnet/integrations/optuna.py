"""Optuna's trials in batches: each batch is one sweep.

Optuna chooses hyperparameters, and jaxnet trains many networks at once, so that a sampler is asked
for a batch of trials before it is told about any of them.
"""

import contextlib
import importlib.util
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import filelock
import numpy as np

from jaxnet.core.arguments import brief, require_kind
from jaxnet.core.hyperparameters import count
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.data.resampling import Resampling
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps import Settings, Study, grid, sweep
from jaxnet.sweeps.halving import Ranking, Rung
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.sweeps.search_space import OneMinus, Uniform
from jaxnet.sweeps.settings import OF_THE_DATA, Variant
from jaxnet.training.metrics import MetricFunction

if TYPE_CHECKING:
    import optuna  # pyright: ignore[reportMissingImports]

__all__ = ["optimize", "space"]

Definition = Callable[[Any], tuple[Network, Recipe]]
"""What a trial trains: a function of an `optuna.Trial` that returns a network and a recipe."""
LOCK = "jaxnet lock"
"""The attribute of a trial that names the process that trains it: the host, and a locked file."""
N_REPORTS = 10
"""Intermediate values of a trial, unless `report_every` says otherwise."""


def space(net: Network, recipe: Recipe, **ranges: object) -> Definition:
    """A function for `optimize` that varies a network and a recipe, by names as in `jaxnet.grid`.

    Args:
      net: the architecture.
      recipe: what all trials have in common.
      **ranges: for each hyperparameter to vary a pair (low, high), even in the logarithm, or
        `jaxnet.Uniform(low, high)`, `jaxnet.LogUniform` or `jaxnet.OneMinus`; or a list of choices:
        `widths=[[16], [32, 32]]`, `activation=[…]`, `l2=[0, 1]`.

    Returns:
      A function of a trial, which also takes a finished one, such as `study.best_trial`.

    Raises:
      ValueError: a range is no pair or list, or names what a trial cannot vary.

    >>> import jaxnet as jn
    >>> from optuna.trial import FixedTrial
    >>> define = space(jn.Network((2, 4, 2)), jn.Recipe(jn.sgd()), learning_rate=(0.01, 1.0))
    >>> define(FixedTrial({"learning_rate": 0.1}))[1].parts()["optimizer"]
    'sgd(learning_rate=0.1)'
    """
    if not ranges:
        raise ValueError("space needs a range for a hyperparameter, such as l2=[0, 1]; give one.")
    for name, values in ranges.items():
        if name in OF_THE_DATA:
            raise ValueError(f"trials of a batch share {name}; give it to optimize.")
        is_pair = isinstance(values, tuple) and len(values) == 2
        if not is_pair and not (isinstance(values, list) and values):
            raise ValueError(
                f"{name} must be a pair (low, high) or a list of choices, not {brief(values)}."
            )

    def define(trial: Any) -> tuple[Network, Recipe]:
        chosen = {name: [_suggested(trial, name, values)] for name, values in ranges.items()}
        setting = grid(recipe, **chosen)
        if not isinstance(setting, Settings):
            return net, RecipeBatch(setting).rows()[0]
        (variant,) = setting.variants
        return variant.network(net), RecipeBatch(variant.recipe).rows()[0]

    return define


def optimize(
    study: "optuna.Study",
    define: Definition,
    data: Dataset,
    n_trials: SupportsIndex,
    *,
    batch: SupportsIndex = 64,
    epochs: SupportsIndex = 30,
    batch_size: SupportsIndex = 10,
    seeds: SupportsIndex | Sequence[int] = 1,
    resample: Resampling | None = None,
    metrics: Mapping[str, MetricFunction] | None = None,
    select_by: str | None = None,
    report_every: SupportsIndex | None = None,
) -> None:
    """Train the trials of an Optuna study, many at once, until it has as many as asked for.

    A trial's value is the score of its networks after their best epochs, as `jaxnet.Study.score`
    defines it, the mean over seeds and folds. A study that minimizes gets the negative, which for a
    cost is the cost. Intermediate values are the best so far. If the study has a pruner, it ends
    trials after each of them; with `optuna.pruners.NopPruner()` a batch trains without a halt.

    A call that was killed can be repeated: trials that it had begun are trained again with their
    own hyperparameters, in the same places, as those of a call that raised an error. Several
    processes may work on one study. A trial whose
    network diverged fails.

    Args:
      study: the study, with any sampler, pruner and storage.
      define: a function of a trial that asks it for hyperparameters and returns a network and a
        recipe, such as `space` makes. The schedule's and the network's shape may differ, too, but
        each architecture is compiled for itself.
      data: the splits; the validation split scores or, without one, the training split.
      n_trials: how many trials the study has in the end, with those that it has already.
      batch: how many trials are trained at once, at least 1; 64 by default.
      epochs: epochs per network, at least 1; 30 by default.
      batch_size: examples per mini-batch, at least 1; 10 by default.
      seeds: the seeds of each trial, as in `jaxnet.sweep`; 1 by default.
      resample: folds, as in `jaxnet.sweep`, on which each trial is scored; None, the default, for
        the validation split.
      metrics: further metrics, by name, as in `jaxnet.sweep`; None, the default, for none.
      select_by: "accuracy", "cost" or one of `metrics`: what scores; None, the default, as in
        `jaxnet.sweep`.
      report_every: epochs between intermediate values, at least 1; None, the default, for ten in
        all.

    Raises:
      ModuleNotFoundError: Optuna is not installed.
      ValueError: an argument is out of its range, the study has several objectives, or what
        `define` returns does not fit the data.

    >>> import jaxnet as jn
    >>> import optuna
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(direction="maximize")
    >>> define = space(jn.Network((2, 4, 2)), jn.Recipe(jn.adam()), learning_rate=(1e-3, 0.1))
    >>> optimize(study, define, jn.datasets.xor(), 4, batch=2, epochs=2)
    >>> len(study.trials), 0 <= study.best_value <= 1
    (4, True)
    """
    _require_optuna()
    n_wanted, n_batch = count("n_trials", n_trials, low=1), count("batch", batch, low=1)
    n_epochs = count("epochs", epochs, low=1)
    every = -(-n_epochs // N_REPORTS) if report_every is None else report_every
    every = count("report_every", every, low=1)
    if len(study.directions) > 1:
        raise ValueError(
            f"the study has {len(study.directions)} objectives, but networks are ranked by one "
            "score; create a study with one direction."
        )
    with _process_lock() as lock:
        while trials := _batch(study, n_wanted, n_batch, lock):
            defined = [_checked(define(trial)) for trial in trials]
            reports = _Reports(study, trials, every)
            trained = sweep(
                defined[0][0], data,
                Settings(tuple(Variant(recipe, net=net) for net, recipe in defined)),
                seeds=seeds, epochs=n_epochs, batch_size=batch_size, resample=resample,
                metrics=metrics, select_by=select_by, successive_halving=reports, log=None,
            )  # fmt: skip
            reports.tell(trained)
            if trained.interruption is not None:
                return


def _require_optuna() -> None:
    """Raise an error that says what to install, if Optuna is not."""
    if importlib.util.find_spec("optuna") is None:
        raise ModuleNotFoundError("optimize needs Optuna: pip install 'jaxnet-mlp[optuna]'.")


class _Reports:
    """Reports intermediate values, ends what the pruner ends, and tells the results."""

    def __init__(self, study: "optuna.Study", trials: Sequence[Any], every: int) -> None:
        from optuna.pruners import NopPruner
        from optuna.study import StudyDirection

        self.study, self.trials, self.every = study, trials, every
        self.sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        self.has_pruner = not isinstance(study.pruner, NopPruner)
        self.pruned: set[int] = set()

    def rungs(self, n_recipes: int, epochs: int, ranked: Ranking) -> Iterator[Rung]:
        """The trials that go on after each intermediate value; see `Halving.rungs`."""
        going, trained = list(range(n_recipes)), list(range(n_recipes))
        steps = range(self.every, epochs, self.every) if self.has_pruner else ()
        for until in steps:
            yield Rung(tuple(trained), until)
            scores = ranked.scores(until).mean(axis=1)
            for place in going:
                self._report(place, float(scores[place]), until)
            going = [place for place in going if np.isfinite(scores[place])]
            self.pruned |= {place for place in going if self.trials[place].should_prune()}
            going = [place for place in going if place not in self.pruned]
            if not going:
                return
            trained = _filled_up(going, trained)
        yield Rung(tuple(trained), epochs)

    def tell(self, trained: Study) -> None:
        """Tell the study what each trial came to."""
        from optuna.trial import TrialState

        curves, values = _curves(trained), trained.score.reshape(len(self.trials), -1).mean(axis=1)
        for place, trial in enumerate(self.trials):
            if place in self.pruned:
                self._tell(trial, None, TrialState.PRUNED)
                continue
            if not self.has_pruner:
                for step in range(self.every, curves.shape[1], self.every):
                    self._report(place, float(curves[place, step - 1]), step)
            if trained.interruption is not None and not _has_ended(trained, place):
                continue  # it stays as it is, for the next call
            value = float(values[place])
            self._report(place, value, curves.shape[1])
            if np.isfinite(value):
                self._tell(trial, self.sign * value, TrialState.COMPLETE)
            else:
                self._tell(trial, None, TrialState.FAIL)

    def _report(self, place: int, score: float, step: int) -> None:
        if np.isfinite(score):
            self.trials[place].report(self.sign * score, step)

    def _tell(self, trial: Any, value: float | None, state: Any) -> None:
        self.study.tell(trial, value, state, skip_if_finished=True)


def _filled_up(going: list[int], trained: list[int]) -> list[int]:
    """The trials that go on with so many others that their number is halved, or stays.

    A program is compiled for each number of networks, so that few numbers cost less than few
    networks.
    """
    n_trained = len(trained)
    while n_trained > 1 and -(-n_trained // 2) >= len(going):
        n_trained = -(-n_trained // 2)
    others = [place for place in trained if place not in going]
    return sorted(going + others[: n_trained - len(going)])


def _batch(study: "optuna.Study", n_wanted: int, n_batch: int, lock: dict[str, str]) -> list[Any]:
    """Trials to train next: those of processes that ended, and then new ones."""
    from optuna.trial import Trial, TrialState

    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    left = [trial for trial in running if _is_left(trial.user_attrs.get(LOCK), lock)]
    trials = [Trial(study, trial._trial_id) for trial in left[:n_batch]]
    for trial in trials:
        trial.set_user_attr(LOCK, lock)
    while len(trials) < n_batch:
        states = [trial.state for trial in study.get_trials(deepcopy=False)]
        if len(states) - states.count(TrialState.WAITING) >= n_wanted:
            return trials
        # The process is noted before the trial is begun, so that a kill leaves none without it.
        if TrialState.WAITING not in states:
            study.enqueue_trial({}, user_attrs={LOCK: lock})
        trial = study.ask()
        trial.set_user_attr(LOCK, lock)
        if trial.number >= n_wanted:  # another process has asked at the same time
            study.tell(trial, state=TrialState.FAIL)
            return trials
        trials.append(trial)
    return trials


@contextlib.contextmanager
def _process_lock() -> Iterator[dict[str, str]]:
    """The attribute of this call's trials: the host, and a file that is locked until it ends."""
    path = Path(tempfile.gettempdir()) / f"jaxnet-optuna-{uuid.uuid4().hex}.lock"
    try:
        with filelock.FileLock(path):
            yield {"host": socket.gethostname(), "path": str(path)}
    finally:
        path.unlink(missing_ok=True)


def _is_left(owner: dict[str, str] | None, lock: dict[str, str]) -> bool:
    """Whether a running trial was begun by a process of this machine that has ended."""
    if owner is None or owner["host"] != lock["host"] or owner == lock:
        return False
    if not Path(owner["path"]).exists():
        return True
    try:
        with filelock.FileLock(owner["path"], timeout=0):
            return True
    except filelock.Timeout:
        return False


def _suggested(trial: Any, name: str, values: Any) -> Any:
    """The value of a hyperparameter that a trial suggests."""
    if isinstance(values, list):
        # Optuna's choices are numbers and strings; others go by their text.
        names = [v if isinstance(v, (bool, int, float, str)) else str(v) for v in values]
        return values[names.index(trial.suggest_categorical(name, names))]
    low, high = map(float, values)
    if isinstance(values, OneMinus):
        return 1 - trial.suggest_float(f"1 - {name}", low, high, log=True)
    return trial.suggest_float(name, low, high, log=not isinstance(values, Uniform))


def _checked(defined: object) -> tuple[Network, Recipe]:
    """What a definition returned, checked to be a network and a recipe."""
    if not isinstance(defined, tuple) or len(defined) != 2:
        raise ValueError(
            f"define must return a network and a recipe, such as (net, recipe), not "
            f"{brief(defined)}."
        )
    net, recipe = defined
    require_kind("the network of define", net, Network, "jaxnet.Network((784, 30, 10))")
    require_kind("the recipe of define", recipe, Recipe, "jaxnet.Recipe(jaxnet.adam())")
    if len(recipe) > 1:
        raise ValueError(
            f"define returned a recipe with arrays of {len(recipe)} numbers; a trial has one."
        )
    return net, recipe


def _curves(trained: Study) -> np.ndarray:
    """The score of each trial after each epoch, the best so far, the mean over its networks."""
    curves = np.asarray(trained.history.curves[trained.ranked_by], float)
    scores = curves if trained.higher_is_better else -curves
    best = np.maximum.accumulate(np.where(np.isfinite(scores), scores, -np.inf), axis=-1)
    return best.reshape(len(scores), -1, best.shape[-1]).mean(axis=1)


def _has_ended(trained: Study, place: int) -> bool:
    """Whether all networks of a trial have had their epochs, or ended before."""
    n_epochs = trained.history.training_cost.shape[-1]
    ended = trained.stopped | (trained.diverged_epoch > 0) | (trained.epochs == n_epochs)
    return bool(ended[place].all())
