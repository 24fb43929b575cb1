"""How programs are compiled: XLA's options, in one place.

A training step consists of matrix products and, between them, loops over arrays whose last axis is
the width of a layer, some 30 numbers long. At XLA's usual optimization level, 3, LLVM fully unrolls
such a loop if its body is short, before it could vectorize it: the update of Adam's first moment
takes 28 µs for 8 lanes of [784, 30, 10], that of the second moment, whose body is longer, 12 µs. At
level 2 LLVM vectorizes both. Where the processor has 512-bit vectors, XLA uses half of each by
default; square roots and divisions are faster with the whole vector. Evaluation is compiled at the
usual level: its sums over ten outputs gain from unrolling, 18 ms for 50,000 examples instead of 32.
So an epoch is two programs, one that trains and one that evaluates.

YNNPACK, a library that XLA calls, computes matrix products, and by default sums over an axis, too.
Over the last axis, where a softmax has its sums over some ten outputs, it is slower than XLA's own
loops. Without it the steps of 32 networks [64, 32, 10] take 0.44 ms instead of 0.52, and their
evaluation at level 2 0.21 ms instead of 0.27. Sums over mini-batches are faster with it, so that
other costs keep it; and where many inputs make the step, the two are equal.

Measured on CPUs only; on other platforms the level applies to their own code generator. Functions
that users compile themselves, such as `fit`, are compiled at XLA's usual level unless users set
another one.
"""

import jax

from jaxnet.core.activations import Softmax
from jaxnet.core.network import Network

Options = dict[str, int | str]
"""XLA's options, as `jax.jit(compiler_options=)` takes them."""
STEPS: Options = (
    {} if jax.config.read("jax_disable_most_optimizations") else
    {"xla_backend_optimization_level": 2, "xla_cpu_prefer_vector_width": 512}
)  # fmt: skip
"""The options of a program that trains; empty if JAX's option `jax_disable_most_optimizations`
(compile fast, run slowly) was set before jaxnet was imported."""

ONE_THREAD: Options = {"xla_cpu_multi_thread_eigen": False}
"""For devices that work side by side: no matrix product is split by the number of cores, so that
the bits of a result do not depend on that number."""
DRAWS: Options = {"xla_backend_optimization_level": 1}
"""The options of a program that draws initial parameters, and runs once: it compiles in 0.6 s of a
core instead of 1.5."""
FEW_INPUTS = 256
"""Inputs up to which the sums of a softmax are a large part of a step."""
YNNPACK = "xla_cpu_experimental_ynn_fusion_type"
"""The option that says what YNNPACK computes."""


def training_options(net: Network) -> Options:
    """XLA's options for a program that trains lanes of this network.

    Args:
      net: the network of the program.

    >>> training_options(Network((784, 30, 10))) == STEPS | ONE_THREAD
    True
    """
    if not STEPS or not isinstance(net.cost.output, Softmax) or net.sizes[0] > FEW_INPUTS:
        return STEPS | ONE_THREAD
    return STEPS | ONE_THREAD | {YNNPACK: "LIBRARY_FUSION_TYPE_DOT"}


def evaluation_options(net: Network) -> Options:
    """XLA's options for a program that evaluates lanes of this network.

    Args:
      net: the network of the program.

    >>> evaluation_options(Network((784, 30, 10))) == ONE_THREAD
    True
    """
    if not STEPS or not isinstance(net.cost.output, Softmax):
        return ONE_THREAD
    return STEPS | ONE_THREAD | {YNNPACK: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}
