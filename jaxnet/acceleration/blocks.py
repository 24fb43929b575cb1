"""Blocks: the mini-batches whose examples are gathered at once.

Where lanes of a sweep share them, a linear rule trains the first layer in the span of a block's
inputs (`spans`): here is when that pays, and how a state enters a block and leaves it.
"""

from collections.abc import Sequence

import jax
from jaxtyping import Array, Float

from jaxnet.acceleration import first_layer
from jaxnet.acceleration.first_layer import Span
from jaxnet.core.network import Network
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.step import TrainState

BLOCK_ROWS = 640
"""Examples gathered at once: one gather of 500 rows costs less than fifty of 10, and as uint8 they
still fit into the cache."""

SPAN = 8
"""A block's examples are at most this part of the inputs, where the first layer is trained in
their span: 5 to 15 differ by less than noise."""

SHARING = 4
"""Lanes that make training in the span no slower: alone, a network would pay more for XXᵀ than it
saves, 0.049 s an epoch against 0.036; two lanes 0.033 against 0.027, three and four the same."""


def span_steps(net: Network, recipe: Recipe, batch_size: int, lanes: int) -> int:
    """Mini-batches in whose span the first layer is trained (`spans`); 0 if it is not.

    Only under a linear rule, without what is not linear in the weights or changes the inputs from
    step to step; only if the inputs are so many that the coefficients are far fewer, and if enough
    lanes share the block's XXᵀ.
    """
    bent = (recipe.l1, recipe.max_norm, recipe.augmentation, recipe.input_dropout)
    linear = recipe.optimizer.linear and not any(part is not None for part in bent)
    if not linear or lanes < SHARING:
        return 0
    steps = net.sizes[0] // SPAN // batch_size
    return steps if steps >= 4 else 0


def _firsts(state: TrainState) -> list[int]:
    """Which leaves of a state are the first layer's weights, or mirror them."""
    leaves, _ = jax.tree_util.tree_flatten_with_path((state.params, state.opt_state))
    return [
        index for index, (path, _) in enumerate(leaves)
        if jax.tree_util.keystr(path[-2:]) == "[0].w"
    ]  # fmt: skip


def _replaced(state: TrainState, arrays: Sequence[Array]) -> TrainState:
    """The state with other first layers."""
    leaves, tree = jax.tree.flatten((state.params, state.opt_state))
    for index, array in zip(_firsts(state), arrays, strict=True):
        leaves[index] = array
    params, opt_state = jax.tree.unflatten(tree, leaves)
    return state._replace(params=params, opt_state=opt_state)


def _matrices(state: TrainState) -> list[Array]:
    leaves = jax.tree.leaves((state.params, state.opt_state))
    return [leaves[index] for index in _firsts(state)]


def enter(
    net: Network, n_steps: int, state: TrainState, xs: Float[Array, "n_rows n_in"]
) -> tuple[TrainState, Span]:
    """The state with coefficients in the span of a block's inputs for its first layer."""
    coefficients, span = first_layer.enter(_matrices(state), xs, n_steps, net.precision)
    return _replaced(state, coefficients), span


def leave(
    net: Network,
    one: tuple[TrainState, TrainState, Span],
    xs: Float[Array, "n_rows n_in"],
) -> TrainState:
    """The state with the matrix of its coefficients for its first layer."""
    state, begun, span = one
    coefficients, matrices = _matrices(state), _matrices(begun)
    return _replaced(
        state, first_layer.leave(coefficients, matrices, xs, span.errors, net.precision)
    )


def block_steps(n_steps: int, most: int) -> int:
    """Mini-batches per block: if possible so many that no smaller block, and program, is left."""
    most = min(n_steps, most)
    divisors = [size for size in range(most // 2 + 1, most + 1) if n_steps % size == 0]
    return max(divisors, default=most)
