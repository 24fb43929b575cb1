"""Tasks: published networks and data sets on which to compare optimizers."""

from collections.abc import Callable
from typing import NamedTuple

from jaxnet.core import activations, initializers
from jaxnet.core.costs import CrossEntropy, LogLikelihood, Quadratic
from jaxnet.core.network import Network
from jaxnet.core.registry import Registry
from jaxnet.core.types import Dataset
from jaxnet.data import datasets


class Task(NamedTuple):
    """A network, a data set, and how long the network is trained.

    Attributes:
      network: the architecture.
      data: a function without arguments that returns the data set.
      batch_size: examples per mini-batch.
      epochs: epochs of training.
      targets: validation scores, in (0, 1), for which the time to reach them is reported.
      about: a line that describes the task.

    >>> from jaxnet.data.datasets import xor
    >>> task = Task(Network((2, 8, 2)), xor, 10, 20, (0.9, 0.99), "XOR with a hidden layer")
    >>> task.network.sizes, task.data().train.x.shape[1]
    ((2, 8, 2), 2)
    """

    network: Network
    data: Callable[[], Dataset]
    batch_size: int
    epochs: int
    targets: tuple[float, ...]
    about: str


_RELU, _SOFTMAX = activations.relu, LogLikelihood()
NAMED: Registry[Task] = Registry(
    "task",
    {
        "book": Task(
            Network((784, 30, 10), cost=CrossEntropy()), datasets.mnist, 10, 30, (0.90, 0.95),
            "Nielsen's book, chapter 3: [784, 30, 10] on MNIST",
        ),
        "book-100": Task(
            Network((784, 100, 10), cost=CrossEntropy()), datasets.mnist, 10, 30, (0.95, 0.97),
            "Nielsen's book, chapter 3: [784, 100, 10] on MNIST",
        ),
        "deepobs-mlp": Task(
            Network((784, 1000, 500, 100, 10), _RELU, _SOFTMAX, initializers.truncated(0.03)),
            datasets.mnist, 128, 100, (0.97, 0.98),
            "DeepOBS's mnist_mlp: 784-1000-500-100-10 relu on MNIST",
        ),
        "deepobs-logreg": Task(
            Network((784, 10), cost=_SOFTMAX, init=initializers.gaussian(0.0)), datasets.mnist, 128,
            50, (0.90, 0.92), "DeepOBS's mnist_logreg: softmax regression on MNIST, from zero",
        ),
        "algoperf-mnist": Task(
            Network((784, 128, 10), cost=_SOFTMAX), datasets.mnist, 64, 20, (0.95, 0.97),
            "the architecture and batch size of AlgoPerf's MNIST: 784-128-10 sigmoid",
        ),
        "digits": Task(
            Network((64, 30, 10), cost=CrossEntropy()), datasets.digits, 10, 10, (0.90, 0.95),
            "scikit-learn's digits of 8×8 pixels: takes seconds",
        ),
        "noisy-quadratic": Task(
            Network((100, 1), cost=Quadratic(activations.linear), init=initializers.gaussian(0.0)),
            datasets.quadratic, 10, 20, (0.90, 0.95),
            "a noisy quadratic with curvatures 1, 1/2, …, 1/100",
        ),
    },
)  # fmt: skip
"""All tasks by name; `jaxnet compare --tasks` takes these names."""


def named(name: str) -> Task:
    """A task by its name.

    Args:
      name: one of `NAMED`.

    Returns:
      The task.

    Raises:
      ValueError: no task has this name; the message suggests similar names.

    >>> named("digits").network.sizes
    (64, 30, 10)
    """
    return NAMED.look_up(name)
