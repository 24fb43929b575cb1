"""The result of a comparison, and its folder: tables as CSV files, and a manifest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jax

from jaxnet.comparison import file_checks, paper, result_tables
from jaxnet.comparison.protocol import Protocol
from jaxnet.comparison.tuning import Range
from jaxnet.core.arguments import require_choice
from jaxnet.core.deprecation import warn_renamed
from jaxnet.core.display import html_of
from jaxnet.core.network import Network
from jaxnet.core.types import Dataset
from jaxnet.data import datasets
from jaxnet.io import csv, files, parquet, reading
from jaxnet.io.csv import Row
from jaxnet.io.reading import JsonObject
from jaxnet.recipes.recipe import Recipe
from jaxnet.training.fingerprint import described, fingerprint, require_same

if TYPE_CHECKING:
    import pandas  # pyright: ignore[reportMissingImports]

FORMAT = 3
MANIFEST = "manifest.json"
TIMING, METHODS = "timing.json", "methods.txt"
REMEDY = "repeat the same command or call, which goes on and writes it again"
"""What a person can do about a file that is damaged or missing."""
TABLES = (
    "runs", "tuning_curves", "report_curves", "summary", "pairwise", "time_to_target",
    "divergence", "expected_performance", "usual_study",
)  # fmt: skip
"""The tables of a comparison: its fields, and the names of its CSV files."""
TABLES_OF_SOME = ("tuning_bands", "looks")
"""Tables that only a comparison of tier "random" or with `until` has."""
CURVES = ("tuning_curves", "report_curves")
"""The tables that folders of formats 1 and 2 have in one file, curves.csv."""

OLDER_TABLES = {"expected_performance": "luck"}
"""The names that tables had in version 0.2."""


class Comparison(NamedTuple):
    """The result of a comparison: tables, as lists of rows (dicts by column), and a manifest.

    Its text is the conclusion and the warnings. Columns have these names:

    - A `score` is the accuracy or, for numbers to predict, R²; or the comparison's metric, negated
      if less of it is better. A `loss` is without penalties; a `valid_cost` is the evaluated cost,
      with penalties.
    - `_low` and `_high` are the ends of 95% intervals over seeds, `_low_examples` and
      `_high_examples` of those over seeds and test examples, `_sd` standard deviations over seeds.
    - A `trial` is a point of the search, counted from 0 by learning rate. In phase "report" the
      only trial is the chosen point.
    - `diverged_epoch` and `diverged_step` count from 1; they are 0 for a run that did not diverge.

    Attributes:
      manifest: the content of manifest.json without its hashes: protocol, searches, versions,
        device, data, conclusion.
      runs: a row for each trained network: hyperparameters, losses and scores after the last epoch.
      tuning_curves: a row for each epoch of each network of the search: validation cost and score.
      report_curves: the same of the networks of the report.
      summary: a row for each optimizer: chosen hyperparameters, test score and loss with intervals.
      pairwise: a row for each pair of optimizers: the difference of test scores, its intervals,
        p-value, verdict, and the difference that would be detected with a probability of 80%.
      time_to_target: a row for each optimizer and target: the median epochs and steps to this
        validation score.
      divergence: a row for each trial of each search: how many of its seeds diverged.
      expected_performance: a row for each optimizer and number of trials: the test score that a
        study with one seed reports after that number of trials, its mean and its middle 90%.
      tuning_bands: in tier "random", a row for each optimizer and number of trials: the median of
        the best validation loss or, with a metric, score, and its joint 95% confidence band.
      usual_study: a row for each pair and number of trials: how often a study with one seed ranks a
        above b.
      timing: seconds per epoch of each optimizer, trained as a single network; empty if not
        measured.
      looks: with `until`, a row for each look and pair: the seeds so far, the look's part of the
        error, the difference with its interval and width, p-values, and the state: "better",
        "worse", "narrow" or "open"; empty without.

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
    tuning_curves: list[Row]
    report_curves: list[Row]
    summary: list[Row]
    pairwise: list[Row]
    time_to_target: list[Row]
    divergence: list[Row]
    expected_performance: list[Row]
    tuning_bands: list[Row]
    usual_study: list[Row]
    timing: dict[str, float]
    looks: Sequence[Row] = ()

    @property
    def luck(self) -> list[Row]:
        """The old name of `expected_performance`."""
        warn_renamed("Comparison.luck", "Comparison.expected_performance")
        return self.expected_performance

    @property
    def curves(self) -> list[Row]:
        """The old name of `tuning_curves` and `report_curves` together."""
        new = "Comparison.tuning_curves and Comparison.report_curves"
        warn_renamed("Comparison.curves", new)
        return [*self.tuning_curves, *self.report_curves]

    @property
    def conclusion(self) -> list[str]:
        """The results in sentences: what was found, the best mean, then each pair."""
        return self.manifest["conclusion"]

    @property
    def warnings(self) -> list[str]:
        """Reasons, in sentences, to doubt the conclusion; empty if there are none."""
        return self.manifest["warnings"]

    @property
    def methods(self) -> str:
        """The protocol as a paragraph for a paper, with this comparison's numbers."""
        return paper.methods(self.manifest, self.summary)

    def to_frame(self, table: str = "summary") -> "pandas.DataFrame":
        """A table as a pandas DataFrame, with all of its columns.

        Args:
          table: which one: "runs", "tuning_curves", "report_curves", "summary" (the default),
            "pairwise", "time_to_target", "divergence", "expected_performance", "tuning_bands",
            "usual_study" or "looks".

        Returns:
          A DataFrame with the rows of the attribute of that name.

        Raises:
          ImportError: pandas is not installed.
          ValueError: there is no such table.
        """
        return paper.frame(self._rows_of(table))

    def to_markdown(self, table: str = "summary", columns: Sequence[str] | None = None) -> str:
        """A table in Markdown, with four significant digits.

        Args:
          table: which one, as in `to_frame`.
          columns: the names of its columns, in order; `None`, the default, for all, or those of
            a wide table that matter most.

        Returns:
          The table.

        Raises:
          ValueError: there is no such table or column, or the table has no rows.
        """
        return paper.markdown(*paper.printed(table, self._rows_of(table), columns))

    def to_latex(self, table: str = "summary", columns: Sequence[str] | None = None) -> str:
        """A table in LaTeX, with the rules of the package `booktabs`.

        Args:
          table: which one, as in `to_frame`.
          columns: the names of its columns, as in `to_markdown`.

        Returns:
          A `tabular` environment.

        Raises:
          ValueError: there is no such table or column, or the table has no rows.
        """
        return paper.latex(*paper.printed(table, self._rows_of(table), columns))

    def _rows_of(self, table: str) -> Sequence[Row]:
        require_choice("table", table, (*TABLES, *TABLES_OF_SOME))
        return getattr(self, table)

    def write(self, folder: str | Path) -> None:
        """Write all tables as CSV and, if pyarrow is installed, as Parquet; manifest.json last.

        `methods.txt` is the protocol as a paragraph for a paper.

        The same version, device, protocol and data give the same bytes, except in timing.json and
        its hash. The manifest holds the SHA-256 of each CSV file and of timing.json, and a seal,
        which is its own.

        Args:
          folder: the folder to write to, created if needed; files in it are replaced.

        Raises:
          OSError: a file cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        names = [*TABLES, *(name for name in TABLES_OF_SOME if getattr(self, name))]
        contents = {f"{name}.csv": csv.encode_rows(getattr(self, name)) for name in names} | {
            TIMING: _json_bytes(self.timing),
            METHODS: self.methods.encode(),
        }
        for name, content in contents.items():
            files.write_atomic(folder / name, content)
        if parquet.has_parquet():
            for name in names:
                parquet.write_parquet(folder / f"{name}.parquet", getattr(self, name))
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        write_json(folder / MANIFEST, files.seal(self.manifest | {"sha256": hashes}))

    def __repr__(self) -> str:
        return "\n".join([*self.conclusion, *(f"Warning: {text}" for text in self.warnings)])

    def _repr_html_(self) -> str | None:
        return html_of(self)


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
    ValueError: comparisons/none holds no comparison: there is no such folder.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).exists():
        reason = "there is no such folder"
        if folder.exists():
            reason = f"it has no {MANIFEST}"
            if (folder / "study.json").exists():
                reason = "it is that of a study, which jaxnet plot draws"
            elif tasks := sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}")):
                reason = f"it is that of several tasks; name one of its folders {', '.join(tasks)}"
        raise ValueError(f"{folder} holds no comparison: {reason}.")
    kind = "the manifest of a finished comparison"
    manifest = reading.read_content(folder / MANIFEST, kind, _finished, REMEDY)
    hashes = manifest.pop("sha256", {})
    is_older = "report_curves.csv" not in hashes
    names = [
        *(name for name in TABLES if not (is_older and name in CURVES)),
        *(name for name in TABLES_OF_SOME if f"{name}.csv" in hashes),
        *(["curves"] if is_older else []),
    ]
    tables: dict[str, list[Row]] = {name: [] for name in TABLES_OF_SOME} | {
        name: _read_table(folder, name, hashes.get(f"{name}.csv")) for name in names
    }
    if is_older:
        tables |= _curves_by_phase(tables.pop("curves"))
    timing = read_timing(folder / TIMING, hashes.get(TIMING))
    return Comparison(manifest=manifest, **tables, timing=timing)


def _curves_by_phase(rows: list[Row]) -> dict[str, list[Row]]:
    """The two tables of curves that this version writes, from the table of both phases."""
    return {name: [row for row in rows if f"{row['phase']}_curves" == name] for name in CURVES}


def _read_table(folder: Path, name: str, sha256: str | None) -> list[Row]:
    """The rows of a table; the SHA-256 of its file is not checked, if None."""
    return reading.read_content(
        _table_path(folder, name),
        f"the table {name} of a comparison",
        lambda content: _rows(content, name, sha256),
        REMEDY,
    )


def _rows(content: bytes, name: str, sha256: str | None) -> list[Row]:
    """The rows in the content of a table's file; errors are bare reasons."""
    _check_hash(content, sha256)
    rows = csv.decode_rows(content, result_tables.TEXT)
    file_checks.check_table(name, rows)
    return rows


def read_timing(path: Path, sha256: str | None = None) -> dict[str, float]:
    """The seconds per epoch of each optimizer, from a comparison's timing.json.

    Args:
      path: the file.
      sha256: the SHA-256 of the file; not checked, if None.

    Returns:
      The seconds by label.

    Raises:
      ValueError: the file cannot be read, or holds other things than seconds.
    """
    return reading.read_content(
        path,
        "the timing.json of a comparison",
        lambda content: _seconds(content, sha256),
        "delete it, and repeat the same call to measure again",
    )


def _seconds(content: bytes, sha256: str | None) -> dict[str, float]:
    """The seconds in the content of a timing.json; errors are bare reasons."""
    _check_hash(content, sha256)
    seconds = reading.json_object(content)
    reading.check_types(seconds, dict.fromkeys(seconds, (int, float)))
    return seconds


def _check_hash(content: bytes, sha256: str | None) -> None:
    """Refuse a file that is not the one that the manifest names; older manifests name none."""
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError("it does not have the SHA-256 that manifest.json names, it was changed")


def _manifest(content: bytes) -> JsonObject:
    """The content of a manifest.json, finished or not; errors are bare reasons.

    A finished one has the hashes of its tables, and a seal. Only older versions wrote neither.
    """
    manifest = reading.json_object(content)
    if ("sha256" in manifest) != ("seal" in manifest):
        raise ValueError("it has hashes of its tables without a seal, or a seal without hashes")
    return files.unseal(manifest)


def _finished(content: bytes) -> JsonObject:
    """The manifest of a comparison that was finished; errors are bare reasons."""
    manifest = _manifest(content)
    if "conclusion" not in manifest:
        raise ValueError("the comparison was not finished")
    file_checks.check_manifest(manifest)
    return manifest


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
    kind = "the manifest of a comparison"
    manifest = reading.read_content(path, kind, _manifest, f"delete it and {REMEDY}")
    if manifest.get("format") != FORMAT:
        versions = manifest.get("versions")
        writer = versions.get("jaxnet-mlp") if isinstance(versions, dict) else "another version"
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
    files.write_atomic(path, _json_bytes(value))


def _json_bytes(value: JsonObject) -> bytes:
    """An object as indented JSON."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
