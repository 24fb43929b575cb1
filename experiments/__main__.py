"""All experiments: a list of them, or run some and write results/index.html, one page of all.

python -m experiments                      # what they ask, and how long they take
python -m experiments all                  # runs all
python -m experiments dropout l1           # runs these
python -m experiments all --plot-only      # draws all pictures and the page anew
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from jaxnet import gallery

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Experiments:
    """List the experiments, or run some of them, and gather the page of their results."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Which to run: "all", or some by name. None: list them."""
    smoke: bool = False
    """Run the same code on very little: does it run?"""
    plot_only: bool = False
    """Draw the pictures and the page anew from the results that are there."""
    results: Path = Path("results")
    """The folder of the results."""


def listing(listed: list[gallery.Script]) -> Table:
    """Names, questions and running times."""
    table = Table(box=box.SIMPLE, padding=(0, 1, 1, 0))
    for heading in ("name", "question", "on 2 cores"):
        table.add_column(heading, no_wrap=heading != "question")
    for script in listed:
        table.add_row(script.name, script.question, script.duration)
    return table


def run(config: Experiments, script: gallery.Script) -> bool:
    """Run a script in a process of its own; whether it did."""
    if config.plot_only and not (config.results / script.name / "results.json").exists():
        return True
    flags = ["--smoke"] * config.smoke + ["--plot-only"] * config.plot_only
    command = [sys.executable, script.path, *flags, "--results", config.results / script.name]
    return subprocess.run(command, check=False).returncode == 0


def main(config: Experiments) -> int:
    """List, or run and gather; the exit status."""
    listed = gallery.catalogue(FOLDER)
    out = Console(highlight=False)
    if not config.names:
        out.print(listing(listed))
        out.print("Run some with python -m experiments NAME …, or all.")
        return 0
    known = {script.name: script for script in listed}
    if unknown := [name for name in config.names if name != "all" and name not in known]:
        print(f"error: no experiment is called {unknown[0]}; there are all, {', '.join(known)}.",
              file=sys.stderr)  # fmt: skip
        return 2
    chosen = listed if "all" in config.names else [known[name] for name in config.names]
    failed = []
    for number, script in enumerate(chosen, 1):
        out.rule(f"{number} of {len(chosen)}: {script.name} ({script.duration})", align="left")
        out.print(script.question)
        if not run(config, script):
            failed.append(script.name)
    print(f"The page of all results: {gallery.publish(listed, config.results)}")
    if failed:
        print(f"error: failed: {', '.join(failed)}; see above.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    if "--smoke" in sys.argv:  # in a smoke test most of the time goes into compiling
        os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    try:
        sys.exit(main(tyro.cli(Experiments, description=__doc__)))
    except KeyboardInterrupt:
        sys.exit(130)
