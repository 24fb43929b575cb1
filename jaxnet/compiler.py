"""How training programs are compiled: XLA's options, in one place.

A step of training is matrix products, and between them loops over arrays whose last axis is the
width of a layer, some 30 numbers long. At XLA's usual level, 3, LLVM unrolls such a loop whole, if
its body is short, before it could vectorize it: Adam's first moment then takes three times as long
as its second one, whose body is longer. At level 2 it vectorizes both. Where the processor has
vectors of 512 bits, XLA uses half of each unless it is told otherwise; square roots and divisions
gain from the whole. On a 2-core AVX-512 machine both together take a sweep of [784, 30, 10] from
0.064 to 0.045 s an epoch and network for Adam, from 0.027 to 0.024 for SGD, from 0.056 to 0.041
where each network has an order of its own, and `train` from 0.117 to 0.097.
"""

from typing import Any

import jax

OPTIONS: dict[str, Any] = (
    {} if jax.config.read("jax_disable_most_optimizations") else
    {"xla_backend_optimization_level": 2, "xla_cpu_prefer_vector_width": 512}
)  # fmt: skip
"""For any program that trains; none where JAX is told to compile fast instead."""

ONE_THREAD = OPTIONS | {"xla_cpu_multi_thread_eigen": False}
"""Where devices work side by side, one thread each; so bits depend on no number of cores."""
