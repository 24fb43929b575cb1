"""What do shifts by one pixel bring [784, 100, 10]: drawn anew in the loop, or as 250,000 images?

    python experiments/expanded_data.py            # 10 minutes on 2 cores
    python experiments/expanded_data.py --smoke    # seconds, for the tests

MNIST, η = 0.5 along a cosine, mini-batches of 10. Every arm takes 150,000 steps: 30 epochs of
50,000 images, or 6 of the expanded 250,000. Each arm chooses its λ (in units of the 50,000) by its
validation accuracy after the last epoch, on a tuning seed, and is reported from fresh seeds.

Source of the question: Nielsen, chapter 3, other techniques for regularization, where expanding
the training data lifts a network of 800 hidden units (Simard et al., 2003) from 98.4 % to 98.9 %.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import numpy as np
import tyro
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

import jaxnet as jn

COLORS = {"as it is": "#7aa6c2", "250,000 images": "#d9a08c", "shifts in the loop": "#b3402a"}


@dataclass(frozen=True)
class Config:
    """Settings of the experiment."""

    strengths: tuple[float, ...] = (0.5, 1.0, 5.0)
    """λ to choose from."""
    seeds: int = 3
    """Seeds of the report, from 0 on."""
    epochs: int = 30
    """Epochs of 50,000 images; a multiple of 5."""
    examples: int = 50_000
    """Training images, the first of MNIST."""
    smoke: bool = False
    """One λ, two seeds, five epochs of 200 images: does it run?"""
    plot_only: bool = False
    """Draw the picture anew from the results that are there."""
    results: Path = Path("results/expanded_data")
    """Where to write results.json, curves.npz and expanded_data.png."""


def train(config: Config, arm: str, data: jn.Dataset, l2: float, seed: int) -> jn.Run:
    """One run of an arm."""
    net = jn.Network((784, 100, 10))
    expanded = arm == "250,000 images"
    epochs = config.epochs // 5 if expanded else config.epochs
    recipe = jn.Recipe(
        jn.sgd(0.5),
        l2=5 * l2 if expanded else l2,  # λ/n is what acts, and n is five times as large
        schedule=jn.schedules.cosine(epochs),
        augmentation=jn.Augmentation(shift=1) if arm == "shifts in the loop" else None,
    )
    return jn.train(net, data, recipe, epochs=epochs, seed=seed, monitor=("evaluation",))


def run(config: Config) -> tuple[dict, dict]:
    """Choose λ for every arm, then train it from the report's seeds."""
    mnist = jn.datasets.mnist()
    small = jn.Split(*(array[: config.examples] for array in mnist.train))
    rows, curves = [], {}
    for arm in COLORS:
        images = jn.augmentation.expand(small) if arm == "250,000 images" else small
        data = jax.device_put(mnist._replace(train=images))
        tried = {l2: train(config, arm, data, l2, 1000) for l2 in config.strengths}
        best = max(tried, key=lambda l2: tried[l2].history.evaluation_accuracy[-1])
        runs = [train(config, arm, data, best, seed) for seed in range(config.seeds)]
        curves[arm] = np.array([run.history.evaluation_accuracy for run in runs])
        unseen = jn.Split(*(mnist.test or mnist.train))
        test = [float(jn.evaluate(run.network, run.params, unseen).accuracy) for run in runs]
        for split, values in (("validation", curves[arm][:, -1]), ("test", np.array(test))):
            rows.append({
                "name": f"{arm}, λ = {best:g}: {split}", "published": None,
                "mean": float(values.mean()), "low": float(values.min()),
                "high": float(values.max()), "n_seeds": config.seeds, "verdict": "",
            })  # fmt: skip
    settings = asdict(config) | {"results": str(config.results)}
    return {"config": settings, "jax": jax.__version__, "rows": rows}, curves


def plot(config: Config, curves: dict) -> Figure:
    """Validation accuracy by images seen."""
    figure = Figure(figsize=(7.5, 4), dpi=120, layout="constrained")
    axes = figure.subplots()
    for arm, color in COLORS.items():
        table = 100 * curves[arm]
        seen = np.arange(1, table.shape[1] + 1) * (5 if arm == "250,000 images" else 1)
        axes.plot(seen, table.mean(axis=0), color=color, label=arm, linewidth=1.8)
        axes.fill_between(seen, table.min(axis=0), table.max(axis=0), color=color, alpha=0.2,
                          linewidth=0)  # fmt: skip
    lowest = min(100 * curve[:, -1].min() for curve in curves.values())
    axes.set(xlabel="epochs of 50,000 images", ylabel="validation accuracy, %",
             ylim=(lowest - 1.5, None))  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def main(config: Config) -> None:
    """Run, print, write, draw."""
    if config.smoke:
        config = Config((1.0,), 2, 5, 200, smoke=True, results=config.results)
    config.results.mkdir(parents=True, exist_ok=True)
    if not config.plot_only:
        results, curves = run(config)
        (config.results / "results.json").write_text(json.dumps(results, indent=2) + "\n")
        np.savez(config.results / "curves.npz", **curves)
    results = json.loads((config.results / "results.json").read_text())
    table = Table(box=box.SIMPLE, title="Accuracy after the last epoch, in %", title_justify="left")
    for column in ("", "mean", "lowest", "highest", "seeds"):
        table.add_column(column, justify="right" if column else "left")
    for r in results["rows"]:
        numbers = [f"{100 * r[key]:.2f}" for key in ("mean", "low", "high")]
        table.add_row(r["name"], *numbers, str(r["n_seeds"]))
    Console().print(table)
    figure = plot(config, dict(np.load(config.results / "curves.npz")))
    figure.savefig(config.results / "expanded_data.png")
    print(f"Written to {config.results}/")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
