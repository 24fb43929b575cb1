"""The HTML page of a comparison: conclusion, tables and figures in one file that opens offline."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxnet.comparison import Comparison, conclusions, looks, read
from jaxnet.core.deprecation import renamed_arguments, renamed_attributes
from jaxnet.io import csv, files
from jaxnet.io.csv import Row
from jaxnet.reporting import comparison_plots, html_page, plots
from jaxnet.reporting.across_page import publish_across as publish_across
from jaxnet.reporting.html_page import Column, Top, table
from jaxnet.reporting.page_pictures import Picture, of_figure, of_png

FEW_SEEDS = 16
"""Seeds below which a page calls itself a quick look."""


def publish(folder: str | Path, command: str = "") -> Comparison:
    """Draw all figures of a finished comparison, and write its page, report.html.

    Args:
      folder: the comparison's folder, in which the figures (PNG) and the page are written; older
        ones are replaced.
      command: the command that compares again, for the page; by default there is none.

    Returns:
      The comparison.

    Raises:
      ValueError: the folder holds no comparison, or an unfinished one.

    >>> import tempfile
    >>> import jaxnet as jn
    >>> net, data = jn.Network((2, 4, 2)), jn.datasets.xor()
    >>> options = {"tier": "defaults", "epochs": 2, "seeds": 8, "tuning_seeds": 1, "log": None}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = jn.compare(net, data, ["sgd", "adam"], timing=False, folder=folder, **options)
    ...     _ = publish(folder)
    ...     sorted(path.name for path in Path(folder).glob("*.png"))
    ['curves.png', 'differences.png', 'strips.png', 'time_to_target.png']
    """
    folder = Path(folder)
    comparison = read(folder)
    figures = comparison_plots.draw_figures(comparison)
    for name, (figure, _) in figures.items():
        files.write_atomic(folder / f"{name}.png", plots.png(figure))
    shown = [
        of_figure(name.replace("_", " "), figure, caption)
        for name, (figure, caption) in figures.items()
    ]
    finished = html_page.date_text((folder / "manifest.json").stat().st_mtime)
    text = _page(comparison, shown, finished, command)
    files.write_atomic(folder / "report.html", text.encode())
    return comparison


def publish_profile(folder: str | Path, rows: Sequence[Row]) -> None:
    """Write performance profiles over several tasks: profile.csv, and the figure profile.png.

    Args:
      folder: the folder to write to, which must exist.
      rows: a row for each optimizer and factor, as `jaxnet.comparison.result_tables.profile_rows`
        returns: "optimizer", "factor" (at least 1) and "fraction" (of tasks and targets, in
        [0, 1], on which the optimizer is at most this factor slower than the fastest one).

    Raises:
      OSError: a file cannot be written.

    >>> import tempfile
    >>> rows = [{"optimizer": "sgd", "factor": factor, "fraction": 1.0} for factor in (1.0, 2.0)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     publish_profile(folder, rows)
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['profile.csv', 'profile.png']
    """
    csv.write_csv(Path(folder) / "profile.csv", rows)
    content = plots.png(comparison_plots.profile(rows))
    files.write_atomic(Path(folder) / "profile.png", content)


@renamed_arguments(found="comparison", drawn="figures")
def page(comparison: Comparison, figures: Mapping[str, tuple[bytes, str]]) -> str:
    """The page of a comparison, as the content of an HTML file.

    Args:
      comparison: the comparison.
      figures: the images to include, by name: the content of a PNG file and a caption. The mapping
        may be empty.

    Returns:
      The page, with all images inside.

    >>> import jaxnet as jn
    >>> comparison = jn.compare(
    ...     jn.Network((2, 4, 2)), jn.datasets.xor(), ["sgd", "adam"], tier="defaults", epochs=2,
    ...     seeds=8, tuning_seeds=1, timing=False, log=None,
    ... )
    >>> "<h1>sgd and adam</h1>" in page(comparison, {})
    True
    """
    shown = [
        of_png(name.replace("_", " "), content, caption)
        for name, (content, caption) in figures.items()
    ]
    return _page(comparison, shown)


def _page(
    comparison: Comparison, figures: Sequence[Picture], date: str = "", command: str = ""
) -> str:
    """The page with these figures, of a comparison that was finished at a date."""
    manifest = comparison.manifest
    ranked = sorted(comparison.summary, key=lambda row: -row["test_score"])
    names = [row["optimizer"] for row in comparison.summary]
    facts = [
        ("Task", _settings_text(comparison)),
        ("Data", f"{_data_text(comparison)}; SHA-256 {manifest['data_sha256'][:16]}…"),
        ("Date", date),
        ("Versions", html_page.versions_text(manifest)),
    ]
    title = conclusions.listed(names)
    first, of_pairs = conclusions.folded(comparison.conclusion, len(comparison.pairwise))
    timing = f" {_TIMING_NOTE}" if comparison.timing else ""
    return html_page.render(
        "comparison.html",
        Top(_kind(comparison), title, facts, command, tuple(comparison.warnings)),
        conclusion=first,
        conclusion_of_pairs=of_pairs,
        scores=table("", ranked, _summary_columns(comparison), ("chosen",)),
        pairs=table(
            "",
            comparison.pairwise,
            _pair_columns(comparison),
            ("verdict",),
            _pairs_note(comparison),
        ),
        looks=table(
            "", comparison.looks, _look_columns(comparison), ("pair", "state"), _LOOKS_NOTE
        ),
        speed=table("", comparison.time_to_target, _speed_columns(comparison), note=_SPEED_NOTE),
        robustness=table(
            "", ranked, _robustness_columns(comparison), note=_ROBUSTNESS_NOTE + timing
        ),
        figures=figures,
        protocol=_protocol_text(comparison),
        details=_details(comparison),
    )


def _kind(comparison: Comparison) -> str:
    """What the page is of; of few seeds, that it is a quick look."""
    kind, n_seeds = "Comparison of optimizers", len(looks.taken_seeds(comparison.manifest))
    if n_seeds >= FEW_SEEDS or comparison.looks:
        return kind
    epochs = comparison.manifest["protocol"]["epochs"]
    return f"{kind} · QUICK LOOK: {epochs} epoch{'s' * (epochs > 1)}, {n_seeds} seeds"


_TEST = (
    "the Wilcoxon signed-rank test over these seeds, with Holm's correction for all pairs, rejects "
    "at the 5% level."
)
_TEST_IN_LOOKS = (
    "at one of the looks the exact signed-rank test over the seeds so far, with Holm's correction "
    "for all pairs, rejects at the look's part of the error of 5%."
)
_PAIRS_NOTE = (
    "The difference is the first optimizer's test score minus the second's, paired by seed. "
    "P(first better) is the fraction of seeds in which the first scores higher; ties count one "
    "half. p is the p-value of the Wilcoxon signed-rank test over the seeds, with Holm's "
    "correction for all pairs{looks}. Detectable is the true difference that the test would detect "
    "with a probability of 80%. Single-seed studies are simulated: the number says how often the "
    "first optimizer would rank above the second if each were tuned, with all trials, and reported "
    "under one of the tuning seeds (usual_study.csv has smaller numbers of trials)."
)
_LOOKS_NOTE = (
    "Each look has all seeds so far, and its part of the error of 5%. Its intervals have a level "
    "of 1 minus this part, so that those of all looks together hold with a probability of at least "
    "95%. p is the p-value of the exact signed-rank test, corrected for all pairs and looks; a "
    "verdict of an earlier look stands."
)
_SPEED_NOTE = (
    "Medians are Kaplan–Meier estimates, to a whole epoch. A run that did not reach the target, or "
    "diverged, is censored at the last epoch."
)
_ROBUSTNESS_NOTE = (
    "Good learning rates: the width, in decades, of the range around the best one in which the "
    "validation score is within 0.01 of the best."
)
_TIMING_NOTE = "Seconds per epoch are of a network that trains alone, without compilation."


def _pairs_note(comparison: Comparison) -> str:
    """What has to be known to read the table of pairs."""
    return _PAIRS_NOTE.format(looks=" and looks" if comparison.looks else "")


def _settings_text(comparison: Comparison) -> str:
    """Network, mini-batches, epochs and seeds in a sentence."""
    manifest, protocol = comparison.manifest, comparison.manifest["protocol"]
    return (
        f"{manifest['network']}, mini-batches of {protocol['batch_size']}, {protocol['epochs']} "
        f"epochs; {len(looks.taken_seeds(manifest))} fresh seeds"
    )


def _data_text(comparison: Comparison) -> str:
    """The sizes of the data."""
    n_train, n_valid, n_test = comparison.manifest["examples"]
    return f"{n_train:,} training, {n_valid:,} validation, {n_test:,} test examples"


def _score_text(comparison: Comparison) -> Callable[[float], str]:
    """The function that writes the scores of a comparison."""
    return conclusions.score_text(comparison.manifest["score"])


def _summary_columns(comparison: Comparison) -> list[Column]:
    """The columns of the table of test scores, for rows of `Comparison.summary`."""
    text, kind = _score_text(comparison), comparison.manifest["score"]
    unit = " (%)" if kind == "accuracy" else ""
    return [
        ("optimizer", lambda row: row["optimizer"]),
        ("chosen", lambda row: chosen_hyperparameters(comparison, row)),
        (f"test {kind}{unit}",
         lambda row: f"{text(row['test_score'])} ± {text(row['test_score_sd'])}"),
        ("95% interval over seeds",
         lambda row: f"{text(row['test_score_low'])}–{text(row['test_score_high'])}"),
        ("over seeds and examples", lambda row: f"{text(row['test_score_low_examples'])}–"
                                                f"{text(row['test_score_high_examples'])}"),
        ("IQM", lambda row: text(row["test_score_iqm"])),
        ("10% quantile", lambda row: text(row["test_score_q10"])),
        ("test loss", lambda row: _number(row["test_loss"])),
        ("diverged", lambda row: f"{row['diverged']} of {row['seeds']}"),
    ]  # fmt: skip


def _pair_columns(comparison: Comparison) -> list[Column]:
    """The columns of the table of pairs, for rows of `Comparison.pairwise`."""
    text = _score_text(comparison)

    def single_seed_studies(pair: Row) -> str:
        rows = [row for row in comparison.usual_study
                if (row["a"], row["b"]) == (pair["a"], pair["b"])]  # fmt: skip
        with_all_trials = max(rows, key=lambda row: row["trials"])
        return f"{100 * with_all_trials['p_a_better']:.0f}%"

    return [
        ("", lambda row: f"{row['a']} − {row['b']}"),
        ("difference", lambda row: text(row["difference"])),
        ("95% interval over seeds", lambda row: f"{text(row['low'])} to {text(row['high'])}"),
        ("over seeds and examples",
         lambda row: f"{text(row['low_examples'])} to {text(row['high_examples'])}"),
        ("P(first better)", lambda row: f"{row['p_a_better']:.2f}"),
        ("p", lambda row: _p(row["p_holm"])),
        ("verdict", lambda row: row["verdict"]),
        ("detectable",
         lambda row: text(row["detectable"]) if math.isfinite(row["detectable"]) else "–"),
        ("first ahead in single-seed studies", single_seed_studies),
    ]  # fmt: skip


def _look_columns(comparison: Comparison) -> list[Column]:
    """The columns of the table of looks, for rows of `Comparison.looks`."""
    text = _score_text(comparison)
    return [
        ("look", lambda row: str(row["look"])),
        ("seeds", lambda row: str(row["seeds"])),
        ("part of the error", lambda row: f"{row['alpha']:.2%}"),
        ("pair", lambda row: f"{row['a']} − {row['b']}"),
        ("difference", lambda row: text(row["difference"])),
        ("interval over seeds", lambda row: f"{text(row['low'])} to {text(row['high'])}"),
        ("width", lambda row: text(row["width"]) if math.isfinite(row["width"]) else "–"),
        ("p", lambda row: _p(row["p_adjusted"])),
        ("state", lambda row: row["state"]),
    ]


def _p(p: float) -> str:
    """A p-value."""
    return f"{p:.2g}" if p >= 1e-4 else "< 0.0001"


def _looks_text(comparison: Comparison) -> str:
    """When the report stopped, in a sentence; "" for a fixed number of seeds."""
    if not comparison.looks:
        return ""
    sizes = list(map(str, comparison.manifest["looks"]["seeds"]))
    score, until = comparison.manifest["score"], comparison.manifest["protocol"]["until"]
    return (
        f"Seeds were added in looks that were fixed before the training, at "
        f"{conclusions.listed(sizes)} seeds, until each pair had a verdict or an "
        f"interval narrower than {looks.width_text(until, score)}. "
    )


def _speed_columns(comparison: Comparison) -> list[Column]:
    """The columns of the table of targets, for rows of `Comparison.time_to_target`."""

    def median(row: Row, name: str, form: str) -> str:
        return format(row[name], form) if math.isfinite(row[name]) else "not reached"

    def seconds(row: Row) -> str:
        epoch = comparison.timing.get(row["optimizer"], math.nan)
        total = row["median_epochs"] * epoch
        return f"{total:.2g}" if math.isfinite(total) else "–"

    columns: list[Column] = [
        ("optimizer", lambda row: row["optimizer"]),
        ("target on validation", lambda row: f"{row['target']:g}"),
        ("median epochs", lambda row: median(row, "median_epochs", "g")),
        ("median steps", lambda row: median(row, "median_steps", ",.0f")),
        ("reached by", lambda row: f"{row['fraction_reached'] * 100:.0f}%"),
    ]
    return columns + ([("median seconds", seconds)] if comparison.timing else [])


def _robustness_columns(comparison: Comparison) -> list[Column]:
    """The columns of the table of robustness, for rows of `Comparison.summary`."""
    text = _score_text(comparison)

    def epoch_seconds(row: Row) -> str:
        return _number(comparison.timing.get(row["optimizer"], math.nan))

    columns: list[Column] = [
        ("optimizer", lambda row: row["optimizer"]),
        ("trials", lambda row: str(row["trials"])),
        ("good learning rates (decades)", lambda row: _number(row["good_decades"])),
        ("SD over seeds", lambda row: text(row["test_score_sd"])),
        ("diverged in tuning",
         lambda row: f"{row['tuning_diverged']} of {row['trials'] * row['tuning_seeds']}"),
    ]  # fmt: skip
    return columns + ([("seconds per epoch", epoch_seconds)] if comparison.timing else [])


def chosen_hyperparameters(comparison: Comparison, row: Row) -> str:
    """The tuned hyperparameters of an optimizer as text, such as "learning rate 0.1".

    Args:
      comparison: the comparison.
      row: the optimizer's row of `comparison.summary`.

    Returns:
      The names and values, with "EDGE (low)" or "EDGE (high)" if the learning rate is at an edge of
      the searched range; "defaults" if nothing was tuned.

    >>> import jaxnet as jn
    >>> comparison = jn.compare(
    ...     jn.Network((2, 4, 2)), jn.datasets.xor(), ["sgd", "adam"], tier="defaults", epochs=2,
    ...     seeds=8, tuning_seeds=1, timing=False, log=None,
    ... )
    >>> chosen_hyperparameters(comparison, comparison.summary[0])
    'defaults'
    """
    search = comparison.manifest["searches"][row["optimizer"]]
    if search["tier"] == "defaults":
        return "defaults"
    names = ["learning_rate", *search.get("others", [])]
    numbers = ", ".join(f"{name.replace('_', ' ')} {row[name]:.4g}" for name in names)
    return f"{numbers} {row['edge']}" if row["edge"] else numbers


def _protocol_text(comparison: Comparison) -> str:
    """The protocol in sentences."""
    protocol = comparison.manifest["protocol"]
    unit = " points" if comparison.manifest["score"] == "accuracy" else ""
    equivalent = (
        " They are called equivalent if the 95% interval of their difference over seeds and test "
        f"examples lies within ±{_score_text(comparison)(protocol['margin'])}{unit}."
    )
    return (
        f"{_tuning_text(comparison)} The report trains the selected recipes under "
        f"{len(looks.taken_seeds(comparison.manifest))} other seeds and gives scores on the test "
        "set, which selected nothing. Under each seed, all "
        f"{len(comparison.manifest['searches'])} optimizers have the same initial weights and "
        f"mini-batches. {_looks_text(comparison)}Two optimizers are called different if "
        + (_TEST_IN_LOOKS if comparison.looks else _TEST)
        + (equivalent if protocol["margin"] else "")
    )


def _tuning_text(comparison: Comparison) -> str:
    """How hyperparameters were tuned and selected, in sentences."""
    protocol = comparison.manifest["protocol"]
    if protocol["tier"] == "defaults":
        return "Nothing was tuned."
    numbers = {
        "lr": "The learning rate was tuned on a grid, evenly spaced in its logarithm",
        "full": "The learning rate and other numbers were tuned at scrambled Sobol points",
        "random": "The learning rate and other numbers were tuned at independent random points, "
        "and no search was extended",
    }[protocol["tier"]]
    n_trials = max(row["trials"] for row in comparison.summary)
    extension = ""
    if n_trials > protocol["trials"]:
        extension = (
            f" Each search began with {protocol['trials']} trials; all were extended because a "
            "best learning rate was at an edge."
        )
    best = "the least mean validation loss"
    if "metric" in protocol:
        best = f"the highest mean validation score, {comparison.manifest['score']},"
    return (
        f"{numbers}, with {n_trials} trials of each optimizer under "
        f"{len(protocol['tuning_seeds'])} seeds.{extension} The recipe with {best} after "
        "the last epoch was selected; one with a diverged run comes last."
    )


def _details(comparison: Comparison) -> list[str]:
    """Searches, audits, sizes and data in lines."""
    manifest = comparison.manifest
    lines = []
    for label, search in manifest["searches"].items():
        line = f"{label}: {search['recipe']}"
        if "learning_rate" in search:
            low, high = search["learning_rate"]
            line += f", learning rate {low:.3g} to {high:.3g}"
        others = search.get("others", {})
        lines.append(line + "".join(f", {name} {span}" for name, span in others.items()))
    return [
        *lines,
        *(f"audit: {sentence}" for sentence in manifest["audits"]),
        f"{manifest['networks']:,} networks, {manifest['network_epochs']:,} network epochs",
        f"data SHA-256 {manifest['data_sha256']}",
    ]


def _number(x: float) -> str:
    """A number with 3 digits; ∞ if it is infinite, – if it is NaN."""
    if math.isinf(x):
        return "∞"
    return "–" if math.isnan(x) else f"{x:.3g}"


if not TYPE_CHECKING:  # a type checker is to report unknown names
    __getattr__ = renamed_attributes(__name__, {"chosen": "chosen_hyperparameters"}, "pages")
