"""Can the derivative of a whole training run tune its learning rate, penalty and momentum?

    python experiments/hypergradient.py            # 2 minutes on 2 cores
    python experiments/hypergradient.py --smoke    # seconds, for the tests

[64, 30, 10], cross-entropy, 10 epochs of scikit-learn's digits in mini-batches of 32. C is the last
validation cost, without penalty; forward mode gives its slopes along ln η, ln λ and ln μ/(1−μ), by
which each seed descends from η = 0.05, λ = 1, μ = 0.5. Then η rises: differences off by over 1 %?

Source: Franceschi et al., Forward and reverse gradient-based hyperparameter optimization, 2017: the
descent improves on the start. Maclaurin et al., Gradient-based hyperparameter optimization through
reversible learning, 2015: where η is too high training is chaotic, and slopes are huge and useless.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Of each run, from 0 on."""
    epochs: int = 10
    """Epochs of each run."""
    steps: int = 24
    """Of the descent, each of half the slopes and at most 1/4 long; and of η from 0.01 to 100."""


@partial(jax.jit, static_argnums=0)
@partial(jax.vmap, in_axes=(None, 0, 0))
def slopes(epochs, seed, theta):
    """C and the cost on the test set; the slopes of C by forward mode, and by differences."""
    data, net = jn.datasets.digits(), jn.Network((64, 30, 10))
    fit = partial(jn.fit, net, data, epochs=epochs, batch_size=32, seed=seed, evaluate_on=())

    def trained(theta):
        (eta, decay), mu = jnp.exp(theta[:2]), jax.nn.sigmoid(theta[2])
        params, _ = fit(jn.Recipe(jn.momentum(eta, mu), l2=decay))
        return jnp.stack([jn.evaluate(net, params, split).cost for split in data[1:] if split])

    costs = jax.vmap(trained)(theta + 1e-6 * np.vstack([np.zeros(3), np.eye(3), -np.eye(3)]))
    return costs[0], jax.jacfwd(trained)(theta)[0], (costs[1:4, 0] - costs[4:, 0]) / 2e-6


def run(config: Config) -> tuple[list[dict], dict]:
    """The descent, and the slopes by η, under the same seeds."""
    rates, seeds = np.geomspace(0.01, 100, config.steps + 1), np.arange(config.seeds)
    theta, descent, rise = np.tile([np.log(0.05), 0, 0], (config.seeds, 1)), [], []
    with jax.enable_x64(True):
        for rate in rates:
            rise.append(slopes(config.epochs, seeds, 0 * theta + [np.log(rate), 0, 0])[1:])
            descent.append((theta, *slopes(config.epochs, seeds, theta)))
            move = 0.5 * np.array(descent[-1][2])
            theta = theta - move / np.maximum(1, 4 * np.linalg.norm(move, axis=1, keepdims=True))
    thetas, costs, forward, central = (np.array(part) for part in zip(*descent))
    rise, one, ten = np.array(rise)[..., 0], config.steps // 2, config.steps * 3 // 4
    size, off = np.log10(np.abs(rise)), ~(np.abs(rise[:, 1] / rise[:, 0] - 1) <= 0.01)
    error = np.abs(central / forward - 1)[0]
    measured, rows = partial(experiment.measured, unit="", log=True), []
    for k, name in enumerate(("η", "λ", "μ/(1−μ)")):
        rows.append(experiment.bounded(f"{name}: error of differences, start", error[:, k], 1e-5))
        rows.append(measured(f"{name}, tuned", np.exp(thetas[-1, :, k])))
    for name, cost in zip(("C", "test cost"), costs.transpose(2, 0, 1)):
        rows += [measured(f"{name}, start", cost[0]), measured(f"{name}, tuned", cost[-1])]
        rows.append(experiment.compared(f"{name} falls", cost[0], cost[-1], "", claimed=True))
    for k, low in ((one, 0.0), (ten, 0.5)):
        rows.append(measured(f"η = {rates[k]:g}: slope along ln η, its size", 10 ** size[k, 0]))
        rows.append(experiment.share(f"η = {rates[k]:g}: differences off", off[k], low, low + 0.5))
    rows.append(
        experiment.compared("growth, decades", size[ten, 0], size[one, 0], "", claimed=True)
    )
    rows.append(measured("lowest η with differences over 1 % off", rates[off.argmax(axis=0)]))
    return rows, {"rates": rates, "size": size, "off": rates[off.any(1).argmax()], "costs": costs}


def plot(curves: dict) -> Figure:
    """The slope by η, grey where differences are off under any seed; costs in the descent."""
    figure, left, right = experiment.panels(1, 1)
    for k, (mode, split) in enumerate((("forward mode", "validation"), ("differences", "test"))):
        experiment.band(left, curves["rates"], curves["size"][:, k].T, k, mode)
        experiment.band(right, range(len(curves["costs"])), curves["costs"][..., k].T, k, split)
    left.axvspan(curves["off"], 100, color="0.92", zorder=0)
    left.set(xscale="log", xlabel="η", ylabel="log₁₀ |dC / d ln η|", title="Slope, λ = 1, μ = 0.5")
    right.set(xlabel="step", ylabel="cost without penalty", ylim=0, title="Descent on η, λ and μ")
    left.legend(frameon=False, title="grey: over 1 % apart")
    right.legend(frameon=False)
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, epochs=1, steps=4)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
