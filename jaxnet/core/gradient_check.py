"""Checks that handwritten derivatives are right, for anyone's costs, activations and networks.

Each derivative is compared, in float64 whatever JAX's own setting, with two independent ones:
with automatic differentiation, to a relative error of 1e-10, and with central finite differences,
to 1e-6. The relative error of a vector is the norm of the difference over the larger norm.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from jaxnet.core import initializers, network
from jaxnet.core.arguments import brief, require_function, require_kind
from jaxnet.core.backpropagation import gradient
from jaxnet.core.checks import check_target_bounds
from jaxnet.core.costs import Cost
from jaxnet.core.hyperparameters import count
from jaxnet.core.network import Network
from jaxnet.core.types import AnyArray, Params

AUTODIFF_TOLERANCE = 1e-10
"""The largest relative error to automatic differentiation that passes."""
NUMERICAL_TOLERANCE = 1e-6
"""The largest relative error to finite differences that passes."""
CHUNK_BYTES = 2**22
"""Memory for the shifted copies of the parameters that are evaluated at once: what a cache holds
(for the book's network 64 MiB take twice as long)."""


class Check(NamedTuple):
    """One row of a gradient check: a handwritten derivative compared with the two others.

    Attributes:
      name: which derivative it is, such as "layer 1 w (4, 3)".
      norm: the Euclidean norm of the handwritten derivative.
      autodiff_error: its relative error to automatic differentiation.
      numerical_error: its relative error to finite differences.

    >>> Check(name="example 0", norm=1.0, autodiff_error=1e-16, numerical_error=1e-9).passed
    True
    """

    name: str
    norm: float
    autodiff_error: float
    numerical_error: float

    @property
    def passed(self) -> bool:
        """Whether both errors are within their tolerances (a NaN is not)."""
        return (
            self.autodiff_error <= AUTODIFF_TOLERANCE
            and self.numerical_error <= NUMERICAL_TOLERANCE
        )


class GradientError(AssertionError):
    """A handwritten derivative is wrong; the message holds the rows of the table that failed.

    Args:
      subject: what was checked, for the message.
      checks: all rows of the table.

    Attributes:
      checks: all rows of the table, those that passed included.

    >>> from jaxnet.core.activations import Elementwise
    >>> wrong = Elementwise("wrong", jnp.tanh, lambda z: 1 - jnp.tanh(z))  # the square is missing
    >>> try:
    ...     check_gradients(Network((2, 3, 1), wrong))
    ... except GradientError as error:
    ...     print([check.name for check in error.checks if not check.passed])
    ['layer 1 w (2, 3)', 'layer 1 b (3,)']
    """

    def __init__(self, subject: str, checks: list[Check]) -> None:
        self.checks = checks
        wrong = [check for check in checks if not check.passed]
        super().__init__(
            f"the handwritten gradient of {subject} is wrong in {len(wrong)} of {len(checks)} "
            f"places (relative errors; at most {AUTODIFF_TOLERANCE:.0e} to autodiff and "
            f"{NUMERICAL_TOLERANCE:.0e} to finite differences are allowed):\n{table(wrong)}"
        )


def table(checks: list[Check]) -> str:
    """The checks as a table in plain text, a line for each.

    Args:
      checks: the rows of the table.

    Returns:
      The lines, the first with the names of the columns.

    >>> print(table([Check("example 0", 1.0, 1e-16, 1e-9)]))
    where           norm   autodiff  numerical
    example 0   1.00e+00    1.0e-16    1.0e-09
    """
    width = max(len("where"), *(len(check.name) for check in checks))
    lines = [f"{'where':{width}}  {'norm':>9}  {'autodiff':>9}  {'numerical':>9}"]
    for name, norm, autodiff_error, numerical_error in checks:
        lines.append(f"{name:{width}}  {norm:9.2e}  {autodiff_error:9.1e}  {numerical_error:9.1e}")
    return "\n".join(lines)


def numerical_gradient(f: Callable[[PyTree], Array], params: PyTree) -> PyTree:
    """The gradient of a function by central differences, (f(θ+εeᵢ) − f(θ−εeᵢ))/2ε, in float64.

    The step ε = 6e-6·max(1, |θᵢ|) balances the rounding error ∝ 1/ε and the truncation ∝ ε². The
    shifted copies of θ are evaluated together, as many at a time as fit into 4 MiB.

    Args:
      f: params ↦ a scalar. Arrays that it uses besides should be NumPy float64, not JAX float32.
      params: where to take the gradient: any pytree of float arrays.

    Returns:
      The gradient, a pytree like params, of NumPy float64 arrays.

    Source: the standard choice ε ∝ (machine epsilon)^⅓, Press et al., Numerical Recipes,
    section 5.7.

    >>> numerical_gradient(lambda p: p["a"] ** 2, {"a": np.array(3.0)})["a"].round(6).item()
    6.0
    """
    require_function("f", f)
    if f is None or not jax.tree.leaves(params):
        raise ValueError("f must be a function of params, and params a pytree of float arrays.")
    with jax.enable_x64(True):
        theta, unravel = ravel_pytree(_float64(params))
        slopes = _slopes(f, theta, unravel, np.arange(theta.size))
        return jax.tree.map(np.asarray, unravel(slopes))


def _slopes(
    f: Callable[[PyTree], Array],
    theta: Float[Array, " n"],
    unravel: Callable[[Array], PyTree],
    indices: Int[np.ndarray, " m"],
) -> Float[Array, " m"]:
    """Central differences of f along some entries of its parameters, in float64."""
    steps = 6e-6 * jnp.maximum(1, jnp.abs(theta))
    n_at_once = max(1, CHUNK_BYTES // (2 * theta.nbytes))

    def slope(index: Array) -> Array:
        step = steps[index]
        above = f(unravel(theta.at[index].add(step)))
        below = f(unravel(theta.at[index].add(-step)))
        return (above - below) / (2 * step)

    slopes = jax.jit(lambda indices: jax.lax.map(slope, indices, batch_size=n_at_once))
    return slopes(jnp.asarray(indices))


def _some_slopes(
    f: Callable[[Params], Array], params: Params, n: int | None, random: np.random.Generator
) -> list[tuple[Int[np.ndarray, " m"], Float[np.ndarray, " m"]]]:
    """Central differences of f along n random entries of each array, or all of them.

    Returns:
      For each array the flat indices, and the differences.
    """
    theta, unravel = ravel_pytree(params)
    sizes = [array.size for array in jax.tree.leaves(params)]
    chosen = [
        np.arange(size) if n is None or n >= size else random.choice(size, n, replace=False)
        for size in sizes
    ]
    starts = np.cumsum([0, *sizes[:-1]])
    indices = [start + part for start, part in zip(starts, chosen, strict=True)]
    slopes = np.asarray(_slopes(f, theta, unravel, np.concatenate(indices)))
    ends = np.cumsum([len(part) for part in chosen])[:-1]
    return list(zip(chosen, np.split(slopes, ends), strict=True))


def check_deltas(cost: Cost, n_out: int = 6, seed: int = 0) -> list[Check]:
    """Check a cost's `delta` against `jax.grad` of its `fn` and against finite differences.

    Args:
      cost: anyone's cost.
      n_out: the number of outputs to try it with; 6 by default.
      seed: of the 8 random examples: logits N(0, 2²), and targets in (0, 1) that sum to 1.

    Returns:
      A `Check` for each example.

    Raises:
      GradientError: an example's derivatives disagree; the message is a table of these examples.
      ValueError: delta is 0 for all examples, which proves nothing.

    >>> from jaxnet.core.costs import CrossEntropy
    >>> all(check.passed for check in check_deltas(CrossEntropy()))
    True
    """
    require_kind("cost", cost, Cost, "jaxnet.costs.CrossEntropy()")
    n_out, seed = count("n_out", n_out, low=1), count("seed", seed, low=0, high=2**64)
    random = np.random.default_rng(seed)
    with jax.enable_x64(True):
        zs = jnp.asarray(2 * random.standard_normal((8, n_out)))
        ys = jnp.asarray(random.dirichlet(np.ones(cost.n_targets(n_out)), size=8))
        deltas = jax.jit(jax.vmap(cost.delta))(zs, ys)
        autodiff = jax.jit(jax.vmap(jax.grad(cost.fn)))(zs, ys)
        # The examples do not mix: the gradient of the sum of their costs holds each one's own.
        numerical = numerical_gradient(lambda zs: jnp.sum(jax.vmap(cost.fn)(zs, ys)), zs)
    derivatives = zip(deltas, autodiff, numerical, strict=True)
    checks = [_check(f"example {index}", *triple) for index, triple in enumerate(derivatives)]
    return _require_passed(repr(cost), checks)


def check_gradients(
    net: Network,
    params: Params | None = None,
    xs: Float[AnyArray, "batch n_in"] | None = None,
    ys: AnyArray | None = None,
    seed: int = 0,
    n_differences: int | None = None,
) -> list[Check]:
    """Check a network's handwritten gradient, layer by layer, against autodiff and differences.

    This covers the pullbacks of the hidden activations, the cost's delta, and the sum over the
    mini-batch. A kink (of relu) closer than 6e-6 to a weighted input makes finite differences
    wrong, not the gradient: choose another seed.

    Args:
      net: anyone's network.
      params: where to check; by default weights N(0, 1/n_in), which saturate no unit.
      xs: the inputs of the mini-batch, (batch, n_in); by default 3 random examples in [0, 1).
      ys: their labels, (batch,), or targets, (batch, n_targets); random labels by default, and
        random targets in [0, 1) where there is a single one, or the cost takes no labels.
      seed: of the default parameters and examples, and of the choice of entries.
      n_differences: how many entries of each layer's weights, and of its biases, are compared with
        finite differences, at least 1, chosen at random; `None` (the default) for all. The time
        grows with this number times that of all parameters: 30 seconds for 25,000 parameters.
        Automatic differentiation checks all of them.

    Returns:
      A `Check` for the weights and one for the biases of each layer, and one for the parameter of
      its activation, if it has one. Its `numerical_error` is that of the entries that were
      compared.

    Raises:
      GradientError: a layer's derivatives disagree; the message is a table of these layers.
      ValueError: the gradient is 0 in all layers, which proves nothing, the parameters have the
        shapes of another network's, or the cost is not for such targets.

    >>> print(check_gradients(Network((4, 3, 2)))[0].name)
    layer 1 w (4, 3)
    """
    require_kind("net", net, Network, "jaxnet.Network((784, 30, 10))")
    random = np.random.default_rng(count("seed", seed, low=0, high=2**32))
    if n_differences is not None:
        n_differences = count("n_differences", n_differences, low=1)
    n_in, n_targets = net.sizes[0], net.n_targets
    if xs is None:
        xs = random.random((3, n_in))
    if ys is None:
        has_labels = net.cost.takes_labels and n_targets > 1
        shape = len(xs) if has_labels else (len(xs), n_targets)
        ys = random.integers(n_targets, size=shape) if has_labels else random.random(shape)
    net = replace(net, precision="highest")
    with jax.enable_x64(True):
        moderate = replace(net, init=initializers.default)
        draw = jax.jit(network.init, static_argnums=0)
        start = draw(moderate, jax.random.key(seed)) if params is None else params
        network.check_params(net, start)
        theta = _float64(start)
        xs = jax.vmap(lambda x: network.inputs(x, jnp.dtype("float64")))(jnp.asarray(xs))
        float64 = lambda y: network.targets(y, n_targets, jnp.dtype("float64"))
        targets = jax.vmap(float64)(jnp.asarray(ys))
        check_target_bounds(net.cost, "checked", np.asarray(targets))

        def mean_cost(params: Params) -> Float[Array, ""]:
            logits = jnp.asarray(network.logits(net, params, xs))
            return jnp.mean(jax.vmap(net.cost.fn)(logits, targets))

        handwritten = jax.jit(lambda theta: gradient(net, theta, xs, targets))(theta)
        autodiff = jax.jit(jax.grad(mean_cost))(theta)
        numerical = _some_slopes(mean_cost, theta, n_differences, random)
        names = [
            f"layer {index} {part}"
            for index, layer in enumerate(theta, 1)
            for part in layer._fields
        ]
        by_hand, automatic = jax.tree.leaves(handwritten), jax.tree.leaves(autodiff)
        rows = zip(names, by_hand, automatic, numerical, strict=True)
        checks = [
            _check(f"{name} {array.shape}", array, other, slopes, indices)
            for name, array, other, (indices, slopes) in rows
        ]
    return _require_passed(str(net), checks)


def _float64(tree: PyTree) -> PyTree:
    """The tree with its arrays as JAX arrays in float64."""

    def converted(array: AnyArray) -> Array:
        try:
            return jnp.asarray(np.asarray(array, np.float64))
        except (TypeError, ValueError, OverflowError):
            raise ValueError(
                f"params must be a pytree of float arrays, but holds {brief(array)}."
            ) from None

    return jax.tree.map(converted, tree)


def _check(
    name: str,
    handwritten: AnyArray,
    autodiff: AnyArray,
    numerical: AnyArray,
    indices: Int[np.ndarray, " m"] | None = None,
) -> Check:
    """One row of the table: the relative errors of a handwritten derivative.

    Args:
      name: which derivative it is.
      handwritten: the derivative.
      autodiff: the same by automatic differentiation.
      numerical: the same by finite differences, or some entries of it.
      indices: which ones, of the flat derivative; None for all.
    """
    flat = np.ravel(handwritten)
    compared = flat if indices is None else flat[indices]
    return Check(
        name=name,
        norm=float(np.linalg.norm(flat)),
        autodiff_error=_relative_error(flat, np.ravel(autodiff)),
        numerical_error=_relative_error(compared, np.ravel(numerical)),
    )


def _relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """The norm of the difference over the larger norm."""
    # Where both norms are 0 they agree; where only one is, the relative error is 1.
    return float(np.linalg.norm(a - b) / (max(np.linalg.norm(a), np.linalg.norm(b)) or 1))


def _require_passed(subject: str, checks: list[Check]) -> list[Check]:
    """The checks, if all of them passed and compared more than zeros."""
    if not any(check.norm for check in checks):
        raise ValueError(
            f"the gradient of {subject} vanishes everywhere, which proves nothing; check at other "
            "parameters or examples, such as those of another seed."
        )
    if not all(check.passed for check in checks):
        raise GradientError(subject, checks)
    return checks
