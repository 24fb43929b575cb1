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
import hashlib
import json
import os
import platform
import re
import secrets
from collections.abc import Callable, Collection, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors
import safetensors.numpy

from jaxnet.core.types import Device

METADATA_KEY = "jaxnet"
"""The key of the header in the metadata of a safetensors file."""
RESERVED = ("kind", "format", "origin", "sections", "seal")
"""The entries of a header that `write_sealed` makes."""
DAMAGE = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    OverflowError,
    RecursionError,
    safetensors.SafetensorError,
)
"""The exceptions that reading a damaged file may raise."""


_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}")
"""The names that `write_atomic` gives to temporary files."""


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


JsonObject = dict[str, Any]
"""An object of JSON's types: strings, numbers, booleans, None, lists and such objects."""
Sealed = tuple[dict[str, np.ndarray], JsonObject]
"""The arrays of a file by `section/name`, and its header."""
OlderReader = Callable[[ArrayFile, Collection[str] | None], Sealed | None]
"""Reads some sections (all, if None) of an older version's file; None for another kind of file."""


def write_atomic(path: str | Path, content: bytes) -> None:
    """Write a file atomically: it has all of the new content or, after any failure, the old one.

    Args:
      path: the file; one that exists is replaced.
      content: the new content.

    Raises:
      FileNotFoundError: the folder does not exist.
      OSError: the file cannot be written; one that existed is unharmed.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "its folder does not exist", str(path))
    handle, temporary = _create_beside(path)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
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
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with contextlib.suppress(FileExistsError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            return os.open(temporary, flags, 0o666), temporary


def remove_stale(folder: Path) -> None:
    """Remove the temporary files that killed writers have left in a folder.

    Args:
      folder: a folder into which nobody writes at the moment: see `jaxnet.io.locks`.

    Raises:
      OSError: a file cannot be removed.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in (".history.csv.0123abcd", ".history.csv", "history.csv"):
    ...     (folder / name).touch()
    >>> remove_stale(folder)
    >>> sorted(path.name for path in folder.iterdir())
    ['.history.csv', 'history.csv']
    """
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


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


def reason(error: BaseException) -> str:
    """The reason why a file could not be read, to be put after a colon in a message.

    Args:
      error: the exception that reading it raised.

    Returns:
      The reason, without a full stop.

    >>> reason(KeyError("format"))
    "it lacks 'format'"
    """
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rstrip(".")


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
    ...     arrays, header = read_sealed(f"{folder}/x", "example", 1)
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
    text = canonical_json(document | {"seal": _seal(document)})
    write_atomic(path, safetensors.numpy.save(arrays, {METADATA_KEY: text}))


def read_sealed(
    source: str | Path | bytes,
    kind: str,
    format: int,
    sections: Collection[str] | None = None,
    older: OlderReader | None = None,
) -> Sealed:
    """Read a file that `write_sealed` wrote, and check its header and all arrays that are read.

    Args:
      source: the file's path, or its content. Of a path only the sections asked for are read.
      kind: the kind that the file has to be of.
      format: the number of the format that it has to have.
      sections: the sections to read; all, if None.
      older: reads the files of an older version.

    Returns:
      The arrays by `section/name`, and the header that was written, with `format` and `origin`.

    Raises:
      ValueError: the file is of another kind or format, or was changed; the message is a bare
        reason, to stand after "PATH is damaged: ".
      OSError: the file cannot be read.
    """
    try:
        with open_arrays(source) as file:
            if older is not None and (sealed := older(file, sections)) is not None:
                return sealed
            return _unsealed(file, kind, format, sections)
    except DAMAGE as error:
        raise ValueError(reason(error)) from None


@contextlib.contextmanager
def open_arrays(source: str | Path | bytes) -> Iterator[ArrayFile]:
    """A context with an open safetensors file, whose arrays are read when they are asked for.

    Args:
      source: the file's path, or its content.

    Yields:
      The open file.

    Raises:
      SafetensorError: it is not a whole safetensors file.
      ValueError: its metadata are damaged.
      OSError: the file cannot be read.
    """
    if isinstance(source, bytes):
        arrays = safetensors.numpy.load(source)
        # The library reads metadata from open files only; the header is the first bytes.
        header = json.loads(source[8 : 8 + int.from_bytes(source[:8], "little")])
        metadata = header.get("__metadata__", {})
        yield ArrayFile(metadata, frozenset(arrays), arrays.__getitem__)
        return
    with Path(source).open("rb"):
        pass  # says why it cannot be opened; the library does not
    with safetensors.safe_open(source, "numpy") as file:
        yield ArrayFile(file.metadata() or {}, frozenset(file.keys()), file.get_tensor)


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
    document = json.loads(text)
    if document["kind"] != kind:
        raise ValueError(f"it is a {document['kind']} and not a {kind}")
    check_format(document["format"], format)
    seal = document.pop("seal")
    # The text is compared too: another text could have the same values, such as a float with a
    # changed digit.
    if seal != _seal(document) or text != canonical_json(document | {"seal": seal}):
        raise ValueError("its header does not have the SHA-256 it names; it was changed")
    digests = document.pop("sections")
    if {_section_of(name) for name in file.names} != set(digests):
        raise ValueError(
            "its arrays do not match the sections that its header names, "
            f"{', '.join(digests)}; it was changed"
        )
    del document["kind"]
    return digests, document


def _section_of(name: str) -> str:
    """The section in an array's name `section/name`."""
    return name.partition("/")[0]


def _seal(document: JsonObject) -> str:
    """The SHA-256 of a header without its seal."""
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()


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
