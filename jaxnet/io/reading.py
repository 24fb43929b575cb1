"""The one way in which jaxnet reads a file: a content that cannot be used is a ValueError.

Every reader passes its parser to `read_file` or `read_content`. Only regular files are opened, so
that a pipe or a device neither blocks nor goes on without end; whole contents are bounded by the
bytes that are really there; and whatever a parser raises is turned into one sentence with the file,
the fault and the remedy.
"""

import errno
import json
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar, runtime_checkable

JsonObject = dict[str, Any]
"""An object of JSON's types: strings, numbers, booleans, None, lists and such objects."""
MAX_BYTES = 2**31
"""The size of the largest file that is read as a whole."""
PIECE_BYTES = 2**20
"""How much of a file is read at once."""
MAX_JSON_BYTES = 2**26
"""The size of the largest JSON file that only describes something: a run, a study, a comparison."""
MAX_JSON_DEPTH = 100
"""The levels to which JSON may be nested; jaxnet's own files have less than 20."""
MAX_EXPANSION = 200
"""How many times its compressed size a large content may have."""
FREE_EXPANSION_BYTES = 2**28
"""Up to this size a content may be compressed by any factor."""
REMEDY = "write it again, or name another file"

Parsed = TypeVar("Parsed")


@runtime_checkable
class ByteStream(Protocol):
    """An open file of bytes, or one that is decompressed while it is read."""

    def read(self, n: int = -1, /) -> bytes:
        """The next n bytes; all, if negative."""
        ...

    def seek(self, offset: int, /) -> int:
        """Go to a position, counted from the beginning."""
        ...

    def tell(self) -> int:
        """The position."""
        ...


def read_file(
    path: str | Path, kind: str, parse: Callable[[BinaryIO], Parsed], remedy: str = REMEDY
) -> Parsed:
    """Read a file with a parser of open files.

    Args:
      path: the file.
      kind: what the file has to be, with its article: "a network".
      parse: makes the result of the open file; whatever it raises, the file is not of this kind.
      remedy: what a person can do about a content that is refused, as a clause.

    Returns:
      What `parse` returned.

    Raises:
      ValueError: the file cannot be opened, is no regular file, or `parse` failed; the message is
        a sentence with the path, the fault and the remedy.

    >>> read_file("gone.json", "a network", lambda file: file.read())
    Traceback (most recent call last):
    ValueError: cannot read gone.json: No such file or directory; name a network.
    """
    try:
        with open(path, "rb", opener=_open_regular) as file:
            return parse(file)
    except OSError as error:
        if error.errno is not None:
            raise ValueError(f"cannot read {path}: {fault(error)}; name {kind}.") from error
        # A parser's own, such as gzip's of a file that is not compressed.
        raise ValueError(f"{path} is not {kind}: {fault(error)}; {remedy}.") from error
    except Exception as error:  # whatever a parser raises, it is the content that it cannot parse
        raise ValueError(f"{path} is not {kind}: {fault(error)}; {remedy}.") from error


def read_content(
    path: str | Path,
    kind: str,
    parse: Callable[[bytes], Parsed],
    remedy: str = REMEDY,
    limit: int = MAX_BYTES,
) -> Parsed:
    """Read a file with a parser of contents.

    Args:
      path: the file.
      kind: what the file has to be, with its article: "a network".
      parse: makes the result of the content; whatever it raises, the file is not of this kind.
      remedy: what a person can do about a content that is refused, as a clause.
      limit: the size of the largest content that is read, in bytes.

    Returns:
      What `parse` returned.

    Raises:
      ValueError: the file cannot be opened, is no regular file or is larger than the limit, or
        `parse` failed; the message is a sentence with the path, the fault and the remedy.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "epochs")
    ...     _ = path.write_bytes(b"30")
    ...     read_content(path, "a number", int)
    30
    """
    return read_file(path, kind, lambda file: parse(_content(file, limit)), remedy)


def _content(file: BinaryIO, limit: int) -> bytes:
    """The content of an open file; errors are bare reasons."""
    size = file_size(file)
    # What is read counts, too, and not only what the system says: it says 0 of some files.
    content = b"" if size > limit else read_at_most(file, limit + 1)
    if max(size, len(content)) > limit:
        raise ValueError(f"it has more than the {limit} bytes that are read")
    return content


def file_size(file: BinaryIO) -> int:
    """The size of an open file in bytes, as the system has it.

    Args:
      file: the file.

    Returns:
      The size.
    """
    return os.fstat(file.fileno()).st_size


def read_at_most(file: ByteStream, n_bytes: int, n_compressed: int | None = None) -> bytes:
    """The next bytes of a file, at most so many.

    They are read in pieces: memory is bounded by what the file holds, not by what is asked for.

    Args:
      file: the file, which may decompress what it reads.
      n_bytes: how many bytes to read, if there are so many.
      n_compressed: the size of the compressed file that is decompressed, if it is.

    Returns:
      The bytes.

    Raises:
      ValueError: the compressed file holds far more than its size: see `check_expansion`.

    >>> import io
    >>> read_at_most(io.BytesIO(b"12345"), 2**40)
    b'12345'
    """
    pieces, n_read = [], 0
    while n_read < n_bytes and (piece := file.read(min(n_bytes - n_read, PIECE_BYTES))):
        pieces.append(piece)
        n_read += len(piece)
        if n_compressed is not None:
            check_expansion(n_read, n_compressed)
    return b"".join(pieces)


def read_json(path: str | Path, kind: str, remedy: str = REMEDY) -> JsonObject:
    """Read a JSON file that describes something.

    Args:
      path: the file, in UTF-8.
      kind: what the file has to be, with its article: "the config.json of a run".
      remedy: what a person can do about a content that is refused, as a clause.

    Returns:
      The object in the file.

    Raises:
      ValueError: the file cannot be read, or holds no JSON object; the message is a sentence with
        the path, the fault and the remedy.
    """
    return read_content(path, kind, json_object, remedy, MAX_JSON_BYTES)


def json_object(content: bytes, constants: bool = True) -> JsonObject:
    """The JSON object in a file's content.

    Args:
      content: the content, in UTF-8, with or without a byte order mark.
      constants: whether NaN and Infinity may stand for numbers, which is Python's JSON only.

    Returns:
      The object.

    Raises:
      ValueError: the content is no JSON object, an object has a key twice, it is nested deeper than
        `MAX_JSON_DEPTH` levels, or it holds a constant that may not be there; the message is a bare
        reason.

    >>> json_object(b'{"epochs": 30}')
    {'epochs': 30}
    """
    try:
        document = json.loads(
            utf8(content),
            parse_constant=None if constants else _refuse_constant,
            object_pairs_hook=_with_unique_keys,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"its JSON is damaged or cut off: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("its JSON is not an object")
    _check_depth(document)
    return document


def _refuse_constant(token: str) -> float:
    raise ValueError(f"it holds {token}, which is not a number in JSON")


def _with_unique_keys(pairs: list[tuple[str, Any]]) -> JsonObject:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a key of its JSON occurs twice")
    return entries


def _check_depth(document: JsonObject) -> None:
    """Refuse what is nested so deeply that a function which follows it would run out of stack."""
    level: list[Any] = [document]
    for _ in range(MAX_JSON_DEPTH):
        level = [
            part
            for parent in level
            for part in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(part, (dict, list))
        ]
        if not level:
            return
    raise ValueError(f"it is nested deeper than {MAX_JSON_DEPTH} levels")


def check_types(document: JsonObject, types: Mapping[str, type | tuple[type, ...]]) -> None:
    """Check that an object has entries of these types.

    Args:
      document: the object.
      types: the type, or the types, of each entry that it has to have. A boolean is no number.

    Raises:
      ValueError: an entry is missing or of another type; the message is a bare reason.

    >>> check_types({"epochs": "30"}, {"epochs": int})
    Traceback (most recent call last):
    ValueError: its entry 'epochs' is '30', which is not of type int
    """
    for name, expected in types.items():
        if name not in document:
            raise ValueError(f"it lacks {name!r}")
        value = document[name]
        expected = expected if isinstance(expected, tuple) else (expected,)
        if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
            shown = repr(value) if len(repr(value)) <= 40 else f"{repr(value)[:40]} …"
            names = " or ".join(kind.__name__ for kind in expected)
            raise ValueError(f"its entry {name!r} is {shown}, which is not of type {names}")


def utf8(content: bytes) -> str:
    """The text of a file's content.

    Args:
      content: the content, in UTF-8, with or without a byte order mark.

    Returns:
      The text, without the mark.

    Raises:
      ValueError: the content is not UTF-8; the message is a bare reason.

    >>> utf8("λ".encode("utf-8-sig"))
    'λ'
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"it is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}"
        ) from None


def check_expansion(n_bytes: int, n_compressed: int) -> None:
    """Check that a compressed content is not one that only fills the memory.

    Real data of such a size are compressed by a factor of 2 to 50.

    Args:
      n_bytes: the size of the content.
      n_compressed: the size that it has in the file.

    Raises:
      ValueError: the content is larger than `FREE_EXPANSION_BYTES`, and more than `MAX_EXPANSION`
        times as large as what the file holds; the message is a bare reason.

    >>> check_expansion(2**40, 2**20)
    Traceback (most recent call last):
    ValueError: it would expand to 1099511627776 bytes, 200 times its 1048576 bytes and more
    """
    if n_bytes > max(FREE_EXPANSION_BYTES, MAX_EXPANSION * n_compressed):
        raise ValueError(
            f"it would expand to {n_bytes} bytes, {MAX_EXPANSION} times its {n_compressed} bytes "
            "and more"
        )


def fault(error: BaseException) -> str:
    """Why a file could not be read, to be put after a colon in a message.

    Args:
      error: the exception that reading it raised.

    Returns:
      The reason, in one line and without a full stop.

    >>> fault(KeyError("format"))
    "it lacks 'format'"
    """
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= 400 else f"{text[:400]} …"


def _open_regular(path: str, flags: int) -> int:
    """Open a regular file: its descriptor. What would block or never end is refused at once."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "it is not a regular file, but a pipe or a device", path)
