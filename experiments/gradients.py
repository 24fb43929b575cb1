"""Is the handwritten gradient right everywhere: every cost, output, activation and depth?

    python experiments/gradients.py            # 713 networks, about 2 minutes on 2 cores
    python experiments/gradients.py --smoke    # 8 of them, for the tests

Each network's handwritten gradient is compared, in float64, with `jax.grad` and with central
differences, as relative norms over all weights and biases. Kinks are avoided by chance: no weighted
input of these seeds lies within a step of one.
"""

import itertools
import json
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax.flatten_util import ravel_pytree

import jaxnet as jn

SIZES = {1: (6, 4), 2: (6, 5, 4), 3: (6, 5, 7, 4), 4: (6, 5, 7, 3, 4)}


@dataclass(frozen=True)
class Config:
    """Settings of the check."""

    smoke: bool = False
    """Only depth 2, with one activation."""
    results: Path = Path("results/gradients")
    """Where to write results.json."""


def networks(config: Config) -> list[jn.Network]:
    """Every cost with every output that it takes, hidden activation and depth."""
    outputs = jn.activations.NAMED.values()
    costs = [jn.costs.CrossEntropy(), jn.costs.LogLikelihood(), jn.costs.LogLikelihood(2.0)]
    costs += [
        cost(output) for cost in (jn.costs.Quadratic, jn.costs.AbsoluteError) for output in outputs
    ]
    if config.smoke:
        return [jn.Network(SIZES[2], jn.activations.gelu, cost) for cost in costs[:8]]
    products = itertools.product(SIZES.values(), outputs, costs)
    return [jn.Network(sizes, hidden, cost) for sizes, hidden, cost in products]


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
    norm = np.linalg.norm(handwritten)

    def distance(other):
        return float(np.linalg.norm(handwritten - other) / norm)

    return distance(autodiff), distance(differences)


def main(config: Config) -> None:
    """Check all, print the worst, write."""
    began = time.perf_counter()
    with jax.enable_x64(True):
        rows = {repr(net): errors(net) for net in networks(config)}
    print(f"{len(rows)} networks in {time.perf_counter() - began:.0f} s")
    for index, (name, allowed) in enumerate((("jax.grad", 1e-10), ("differences", 1e-6))):
        worst = max(rows, key=lambda net: rows[net][index])
        print(f"furthest from {name}: {rows[worst][index]:.1e} (allowed {allowed:.0e}), {worst}")
        assert rows[worst][index] <= allowed
    config.results.mkdir(parents=True, exist_ok=True)
    (config.results / "results.json").write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
