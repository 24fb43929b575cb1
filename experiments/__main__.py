"""List all experiments, or run some and write results/index.html, one page with all results.

python -m experiments                      # what they ask, and how long they take
python -m experiments all                  # runs all
python -m experiments dropout l1           # runs these
python -m experiments all --plot-only      # draws all pictures and the page again
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
    """List the experiments, or run some of them and write the page of all results."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Which to run: "all", or some by name. Without names they are listed."""
    smoke: bool = False
    """Run the same code on very little data, to see whether it works."""
    plot_only: bool = False
    """Draw the pictures and the page again from the results of earlier runs."""
    jobs: int = min(2, os.cpu_count() or 1)
    """How many to run at a time, each on its own cores. Those that measure time run last, and one
    by one."""
    results: Path = Path("results")
    """The folder of the results."""


def table_of_scripts(scripts: list[experiment_index.Script]) -> Table:
    """Names, questions and running times."""
    table = Table(box=box.SIMPLE, padding=(0, 1, 1, 0))
    for heading in ("name", "question", "on 2 cores"):
        table.add_column(heading, no_wrap=heading != "question")
    for script in scripts:
        table.add_row(script.name, script.question, script.duration)
    return table


def run(config: Experiments, script: experiment_index.Script) -> tuple[bool, str]:
    """Run a script in its own process; return whether it succeeded, and what it printed."""
    folder = config.results / script.name
    if config.plot_only and not (folder / "results.json").exists():
        return True, "no results yet\n"
    command = [sys.executable, script.path, "--results", folder]
    environment = dict(os.environ)
    if config.plot_only:
        command.append("--plot-only")
    if config.smoke:
        command.append("--smoke")
        # In a smoke test most of the time goes into compiling.
        environment.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    process = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        env=environment,
    )  # fmt: skip
    return process.returncode == 0, process.stdout


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
    """Run several at a time, then one by one those that measure time; return who failed."""
    failed = []
    n_done = 0
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    for measures_time in (False, True):
        scripts = [script for script in chosen if script.measures_time == measures_time]
        jobs = 1 if measures_time else max(1, min(config.jobs, len(scripts)))
        shares = [cores[first::jobs] or cores for first in range(jobs)]
        with ThreadPoolExecutor(jobs, initializer=pin, initargs=(shares,)) as pool:
            futures = {pool.submit(run, config, script): script for script in scripts}
            try:
                for future in as_completed(futures):
                    script = futures[future]
                    succeeded, printed = future.result()
                    if not succeeded:
                        failed.append(script.name)
                    n_done += 1
                    out.rule(f"{n_done} of {len(chosen)}: {script.name}", align="left")
                    print(f"{script.question}\n{printed}", flush=True)
            except KeyboardInterrupt:  # the running scripts have received it, too
                pool.shutdown(cancel_futures=True)
                raise
    return failed


def refusal(config: Experiments, names: list[str]) -> str:
    """Why these settings cannot be run; empty if they can."""
    for name in config.names:
        if name != "all" and name not in names:
            return f"no experiment is called {name}; there are: all, {', '.join(names)}."
    if config.jobs < 1:
        return f"--jobs must be 1 or more, not {config.jobs}."
    return ""


def main(config: Experiments) -> int:
    """List the experiments, or run some and write the page; return the exit status."""
    scripts = experiment_index.catalogue(FOLDER)
    out = Console(highlight=False)
    if not config.names:
        out.print(table_of_scripts(scripts))
        out.print("Run some with python -m experiments NAME …, or all.")
        out.print("python experiments/NAME.py --help lists the settings of one.")
        return 0
    if config.smoke:  # beside the results of full runs, not over them
        config = replace(config, results=config.results / "smoke")
    by_name = {script.name: script for script in scripts}
    if reason := refusal(config, list(by_name)):
        print(f"error: {reason}", file=sys.stderr)
        return 2
    if "all" in config.names:
        chosen = scripts
    else:
        chosen = [by_name[name] for name in dict.fromkeys(config.names)]
    if len(chosen) > 1 and config.jobs > 1:
        print(
            f"{len(chosen)} experiments, {config.jobs} at a time; each is printed when it is done."
        )
    try:
        failed = run_all(config, chosen, out)
    finally:  # after Ctrl-C, too
        print(f"The page of all results: {experiment_index.publish(scripts, config.results)}")
    if failed:
        print(f"error: failed: {', '.join(failed)}; see above.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Experiments, prog="python -m experiments", description=__doc__)))
    except KeyboardInterrupt:
        sys.exit(130)
