"""Reads the binary files of version 0.2: networks, checkpoints and chunks of sweeps.

Each kind had a layout of its own: a JSON header under a key of its own in the metadata, and hashes
that covered the arrays but, in checkpoints and chunks, not the header. These readers check those
hashes, and return what `files.read_sealed` returns for a file of today: arrays by `section/name`,
and the header. Its `format` is the old number, so that a caller knows that settings and lanes are
named in version 0.2's way.

They are made for `read_sealed(…, older=…)`: of a file that is of no such layout they return None.
"""

import json
from collections.abc import Collection
from typing import Any

from jaxnet.io.files import ArrayFile, Origin, Sealed, check_format, described_sha256, sha256

ORIGIN = Origin("0.2.0", "unknown", "unknown")
NETWORK_FORMAT = 1
CHECKPOINT_FORMAT = 3
CHUNK_FORMAT = 1


def read_network(file: ArrayFile, sections: Collection[str] | None = None) -> Sealed | None:
    """A network's arrays as the section `params`, and the architecture as the header."""
    header = _header(file, "jaxnet", NETWORK_FORMAT)
    if header is None:
        return None
    arrays = {name: file.array(name) for name in file.names}
    digest = header.pop("sha256")
    if described_sha256(header, arrays) != digest:
        raise ValueError("its contents do not have the SHA-256 it names; it was changed")
    return _in_section("params", arrays, sections), header | {"origin": ORIGIN._asdict()}


def read_checkpoint(file: ArrayFile, sections: Collection[str] | None = None) -> Sealed | None:
    """A checkpoint's arrays as the section `tree`, and a header with the run's `settings`."""
    header = _header(file, "checkpoint", CHECKPOINT_FORMAT)
    if header is None:
        return None
    arrays = {name: file.array(name) for name in file.names}
    _check(arrays, header.pop("sha256"))
    return _in_section("tree", arrays, sections), header | {"origin": ORIGIN._asdict()}


def read_chunk(file: ArrayFile, sections: Collection[str] | None = None) -> Sealed | None:
    """A chunk's arrays as the sections `outcome` and `state`, and its header."""
    header = _header(file, "chunk", CHUNK_FORMAT)
    if header is None:
        return None
    outcome_digest, state_digest = header.pop("sha256")
    arrays = {}
    if sections is None or "outcome" in sections:
        outcome = {name: file.array(name) for name in file.names if not name.startswith("state/")}
        _check(outcome, outcome_digest)
        arrays |= _in_section("outcome", outcome, sections)
    if sections is None or "state" in sections:
        states = {name: file.array(name) for name in file.names if name.startswith("state/")}
        _check(states, state_digest)
        arrays |= states
    return arrays, header | {"origin": ORIGIN._asdict()}


def _header(file: ArrayFile, key: str, format: int) -> dict[str, Any] | None:
    """The header under a key, where the file has one that is not of today's layout."""
    if key not in file.metadata:
        return None
    header = json.loads(file.metadata[key])
    if "kind" in header:
        return None
    check_format(header["format"], format)
    return header


def _check(arrays: dict[str, Any], digest: str) -> None:
    if sha256(arrays) != digest:
        raise ValueError("its arrays do not have the SHA-256 it names; it was changed")


def _in_section(
    name: str, arrays: dict[str, Any], sections: Collection[str] | None
) -> dict[str, Any]:
    if sections is not None and name not in sections:
        return {}
    return {f"{name}/{key}": array for key, array in arrays.items()}
