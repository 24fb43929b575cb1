"""Chapter 3 of the book: costs, regularization, better initial weights, and monitored training."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from jaxnet.book.costs import BY_NAME, BookCost, CrossEntropyCost, QuadraticCost
from jaxnet.book.sigmoid_network import Examples, SigmoidNetwork
from jaxnet.core import initializers
from jaxnet.core.arguments import path_of
from jaxnet.core.hyperparameters import constant, count
from jaxnet.core.types import Dataset, EvaluatedSplit
from jaxnet.io import files, network_files, reading
from jaxnet.training import evaluate
from jaxnet.training.run import EpochReport

__all__ = ["CrossEntropyCost", "Network", "QuadraticCost", "load"]

Curves = tuple[list[float], list[int], list[float], list[int]]
"""Cost and accuracy on the evaluation data, cost and accuracy on the training data."""


class Network(SigmoidNetwork):
    """The network of chapter 3: sigmoid units, a choice of costs, L2 regularization.

    Args:
      sizes: the number of units in each layer, input and output included: [784, 30, 10].
      cost: the class `CrossEntropyCost` (the default) or `QuadraticCost`.
      seed: the seed of the initial weights and of the order of examples, in [0, 2³²); `None`, the
        default, takes another one each time, from Python's `random`.

    Attributes:
      sizes: the number of units in each layer.
      num_layers: the number of layers.
      cost: the cost.
      weights: for each layer but the first the matrix (n_out, n_in) of its weights; may be assigned
        and changed in place. Where an array of weights or biases is not float32, the network
        computes in float64.
      biases: for each layer but the first the column (n_out, 1) of its biases.
      seed: the seed.
      architecture: the network as `jaxnet.train` and others take it.
      params: the weights and biases as these functions take them; may be assigned, too.

    Raises:
      ValueError: the sizes, the cost or the seed cannot be used.

    >>> from jaxnet.book import network2
    >>> net = network2.Network([2, 3, 2], cost=network2.QuadraticCost, seed=0)
    >>> net.num_layers, [w.shape for w in net.weights], [b.shape for b in net.biases]
    (3, [(3, 2), (2, 3)], [(3, 1), (2, 1)])
    """

    def __init__(
        self, sizes: Sequence[int], cost: BookCost = CrossEntropyCost, seed: int | None = None
    ) -> None:
        super().__init__(sizes, cost, seed)
        self.default_weight_initializer()

    def default_weight_initializer(self) -> None:
        """Draw new weights N(0, 1/n_in) and biases N(0, 1)."""
        self.draw(initializers.default)

    def large_weight_initializer(self) -> None:
        """Draw new weights and biases N(0, 1), as in chapter 1."""
        self.draw(initializers.large)

    def SGD(  # noqa: N802 (the book's name)
        self,
        training_data: Examples,
        epochs: int,
        mini_batch_size: int,
        eta: float,
        lmbda: float = 0.0,
        evaluation_data: Examples | None = None,
        monitor_evaluation_cost: bool = False,
        monitor_evaluation_accuracy: bool = False,
        monitor_training_cost: bool = False,
        monitor_training_accuracy: bool = False,
        early_stopping_n: int = 0,
    ) -> Curves:
        """Train from the present weights on, and print what is monitored after each epoch.

        Args:
          training_data: the examples, tuples (x, y) of columns (n_in, 1) and (n_out, 1).
          epochs: how many times all examples are visited, at most, at least 0.
          mini_batch_size: examples per mini-batch, at least 1; the last one may have fewer.
          eta: the learning rate, at least 0.
          lmbda: λ ≥ 0 of the penalty (λ/2n)Σw², 0 by default; n is the number of training examples,
            and in a cost the number of the examples that it is computed on.
          evaluation_data: examples (x, y) with labels for y to evaluate on; `None` for none.
          monitor_evaluation_cost: whether to record the cost on the evaluation data; no by default.
          monitor_evaluation_accuracy: whether to record how many evaluation examples are classified
            correctly; no by default.
          monitor_training_cost: whether to record the cost on the training data; no by default.
          monitor_training_accuracy: whether to record how many training examples are classified
            correctly; no by default.
          early_stopping_n: epochs without a higher accuracy after which training ends; 0, the
            default, for never. The accuracy is that on the evaluation data if it is monitored,
            else that on the training data.

        Returns:
          Four lists with a number for each epoch, empty where nothing is monitored: the costs on
          the evaluation data, its numbers of correct examples, the costs on the training data, its
          numbers of correct examples.

        Raises:
          ValueError: examples, weights or numbers cannot be used, or what is monitored is missing.

        Warns:
          RuntimeWarning: the training diverged, or Ctrl-C ended it; the lists are those of the
            epochs before.
        """
        on_evaluation = monitor_evaluation_cost or monitor_evaluation_accuracy
        on_training = monitor_training_cost or monitor_training_accuracy
        training, evaluation = self.split("training_data", training_data), None
        if on_evaluation and evaluation_data is None:
            raise ValueError(
                "evaluation_data is None, but its cost or accuracy is to be monitored; give "
                "evaluation_data=validation_data."
            )
        if on_evaluation and evaluation_data is not None:
            evaluation = self.split("evaluation_data", evaluation_data)
        patience = count("early_stopping_n", early_stopping_n, low=0)
        if patience and not (monitor_evaluation_accuracy or monitor_training_accuracy):
            raise ValueError(
                f"early_stopping_n is {patience}, but no accuracy is monitored; set "
                "monitor_evaluation_accuracy=True."
            )
        record = _Record(
            flags=(monitor_training_cost, monitor_training_accuracy,
                   monitor_evaluation_cost, monitor_evaluation_accuracy),
            n_training=len(training.x),
            n_evaluation=0 if evaluation is None else len(evaluation.x),
            patience=patience,
        )  # fmt: skip
        of_training: tuple[EvaluatedSplit, ...] = ("training",) if on_training else ()
        of_evaluation: tuple[EvaluatedSplit, ...] = ("validation",) if on_evaluation else ()
        data = Dataset(training, evaluation)
        splits = (*of_training, *of_evaluation)
        self.train(data, epochs, mini_batch_size, eta, lmbda, splits, record.add)
        training_cost, training_accuracy, evaluation_cost, evaluation_accuracy = record.curves
        return evaluation_cost, evaluation_accuracy, training_cost, training_accuracy

    def accuracy(self, data: Examples, convert: bool = False) -> int:
        """The number of examples that are classified correctly.

        Args:
          data: the examples, tuples (x, y) with labels or columns for y.
          convert: changes nothing: whether y is a label or a column shows in y itself.

        Returns:
          How many have their largest output at the place of their label, or of their largest
          target; with a single output, on the same side of ½.

        Raises:
          ValueError: the examples or the weights cannot be used.
        """
        return self.n_correct("data", data)

    def total_cost(self, data: Examples, lmbda: float, convert: bool = False) -> float:
        """The mean cost of examples, plus the penalty (λ/2n)Σw² with their number for n.

        Args:
          data: the examples, tuples (x, y) with labels or columns for y.
          lmbda: λ, at least 0.
          convert: changes nothing: whether y is a label or a column shows in y itself.

        Returns:
          The cost.

        Raises:
          ValueError: the examples, the weights or λ cannot be used.
        """
        split, penalty = self.split("data", data), constant("lmbda", lmbda, low=0)
        return float(evaluate(self.architecture, self.params, split, l2=penalty).cost)

    def save(self, filename: str | os.PathLike[str]) -> None:
        """Write the network to a file, which network2, `load` and `jaxnet.load` read.

        Args:
          filename: the file, of any name; one that exists is replaced. `jaxnet.load` reads files
            whose names end with .json.

        Raises:
          ValueError: a weight is not finite, or weights have other shapes than the sizes ask for.
          OSError: the file cannot be written.
        """
        path = path_of("filename", filename)
        files.write_atomic(path, network_files.to_json(self.architecture, self.params))


def load(filename: str | os.PathLike[str]) -> Network:
    """Read a network from a file that `Network.save`, network2 or `jaxnet.save` wrote, in JSON.

    Args:
      filename: the file, of any name.

    Returns:
      The network. Weights have the type that they were saved in; those of network2's own files have
      JAX's default float type.

    Raises:
      ValueError: the file is not a network, or one that network2 cannot express.

    >>> import tempfile
    >>> from jaxnet.book import network2
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     network2.Network([2, 3, 2], seed=0).save(f"{folder}/net")
    ...     net = network2.load(f"{folder}/net")
    >>> net.sizes, net.cost.__name__
    ([2, 3, 2], 'CrossEntropyCost')
    """
    path = path_of("filename", filename)
    described, params = reading.read_content(path, "a network", network_files.from_json)
    name = network_files.network2_cost_name(described)
    if name not in BY_NAME:
        raise ValueError(
            f"{path} is a network that network2 cannot express, such as one with other units than "
            "sigmoid ones; read it with jaxnet.load."
        )
    net = Network(described.sizes, cost=BY_NAME[name])
    net.params = params
    return net


@dataclass
class _Record:
    """Keeps and prints what is monitored."""

    flags: tuple[bool, bool, bool, bool]
    """What is monitored: cost and accuracy on the training data, then on the evaluation data."""
    n_training: int
    n_evaluation: int
    patience: int
    """Epochs without a higher accuracy to wait for; 0 for no early stopping."""
    curves: tuple[list[float], list[int], list[float], list[int]] = field(
        default_factory=lambda: ([], [], [], [])
    )
    """The values so far, in the order of the flags."""
    best: int = 0
    n_waited: int = 0

    def add(self, report: EpochReport) -> Literal["stop"] | None:
        """Keep and print the results of an epoch; "stop" if the accuracy rises no more."""
        print(f"Epoch {report.epoch - 1} training complete")
        accuracy = 0
        sizes = {"training": self.n_training, "evaluation": self.n_evaluation}
        for index, (name, n_examples) in enumerate(sizes.items()):
            costs, accuracies = self.curves[2 * index], self.curves[2 * index + 1]
            has_cost, has_accuracy = self.flags[2 * index : 2 * index + 2]
            if has_cost:
                costs.append(getattr(report, f"{name}_cost"))
                print(f"Cost on {name} data: {costs[-1]}")
            if has_accuracy:
                accuracy = round(report.metrics[f"{name}_correct"])
                accuracies.append(accuracy)
                print(f"Accuracy on {name} data: {accuracy} / {n_examples}")
        is_better = accuracy > self.best
        self.best, self.n_waited = max(self.best, accuracy), 0 if is_better else self.n_waited + 1
        return "stop" if self.patience and self.n_waited == self.patience else None
