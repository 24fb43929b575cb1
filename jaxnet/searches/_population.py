"""Population-based training: networks that are behind copy those ahead, and vary their recipes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, SupportsFloat, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from jaxnet.core.accuracy import have_accuracy
from jaxnet.core.arguments import brief, path_of, require_function
from jaxnet.core.checks import check_data
from jaxnet.core.display import html_of
from jaxnet.core.dtypes import unshared
from jaxnet.core.hyperparameters import constant, count
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, Dataset, Params
from jaxnet.data.doubtful import warn_if_doubtful
from jaxnet.interrupts import interruptible
from jaxnet.io.files import JsonObject
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.stopping import Criterion
from jaxnet.searches.ranges import Scale, checked_ranges, scales_of, swept_numbers, with_numbers
from jaxnet.searches.results import BestNetwork, Progress, scored_split, search_text
from jaxnet.searches.saved import (
    SavedSearch,
    check_not_fewer,
    described_search,
    warn_of_interruption,
)
from jaxnet.sweeps import lanes, sample
from jaxnet.sweeps.checks import checked_settings
from jaxnet.sweeps.lanes import LaneGroup, LaneInputs, LaneState
from jaxnet.sweeps.layout import SlotMap, layout_of
from jaxnet.sweeps.search_space import Range
from jaxnet.sweeps.store import Setting
from jaxnet.training.checks import check_not_traced
from jaxnet.training.epochs import EpochProgram
from jaxnet.training.measured import measured
from jaxnet.training.step import compiled_draw_params

FACTORS = (0.8, 1.2)
"""What each hyperparameter of a copy is multiplied by: one of these, each as likely."""


class Population(NamedTuple):
    """The result of `population`; a segment is the epochs from one exchange to the next.

    Attributes:
      best: the network with the highest score after any epoch. Its setting has the numbers that it
        was trained with in its last segment: see `best_schedule`.
      networks_epochs: epochs trained, over all networks.
      progress: how the best score rose, with one number per segment.
      numbers: the hyperparameters of each member in each segment, (segments, members), by name.
      parents: the member whose state each member had at the start of a segment, counted from 0,
        (segments, members): another one where it was copied, else its own number.
      scores: the score of each member at the end of each segment, (segments, members); −∞ after
        divergence.
      best_member: the member that `best` was, from 0.
      best_segment: the segment in which it was, from 0.

    >>> import jaxnet as jn
    >>> search = jn.searches.population(
    ...     jn.Network((2, 4, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd()),
    ...     {"learning_rate": (0.1, 10)}, members=4, epochs=3, log=None,
    ... )
    >>> search.scores.shape, len(search.best_schedule["learning_rate"]) == search.best_segment + 1
    ((3, 4), True)
    """

    best: BestNetwork
    networks_epochs: int
    progress: Progress
    numbers: dict[str, Float[np.ndarray, "segments members"]]
    parents: Int[np.ndarray, "segments members"]
    scores: Float[np.ndarray, "segments members"]
    best_member: int
    best_segment: int

    @property
    def best_schedule(self) -> dict[str, Float[np.ndarray, " segments"]]:
        """The numbers that the best network and its ancestors had in each segment, by name."""
        member, ancestors = self.best_member, []
        for segment in reversed(range(self.best_segment + 1)):
            ancestors.append(member)
            member = int(self.parents[segment, member])
        ancestors.reverse()
        segments = np.arange(self.best_segment + 1)
        return {name: rows[segments, ancestors] for name, rows in self.numbers.items()}

    def __repr__(self) -> str:
        return search_text(self, self.best, self.networks_epochs)

    def _repr_html_(self) -> str | None:
        return html_of(self)


def population(
    net: Network,
    data: Dataset,
    recipe: Recipe,
    ranges: Mapping[str, Range],
    *,
    members: SupportsIndex = 20,
    epochs: SupportsIndex = 30,
    every: SupportsIndex = 1,
    fraction: SupportsFloat = 0.2,
    batch_size: SupportsIndex = 10,
    seed: int = 0,
    folder: str | Path | None = None,
    log: Callable[[str], None] | None = print,
) -> Population:
    """Search by population-based training (PBT): hyperparameters change while networks train.

    All members are lanes of one program. After every segment the worst `fraction` of them take over
    the parameters and the optimizer's state of others, each of a random one of the best `fraction`,
    and its hyperparameters, each times 0.8 or 1.2 at random and kept within its range (of a
    `OneMinus` range, 1 − x is multiplied). A member that diverged is replaced, too. States are
    copied on the device, and numbers are arguments of the program: nothing is compiled anew.

    Args:
      net: the architecture.
      data: the splits; the validation split scores or, without one, the training split: by
        accuracy, or by cost where targets have none.
      recipe: what all members have in common, without a stopping rule.
      ranges: the range of each hyperparameter to vary, by name, as `jaxnet.sample` takes it:
        `{"learning_rate": (1e-3, 1.0)}`. The first numbers are Sobol points.
      members: the number of networks, at least 2; 20 by default.
      epochs: epochs per network, a multiple of `every`; 30 by default.
      every: epochs per segment, at least 1, which is the default.
      fraction: the part of the members that is replaced, in (0, 0.5]; at least one is. 0.2 by
        default.
      batch_size: examples per mini-batch, at least 1; 10 by default.
      seed: the seed of all randomness, in [0, 2³² − members]; 0 by default. All members see the
        mini-batches of this seed; member i, from 0, starts from the weights of seed + i.
      folder: a folder that keeps the population after each segment, made if it does not exist. The
        same call goes on where an earlier one ended, one with more epochs trains only what is
        missing. `None`, the default, keeps nothing.
      log: called after each segment with a line; `None` for silence.

    Returns:
      A `Population`. After Ctrl-C it is that of the segments that ended, with a warning.

    Raises:
      ValueError: network, data, recipe and ranges do not fit together, a number is out of its
        range, or the folder holds something else.
      OSError: the folder cannot be written.

    Warns:
      RuntimeWarning: Ctrl-C ended the search.
      UserWarning: the data are hardly what is meant.

    Source: Jaderberg et al., Population based training of neural networks, 2017: truncation
    selection, and perturbation as its exploration. Members there have mini-batches of their own.

    >>> import jaxnet as jn
    >>> search = population(
    ...     jn.Network((2, 4, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd()),
    ...     {"learning_rate": (0.1, 10)}, members=4, epochs=4, every=2, log=None,
    ... )
    >>> search.networks_epochs, search.numbers["learning_rate"].shape
    (16, (2, 4))
    """
    check_not_traced("population", "map jaxnet.fit, a pure function", data, recipe)
    require_function("log", log)
    n_members = count("members", members, low=2)
    seed = count("seed", seed, low=0, high=2**32 - n_members + 1)
    n_segments = _checked_segments(epochs, every)
    n_replaced = _checked_replaced(fraction, n_members)
    data = check_data(net, data)._replace(test=None)
    warn_if_doubtful(data, "the data")
    swept = sample(recipe, n_members, seed=seed, **checked_ranges(ranges))
    if recipe.stopping is not None:
        raise ValueError(
            "recipe has a stopping rule, but members of a population end together; leave it out."
        )
    criterion = _criterion(net, data)
    settings = checked_settings(
        net, data, swept, epochs, batch_size, None, measured((scored_split(data),)), data
    )
    loop = _Segments(
        settings=settings,
        swept=swept,
        data=data,
        criterion=criterion,
        scales=scales_of(ranges),
        n_replaced=n_replaced,
        every=count("every", every, low=1),
        seed=seed,
    )
    return loop.run(n_segments, None if folder is None else path_of("folder", folder), log)


def _checked_segments(epochs: SupportsIndex, every: SupportsIndex) -> int:
    """The number of segments."""
    n_epochs, length = count("epochs", epochs, low=1), count("every", every, low=1)
    if n_epochs % length:
        raise ValueError(f"epochs must be a multiple of every, {length}, not {n_epochs}.")
    return n_epochs // length


def _checked_replaced(fraction: SupportsFloat, n_members: int) -> int:
    """The number of members that are replaced after a segment."""
    part = constant("fraction", fraction, low=0)
    if not 0 < part <= 0.5:
        raise ValueError(f"fraction must be in (0, 0.5], not {brief(fraction)}.")
    return max(1, int(part * n_members))


def _criterion(net: Network, data: Dataset) -> Criterion:
    """The curve that scores the members: an accuracy or, where targets have none, a cost."""
    metric = "accuracy" if have_accuracy(net.cost, data.train.y) else "cost"
    criterion = measured((scored_split(data),), select_by=metric).rank_by
    assert criterion is not None  # select_by is given
    return criterion


class _Best(NamedTuple):
    """The best network so far."""

    params: Params
    score: Float[np.ndarray, ""]
    member: Int[np.ndarray, ""]
    segment: Int[np.ndarray, ""]


class _Records(NamedTuple):
    """What is noted of each segment, along the first axis."""

    numbers: dict[str, np.ndarray]
    parents: np.ndarray
    scores: np.ndarray
    networks_epochs: np.ndarray
    best_score: np.ndarray


class _Carry(NamedTuple):
    """All that the next segment depends on: what a folder keeps."""

    lanes: LaneState
    records: _Records
    best: _Best


@dataclass(frozen=True)
class _Segments:
    """Trains a population, segment after segment.

    Attributes:
      settings: the setting of each member in the first segment.
      swept: their recipes.
      data: the splits.
      criterion: the curve that scores the members.
      scales: the range of each hyperparameter.
      n_replaced: the members that are replaced after each segment.
      every: epochs per segment.
      seed: the seed of all randomness.
    """

    settings: tuple[Setting, ...]
    swept: Recipe
    data: Dataset
    criterion: Criterion
    scales: dict[str, Scale]
    n_replaced: int
    every: int
    seed: int

    def run(
        self, n_segments: int, folder: Path | None, log: Callable[[str], None] | None
    ) -> Population:
        """Train until there have been so many segments, or Ctrl-C; from the folder's state on."""
        data = jax.device_put(unshared(self.data))
        with SavedSearch(folder, self._description()) as saved, interruptible() as interrupted:
            carry = saved.load(self._start())
            check_not_fewer("epochs", n_segments * self.every, self.every * _n_done(carry), folder)
            for segment in range(_n_done(carry), n_segments):
                if interrupted and segment:
                    break
                carry = self._train(carry, segment, data)
                saved.save(carry)
                if log is not None:
                    scores = carry.records.scores[-1]
                    log(
                        f"Segment {segment + 1} of {n_segments}: best score {carry.best.score:.4g},"
                        f" now {scores.max():.4g}, median {np.median(scores):.4g}."
                    )
        if _n_done(carry) < n_segments:
            warn_of_interruption(f"{_n_done(carry)} of {n_segments} segments", folder)
        return self._result(carry)

    @property
    def _group(self) -> LaneGroup:
        return lanes.lane_group(self.settings[0].network, self.swept, len(self.settings))

    def _start(self) -> _Carry:
        """The population before its first segment."""
        net, n_members = self.settings[0].network, len(self.settings)
        slot_map = SlotMap(layout_of([range(n_members)], (1, n_members), 0), self._group)
        keys = lanes.run_keys(np.arange(self.seed, self.seed + n_members, dtype=np.uint32))
        drawn = [compiled_draw_params(net, key) for key in keys]
        params = slot_map.stack(jax.tree.map(lambda *rows: np.stack(rows), *drawn))
        numbers = swept_numbers(self.swept)
        states = lanes.begin_lanes(net, True, self._group, self._inputs(numbers), params)
        empty = np.zeros((0, n_members), states.params[0].w.dtype)
        records = _Records(
            numbers={name: empty.astype(column.dtype) for name, column in numbers.items()},
            parents=empty.astype(np.int32),
            scores=empty,
            networks_epochs=np.zeros(0, np.int32),
            best_score=empty[:, 0],
        )
        zero = np.zeros((), np.int32)
        best = _Best(jax.tree.map(np.asarray, drawn[0]), np.array(-np.inf, empty.dtype), zero, zero)
        return _Carry(LaneState(states, jnp.ones((1, n_members), bool)), records, best)

    def _inputs(self, numbers: Mapping[str, np.ndarray]) -> LaneInputs:
        """What the program reads of the members, which have these numbers."""
        recipe = with_numbers(self.swept, {name: row[None] for name, row in numbers.items()})
        return LaneInputs(
            keys=lanes.run_keys(np.array([self.seed], np.uint32)),
            recipe=recipe,
            units=None,
            trainable=None,
            subset=None,
        )

    def _train(self, carry: _Carry, segment: int, data: Dataset) -> _Carry:
        """The population after an exchange, before all segments but the first, and a segment."""
        n_members, records, state = len(self.settings), carry.records, carry.lanes
        parents, numbers = np.arange(n_members), swept_numbers(self.swept)
        if segment:
            random = np.random.default_rng([self.seed, segment])
            parents = exploit(records.scores[-1], self.n_replaced, random)
            numbers = {name: rows[-1] for name, rows in records.numbers.items()}
            numbers = explore(numbers, parents, self.scales, random)
            state = copy_lanes(self._group, state, parents)
        inputs, n_trained, scores = self._inputs(numbers), 0, np.zeros(n_members)
        for index in range(segment * self.every, (segment + 1) * self.every):
            state, scores = self._train_epoch(inputs, state, index, data)
            n_trained += np.count_nonzero(np.isfinite(scores))
        best = self._better(carry.best, state, segment)
        spent = n_trained + (int(records.networks_epochs[-1]) if segment else 0)
        return _Carry(
            lanes=state,
            records=_appended(
                records, _Records(numbers, parents, scores, np.array(spent), best.score)
            ),
            best=best,
        )

    def _train_epoch(
        self, inputs: LaneInputs, state: LaneState, index: int, data: Dataset
    ) -> tuple[LaneState, np.ndarray]:
        """The members after epoch number `index`, from 0, and their scores."""
        setting, number = self.settings[0], np.int32(index)
        program = EpochProgram(
            net=setting.network,
            batch_size=setting.batch_size,
            evaluate_on=measured((scored_split(data),)).evaluate_on,
            criterion=self.criterion,
        )
        trained, _ = lanes.train_lanes(program, data.train, number, inputs, state.train)
        state, row = lanes.finish_lanes(program, data, number, inputs, state, trained)
        curve = np.asarray(row.curves[self.criterion.curve])[0]
        scores = curve if self.criterion.higher_is_better else -curve
        return state, np.where(np.isfinite(scores), scores, -np.inf).astype(curve.dtype)

    def _better(self, best: _Best, state: LaneState, segment: int) -> _Best:
        """The best network so far: the one before, or a better one of the members."""
        watch = state.train.watch
        scores = np.asarray(watch.best_score)[0]
        member = int(np.argmax(scores))
        if segment and not scores[member] > best.score:
            return best
        params = jax.tree.map(np.asarray, copy_lanes(self._group, watch.best, np.array([member])))
        single = jax.tree.map(lambda leaf, like: leaf.reshape(np.shape(like)), params, best.params)
        places = np.array(member, np.int32), np.array(segment, np.int32)
        return _Best(single, np.array(scores[member]), *places)

    def _description(self) -> JsonObject:
        """What identifies the search in its folder."""
        described = described_search(
            "population", self.settings[0], self.swept, self.data, self.scales
        )
        return described | {
            "members": len(self.settings),
            "replaced": self.n_replaced,
            "every": self.every,
            "seed": self.seed,
        }

    def _result(self, carry: _Carry) -> Population:
        """The result of the segments so far."""
        records, best = carry.records, carry.best
        member, segment = int(best.member), int(best.segment)
        numbers = {name: rows[segment, member] for name, rows in records.numbers.items()}
        setting = self.settings[member]._replace(recipe=with_numbers(self.swept, numbers))
        return Population(
            best=BestNetwork(setting, float(best.score), best.params),
            networks_epochs=int(records.networks_epochs[-1]),
            progress=Progress(records.networks_epochs, records.best_score),
            numbers=records.numbers,
            parents=records.parents,
            scores=records.scores,
            best_member=member,
            best_segment=segment,
        )


def _n_done(carry: _Carry) -> int:
    """The segments that have ended."""
    return len(carry.records.scores)


def _appended(records: _Records, row: _Records) -> _Records:
    """The records with one more segment."""
    return jax.tree.map(
        lambda rows, new: np.concatenate([rows, np.asarray(new, rows.dtype)[None]]), records, row
    )


def exploit(
    scores: Float[np.ndarray, " members"], n_replaced: int, random: np.random.Generator
) -> Int[np.ndarray, " members"]:
    """Which member's state each member goes on from: truncation selection.

    Args:
      scores: the score of each member, −∞ if it diverged.
      n_replaced: how many of the worst are replaced, and of how many of the best each takes one.
      random: draws them.

    Returns:
      The member to copy, for each member: itself where it is not replaced.

    >>> exploit(np.array([0.9, 0.1, 0.5, -np.inf]), 1, np.random.default_rng(0)).tolist()
    [0, 1, 2, 0]
    """
    order = np.argsort(-scores, kind="stable")
    is_replaced = ~np.isfinite(scores)
    is_replaced[order[-n_replaced:]] = True
    best = [member for member in order[:n_replaced] if not is_replaced[member]]
    parents = np.arange(len(scores))
    chosen = random.integers(len(best), size=len(scores)) if best else None
    if chosen is not None:
        parents[is_replaced] = np.asarray(best)[chosen[is_replaced]]
    return parents


def explore(
    numbers: Mapping[str, Float[np.ndarray, " members"]],
    parents: Int[np.ndarray, " members"],
    scales: Mapping[str, Scale],
    random: np.random.Generator,
) -> dict[str, Float[np.ndarray, " members"]]:
    """The hyperparameters of the next segment: those of copies are varied.

    Args:
      numbers: the hyperparameters of each member, by name.
      parents: the member that each goes on from: see `exploit`.
      scales: the range of each hyperparameter.
      random: draws a factor of 0.8 or 1.2 for each hyperparameter of each member.

    Returns:
      The numbers by name: for members that go on from themselves as they were.

    >>> explore(
    ...     {"l2": np.array([1.0, 2.0])}, np.array([0, 0]), scales_of({"l2": (1.0, 1.1)}),
    ...     np.random.default_rng(0),
    ... )["l2"][0].item()
    1.0
    """
    is_copy = parents != np.arange(len(parents))
    varied = {}
    for name, values in sorted(numbers.items()):
        factor = random.choice(FACTORS, size=len(parents))
        moved = scales[name].multiplied(values[parents], factor)
        varied[name] = np.where(is_copy, moved, values).astype(values.dtype)
    return varied


@partial(jax.jit, static_argnames="group")
def copy_lanes(group: LaneGroup, state: PyTree, members: Int[AnyArray, " n"]) -> PyTree:
    """The states of these members, gathered along the axis of the lanes.

    Args:
      group: where the stacked arrays have this axis.
      state: a program's stacked arrays, of one group.
      members: the member for each lane of the result.
    """

    def gathered(leaf: Array) -> Array:
        axis = group.lane_axis(jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)) or 0
        return jnp.take(leaf, members, axis=1 + axis)

    return jax.tree.map(gathered, state)
