"""Data sets: MNIST, files in IDX and NPZ format, your own arrays, small synthetic tasks."""

from jaxnet.data import datasets

__all__ = ["datasets"]
