"""All experiments: a list of them, or run some and write results/index.html, one page of all.

python -m experiments                      # what they ask, and how long they take
python -m experiments all                  # runs all
python -m experiments dropout l1           # runs these
python -m experiments all --plot-only      # draws all pictures and the page anew
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from jaxnet.reporting import experiment_index

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
    jobs: int = min(2, os.cpu_count() or 1)
    """How many to run at a time, each on cores of its own; those that measure time run alone, and
    last."""
    results: Path = Path("results")
    """The folder of the results."""


def listing(listed: list[experiment_index.Script]) -> Table:
    """Names, questions and running times."""
    table = Table(box=box.SIMPLE, padding=(0, 1, 1, 0))
    for heading in ("name", "question", "on 2 cores"):
        table.add_column(heading, no_wrap=heading != "question")
    for script in listed:
        table.add_row(script.name, script.question, script.duration)
    return table


def run(config: Experiments, script: experiment_index.Script) -> tuple[bool, str]:
    """Run a script in a process of its own: whether it did, and what it printed."""
    if config.plot_only and not (config.results / script.name / "results.json").exists():
        return True, "no results yet\n"
    flags = ["--smoke"] * config.smoke + ["--plot-only"] * config.plot_only
    command = [sys.executable, script.path, *flags, "--results", config.results / script.name]
    # In a smoke test most of the time goes into compiling.
    quick = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"} if config.smoke else {}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        env=quick | os.environ,
    )  # fmt: skip
    return done.returncode == 0, done.stdout


def pin(shares: list[list[int]]) -> None:
    """Keep this thread, and the processes that it starts, on the next share of the cores.

    Two programs that spread over the same cores drive each other out of the caches: measured, they
    train up to a fifth slower, and compile more slowly still.
    """
    share = shares.pop()  # atomic; empty where the system cannot pin
    if share:
        with suppress(OSError):  # which some containers raise
            os.sched_setaffinity(0, share)


def run_all(config: Experiments, chosen: list[experiment_index.Script], out: Console) -> list[str]:
    """Run several at a time, then one by one those that measure time; the names that failed."""
    failed, number = [], 0
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    for alone in (False, True):
        scripts = [script for script in chosen if script.alone == alone]
        jobs = 1 if alone else max(1, min(config.jobs, len(scripts)))
        shares = [cores[k::jobs] or cores for k in range(jobs)]
        with ThreadPoolExecutor(jobs, initializer=pin, initargs=(shares,)) as pool:
            futures = {pool.submit(run, config, script): script for script in scripts}
            try:
                for future in as_completed(futures):
                    script, (right, printed) = futures[future], future.result()
                    number += 1
                    out.rule(f"{number} of {len(chosen)}: {script.name}", align="left")
                    print(f"{script.question}\n{printed}", flush=True)
                    failed += [] if right else [script.name]
            except KeyboardInterrupt:  # which the scripts that run have heard, too
                pool.shutdown(cancel_futures=True)
                raise
    return failed


def main(config: Experiments) -> int:
    """List, or run and gather; the exit status."""
    listed = experiment_index.catalogue(FOLDER)
    out = Console(highlight=False)
    if not config.names:
        out.print(listing(listed))
        out.print("Run some with python -m experiments NAME …, or all.")
        out.print("What can be varied in one is told by python experiments/NAME.py --help.")
        return 0
    if config.smoke:  # beside the results of full runs, not over them
        config = replace(config, results=config.results / "smoke")
    known = {script.name: script for script in listed}
    if unknown := [name for name in config.names if name != "all" and name not in known]:
        print(f"error: no experiment is called {unknown[0]}; there are: all, {', '.join(known)}.",
              file=sys.stderr)  # fmt: skip
        return 2
    if config.jobs < 1:
        print(f"error: --jobs must be 1 or more, not {config.jobs}.", file=sys.stderr)
        return 2
    chosen = listed if "all" in config.names else [known[n] for n in dict.fromkeys(config.names)]
    if len(chosen) > 1 and config.jobs > 1:
        print(
            f"{len(chosen)} experiments, {config.jobs} at a time; each is printed when it is done."
        )
    try:
        failed = run_all(config, chosen, out)
    finally:  # after Ctrl-C, too
        print(f"The page of all results: {experiment_index.publish(listed, config.results)}")
    if failed:
        print(f"error: failed: {', '.join(failed)}; see above.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Experiments, prog="python -m experiments", description=__doc__)))
    except KeyboardInterrupt:
        sys.exit(130)
