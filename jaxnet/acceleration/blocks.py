"""Blocks: the mini-batches whose examples are gathered at once."""

BLOCK_ROWS = 640
"""Examples gathered at once: one gather of 500 rows costs less than fifty of 10, and as uint8 they
still fit into the cache."""


def block_steps(n_steps: int, most: int) -> int:
    """Mini-batches per block: if possible so many that no smaller block, and program, is left.

    Args:
      n_steps: mini-batches to cut into blocks.
      most: mini-batches that a block may have.

    >>> block_steps(100, 64), block_steps(97, 64)
    (50, 64)
    """
    most = min(n_steps, most)
    divisors = [size for size in range(most // 2 + 1, most + 1) if n_steps % size == 0]
    return max(divisors, default=most)
