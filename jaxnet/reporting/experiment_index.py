"""The list of all experiments, and one offline page of their results."""

import ast
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxnet.io import files, reading
from jaxnet.io.csv import Row
from jaxnet.io.reading import JsonObject
from jaxnet.reporting import experiment, html_page

EXPLANATION = (
    '<p class="note">A published number is reproduced if it lies in the 95% prediction '
    "interval for one more run, mean ± t·s·√(1 + 1/n), of the logarithm where SD is a factor, "
    "×/÷; without chance, if ours rounds to it. A claim, that one is more than another, is "
    "reproduced if the 95% interval of the paired difference lies above 0; without chance, "
    "if it is so. Where nothing is published, the interval is that of the mean. SD: over the "
    "seeds.</p>"
)


class Script(NamedTuple):
    """An experiment, as the docstring of its script describes it."""

    path: Path
    """The script's file."""
    question: str
    """The question that it answers, in one paragraph."""
    duration: str
    """How long a full run takes on two cores, in words."""
    measures_time: bool
    """Whether it measures time, so that nothing else should run beside it."""
    setting: str
    """The docstring's paragraphs after the commands."""

    @property
    def name(self) -> str:
        """The name of the script, and of the folder with its results."""
        return self.path.stem


def catalogue(folder: str | Path) -> list[Script]:
    r"""The experiments in a folder, sorted by name.

    A script's docstring has a paragraph with the question; a second one with the commands, where
    the running time stands in words between "#" and "on 2 cores", followed by ", alone" if the
    script measures time; and further paragraphs with the setting and the sources.

    Args:
      folder: the folder of the scripts. Files whose names begin with an underscore are left out.

    Returns:
      A description of each script.

    Raises:
      ValueError: a docstring states no running time.

    >>> import tempfile
    >>> docstring = "Is it fair?\n\n    python coin.py    # 1 second on 2 cores"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "coin.py").write_text(repr(docstring))
    ...     catalogue(folder)[0].duration
    '1 second'
    """
    scripts = []
    for path in sorted(Path(folder).glob("[!_]*.py")):
        syntax = reading.read_content(path, "a script in Python", ast.parse)
        doc = ast.get_docstring(syntax) or ""
        question, _, rest = doc.partition("\n\n")
        commands, _, setting = rest.partition("\n\n")
        running_time = re.search(r"# (.+) on 2 cores(, alone)?", commands)
        if running_time is None:
            raise ValueError(f"{path}: no running time on 2 cores in the docstring's commands.")
        script = Script(
            path=path,
            question=" ".join(question.split()),
            duration=running_time[1],
            measures_time=running_time[2] is not None,
            setting=setting,
        )
        scripts.append(script)
    return scripts


def publish(scripts: Sequence[Script], results: str | Path) -> Path:
    """Write `index.html`: all tables and pictures in one file that opens offline.

    Args:
      scripts: the experiments; the page names those without results as not run.
      results: the folder with a folder of results for each experiment, and with the page.

    Returns:
      The path of the page.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     publish([], folder).name
    'index.html'
    """
    results = Path(results)
    results.mkdir(parents=True, exist_ok=True)
    outcomes = {}
    for script in scripts:
        file = results / script.name / "results.json"
        if file.exists():
            outcomes[script.name] = experiment.read_results(file)
    path = results / "index.html"
    files.write_atomic(path, _page(scripts, outcomes, results).encode())
    return path


def _page(scripts: Sequence[Script], outcomes: Mapping[str, JsonObject], results: Path) -> str:
    """The page, of each script's results.json by the script's name."""
    done = [script for script in scripts if script.name in outcomes]
    missing = [script.name for script in scripts if script.name not in outcomes]
    deviations = {script.name: _deviation(outcomes[script.name]) for script in done}
    full = [script for script in done if not deviations[script.name]]
    rows = [row for script in full for row in outcomes[script.name]["rows"]]
    published = [row for row in rows if row["published"] is not None]
    claims = [row for row in rows if row["claimed"]]
    minutes = sum(outcomes[script.name]["seconds"] for script in done) / 60
    counts = f"{_count(published, 'published number')}; {_count(claims, 'claim')}; "
    parts = [
        "<h1>The experiments</h1>",
        f'<p class="sub">{counts if full or not done else ""}'
        f"{len(done)} experiments, {minutes:.0f} minutes by their own clocks.</p>",
    ]
    if missing:
        parts.append(f'<p class="note">Not run: {", ".join(missing)}.</p>')
    for name, deviation in deviations.items():
        if deviation:
            parts.append(f'<p class="warning">{name}, {deviation}: not counted.</p>')
    contents = "".join(_contents_entry(script, outcomes[script.name]) for script in done)
    explanation = [EXPLANATION] if full else []
    parts += [*explanation, "<h2>Contents</h2>", f"<ul>{contents}</ul>", *_summary(full, outcomes)]
    for script in done:
        parts.append(_section(script, outcomes[script.name], results / script.name))
    return html_page.document("The experiments", parts)


def _deviation(outcome: JsonObject) -> str:
    """How a run differs from the one that the script describes; empty if it does not."""
    if outcome["config"]["smoke"]:
        return "only a smoke test"
    if outcome["changed"]:
        return f"with other settings ({', '.join(outcome['changed'])})"
    return ""


def _count(rows: Sequence[Row], noun: str) -> str:
    """How many of the rows are reproduced, in words."""
    reproduced = sum(row["verdict"] == "reproduced" for row in rows)
    return f"{reproduced} of {len(rows)} {noun}s reproduced"


def _contents_entry(script: Script, outcome: JsonObject) -> str:
    """A script's item in the table of contents."""
    rows = [] if outcome["config"]["smoke"] else outcome["rows"]
    judged = [row for row in rows if row["published"] is not None or row["claimed"]]
    count = f" {_count(judged, 'row')}." if judged else ""
    link = f'<a href="#{script.name}">{html.escape(script.question)}</a>'
    return f"<li>{script.name}: {link}{count}</li>"


def _summary(scripts: Sequence[Script], outcomes: Mapping[str, JsonObject]) -> list[str]:
    """The table of all published numbers beside the measured ones; nothing without any."""
    rows = [
        row | {"script": script.name}
        for script in scripts
        for row in outcomes[script.name]["rows"]
        if row["published"] is not None
    ]
    if not rows:
        return []
    first: html_page.Column = ("experiment", lambda row: row["script"])
    # Intervals and n stand in the sections; with them the verdicts would be off the screen.
    rest = [column for column in _columns(rows) if column[0] not in ("95% interval", "n")]
    table = html_page.table(rows, [first, *rest], texts=("", "verdict"))
    return ["<h2>Published and measured</h2>", table]


def _columns(rows: Sequence[Row], is_smoke: bool = False) -> list[html_page.Column]:
    """The columns of a table of rows."""

    def column(heading: str) -> html_page.Column:
        return heading, lambda row: experiment.cells(row)[heading]

    return [column(heading) for heading in experiment.headings(rows, is_smoke)]


def _section(script: Script, outcome: JsonObject, folder: Path) -> str:
    """A script's part of the page: setting, picture, further pages, table, reasons."""
    rows, is_smoke = outcome["rows"], outcome["config"]["smoke"]
    parts = [
        f'<h2 id="{script.name}">{html.escape(script.question)}</h2>',
        f'<p class="sub"><code>python experiments/{script.name}.py</code>, '
        f"{_duration(outcome['seconds'])}</p>",
    ]
    if is_smoke:
        parts.append(f'<p class="warning">{experiment.SMOKE_BANNER}</p>')
    for paragraph in script.setting.split("\n\n"):
        parts.append(f"<p>{html.escape(paragraph)}</p>")
    picture = folder / f"{script.name}.png"
    if picture.exists():
        parts.append(
            html_page.figure(script.name, reading.read_content(picture, "a picture", bytes))
        )
    for page in sorted(folder.glob("*.html")):
        parts.append(f'<p><a href="{script.name}/{page.name}">{page.name}</a></p>')
    parts.append(html_page.table(rows, _columns(rows, is_smoke), texts=("verdict",)))
    reasons = [
        f"<li>{html.escape(row['name'])}: {html.escape(row['why'])}</li>"
        for row in rows
        if row["why"] and not is_smoke
    ]
    if reasons:
        parts.append(f"<ul>{''.join(reasons)}</ul>")
    return "\n".join(parts)


def _duration(seconds: float) -> str:
    """A duration in minutes or seconds."""
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.0f} seconds"
