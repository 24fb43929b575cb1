"""What `jaxnet compare` prints of its results, and what it writes about several tasks."""

from pathlib import Path

from rich.console import Console

from jaxnet.cli import console, fitted_tables
from jaxnet.comparison import Comparison, conclusions, looks, result_tables
from jaxnet.comparison.across_tables import usable_targets


def show(result: Comparison, out: Console) -> None:
    """Print the report, the pairs, the conclusion and the warnings.

    Args:
      result: the comparison.
      out: the console.
    """
    protocol, examples = result.manifest["protocol"], result.manifest["examples"]
    out.print()
    console.say(
        out,
        f"{result.manifest['network']}, {examples[0]:,} training examples, "
        f"{protocol['epochs']} epochs, mini-batches of {protocol['batch_size']}",
    )
    out.print(fitted_tables.report_table(out, result))
    out.print(fitted_tables.pairs_table(out, result))
    first, of_pairs = conclusions.folded(result.conclusion, len(result.pairwise))
    for sentence in first:
        console.say(out, f"• {sentence}")
    if of_pairs:
        console.say(out, f"report.html has a sentence for each of the {len(of_pairs)} pairs.")
    for sentence in result.warnings:
        console.say(out, f"Warning: {sentence}")
    out.print()


def show_budget(
    result: Comparison, n_optimizers: int, n_trained: int, seconds: float, out: Console
) -> None:
    """Print how much was trained, and how fast.

    Args:
      result: the comparison.
      n_optimizers: the number of optimizers.
      n_trained: epochs trained in this call, over all networks.
      seconds: how long the call took.
      out: the console.
    """
    protocol = result.manifest["protocol"]
    console.say(
        out,
        f"{result.summary[0]['trials']} trials × {len(protocol['tuning_seeds'])} seeds, then "
        f"{len(looks.taken_seeds(result.manifest))} fresh seeds, of {n_optimizers} optimizers: "
        + (
            f"{n_trained:,} network·epochs trained in {seconds:.0f} s, "
            f"{n_trained / seconds:.1f} a second."
            if n_trained
            else "all were trained before."
        ),
    )


def show_profile(results: dict[str, Comparison], folder: Path, out: Console) -> None:
    """Draw the profile of speed over all tasks, and say where it is.

    Args:
      results: the comparison of each task.
      folder: the folder above the tasks' folders.
      out: the console.
    """
    rows = result_tables.profile_rows(
        {name: result.time_to_target for name, result in results.items()}
    )
    if not rows:
        console.say(out, "No target was reached on any task: there is no profile.")
        return
    # Imported here, since matplotlib's figures take 0.3 s, for which training would wait.
    from jaxnet.reporting import comparison_page

    comparison_page.publish_profile(folder, rows)
    console.say(
        out,
        f"Over all tasks: {folder}/profile.png, of speed. It is relative: it may change with the "
        "optimizers that are compared, and with the tasks.",
    )


def show_across(results: dict[str, Comparison], folder: Path, command: str, out: Console) -> None:
    """Print what all tasks say together, and write its tables and its page.

    Args:
      results: the comparison of each task.
      folder: the folder above the tasks' folders.
      command: the command that compares again, for the page.
      out: the console.
    """
    if without := [name for name, result in results.items() if not usable_targets(result)]:
        console.say(
            out,
            f"{without[0]} has no target, which would normalize its scores: there are no "
            "statistics across tasks. --targets names one.",
        )
        return
    from jaxnet.reporting import comparison_page  # as above

    across = comparison_page.publish_across(folder, results, command=command)
    for sentence in across.conclusion:
        console.say(out, f"• {sentence}")
    for sentence in across.warnings:
        console.say(out, f"Warning: {sentence}")
    console.say(out, f"Written to {folder}/: open {folder / 'report.html'} in a browser.")
