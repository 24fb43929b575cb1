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
    """The function of two inputs, which is the book's where u = v = x."""
    return 0.2 + 0.4 * u * v + 0.3 * u * np.sin(15 * v) + 0.05 * np.cos(25 * (u + v))


def steps(key, n_in, n_out):
    """Hidden units of slopes N(0, 50²/n_in), an output of N(0, 1/n_in), at uniform places."""
    slopes, places = jax.random.split(key)
    slope = 50 if n_out > 1 else 1
    w = slope / n_in**0.5 * jax.random.normal(slopes, (n_in, n_out))
    b = -(w * jax.random.uniform(places, w.shape)).sum(axis=0)
    return jn.Layer(w, b)


COST = jn.costs.Quadratic(jn.activations.linear)
X = (np.arange(1000) + 0.5) / 1000
"""Where the fits are drawn, and the error of the bumps is taken."""
WHY = "training limits it: at an η of its own each, both widths ended near 0.0009 in a trial."
DRAWN_WIDTHS = (4, 16, 256)
"""Hidden units of the fits in the picture."""
N_BUMPS = np.array([2, 8, 32, 128, 512])
KINDS = {
    "1-D": (1, steps),
    "2-D": (2, steps),
    "1-D from N(0, 1)": (1, jn.initializers.default),
}
"""Number of inputs and initializer of each kind of training."""
SEEDS = 16


def by_hand(n_bumps: int) -> jax.Array:
    """f at `X` by bumps side by side: each goes up by a steep sigmoid, and down by another."""
    left = np.arange(n_bumps) / n_bumps
    middle = left + 0.5 / n_bumps
    heights = f(middle, middle)
    places = np.r_[left, left + 1 / n_bumps]
    w = np.full((1, 2 * n_bumps), 2000 * n_bumps, np.float32)
    hidden = jn.Layer(w, -w[0] * places)
    output = jn.Layer(np.r_[heights, -heights][:, None], np.zeros(1))
    net = jn.Network((1, 2 * n_bumps, 1), cost=COST)
    return jax.numpy.asarray(jn.predict(net, (hidden, output), X[:, None])[:, 0])


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    widths: tuple[int, ...] = (1, 4, 16, 64, 256, 1024)
    """Hidden units; each under 16 seeds."""
    epochs: int = 120
    """Epochs of each run."""


def train(config: Config, n_in: int, init) -> tuple[jn.Study, list[jn.Network]]:
    """A sweep over all widths, and its networks."""
    nets = [jn.Network((n_in, width, 1), cost=COST, init=init) for width in config.widths]
    study = jn.sweep(
        nets,
        jn.datasets.function(lambda x: f(x[:, 0], x[:, -1]), n_in=n_in, n=4000),
        jn.Recipe(jn.adam(0.01), schedule=jn.schedules.cosine(config.epochs)),
        seeds=SEEDS,
        epochs=config.epochs,
        batch_size=100,
    )
    return study, nets


def kind_rows(config: Config, kind: str, errors: np.ndarray) -> list[dict]:
    """The errors of a kind of training, (width, seed), and whether they fall with the width."""
    rows = []
    for k, width in enumerate(config.widths):
        name = f"{kind}, n = {width}"
        rows.append(experiment.estimate_row(name, errors[k], unit="", log=True))
        if k > 0 and KINDS[kind][1] is steps:
            name = f"{kind}: ln error, n = {config.widths[k - 1]} − {width}"
            narrower, wider = np.log(errors[k - 1]), np.log(errors[k])
            row = experiment.difference_row(name, narrower, wider, unit="", claimed=True, why=WHY)
            rows.append(row)
    return rows


def run(config: Config) -> tuple[list[dict], dict]:
    """Train all widths, and build the bumps."""
    bump_errors = [np.sqrt(np.mean((by_hand(int(n)) - f(X, X)) ** 2)) for n in N_BUMPS]
    rows = []
    curves: dict = {"n": config.widths, "by hand": bump_errors}
    for kind, (n_in, init) in KINDS.items():
        study, nets = train(config, n_in, init)
        mean_squares = 2 * np.asarray(study.history.evaluation_cost)[:, :, -1]  # the cost is half
        curves[kind] = np.sqrt(mean_squares)
        rows += kind_rows(config, kind, curves[kind])
        if kind == "1-D":
            for k, net in enumerate(nets):
                width = config.widths[k]
                if width in DRAWN_WIDTHS:
                    curves[f"{width} units"] = jn.predict(net, study.params(k, 0), X[:, None])
    slope = np.polyfit(np.log(N_BUMPS[2:]), np.log(bump_errors[2:]), 1)[0]
    name = "by hand: slope of ln error by ln n, + 1"
    rows.append(experiment.bound_row(name, [abs(slope + 1)], 0.05))
    return rows, curves


def plot(curves: dict) -> Figure:
    """Error by width, mean and range over the seeds; f with fits of one seed, and with bumps."""
    figure, (left, right) = experiment.panels(1, 1)
    for k, kind in enumerate(KINDS):
        experiment.band(left, curves["n"], curves[kind].T, k, kind)
    left.plot(2 * N_BUMPS, curves["by hand"], label="1-D by hand", **experiment.line_style(3))
    left.set(xscale="log", yscale="log", xlabel="hidden units n", ylabel="root mean square error")
    right.plot(X, f(X, X), color="0.8", linewidth=6, label="f")
    fits = [name for name in curves if name.endswith("units")]
    for k, name in enumerate(fits):
        right.plot(X, curves[name], label=name, **experiment.line_style(k))
    right.plot(X, by_hand(32), color="black", linewidth=0.8, label="64 units by hand")
    right.set(xlabel="x", ylabel="f(x)")
    for axes in (left, right):
        axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    experiment.main(__file__, __doc__, Config(), Config(widths=(3, 4), epochs=1), run, plot)
