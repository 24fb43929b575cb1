"""A comparison and its folder: tables as CSV, a manifest; what is there is read or gone on with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxnet.comparison import result_tables
from jaxnet.comparison.protocol import Protocol
from jaxnet.core.deprecation import warn_renamed
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.data import datasets
from jaxnet.io import csv, files, parquet
from jaxnet.io.csv import Row
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.fingerprint import described, fingerprint, require_same

FORMAT = 2
TABLES = (
    "runs", "curves", "summary", "pairwise", "time_to_target", "divergence",
    "expected_performance", "usual_study",
)  # fmt: skip

OLDER_TABLES = {"expected_performance": "luck"}
"""What version 0.2 called tables."""


class Comparison(NamedTuple):
    """What a comparison has found: its tables, as rows of named values, and its manifest.

    A `score` is the accuracy, or R²; a `loss` is without penalties; `valid_cost` is the cost that
    is monitored, with them. `_low` and `_high` are the ends of 95 % intervals over seeds,
    `_low_examples` and `_high_examples` over seeds and examples. A `trial` counts the points of a
    search, by learning rate; the report has one, the chosen point. `diverged_epoch` 0: it did not.
    """

    manifest: dict[str, Any]
    """Protocol, searches, versions, device, data, warnings, conclusion: see `manifest.json`."""
    runs: list[Row]
    curves: list[Row]
    summary: list[Row]
    pairwise: list[Row]
    time_to_target: list[Row]
    divergence: list[Row]
    expected_performance: list[Row]
    usual_study: list[Row]
    timing: dict[str, float]
    """Seconds an epoch of each optimizer in a run by itself; empty if it was not measured."""

    @property
    def luck(self) -> list[Row]:
        """The old name of `expected_performance`."""
        warn_renamed("Comparison.luck", "Comparison.expected_performance")
        return self.expected_performance

    @property
    def conclusion(self) -> list[str]:
        """What was found, in sentences."""
        return self.manifest["conclusion"]

    @property
    def warnings(self) -> list[str]:
        """What a reader has to know before believing it."""
        return self.manifest["warnings"]

    def write(self, folder: str | Path) -> None:
        """Write all tables as CSV, and as Parquet where pyarrow is installed; manifest.json last.

        The same version, device, protocol and data give the same bytes, but for timing.json.
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
    """A comparison from its files.

    Raises:
      ValueError: the folder holds none, or one that was not finished.
    """
    folder = Path(folder)
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        if "conclusion" not in manifest:
            raise ValueError("it was not finished; the same command goes on")
        rows = {name: csv.read_csv(_table(folder, name), result_tables.TEXT) for name in TABLES}
        timing = json.loads((folder / "timing.json").read_bytes())
    except OSError as error:
        raise ValueError(f"{folder} holds no comparison: {error.strerror}.") from None
    except ValueError as error:
        raise ValueError(f"{folder} cannot be read: {error}.") from None
    return Comparison(manifest, **rows, timing=timing)


def _table(folder: Path, name: str) -> Path:
    """The CSV file of a table; in folders of version 0.2 one has an older name."""
    path, older = folder / f"{name}.csv", folder / f"{OLDER_TABLES.get(name)}.csv"
    return older if older.exists() and not path.exists() else path


def identity(
    net: Network,
    data: Dataset,
    contenders: Mapping[str, Recipe],
    protocol: Protocol,
    ranges: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """What the manifest begins with: two comparisons are the same if all of this is equal."""
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


def enter(folder: Path, identity: dict[str, Any]) -> None:
    """Begin a comparison in a folder, or go on with the same one.

    Raises:
      ValueError: the folder holds another comparison, or a manifest that is damaged.
    """
    path = folder / "manifest.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, identity)
        return
    try:
        before = json.loads(path.read_bytes())
    except ValueError:
        raise ValueError(f"{path} is damaged; delete it, and the same call goes on.") from None
    if before.get("format") != FORMAT:
        writer = before.get("versions", {}).get("jaxnet-mlp", "another version")
        raise ValueError(
            f"{folder} holds a comparison of jaxnet {writer}, which only that version can go on "
            "with; choose another folder (--name). jaxnet.comparison.read opens what is finished."
        )
    # Of network and contenders the manifest has words, too, for a reader.
    compared = {name: identity[name] for name in identity if name not in ("network", "contenders")}
    known = {name: before.get(name) for name in compared}
    cores = known["devices"] != identity["devices"]  # bits depend on it
    remedy = (
        "Call jaxnet.use_all_cores() first, or not, as then"
        if cores
        else "Choose another folder (--name)"
    )
    require_same(
        f"{folder} holds another comparison",
        known,
        compared,
        f"{remedy}; jaxnet.comparison.read opens what is there.",
    )


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    files.write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())
