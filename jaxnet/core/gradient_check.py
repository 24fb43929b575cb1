"""Proofs that handwritten derivatives are right, for anyone's costs, activations and networks.

Each derivative is compared, in float64 and whatever JAX's own setting, with two independent ones:
automatic differentiation, to 1e-10, and central finite differences, to 1e-6, as relative norms.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from jaxnet.core import initializers, network
from jaxnet.core.backpropagation import gradient
from jaxnet.core.costs import Cost
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, Params

AUTODIFF_TOLERANCE = 1e-10
NUMERICAL_TOLERANCE = 1e-6
CHUNK_BYTES = 2**22
"""Memory for the shifted copies of the parameters that are evaluated at once: what a cache holds
(for the book's network 64 MiB take twice as long)."""


class Check(NamedTuple):
    """One row of a gradient check: a derivative's relative distance to the two others."""

    name: str
    norm: float
    autodiff_error: float
    numerical_error: float

    @property
    def passed(self) -> bool:
        """Whether both distances are within their tolerance (a NaN is not)."""
        return (
            self.autodiff_error <= AUTODIFF_TOLERANCE
            and self.numerical_error <= NUMERICAL_TOLERANCE
        )


class GradientError(AssertionError):
    """A handwritten derivative is wrong; `checks` holds the whole table, the message the rows."""

    def __init__(self, subject: str, checks: list[Check]) -> None:
        self.checks = checks
        wrong = [check for check in checks if not check.passed]
        super().__init__(
            f"the handwritten gradient of {subject} is wrong in {len(wrong)} of {len(checks)} "
            f"places (relative errors; at most {AUTODIFF_TOLERANCE:.0e} to autodiff and "
            f"{NUMERICAL_TOLERANCE:.0e} to finite differences are allowed):\n{table(wrong)}"
        )


def table(checks: list[Check]) -> str:
    """The checks as lines of text."""
    width = max(len("where"), *(len(check.name) for check in checks))
    lines = [f"{'where':{width}}  {'norm':>9}  {'autodiff':>9}  {'numerical':>9}"]
    for name, norm, autodiff_error, numerical_error in checks:
        lines.append(f"{name:{width}}  {norm:9.2e}  {autodiff_error:9.1e}  {numerical_error:9.1e}")
    return "\n".join(lines)


def numerical_gradient(f: Callable[[Any], Any], params: Any) -> Any:
    """The gradient of f at params by central differences, (f(θ+εeᵢ) − f(θ−εeᵢ))/2ε, in float64.

    One step ε = 6e-6·max(1, |θᵢ|) balances the rounding error ∝ 1/ε and the truncation ∝ ε². The
    shifted copies are evaluated together, as many at a time as fit into 4 MiB.

    Args:
      f: params ↦ a scalar; what it closes over should be NumPy float64, not JAX float32, arrays.
      params: any pytree of float arrays.

    Returns:
      A pytree like params, of NumPy float64 arrays.

    Source: the standard choice ε ∝ (machine epsilon)^⅓, Press et al., Numerical Recipes,
    section 5.7.

    >>> numerical_gradient(lambda p: p["a"] ** 2, {"a": np.array(3.0)})["a"].round(6).item()
    6.0
    """
    with jax.enable_x64(True):
        theta, unravel = ravel_pytree(_float64(params))
        steps = 6e-6 * jnp.maximum(1, jnp.abs(theta))

        def slope(index: Array) -> Array:
            up, down = (theta.at[index].add(step) for step in (steps[index], -steps[index]))
            return (f(unravel(up)) - f(unravel(down))) / (2 * steps[index])

        chunk = max(1, CHUNK_BYTES // (2 * theta.nbytes))
        run = jax.jit(lambda indices: jax.lax.map(slope, indices, batch_size=chunk))
        return jax.tree.map(np.asarray, unravel(run(jnp.arange(theta.size))))


def check_deltas(cost: Cost, n_out: int = 5, seed: int = 0) -> list[Check]:
    """Prove a cost's `delta` against `jax.grad` of its `fn` and against finite differences.

    Args:
      cost: anyone's cost.
      n_out: how many outputs to try it with.
      seed: of the random logits, N(0, 2²), and targets, in (0, 1) and summing to 1.

    Returns:
      One `Check` per random example.

    Raises:
      GradientError: where they disagree, with a table of the examples.

    >>> from jaxnet.core.costs import CrossEntropy
    >>> all(check.passed for check in check_deltas(CrossEntropy()))
    True
    """
    random = np.random.default_rng(seed)
    with jax.enable_x64(True):
        zs = jnp.asarray(2 * random.standard_normal((8, n_out)))
        ys = jnp.asarray(random.dirichlet(np.ones(n_out), size=8))
        deltas = jax.jit(jax.vmap(cost.delta))(zs, ys)
        autodiff = jax.jit(jax.vmap(jax.grad(cost.fn)))(zs, ys)
        # The examples do not mix, so that one gradient of their sum holds all of theirs.
        numerical = numerical_gradient(lambda zs: jnp.sum(jax.vmap(cost.fn)(zs, ys)), zs)
    trios = zip(deltas, autodiff, numerical, strict=True)
    checks = [_check(f"example {index}", *trio) for index, trio in enumerate(trios)]
    return _passed(repr(cost), checks)


def check_gradients(
    net: Network,
    params: Params | None = None,
    xs: Float[AnyArray, "batch n_in"] | None = None,
    ys: AnyArray | None = None,
    seed: int = 0,
) -> list[Check]:
    """Prove a network's handwritten gradient, layer by layer, against autodiff and differences.

    It checks the whole of it: the pullbacks of the hidden activations, the cost's delta, the
    contraction over the mini-batch. A kink (of relu) closer than 6e-6 to a weighted input makes
    finite differences, not the gradient, wrong: choose another seed.

    Args:
      net: anyone's network.
      params: where to check; by default weights N(0, 1/n_in), which saturate nothing.
      xs: the mini-batch's inputs; by default 3 random examples in [0, 1).
      ys: their labels or targets; by default random labels (targets, for a single output).
      seed: of the default parameters and examples.

    Returns:
      One `Check` for the weights and one for the biases of each layer.

    Raises:
      GradientError: where they disagree, with a table of the offending layers.

    >>> print(check_gradients(Network((4, 3, 2)))[0].name)
    layer 1 w (4, 3)
    """
    random = np.random.default_rng(seed)
    n_in, n_out = net.sizes[0], net.sizes[-1]
    if xs is None:
        xs = random.random((3, n_in))
    if ys is None:
        ys = random.random((len(xs), 1)) if n_out == 1 else random.integers(n_out, size=len(xs))
    net = replace(net, precision="highest")
    with jax.enable_x64(True):
        start = replace(net, init=initializers.default)
        draw = jax.jit(network.init, static_argnums=0)
        drawn = draw(start, jax.random.key(seed)) if params is None else params
        network.check_params(net, drawn)
        theta = _float64(drawn)
        xs = jax.vmap(lambda x: network.inputs(x, jnp.dtype("float64")))(jnp.asarray(xs))
        float64 = lambda y: network.targets(y, n_out, jnp.dtype("float64"))
        targets = jax.vmap(float64)(jnp.asarray(ys))

        def cost(params: Params) -> Float[Array, ""]:
            return jnp.mean(jax.vmap(net.cost.fn)(network.logits(net, params, xs), targets))

        handwritten = jax.jit(lambda theta: gradient(net, theta, xs, targets))(theta)
        autodiff = jax.jit(jax.grad(cost))(theta)
        numerical = numerical_gradient(cost, theta)
        checks = []
        for index, layers in enumerate(zip(handwritten, autodiff, numerical, strict=True), 1):
            for part in ("w", "b"):
                trio = [np.asarray(getattr(layer, part)) for layer in layers]
                checks.append(_check(f"layer {index} {part} {trio[0].shape}", *trio))
    return _passed(str(net), checks)


def _float64(tree: Any) -> Any:
    return jax.tree.map(lambda array: jnp.asarray(np.asarray(array), jnp.float64), tree)


def _check(name: str, handwritten: AnyArray, autodiff: AnyArray, numerical: AnyArray) -> Check:
    def error(other: AnyArray) -> float:
        distance = np.linalg.norm(np.asarray(handwritten) - np.asarray(other))
        # Where both vanish they agree; where one does, they are as far apart as can be.
        return float(distance / (max(norm, np.linalg.norm(other)) or 1))

    norm = float(np.linalg.norm(handwritten))
    return Check(name, norm, error(autodiff), error(numerical))


def _passed(subject: str, checks: list[Check]) -> list[Check]:
    if not any(check.norm for check in checks):
        raise ValueError(
            f"the gradient of {subject} vanishes everywhere, which proves nothing; check elsewhere."
        )
    if not all(check.passed for check in checks):
        raise GradientError(subject, checks)
    return checks
