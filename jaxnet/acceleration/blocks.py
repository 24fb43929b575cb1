"""Blocks: consecutive mini-batches whose examples are gathered together, by one gather."""

BLOCK_ROWS = 640
"""Examples gathered at once: one gather of 500 rows costs less than fifty of 10, and as uint8 they
still fit into the cache."""


def block_steps(n_steps: int, max_steps: int) -> int:
    """The number of mini-batches per block.

    A block size that divides the number of mini-batches is preferred: it leaves no smaller block at
    the end, which would be compiled as a second program.

    Args:
      n_steps: mini-batches to divide into blocks, at least 1.
      max_steps: the largest number of mini-batches in a block, at least 1.

    Returns:
      The largest divisor of `n_steps` in (max_steps/2, max_steps]; `max_steps` if there is none,
      and `n_steps` if that is smaller.

    >>> block_steps(100, 64), block_steps(97, 64)
    (50, 64)
    """
    max_steps = min(n_steps, max_steps)
    divisors = [size for size in range(max_steps // 2 + 1, max_steps + 1) if n_steps % size == 0]
    return max(divisors, default=max_steps)
