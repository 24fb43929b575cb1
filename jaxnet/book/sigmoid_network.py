"""What the networks of both chapters have in common: weights in NumPy arrays, and training."""

import operator
import random
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxnet.book.costs import BookCost, cost_for_training
from jaxnet.book.examples import split_of
from jaxnet.core.arguments import brief
from jaxnet.core.dtypes import computing_in
from jaxnet.core.hyperparameters import constant, count
from jaxnet.core.network import Network, predict
from jaxnet.core.types import AnyArray, Dataset, EvaluatedSplit, Initializer, Layer, Params, Split
from jaxnet.recipes.gradient_descent import sgd
from jaxnet.recipes.recipe import Recipe
from jaxnet.training import evaluate, train
from jaxnet.training.run import EpochCallback
from jaxnet.training.step import compiled_draw_params

Examples = Iterable[tuple[np.ndarray, np.ndarray | int | np.integer]]
"""Tuples (x, y), x a column of inputs, y a column of targets or a label."""


class SigmoidNetwork:
    """A network of sigmoid units, with weights and biases of the book's shapes.

    Attributes:
      sizes: the number of units in each layer.
      num_layers: the number of layers.
      cost: the cost, a class of `jaxnet.book.costs`.
      weights: for each layer but the first the matrix (n_out, n_in) of its weights.
      biases: for each layer but the first the column (n_out, 1) of its biases.
      seed: the seed of weights and orders.
    """

    weights: list[np.ndarray]
    biases: list[np.ndarray]

    def __init__(self, sizes: Sequence[int], cost: BookCost, seed: int | None) -> None:
        self.cost = cost
        if isinstance(sizes, Sequence):  # what is none, Network refuses
            sizes = tuple(sizes)
        self.sizes = list(Network(sizes, cost=cost_for_training(cost)).sizes)  # pyright: ignore
        self.num_layers = len(self.sizes)
        # From the generator that the book shuffles with: random.seed() makes this repeatable, too.
        self.seed = random.getrandbits(32) if seed is None else count("seed", seed, 0, 2**32)
        self._n_draws = self._n_trainings = 0

    @property
    def architecture(self) -> Network:
        """The network as jaxnet describes it."""
        return Network(tuple(self.sizes), cost=cost_for_training(self.cost))

    @property
    def params(self) -> Params:
        """The weights and biases as jaxnet has them: float32, or float64 where any of them is not.

        Raises:
          ValueError: weights or biases have other shapes than the sizes ask for.
        """
        pairs = list(zip(self.sizes, self.sizes[1:]))
        weights = _arrays("weights", self.weights, [(n_out, n_in) for n_in, n_out in pairs])
        biases = _arrays("biases", self.biases, [(n_out, 1) for _, n_out in pairs])
        is_single = all(array.dtype == np.float32 for array in (*weights, *biases))
        dtype = np.dtype(np.float32 if is_single else np.float64)
        return tuple(
            Layer(np.ascontiguousarray(w.T, dtype), b[:, 0].astype(dtype))
            for w, b in zip(weights, biases, strict=True)
        )

    @params.setter
    def params(self, params: Params) -> None:
        self.weights = [np.array(np.asarray(layer.w).T, order="C") for layer in params]
        self.biases = [np.array(layer.b)[:, None] for layer in params]

    def feedforward(self, a: ArrayLike) -> Float[np.ndarray, "n_out n"]:
        """The activations of the output layer.

        Args:
          a: the inputs of an example as a column (n_in, 1); or of n examples, a column each.

        Returns:
          The outputs as a column (n_out, 1), or a column for each example.

        Raises:
          ValueError: a is something else.
        """
        columns = np.asarray(a)
        if columns.ndim != 2 or len(columns) != self.sizes[0] or columns.dtype.kind not in "biuf":
            raise ValueError(
                f"a must be a column of {self.sizes[0]} numbers, of shape ({self.sizes[0]}, 1), "
                f"not {brief(a)}."
            )
        rows = columns.T if columns.dtype.kind == "f" else columns.T.astype(float)
        return np.asarray(predict(self.architecture, self.params, rows)).T

    def n_correct(self, name: str, examples: Examples) -> int:
        """The number of examples that are classified correctly.

        Args:
          name: what the examples are called, for errors.
          examples: the examples.

        Returns:
          How many have their largest output at the place of their largest target, or of their
          label; with a single output, on the same side of ½.
        """
        metrics = evaluate(
            self.architecture, self.params, self.split(name, examples), metrics=METRICS
        ).metrics
        return round(float(metrics["correct"]))

    def split(self, name: str, examples: Examples) -> Split:
        """Examples as arrays: see `split_of`."""
        return split_of(name, examples, self.sizes[0], self.sizes[-1])

    def draw(self, initializer: Initializer) -> None:
        """Draw new weights and biases with one of jaxnet's initializers."""
        net = Network(tuple(self.sizes), cost=cost_for_training(self.cost), init=initializer)
        key = jax.random.key(_nth_seed(self.seed, self._n_draws), impl="threefry2x32")
        self.params = compiled_draw_params(net, key)
        self._n_draws += 1

    def train(
        self,
        data: Dataset,
        epochs: int,
        mini_batch_size: int,
        eta: float,
        lmbda: float,
        evaluate_on: tuple[EvaluatedSplit, ...],
        on_epoch: EpochCallback,
    ) -> None:
        """Train by stochastic gradient descent from the present weights on.

        Args:
          data: the examples to train on, and to validate on.
          epochs: how many times all examples are visited, at least 0.
          mini_batch_size: examples per mini-batch, at least 1; at most all of them are taken.
          eta: the learning rate, at least 0.
          lmbda: λ of the penalty (λ/2n)Σw², at least 0.
          evaluate_on: the splits to evaluate after each epoch.
          on_epoch: called after each epoch with its report.
        """
        params = self.params
        batch_size = min(count("mini_batch_size", mini_batch_size, low=1), len(data.train.x))
        with computing_in("float64" if params[0].w.dtype == np.float64 else "float32"):
            rate, penalty = constant("eta", eta, low=0), constant("lmbda", lmbda, low=0)
            recipe = Recipe(sgd(rate), l2=penalty)
            run = train(
                self.architecture, data, recipe, epochs=count("epochs", epochs, low=0),
                batch_size=batch_size, seed=_nth_seed(self.seed, self._n_trainings), params=params,
                evaluate_on=evaluate_on, metrics=METRICS if evaluate_on else None,
                on_epoch=on_epoch, progress=False,
            )  # fmt: skip
            self.params = run.params
        self._n_trainings += 1


def count_correct(
    outputs: Float[AnyArray, "n n_out"],
    targets: Float[AnyArray, "n n_out"],
    weights: Float[AnyArray, " n"],
) -> Float[Array, ""]:
    """The number of examples that are classified correctly, as the book counts it.

    Args:
      outputs: the output activations.
      targets: the targets, one-hot or any others.
      weights: the examples' weights, all 1.

    Returns:
      How many have their largest output and their largest target at one place; with a single
      output, how many have both above ½ or neither.
    """
    if outputs.shape[1] == 1:
        is_correct = (outputs[:, 0] > 0.5) == (targets[:, 0] > 0.5)
    else:
        is_correct = jnp.argmax(outputs, axis=1) == jnp.argmax(targets, axis=1)
    return jnp.sum(weights * is_correct)


METRICS = {"correct": count_correct}
"""What is evaluated besides costs."""


def _nth_seed(seed: int, n: int) -> int:
    """The seed of the nth draw of weights, or of the nth training: the network's own for n = 0."""
    return operator.index(np.random.SeedSequence((seed, n)).generate_state(1)[0]) if n else seed


def _arrays(name: str, arrays: object, shapes: list[tuple[int, int]]) -> list[np.ndarray]:
    """Weights or biases as arrays of these shapes."""
    if isinstance(arrays, (list, tuple)) and len(arrays) == len(shapes):
        converted = [np.asarray(array) for array in arrays]
        are_numbers = all(array.dtype.kind in "biuf" for array in converted)
        if are_numbers and [array.shape for array in converted] == shapes:
            return converted
    raise ValueError(
        f"{name} must be a list of arrays of numbers of shapes {shapes}, not {_shapes(arrays)}."
    )


def _shapes(arrays: object) -> str:
    """The shapes of arrays, for an error."""
    if isinstance(arrays, (list, tuple)) and all(isinstance(a, np.ndarray) for a in arrays):
        return f"of shapes {[array.shape for array in arrays]}"
    return brief(arrays)
