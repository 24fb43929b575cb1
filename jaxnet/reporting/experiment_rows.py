"""Rows of results: a number of ours beside a published one, and whether it is reproduced."""

from collections.abc import Sequence
from typing import NamedTuple, SupportsFloat

import numpy as np
from scipy import stats

from jaxnet.core.types import AnyArray
from jaxnet.io import reading
from jaxnet.io.csv import Row

LEAST_SEEDS = 16
"""Seeds that a verdict on a published number or a claim needs at least."""
Values = AnyArray | Sequence[float]
"""Numbers, one for each seed."""


class Summary(NamedTuple):
    """The numbers of a row. A number that is not known is NaN."""

    mean: float
    """The mean, or the only value."""
    low: float
    """The lower end of the interval."""
    high: float
    """The upper end of the interval."""
    sd: float = np.nan
    """The standard deviation over the seeds."""


def make_row(
    name: str,
    summary: Summary,
    n_seeds: int,
    verdict: str,
    *,
    published: float | None = None,
    unit: str = "",
    why: str = "",
) -> Row:
    """A row of a table of results, with the verdict that the caller has reached.

    The other constructors decide on the verdict themselves, and make their rows with this one.

    Args:
      name: the quantity that was measured.
      summary: its mean, interval and standard deviation. A number that is not finite becomes None,
        because JSON has no NaN.
      n_seeds: how many values were summarized.
      verdict: the conclusion, in words.
      published: the number that a source states, in the unit of the mean; None if there is none.
      unit: "%" if the numbers are fractions to be shown as percentages, or "".
      why: the reason for a verdict of "differs" or "undecided"; dropped with any other verdict.

    Returns:
      The row, whose entries are JSON's types.

    >>> make_row("seconds", Summary(1.5, 1.4, 1.6), 3, "fast")["sd"] is None
    True
    """
    numbers = {
        key: float(number) if np.isfinite(number) else None
        for key, number in summary._asdict().items()
    }
    return {
        "name": name,
        "published": published,
        **numbers,
        "n_seeds": n_seeds,
        "verdict": verdict,
        "unit": unit,
        "log": False,
        "why": why if verdict in ("differs", "undecided") else "",
        "claimed": False,
    }


def check_row(row: object) -> None:
    """Check that a row that was read from a file is one that `make_row` made.

    Args:
      row: the row.

    Raises:
      ValueError: it has other entries, or an entry of another type; the message is a bare reason.
    """
    if not isinstance(row, dict):
        raise ValueError(f"its row {row!r} is not an object")
    number = (int, float, type(None))
    numbers = dict.fromkeys(("published", *Summary._fields), number)
    texts = dict.fromkeys(("name", "verdict", "unit", "why"), str)
    flags = {"log": bool, "claimed": bool}
    reading.check_types(row, {**numbers, **texts, **flags, "n_seeds": int})


def estimate_row(
    name: str,
    values: Values,
    published: float | None = None,
    unit: str = "%",
    log: bool = False,
    why: str = "",
) -> Row:
    """A row with the mean over seeds, and a verdict on a published number if there is one.

    A published number is *reproduced* within mean ± t·s·√(1 + 1/n), the 95% prediction interval
    for one more run. Without a published number the interval is that of the mean, mean ± t·s/√n,
    and the verdict is empty. With fewer than `LEAST_SEEDS` values the verdict is "too few seeds";
    with a value that is not finite it is "diverged".

    Args:
      name: the quantity that was measured.
      values: a number for each seed; a fraction where the unit is "%".
      published: the number that a source states, in the unit of the values.
      unit: "%" or "".
      log: judge the logarithms of the values, as is right for norms and costs. The mean is then the
        geometric one, and the standard deviation a factor.
      why: the reason if the verdict is "differs"; dropped otherwise.

    Returns:
      The row.

    >>> row = estimate_row("accuracy", np.linspace(0.95, 0.96, 16), published=0.957)
    >>> row["verdict"], round(row["low"], 3), row["n_seeds"]
    ('reproduced', 0.948, 16)
    """
    values = np.asarray(values, float)
    n = len(values)
    if n < 2:
        summary = Summary(values[0] if n else np.nan, np.nan, np.nan)
        return make_row(name, summary, n, "too few seeds", published=published, unit=unit)
    if not np.isfinite(values).all():
        summary = Summary(np.nan, np.nan, np.nan)
        return make_row(name, summary, n, "diverged", published=published, unit=unit)
    judged = np.log(values) if log else values
    mean, sd = judged.mean(), judged.std(ddof=1)
    factor = np.sqrt(1 / n) if published is None else np.sqrt(1 + 1 / n)
    half_width = stats.t.ppf(0.975, n - 1) * sd * factor
    summary = Summary(mean, mean - half_width, mean + half_width, sd)
    if log:
        summary = Summary(*np.exp(summary))
    if published is None:
        verdict = ""
    elif n < LEAST_SEEDS:
        verdict = "too few seeds"
    else:
        verdict = "reproduced" if summary.low <= published <= summary.high else "differs"
    row = make_row(name, summary, n, verdict, published=published, unit=unit, why=why)
    return row | {"log": log}


def difference_row(
    name: str, a: Values, b: Values, unit: str = "%", claimed: bool = False, why: str = ""
) -> Row:
    """A row for whether a is more than b: the mean paired difference a − b, with its t-interval.

    The verdict is "more" or "less" if the 95% interval excludes 0, and "undecided" otherwise. If a
    source claims that a is more, it is "reproduced" in place of "more" and "differs" in place of
    "less", and "too few seeds" with fewer than `LEAST_SEEDS` pairs.

    Args:
      name: the question.
      a: a number for each seed.
      b: a number for each of the same seeds, in the same order.
      unit: "%" or "".
      claimed: whether a source claims that a is more.
      why: the reason if the verdict is "differs" or "undecided"; dropped otherwise.

    Returns:
      The row.

    >>> difference_row("a − b", [0.97, 0.96, 0.98], [0.95, 0.95, 0.96])["verdict"]
    'more'
    """
    row = estimate_row(name, np.asarray(a, float) - np.asarray(b, float), unit=unit)
    row["claimed"] = claimed
    if row["low"] is None:
        return row
    if claimed and row["n_seeds"] < LEAST_SEEDS:
        verdict = "too few seeds"
    elif row["low"] > 0:
        verdict = "reproduced" if claimed else "more"
    elif row["high"] < 0:
        verdict = "differs" if claimed else "less"
    else:
        verdict = "undecided"
    row["verdict"] = verdict
    row["why"] = why if verdict in ("differs", "undecided") else ""
    return row


def digits_row(
    name: str, value: SupportsFloat, published: float, places: int, why: str = ""
) -> Row:
    """A row for a number without chance in it: *reproduced* if it rounds to the published one.

    Args:
      name: the quantity that was calculated.
      value: the number.
      published: the number that a source states.
      places: decimal places of the published number; negative before the decimal point.
      why: the reason if the verdict is "differs"; dropped otherwise.

    Returns:
      The row.

    >>> digits_row("half of an eighth", 0.0625, 0.06, places=2)["verdict"]
    'reproduced'
    """
    number = float(value)
    verdict = "reproduced" if abs(number - published) <= 0.5 / 10**places else "differs"
    summary = Summary(number, number, number)
    return make_row(name, summary, 1, verdict, published=published, why=why)


def claim_row(name: str, value: SupportsFloat, holds: bool | np.bool, why: str = "") -> Row:
    """A row for a published claim that involves no randomness: *reproduced* if it holds.

    Args:
      name: the claim.
      value: the number that decides it.
      holds: whether the claim is true.
      why: the reason if it is not.

    Returns:
      The row.

    >>> claim_row("epoch of the largest fall", 1, holds=True)["verdict"]
    'reproduced'
    """
    verdict = "reproduced" if holds else "differs"
    summary = Summary(float(value), float(value), float(value))
    return make_row(name, summary, 1, verdict, why=why) | {"claimed": True}


def bound_row(name: str, values: Values, bound: float) -> Row:
    """A row for errors that must not exceed a bound: their mean, the smallest and the largest.

    Args:
      name: the error that was measured.
      values: all errors.
      bound: the largest error that is allowed.

    Returns:
      The row; its verdict is "all within …" or "BEYOND …".

    >>> bound_row("distance", [1e-12, 3e-12], 1e-10)["verdict"]
    'all within 1e-10'
    """
    values = np.asarray(values, float)
    verdict = f"{'all within' if values.max() <= bound else 'BEYOND'} {bound:.0e}"
    summary = Summary(values.mean(), values.min(), values.max())
    return make_row(name, summary, len(values), verdict)


def share_row(
    name: str,
    outcomes: AnyArray | Sequence[bool | np.bool_],
    low: float | None = None,
    high: float = 1.0,
    note: str = "",
) -> Row:
    """A row for how often something happened, with Clopper and Pearson's 95% interval.

    Args:
      name: the event.
      outcomes: for each trial, whether it happened.
      low: the smallest share that is right, from 0 to 1; None leaves the share unjudged.
      high: the largest share that is right.
      note: a text after the verdict.

    Returns:
      The row; its verdict is "right" or "WRONG", or empty without `low`, and then the note.

    >>> share_row("heads", np.arange(100) % 2 == 0, 0.4, 0.6)["verdict"]
    'right'
    """
    happened = np.asarray(outcomes, bool)
    share = happened.mean()
    interval = stats.binomtest(int(happened.sum()), len(happened)).proportion_ci(0.95)
    verdict = ""
    if low is not None:
        verdict = "right" if low <= share <= high else "WRONG"
    summary = Summary(share, interval.low, interval.high)
    return make_row(name, summary, len(happened), verdict + note, unit="%")


def cells(row: Row) -> dict[str, str]:
    """The texts that a table shows of a row, by heading.

    Args:
      row: the row.

    Returns:
      The headings, from left to right, and the text under each.

    >>> cells(estimate_row("a", [0.5, 0.5], unit="%"))["mean ± SD"]
    '50.00 ± 0.00'
    >>> cells(digits_row("weights", 13002, 13002, places=0))["published"]
    '13,002'
    """
    is_percentage = row["unit"] == "%"

    def text(x: float | None) -> str:
        if x is None:
            return ""
        if is_percentage:
            return f"{100 * x:.2f}"
        return f"{x:,.0f}" if 1000 <= abs(x) < 1e6 else f"{x:.3g}"

    mean, interval = text(row["mean"]), ""
    if row["sd"] is not None:
        mean += f" {'×/÷' if row['log'] else '±'} {text(row['sd'])}"
    if row["low"] is not None:
        interval = f"{text(row['low'])} … {text(row['high'])}"
    return {
        "": row["name"] + (", %" if is_percentage else ""),
        "published": text(row["published"]),
        "mean ± SD": mean,
        "95% interval": interval,
        "n": str(row["n_seeds"]),
        "verdict": row["verdict"],
    }


def headings(rows: Sequence[Row], is_smoke: bool = False) -> list[str]:
    """The headings of a table of rows; "published" only if a row has a published number.

    Args:
      rows: at least one row.
      is_smoke: whether they are a smoke test's, whose numbers are not judged: then there is no
        "verdict".

    Returns:
      The headings from left to right, which are keys of `cells`.

    >>> headings([bound_row("distance", [1e-12], 1e-10)])
    ['', 'mean ± SD', '95% interval', 'n', 'verdict']
    """
    any_published = any(row["published"] is not None for row in rows)
    left_out = {"published"} if not any_published else set()
    if is_smoke:
        left_out.add("verdict")
    return [name for name in cells(rows[0]) if name not in left_out]
