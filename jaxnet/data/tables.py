"""Data sets that know what their inputs and labels stand for."""

from typing import Any

import numpy as np

from jaxnet.core.types import Dataset
from jaxnet.data.encoding import Encoding


class Table(Dataset):
    """A data set that knows what its inputs and its labels stand for.

    `jaxnet.datasets.table` makes one. It is a `Dataset`, and can be used wherever one can.

    Attributes:
      train, valid, test: the splits: see `Dataset`.
      encoding: how columns became inputs, and labels got their names; `None` where JAX rebuilt the
        data set from its arrays.
      groups: the group of each training row, for `jaxnet.resampling.k_fold(5, groups=…)`; `None`
        for none.

    >>> import jaxnet as jn
    >>> rows = {"age": [20, 30, 40, 50], "ill": ["no", "no", "yes", "yes"]}
    >>> data = jn.datasets.table(rows, "ill", valid=0)
    >>> data.encoding.target.classes, data.train.y.tolist()
    (('no', 'yes'), [0, 0, 1, 1])
    """

    encoding: Encoding | None = None
    groups: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls, data: Dataset, encoding: Encoding, groups: tuple[str, ...] | None = None
    ) -> "Table":
        """A data set with its encoding.

        Args:
          data: the splits.
          encoding: what their inputs and labels stand for.
          groups: the group of each training row; `None`, the default, for none.
        """
        described = cls(*data)
        described.encoding, described.groups = encoding, groups
        return described

    def _replace(self, **splits: Any) -> Dataset:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The table with other splits; it keeps its encoding where the inputs are the same."""
        replaced = Dataset(*self)._replace(**splits)
        is_same = all(
            new is None or (old is not None and new.x is old.x)
            for old, new in zip(self, replaced, strict=True)
        )
        if self.encoding is None or not is_same:
            return replaced
        return Table.of(replaced, self.encoding, self.groups)

    @property
    def n_inputs(self) -> int:
        """The number of inputs that a network for the table has."""
        return self.train.x.shape[1]

    @property
    def n_outputs(self) -> int:
        """The number of outputs: one for each class, or 1 for a number."""
        classes = () if self.encoding is None else self.encoding.target.classes
        return len(classes) or 1


def encoding_of(data: Dataset) -> Encoding | None:
    """The encoding of a data set; None where inputs and labels are all there is.

    Args:
      data: the splits.

    >>> from jaxnet.core.types import Split
    >>> encoding_of(Dataset(Split([[0.0]], [0]))) is None
    True
    """
    return data.encoding if isinstance(data, Table) else None


def n_outputs(data: Dataset) -> int:
    """The number of outputs that the targets of a data set need: one for each class or column.

    Args:
      data: the splits, with labels or a column for each output.

    >>> from jaxnet.core.types import Split
    >>> n_outputs(Dataset(Split([[0.0], [1.0]], [0, 1])))
    2
    """
    if isinstance(data, Table):
        return data.n_outputs
    y = np.asarray(data.train.y)
    return y.shape[1] if y.ndim == 2 else int(y.max()) + 1
