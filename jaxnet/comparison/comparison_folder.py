"""The result of a comparison, and its folder: tables as CSV files, and a manifest."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax

from jaxnet.comparison import result_tables
from jaxnet.comparison.protocol import Protocol
from jaxnet.comparison.tuning import Range
from jaxnet.core.deprecation import warn_renamed
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.data import datasets
from jaxnet.io import csv, files, parquet
from jaxnet.io.csv import Row
from jaxnet.io.files import JsonObject
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.fingerprint import described, fingerprint, require_same

FORMAT = 2
TABLES = (
    "runs", "curves", "summary", "pairwise", "time_to_target", "divergence",
    "expected_performance", "usual_study",
)  # fmt: skip
"""The tables of a comparison: its fields, and the names of its CSV files."""

OLDER_TABLES = {"expected_performance": "luck"}
"""The names that tables had in version 0.2."""


class Comparison(NamedTuple):
    """The result of a comparison: tables, as lists of rows (dicts by column), and a manifest.

    Its text is the conclusion and the warnings. Columns have these names:

    - A `score` is the accuracy or, for float targets, R². A `loss` is without penalties; a
      `valid_cost` is the evaluated cost, with penalties.
    - `_low` and `_high` are the ends of 95 % intervals over seeds, `_low_examples` and
      `_high_examples` of those over seeds and test examples, `_sd` standard deviations over seeds.
    - A `trial` is a point of the search, counted from 0 by learning rate. In phase "report" the
      only trial is the chosen point.
    - `diverged_epoch` and `diverged_step` count from 1; they are 0 for a run that did not diverge.

    Attributes:
      manifest: the content of manifest.json: protocol, searches, versions, device, data,
        conclusion.
      runs: a row for each trained network: hyperparameters, losses and scores after the last epoch.
      curves: a row for each epoch of each network: validation cost and score.
      summary: a row for each optimizer: chosen hyperparameters, test score and loss with intervals.
      pairwise: a row for each pair of optimizers: the difference of test scores, its intervals,
        p-value, verdict, and the difference that would be detected with a probability of 80 %.
      time_to_target: a row for each optimizer and target: the median epochs and steps to this
        validation score.
      divergence: a row for each trial of each search: how many of its seeds diverged.
      expected_performance: a row for each optimizer and number of trials: the test score that a
        study with one seed reports after that number of trials, its mean and its middle 90 %.
      usual_study: a row for each pair and number of trials: how often a study with one seed ranks a
        above b.
      timing: seconds per epoch of each optimizer, trained as a single network; empty if not
        measured.

    >>> import jaxnet as jn
    >>> comparison = jn.compare(
    ...     jn.Network((2, 4, 2)), jn.datasets.xor(), ["sgd", "adam"], tier="defaults", epochs=2,
    ...     seeds=8, tuning_seeds=1, timing=False, log=None,
    ... )
    >>> len(comparison.runs), comparison.pairwise[0]["a"], comparison.pairwise[0]["b"]
    (18, 'sgd', 'adam')
    """

    manifest: JsonObject
    runs: list[Row]
    curves: list[Row]
    summary: list[Row]
    pairwise: list[Row]
    time_to_target: list[Row]
    divergence: list[Row]
    expected_performance: list[Row]
    usual_study: list[Row]
    timing: dict[str, float]

    @property
    def luck(self) -> list[Row]:
        """The old name of `expected_performance`."""
        warn_renamed("Comparison.luck", "Comparison.expected_performance")
        return self.expected_performance

    @property
    def conclusion(self) -> list[str]:
        """The results in sentences: the best optimizer first, then each pair."""
        return self.manifest["conclusion"]

    @property
    def warnings(self) -> list[str]:
        """Reasons, in sentences, to doubt the conclusion; empty if there are none."""
        return self.manifest["warnings"]

    def write(self, folder: str | Path) -> None:
        """Write all tables as CSV and, if pyarrow is installed, as Parquet; manifest.json last.

        The same version, device, protocol and data give the same bytes, except in timing.json.

        Args:
          folder: the folder to write to, created if needed; files in it are replaced.

        Raises:
          OSError: a file cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            rows = getattr(self, name)
            csv.write_csv(folder / f"{name}.csv", rows)
            if parquet.has_parquet():
                parquet.write_parquet(folder / f"{name}.parquet", rows)
        write_json(folder / "timing.json", self.timing)
        write_json(folder / "manifest.json", self.manifest)

    def __repr__(self) -> str:
        return "\n".join([*self.conclusion, *(f"Warning: {text}" for text in self.warnings)])


def read(folder: str | Path) -> Comparison:
    """Read a comparison from the files that `compare` or `Comparison.write` wrote.

    Args:
      folder: the comparison's folder; one of version 0.2 is read, too.

    Returns:
      The comparison.

    Raises:
      ValueError: the folder holds no comparison, an unfinished one, or a damaged file.

    >>> read("comparisons/none")
    Traceback (most recent call last):
    ValueError: comparisons/none holds no comparison: No such file or directory.
    """
    folder = Path(folder)
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        if "conclusion" not in manifest:
            raise ValueError(
                "the comparison was not finished; repeat the same command or call to continue it"
            )
        tables = {name: csv.read_csv(_table_path(folder, name), result_tables.TEXT)
                  for name in TABLES}  # fmt: skip
        timing = json.loads((folder / "timing.json").read_bytes())
    except OSError as error:
        raise ValueError(f"{folder} holds no comparison: {error.strerror}.") from None
    except ValueError as error:
        raise ValueError(f"{folder} cannot be read: {error}.") from None
    return Comparison(manifest=manifest, **tables, timing=timing)


def _table_path(folder: Path, name: str) -> Path:
    """The CSV file of a table, under its older name if only that exists."""
    path, older_path = folder / f"{name}.csv", folder / f"{OLDER_TABLES.get(name)}.csv"
    return older_path if older_path.exists() and not path.exists() else path


def identity(
    net: Network,
    data: Dataset,
    contenders: Mapping[str, Recipe],
    protocol: Protocol,
    ranges: Mapping[str, Mapping[str, Range]],
) -> JsonObject:
    """The first part of the manifest: two comparisons are the same if all of it is equal."""
    return files.environment() | {
        "format": FORMAT,
        "protocol": described(protocol),
        "network": repr(net),
        "contenders": {label: repr(recipe) for label, recipe in contenders.items()},
        "settings": {
            label: fingerprint(net, recipe, protocol.batch_size)
            for label, recipe in contenders.items()
        },
        "ranges": repr(ranges),
        "examples": [len(split.x) for split in data if split is not None],
        "data_sha256": datasets.sha256(data),
        # Bits depend on these two: see `jaxnet.sweeps.chunk_sizes`.
        "devices": jax.local_device_count(),
        "dtype": str(jax.dtypes.canonicalize_dtype(float)),
    }


def start_or_continue(folder: Path, identity: JsonObject) -> None:
    """Start a comparison in a folder, or check that the folder holds the same comparison.

    Args:
      folder: the folder, created if needed.
      identity: the new comparison's `identity`.

    Raises:
      ValueError: the folder holds another comparison, or its manifest is damaged.
    """
    path = folder / "manifest.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, identity)
        return
    try:
        manifest = json.loads(path.read_bytes())
    except ValueError:
        raise ValueError(
            f"{path} is damaged; delete it, and repeat the same call to continue."
        ) from None
    if manifest.get("format") != FORMAT:
        writer = manifest.get("versions", {}).get("jaxnet-mlp", "another version")
        raise ValueError(
            f"{folder} holds a comparison of jaxnet {writer}, which only that version can "
            "continue; choose another folder (--name). jaxnet.comparison.read reads it if it is "
            "finished."
        )
    # "network" and "contenders" are texts for a reader; "settings" has all that they are made of.
    compared = {name: identity[name] for name in identity if name not in ("network", "contenders")}
    before = {name: manifest.get(name) for name in compared}
    remedy = "Choose another folder (--name)"
    if before["devices"] != identity["devices"]:
        remedy = "Call jaxnet.use_all_cores() first if the earlier call did, and only then"
    require_same(
        f"{folder} holds another comparison",
        before,
        compared,
        f"{remedy}; jaxnet.comparison.read reads the comparison in the folder if it is finished.",
    )


def write_json(path: Path, value: JsonObject) -> None:
    """Write an object as indented JSON, atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    files.write_atomic(path, text.encode())
