"""Files that are compressed by gzip (.gz) or bzip2 (.bz2), or not at all."""

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from jaxnet.io import reading
from jaxnet.io.reading import ByteStream, Parsed

OPENERS = {".gz": gzip.open, ".bz2": bz2.open}
"""What decompresses an open file, by the end of the file's name."""


def existing_file(path: Path) -> Path | None:
    """The file of a name, compressed or not.

    Args:
      path: the file without the end that compression adds to its name.

    Returns:
      The path of the file, with `.gz` or `.bz2` where that is there; `None` if none is.

    >>> existing_file(Path("gone")) is None
    True
    """
    candidates = (path.with_name(f"{path.name}{suffix}") for suffix in ("", *OPENERS))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def plain_name(path: Path) -> str:
    """The name of a file without the end that compression adds.

    Args:
      path: the file.

    Returns:
      The name.

    >>> plain_name(Path("data/usps.t.bz2"))
    'usps.t'
    """
    return path.stem if path.suffix in OPENERS else path.name


def read_decompressed(
    path: Path, kind: str, parse: Callable[[ByteStream, int | None], Parsed], remedy: str
) -> Parsed:
    """Read a file, decompressed if its name says so, with a parser of open files.

    Args:
      path: the file.
      kind: what the file has to be, with its article: "an IDX file".
      parse: makes the result of the open file and the size of the compressed one, `None` if it is
        not compressed; whatever it raises, the file is not of this kind.
      remedy: what a person can do about a content that is refused, as a clause.

    Returns:
      What `parse` returned.

    Raises:
      ValueError: the file cannot be opened or decompressed, or `parse` failed.
    """
    opener = OPENERS.get(path.suffix)

    def parse_file(file: BinaryIO) -> Parsed:
        if opener is None:
            return parse(file, None)
        with opener(file) as decompressed:
            return parse(decompressed, reading.file_size(file))

    return reading.read_file(path, kind, parse_file, remedy)


def read_decompressed_content(
    path: Path, kind: str, parse: Callable[[bytes], Parsed], remedy: str
) -> Parsed:
    """Read a file, decompressed if its name says so, with a parser of contents.

    Args:
      path: the file.
      kind: what the file has to be, with its article: "a table of pixels".
      parse: makes the result of the content; whatever it raises, the file is not of this kind.
      remedy: what a person can do about a content that is refused, as a clause.

    Returns:
      What `parse` returned.

    Raises:
      ValueError: the file cannot be opened or decompressed, is too large, or `parse` failed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "epochs.gz")
    ...     _ = path.write_bytes(gzip.compress(b"30"))
    ...     read_decompressed_content(path, "a number", int, "write one")
    30
    """
    if path.suffix not in OPENERS:
        return reading.read_content(path, kind, parse, remedy)

    def parse_stream(file: ByteStream, n_compressed: int | None) -> Parsed:
        content = reading.read_at_most(file, reading.MAX_BYTES + 1, n_compressed)
        if len(content) > reading.MAX_BYTES:
            raise ValueError(f"it has more than the {reading.MAX_BYTES} bytes that are read")
        return parse(content)

    return read_decompressed(path, kind, parse_stream, remedy)
