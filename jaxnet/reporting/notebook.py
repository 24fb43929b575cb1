"""What notebooks show of networks, data sets, runs, studies, searches and so on, as HTML.

Importing this module registers a function for each class with `jaxnet.core.display.html_of`. The
HTML needs nothing from outside, takes its colours from the page, and has no script.
"""

import base64
import collections
import html
import math
from collections.abc import Callable, Sequence

import numpy as np

from jaxnet.comparison import Comparison, conclusions
from jaxnet.core.display import brief_array, html_of
from jaxnet.core.network import Network, param_shapes
from jaxnet.core.types import AnyArray, Dataset, History, Split
from jaxnet.data.tables import encoding_of
from jaxnet.io.csv import Row
from jaxnet.reporting import charts
from jaxnet.searches import Asha, Hyperband, Hypergradient, Population
from jaxnet.sweeps.ensemble import Ensemble
from jaxnet.sweeps.study import Study
from jaxnet.training.run import Run

Column = tuple[str, Callable[[Row], str]]
"""A column of a table: its heading, and a function that returns the cell's text for a row."""
STYLE = """<style>
.jaxnet { max-width: 900px; font-size: 13px; line-height: 1.45; }
.jaxnet p { margin: .2em 0 .5em; }
.jaxnet .title { font-weight: 600; }
.jaxnet .note { opacity: .75; overflow-wrap: anywhere; }
.jaxnet .wide { overflow-x: auto; }
.jaxnet table { border-collapse: collapse; margin: .3em 0 .6em; font-variant-numeric: tabular-nums;
  color: inherit; background: none; font-size: inherit; }
.jaxnet th, .jaxnet td { text-align: right; padding: 2px 10px 2px 0; white-space: nowrap;
  border: none; border-bottom: 1px solid rgba(128, 128, 128, .35); background: none;
  color: inherit; }
.jaxnet th:first-child, .jaxnet td:first-child, .jaxnet .text { text-align: left; }
.jaxnet .charts { display: flex; flex-wrap: wrap; gap: 8px; }
.jaxnet .charts > * { flex: 1 1 260px; max-width: 440px; min-width: 0; }
.jaxnet svg { width: 100%; height: auto; max-width: 440px; font-family: inherit; }
.jaxnet img { max-width: 100%; height: auto; image-rendering: pixelated; }
.jaxnet .heat td { text-align: right; color: #111; }
.jaxnet .heat th:first-child { text-align: right; }
</style>"""
MOST_ROWS = 8
"""Rows of a leaderboard or of examples that are shown."""
MOST_COLUMNS = 10
"""Inputs of an example, and classes, that are shown in a table."""
N_IMAGES = 16


def _page(*parts: str) -> str:
    """The HTML of these elements, with their style."""
    return f'{STYLE}<div class="jaxnet">{"".join(parts)}</div>'


def _paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f'<p class="{kind}">{html.escape(text)}</p>'


def _table(rows: Sequence[Row], columns: Sequence[Column], texts: Sequence[str] = ()) -> str:
    """A table, with a scroll bar of its own if it is wider than the cell; `texts` are aligned so.

    It is no template, since notebooks need none of the extras.
    """
    css_class = lambda heading: ' class="text"' if heading in texts else ""
    head = "".join(f"<th{css_class(heading)}>{html.escape(heading)}</th>" for heading, _ in columns)
    body = ""
    for row in rows:
        cells = (
            f"<td{css_class(heading)}>{html.escape(cell_text(row))}</td>"
            for heading, cell_text in columns
        )
        body += f"<tr>{''.join(cells)}</tr>"
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _column(name: str, heading: str = "") -> Column:
    """The column of a table that has the text under a name in each row."""
    return heading or name, lambda row: str(row[name])


def _number(x: float) -> str:
    """A number with four digits; – if there is none."""
    return f"{x:.4g}" if math.isfinite(x) else "–"


@html_of.register
def network_html(net: Network) -> str:
    """A table of the layers: units, activation, shapes, parameters."""
    rows: list[Row] = [{"layer": "input", "units": f"{net.sizes[0]:,}", "activation": "",
                        "weights": "", "parameters": ""}]  # fmt: skip
    functions = (*net.activations, net.cost.output)
    for index, (shapes, function) in enumerate(zip(param_shapes(net), functions, strict=True), 1):
        n_params = sum(math.prod(shape) for shape in shapes)
        name = "output" if index == len(functions) else f"hidden {index}"
        weights = " × ".join(map(str, shapes.w))
        rows.append({"layer": name, "units": f"{shapes.b[0]:,}", "activation": repr(function),
                     "weights": weights, "parameters": f"{n_params:,}"})  # fmt: skip
    columns = [_column(name) for name in rows[0]]
    title = f"Network {'-'.join(map(str, net.sizes))}"
    return _page(
        _paragraph(f"{title}: {net.n_params:,} parameters", "title"),
        _table(rows, columns, texts=("activation",)),
        _paragraph(f"cost: {net.cost!r}", "note"),
    )


@html_of.register
def dataset_html(data: Dataset) -> str:
    """The sizes of the splits, the classes, and the first examples."""
    names = ("training", "validation", "test")
    splits = {name: split for name, split in zip(names, data, strict=True) if split is not None}
    encoding = encoding_of(data)
    labels = [] if encoding is None else list(map(str, encoding.target.classes))
    are_labels = np.ndim(data.train.y) == 1
    if are_labels and not labels:
        labels = [str(k) for k in range(int(np.max(np.asarray(data.train.y), initial=0)) + 1)]
    n_classes = len(labels) if are_labels else 0
    rows: list[Row] = []
    for name, split in splits.items():
        row: Row = {"split": name, "examples": f"{len(split.x):,}"}
        if 0 < n_classes <= MOST_COLUMNS:
            counts = np.bincount(np.asarray(split.y), minlength=n_classes)
            row |= {f"class {label}": f"{n:,}" for label, n in zip(labels, counts)}
        rows.append(row)
    columns = [_column(name) for name in rows[0]]
    x = np.asarray(data.train.x)
    kind = "pixels, 0 to 255" if x.dtype == np.uint8 else str(x.dtype)
    targets = f"{n_classes:,} classes" if are_labels else f"targets: {brief_array(data.train.y)}"
    n_inputs = math.prod(x.shape[1:])
    return _page(
        _paragraph(f"{type(data).__name__}: {n_inputs:,} inputs ({kind}), {targets}", "title"),
        _table(rows, columns),
        _examples(data.train, labels, encoding.input_names if encoding is not None else None),
    )


def _examples(split: Split, labels: list[str], input_names: Sequence[str] | None) -> str:
    """A strip of images, or a table of the first examples."""
    targets = [
        labels[int(y)] if np.ndim(y) == 0 and labels else ", ".join(map(_number, np.atleast_1d(y)))
        for y in np.asarray(split.y[:N_IMAGES])
    ]
    n_inputs = np.shape(split.x)[1]
    side = math.isqrt(n_inputs)
    if side * side == n_inputs and side >= 7 and input_names is None:
        return _strip(np.asarray(split.x[:N_IMAGES]).reshape(-1, side, side), targets)
    names = [f"x{k}" for k in range(n_inputs)] if input_names is None else list(input_names)
    rows: list[Row] = [
        {name: _number(float(value)) for name, value in zip(names[:MOST_COLUMNS], example)}
        | {"target": target}
        for example, target in zip(np.asarray(split.x[:5]), targets)
    ]
    more = n_inputs - MOST_COLUMNS
    note = f"the first training examples{f', {more:,} more inputs' if more > 0 else ''}"
    return _table(rows, [_column(name) for name in rows[0]]) + _paragraph(note, "note")


def _strip(images: AnyArray, targets: list[str]) -> str:
    """Images in a row, and their targets below."""
    low, high = (0, 255) if images.dtype == np.uint8 else (images.min(), images.max())
    scaled = (255.0 * (images - low) / max(high - low, 1e-12)).astype(np.uint8)
    framed = np.pad(scaled, ((0, 0), (1, 1), (1, 1)), constant_values=128)
    strip = charts.gray_png(np.hstack(list(framed)))
    source = base64.b64encode(strip).decode()
    note = f"the first training images: {', '.join(targets)}"
    width = 42 * len(images)
    return (
        f'<img alt="{html.escape(note)}" width="{width}" src="data:image/png;base64,{source}">'
        + _paragraph(note, "note")
    )


@html_of.register
def history_html(history: History) -> str:
    """The curves of one network, and a table of their last values."""
    shape = " × ".join(map(str, np.shape(history.training_cost)))
    title = f"History of {shape} epochs: {len(history.curves)} curves"
    return _page(_paragraph(title, "title"), _curves(history, 0), _values(history, {}))


@html_of.register
def run_html(run: Run) -> str:
    """The settings of a run, its curves, and a table of their values."""
    n_epochs = run.history.training_cost.shape[-1]
    sizes = "-".join(map(str, run.network.sizes))
    early = f" {run.stopped}" if run.stopped else ""
    return _page(
        _paragraph(f"Run of {sizes}: {n_epochs} of {run.epochs} epochs, {run.ending}", "title"),
        _paragraph(f"{run.recipe!r}, batch size {run.batch_size}, seed {run.seed}.{early}", "note"),
        _curves(run.history, run.best_epoch),
        _values(run.history, {f"best (epoch {run.best_epoch})": run.best_epoch}),
    )


def _curves(history: History, best: int) -> str:
    """The charts of cost and accuracy, and of each metric."""
    pairs: dict[str, dict[str, np.ndarray]] = {}
    for name, curve in history.curves.items():
        split, _, metric = name.partition("_")
        split = {"evaluation": "validation"}.get(split, split)
        is_drawn = split in charts.STYLES and np.ndim(curve) == 1 and metric != "data_cost"
        if is_drawn and np.isfinite(np.asarray(curve)).any():
            pairs.setdefault(metric, {})[split] = np.asarray(curve, float)
    titles = {"cost": "cost, with penalties"}
    pictures = [
        charts.line_chart(
            titles.get(metric, metric), curves, best, "{:.1%}" if metric == "accuracy" else "{:.4g}"
        )
        for metric, curves in pairs.items()
    ]
    return f'<div class="charts">{"".join(pictures)}</div>' if pictures else ""


def _values(history: History, epochs: dict[str, int]) -> str:
    """A table of the curves' last values, and of those at other epochs."""
    rows: list[Row] = []
    for name, curve in history.curves.items():
        values = np.asarray(curve, float)
        if values.ndim != 1 or not np.isfinite(values).any():
            continue
        at = {column: values[k - 1] if 0 < k <= len(values) else math.nan
              for column, k in epochs.items()} | {"last": values[-1]}  # fmt: skip
        text = "{:.2%}".format if name.endswith("accuracy") else "{:.4g}".format
        label = name.replace("evaluation_", "validation ").replace("data_cost", "cost alone")
        row: Row = {"": label.replace("_", " ")}
        rows.append(row | {column: text(value) for column, value in at.items()})
    return _table(rows, [_column(name) for name in rows[0]]) if rows else ""


@html_of.register
def study_html(study: Study) -> str:
    """The leaderboard of a study, and a heat map where two numbers were varied."""
    board = study.leaderboard(top=None)
    varied = [
        name
        for name in study.settings[0].columns()
        if len({str(setting.columns().get(name)) for setting in study.settings}) > 1
    ]
    names = ["rank", *varied, study.ranked_by, "sd", "n", "n_diverged", "best_epoch"]
    rows: list[Row] = [
        {name: _cell(name, row.get(name, math.nan)) for name in names} for row in board[:MOST_ROWS]
    ]
    headings = {study.ranked_by: study.ranked_by.replace("evaluation", "validation"),
                "n_diverged": "diverged", "n": "networks"}  # fmt: skip
    columns = [_column(name, headings.get(name, name).replace("_", " ")) for name in names]
    n_more = len(board) - len(rows)
    return _page(
        _paragraph(repr(study), "title"),
        _table(rows, columns),
        _paragraph(f"and {n_more:,} more settings", "note") if n_more > 0 else "",
        _heat_map(study, varied),
    )


def _cell(name: str, value: object) -> str:
    """The text of a leaderboard's cell."""
    if not isinstance(value, float):
        return str(value)
    is_accuracy = name.endswith("_accuracy") and math.isfinite(value)
    return f"{value:.2%}" if is_accuracy else _number(value)


def _heat_map(study: Study, varied: list[str]) -> str:
    """The mean score by two numbers, if just two were varied, each of them several times."""
    columns = [setting.columns() for setting in study.settings]
    if len(varied) != 2:
        return ""
    first, second = (sorted({row[name] for row in columns}, key=_order) for name in varied)
    if min(len(first), len(second)) < 2 or len(first) * len(second) != len(columns):
        return ""
    means = study.score.reshape(len(columns), -1).mean(axis=1)
    places = {(row[varied[0]], row[varied[1]]): place for place, row in enumerate(columns)}
    finite = means[np.isfinite(means)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    sign = 1.0 if study.higher_is_better else -1.0
    head = "".join(f"<th>{html.escape(_cell('', value))}</th>" for value in second)
    body = ""
    for value in first:
        body += f"<tr><th>{html.escape(_cell('', value))}</th>"
        for other in second:
            mean = float(means[places[value, other]])
            share = (mean - low) / (high - low) if high > low and math.isfinite(mean) else 0.0
            text = _cell(study.ranked_by, sign * mean) if math.isfinite(mean) else "diverged"
            body += f'<td style="background: {_shade(float(share))}">{text}</td>'
        body += "</tr>"
    title = f"{varied[0]} (rows) by {varied[1]} (columns): mean over the seeds"
    return (
        _paragraph(title.replace("_", " "), "note")
        + f'<div class="wide"><table class="heat"><tr><th></th>{head}</tr>{body}</table></div>'
    )


def _order(value: object) -> tuple[bool, float, str]:
    """What sorts values of a setting: numbers by their size, then texts."""
    is_number = isinstance(value, (int, float))
    return not is_number, float(value) if is_number else 0.0, str(value)


def _shade(share: float) -> str:
    """The colour of a score, pale for the worst, 0, and strong for the best, 1."""
    pale, strong = np.array([240, 236, 226]), np.array([110, 178, 140])
    red, green, blue = (pale + share * (strong - pale)).astype(int).tolist()
    return f"rgb({red}, {green}, {blue})"


@html_of.register
def ensemble_html(ensemble: Ensemble) -> str:
    """The architectures of an ensemble's networks, and how many there are of each."""
    counts = collections.Counter(member.network for member in ensemble.members)
    rows: list[Row] = [
        {"network": "-".join(map(str, net.sizes)), "members": f"{n:,}",
         "activations": ", ".join(dict.fromkeys(map(str, net.activations))),
         "parameters of each": f"{net.n_params:,}"}
        for net, n in counts.items()
    ]  # fmt: skip
    return _page(
        _paragraph(repr(ensemble), "title"), _table(rows, [_column(name) for name in rows[0]])
    )


@html_of.register
def search_html(search: Asha | Hyperband | Hypergradient | Population) -> str:
    """The work that a search has done, and the best setting that it has chosen."""
    setting = search.best.setting.columns()
    rows: list[Row] = [{"": name, "best": _cell(name, value)} for name, value in setting.items()]
    rows.append({"": "score", "best": _number(search.best.score)})
    work = f"{type(search).__name__}: {search.networks_epochs:,} epochs of networks"
    return _page(_paragraph(work, "title"), _table(rows, [_column(name) for name in ("", "best")]))


@html_of.register
def comparison_html(comparison: Comparison) -> str:
    """The conclusion of a comparison, its warnings, the test scores and their intervals."""
    kind = comparison.manifest["score"]
    text, unit = conclusions.score_text(kind), " (%)" if kind == "accuracy" else ""
    ranked = sorted(comparison.summary, key=lambda row: -row["test_score"])
    rows: list[Row] = [
        {
            "optimizer": row["optimizer"],
            f"test {kind}{unit}": f"{text(row['test_score'])} ± {text(row['test_score_sd'])}",
            "95% interval": f"{text(row['test_score_low'])}–{text(row['test_score_high'])}",
            "learning rate": _number(float(row.get("learning_rate", math.nan))),
            "diverged": f"{row['diverged']} of {row['seeds']}",
        }
        for row in ranked
    ]
    intervals = [
        charts.Interval(
            row["optimizer"], row["test_score_low"], row["test_score"], row["test_score_high"]
        )
        for row in ranked
    ]
    return _page(
        *(_paragraph(sentence, "" if k else "title")
          for k, sentence in enumerate(comparison.conclusion)),
        *(_paragraph(f"Warning: {sentence}", "note") for sentence in comparison.warnings),
        _table(rows, [_column(name) for name in rows[0]]),
        charts.interval_chart(f"test {kind}{unit}, 95% intervals over seeds", intervals, text),
    )  # fmt: skip
