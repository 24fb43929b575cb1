"""Ensembles: several trained networks that predict together, in one file."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from jaxnet.core import activations, network
from jaxnet.core.arguments import brief, path_of
from jaxnet.core.checks import check_split
from jaxnet.core.costs import Cost, GaussianNLL
from jaxnet.core.display import brief_repr, html_of
from jaxnet.core.network import Network
from jaxnet.core.types import Layer, Params, Split
from jaxnet.io import files, network_files, reading
from jaxnet.io.network_files import JsonDescribed
from jaxnet.sweeps.chunk_params import stacked
from jaxnet.sweeps.network_stack import NetworkStack, outputs_of
from jaxnet.training.classification_report import ClassificationReport
from jaxnet.training.evaluation import ScoresAndMetrics, evaluate
from jaxnet.training.metrics import MetricFunction
from jaxnet.training.regression_report import RegressionReport
from jaxnet.training.reports import report_of_logits

KIND = "ensemble"
FORMAT = 1


class Member(NamedTuple):
    """One network of an ensemble.

    Attributes:
      network: the architecture.
      params: its parameters.
      shift: what is subtracted from each input, (n_in,), such as the mean over a fold's training
        rows; `None`, the default, for nothing.
      scale: what each input is multiplied by then, (n_in,); `None`, the default, for nothing.

    >>> net = Network((2, 3, 1))
    >>> Member(net, network.zero_params(net)).network.sizes
    (2, 3, 1)
    """

    network: Network
    params: Params
    shift: Float[np.ndarray, " n_in"] | None = None
    scale: Float[np.ndarray, " n_in"] | None = None

    def __repr__(self) -> str:
        return brief_repr(self, ("network", "shift", "scale"))


@dataclass(frozen=True, eq=False, repr=False)
class Ensemble:
    """Trained networks that predict together; they may be of several architectures.

    `Study.ensemble` makes one of the best networks of a study.

    Attributes:
      members: the networks, one or more, with equally many inputs and outputs.

    Raises:
      ValueError: there is no member, or two do not go together.

    Source: Hansen and Salamon, Neural network ensembles, 1990.

    >>> net = Network((2, 3, 1))
    >>> ensemble = Ensemble((Member(net, network.zero_params(net)),) * 3)
    >>> len(ensemble), ensemble.predict(np.ones((4, 2))).tolist()  # outputs of zeros are ½
    (3, [[0.5], [0.5], [0.5], [0.5]])
    """

    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        is_sequence = isinstance(self.members, (tuple, list)) and len(self.members) > 0
        if not is_sequence or not all(isinstance(member, Member) for member in self.members):
            raise ValueError(
                "members must be a tuple of at least one jaxnet.sweeps.ensemble.Member, as "
                f"Study.ensemble makes it, not {brief(self.members)}."
            )
        object.__setattr__(self, "members", tuple(self.members))
        ends = {member.network.sizes[:: len(member.network.sizes) - 1] for member in self.members}
        if len(ends) > 1:
            raise ValueError(
                f"the members of an ensemble have different numbers of inputs and outputs, "
                f"{sorted(ends)}; give networks for the same data."
            )
        for member in self.members:
            network.check_params(member.network, member.params)

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        sizes = dict.fromkeys("-".join(map(str, m.network.sizes)) for m in self.members)
        return f"Ensemble({len(self)} networks: {', '.join(sizes)})"

    def _repr_html_(self) -> str | None:
        return html_of(self)

    def predict_all(self, x: ArrayLike) -> Float[np.ndarray, "members ..."]:
        """The outputs of each member.

        Args:
          x: one example, (n_in,), or many, (n, n_in), as `jaxnet.predict` takes them.

        Returns:
          The output activations, (members, n, n_out), or (members, n_out) for one example.

        Raises:
          ValueError: x does not fit the networks.
        """
        return outputs_of(self._stacks(), len(self), x)

    def predict(self, x: ArrayLike) -> Float[np.ndarray, "..."]:
        """The mean of the members' outputs.

        Args:
          x: one example, (n_in,), or many, (n, n_in), as `jaxnet.predict` takes them.

        Returns:
          The mean output activations, (n, n_out), or (n_out,) for one example.

        Raises:
          ValueError: x does not fit the networks.
        """
        return self.predict_all(x).mean(axis=0)

    def spread(self, x: ArrayLike) -> Float[np.ndarray, "..."]:
        """The standard deviation of the members' outputs, which says how much they disagree.

        Args:
          x: one example, (n_in,), or many, (n, n_in), as `jaxnet.predict` takes them.

        Returns:
          √(mean (a − ā)²) over the members for each output, (n, n_out), or (n_out,) for one
          example; 0 for an ensemble of one network.

        Raises:
          ValueError: x does not fit the networks.
        """
        return self.predict_all(x).std(axis=0)

    def evaluate(
        self, split: Split, metrics: Mapping[str, MetricFunction] | None = None
    ) -> ScoresAndMetrics:
        """The cost and accuracy of the mean outputs on a split, and metrics.

        Args:
          split: the examples and their targets.
          metrics: what else to compute, by names of your choice, as `jaxnet.evaluate` takes them;
            `None`, the default, for nothing.

        Returns:
          `cost`, that of the logits at which the members' output activation has the mean outputs,
          `accuracy` and `metrics`, as `jaxnet.evaluate` returns them.

        Raises:
          ValueError: the split does not fit the networks, members have different costs, or their
            output activation is none of linear, sigmoid, softmax and exponential.
        """
        first = self._only_cost()
        split = check_split(first, "evaluated", split)
        means = self.predict_all(split.x).astype(float).mean(axis=0)
        n_out = first.sizes[-1]
        # One layer that hands logits on: cost, accuracy and metrics are those of any network.
        identity = Network((n_out, n_out), cost=first.cost)
        params = (Layer(np.eye(n_out), np.zeros(n_out)),)
        of_means = split._replace(x=_logits_of(first.cost, means))
        return evaluate(identity, params, of_means, metrics={} if metrics is None else metrics)

    def report(
        self,
        split: Split,
        *,
        valid: Split | None = None,
        class_names: Sequence[str] | None = None,
    ) -> ClassificationReport | RegressionReport:
        """How good the mean outputs are on a split: see `jaxnet.report`.

        For numbers to predict, intervals have the standard deviation by which the members disagree,
        `spread`. With `GaussianNLL` it is that of the mixture: of the mean variance and the
        variance of the means.

        Args:
          split: the examples to report on, such as the test split.
          valid: other examples to fit a temperature on; None, the default, fits none.
          class_names: the names of the classes; None, the default, for numbers.

        Returns:
          The report, for `print` and `to_dict()`.

        Raises:
          ValueError: as in `evaluate`, or names do not fit, or outputs are NaN.
          ImportError: scikit-learn is not installed.

        Source: Lakshminarayanan et al., Simple and scalable predictive uncertainty estimation using
          deep ensembles, 2017, section 2.4, for the mixture.
        """
        first = self._only_cost()
        checked = check_split(first, "evaluated", split)
        logits, deviation = self._means(checked)
        pair = None
        if valid is not None:
            checked_valid = check_split(first, "valid", valid)
            pair = checked_valid, self._means(checked_valid)[0]
        return report_of_logits(first, checked, logits, pair, class_names, deviation)

    def save(self, path: str | Path, *, encoding: JsonDescribed | None = None) -> None:
        """Write the ensemble as one .safetensors file, atomically.

        Args:
          path: the file, which ends with .safetensors; one that exists is replaced.
          encoding: how the columns of a table become inputs, such as `table.encoding`; `None`, the
            default, for networks of arrays.

        Raises:
          ValueError: the suffix is another one, a part of a network is not the library's own, or
            the encoding is none.
          OSError: the file cannot be written; one that existed is unharmed.
        """
        path = _checked_path(path)
        networks = list(dict.fromkeys(member.network for member in self.members))
        arrays: dict[str, np.ndarray] = {}
        for index, member in enumerate(self.members):
            for name, array in network_files.named_arrays(member.params).items():
                arrays[f"params/{index}/{name}"] = array
            if member.shift is not None and member.scale is not None:
                arrays[f"inputs/{index}/shift"] = np.asarray(member.shift)
                arrays[f"inputs/{index}/scale"] = np.asarray(member.scale)
        header = {
            "networks": list(map(network_files.describe, networks)),
            "members": [networks.index(member.network) for member in self.members],
        } | network_files.encoding_entry(encoding, networks[0])
        files.write_sealed(path, KIND, FORMAT, arrays, header)

    @classmethod
    def load(cls, path: str | Path) -> "Ensemble":
        """Read an ensemble from a file that `save` wrote.

        Args:
          path: the file, which ends with .safetensors.

        Returns:
          The ensemble, with parameters of the type that they were saved in.

        Raises:
          ValueError: the file is not an ensemble, was changed or cannot be read; the message says
            why.

        >>> import tempfile
        >>> net = Network((2, 3, 1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Ensemble((Member(net, network.zero_params(net)),)).save(f"{folder}/e.safetensors")
        ...     Ensemble.load(f"{folder}/e.safetensors")
        Ensemble(1 networks: 2-3-1)
        """
        return cls(reading.read_file(_checked_path(path), "an ensemble", _read_members))

    def _only_cost(self) -> Network:
        """A network of the ensemble, whose cost all have."""
        first = self.members[0].network
        if any(member.network.cost != first.cost for member in self.members):
            raise ValueError(
                "the members of the ensemble have different costs, so that it has none; compare "
                "its predictions with the targets by other means."
            )
        return first

    def _means(self, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """The logits of the mean outputs, and the standard deviations of predicted numbers."""
        cost = self.members[0].network.cost
        outputs = self.predict_all(split.x).astype(float)
        deviation = outputs.std(axis=0)
        if isinstance(cost, GaussianNLL):
            means, log_variances = np.split(outputs, 2, axis=-1)
            deviation = np.sqrt(np.exp(log_variances).mean(axis=0) + means.var(axis=0))
        return _logits_of(cost, outputs.mean(axis=0)), deviation

    def _stacks(self) -> list[NetworkStack]:
        """The members by architecture, and by how they read inputs."""
        places_by_key: dict[Hashable, list[int]] = {}
        for place, member in enumerate(self.members):
            inputs = (None if a is None else a.tobytes() for a in (member.shift, member.scale))
            places_by_key.setdefault((member.network, *inputs), []).append(place)
        stacks = []
        for places in places_by_key.values():
            own = [self.members[place] for place in places]
            params = stacked([member.params for member in own])
            first = own[0]
            stacks.append(
                NetworkStack(first.network, params, np.array(places), first.shift, first.scale)
            )
        return stacks


def _checked_path(path: str | Path) -> Path:
    """The path of an ensemble's file, checked to have its suffix."""
    checked = path_of("path", path)
    if checked.suffix != ".safetensors":
        raise ValueError(f"path must end with .safetensors, not {checked}.")
    return checked


def _read_members(file: BinaryIO) -> tuple[Member, ...]:
    """The members in an open file; errors are bare reasons."""
    arrays, header = files.read_sealed(file, KIND, FORMAT)
    networks = list(map(network_files.described_network, header["networks"]))
    members = []
    for index, network_index in enumerate(header["members"]):
        net = networks[network_index]
        params = network_files.named_layers(net, files.section(arrays, f"params/{index}"))
        inputs = files.section(arrays, f"inputs/{index}")
        members.append(Member(net, params, inputs.get("shift"), inputs.get("scale")))
    return tuple(members)


def _logits_of(cost: Cost, outputs: Float[np.ndarray, "n n_out"]) -> Float[np.ndarray, "n n_out"]:
    """The logits at which the output activation of a cost has these values."""
    smallest, below_1 = np.finfo(float).tiny, 1 - np.finfo(float).epsneg
    if cost.output == activations.linear:
        return outputs
    logarithms = np.log(np.maximum(outputs, smallest))
    if cost.output == activations.exponential:
        return logarithms
    if cost.output == activations.sigmoid:
        return logarithms - np.log1p(-np.minimum(outputs, below_1))
    if isinstance(cost.output, activations.Softmax):
        return logarithms * cost.output.temperature
    raise ValueError(
        f"the cost of mean outputs is not known for the output activation {cost.output!r}; compare "
        "predict with the targets by other means."
    )
