"""Faster training with the same results: nothing here needs to be known to use jaxnet.

`blocks` gathers the examples of several mini-batches at once, `first_layer` turns the first layer's
many small matrix products into few large ones, `padding` widens hidden layers to a multiple of the
SIMD width, `xla_options` holds the compiler's options, `programs` compiles once for all devices,
and `compilation_cache` keeps compiled programs on disk.
"""
