"""Data sets: MNIST, files in IDX and NPZ, arrays, small synthetic tasks."""
