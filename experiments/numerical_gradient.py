"""Can finite differences alone train a network, and which start explains what some notes report?

    python experiments/numerical_gradient.py            # 5 minutes on 2 cores
    python experiments/numerical_gradient.py --smoke    # seconds, for the tests

[784, 50, 10], relu, softmax, MNIST's pixels 0 to 255, 1,000 mini-batches of 100, η = 0.001; weights
N(0, σ²) with σ = 0.01 and −ln a, or σ = 0.1 and −ln(a + 10⁻⁷) ≤ 16.1. A weight into a hidden unit
moves it by h times one of 256 pixel values: a table makes differences 10,000 times cheaper.

Source: study notes; published numbers: loss from about 13 to about 2, test accuracy about 75 %.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment


class Floored(jn.costs.LogLikelihood):
    """−Σ y ln(a + 10⁻⁷) over softmax outputs a; for one class δ = (a − y)·a_y/(a_y + 10⁻⁷)."""

    fn = lambda self, z, y: -jnp.sum(y * jnp.log(self.output.fn(z) + 1e-7))
    delta = lambda self, z, y: self.output.pullback(z, -y / (self.output.fn(z) + 1e-7))


COSTS = {0.01: jn.costs.LogLikelihood(), 0.1: Floored()}
PUBLISHED = {"first loss": (13.0, ""), "last loss": (2.0, ""), "test accuracy": (0.75, "%")}
WHY = "with the floor, σ = 0.05 gives 13.8, 0.4 and 88 %, σ = 0.07 14.5, 4.1 and 73 % (3 seeds)."


def differences(net, params, x, y, h=1e-8):
    """The central differences of one example's cost, by all weights and biases."""
    (w, b), (w_out, b_out) = params
    relu, one_hot, pixel, z = jax.nn.relu, jnp.eye(10), jnp.arange(256.0)[:, None], x @ w + b
    logits, a = relu(z) @ w_out + b_out, jnp.append(relu(z), 1)[:, None, None]  # a bias sees a 1
    cost = jnp.vectorize(lambda z: net.cost.fn(z, one_hot[y]), signature="(k)->()")
    slope = lambda change: (cost(logits + change(h)) - cost(logits + change(-h))) / (2 * h)
    table = slope(lambda h: (relu(z + h * pixel) - relu(z))[..., None] * w_out)
    return jnp.append(table[jnp.append(x, 1).astype(int)], slope(lambda h: h * a * one_hot))


@jax.jit(static_argnums=0)
def descend(net, data, seeds, batches):
    """Loss by step and lane; the error of lane 0's differences, which train it; test accuracy."""
    unravel = ravel_pytree(jn.init(net, jax.random.key(0)))[1]
    start = lambda seed: ravel_pytree(jn.init(net, jax.random.key(seed)))[0]
    scores = lambda theta, x, y: jn.evaluate(net, unravel(theta), jn.Split(x.astype(float), y))
    slopes = lambda theta, x, y: ravel_pytree(jn.gradient(net, unravel(theta), x, y))[0]

    def step(thetas, batch):
        x, y = data.train.x[batch].astype(float), data.train.y[batch]
        loss, exact = jax.vmap(scores)(thetas, x, y).cost, jax.vmap(slopes)(thetas, x, y)
        one = lambda xy: differences(net, unravel(thetas[0]), *xy)
        found = jax.lax.map(one, (x[0], y[0])).mean(axis=0)
        error = jnp.linalg.norm(found - exact[0]) / jnp.linalg.norm(exact[0])
        return thetas - 0.001 * exact.at[0].set(found), (loss, error)

    thetas, curves = jax.lax.scan(step, jax.vmap(start)(seeds), batches)
    return *curves, jax.vmap(scores, (0, None, None))(thetas, *data.test).accuracy


def run(config: experiment.Config) -> tuple[list[dict], dict]:
    """Both settings, on a core each: 16 seeds by backpropagation; lane 0, seed 0 by differences."""
    steps, seeds, size = (1, 2, 50) if config.smoke else (1000, 16, 100)
    lanes, found = np.array([0, *range(seeds)]), []
    batches = np.random.default_rng(0).integers(50_000, size=(steps, seeds, size))[:, lanes]
    with jax.enable_x64(True):
        for (sd, cost), core in zip(COSTS.items(), jax.devices() * 2):
            net = jn.Network((784, 50, 10), jn.activations.relu, cost, jn.initializers.gaussian(sd))
            found.append(descend(net, *jax.device_put((jn.datasets.mnist(), lanes, batches), core)))
    loss, error, accuracy = (np.array(part) for part in zip(*found))
    rows = [
        experiment.share(f"σ = {k}: equal gradients", e < 1e-6, 0.9) for k, e in zip(COSTS, error)
    ]
    for (name, (value, unit)), both in zip(PUBLISHED.items(), (loss[:, 0], loss[:, -1], accuracy)):
        for sd, some in zip(COSTS, both[:, 1:]):
            rows.append(experiment.measured(f"σ = {sd}: {name}", some, value, unit, not unit, WHY))
        off = np.abs(np.log(both[:, 1:] / value))
        rows.append(experiment.compared(f"{name}: σ = 0.01 is further off, ln", off[0], off[1], ""))
    share = (39_700 + 2 * 10 * (256 * 50 + 51 * 10)) / (39_760 * 2 * 39_700)
    rows.append(experiment.bounded("multiply-adds over the naive way's", [share], 1e-4))
    return rows, {"loss": loss.reshape(2, -1, min(20, steps), seeds + 1).mean(axis=2)}


def plot(curves: dict) -> Figure:
    """Loss by step: mean and range over seeds; seed 0 by differences; published ends as crosses."""
    figure, axes = experiment.panels(width=7, height=4)
    for k, (sd, table) in enumerate(zip(COSTS, curves["loss"])):
        experiment.band(axes, range(10, 20 * len(table), 20), table[:, 1:].T, k, f"σ = {sd}")
        axes.plot(range(10, 20 * len(table), 20), table[:, 0], ":", color="black")
    axes.plot([0, 20 * len(curves["loss"][0])], [13, 2], "x", color="black", clip_on=False)
    axes.set(xlabel="step", ylabel="loss, means of 20 mini-batches", yscale="log", ylim=(0.1, 20))
    axes.legend(frameon=False, title="dots: seed 0 by differences; × published", loc=(0.3, 0.35))
    return figure


if __name__ == "__main__":
    experiment.main(__file__, __doc__, experiment.Config(), experiment.Config(), run, plot)
