"""Can the derivative of a whole training run tune its learning rate, penalty and momentum?

    python experiments/hypergradient.py            # 2 minutes on 2 cores
    python experiments/hypergradient.py --smoke    # seconds, for the tests

[64, 30, 10], cross-entropy, 10 epochs of scikit-learn's digits in mini-batches of 32. C is the
validation cost after the last epoch, without penalty. Forward mode gives its slopes along ln η,
ln λ and ln μ/(1−μ), by which each seed descends from η = 0.05, λ = 1, μ = 0.5. Then, at λ = 1 and
μ = 0.5, η rises from 0.01 to 100: from where on do central differences differ from the slope along
ln η by over 1%?

Source: Franceschi et al., Forward and reverse gradient-based hyperparameter optimization, 2017: the
descent improves on the start. Maclaurin et al., Gradient-based hyperparameter optimization through
reversible learning, 2015: where η is too high training is chaotic, and slopes are huge and useless.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

NAMES = ("η", "λ", "μ/(1−μ)")
"""The hyperparameters whose logarithms make the vector `theta`."""
STEP = 1e-6
"""The step of the central differences."""


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Seeds of each run, from 0 on."""
    epochs: int = 10
    """Epochs of each run."""
    steps: int = 24
    """Steps of the descent, each of half the slopes and at most 1/4 long; and of η from 0.01 to
    100."""


class Slopes(NamedTuple):
    """The end of a training run, and its derivative."""

    costs: jax.Array
    """C and the cost on the test set, (2,)."""
    forward: jax.Array
    """The slopes of C along theta by forward mode, (3,)."""
    central: jax.Array
    """The same by central differences, (3,)."""


@partial(jax.jit, static_argnums=0)
@partial(jax.vmap, in_axes=(None, 0, 0))
def slopes(epochs, seed, theta) -> Slopes:
    """Train under one seed at theta; differentiate by forward mode, and by differences."""
    data, net = jn.datasets.digits(), jn.Network((64, 30, 10))
    valid, test = data.valid, data.test
    assert valid is not None
    assert test is not None

    def final_costs(theta):
        """The costs on the validation set and on the test set."""
        rate, decay = jnp.exp(theta[:2])
        recipe = jn.Recipe(jn.momentum(rate, jax.nn.sigmoid(theta[2])), l2=decay)
        params, _ = jn.fit(
            net, data, recipe, epochs=epochs, batch_size=32, seed=seed, evaluate_on=()
        )
        return jnp.stack([jn.evaluate(net, params, split).cost for split in (valid, test)])

    shifts = STEP * np.vstack([np.zeros(3), np.eye(3), -np.eye(3)])
    costs = jax.vmap(final_costs)(theta + shifts)
    return Slopes(
        costs=costs[0],
        forward=jax.jacfwd(final_costs)(theta)[0],
        central=(costs[1:4, 0] - costs[4:, 0]) / (2 * STEP),
    )


class Measurements(NamedTuple):
    """What was measured under all seeds."""

    thetas: np.ndarray
    """The descent's way, (step, seed, 3)."""
    costs: np.ndarray
    """C and the test cost along it, (step, seed, 2)."""
    start_errors: np.ndarray
    """Relative errors of central differences at its start, (seed, 3)."""
    forward: np.ndarray
    """The slope along ln η as η rises, by forward mode, (rate, seed)."""
    central: np.ndarray
    """The same by central differences, (rate, seed)."""


def measure(config: Config, rates: np.ndarray) -> Measurements:
    """Descend, and let η rise, under the same seeds."""
    seeds = np.arange(config.seeds)
    theta = np.tile([np.log(0.05), 0, 0], (config.seeds, 1))
    thetas, descent, rise = [], [], []
    with jax.enable_x64(True):
        for rate in rates:
            rise.append(slopes(config.epochs, seeds, 0 * theta + [np.log(rate), 0, 0]))
            descent.append(slopes(config.epochs, seeds, theta))
            thetas.append(theta)
            move = 0.5 * np.array(descent[-1].forward)
            length = np.linalg.norm(move, axis=1, keepdims=True)
            theta = theta - move / np.maximum(1, 4 * length)
    return Measurements(
        thetas=np.array(thetas),
        costs=np.array([step.costs for step in descent]),
        start_errors=np.abs(np.array(descent[0].central) / np.array(descent[0].forward) - 1),
        forward=np.array([point.forward for point in rise])[..., 0],
        central=np.array([point.central for point in rise])[..., 0],
    )


def log_row(name: str, values: np.ndarray) -> dict:
    """A row of the geometric mean."""
    return experiment.estimate_row(name, values, unit="", log=True)


def descent_rows(measured: Measurements) -> list[dict]:
    """Whether the slopes are right at the start, and whether the descent lowers the costs."""
    rows = []
    for k, name in enumerate(NAMES):
        errors = measured.start_errors[:, k]
        rows.append(experiment.bound_row(f"{name}: error of differences, start", errors, 1e-5))
        rows.append(log_row(f"{name}, tuned", np.exp(measured.thetas[-1, :, k])))
    for k, name in enumerate(("C", "test cost")):
        start, end = measured.costs[0, :, k], measured.costs[-1, :, k]
        rows.append(log_row(f"{name}, start", start))
        rows.append(log_row(f"{name}, tuned", end))
        rows.append(experiment.difference_row(f"{name} falls", start, end, unit="", claimed=True))
    return rows


def run(config: Config) -> tuple[list[dict], dict]:
    """The descent, and the slopes as η rises."""
    rates = np.geomspace(0.01, 100, config.steps + 1)
    at_1, at_10 = config.steps // 2, config.steps * 3 // 4  # where rates are 1 and 10
    measured = measure(config, rates)
    rows = descent_rows(measured)
    sizes = np.log10(np.abs(np.stack([measured.forward, measured.central], axis=1)))
    agree = np.abs(measured.central / measured.forward - 1) <= 0.01
    off = ~agree  # also where a slope is NaN
    for k, low in ((at_1, 0.0), (at_10, 0.5)):
        rows.append(log_row(f"η = {rates[k]:g}: slope along ln η, its size", 10 ** sizes[k, 0]))
        rows.append(
            experiment.share_row(f"η = {rates[k]:g}: differences off", off[k], low, low + 0.5)
        )
    growth = experiment.difference_row(
        "growth, decades", sizes[at_10, 0], sizes[at_1, 0], unit="", claimed=True
    )
    rows.append(growth)
    rows.append(log_row("lowest η with differences over 1% off", rates[off.argmax(axis=0)]))
    curves = {
        "rates": rates,
        "size": sizes,
        "off": rates[off.any(axis=1).argmax()],
        "costs": measured.costs,
    }
    return rows, curves


def plot(curves: dict) -> Figure:
    """The slope by η, grey where differences are off under any seed; costs in the descent."""
    figure, (left, right) = experiment.panels(1, 1)
    for k, mode in enumerate(("forward mode", "differences")):
        experiment.band(left, curves["rates"], curves["size"][:, k].T, k, mode)
    for k, split in enumerate(("validation", "test")):
        experiment.band(right, range(len(curves["costs"])), curves["costs"][..., k].T, k, split)
    left.axvspan(curves["off"], 100, color="0.92", zorder=0)
    left.set(xscale="log", xlabel="η", ylabel="log₁₀ |dC / d ln η|", title="Slope, λ = 1, μ = 0.5")
    right.set(xlabel="step", ylabel="cost without penalty", ylim=0, title="Descent on η, λ and μ")
    left.legend(frameon=False, title="grey: over 1% apart")
    right.legend(frameon=False)
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, epochs=1, steps=4)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
