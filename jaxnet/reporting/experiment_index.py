"""All experiments: what they ask, what they found, and one offline page of it."""

import ast
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxnet.io import files
from jaxnet.io.csv import Row
from jaxnet.reporting import experiment, html_page


class Script(NamedTuple):
    """An experiment, as the docstring of its file tells of it."""

    path: Path
    question: str
    duration: str
    """Of a full run, in words; on two cores."""
    alone: bool
    """Whether nothing else should run meanwhile, since it measures time."""
    setting: str
    """The paragraphs after the commands."""

    @property
    def name(self) -> str:
        """Of the file, and of the folder with its results."""
        return self.path.stem


def catalogue(folder: str | Path) -> list[Script]:
    """The experiments in a folder, by name.

    A docstring is a question in one paragraph; the commands in a second one, in which the running
    time stands in words between "#" and "on 2 cores", with ", alone" behind it if it measures time;
    and the setting and the sources.

    Args:
      folder: of the scripts; a file whose name begins with an underscore is none.

    Raises:
      ValueError: a docstring is not so.
    """
    found = []
    for path in sorted(Path(folder).glob("[!_]*.py")):
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        question, _, rest = doc.partition("\n\n")
        commands, _, setting = rest.partition("\n\n")
        told = re.search(r"# (.+) on 2 cores(, alone)?", commands)
        if told is None:
            raise ValueError(f"{path}: no running time on 2 cores in the docstring's commands.")
        duration, alone = told.groups()
        found.append(Script(path, " ".join(question.split()), duration, bool(alone), setting))
    return found


def publish(listed: Sequence[Script], results: str | Path) -> Path:
    """Write `index.html`: all tables and pictures in one file that opens offline.

    Args:
      listed: the experiments; those without results are named as such.
      results: the folder that holds a folder of each.

    Returns:
      Where it was written.
    """
    results = Path(results)
    told = {script.name: _told(results / script.name) for script in listed}
    path = results / "index.html"
    results.mkdir(parents=True, exist_ok=True)
    files.write_atomic(path, _page(listed, told, results).encode())
    return path


def _told(folder: Path) -> dict[str, Any] | None:
    path = folder / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _page(listed: Sequence[Script], told: dict[str, Any], results: Path) -> str:
    done = [script for script in listed if told[script.name]]
    full = [script for script in done if not _other(told[script.name])]
    rows = [row for script in full for row in told[script.name]["rows"]]
    published = [row for row in rows if row["published"] is not None]
    claims = [row for row in rows if row["claimed"]]
    minutes = sum(told[script.name]["seconds"] for script in done) / 60
    missing = [script.name for script in listed if script not in done]
    parts = [
        "<h1>The experiments</h1>",
        f'<p class="sub">{_counted(published, "published number")}; {_counted(claims, "claim")}; '
        f"{len(done)} experiments, {minutes:.0f} minutes by their own clocks.</p>",
        f'<p class="note">Not run: {", ".join(missing)}.</p>' if missing else "",
        *(
            f'<p class="warning">{script.name}, {other}: not counted.</p>'
            for script in done
            if (other := _other(told[script.name]))
        ),
        '<p class="note">A published number is reproduced if it lies in the 95 % prediction '
        "interval for one more run, mean ± t·s·√(1 + 1/n), of the logarithm where SD is a factor, "
        "×/÷; without chance, if ours rounds to it. A claim, that one is more than another, is "
        "reproduced if the 95 % interval of the paired difference lies above 0; without chance, "
        "if it is so. Where nothing is published, the interval is that of the mean. SD: over the "
        "seeds.</p>",
        "<h2>Contents</h2>",
        "<ul>" + "".join(_line(script, told[script.name]["rows"]) for script in done) + "</ul>",
        *_summary(full, told),
        *(_section(script, told[script.name], results / script.name) for script in done),
    ]
    return html_page.document("The experiments", parts)


def _other(told: dict[str, Any]) -> str:
    """How a run differs from the one that the script describes, if it does."""
    if told["config"]["smoke"]:
        return "only a smoke test"
    return f"with other settings ({', '.join(told['changed'])})" if told["changed"] else ""


def _counted(rows: Sequence[Row], noun: str) -> str:
    reproduced = sum(row["verdict"] == "reproduced" for row in rows)
    return f"{reproduced} of {len(rows)} {noun}s reproduced"


def _line(script: Script, rows: Sequence[Row]) -> str:
    judged = [row for row in rows if row["published"] is not None or row["claimed"]]
    count = f" {_counted(judged, 'row')}." if judged else ""
    link = f'<a href="#{script.name}">{html.escape(script.question)}</a>'
    return f"<li>{script.name}: {link}{count}</li>"


def _summary(full: Sequence[Script], told: dict[str, Any]) -> list[str]:
    """Every published number beside what was measured."""
    rows = [
        row | {"script": script.name}
        for script in full
        for row in told[script.name]["rows"]
        if row["published"] is not None
    ]
    if not rows:
        return []
    first: html_page.Column = ("experiment", lambda row: row["script"])
    # Intervals and n stand in the sections; with them the verdicts would be off the screen.
    rest = [column for column in _columns(rows) if column[0] not in ("95 % interval", "n")]
    table = html_page.table(rows, [first, *rest], texts=("", "verdict"))
    return ["<h2>Published and measured</h2>", table]


def _columns(rows: Sequence[Row]) -> list[html_page.Column]:
    return [(h, lambda row, h=h: experiment.cells(row)[h]) for h in experiment.headings(list(rows))]


def _section(script: Script, told: dict[str, Any], folder: Path) -> str:
    rows = told["rows"]
    picture = folder / f"{script.name}.png"
    pages = "".join(
        f'<p><a href="{script.name}/{page.name}">{page.name}</a></p>'
        for page in sorted(folder.glob("*.html"))
    )
    whys = "".join(
        f"<li>{html.escape(row['name'])}: {html.escape(row['why'])}</li>"
        for row in rows
        if row["why"]
    )
    return "\n".join([
        f'<h2 id="{script.name}">{html.escape(script.question)}</h2>',
        f'<p class="sub"><code>python experiments/{script.name}.py</code>, '
        f"{_duration(told['seconds'])}</p>",
        *(f"<p>{html.escape(paragraph)}</p>" for paragraph in script.setting.split("\n\n")),
        html_page.figure(script.name, picture.read_bytes()) if picture.exists() else "",
        pages,
        html_page.table(rows, _columns(rows), texts=("verdict",)),
        f"<ul>{whys}</ul>" if whys else "",
    ])  # fmt: skip


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.0f} seconds"
