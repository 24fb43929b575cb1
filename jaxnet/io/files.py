"""Files of any kind: atomic writes, hashes, and sealed arrays.

Nothing is ever pickled, every write is atomic (temporary file, fsync, rename), and a file that is
truncated, tampered with or mismatched is refused with a reason before anything of it is used.

All of jaxnet's binary files (networks, checkpoints, chunks of sweeps) have one format: a
safetensors file whose arrays are called `section/name`. Its metadata hold one JSON header, under
the key `jaxnet`: what kind of file it is, the number of its format, where it was made, what the
writer says of it, the SHA-256 of each section's arrays, and a seal, which is the SHA-256 of all
that. The seal covers the header and the header covers the arrays, so a section may be read, and
trusted, without the others.
"""

import contextlib
import errno
import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Callable, Collection, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors
import safetensors.numpy

METADATA_KEY = "jaxnet"
RESERVED = ("kind", "format", "origin", "sections", "seal")
DAMAGE = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    OverflowError,
    RecursionError,
    safetensors.SafetensorError,
)
"""What reading a damaged file may raise."""


class ArrayFile(NamedTuple):
    """An open safetensors file, none of whose arrays has been read yet."""

    metadata: dict[str, str]
    names: frozenset[str]
    """Of its arrays."""
    array: Callable[[str], np.ndarray]
    """Reads the array of a name."""


JsonObject = dict[str, Any]
"""An object of JSON's types: strings, numbers, booleans, None, lists and such objects."""
Sealed = tuple[dict[str, np.ndarray], JsonObject]
"""The arrays of a file by `section/name`, and its header."""
OlderReader = Callable[[ArrayFile, Collection[str] | None], Sealed | None]
"""Reads the given sections of an older version's file; None where the file is of no such kind."""


def write_atomic(path: str | Path, content: bytes) -> None:
    """Write a file so that it is there whole or, whatever happens, as it was before."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "its folder does not exist", str(path))
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp's files are private, a result is not
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the rename itself is durable only once its folder is
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(arrays: dict[str, np.ndarray]) -> str:
    """The hash of named arrays: their names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def described_sha256(described: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    """The hash of arrays and what is said of them: network2's JSON files are sealed with it."""
    text = json.dumps(described, sort_keys=True) + sha256(arrays)
    return hashlib.sha256(text.encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """The one text that stands for a value of JSON's types: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def reason(error: BaseException) -> str:
    """Why a file could not be read, to stand after a colon: without the full stop.

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
    """The arrays of a section, by their names within it.

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
    header: dict[str, Any],
) -> None:
    """Write arrays and what is said of them as one sealed file, atomically.

    Args:
      path: where; a file that is there is replaced.
      kind: what the file is, in a word: "network".
      format: the number of this kind's format, from 1.
      arrays: by `section/name`; the section is what stands before the first slash.
      header: what a reader has to know, in JSON's types, under names other than `RESERVED`.

    Raises:
      ValueError: an array has no section, or the header uses a reserved name.
      OSError: the file cannot be written; one that was there is unharmed.
    """
    if taken := sorted(set(header) & set(RESERVED)):
        raise ValueError(f"a header's names may not be {', '.join(RESERVED)}; rename {taken}.")
    if loose := [name for name in arrays if "/" not in name]:
        raise ValueError(f"arrays are called section/name; {loose} name no section.")
    # ascontiguousarray would make a vector of a scalar.
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    named = sorted({_section_of(name) for name in arrays})
    document = header | {
        "kind": kind,
        "format": format,
        "origin": origin()._asdict(),
        "sections": {name: sha256(section(arrays, name)) for name in named},
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
    """Read a file that `write_sealed` wrote, and check all that is read.

    Args:
      source: the file's path, or its content. Of a path only the sections asked for are read.
      kind: what the file has to be.
      format: the format that it has to have.
      sections: those to read; all, if None.
      older: reads what an older version wrote.

    Returns:
      The arrays by `section/name`, and the header that was written, with `format` and `origin`.

    Raises:
      ValueError: the file is no such file or was changed; the message is the bare reason, to
        stand after "PATH is damaged: ".
      OSError: the file cannot be read.
    """
    try:
        with open_arrays(source) as file:
            earlier = older(file, sections) if older is not None else None
            return _unsealed(file, kind, format, sections) if earlier is None else earlier
    except DAMAGE as error:
        raise ValueError(reason(error)) from None


@contextlib.contextmanager
def open_arrays(source: str | Path | bytes) -> Iterator[ArrayFile]:
    """An open safetensors file, by its path or its content.

    Raises:
      SafetensorError, ValueError: it is no whole safetensors file.
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


def check_format(format: Any, readable: int) -> None:
    """Refuse a file in another format than this version reads."""
    if format != readable:
        raise ValueError(
            f"its format is {format!r}; this version reads {readable}, so use the version of "
            "jaxnet that wrote it"
        )


def _unsealed(file: ArrayFile, kind: str, format: int, sections: Collection[str] | None) -> Sealed:
    """The arrays of some sections, and the header."""
    text = file.metadata[METADATA_KEY]
    document = json.loads(text)
    if document["kind"] != kind:
        raise ValueError(f"it is a {document['kind']} and not a {kind}")
    check_format(document["format"], format)
    seal = document.pop("seal")
    # The text too: another one could have the same value, such as a float with a changed digit.
    if seal != _seal(document) or text != canonical_json(document | {"seal": seal}):
        raise ValueError("its header does not have the SHA-256 it names; it was changed")
    digests = document.pop("sections")
    if {_section_of(name) for name in file.names} != set(digests):
        raise ValueError(f"its arrays are not of the sections {', '.join(digests)}; it was changed")
    wanted = set(digests if sections is None else sections)
    arrays = {name: file.array(name) for name in sorted(file.names) if _section_of(name) in wanted}
    for name in sorted(wanted):
        if name not in digests:
            raise ValueError(f"it has no section {name!r}, only {', '.join(digests)}")
        if sha256(section(arrays, name)) != digests[name]:
            raise ValueError(
                f"its arrays of section {name!r} do not have the SHA-256 it names; it was changed"
            )
    del document["kind"]
    return arrays, document


def _section_of(name: str) -> str:
    return name.partition("/")[0]


def _seal(document: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()


class Origin(NamedTuple):
    """Where a result was made, on which its bits depend: versions, and the kind of device."""

    jaxnet: str
    jax: str
    device: str

    def __str__(self) -> str:
        known = (("jaxnet ", self.jaxnet), ("jax ", self.jax), ("", self.device))
        return ", ".join(f"{name}{value}" for name, value in known if value != "unknown")


def origin(device: Any = None) -> Origin:
    """Where a result is made that this device computes; the first one, if none is given.

    A source tree that was never installed does not know its version, and may write files all the
    same: "unknown".
    """
    try:
        jaxnet_version = version("jaxnet-mlp")
    except PackageNotFoundError:
        jaxnet_version = "unknown"
    device = jax.local_devices()[0] if device is None else device
    return Origin(jaxnet_version, jax.__version__, device.device_kind)


def environment() -> dict[str, Any]:
    """What a result may depend on besides its settings: versions and the device."""
    packages = ("jaxnet-mlp", "jax", "jaxlib", "optax", "numpy", "scipy")
    return {
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in packages},
        "device": {"platform": jax.default_backend(), "kind": jax.devices()[0].device_kind},
    }
