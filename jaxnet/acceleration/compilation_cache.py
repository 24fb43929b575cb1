"""Compiled programs on disk: JAX's persistent cache, bounded, checked, in the user's cache folder.

JAX trusts what lies in its cache, and never writes an entry again that is there. So each entry gets
a seal, its SHA-256 in a file beside it, when the process ends that wrote it; what has no seal, or
another content, was cut off or damaged, and is removed before JAX reads the folder. JAX's own lock
file keeps processes apart: it locks a cache of bounded size only.

A program that was compiled for one processor may end the process on another, so each kind of
processor has a folder of its own, for homes that several machines share.
"""

import atexit
import contextlib
import hashlib
import os
import platform
import sys
from pathlib import Path

import jax
from filelock import FileLock
from jax.experimental.compilation_cache import compilation_cache

from jaxnet.core.arguments import path_of

VARIABLE = "JAXNET_CACHE"
"""The variable of the environment that names the folder, or is "off"."""
MAX_BYTES = 512 * 2**20
"""Size of the cache, from which on the programs that were not used for longest are removed."""
ENTRY, ACCESS_TIME, LOCK = "-cache", "-atime", ".lockfile"
"""What JAX calls its files."""
SEAL = "-sha256"
"""The ending of a file with an entry's SHA-256."""

_opened: set[Path] = set()
"""The caches that this process writes into."""


def use_compilation_cache(folder: str | Path | None = None) -> Path | None:
    """Keep compiled programs on disk, so that the next process need not compile them again.

    The command line does so by itself. Call it before the first training. All programs are kept,
    512 MiB of them; a damaged file is removed, and several processes may share the folder. Keep
    the folder to yourself: who can write into it can run code as you.

    Args:
      folder: where; made if it does not exist. `None` is the folder that the environment variable
        `JAXNET_CACHE` names, or else `jaxnet` in the user's cache folder (`$XDG_CACHE_HOME`,
        `~/.cache`; `~/Library/Caches` on macOS; `%LOCALAPPDATA%` on Windows). With `None`, a cache
        that JAX has already, as from `JAX_COMPILATION_CACHE_DIR`, stays as it is, and
        `JAXNET_CACHE=off` means no cache.

    Returns:
      The folder of the programs for this machine's processor, within `folder`; `None` if the cache
      is off.

    Raises:
      ValueError: `folder` is no path.
      OSError: the folder cannot be written.

    >>> import tempfile
    >>> import jaxnet
    >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +SKIP
    ...     jaxnet.use_compilation_cache(folder)
    PosixPath('/tmp/tmpa1b2c3/3f9c41d2a7e0')
    """
    present = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if folder is None:
        if present is not None:
            return Path(present)
        if os.environ.get(VARIABLE) == "off":
            return None
        folder = os.environ.get(VARIABLE) or _default_folder()
    folder = path_of("folder", folder).expanduser().absolute() / _processor()
    if str(folder) == present:
        return folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    remove_unsealed(folder)
    compilation_cache.reset_cache()  # JAX opens the folder of its first program only
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", MAX_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    _opened.add(folder)
    atexit.register(seal)
    return folder


def remove_unsealed(folder: Path) -> None:
    """Remove the entries of a cache that have no seal or another content, and what belongs to none.

    Another process that is at work may lose entries which it has not sealed yet. It has these
    programs in memory; only later processes compile them again.

    Args:
      folder: the cache.

    Raises:
      OSError: the folder cannot be written.
    """
    with FileLock(folder / LOCK, timeout=10):
        for entry in folder.glob(f"*{ENTRY}"):
            seal_file, access_time = _beside(entry, SEAL), _beside(entry, ACCESS_TIME)
            is_whole = seal_file.exists() and seal_file.read_bytes() == _sha256(entry)
            if not (is_whole and access_time.exists()):
                entry.unlink()
        for ending in (SEAL, ACCESS_TIME):
            for file in folder.glob(f"*{ending}"):
                if not file.with_name(file.name.removesuffix(ending) + ENTRY).exists():
                    file.unlink()


def seal() -> None:
    """Seal the new entries of the caches that this process uses, as happens when it ends."""
    for folder in _opened:
        with contextlib.suppress(OSError):  # as on a full disk: what has no seal is removed later
            _seal(folder)


def _seal(folder: Path) -> None:
    """Write the SHA-256 of each new entry of a cache."""
    with FileLock(folder / LOCK, timeout=10):
        for entry in folder.glob(f"*{ENTRY}"):
            if not _beside(entry, SEAL).exists():
                _beside(entry, SEAL).write_bytes(_sha256(entry))


def _beside(entry: Path, ending: str) -> Path:
    """The file of another ending that belongs to an entry."""
    return entry.with_name(entry.name.removesuffix(ENTRY) + ending)


def _sha256(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).hexdigest().encode()


def _default_folder() -> Path:
    """The folder `jaxnet` in the user's cache folder, as the platform has it."""
    if sys.platform == "darwin":
        caches = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        # The specification has relative paths ignored.
        named = Path(os.environ.get("XDG_CACHE_HOME", ""))
        caches = named if named.is_absolute() else Path.home() / ".cache"
    return caches / "jaxnet"


def _processor() -> str:
    """A short name for the kind of processor: the instructions that it has."""
    described = platform.machine() + platform.processor()
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        described += next((li for li in lines if li.startswith(("flags", "Features"))), "")
    return hashlib.sha256(described.encode()).hexdigest()[:12]
