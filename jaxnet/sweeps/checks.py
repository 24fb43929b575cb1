"""Validate the arguments of `sweep` before anything is traced."""

import itertools
import operator
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import SupportsIndex, TypeVar

import jax
import numpy as np

from jaxnet.core.arguments import brief, path_of, require_function, require_kind
from jaxnet.core.checks import check_data
from jaxnet.core.hyperparameters import count, flag
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset, Split
from jaxnet.data.doubtful import outer_stacklevel
from jaxnet.data.resampling import resampling_of
from jaxnet.data.tables import Table, encoding_of
from jaxnet.recipes.recipe import Recipe
from jaxnet.sweeps.folds import LaneFold, lane_folds
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.sweeps.settings import Settings, Variant
from jaxnet.sweeps.store import Setting, first_examples
from jaxnet.training.checks import (
    check_monitors,
    check_order,
    check_recipe,
    check_settings,
    count_of_seeds,
)
from jaxnet.training.measured import Measured, check_is_defined

LISTS = (list, tuple, range, np.ndarray)
"""The types of which an argument of `sweep` may have several values."""
_Item = TypeVar("_Item")


def check_processes(
    has_rungs: bool,
    folder: str | Path | None,
    choices: Measured,
    tune_plan: bool,
) -> None:
    """Refuse successive halving, or several processes, without what they need."""
    if has_rungs and not {"evaluation", "training"} & set(choices.evaluate_on):
        raise ValueError(
            "successive_halving ranks by evaluations, but evaluate_on has neither; make it "
            '("validation",) or ("training",).'
        )
    if has_rungs and folder is None and jax.process_count() > 1:
        raise ValueError(
            "successive_halving over several processes needs a folder that all of them see; set "
            "folder."
        )
    if tune_plan and jax.process_count() > 1:
        raise ValueError(
            f"tune_plan is for one process, not {jax.process_count()}, which might choose "
            "different sizes; leave it out."
        )


def check_options(
    order: object, folder: object, tune_plan: object, on_progress: object, log: object
) -> None:
    """Check the order of examples, where results and reports go, and whether plans are timed."""
    check_order(order)
    if folder is not None:
        path_of("folder", folder)
    flag("tune_plan", tune_plan)
    require_function("on_progress", on_progress)
    require_function("log", log)


def checked_settings(
    net: Network | Sequence[Network],
    data: Dataset,
    recipe: Recipe | Sequence[Recipe] | Settings,
    epochs: SupportsIndex,
    batch_size: SupportsIndex | Sequence[int],
    examples: SupportsIndex | Sequence[int] | None,
    choices: Measured,
    whole: Dataset,
) -> tuple[Setting, ...]:
    """All combinations of networks, batch sizes, numbers of examples and recipes, checked.

    `whole` is the data that networks train on where all examples are used: the smallest fold's.
    """
    nets = as_list(net)
    is_settings = isinstance(recipe, Settings)
    variants = recipe.variants if is_settings else tuple(map(_only_recipe, as_list(recipe)))
    batch_sizes, n_examples_list = as_list(batch_size), as_list(examples)
    if not (nets and variants and batch_sizes and n_examples_list):
        raise ValueError(
            "a sweep needs at least one network, one recipe, one batch size and one number of "
            "examples, not an empty list."
        )
    n_all = len(data.train.x)
    fitting_data: dict[tuple[Network, int], Dataset] = {}  # whose check takes longest
    settings = []
    for net, size, n, recipe in _combinations(nets, batch_sizes, n_examples_list, variants):
        n_examples = n_all if n is None else count("examples", n, 1, n_all + 1)
        rows = RecipeBatch(recipe).rows()
        if not rows:
            raise ValueError("the arrays of a recipe are empty; give each at least one number.")
        if (net, n_examples) not in fitting_data:
            part = whole if n_examples == n_all else first_examples(data, n_examples)
            fitting_data[net, n_examples] = check_data(net, part)
        data_of_net = fitting_data[net, n_examples]
        check_settings(net, data_of_net, rows[0], epochs, size, 0, None, choices)
        check_monitors(choices.monitors, net, -(-n_examples // operator.index(size)))
        settings += [Setting(net, row, operator.index(size), n_examples) for row in rows]
    return tuple(settings)


def _only_recipe(recipe: Recipe) -> Variant:
    """A recipe that changes nothing else, checked."""
    check_recipe(recipe)
    return Variant(recipe)


def _combinations(
    nets: Sequence[Network],
    batch_sizes: Sequence[SupportsIndex],
    n_examples_list: Sequence[SupportsIndex | None],
    variants: Sequence[Variant],
) -> Iterator[tuple[Network, SupportsIndex, SupportsIndex | None, Recipe]]:
    """All combinations; what a variant replaces is not combined with it."""
    for net in nets:
        require_kind("net", net, Network, "jaxnet.Network((784, 30, 10))")
    lists = itertools.product(
        enumerate(nets), enumerate(batch_sizes), enumerate(n_examples_list), variants
    )
    for (net_at, net), (size_at, size), (n_at, n), variant in lists:
        replaced = (variant.net, variant.batch_size, variant.examples)
        if any(at and other is not None for at, other in zip((net_at, size_at, n_at), replaced)):
            continue
        yield (
            variant.network(net),
            size if variant.batch_size is None else variant.batch_size,
            n if variant.examples is None else variant.examples,
            variant.recipe,
        )


def checked_seeds(seeds: SupportsIndex | Sequence[int]) -> tuple[int, ...]:
    """The seeds, from a number of them or a list, checked."""
    given_seeds = seeds if isinstance(seeds, LISTS) else range(count_of_seeds("seeds", seeds, 1))
    seed_list = tuple(count("seeds", seed, 0, 2**32) for seed in given_seeds)
    if not seed_list or len(set(seed_list)) < len(seed_list):
        raise ValueError(
            "seeds must be a number of seeds, at least 1, or one or more different seeds, "
            f"not {brief(seeds)}."
        )
    return seed_list


def checked_folds(
    resample: object, standardize: object, data: Dataset, seeds: Sequence[int]
) -> list[list[LaneFold]] | None:
    """The folds of each seed; None where all networks have the whole training split."""
    is_standardized = standardize is not None and flag("standardize", standardize)
    if resample is None:
        if is_standardized:
            raise ValueError(
                "standardize belongs to the folds of resample, which is None; standardize the data "
                "themselves, or give resample."
            )
        return None
    encoding = encoding_of(data)
    columns = None
    if encoding is not None and encoding.columns is not None:
        columns = encoding.are_numbers if standardize is None or is_standardized else None
    elif is_standardized:
        columns = np.ones(data.train.x.shape[1], bool)
    folds = lane_folds(resampling_of(resample), data.train, seeds, columns)
    groups = data.groups if isinstance(data, Table) else None
    if groups is not None:
        _warn_of_divided_groups(folds, np.array(groups))
    return folds


def _warn_of_divided_groups(folds: list[list[LaneFold]], groups: np.ndarray) -> None:
    """Warn of folds that train and score rows of the same group."""
    for lane in itertools.chain.from_iterable(folds):
        common = np.intersect1d(groups[lane.fold.train], groups[lane.fold.test])
        if common.size:
            warnings.warn(
                f"a fold trains on rows of the group {str(common[0])!r}, and is scored on others "
                "of it, which makes scores too good; use k_fold(…, groups=table.groups).",
                UserWarning,
                stacklevel=outer_stacklevel(),
            )
            return


def check_deciding_metrics(
    settings: Sequence[Setting],
    data: Dataset,
    folds: list[list[LaneFold]] | None,
    choices: Measured,
) -> None:
    """Check that metrics have a value on the examples by which they rank or stop networks.

    Args:
      settings: the settings of the sweep.
      data: the splits.
      folds: the folds of each seed; `None` where all networks have the whole training split.
      choices: what is measured, and what ranks.

    Raises:
      ValueError: a metric has none, whatever the outputs, on a split or in a fold.
    """
    rules = [setting.recipe.stopping for setting in settings]
    deciding = {(rule.metric, rule.split) for rule in rules if rule is not None}
    if choices.select_by is not None:
        has_valid = "evaluation" in choices.evaluate_on and data.valid is not None
        split_name = "test" if folds else "evaluation" if has_valid else "training"
        deciding.add((choices.select_by, split_name))
    names = {name for name, _ in choices.metrics}
    for name, split_name in sorted(pair for pair in deciding if pair[0] in names):
        for where, split in _evaluated_parts(split_name, data, folds):
            check_is_defined(name, where, split, settings[0].network.sizes[-1], choices)


def _evaluated_parts(
    split_name: str, data: Dataset, folds: list[list[LaneFold]] | None
) -> Iterator[tuple[str, Split]]:
    """The examples that networks are evaluated on as this split, and what these are called."""
    name, own = {
        "training": ("training", "train"),
        "evaluation": ("validation", "valid"),
        "test": ("test", "test"),
    }[split_name]
    lanes = dict.fromkeys(lane for row in folds or () for lane in row)
    split = getattr(data, own)
    if split is not None and all(getattr(lane.fold, own) is None for lane in lanes):
        yield f"{name} split", split
    weight = 1.0 if data.train.weight is None else data.train.weight
    for index, lane in enumerate(lanes):
        rows = getattr(lane.fold, own)
        if rows is not None:
            # The other examples have the weight 0, so that folds of all sizes are one program.
            has_role = np.isin(np.arange(len(data.train.x)), rows)
            yield f"{name} rows of fold {index}", data.train._replace(weight=weight * has_role)


def check_with_folds(
    folds: list[list[LaneFold]] | None, examples: object, recipe: object, tune_plan: bool
) -> None:
    """Refuse what does not go together with folds."""
    if folds is None:
        return
    variants = recipe.variants if isinstance(recipe, Settings) else ()
    has_examples = examples is not None or any(v.examples is not None for v in variants)
    for name, is_given in (("examples", has_examples), ("tune_plan", tune_plan)):
        if is_given:
            raise ValueError(
                f"{name} does not go together with resample; leave one of the two out."
            )


def as_list(value: _Item | Sequence[_Item]) -> list[_Item]:
    """The items of a list, tuple, range or array; any other value as a list of one item."""
    return list(value) if isinstance(value, LISTS) else [value]  # pyright: ignore[reportReturnType]
