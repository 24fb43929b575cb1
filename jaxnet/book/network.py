"""Chapter 1 of the book: a network that learns by stochastic gradient descent."""

from collections.abc import Sequence

from jaxnet.book.costs import QuadraticCost
from jaxnet.book.sigmoid_network import Examples, SigmoidNetwork
from jaxnet.core import initializers
from jaxnet.core.types import Dataset
from jaxnet.training.run import EpochReport


class Network(SigmoidNetwork):
    """The network of chapter 1: sigmoid units, the quadratic cost, weights and biases N(0, 1).

    Args:
      sizes: the number of units in each layer, input and output included: [784, 30, 10].
      seed: the seed of the initial weights and of the order of examples, in [0, 2³²); `None`, the
        default, takes another one each time, from Python's `random`.

    Raises:
      ValueError: the sizes or the seed cannot be used.

    >>> from jaxnet.book import network
    >>> net = network.Network([2, 3, 2], seed=0)
    >>> [w.shape for w in net.weights], [b.shape for b in net.biases]
    ([(3, 2), (2, 3)], [(3, 1), (2, 1)])
    """

    def __init__(self, sizes: Sequence[int], seed: int | None = None) -> None:
        super().__init__(sizes, QuadraticCost, seed)
        self.draw(initializers.large)

    def SGD(  # noqa: N802 (the book's name)
        self,
        training_data: Examples,
        epochs: int,
        mini_batch_size: int,
        eta: float,
        test_data: Examples | None = None,
    ) -> None:
        """Train from the present weights on, and print a line after each epoch.

        Args:
          training_data: the examples, tuples (x, y) of columns (n_in, 1) and (n_out, 1).
          epochs: how many times all examples are visited, at least 0.
          mini_batch_size: examples per mini-batch, at least 1.
          eta: the learning rate, at least 0.
          test_data: examples (x, y) with labels for y, of which the line says how many are
            classified correctly; `None`, the default, for none.

        Raises:
          ValueError: examples, weights or numbers cannot be used.
        """
        training = self.split("training_data", training_data)
        test = None if test_data is None else self.split("test_data", test_data)

        def print_line(report: EpochReport) -> None:
            if test is None:
                print(f"Epoch {report.epoch - 1} complete")
            else:
                n_correct = round(report.metrics["evaluation_correct"])
                print(f"Epoch {report.epoch - 1}: {n_correct} / {len(test.x)}")

        evaluate_on = () if test is None else ("validation",)
        data = Dataset(training, test)
        self.train(data, epochs, mini_batch_size, eta, 0.0, evaluate_on, print_line)

    def evaluate(self, test_data: Examples) -> int:
        """The number of examples that are classified correctly.

        Args:
          test_data: the examples, tuples (x, y) with labels or columns for y.

        Returns:
          How many have their largest output at the place of their label.

        Raises:
          ValueError: the examples or the weights cannot be used.
        """
        return self.n_correct("test_data", test_data)
