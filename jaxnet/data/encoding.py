"""Encodings: how the columns of a table become the inputs of a network, and outputs its answers.

A number becomes (v − mean)/sd, with the mean and the standard deviation of the training rows, and
0 where it is missing. A category becomes a 0 or 1 for each of its values. A column that had missing
cells in training has a further input, which is 1 where the cell is missing. All this is written
into a network's file as JSON, so that the file alone is enough to predict.
"""

import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from jaxnet.core import network
from jaxnet.core.conversion import input_array
from jaxnet.core.costs import GaussianNLL
from jaxnet.core.network import Network
from jaxnet.core.registry import suggestion
from jaxnet.core.types import AnyArray, Params
from jaxnet.data.doubtful import outer_stacklevel
from jaxnet.data.table_cells import Cells, cells_of, check_finite, numbers_of, raw_columns, texts_of
from jaxnet.io import network_files
from jaxnet.io.reading import JsonObject

Label = str | int
"""The name of a class."""
LARGEST = 1e30
"""The largest standardized number that a network may read in float32."""
MOST_NAMES = 5
"""Columns that the text of an encoding names."""
RARE = "(rare)"
"""The name of the input of all values that are too rare to have one each."""


@dataclass(frozen=True)
class Number:
    """A column of numbers.

    Attributes:
      name: the column's name.
      mean: the mean of the training rows' numbers.
      sd: their standard deviation, with n in the denominator; 1 where they are all the same.
      has_missing: whether a training row's number is missing.

    >>> Number("age", 40.0, 10.0, has_missing=True).inputs(np.array([50.0, np.nan])).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    name: str
    mean: float
    sd: float
    has_missing: bool = False
    kind: ClassVar[str] = "number"

    @property
    def input_names(self) -> list[str]:
        """The names of the column's inputs."""
        return [self.name] + [f"{self.name} is missing"] * self.has_missing

    def inputs(self, cells: Cells) -> Float[np.ndarray, "n inputs"]:
        """The inputs of these cells."""
        numbers = numbers_of(cells, self.name)
        is_missing = np.isnan(numbers)
        check_finite(self.name, numbers)
        if is_missing.any() and not self.has_missing:
            _warn(
                f"{np.count_nonzero(is_missing)} of {len(numbers)} numbers of the column "
                f"{self.name!r} are missing, though none was in training; its mean stands in."
            )
        standardized = np.where(is_missing, 0.0, (numbers - self.mean) / self.sd)
        is_large = np.abs(standardized) > LARGEST
        if is_large.any():
            row = int(is_large.argmax())
            raise ValueError(
                f"row {row} of the column {self.name!r} is {numbers[row]:g}, but in training its "
                f"numbers were {self.mean:g} ± {self.sd:g}; check its unit."
            )
        return np.stack([standardized] + [is_missing.astype(float)] * self.has_missing, axis=1)


@dataclass(frozen=True)
class Category:
    """A column of categories.

    Attributes:
      name: the column's name.
      values: the categories that have an input each.
      rare: others, which are too rare for that, and have one together.
      has_missing: whether a training row's category is missing.

    >>> town = Category("town", ("Bern", "Zug"), has_missing=True)
    >>> town.inputs(np.array(["Zug", None], dtype=object)).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """

    name: str
    values: tuple[str, ...]
    rare: tuple[str, ...] = ()
    has_missing: bool = False
    kind: ClassVar[str] = "category"

    @property
    def input_names(self) -> list[str]:
        """The names of the column's inputs."""
        names = [f"{self.name} = {value}" for value in self.values]
        names += [f"{self.name} = {RARE}"] * bool(self.rare)
        return names + [f"{self.name} is missing"] * self.has_missing

    def inputs(self, cells: Cells) -> Float[np.ndarray, "n inputs"]:
        """The inputs of these cells."""
        texts = texts_of(cells)
        is_missing = np.array([text is None for text in texts], bool)
        is_value = np.array([[text == value for value in self.values] for text in texts], bool)
        is_other = ~is_missing & ~is_value.any(axis=1)
        is_new = is_other & np.array([text not in self.rare for text in texts], bool)
        if is_new.any():
            value = texts[int(is_new.argmax())]
            place = "counted as rare" if self.rare else "0 in all inputs"
            _warn(
                f"{np.count_nonzero(is_new)} of {len(texts)} values of the column {self.name!r}, "
                f"such as {value!r}, did not occur in training; they are {place}."
            )
        if is_missing.any() and not self.has_missing:
            _warn(
                f"{np.count_nonzero(is_missing)} of {len(texts)} values of the column "
                f"{self.name!r} are missing, though none was in training; their inputs are 0."
            )
        columns = [*is_value.T] + [is_other] * bool(self.rare) + [is_missing] * self.has_missing
        return np.stack(columns, axis=1).astype(float)


Column = Number | Category
KINDS: dict[str, type[Column]] = {"number": Number, "category": Category}
"""The classes of columns, by the names that files have for them."""


@dataclass(frozen=True)
class Target:
    """The column to predict.

    Attributes:
      name: its name.
      classes: the names of the classes, in the order of their labels; empty for a number.
      mean: what is subtracted from a number before training; 0 by default.
      sd: what the rest is divided by; 1 by default.

    >>> Target("outcome", classes=("no", "yes")).classes[1]
    'yes'
    """

    name: str
    classes: tuple[Label, ...] = ()
    mean: float = 0.0
    sd: float = 1.0


@dataclass(frozen=True)
class Encoding:
    """How the columns of a table become inputs, and outputs become answers.

    `jaxnet.datasets.table` makes one from the training rows; `jaxnet.save(…, encoding=…)` writes it
    into a network's file, and `jaxnet.datasets.load_encoding` reads it from there.

    Attributes:
      target: the column to predict.
      columns: the columns that are inputs, in order; `None` where inputs are arrays as they are.
      left_out: the names of the other columns of the table that are known: weights, groups, what
        was dropped.

    >>> columns = (Number("age", 40.0, 10.0), Category("town", ("Bern", "Zug")))
    >>> encoding = Encoding(Target("ill", ("no", "yes")), columns)
    >>> encoding.inputs({"age": [50, 30], "town": ["Zug", "Bern"]}).tolist()
    [[1.0, 0.0, 1.0], [-1.0, 1.0, 0.0]]
    """

    target: Target
    columns: tuple[Column, ...] | None = None
    left_out: tuple[str, ...] = ()

    def __repr__(self) -> str:
        names = [column.name for column in self.columns or ()]
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        columns = f"{', '.join(names[:MOST_NAMES])}{more}" if names else "arrays as they are"
        return f"Encoding({columns} → {len(self.input_names)} inputs; target: {self.target!r})"

    @property
    def input_names(self) -> list[str]:
        """The name of each input, such as "town = Bern"; empty where inputs are arrays."""
        return [name for column in self.columns or () for name in column.input_names]

    @property
    def are_numbers(self) -> Bool[np.ndarray, " n_in"]:
        """Whether each input is a standardized number, and not a 0 or 1."""
        numbers = {column.name for column in self.columns or () if isinstance(column, Number)}
        return np.array([name in numbers for name in self.input_names], bool)

    def inputs(self, rows: object) -> AnyArray:
        """The inputs of the rows of a table, (n, n_in).

        Args:
          rows: a CSV or Parquet file, a DataFrame, or a mapping from names to cells; or an array,
            where the encoding has no columns. It needs the columns of the encoding, in any order;
            the target may be among them and is not read.

        Returns:
          The inputs in float32; arrays as `jaxnet.predict` takes them, uint8 ones as they are.

        Raises:
          ValueError: a column is missing, or is of another type.

        Warns:
          UserWarning: a column, or a category, did not occur in training, or a cell is missing in a
            column that had no gaps: the message says what stands in its place.
        """
        if self.columns is None:
            return input_array(rows, "the rows")
        columns = raw_columns(rows)
        known = [column.name for column in self.columns]
        for name in known:
            if name not in columns:
                hint = suggestion(name, columns)
                raise ValueError(
                    f"the table has no column {name!r}, an input of the network; {hint}"
                )
        others = set(columns) - {*known, *self.left_out, self.target.name, ""}
        if others:
            _warn(f"columns that training did not have are left out: {', '.join(sorted(others))}.")
        parts = [
            column.inputs(cells_of(column.name, columns[column.name])) for column in self.columns
        ]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def predictions(self, net: Network, params: Params, rows: object) -> dict[str, np.ndarray]:
        """A network's answers to the rows of a table.

        Args:
          net: the architecture.
          params: its parameters.
          rows: what `inputs` takes.

        Returns:
          Columns by their names. For classes: the predicted class, under the target's name, and
          "p(CLASS)", the output of each class. For a number: the prediction in the unit of the
          table, and under `GaussianNLL` "NAME sd", its standard deviation.

        Raises:
          ValueError: the rows lack a column, a column is of another type, or the network has other
            outputs.
        """
        outputs = np.asarray(network.predict(net, params, self.inputs(rows)), float)
        outputs = outputs.reshape(-1, outputs.shape[-1])  # one example is a table of one row
        return self.decode(outputs, isinstance(net.cost, GaussianNLL))

    def decode(
        self, outputs: Float[np.ndarray, "n n_out"], has_variances: bool = False
    ) -> dict[str, np.ndarray]:
        """The answers that output activations stand for; see `predictions`.

        Args:
          outputs: the output activations.
          has_variances: whether the second half of the outputs are log-variances, as under
            `GaussianNLL`; False by default.
        """
        name, classes = self.target.name, self.target.classes
        if not classes:
            means = outputs[:, : outputs.shape[1] // 2] if has_variances else outputs
            answers = {name: (means * self.target.sd + self.target.mean)[:, 0]}
            if has_variances:
                answers[f"{name} sd"] = np.exp(outputs[:, 1] / 2) * self.target.sd
            return answers
        if outputs.shape[1] == 1:  # the output is that of class 1
            outputs = np.concatenate([1 - outputs, outputs], axis=1)
        if outputs.shape[1] != len(classes):
            raise ValueError(
                f"the network has {outputs.shape[1]} outputs, but the target {name!r} has "
                f"{len(classes)} classes; use the encoding of the network's own table."
            )
        labels = np.array(classes, object)[outputs.argmax(axis=1)]
        return {name: labels} | {
            f"p({label})": column for label, column in zip(classes, outputs.T, strict=True)
        }

    def check_network(self, net: Network) -> None:
        """Check that a network reads these inputs, and answers with this target.

        Args:
          net: the architecture.

        Raises:
          ValueError: it has other inputs or outputs.

        >>> Encoding(Target("ill"), (Number("age", 40.0, 10.0),)).check_network(Network((2, 1)))
        Traceback (most recent call last):
        ValueError: the network has 2 inputs, but the encoding makes 1 of a row; give the encoding \
of the network's own table.
        """
        name, n_classes = self.target.name, len(self.target.classes)
        n_in, n_out = net.sizes[0], net.n_targets
        remedy = "give the encoding of the network's own table"
        if self.columns is not None and n_in != len(self.input_names):
            raise ValueError(
                f"the network has {n_in} inputs, but the encoding makes {len(self.input_names)} of "
                f"a row; {remedy}."
            )
        if n_out not in ((1, 2) if n_classes == 2 else (n_classes or 1,)):
            kind = f"{n_classes} classes" if n_classes else "one number"
            raise ValueError(
                f"the network predicts {n_out} targets, but {name!r} is {kind}; {remedy}."
            )

    def to_json(self) -> JsonObject:
        """The encoding in JSON's types, of which `from_json` makes it again."""
        columns = None
        if self.columns is not None:
            columns = [{"kind": column.kind} | asdict(column) for column in self.columns]
        return {"target": asdict(self.target), "columns": columns, "left_out": list(self.left_out)}

    @classmethod
    def from_json(cls, described: JsonObject) -> "Encoding":
        """The encoding that `to_json` described.

        Args:
          described: the description.

        Raises:
          ValueError: it is not such a description; the message is a bare reason.

        >>> encoding = Encoding(Target("ill", ("no", "yes")), (Number("age", 40.0, 10.0),))
        >>> Encoding.from_json(encoding.to_json()) == encoding
        True
        """
        try:
            target = _with_tuples(described["target"])
            columns = described["columns"]
            if columns is not None:
                columns = tuple(_described_column(column) for column in columns)
            return cls(Target(**target), columns, tuple(described["left_out"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"its encoding is damaged: {error}") from None


def load_encoding(path: str | Path) -> Encoding:
    """The encoding in the file of a network, or of an ensemble.

    Args:
      path: the file, .json or .safetensors, that `jaxnet.save(…, encoding=…)` or
        `Ensemble.save(…, encoding=…)` wrote.

    Returns:
      The encoding.

    Raises:
      ValueError: the file cannot be read, or holds no encoding.

    >>> import tempfile
    >>> encoding, net = Encoding(Target("ill", ("no", "yes"))), Network((3, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/net.json"
    ...     network_files.save(path, net, network.zero_params(net), encoding=encoding)
    ...     load_encoding(path) == encoding
    True
    """
    described = network_files.load_encoding(path)
    if described is None:
        raise ValueError(
            f"{path} holds a network without an encoding, whose inputs are arrays; save those of "
            "tables with jaxnet.save(path, net, params, encoding=table.encoding)."
        )
    return Encoding.from_json(described)


def _described_column(described: JsonObject) -> Column:
    values = _with_tuples(described)
    kind = values.pop("kind")
    if kind not in KINDS:
        raise ValueError(f"its encoding has a column of the kind {kind!r}")
    return KINDS[kind](**values)


def _with_tuples(described: JsonObject) -> dict[str, Any]:
    """An object of JSON with tuples for its lists."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in described.items()
    }


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=outer_stacklevel())
