"""Files of any kind: atomic writes, hashes, and the safe reader of arrays.

Nothing is ever pickled, every write is atomic (temporary file, fsync, rename), and a file that is
truncated, tampered with or mismatched is refused with a reason before anything of it is used.
"""

import errno
import hashlib
import json
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

DAMAGE = (ValueError, TypeError, AttributeError, OverflowError, SafetensorError)
"""What reading a damaged file may raise, beside a KeyError for what is missing."""


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


def sha256(tensors: dict[str, np.ndarray]) -> str:
    """The hash of named arrays: their names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, array in sorted(tensors.items()):
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def read_safetensors(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a safetensors file, and its metadata."""
    tensors = safetensors.numpy.load(content)
    # The library reads metadata from open files only; the header is the first bytes.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors, header["__metadata__"]


def environment() -> dict[str, Any]:
    """What a result may depend on besides its settings: versions and the device."""
    packages = ("jaxnet-mlp", "jax", "jaxlib", "optax", "numpy", "scipy")
    return {
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in packages},
        "device": {"platform": jax.default_backend(), "kind": jax.devices()[0].device_kind},
    }
