"""Is the handwritten gradient right everywhere: every cost, output, activation and depth?

    python experiments/gradients.py            # 1 minute on 2 cores
    python experiments/gradients.py --smoke    # 8 of 713 networks, for the tests

Each network's handwritten gradient is compared, in float64, with `jax.grad` and with central
differences, as relative norms over all weights and biases. Kinks are avoided by chance: no weighted
input of these seeds lies within a step of one.

Source: the four equations are those of Nielsen, chapter 2; that they hold is to be shown here.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

SIZES = (6, 4), (6, 5, 4), (6, 5, 7, 4), (6, 5, 7, 3, 4)
STEP = 1e-5
"""The step of the central differences."""


def networks() -> list[jn.Network]:
    """Every depth with every hidden activation, and every cost with every output it allows."""
    activations = list(jn.activations.NAMED.values())
    costs = [jn.costs.CrossEntropy(), jn.costs.LogLikelihood(), jn.costs.LogLikelihood(2.0)]
    for cost in (jn.costs.Quadratic, jn.costs.AbsoluteError):
        costs += [cost(output) for output in activations]
    distinct = {}  # networks without hidden layers differ by nothing but their costs
    for sizes in SIZES:
        for hidden in activations:
            for cost in costs:
                net = jn.Network(sizes, hidden, cost)
                distinct[repr(net)] = net
    return list(distinct.values())


def relative_errors(net: jn.Network) -> tuple[float, float]:
    """Relative distances of the handwritten gradient to autodiff's and to central differences."""
    random = np.random.default_rng(0)
    params = jn.init(net, jax.random.key(0))
    xs = random.standard_normal((3, net.sizes[0]))
    ys = np.eye(4)[random.integers(4, size=3)]

    def cost(params):
        return jnp.mean(
            jax.vmap(net.cost.fn)(jnp.asarray(jn.logits(net, params, xs)), jnp.asarray(ys))
        )

    theta, unravel = ravel_pytree(params)
    shifted_cost = jax.vmap(lambda shift: cost(unravel(theta + shift)))
    shifts = STEP * jnp.eye(theta.size)
    differences = (shifted_cost(shifts) - shifted_cost(-shifts)) / (2 * STEP)
    autodiff, _ = ravel_pytree(jax.grad(cost)(params))
    handwritten, _ = ravel_pytree(jn.gradient(net, params, xs, ys))
    norm = float(np.linalg.norm(handwritten))
    to_autodiff = float(np.linalg.norm(handwritten - autodiff)) / norm
    to_differences = float(np.linalg.norm(handwritten - differences)) / norm
    return to_autodiff, to_differences


def run(config: experiment.Config) -> tuple[list[dict], dict]:
    """Check all networks; in a smoke test every 90th."""
    checked = networks()[:: 90 if config.smoke else 1]
    with jax.enable_x64(True):
        errors = np.array([relative_errors(net) for net in checked]).T
    to_autodiff, to_differences = errors
    count = f"of {len(checked)} networks"
    rows = [
        experiment.bound_row(f"distance to jax.grad, {count}", to_autodiff, 1e-14),
        experiment.bound_row(f"distance to central differences, {count}", to_differences, 1e-8),
    ]
    return rows, {"errors": errors}


def plot(curves: dict) -> Figure:
    """The distances of all networks, sorted."""
    figure, (axes,) = experiment.panels(width=7)
    for style, name in enumerate(("jax.grad", "differences")):
        errors = np.sort(curves["errors"][style].clip(1e-18))
        axes.plot(errors, label=f"to {name}", **experiment.line_style(style))
    axes.set(yscale="log", xlabel="networks, sorted", ylabel="relative distance of the gradient")
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    experiment.main(__file__, __doc__, experiment.Config(), experiment.Config(), run, plot)
