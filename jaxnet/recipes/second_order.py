"""Optimizers that follow the curvature of the cost: for full or large batches.

In the formulas g is the gradient, w the parameters and η the learning rate.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import jax.scipy.sparse.linalg
import optax
from jax.typing import ArrayLike
from jaxtyping import Float, PyTree

from jaxnet.core.arguments import lists_keywords
from jaxnet.core.hyperparameters import count, flag, leaf
from jaxnet.core.types import AnyArray, Numbers, Params
from jaxnet.recipes.optimizer import Optimizer, padding_safe, with_rate


@lists_keywords
def lbfgs(memory_size: int = 10) -> Optimizer:
    """L-BFGS: w ← w − αHg, with H an approximation of the inverse Hessian matrix.

    g is the gradient, w the parameters. H is built from the differences of w and of g in the last
    steps; a zoom line search finds α in each step, so there is no learning rate.

    Differs: PyTorch keeps 100 differences, does no line search by default, and takes up to 20
    iterations in a step; here a step is one iteration.

    Args:
      memory_size: how many past steps are kept, at least 1, by default 10: static.

    Returns:
      The optimizer.

    Raises:
      ValueError: `memory_size` is out of its range.

    Source: Nocedal, Wright, Numerical optimization, 2006, algorithms 7.4, 3.5 and 3.6.

    >>> lbfgs()
    lbfgs()
    """
    options = (("memory_size", count("memory_size", memory_size, low=1)),)
    return padding_safe(optax.lbfgs, {}, options, differentiable=False)


@lists_keywords
def newton_cg(
    learning_rate: Numbers = 1.0,
    damping: Numbers = 1.0,
    tolerance: Numbers = 0.3,
    iterations: int = 10,
    gauss_newton: bool = True,
) -> Optimizer:
    """Damped Newton steps by conjugate gradients: (B + λI)p = −g, w ← w + ηp.

    g is the gradient, w the parameters. B is the Gauss–Newton matrix, or the Hessian; only its
    products with vectors are computed, from the handwritten gradient. The first guess of p is 0.95
    times the last step. λ follows how much of the predicted decrease came true,
    ρ = ΔC/(gᵀp + pᵀBp/2): it is divided by 3 after ρ > ¾, and multiplied by 4 after ρ < ¼. A step
    that would not decrease the cost C is not taken.

    Differs: Martens changes λ by 2/3 and 3/2, ends conjugate gradients once the quadratic model
    makes little progress, and preconditions them.

    Args:
      learning_rate: η ≥ 0, by default 1, which is Newton's; an array makes a sweep.
      damping: λ ≥ 0 at the start, by default 1.
      tolerance: in [0, 1), by default 0.3: conjugate gradients end when the residual's norm is this
        fraction of ‖g‖.
      iterations: the most iterations of conjugate gradients in a step, at least 1, by default 10:
        static. A step costs at most a gradient, 2 + `iterations` products with B and two values of
        the cost.
      gauss_newton: whether B is the Gauss–Newton matrix (the default) or the Hessian: static. The
        former has no negative direction under cross-entropy and log-likelihood, which are convex
        in the logits.

    Returns:
      The optimizer.

    Raises:
      ValueError: a number is out of its range.

    Source: Martens, Deep learning via Hessian-free optimization, 2010, section 4; Marquardt, 1963;
    Nocedal, Wright, Numerical optimization, 2006, algorithm 7.1.

    >>> newton_cg()
    newton_cg(learning_rate=1, damping=1, tolerance=0.3)
    """
    hyper = {"damping": leaf("damping", damping), "tolerance": leaf("tolerance", tolerance, high=1)}
    options = (
        ("iterations", count("iterations", iterations, low=1)),
        ("gauss_newton", flag("gauss_newton", gauss_newton)),
    )
    return padding_safe(
        _newton_cg,
        with_rate(learning_rate, **hyper),
        options,
        curvature=True,
        differentiable=False,
    )


class _NewtonState(NamedTuple):
    """The state of `newton_cg`."""

    damping: Float[AnyArray, ""]
    step: PyTree
    """The last step, of the form of the parameters: the next first guess."""


def _newton_cg(
    learning_rate: ArrayLike,
    damping: ArrayLike,
    tolerance: ArrayLike,
    iterations: int,
    gauss_newton: bool,
) -> optax.GradientTransformationExtraArgs:
    tree = optax.tree

    def init(params: PyTree) -> _NewtonState:
        dtype = jax.tree.leaves(params)[0].dtype
        return _NewtonState(jnp.asarray(damping, dtype), tree.zeros_like(params))

    def update(
        updates: PyTree, state: PyTree, params: PyTree = None, **extra_args: Any
    ) -> tuple[PyTree, _NewtonState]:
        cost, cost_of = extra_args["value"], extra_args["value_fn"]
        kind = "gauss_newton_product" if gauss_newton else "hessian_product"
        curvature: Callable[[Params], Params] = extra_args[kind]

        def damped(direction: Params) -> Params:
            return tree.add_scale(curvature(direction), state.damping, direction)

        # From 0.95 of the last step instead of 0: a third of the work on MNIST, as Martens found.
        first_guess = tree.scale(0.95, state.step)
        # In a sweep, cg asserts that all its operands have the same vmap axis. A choice between
        # equals gives the gradient that of the parameters, and is no operation when compiled.
        updates = jax.tree.map(lambda g, w: jnp.where(w == w, g, g), updates, params)
        direction, _ = jax.scipy.sparse.linalg.cg(
            damped,
            tree.scale(-1.0, updates),
            first_guess,
            tol=cast(float, tolerance),
            maxiter=iterations,
        )
        step = tree.scale(learning_rate, direction)
        quadratic = tree.vdot(step, curvature(step)) / 2
        predicted = jnp.asarray(tree.vdot(updates, step) + quadratic)
        change = cost_of(tree.add(params, step)) - cost
        decreases = (change < 0) & (predicted < 0)  # false for NaN, too
        ratio = jnp.where(decreases, change / predicted, 0)
        factor = jnp.where(ratio > 0.75, 1 / 3, jnp.where(ratio < 0.25, 4, 1))
        no_step = predicted == 0  # where η is 0, as at the start of a warm-up: nothing was learnt
        factor = jnp.where(no_step, 1, factor)
        new_damping = jnp.clip(state.damping * factor, 1e-10, 1e10).astype(state.damping.dtype)
        # 0 where the step is not taken, and NaN where the gradient is.
        taken = jax.tree.map(lambda part, g: jnp.where(decreases, part, 0 * g), step, updates)
        guess = jax.tree.map(lambda new, old: jnp.where(no_step, old, new), taken, state.step)
        return taken, _NewtonState(new_damping, guess)

    return optax.GradientTransformationExtraArgs(init, update)
