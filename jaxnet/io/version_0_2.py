"""Readers of version 0.2's binary files: networks, checkpoints and chunks of sweeps.

Each kind had its own layout: a JSON header under its own key in the metadata, and hashes that
covered the arrays but, in checkpoints and chunks, not the header. These readers check those hashes.
They return what `files.read_sealed` returns for a file of today: arrays by `section/name`, and the
header. The header's `format` is the old number, by which a caller knows that settings and lanes
have version 0.2's names.

They are passed to `read_sealed(…, older=…)`, and return None for a file without such a layout.
"""

from collections.abc import Collection

import numpy as np

from jaxnet.io.files import (
    ArrayFile,
    Origin,
    Sealed,
    check_format,
    described_sha256,
    sha256,
)
from jaxnet.io.reading import JsonObject, json_object

ORIGIN = Origin(jaxnet="0.2.0", jax="unknown", device="unknown")
"""The origin of all files of version 0.2, which did not record theirs."""
NETWORK_FORMAT = 1
CHECKPOINT_FORMAT = 3
CHUNK_FORMAT = 1


def read_network(file: ArrayFile, sections: Collection[str] | None = None) -> Sealed | None:
    """The contents of a network that version 0.2 wrote; None if the file is not laid out so.

    Args:
      file: the open file.
      sections: the sections to return; all, if None.

    Returns:
      The parameters as the section `params`, and the architecture as the header; None if the file
      has another layout.

    Raises:
      ValueError: the file is laid out so, but its hash does not match or its format number is
        another; the message is a bare reason.
    """
    header = _header(file, "jaxnet", NETWORK_FORMAT)
    if header is None:
        return None
    arrays = {name: file.array(name) for name in file.names}
    digest = header.pop("sha256")
    if described_sha256(header, arrays) != digest:
        raise ValueError("its contents do not have the SHA-256 it names; it was changed")
    return _as_section("params", arrays, sections), header | {"origin": ORIGIN._asdict()}


def read_checkpoint(file: ArrayFile, sections: Collection[str] | None = None) -> Sealed | None:
    """The contents of a checkpoint that version 0.2 wrote; None if the file is not laid out so.

    Args:
      file: the open file.
      sections: the sections to return; all, if None.

    Returns:
      The arrays as the section `tree`, and a header with the run's `settings`; None if the file has
      another layout.

    Raises:
      ValueError: the file is laid out so, but its hash does not match or its format number is
        another; the message is a bare reason.
    """
    header = _header(file, "checkpoint", CHECKPOINT_FORMAT)
    if header is None:
        return None
    arrays = {name: file.array(name) for name in file.names}
    _check_hash(arrays, header.pop("sha256"))
    return _as_section("tree", arrays, sections), header | {"origin": ORIGIN._asdict()}


def read_chunk(file: ArrayFile, sections: Collection[str] | None = None) -> Sealed | None:
    """The contents of a chunk of a sweep that version 0.2 wrote; None if it is not laid out so.

    Args:
      file: the open file.
      sections: the sections to read; all, if None.

    Returns:
      The arrays as the sections `outcome` and `state`, and the header; None if the file has another
      layout.

    Raises:
      ValueError: a hash or the format is another; the message is a bare reason.
    """
    header = _header(file, "chunk", CHUNK_FORMAT)
    if header is None:
        return None
    outcome_digest, state_digest = header.pop("sha256")
    arrays = {}
    if sections is None or "outcome" in sections:
        outcome = {name: file.array(name) for name in file.names if not name.startswith("state/")}
        _check_hash(outcome, outcome_digest)
        arrays |= _as_section("outcome", outcome, sections)
    if sections is None or "state" in sections:
        states = {name: file.array(name) for name in file.names if name.startswith("state/")}
        _check_hash(states, state_digest)
        arrays |= states
    return arrays, header | {"origin": ORIGIN._asdict()}


def _header(file: ArrayFile, key: str, format: int) -> JsonObject | None:
    """The header under a key, or None if there is none or it has today's layout."""
    if key not in file.metadata:
        return None
    header = json_object(file.metadata[key].encode())
    if "kind" in header:
        return None
    check_format(header["format"], format)
    return header


def _check_hash(arrays: dict[str, np.ndarray], digest: str) -> None:
    """Raise a ValueError unless the arrays have this hash."""
    if sha256(arrays) != digest:
        raise ValueError("its arrays do not have the SHA-256 it names; it was changed")


def _as_section(
    section: str, arrays: dict[str, np.ndarray], sections: Collection[str] | None
) -> dict[str, np.ndarray]:
    """The arrays under the names section/name, or none if the section is not asked for."""
    if sections is not None and section not in sections:
        return {}
    return {f"{section}/{name}": array for name, array in arrays.items()}
