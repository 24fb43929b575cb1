"""How programs are compiled: XLA's options, in one place.

A step of training is matrix products, and between them loops over arrays whose last axis is the
width of a layer, some 30 numbers long. At XLA's usual level, 3, LLVM unrolls such a loop whole, if
its body is short, before it could vectorize it: the update of Adam's first moment takes 28 µs for
8 lanes of [784, 30, 10], that of the second one, whose body is longer, 12. At level 2 it vectorizes
both. Where the processor has vectors of 512 bits, XLA uses half of each unless it is told
otherwise; square roots and divisions gain from the whole. Evaluation is compiled at the usual
level: its sums over ten outputs are what profits from unrolling, 18 ms for 50,000 examples instead
of 32. So an epoch is two programs, one that trains and one that evaluates.

Measured on CPUs only; other platforms take the level for their own generator of code. Functions
that users compile themselves, such as `fit`, are compiled as users say: at XLA's usual level.
"""

from typing import Any

import jax

STEPS: dict[str, Any] = (
    {} if jax.config.read("jax_disable_most_optimizations") else
    {"xla_backend_optimization_level": 2, "xla_cpu_prefer_vector_width": 512}
)  # fmt: skip
"""For a program that trains; none where JAX is told, before jaxnet is imported, to compile fast."""

ONE_THREAD = {"xla_cpu_multi_thread_eigen": False}
"""Where devices work side by side: none cuts a matrix product by the number of cores, so that bits
do not depend on it."""
