"""How well does one hidden layer of n sigmoid units fit a continuous function, as n grows?

    python experiments/universal_approximation.py            # 3 minutes on 2 cores
    python experiments/universal_approximation.py --smoke    # seconds, for the tests

1-D: f(x) = 0.2 + 0.4x² + 0.3x sin 15x + 0.05 cos 50x on [0, 1]; 2-D: one like it. Adam, η = 0.01
along a cosine, 120 epochs of 4,000 points; root mean square error at 4,000 others. Units begin as
steps of slopes N(0, 50²/n_in) at random places, or N(0, 1). By hand: n/2 bumps of two sigmoids.

Source: Nielsen, chapter 4: f, the bumps and, in pictures, that more hidden units fit better.
"""

from dataclasses import dataclass

import jax
import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment


def f(u, v):
    """The book's function where u = v = x."""
    return 0.2 + 0.4 * u * v + 0.3 * u * np.sin(15 * v) + 0.05 * np.cos(25 * (u + v))


def steps(key, n_in, n_out):
    """Hidden units of slopes N(0, 50²/n_in), an output of N(0, 1/n_in), at uniform places."""
    slopes, places = jax.random.split(key)
    w = (50 if n_out > 1 else 1) / n_in**0.5 * jax.random.normal(slopes, (n_in, n_out))
    return jn.Layer(w, -(w * jax.random.uniform(places, w.shape)).sum(axis=0))


COST, X = jn.costs.Quadratic(jn.activations.linear), (np.arange(1000) + 0.5) / 1000
WHY = "training limits it: at an η of its own each, both widths ended near 0.0009 in a trial."
SHOWN, BUMPS = (4, 16, 256), np.array([2, 8, 32, 128, 512])
KINDS = {"1-D": (1, steps), "2-D": (2, steps), "1-D from N(0, 1)": (1, jn.initializers.default)}


def by_hand(n):
    """f by n bumps side by side: each goes up by a steep sigmoid, and down by another."""
    left, w = np.arange(n) / n, np.full((1, 2 * n), 2000 * n, np.float32)
    places, height = np.r_[left, left + 1 / n], f(left + 0.5 / n, left + 0.5 / n)
    params = jn.Layer(w, -w[0] * places), jn.Layer(np.r_[height, -height][:, None], np.zeros(1))
    return jn.predict(jn.Network((1, 2 * n, 1), cost=COST), params, X[:, None])[:, 0]


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    widths: tuple[int, ...] = (1, 4, 16, 64, 256, 1024)
    """Hidden units; each under 16 seeds."""
    epochs: int = 120
    """Epochs of each run."""


def run(config: Config) -> tuple[list[dict], dict]:
    """Train all widths, and build the bumps."""
    recipe = jn.Recipe(jn.adam(0.01), schedule=jn.schedules.cosine(config.epochs))
    rows, n, epochs = [], config.widths, config.epochs
    rms = lambda error: np.sqrt(np.mean(error**2))
    curves: dict = {"n": n, "by hand": [rms(by_hand(int(k)) - f(X, X)) for k in BUMPS]}
    for kind, (n_in, init) in KINDS.items():
        data = jn.datasets.function(lambda x: f(x[:, 0], x[:, -1]), n_in=n_in, n=4000)
        nets = [jn.Network((n_in, width, 1), cost=COST, init=init) for width in n]
        study = jn.sweep(nets, data, recipe, seeds=16, epochs=epochs, batch_size=100)
        error = curves[kind] = np.sqrt(2 * study.history.evaluation_cost[:, :, -1])
        for k, net in enumerate(nets):
            rows.append(experiment.measured(f"{kind}, n = {n[k]}", error[k], unit="", log=True))
            if k and init is steps:
                name, pair = f"{kind}: ln error, n = {n[k - 1]} − {n[k]}", np.log(error[[k - 1, k]])
                rows.append(experiment.compared(name, *pair, unit="", claimed=True, why=WHY))
            if kind == "1-D" and n[k] in SHOWN:
                curves[f"{n[k]} units"] = jn.predict(net, study.params(k, 0), X[:, None])
    slope = np.polyfit(np.log(BUMPS[2:]), np.log(curves["by hand"][2:]), 1)[0]
    rows.append(
        experiment.bounded("by hand: slope of ln error by ln n, + 1", [abs(slope + 1)], 0.05)
    )
    return rows, curves


def plot(curves: dict) -> Figure:
    """Error by width, mean and range over the seeds; f with fits of one seed, and with bumps."""
    figure, left, right = experiment.panels(1, 1)
    for k, kind in enumerate(KINDS):
        experiment.band(left, curves["n"], curves[kind].T, k, kind)
    left.plot(2 * BUMPS, curves["by hand"], label="1-D by hand", **experiment.STYLES[3])
    left.set(xscale="log", yscale="log", xlabel="hidden units n", ylabel="root mean square error")
    right.plot(X, f(X, X), color="0.8", linewidth=6, label="f")
    for k, name in enumerate(name for name in curves if name.endswith("units")):
        right.plot(X, curves[name], label=name, **experiment.STYLES[k])
    right.plot(X, by_hand(32), color="black", linewidth=0.8, label="64 units by hand")
    right.set(xlabel="x", ylabel="f(x)")
    for axes in (left, right):
        axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    experiment.main(__file__, __doc__, Config(), Config(widths=(3, 4), epochs=1), run, plot)
