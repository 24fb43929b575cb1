"""Is the handwritten gradient right everywhere: every cost, output, activation and depth?

    python experiments/gradients.py            # 1 minute on 2 cores
    python experiments/gradients.py --smoke    # 8 of 713 networks, for the tests

Each network's handwritten gradient is compared, in float64, with `jax.grad` and with central
differences, as relative norms over all weights and biases. Kinks are avoided by chance: no weighted
input of these seeds lies within a step of one.

Source: the four equations are those of Nielsen, chapter 2; that they hold is to be shown here.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

SIZES = (6, 4), (6, 5, 4), (6, 5, 7, 4), (6, 5, 7, 3, 4)


def networks() -> list[jn.Network]:
    """Every depth with every hidden activation, and cost with every output that it takes."""
    outputs = list(jn.activations.NAMED.values())
    costs = [jn.costs.CrossEntropy(), jn.costs.LogLikelihood(), jn.costs.LogLikelihood(2.0)]
    costs += [
        cost(output) for cost in (jn.costs.Quadratic, jn.costs.AbsoluteError) for output in outputs
    ]
    products = itertools.product(SIZES, outputs, costs)
    found = [jn.Network(sizes, hidden, cost) for sizes, hidden, cost in products]
    return list({repr(net): net for net in found}.values())  # at depth 1 nothing is hidden


def errors(net: jn.Network) -> tuple[float, float]:
    """Relative distance of the handwritten gradient to autodiff's, and to differences'."""
    random = np.random.default_rng(0)
    params = jn.init(net, jax.random.key(0))
    xs, ys = random.standard_normal((3, net.sizes[0])), np.eye(4)[random.integers(4, size=3)]

    def cost(params):
        return jnp.mean(jax.vmap(net.cost.fn)(jn.logits(net, params, xs), jnp.asarray(ys)))

    theta, unravel = ravel_pytree(params)
    shifts = 1e-5 * jnp.eye(theta.size)
    along = jax.vmap(lambda shift: cost(unravel(theta + shift)))
    differences = (along(shifts) - along(-shifts)) / 2e-5
    handwritten = ravel_pytree(jn.gradient(net, params, xs, ys))[0]
    autodiff = ravel_pytree(jax.grad(cost)(params))[0]
    distance = lambda other: float(np.linalg.norm(handwritten - other))
    norm = float(np.linalg.norm(handwritten))
    return distance(autodiff) / norm, distance(differences) / norm


def run(config: experiment.Config) -> tuple[list[dict], dict]:
    """Check all; in a smoke test every 90th."""
    checked = networks()[:: 90 if config.smoke else 1]
    with jax.enable_x64(True):
        found = np.array([errors(net) for net in checked]).T
    autodiff, differences = found
    several = f"of {len(checked)} networks"
    rows = [
        experiment.bounded(f"distance to jax.grad, {several}", autodiff, 1e-14),
        experiment.bounded(f"distance to central differences, {several}", differences, 1e-8),
    ]
    return rows, {"errors": found}


def plot(curves: dict) -> Figure:
    """The distances of all networks, sorted."""
    figure, axes = experiment.panels(width=7)
    for line, error, name in zip(experiment.STYLES, curves["errors"], ("jax.grad", "differences")):
        axes.plot(np.sort(error.clip(1e-18)), label=f"to {name}", **line)
    axes.set(yscale="log", xlabel="networks, sorted", ylabel="relative distance of the gradient")
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    experiment.main(__file__, __doc__, experiment.Config(), experiment.Config(), run, plot)
