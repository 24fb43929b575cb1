"""Importance: how much of the differences between settings is due to which hyperparameter.

Functional ANOVA: a regression tree maps what was varied to the score. Over independent values of
each hyperparameter its variance splits into a part for each of them, a part for each pair, and a
rest. In a tree, which is constant on boxes, these parts are sums over boxes. Their shares are
averaged over trees of resampled networks.
"""

import itertools
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxnet.data.doubtful import outer_stacklevel
from jaxnet.io.csv import Row
from jaxnet.io.files import JsonObject
from jaxnet.sweeps.store import Setting

if TYPE_CHECKING:
    from sklearn.tree import DecisionTreeRegressor

N_TREES = 100
"""Trees, each fitted to other draws of seeds and settings."""
MOST_GROUPS = 32
"""Different values of a number; more are divided into this many groups of equal size."""
REST = "three or more"
"""What the rest is called: interactions of three hyperparameters or more."""
LEAST_R2 = 0.5
"""R² on settings that were left out, below which the shares are doubtful."""
N_PARTS = 5
"""Parts into which settings are divided to find this R²."""
MOST_NOISE = 0.5
"""The part of the variance between the settings of a grid, due to seeds, above which the shares are
doubtful."""


class Factor(NamedTuple):
    """A hyperparameter that differs between settings, as numbers 0, 1, … of its values."""

    name: str
    codes: Int[np.ndarray, " settings"]
    """The place of each setting's value, from 0."""
    share: Float[np.ndarray, " values"]
    """The fraction of the settings that have each value."""


def factors(
    tables: Sequence[JsonObject], scores: Float[np.ndarray, " settings"]
) -> tuple[Factor, ...]:
    """What differs between settings, each as a factor.

    Numbers keep their order, with settings that lack them before all others. Words are ordered by
    their mean score, with which a tree divides them best (Breiman et al., 1984, section 4.2).
    Of words that divide the settings alike, such as a network's sizes and its activations, the
    first are kept. Numbers that order them alike or the other way round are one factor, with all
    names. A number that words decide, such as one that only one optimizer has, is no factor of its
    own.

    Args:
      tables: the columns of each setting: see `Setting.columns`.
      scores: the mean score of each setting.

    >>> tables = [{"optimizer": "sgd", "l2": l2, "l1": 0.0} for l2 in (5.0, 1.0, 5.0)]
    >>> factors(tables, np.array([0.5, 0.9, 0.7]))[0].codes.tolist()
    [1, 0, 1]
    """
    names = dict.fromkeys(name for table in tables for name in table)
    columns = {name: [table.get(name) for table in tables] for name in names}
    columns = {name: values for name, values in columns.items() if len(set(values)) > 1}
    words = {
        name for name, values in columns.items() if any(isinstance(value, str) for value in values)
    }
    kept: dict[tuple[bool, bytes], Factor] = {}
    for name in sorted(columns, key=lambda name: name not in words):
        values = columns[name]
        codes = _by_score(values, scores) if name in words else _by_size(values)
        if any(factor.name in words and _decides(factor.codes, codes) for factor in kept.values()):
            continue
        key = name in words, min(codes.tobytes(), (codes.max() - codes).tobytes())
        factor = kept.setdefault(key, Factor(name, codes, np.bincount(codes) / len(codes)))
        if name not in words and name != factor.name:  # varied together, as in `zipped`
            kept[key] = factor._replace(name=f"{factor.name}, {name}")
    return tuple(kept.values())


def _decides(words: Int[np.ndarray, " settings"], codes: Int[np.ndarray, " settings"]) -> bool:
    """Whether each word, of several settings, has one value of the other factor."""
    n_words = words.max() + 1
    n_cells = len(np.unique(np.stack([words, codes], axis=1), axis=0))
    return bool(n_cells == n_words < len(codes))


def importance(
    settings: Sequence[Setting],
    scores: Float[np.ndarray, "settings networks"],
    has_diverged: Bool[np.ndarray, "settings networks"],
    seed: int,
) -> list[Row]:
    """The shares of the variance of scores that each factor and each pair of factors explains.

    Args:
      settings: the settings.
      scores: the score of each network of each setting; −∞ where there is none.
      has_diverged: whether each network diverged.
      seed: the seed of the resampling.

    Returns:
      The rows that `Study.importance` describes.

    Raises:
      ValueError: the settings do not differ, or no network has a score.
      ImportError: scikit-learn is missing.

    Warns:
      UserWarning: trees predict left-out settings too badly, or seeds differ as much as settings.
    """
    try:
        import sklearn  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]
    except ModuleNotFoundError:
        message = "importance needs scikit-learn: pip install 'jaxnet-mlp[sklearn]'."
        raise ImportError(message) from None
    finite = np.isfinite(scores)
    if not finite.any():
        raise ValueError("no network of the study has a score, so that nothing can explain it.")
    scores = np.where(finite, scores, np.where(has_diverged, scores[finite].min(), np.nan))
    begun = np.flatnonzero(np.isfinite(scores).any(axis=1))
    scores = scores[begun].astype(float)
    scores = scores[:, np.isfinite(scores).any(axis=0)]
    tables = [settings[place].columns() for place in begun.tolist()]
    different = factors(tables, _means(scores))
    if not different:
        raise ValueError(
            "the settings of the study do not differ, so that nothing can explain the scores; vary "
            "two numbers or more, such as jaxnet.grid(recipe, learning_rate=…, l2=…)."
        )
    shares, draws = _shares_and_draws(different, scores, seed)
    names = [factor.name for factor in different]
    pairs = [f"{a} × {b}" for a, b in itertools.combinations(names, 2)]
    effects = [*names, *pairs, *([REST] if len(names) > 2 else [])]
    low, high = np.quantile(draws, (0.025, 0.975), axis=0)
    rows: list[Row] = [
        {"effect": effect, "share": float(share), "low": float(least), "high": float(most)}
        for effect, share, least, most in zip(effects, shares, low, high)
    ]
    return sorted(rows, key=lambda row: -row["share"])


def _shares_and_draws(
    factors: Sequence[Factor], scores: Float[np.ndarray, "settings networks"], seed: int
) -> tuple[Float[np.ndarray, " effects"], Float[np.ndarray, "trees effects"]]:
    """The shares, and those in trees fitted to resampled networks and, off a grid, settings.

    On a grid the shares are those of the table of all means; elsewhere the trees' mean.
    """
    random = np.random.default_rng(seed)
    x = np.stack([factor.codes for factor in factors], axis=1)
    n_settings, n_networks = scores.shape
    n_cells = np.prod([len(factor.share) for factor in factors])
    is_grid = bool(n_settings == n_cells == len(np.unique(x, axis=0)))
    shares: list[Float[np.ndarray, " effects"]] = []
    while len(shares) < N_TREES:
        networks = random.integers(n_networks, size=n_networks)
        settings = random.integers(n_settings, size=n_settings)
        settings = np.arange(n_settings) if is_grid else settings
        means = _means(scores[settings][:, networks])
        is_known = np.isfinite(means)
        if not is_known.any():  # a draw of seeds that have not begun
            continue
        shares.append(_fitted_shares(x[settings][is_known], means[is_known], factors))
    means = _means(scores)
    if is_grid:
        _warn_if_noisy(scores)
        return _fitted_shares(x, means, factors), np.array(shares)
    _warn_if_unpredictable(x, means, seed)
    total = np.sum(shares)  # less than their number where a tree sees no difference
    return np.sum(shares, axis=0) / (total or 1.0), np.array(shares)


def _fitted_shares(
    x: Int[np.ndarray, "settings factors"],
    means: Float[np.ndarray, " settings"],
    factors: Sequence[Factor],
) -> Float[np.ndarray, " effects"]:
    """The shares in a tree that is fitted to the mean scores of settings."""
    from sklearn.tree import DecisionTreeRegressor

    return _shares(DecisionTreeRegressor(random_state=0).fit(x, means), factors)


def _means(scores: Float[np.ndarray, "settings networks"]) -> Float[np.ndarray, " settings"]:
    """The mean of what each setting has; NaN where it has nothing."""
    n = np.isfinite(scores).sum(axis=1)
    return np.where(n, np.nansum(scores, axis=1) / np.maximum(n, 1), np.nan)


def _by_size(values: Sequence[object]) -> Int[np.ndarray, " settings"]:
    """Places of numbers by size, in at most `MOST_GROUPS` groups; missing ones come first."""
    numbers = np.array([-np.inf if value is None else value for value in values], float)
    different, places = np.unique(numbers, return_inverse=True)
    if len(different) <= MOST_GROUPS:
        return places
    edges = np.quantile(numbers, np.linspace(0, 1, MOST_GROUPS + 1)[1:-1], method="higher")
    return np.unique(np.searchsorted(edges, numbers, side="right"), return_inverse=True)[1]


def _by_score(
    values: Sequence[object], scores: Float[np.ndarray, " settings"]
) -> Int[np.ndarray, " settings"]:
    """Places of words by the mean score of their settings."""
    names, places = np.unique([str(value) for value in values], return_inverse=True)
    means = [np.nanmean(scores[places == place]) for place in range(len(names))]
    return np.argsort(np.argsort(means, kind="stable"), kind="stable")[places]


def _warn_if_noisy(scores: Float[np.ndarray, "settings networks"]) -> None:
    """Warn where the differences between the means of settings are about those between seeds."""
    n = np.isfinite(scores).sum(axis=1)
    if not (n > 1).any():
        return
    of_seeds = np.nanvar(scores[n > 1], axis=1, ddof=1) / n[n > 1]  # the variance of each mean
    if not np.mean(of_seeds) < MOST_NOISE * np.nanvar(_means(scores)):
        _warn(
            "half of the differences between these settings, or more, are those between seeds",
            "seeds",
        )


def _warn(reason: str, what: str) -> None:
    warnings.warn(
        f"importance is doubtful: {reason}; train more {what}.", stacklevel=outer_stacklevel()
    )


def _warn_if_unpredictable(
    x: Int[np.ndarray, "settings factors"], means: Float[np.ndarray, " settings"], seed: int
) -> None:
    """Warn where forests predict the mean scores of left-out settings badly."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold, cross_val_predict

    x, means = x[np.isfinite(means)], means[np.isfinite(means)]
    if len(means) < 2 * N_PARTS:
        r2 = -np.inf
    else:
        forest = RandomForestRegressor(N_TREES, random_state=seed % 2**32)
        parts = KFold(N_PARTS, shuffle=True, random_state=seed % 2**32)
        predicted = cross_val_predict(forest, x, means, cv=parts)
        r2 = 1 - np.mean((predicted - means) ** 2) / np.var(means)
    if np.isinf(r2):
        _warn(f"there are {len(means)} settings, fewer than {2 * N_PARTS}", "settings")
    elif not r2 >= LEAST_R2:
        _warn(
            f"trees predict left-out ones of the {len(means)} settings with an R² of {r2:.2f}, "
            f"below {LEAST_R2:g}",
            "settings",
        )


def _shares(
    tree: "DecisionTreeRegressor", factors: Sequence[Factor]
) -> Float[np.ndarray, " effects"]:
    """The shares of a tree's variance: of each factor, of each pair, and the rest."""
    low, high, value = _leaves(tree, [len(factor.share) for factor in factors])
    cumulated = [np.concatenate([[0.0], np.cumsum(factor.share)]) for factor in factors]
    width = np.stack([c[high[:, j]] - c[low[:, j]] for j, c in enumerate(cumulated)])
    holds = [
        (low[:, j, None] <= np.arange(len(factor.share)))
        & (np.arange(len(factor.share)) < high[:, j, None])
        for j, factor in enumerate(factors)
    ]  # (leaves, values)
    volume = width.prod(axis=0)
    value = value - np.sum(volume * value)
    total = np.sum(volume * value**2)
    if not total > 0:
        n = len(factors)
        return np.zeros(n + n * (n - 1) // 2 + (n > 2))
    alone, pairs = [], []
    for j, factor in enumerate(factors):
        marginal = (volume / width[j] * value) @ holds[j]
        alone.append(factor.share @ marginal**2)
    for i, j in itertools.combinations(range(len(factors)), 2):
        weighted = holds[i] * (volume / (width[i] * width[j]) * value)[:, None]
        marginal = weighted.T @ holds[j]
        both = factors[i].share @ marginal**2 @ factors[j].share
        pairs.append(max(0.0, both - alone[i] - alone[j]))
    if len(factors) > 2:
        pairs.append(max(0.0, total - sum(alone) - sum(pairs)))
    return np.array([*alone, *pairs]) / total


def _leaves(
    tree: "DecisionTreeRegressor", n_values: Sequence[int]
) -> tuple[Int[np.ndarray, "leaves factors"], Int[np.ndarray, "leaves factors"], np.ndarray]:
    """The boxes on which a tree is constant: first places, places after the last, and values."""
    boxes = list(_boxes(tree.tree_, n_values))
    low, high, value = zip(*boxes, strict=True)
    return np.array(low), np.array(high), np.array(value)


def _boxes(nodes: object, n_values: Sequence[int]) -> Iterator[tuple[list[int], list[int], float]]:
    """Each leaf's box and value."""
    left, right, feature, threshold, value = (
        getattr(nodes, name).tolist()
        for name in ("children_left", "children_right", "feature", "threshold", "value")
    )
    stack = [(0, [0] * len(n_values), list(n_values))]
    while stack:
        node, low, high = stack.pop()
        if left[node] < 0:
            yield low, high, value[node][0][0]
            continue
        j = feature[node]
        middle = int(np.floor(threshold[node])) + 1  # places up to the threshold go left
        stack.append((left[node], low, [*high[:j], middle, *high[j + 1 :]]))
        stack.append((right[node], [*low[:j], middle, *low[j + 1 :]], high))
