"""The list of all experiments, and one offline page of their results."""

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxnet.io import files, reading
from jaxnet.io.csv import Row
from jaxnet.io.reading import JsonObject
from jaxnet.reporting import experiment, html_page
from jaxnet.reporting.html_page import Table, Top, table
from jaxnet.reporting.page_pictures import Picture, of_png, of_svg_file

LARGEST_SVG = 60_000
"""Bytes of a picture in the page: what has more is there as PNG, so that the page stays small."""


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
    deviations = {script.name: _deviation(outcomes[script.name]) for script in done}
    full = [script for script in done if not deviations[script.name]]
    rows = [row for script in full for row in outcomes[script.name]["rows"]]
    published = [row for row in rows if row["published"] is not None]
    claims = [row for row in rows if row["claimed"]]
    minutes = sum(outcomes[script.name]["seconds"] for script in done) / 60
    counts = f"{_count(published, 'published number')}; {_count(claims, 'claim')}; "
    times = [(results / script.name / "results.json").stat().st_mtime for script in done]
    made_in = [outcome for outcome in outcomes.values() if "versions" in outcome]
    facts = [
        ("Results", f"{counts if full or not done else ''}{len(done)} experiments, "
                    f"{minutes:.0f} minutes by their own clocks."),
        ("Date", html_page.date_text(max(times)) if times else ""),
        ("Versions", html_page.versions_text(made_in[-1]) if made_in else ""),
    ]  # fmt: skip
    warnings = tuple(
        f"{name}, {deviation}: not counted." for name, deviation in deviations.items() if deviation
    )
    command = " ".join(["python -m experiments", *(script.name for script in done)])
    if done and all(outcomes[script.name]["config"]["smoke"] for script in done):
        command += " --smoke"
    return html_page.render(
        "experiments.html",
        Top("Results", "The experiments", facts, command, warnings),
        missing=[script.name for script in scripts if script.name not in outcomes],
        is_judged=bool(full),
        summary=_summary(full, outcomes),
        sections=[
            _section(script, outcomes[script.name], results / script.name) for script in done
        ],
    )


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


def _judged(outcome: JsonObject) -> str:
    """How many rows of a script are reproduced, for the table of contents."""
    rows = [] if outcome["config"]["smoke"] else outcome["rows"]
    judged = [row for row in rows if row["published"] is not None or row["claimed"]]
    return f" {_count(judged, 'row')}." if judged else ""


def _summary(scripts: Sequence[Script], outcomes: Mapping[str, JsonObject]) -> Table | None:
    """The table of all published numbers beside the measured ones; None without any."""
    rows = [
        row | {"script": script.name}
        for script in scripts
        for row in outcomes[script.name]["rows"]
        if row["published"] is not None
    ]
    if not rows:
        return None
    first: html_page.Column = ("experiment", lambda row: row["script"])
    # Intervals and n stand in the sections; with them the verdicts would be off the screen.
    rest = [column for column in _columns(rows) if column[0] not in ("95% interval", "n")]
    return table("", rows, [first, *rest], ("", "verdict"))


def _columns(rows: Sequence[Row], is_smoke: bool = False) -> list[html_page.Column]:
    """The columns of a table of rows."""

    def column(heading: str) -> html_page.Column:
        return heading, lambda row: experiment.cells(row)[heading]

    return [column(heading) for heading in experiment.headings(rows, is_smoke)]


def _section(script: Script, outcome: JsonObject, folder: Path) -> dict[str, object]:
    """A script's part of the page: setting, picture, further pages, table, reasons."""
    rows, is_smoke = outcome["rows"], outcome["config"]["smoke"]
    return {
        "name": script.name,
        "question": script.question,
        "count": _judged(outcome),
        "duration": _duration(outcome["seconds"]),
        "banner": experiment.SMOKE_BANNER if is_smoke else "",
        "paragraphs": script.setting.split("\n\n"),
        "picture": _picture(script.name, folder),
        "pages": sorted(path.name for path in folder.glob("*.html")),
        "table": table("", rows, _columns(rows, is_smoke), ("verdict",)),
        "reasons": [] if is_smoke else [(row["name"], row["why"]) for row in rows if row["why"]],
    }


def _picture(name: str, folder: Path) -> Picture | None:
    """The picture of a script: as SVG, if it is not so large that PNG is better; None for none."""
    svg, png = folder / f"{name}.svg", folder / f"{name}.png"
    if svg.exists() and svg.stat().st_size <= LARGEST_SVG:
        return of_svg_file(name, svg)
    return of_png(name, reading.read_content(png, "a picture", bytes)) if png.exists() else None


def _duration(seconds: float) -> str:
    """A duration in minutes or seconds."""
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.0f} seconds"
