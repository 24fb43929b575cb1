"""The conclusion of a comparison, and its warnings, in sentences."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from jaxnet.comparison import tuning
from jaxnet.comparison.result_tables import ALPHA, UNDECIDED, Runs, best_trial, smallest_p_holm
from jaxnet.comparison.scores import Score
from jaxnet.comparison.tuning import CONTAINED, Search
from jaxnet.io.csv import Row

N_FIRST = 2
"""Sentences of a conclusion before those of the pairs."""
MOST_PAIRS = 6
"""Pairs up to which a conclusion is read with a sentence for each of them."""


def audits(
    searches: Sequence[Search], tuned: Sequence[Runs], pairs: Sequence[Row]
) -> list[tuple[bool, str]]:
    """Whether each optimizer that includes another one as a special case did as well as that one.

    Momentum with decay = 0 is SGD, so a large enough search of momentum cannot lose to SGD. Only
    pairs are audited in which a search of all numbers covers the chosen ones of the special case.

    Args:
      searches: each contender's search.
      tuned: the runs of each contender under the tuning seeds.
      pairs: the rows of `result_tables.pair_rows`.

    Returns:
      For each audited pair, whether it passed, and a sentence.
    """
    results = []
    for general, special in itertools.permutations(range(len(searches)), 2):
        if not _includes(searches[general], searches[special], tuned[special]):
            continue
        a, b = searches[general].label, searches[special].label
        pair = next(row for row in pairs if {row["a"], row["b"]} == {a, b})
        lost = pair["verdict"].startswith("worse" if pair["a"] == a else "better")
        _, numbers = CONTAINED[searches[general].recipe.optimizer.name]
        numbers_text = ", ".join(f"{name} = {value:g}" for name, value in numbers.items())
        outcome = f"{a} lost to it: the search was too small" if lost else f"{a} did not lose to it"
        results.append((not lost, f"{b} is {a} with {numbers_text}, and {outcome}."))
    return results


def _includes(general: Search, special: Search, tuned: Runs) -> bool:
    """Whether a full search covers the chosen numbers of an optimizer that is its special case.

    Args:
      general: the search that may include the other one.
      special: the search of the special case.
      tuned: the runs of the special case under the tuning seeds.
    """
    special_name, numbers = CONTAINED.get(general.recipe.optimizer.name, ("", {}))
    if general.tier not in ("full", "random") or special_name != special.recipe.optimizer.name:
        return False
    other_parts = [search.recipe.parts() | {"optimizer": ""} for search in (general, special)]
    if other_parts[0] != other_parts[1]:
        return False
    chosen_rate = tuning.rate_of(tuned.recipes[best_trial(tuned)])
    return general.covers(numbers | {"learning_rate": chosen_rate})


def score_text(score: str) -> Callable[[float], str]:
    """A function that writes scores: accuracies in percent with 2 decimals, others with 4.

    Args:
      score: what the score is called: "accuracy", "R²" or that of a metric.

    Returns:
      The function, from a score or a difference of scores to text without a unit.
    """
    factor, places = (100, 2) if score == "accuracy" else (1, 4)

    def text(x: float) -> str:
        if math.isnan(x):
            return "–"
        if math.isinf(x):
            return "∞" if x > 0 else "−∞"
        # The sum with 0.0 is 0.0, not −0.0.
        return f"{round(factor * x, places) + 0.0:.{places}f}".replace("-", "−")

    return text


def conclusion(
    summary: Sequence[Row], pairs: Sequence[Row], score: str, margin: float, n_looks: int = 0
) -> list[str]:
    """The results in sentences: what was found, the best mean, then each pair.

    Args:
      summary: the rows of `result_tables.summary_row`.
      pairs: the rows of `result_tables.pair_rows`.
      score: what the score is called.
      margin: the difference of scores below which two optimizers are equivalent.
      n_looks: for how many looks p-values are corrected; 0 for none.

    Returns:
      The sentences.
    """
    rows, n_pairs = {row["optimizer"]: row for row in summary}, len(pairs)
    corrected = correction(n_pairs, n_looks)
    if all(row["diverged"] == row["seeds"] for row in summary):
        return ["Nothing can be concluded: all runs of the report diverged."]
    return [
        _finding(summary, pairs),
        _best_sentence(summary, score),
        *(
            _pair_sentence(p, rows, score, margin, n_pairs, corrected)
            + _at_odds(p, n_pairs, corrected, n_looks)
            for p in pairs
        ),
    ]


def folded(sentences: Sequence[str], n_pairs: int) -> tuple[list[str], list[str]]:
    """A conclusion in two parts: what to read first, and the sentences of pairs, if there are many.

    Args:
      sentences: those of `conclusion`, and any that follow.
      n_pairs: the number of pairs.

    Returns:
      All sentences and none, of at most `MOST_PAIRS` pairs; otherwise those of pairs are the second
      part.

    >>> folded(["a leads", "a has the best mean", *("pair",) * 10, "10 seeds saved"], 10)[0]
    ['a leads', 'a has the best mean', '10 seeds saved']
    """
    end = N_FIRST + n_pairs
    if n_pairs <= MOST_PAIRS or len(sentences) < end:
        return [*sentences], []
    return [*sentences[:N_FIRST], *sentences[end:]], [*sentences[N_FIRST:end]]


def correction(n_pairs: int, n_looks: int = 0) -> str:
    """What p-values are corrected for, such as "corrected for 3 pairs"; "" for one pair."""
    counts = [f"{n} {noun}" for n, noun in ((n_pairs, "pairs"), (n_looks, "looks")) if n > 1]
    return f"corrected for {' and '.join(counts)}" if counts else ""


def _finding(summary: Sequence[Row], pairs: Sequence[Row]) -> str:
    """Which optimizers are better than which, by the tests; no means, which may differ by luck."""
    names = {row["optimizer"]: _name(row) for row in summary}
    better_than: dict[str, list[str]] = {label: [] for label in names}
    for pair in pairs:
        if pair["verdict"].startswith(("better", "worse")):
            first, second = ("a", "b") if pair["verdict"].startswith("better") else ("b", "a")
            better_than[pair[first]].append(pair[second])
    beaten = {loser for losers in better_than.values() for loser in losers}
    leaders = [label for label in names if label not in beaten]
    others = [label for label in names if label in beaten]
    if not beaten:
        cannot = smallest_p_holm(summary[0]["seeds"], len(pairs)) > ALPHA
        how = "could be found: there are too few seeds" if cannot else "could be found"
        return f"No difference between {listed(list(names.values()))} {how}."
    if len(leaders) == 1 and set(better_than[leaders[0]]) == {*others}:
        return f"{names[leaders[0]]} is better than {listed([names[label] for label in others])}."
    worse = [
        f"{names[label]} is worse than "
        + listed([names[winner] for winner in names if label in better_than[winner]])
        for label in others
    ]
    if len(leaders) == 1:
        worse.insert(0, f"None is better than {names[leaders[0]]}")
    elif leaders:  # there are none if each is worse than some other
        equal = listed([names[label] for label in leaders])
        worse.insert(0, f"No difference between {equal} could be found")
    return f"{'; '.join(worse)}."


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    Args:
      names: one name or more.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _best_sentence(summary: Sequence[Row], score: str) -> str:
    """The optimizer with the best mean; where no mean is finite, those that diverged least."""
    text = score_text(score)
    best = max(summary, key=lambda row: row["test_score"])
    n_seeds, mean = best["seeds"], text(best["test_score"])
    if math.isinf(best["test_score"]):
        fewest = min(row["diverged"] for row in summary)
        names = [_name(row) for row in summary if row["diverged"] == fewest]
        have = f"{names[0]} has" if len(names) == 1 else f"{' and '.join(names)} each have"
        return (
            f"No optimizer has a finite mean test {score}, since runs of all of them failed; "
            f"{have} the fewest that diverged, {fewest} of {n_seeds}."
        )
    percent = "%" if score == "accuracy" else ""
    interval = f"{text(best['test_score_low'])} to {text(best['test_score_high'])}"
    return (
        f"{_name(best)} has the best mean test {score}: {mean}{percent} "
        f"(95% interval {interval} over {n_seeds} seeds)."
    )


def _name(row: Row) -> str:
    """An optimizer's label from its summary, with (EDGE) if its learning rate is at an edge."""
    return row["optimizer"] + " (EDGE)" * bool(row["edge"])


def _p_text(row: Row, corrected: str) -> str:
    """The p-value of a pair, and what it is corrected for."""
    p = "p < 0.0001" if row["p_holm"] < 1e-4 else f"p = {row['p_holm']:.2g}"
    return f"{p} ({corrected})" if corrected else p


def _at_odds(row: Row, n_pairs: int, corrected: str, n_looks: int) -> str:
    """What decided, in a sentence, where an interval seems to say otherwise; "" elsewhere."""
    is_different = not row["verdict"].startswith("indistinguishable")
    ends = [(row[f"low{suffix}"], row[f"high{suffix}"]) for suffix in ("", "_examples")]
    if row["verdict"] == UNDECIDED or not all(map(math.isfinite, (*ends[0], *ends[1]))):
        return ""
    odd = [(low > 0 or high < 0) != is_different for low, high in ends]
    if not any(odd):
        return ""
    which = ("Both intervals", "The interval over seeds", "The interval over seeds and examples")
    subject = which[0] if all(odd) else which[1 + odd.index(True)]
    verb = ("include" if is_different else "exclude") + ("" if all(odd) else "s")
    test = "the signed-rank test over seeds"
    if n_looks:  # the interval is that of the last look, and a verdict may be older
        test = "the signed-rank test over the seeds of one of the looks"
    if n_pairs == 1:
        how = f"{corrected}, at" if corrected else "at"
        return f" {subject} {verb} 0, but {test} decides, {how} p < {ALPHA:g}."
    return (
        f" {subject} {verb} 0, but {'is' if not all(odd) else 'are'} for this pair alone: {test} "
        f"decides, {corrected}, at p < {ALPHA:g}."
    )


def _pair_sentence(
    row: Row,
    summary: dict[str, Row],
    score: str,
    margin: float,
    n_pairs: int,
    corrected: str,
) -> str:
    """The result of one pair in a sentence or two; the optimizer that is ahead comes first."""
    is_different = not row["verdict"].startswith("indistinguishable")
    b_is_ahead = row["verdict"].startswith("worse") if is_different else row["difference"] < 0
    first, second = (summary[row[name]] for name in ("ba" if b_is_ahead else "ab"))
    a, b, sign = _name(first), _name(second), -1 if b_is_ahead else 1
    if row["verdict"] == UNDECIDED:
        return f"{a} and {b} cannot be compared: all their runs diverged."
    text, unit = score_text(score), " points" if score == "accuracy" else ""
    p = _p_text(row, corrected)
    difference = sign * row["difference"]
    if not math.isfinite(difference):
        outcome = f"{a} and {b} are indistinguishable"
        if is_different:
            outcome = f"{a} is ahead of {b} in most seeds"
        return (
            f"{outcome}, {p}; the difference has no finite mean, since {_failures(first, second)}."
        )

    def interval(suffix: str) -> str:
        ends = sorted((sign * row[f"low{suffix}"], sign * row[f"high{suffix}"]))
        return " to ".join(map(text, ends))

    amount = (
        f"{text(difference)}{unit} (95% intervals: {interval('')} over seeds, "
        f"{interval('_examples')} over seeds and test examples)"
    )
    if is_different and difference < 0:
        sentence = (
            f"{a} is ahead of {b} in most seeds, {p}; but its mean is lower, by "
            f"{text(-difference)}{unit}, since some of its runs are much worse."
        )
    elif is_different:
        sentence = f"{a} is better than {b} by {amount}, {p}."
    else:
        is_hopeless = smallest_p_holm(first["seeds"], n_pairs) > ALPHA
        outcome = f"cannot be told apart by {first['seeds']} seeds, which are too few"
        outcome = outcome if is_hopeless else "are indistinguishable"
        sentence = f"{a} and {b} {outcome}: the difference is {amount}, {p}."
        if not is_hopeless and math.isfinite(row["detectable"]) and row["detectable"] > 0:
            sentence += (
                f" With {first['seeds']} seeds, a true difference of "
                f"{text(row['detectable'])}{unit} would be detected with a probability of 80%."
            )
    if "equivalent" in row["verdict"]:
        sentence += (
            " They are equivalent: the interval over seeds and test examples lies within "
            f"±{text(margin)}{unit}."
        )
    return sentence


def _failures(*rows: Row) -> str:
    """How many runs of two optimizers diverged; without any, a score itself was not finite."""
    counts = [
        f"{row['diverged']} of {row['seeds']} runs of {_name(row)}"
        for row in rows
        if row["diverged"]
    ]
    return f"{' and '.join(counts)} diverged" if counts else "some runs have no finite score"


def warnings(
    summary: Sequence[Row],
    tuned: Sequence[Runs],
    pairs: Sequence[Row],
    audited: Sequence[tuple[bool, str]],
    score: Score,
    margin: float,
) -> list[str]:
    """Reasons, in sentences, to doubt the conclusion.

    Args:
      summary: the rows of `result_tables.summary_row`.
      tuned: the runs of each contender under the tuning seeds.
      pairs: the rows of `result_tables.pair_rows`, for whose number p-values are corrected.
      audited: the result of `audits`.
      score: what judges the networks.
      margin: there is a warning where selecting trials by validation score, and not by loss, would
        raise the score by more than this.

    Returns:
      The sentences; none if there is nothing to warn of.
    """
    n_seeds, n_pairs = summary[0]["seeds"], len(pairs)
    worst = "−∞" if math.isinf(score.of_diverged) else f"{score.of_diverged:g}"
    sentences = [
        f"{row['optimizer']}: the chosen learning rate {row['learning_rate']:g} is at the "
        f"{row['edge'][6:-1]} edge of the searched range (EDGE); the optimum may lie outside."
        for row in summary
        if row["edge"]
    ]
    smallest_p = smallest_p_holm(n_seeds, n_pairs)
    if smallest_p > ALPHA:
        sentences.append(
            f"{n_seeds} seeds can never show a difference: the smallest p-value of the test, "
            f"corrected for {n_pairs} {'pair' if n_pairs == 1 else 'pairs'}, is "
            f"{smallest_p:.2g}, above {ALPHA:g}; use more seeds."
        )
    sentences += [
        f"{row['optimizer']}: {row['diverged']} of {row['seeds']} runs of the report diverged; "
        f"each counts with a score of {worst}."
        for row in summary
        if row["diverged"]
    ]
    if score.metric is None:  # else the score itself selects
        sentences += [sentence for runs in tuned if (sentence := _selection_warning(runs, margin))]
    return sentences + [f"Audit: {sentence}" for passed, sentence in audited if not passed]


def _selection_warning(runs: Runs, margin: float) -> str:
    """A sentence if the best validation score is at another trial than the least validation loss.

    It is empty if the score there is better by at most the margin.
    """
    mean_scores = runs.valid_score.mean(axis=1)
    by_loss, by_score = best_trial(runs), int(np.argmax(mean_scores))
    gain = mean_scores[by_score] - mean_scores[by_loss]
    if not gain > margin:
        return ""
    rate_by_loss, rate_by_score = (
        tuning.rate_of(runs.recipes[trial]) for trial in (by_loss, by_score)
    )
    return (
        f"{runs.label}: the validation loss is lowest at learning rate {rate_by_loss:.3g}, but the "
        f"validation score is highest at {rate_by_score:.3g}, where it is {gain:.4f} higher; "
        f"selected by the score, {runs.label} might rank higher."
    )
