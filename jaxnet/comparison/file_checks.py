"""Checks of the files of a comparison: what a manifest and each table have to hold.

Files that this version writes are sealed, and older ones are not: so that a damaged one is refused
by its file, and not somewhere in a figure, their entries and columns are checked.
"""

from collections.abc import Sequence

from jaxnet.io import reading
from jaxnet.io.csv import Row
from jaxnet.io.reading import JsonObject

MANIFEST = {
    "conclusion": list, "warnings": list, "audits": list, "examples": list, "protocol": dict,
    "searches": dict, "versions": dict, "device": dict, "network": str, "score": str,
    "data_sha256": str, "networks": int, "network_epochs": int,
}  # fmt: skip
"""The entries of a finished manifest that are read, and their types."""
LOOKS = {
    "seeds": list, "alphas": list, "taken": int, "seeds_saved": int, "networks_saved": int,
}  # fmt: skip
"""The entries of the looks in a manifest that has them, and their types."""
PROTOCOL = {
    "tier": str, "trials": int, "epochs": int, "batch_size": int, "tuning_seeds": list,
    "report_seeds": list, "targets": list, "margin": (int, float), "seed": int,
}  # fmt: skip
"""The entries of the protocol in a manifest, and their types."""
_RUN = ("phase", "optimizer", "trial", "seed")
_CURVES = (*_RUN, "epoch", "valid_cost", "valid_score")
_MEANS = tuple(
    f"test_{quantity}{end}"
    for quantity in ("score", "loss")
    for end in ("", "_sd", "_low", "_high", "_low_examples", "_high_examples", "_iqm")
)
COLUMNS = {
    "runs": (*_RUN, "diverged_epoch", "valid_loss", "valid_score", "test_loss", "test_score"),
    **dict.fromkeys(("tuning_curves", "report_curves", "curves"), _CURVES),
    "summary": (
        "optimizer", "edge", "trials", "tuning_seeds", "seeds", "diverged", *_MEANS,
        "test_score_q10", "valid_loss", "valid_score", "good_decades", "tuning_diverged",
    ),
    "pairwise": (
        "a", "b", "difference", "low", "high", "low_examples", "high_examples", "sd", "p_a_better",
        "p", "p_holm", "verdict", "detectable",
    ),
    "time_to_target": (
        "optimizer", "target", "median_epochs", "median_steps", "fraction_reached", "seeds",
        "censored", "resolution_steps",
    ),
    "divergence": ("optimizer", "trial", "seeds", "diverged"),
    "expected_performance": ("optimizer", "trials", "expected", "low", "high"),
    "tuning_bands": ("optimizer", "trials", "median", "low", "high"),
    "usual_study": ("a", "b", "trials", "p_a_better"),
    "looks": (
        "look", "seeds", "alpha", "a", "b", "difference", "low", "high", "width", "p", "p_holm",
        "p_adjusted", "state",
    ),
}  # fmt: skip
"""The columns that each table has whatever was compared; hyperparameters are further ones.

Older formats have the curves of both phases in one table, `curves`."""


def check_manifest(manifest: JsonObject) -> None:
    """Check the entries of a finished comparison's manifest.

    Args:
      manifest: the manifest.

    Raises:
      ValueError: an entry is missing or of another type; the message is a bare reason.
    """
    reading.check_types(manifest, MANIFEST)
    reading.check_types(manifest["protocol"], PROTOCOL)
    reading.check_types(manifest["device"], {"kind": str})
    if "looks" in manifest:
        reading.check_types(manifest, {"looks": dict})
        reading.check_types(manifest["looks"], LOOKS)
        reading.check_types(manifest["protocol"], {"until": (int, float)})
    reading.check_types(manifest["searches"], dict.fromkeys(manifest["searches"], dict))
    for search in manifest["searches"].values():
        reading.check_types(search, {"tier": str})
    for name in ("conclusion", "warnings", "audits"):
        if not all(isinstance(sentence, str) for sentence in manifest[name]):
            raise ValueError(f"its entry {name!r} holds other things than sentences")
    counts = manifest["examples"]
    if len(counts) != 3 or not all(type(count) is int for count in counts):
        raise ValueError(f"its entry 'examples' is {counts!r}, and not three counts")


def check_table(name: str, rows: Sequence[Row]) -> None:
    """Check that a comparison's table has its columns.

    Args:
      name: the table, a key of `COLUMNS`.
      rows: its rows; there may be none but in the summary.

    Raises:
      ValueError: a column is missing, or the summary has no rows; the message is a bare reason.
    """
    if not rows and name == "summary":
        raise ValueError("it has no rows")
    if missing := [column for column in COLUMNS[name] if rows and column not in rows[0]]:
        raise ValueError(f"it lacks the column {missing[0]!r}")
