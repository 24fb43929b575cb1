"""Data sets: MNIST, files in IDX and NPZ format, anyone's arrays, small synthetic tasks."""

from jaxnet.data import datasets

__all__ = ["datasets"]
