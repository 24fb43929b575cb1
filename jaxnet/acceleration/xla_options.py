"""How programs are compiled: XLA's options, in one place.

A training step consists of matrix products and, between them, loops over arrays whose last axis is
the width of a layer, some 30 numbers long. At XLA's usual optimization level, 3, LLVM fully unrolls
such a loop if its body is short, before it could vectorize it: the update of Adam's first moment
takes 28 µs for 8 lanes of [784, 30, 10], that of the second moment, whose body is longer, 12 µs. At
level 2 LLVM vectorizes both. Where the processor has 512-bit vectors, XLA uses half of each by
default; square roots and divisions are faster with the whole vector. Evaluation is compiled at the
usual level: its sums over ten outputs gain from unrolling, 18 ms for 50,000 examples instead of 32.
So an epoch is two programs, one that trains and one that evaluates.

Measured on CPUs only; on other platforms the level applies to their own code generator. Functions
that users compile themselves, such as `fit`, are compiled at XLA's usual level unless users set
another one.
"""

import jax

STEPS: dict[str, int] = (
    {} if jax.config.read("jax_disable_most_optimizations") else
    {"xla_backend_optimization_level": 2, "xla_cpu_prefer_vector_width": 512}
)  # fmt: skip
"""The options of a program that trains; empty if JAX's option `jax_disable_most_optimizations`
(compile fast, run slowly) was set before jaxnet was imported."""

ONE_THREAD = {"xla_cpu_multi_thread_eigen": False}
"""For devices that work side by side: no matrix product is split by the number of cores, so that
the bits of a result do not depend on that number."""
