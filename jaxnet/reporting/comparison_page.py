"""The page of a comparison: conclusion, tables and pictures in one HTML file that opens offline."""

import html
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jaxnet.comparison import Comparison, conclusions, read
from jaxnet.core.deprecation import renamed_attributes
from jaxnet.io import csv, files
from jaxnet.io.csv import Row
from jaxnet.reporting import comparison_plots, html_page, plots
from jaxnet.reporting.html_page import Column, figure, table


def publish(folder: str | Path) -> Comparison:
    """Draw all pictures of a comparison anew from its files, and write its page, report.html.

    Args:
      folder: of a finished comparison.

    Returns:
      The comparison.

    Raises:
      ValueError: the folder holds none, or one that was not finished.
    """
    folder = Path(folder)
    found = read(folder)
    drawn = {
        name: (plots.png(drawing), said)
        for name, (drawing, said) in comparison_plots.drawn(found).items()
    }
    for name, (content, _) in drawn.items():
        files.write_atomic(folder / f"{name}.png", content)
    files.write_atomic(folder / "report.html", page(found, drawn).encode())
    return found


def publish_profile(folder: str | Path, rows: Sequence[Row]) -> None:
    """Write the performance profile over several tasks, and its picture."""
    csv.write_csv(Path(folder) / "profile.csv", rows)
    content = plots.png(comparison_plots.profile(rows))
    files.write_atomic(Path(folder) / "profile.png", content)


def page(found: Comparison, drawn: dict[str, tuple[bytes, str]]) -> str:
    """The page, with pictures (PNG, caption) by name inside of it."""
    manifest, protocol = found.manifest, found.manifest["protocol"]
    examples = manifest["examples"]
    ranked = sorted(found.summary, key=lambda row: -row["test_score"])
    names = [row["optimizer"] for row in found.summary]
    title = f"{', '.join(names[:-1])} and {names[-1]}"
    n_seeds = len(protocol["report_seeds"])
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="sub">{html.escape(manifest["network"])}, mini-batches of '
        f"{protocol['batch_size']}, {protocol['epochs']} epochs; {n_seeds} fresh seeds. "
        f"{examples[0]:,} training, {examples[1]:,} validation, {examples[2]:,} test examples.</p>",
        *(f'<p class="warning">{html.escape(said)}</p>' for said in found.warnings),
        "<h2>Conclusion</h2>",
        "<ul>" + "".join(f"<li>{html.escape(said)}</li>" for said in found.conclusion) + "</ul>",
        "<h2>The report</h2>",
        table(ranked, _summary_columns(found), texts=("chosen",)),
        "<h2>Pairs</h2>",
        table(found.pairwise, _pair_columns(found), texts=("verdict",)),
        '<p class="note">Difference: the first minus the second, paired by seed. p: Wilcoxon '
        "signed-rank test over the seeds, adjusted by Holm for all pairs. Found 4 times in 5: the "
        "true difference that so many seeds would show with a chance of 80 %. Usual study: how "
        "often the first would come out ahead of the second if each were tuned, with as many "
        "trials, and reported with one of the tuning seeds (usual_study.csv: with fewer).</p>",
        "<h2>Speed and robustness</h2>",
        table(found.time_to_target, _speed_columns(found)),
        '<p class="note">Median: Kaplan–Meier, to the resolution of an epoch; a run that never '
        "reached the target, or diverged, is censored at the last epoch.</p>",
        table(ranked, _robustness_columns(found)),
        '<p class="note">Good learning rates: decades around the best one whose validation score '
        "is within 0.01 of it."
        + (" Seconds an epoch: a run by itself, without compilation." if found.timing else "")
        + "</p>",
        "<h2>Pictures</h2>",
        *(figure(name, *content) for name, content in drawn.items()),
        "<h2>How it was done</h2>",
        f"<p>{html.escape(_protocol(found))}</p>",
        "<ul>" + "".join(f"<li><code>{html.escape(line)}</code></li>" for line in _details(found))
        + "</ul>",
    ]  # fmt: skip
    return html_page.document(title, parts)


def _score(found: Comparison) -> Callable[[float], str]:
    return conclusions.score_text(found.manifest["score"])


def _summary_columns(found: Comparison) -> list[Column]:
    score, unit = _score(found), " (%)" if found.manifest["score"] == "accuracy" else ""
    span = lambda row, end: f"{score(row[f'{end}_low'])}–{score(row[f'{end}_high'])}"
    return [
        ("optimizer", lambda row: row["optimizer"]),
        ("chosen", lambda row: chosen_hyperparameters(found, row)),
        (f"test {found.manifest['score']}{unit}",
         lambda row: f"{score(row['test_score'])} ± {score(row['test_score_sd'])}"),
        ("95 % over seeds", lambda row: span(row, "test_score")),
        ("and examples", lambda row: f"{score(row['test_score_low_examples'])}–"
                                     f"{score(row['test_score_high_examples'])}"),
        ("IQM", lambda row: score(row["test_score_iqm"])),
        ("10 % quantile", lambda row: score(row["test_score_q10"])),
        ("test loss", lambda row: _number(row["test_loss"])),
        ("diverged", lambda row: f"{row['diverged']} of {row['seeds']}"),
    ]  # fmt: skip


def _pair_columns(found: Comparison) -> list[Column]:
    score = _score(found)

    def usual(pair: Row) -> float:
        rows = [r for r in found.usual_study if (r["a"], r["b"]) == (pair["a"], pair["b"])]
        return max(rows, key=lambda row: row["trials"])["p_a_better"]

    return [
        ("", lambda row: f"{row['a']} − {row['b']}"),
        ("difference", lambda row: score(row["difference"])),
        ("95 % over seeds", lambda row: f"{score(row['low'])} to {score(row['high'])}"),
        ("and examples",
         lambda row: f"{score(row['low_examples'])} to {score(row['high_examples'])}"),
        ("P(first better)", lambda row: f"{row['p_a_better']:.2f}"),
        ("p", lambda row: f"{row['p_holm']:.2g}" if row["p_holm"] >= 1e-4 else "< 0.0001"),
        ("verdict", lambda row: row["verdict"]),
        ("found 4 times in 5",
         lambda row: score(row["detectable"]) if math.isfinite(row["detectable"]) else "–"),
        ("usual study", lambda row: f"{100 * usual(row):.0f} %"),
    ]  # fmt: skip


def _speed_columns(found: Comparison) -> list[Column]:
    median = lambda x, form: format(x, form) if math.isfinite(x) else "not reached"
    seconds = lambda row: row["median_epochs"] * found.timing.get(row["optimizer"], math.nan)
    columns: list[Column] = [
        ("optimizer", lambda row: row["optimizer"]),
        ("target, on validation", lambda row: f"{row['target']:g}"),
        ("median epochs", lambda row: median(row["median_epochs"], "g")),
        ("median steps", lambda row: median(row["median_steps"], ",.0f")),
        ("reached by", lambda row: f"{row['fraction_reached'] * 100:.0f} %"),
    ]
    if found.timing:
        columns.append(
            ("seconds", lambda row: f"{seconds(row):.2g}" if math.isfinite(seconds(row)) else "–")
        )
    return columns


def _robustness_columns(found: Comparison) -> list[Column]:
    score = _score(found)
    columns: list[Column] = [
        ("optimizer", lambda row: row["optimizer"]),
        ("trials", lambda row: str(row["trials"])),
        ("good learning rates (decades)", lambda row: _number(row["good_decades"])),
        ("SD over seeds", lambda row: score(row["test_score_sd"])),
        ("diverged in tuning",
         lambda row: f"{row['tuning_diverged']} of {row['trials'] * row['tuning_seeds']}"),
    ]  # fmt: skip
    if found.timing:
        columns.append(
            ("seconds an epoch", lambda row: _number(found.timing.get(row["optimizer"], math.nan)))
        )
    return columns


def chosen_hyperparameters(found: Comparison, row: Row) -> str:
    """The numbers that were tuned, and whether the learning rate stands at an edge."""
    search = found.manifest["searches"][row["optimizer"]]
    names = {"defaults": []}.get(search["tier"], ["learning_rate", *search.get("others", [])])
    told = ", ".join(f"{name.replace('_', ' ')} {row[name]:.5g}" for name in names) or "defaults"
    return told + (f" {row['edge']}" if row["edge"] else "")


def _protocol(found: Comparison) -> str:
    """The protocol in sentences."""
    protocol, searches = found.manifest["protocol"], found.manifest["searches"]
    tuned = {
        "defaults": "Nothing was tuned.",
        "lr": "The learning rate was tuned on a grid, evenly spaced in its logarithm",
        "full": "Learning rate and other numbers were tuned at scrambled Sobol points",
    }[protocol["tier"]]
    if protocol["tier"] != "defaults":
        n = max(row["trials"] for row in found.summary)
        extended = (
            f", {protocol['trials']} of them before the searches were extended, since an optimum "
            "was at an edge"
        )
        tuned += (
            f": {n} trials of each optimizer under {len(protocol['tuning_seeds'])} seeds"
            f"{extended if n > protocol['trials'] else ''}. Selected was the least mean validation "
            "loss after the last epoch, in which a run that diverged counts as infinite."
        )
    return (
        f"{tuned} The report is of {len(protocol['report_seeds'])} other seeds, on the test set, "
        f"which chose nothing; under each, all {len(searches)} optimizers have the same initial "
        "weights and mini-batches. Two are called different if the Wilcoxon signed-rank test over "
        "these seeds, with Holm's correction for all pairs, rejects at 5 %; equivalent, if the 95 "
        "% interval over seeds and test examples lies within "
        f"±{_score(found)(protocol['margin'])}"
        + (" points." if found.manifest["score"] == "accuracy" else ".")
    )


def _details(found: Comparison) -> list[str]:
    manifest = found.manifest
    versions = ", ".join(f"{name} {value}" for name, value in manifest["versions"].items())
    lines = [
        f"{label}: {search['recipe']}"
        + (f", learning rate {search['learning_rate'][0]:.3g} to {search['learning_rate'][1]:.3g}"
           if "learning_rate" in search else "")
        + "".join(f", {name} {span}" for name, span in search.get("others", {}).items())
        for label, search in manifest["searches"].items()
    ]  # fmt: skip
    lines += [f"audit: {told}" for told in manifest["audits"]]
    device = manifest["device"]
    lines.append(f"{manifest['networks']:,} networks, {manifest['network_epochs']:,} epochs")
    lines.append(f"{versions}; {device['kind']}")
    lines.append(f"data SHA-256 {manifest['data_sha256']}")
    return lines


def _number(x: Any) -> str:
    return f"{x:.3g}" if math.isfinite(x) else ("∞" if math.isinf(x) else "–")


__getattr__ = renamed_attributes(__name__, {"chosen": "chosen_hyperparameters"})
