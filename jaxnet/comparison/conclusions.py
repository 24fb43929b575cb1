"""The conclusion of a comparison in words, and what to be warned of."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from jaxnet.comparison import statistics, tuning
from jaxnet.comparison.result_tables import ALPHA, Runs, best_trial
from jaxnet.comparison.tuning import CONTAINED, Search
from jaxnet.io.csv import Row


def audits(
    found: Sequence[Search], tuned: Sequence[Runs], pairs: Sequence[Row]
) -> list[tuple[bool, str]]:
    """Whether rules that include another one have lost to it, which a search enough would forbid.

    Audited is only what was really searched: tier `full`, where the chosen numbers of the one lie
    in the other's search.
    """
    said = []
    for outer, inner in itertools.permutations(range(len(found)), 2):
        names = [found[k].recipe.optimizer.name for k in (outer, inner)]
        parts = [found[k].recipe.parts() | {"optimizer": ""} for k in (outer, inner)]
        contained, numbers = CONTAINED.get(names[0], ("", {}))
        chosen = tuned[inner].recipes[best_trial(tuned[inner])]
        point = numbers | {"learning_rate": tuning.rate_of(chosen)}
        included = contained == names[1] and parts[0] == parts[1] and found[outer].covers(point)
        if found[outer].tier != "full" or not included:
            continue
        a, b = found[outer].label, found[inner].label
        row = next(row for row in pairs if {row["a"], row["b"]} == {a, b})
        lost = row["verdict"].startswith("worse" if row["a"] == a else "better")
        told = ", ".join(f"{name} = {value:g}" for name, value in numbers.items())
        outcome = "lost to it: the search was too small" if lost else "did not lose to it"
        said.append((not lost, f"{a} includes {b} ({told}), and {outcome}."))
    return said


def score_text(score: str) -> Callable[[float], str]:
    """How scores of this kind are written: accuracies in percent."""
    factor, places = (100, 2) if score == "accuracy" else (1, 4)
    # The sum with 0.0 is 0.0, not −0.0.
    return lambda x: f"{round(factor * x, places) + 0.0:.{places}f}".replace("-", "−")


def conclusion(
    summary: Sequence[Row], pairs: Sequence[Row], score: str, margin: float
) -> list[str]:
    """What was found, in sentences."""
    points = score_text(score)
    unit, sign = (" points", " %") if score == "accuracy" else ("", "")
    name = {row["optimizer"]: row["optimizer"] + " (EDGE)" * bool(row["edge"]) for row in summary}
    best = max(summary, key=lambda row: row["test_score"])
    ends = f"{points(best['test_score_low'])} to {points(best['test_score_high'])}"
    said = [
        f"{name[best['optimizer']]} has the best mean test {score}: "
        f"{points(best['test_score'])}{sign} (95 % interval {ends} over {best['seeds']} seeds)."
    ]
    for row in pairs:
        different = not row["verdict"].startswith("indistinguishable")
        # The one that is ahead is named first.
        turned = row["verdict"].startswith("worse") if different else row["difference"] < 0
        a, b, factor = (row["b"], row["a"], -1) if turned else (row["a"], row["b"], 1)
        difference = factor * row["difference"]
        interval = lambda end, row=row, factor=factor: " to ".join(
            points(x) for x in sorted((factor * row[f"low{end}"], factor * row[f"high{end}"]))
        )
        amount = (
            f"{points(difference)}{unit} ({interval('')} over seeds; {interval('_examples')} over "
            "seeds and test examples)"
        )
        p = "p < 0.0001" if row["p_holm"] < 1e-4 else f"p = {row['p_holm']:.2g}"
        if different:
            found = f"{name[a]} is better than {name[b]} by {amount}, {p}."
            if difference < 0:
                found = (
                    f"{name[a]} is ahead of {name[b]} in most seeds, {p}; but its mean is lower, "
                    f"by {points(-difference)}{unit}, since some of its runs are much worse."
                )
        else:
            found = f"{name[a]} and {name[b]} are indistinguishable: {amount}, {p}"
            if math.isfinite(row["detectable"]) and row["detectable"] > 0:
                found += f"; {points(row['detectable'])}{unit} would be found 4 times out of 5"
            found += "."
        if "equivalent" in row["verdict"]:
            found += f" They are equivalent: within {points(margin)}{unit}."
        said.append(found)
    return said


def warnings(
    summary: Sequence[Row],
    tuned: Sequence[Runs],
    n_pairs: int,
    audited: Sequence[tuple[bool, str]],
    margin: float,
) -> list[str]:
    """What a reader has to know before believing the conclusion."""
    n_seeds = summary[0]["seeds"]
    said = [
        f"{row['optimizer']}: the chosen learning rate {row['learning_rate']:g} is at the "
        f"{row['edge'][6:-1]} edge of what was searched (EDGE): its optimum may lie beyond."
        for row in summary
        if row["edge"]
    ]
    if statistics.smallest_p_value(n_seeds) * n_pairs > ALPHA:
        said.append(
            f"{n_seeds} seeds can never show a difference: the smallest p-value that {n_pairs} "
            f"pairs allow is {min(1.0, statistics.smallest_p_value(n_seeds) * n_pairs):.2g}, above "
            f"{ALPHA:g}; take more seeds."
        )
    said += [
        f"{row['optimizer']}: {row['diverged']} of {row['seeds']} runs of the report diverged, and "
        "count with a score of 0."
        for row in summary
        if row["diverged"]
    ]
    for runs in tuned:
        score, by_loss = runs.valid_score.mean(axis=1), best_trial(runs)
        by_score = int(np.argmax(score))
        if score[by_score] - score[by_loss] > margin:
            rates = [tuning.rate_of(runs.recipes[k]) for k in (by_loss, by_score)]
            said.append(
                f"{runs.label}: the validation loss is least at learning rate {rates[0]:.3g}, but "
                f"the score is best at {rates[1]:.3g}, by {score[by_score] - score[by_loss]:.4f} "
                "on validation: selected by the score, it might rank higher."
            )
    return said + [f"Audit: {told}" for passed, told in audited if not passed]
