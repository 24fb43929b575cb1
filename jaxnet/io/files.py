"""Atomic writes, hashes, and sealed files of arrays.

Nothing is ever pickled. Every write is atomic (temporary file, fsync, rename). A file that is
truncated, changed or of another kind is refused, with a reason, before its contents are used.

All of jaxnet's binary files (networks, checkpoints, chunks of sweeps) have one format: a
safetensors file whose arrays are called `section/name`. Its metadata hold a JSON header under the
key `jaxnet`: the kind of the file, the number of its format, where it was made, the writer's own
entries, the SHA-256 of each section's arrays, and a seal, which is the SHA-256 of all the others.
The seal covers the header and the header covers the arrays, so that a section can be read and
checked without the others.
"""

import contextlib
import errno
import functools
import hashlib
import json
import os
import platform
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import BinaryIO, NamedTuple

import jax
import numpy as np
import safetensors
import safetensors.numpy

from jaxnet.core.types import Device
from jaxnet.io.reading import JsonObject, json_object

METADATA_KEY = "jaxnet"
"""The key of the header in the metadata of a safetensors file."""
RESERVED = ("kind", "format", "origin", "sections", "seal")
"""The entries of a header that `write_sealed` makes."""
STALE_SECONDS = 3600
"""After so long nobody writes a temporary file any more."""
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}")
"""The names of temporary files."""
_being_written: set[str] = set()
"""The names of the temporary files that this process is writing now."""


class ArrayFile(NamedTuple):
    """An open safetensors file, none of whose arrays has been read yet."""

    metadata: dict[str, str]
    """The texts in its metadata, by their keys."""
    names: frozenset[str]
    """The names of its arrays."""
    array: Callable[[str], np.ndarray]
    """Reads the array with a name."""


class Origin(NamedTuple):
    """Where a result was made, on which its bits depend: versions, and the kind of device."""

    jaxnet: str
    """The version of jaxnet, or "unknown"."""
    jax: str
    """The version of JAX, or "unknown"."""
    device: str
    """The kind of device, as JAX calls it, or "unknown"."""

    def __str__(self) -> str:
        entries = (("jaxnet ", self.jaxnet), ("jax ", self.jax), ("", self.device))
        return ", ".join(f"{name}{value}" for name, value in entries if value != "unknown")


Sealed = tuple[dict[str, np.ndarray], JsonObject]
"""The arrays of a file by `section/name`, and its header."""
OlderReader = Callable[[ArrayFile, Collection[str] | None], Sealed | None]
"""Reads some sections (all, if None) of an older version's file; None for another kind of file."""


def write_atomic(path: str | Path, content: bytes) -> None:
    """Write a file atomically: it has all of the new content or, after any failure, the old one.

    What killed writers of the same file left behind is removed.

    Args:
      path: the file; one that exists is replaced.
      content: the new content.

    Raises:
      FileNotFoundError: the folder does not exist.
      OSError: the file cannot be written; one that existed is unharmed. Its `filename` is the path.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "its folder does not exist", str(path))
    remove_stale(path.parent, path.name)
    try:
        _write_beside_and_rename(path, content)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write_beside_and_rename(path: Path, content: bytes) -> None:
    """Write a temporary file in the same folder, and give it the file's name."""
    handle, temporary = _create_beside(path)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to be seen
            temporary.unlink()
        raise
    finally:
        _being_written.discard(temporary.name)
    if os.name == "posix":  # the rename is on the disk only once the folder is
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _create_beside(path: Path) -> tuple[int, Path]:
    """A new file in the folder of another one: its open descriptor, and its path.

    Unlike `tempfile.mkstemp`'s it has the permissions of any new file: the system applies the
    process's umask, which Python could only read by setting it, for all threads.
    """
    while True:
        token = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
        temporary = path.with_name(f".{path.name}.{token}")
        _being_written.add(temporary.name)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            return os.open(temporary, flags, 0o666), temporary
        except FileExistsError:
            continue
        except BaseException:
            _being_written.discard(temporary.name)
            raise


def remove_stale(folder: str | Path, name: str | None = None) -> None:
    """Remove the temporary files that killed writers left in a folder.

    A temporary file is stale if its process is dead, or if nothing was written to it for an hour:
    whether a process on another machine runs cannot be known.

    Args:
      folder: the folder, whose subfolders are left alone; it need not exist.
      name: the file whose temporary files are removed; those of all files, if None.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     temporary = Path(folder, f".study.json.{_host()}-{os.getpid()}-0123abcd")
    ...     temporary.touch()  # as if this process had been killed and its number were used again
    ...     remove_stale(folder)
    ...     temporary.exists()
    False
    """
    prefix = "." if name is None else f".{name}."
    with contextlib.suppress(OSError):  # what cannot be listed or removed harms no reader
        for entry in os.listdir(folder):
            match = _TEMPORARY.fullmatch(entry) if entry.startswith(prefix) else None
            if match is None or name not in (None, match["name"]):
                continue
            temporary = Path(folder, entry)
            with contextlib.suppress(OSError):
                if _is_stale(temporary, match):
                    temporary.unlink()


def _is_stale(temporary: Path, match: re.Match[str]) -> bool:
    """Whether nobody writes a temporary file any more."""
    if time.time() - temporary.stat().st_mtime > STALE_SECONDS:
        return True
    if match["host"] != _host():
        return False
    process = int(match["process"])
    if process == os.getpid():  # an earlier process may have had the same number
        return temporary.name not in _being_written
    return not _is_running(process)


def _is_running(process: int) -> bool:
    """Whether there is a process of this number on this machine."""
    if os.name != "posix":  # there a signal, even that of number 0, would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@functools.cache
def _host() -> str:
    """The machine, or the container, in eight digits."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def sha256(arrays: dict[str, np.ndarray]) -> str:
    """The SHA-256 of named arrays: of their names, types, shapes and bytes.

    Args:
      arrays: the arrays by their names, in any order.

    Returns:
      The hash, in hexadecimal digits.

    >>> sha256({"w": np.zeros(2)}) == sha256({"w": np.ones(2)})
    False
    """
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def described_sha256(described: JsonObject, arrays: dict[str, np.ndarray]) -> str:
    """The SHA-256 of arrays and a description of them together, for networks in JSON files.

    Args:
      described: the description.
      arrays: the arrays by their names.

    Returns:
      The hash, in hexadecimal digits.
    """
    text = json.dumps(described, sort_keys=True) + sha256(arrays)
    return hashlib.sha256(text.encode()).hexdigest()


def canonical_json(value: object) -> str:
    """The one JSON text of a value: with sorted keys, without spaces, in ASCII.

    Args:
      value: a value of JSON's types.

    Returns:
      The text, the same for equal values.

    >>> canonical_json({"b": [1, 2], "a": 0.5})
    '{"a":0.5,"b":[1,2]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def section(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The arrays of a section.

    Args:
      arrays: arrays by `section/name`.
      name: the section's name.

    Returns:
      Its arrays by their names within it.

    >>> section({"state/w": np.zeros(2), "outcome/epochs": np.ones(2)}, "state")
    {'w': array([0., 0.])}
    """
    prefix = f"{name}/"
    return {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}


def write_sealed(
    path: str | Path,
    kind: str,
    format: int,
    arrays: dict[str, np.ndarray],
    header: JsonObject,
) -> None:
    """Write arrays and a header as one sealed file, atomically.

    Args:
      path: the file; one that exists is replaced.
      kind: what the file is, in a word: "network".
      format: the number of this kind's format, from 1.
      arrays: by `section/name`; the section is the part before the first slash.
      header: what a reader has to know besides the arrays, under names other than `RESERVED`.

    Raises:
      ValueError: an array has no section, or the header uses a reserved name.
      OSError: the file cannot be written; one that existed is unharmed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_sealed(f"{folder}/x", "example", 1, {"state/w": np.zeros(2)}, {"epochs": 3})
    ...     with open(f"{folder}/x", "rb") as file:
    ...         arrays, header = read_sealed(file, "example", 1)
    >>> arrays, header["epochs"]
    ({'state/w': array([0., 0.])}, 3)
    """
    if reserved := sorted(set(header) & set(RESERVED)):
        raise ValueError(f"a header's names may not be {', '.join(RESERVED)}; rename {reserved}.")
    if without_section := [name for name in arrays if "/" not in name]:
        raise ValueError(f"arrays are called section/name; {without_section} name no section.")
    # ascontiguousarray would make a vector of a scalar.
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    sections = sorted({_section_of(name) for name in arrays})
    document = header | {
        "kind": kind,
        "format": format,
        "origin": origin()._asdict(),
        "sections": {name: sha256(section(arrays, name)) for name in sections},
    }
    # Read back, so that a tuple and a list, or 1 and "1" as a key, are sealed as a reader has them.
    document = json.loads(json.dumps(document))
    text = canonical_json(seal(document))
    write_atomic(path, safetensors.numpy.save(arrays, {METADATA_KEY: text}))


def read_sealed(
    file: BinaryIO,
    kind: str,
    format: int,
    sections: Collection[str] | None = None,
    older: OlderReader | None = None,
) -> Sealed:
    """Read a file that `write_sealed` wrote, and check its header and all arrays that are read.

    Args:
      file: the open file, from `reading.read_file`, which turns all that this raises into a
        sentence. Only the sections asked for are read.
      kind: the kind that the file has to be of.
      format: the number of the format that it has to have.
      sections: the sections to read; all, if None.
      older: reads the files of an older version.

    Returns:
      The arrays by `section/name`, and the header that was written, with `format` and `origin`.

    Raises:
      ValueError: the file is of another kind or format, or was changed; the message is a bare
        reason.
      SafetensorError: it is not a whole safetensors file.
    """
    with open_arrays(file) as arrays:
        if older is not None and (sealed := older(arrays, sections)) is not None:
            return sealed
        return _unsealed(arrays, kind, format, sections)


def read_sealed_header(file: BinaryIO) -> JsonObject | None:
    """The header of a file that `write_sealed` wrote, of whatever kind, after checking its seal.

    Args:
      file: the open file, from `reading.read_file`.

    Returns:
      The header as it was written; None for a safetensors file of another writer, such as an older
      version.

    Raises:
      ValueError: the header was changed; the message is a bare reason.
    """
    with open_arrays(file) as arrays:
        text = arrays.metadata.get(METADATA_KEY)
        return None if text is None else _unsealed_header(text)


@contextlib.contextmanager
def open_arrays(file: BinaryIO) -> Iterator[ArrayFile]:
    """A context with an open safetensors file, whose arrays are read when they are asked for.

    Args:
      file: the file, open for reading.

    Yields:
      The open file.

    Raises:
      SafetensorError: it is not a whole safetensors file.
    """
    with safetensors.safe_open(file.name, "numpy") as arrays:
        yield ArrayFile(arrays.metadata() or {}, frozenset(arrays.keys()), arrays.get_tensor)


def check_format(format: object, readable: int) -> None:
    """Check that a file has the format that this version reads.

    Args:
      format: the number of the file's format.
      readable: the number that this version reads.

    Raises:
      ValueError: the numbers differ; the message is a bare reason.
    """
    if format != readable:
        raise ValueError(
            f"its format is {format!r}; this version reads {readable}, so use the version of "
            "jaxnet that wrote it"
        )


def _unsealed(file: ArrayFile, kind: str, format: int, sections: Collection[str] | None) -> Sealed:
    """The arrays of the sections asked for, and the header, after checking both."""
    digests, document = _checked_header(file, kind, format)
    wanted = set(digests) if sections is None else set(sections)
    arrays = {name: file.array(name) for name in sorted(file.names) if _section_of(name) in wanted}
    for name in sorted(wanted):
        if name not in digests:
            raise ValueError(f"it has no section {name!r}, only {', '.join(digests)}")
        if sha256(section(arrays, name)) != digests[name]:
            raise ValueError(
                f"its arrays of section {name!r} do not have the SHA-256 it names; it was changed"
            )
    return arrays, document


def _checked_header(file: ArrayFile, kind: str, format: int) -> tuple[dict[str, str], JsonObject]:
    """The SHA-256 of each section, and the header that was written, after checking the header."""
    text = file.metadata[METADATA_KEY]
    document = json_object(text.encode())
    if document["kind"] != kind:
        if document["kind"] == "ensemble":
            raise ValueError(
                f"it is an ensemble and not a {kind}, which jaxnet.Ensemble.load reads"
            )
        article = "an" if kind == "ensemble" else "a"
        raise ValueError(f"it is a {document['kind']} and not {article} {kind}")
    check_format(document["format"], format)
    document = _unsealed_header(text)
    digests = document.pop("sections")
    if {_section_of(name) for name in file.names} != set(digests):
        raise ValueError(
            "its arrays do not match the sections that its header names, "
            f"{', '.join(digests)}; it was changed"
        )
    del document["kind"]
    return digests, document


def _unsealed_header(text: str) -> JsonObject:
    """The header in this text, after checking its seal."""
    document = json_object(text.encode())
    # The text is compared too: another text could have the same values, such as a float with a
    # changed digit.
    if "seal" not in document or text != canonical_json(document):
        raise ValueError("its header does not have the SHA-256 it names; it was changed")
    return unseal(document)


def _section_of(name: str) -> str:
    """The section in an array's name `section/name`."""
    return name.partition("/")[0]


def seal(document: JsonObject) -> JsonObject:
    """A JSON object with a seal: an entry that holds the SHA-256 of all others.

    Args:
      document: the object, without a seal.

    Returns:
      The object with the entry `seal`, as the last.

    >>> unseal(seal({"epochs": 3}))
    {'epochs': 3}
    """
    text = canonical_json(json.loads(json.dumps(document)))
    return document | {"seal": hashlib.sha256(text.encode()).hexdigest()}


def unseal(document: JsonObject) -> JsonObject:
    """A JSON object without its seal, which has to fit the others of its entries.

    Args:
      document: the object, as it was read.

    Returns:
      The object without the seal; an object that has none, as it is.

    Raises:
      ValueError: an entry was changed; the message is a bare reason.
    """
    if "seal" not in document:
        return document
    entries = {name: value for name, value in document.items() if name != "seal"}
    if seal(entries) != document:
        raise ValueError("its entries do not have the SHA-256 that its seal names; it was changed")
    return entries


def origin(device: Device | None = None) -> Origin:
    """The origin of a result that is computed here and now.

    A source tree that was never installed does not know its version: it is "unknown" then.

    Args:
      device: the device that computes the result; the first local one, if None.

    Returns:
      The versions, and the kind of the device.
    """
    try:
        jaxnet_version = version("jaxnet-mlp")
    except PackageNotFoundError:
        jaxnet_version = "unknown"
    device = jax.local_devices()[0] if device is None else device
    return Origin(jaxnet=jaxnet_version, jax=jax.__version__, device=device.device_kind)


def environment() -> JsonObject:
    """What a result may depend on besides its settings: versions of packages, and the device.

    Returns:
      The versions by package under "versions", and the platform and kind of the device under
      "device".
    """
    packages = ("jaxnet-mlp", "jax", "jaxlib", "optax", "numpy", "scipy")
    return {
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in packages},
        "device": {"platform": jax.default_backend(), "kind": jax.devices()[0].device_kind},
    }
