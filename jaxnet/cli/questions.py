"""What commands ask a network about: pictures, arrays, and rows of pixels; and where it is."""

import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnet.core.conversion import input_array, place
from jaxnet.data import fitting
from jaxnet.data.doubtful import LARGE_INPUT
from jaxnet.io import number_text, numpy_files, picture_files, table_files


class Question(NamedTuple):
    """An example that the network is asked about."""

    name: str
    """What the output calls it."""
    x: np.ndarray
    """Its inputs, (n_in,)."""
    label: str = ""
    """Its class or its targets; empty if they are not known."""
    is_picture: bool = False
    """Whether the inputs are the pixels of a picture."""
    doubts: tuple[str, ...] = ()
    """What is doubtful about the picture, in clauses."""


def is_input(path: Path) -> bool:
    """Whether a path is that of pictures, arrays or tables, and not of a network.

    Args:
      path: a file, by its suffix, or a folder, by the pictures in it.

    Returns:
      Whether it is one to ask a network about.
    """
    if path.is_dir():  # that of a run holds pictures of its curves, too
        return bool(_pictures_in(path)) and next(networks_in(path), None) is None
    return picture_files.is_picture(path) or path.suffix.lower() in (".npy", *table_files.SUFFIXES)


def holds_network(path: Path) -> bool:
    """Whether a path is that of a network.

    Args:
      path: a file, by its suffix or name, or a folder, by what is in it.

    Returns:
      Whether it is a network, a run's folder, or a folder of runs.
    """
    if path.is_dir():
        return next(networks_in(path), None) is not None
    return path.suffix == ".safetensors" or path.name == "network.json"


def networks_in(folder: Path) -> Iterator[Path]:
    """The networks in a folder of a run, or of runs.

    Args:
      folder: the folder.

    Yields:
      Its own network; else those of all runs in it.
    """
    own = folder / "network.safetensors"
    yield from [own] if own.exists() else folder.glob("*/network.safetensors")


def network_file(path: Path) -> Path:
    """The network file at a path; in a folder of runs, that of the newest run.

    Args:
      path: a file, or the folder of a run, or of runs.

    Raises:
      ValueError: there is no such folder, or it holds no network.
    """
    if not path.exists() and not path.suffix:
        raise ValueError(
            f"the folder {path} does not exist; train a network first, or name another folder."
        )
    if not path.is_dir():
        return path
    if networks := list(networks_in(path)):
        return max(networks, key=lambda file: file.stat().st_mtime)
    raise ValueError(
        f"the folder {path} holds no network.safetensors; name the folder of a run, or of runs."
    )


def questions_in(path: Path, n_in: int, invert: bool) -> list[Question]:
    """The examples in a file, or in a folder of pictures.

    Args:
      path: a picture, a folder of them, a CSV file that lists them or holds rows of pixels, or a
        .npy array.
      n_in: the number of the network's inputs.
      invert: whether ink is dark on a light background.

    Returns:
      The examples, in order.

    Raises:
      ValueError: a file cannot be read, or does not fit the network.
    """
    if path.is_dir():
        pictures = _pictures_in(path)
        if not pictures:
            kinds = ", ".join(picture_files.SUFFIXES)
            raise ValueError(f"the folder {path} holds no picture ({kinds}); name another one.")
        return [_picture(picture, n_in, invert) for picture in pictures]
    if path.suffix.lower() == ".npy":
        return _rows(path, *_rows_of_array(path, n_in, invert), invert)
    if path.suffix.lower() == ".csv":
        return _questions_in_csv(path, n_in, invert)
    return [_picture(path, n_in, invert)]


def doubt_of(questions: Sequence[Question]) -> Iterator[str]:
    """What is doubtful about pictures, in a sentence for each, or in one for all if they are many.

    Args:
      questions: all examples.

    Yields:
      The sentences.

    >>> list(doubt_of([Question("a.png", np.zeros(1), doubts=("its contrast is low",))]))
    ['a.png is doubtful: its contrast is low.']
    """
    doubtful = [question for question in questions if question.doubts]
    sentences = [f"{each.name} is doubtful: {'; '.join(each.doubts)}." for each in doubtful]
    if len(doubtful) <= 5:
        yield from sentences
    else:
        n_all = len(questions)
        yield f"{len(doubtful)} of {n_all} pictures are doubtful; the first, {sentences[0]}"


def _pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder, in the order of their names."""
    return sorted(
        path
        for path in folder.iterdir()
        if picture_files.is_picture(path) and not path.name.startswith(".")
    )


def _questions_in_csv(path: Path, n_in: int, invert: bool) -> list[Question]:
    """The pictures that a CSV file lists, or the rows of pixels in it."""
    if not number_text.is_pixel_table(path, n_in):
        return [_picture(picture, n_in, invert) for picture in picture_files.read_names(path)]
    pixels, labels = number_text.read_pixels(path, needs_labels=False, n_pixels=n_in)
    if pixels.shape[1] != n_in:
        raise ValueError(
            f"{path} has rows of {pixels.shape[1]} pixels, but the network takes {n_in}; resize "
            "the images."
        )
    questions = _rows(path, pixels.astype(np.float32) / 255, True, invert)
    if labels is None:
        return questions
    return [each._replace(label=str(label)) for each, label in zip(questions, labels.tolist())]


def _picture(path: Path, n_in: int, invert: bool) -> Question:
    """A picture as the network sees it."""
    side = math.isqrt(n_in)
    is_square = side * side == n_in
    enough = max(picture_files.ENOUGH, side if is_square else n_in)
    colours, alpha = picture_files.read_picture(path, enough)
    has_size = alpha.shape == (side, side) if is_square else alpha.size == n_in
    is_fitted = is_square and side >= fitting.SMALLEST_SIDE
    if has_size and (invert or not is_fitted):
        grey = fitting.grey_of(fitting.opaque(colours, alpha, 1.0 if invert else 0.0))
        (question,) = _rows(path, grey.reshape(1, n_in), True, invert)
        return question
    if not is_fitted:
        _check_size(path, alpha.shape, n_in)
    colours = fitting.opaque(colours, alpha, None)
    if has_size and fitting.has_dark_border(grey := fitting.grey_of(colours)):
        (question,) = _rows(path, grey.reshape(1, n_in), True, invert)
        return question
    image, doubts = fitting.fitted(colours, side, True if invert else None)
    return Question(path.name, image.ravel(), is_picture=True, doubts=doubts)


def _rows(
    path: Path, rows: Float[np.ndarray, "n n_in"], are_images: bool, invert: bool
) -> list[Question]:
    """Rows of inputs that are taken as they are, or inverted."""
    if are_images and (rows.min(axis=1) == rows.max(axis=1)).any():
        remedy = "leave --invert out" if invert else "use --invert"
        ink = "light ink on a dark" if invert else "dark ink on a light"
        warnings.warn(
            f"{path} shows nothing, since all its pixels are equal; {remedy} for {ink} or "
            "transparent background.",
            UserWarning,
            stacklevel=2,
        )
    rows = np.asarray(1 - rows if invert else rows, np.float32)
    numbered = lambda index: f"{path.name} row {index}" if len(rows) > 1 else path.name
    return [Question(numbered(index), row, is_picture=are_images) for index, row in enumerate(rows)]


def _rows_of_array(path: Path, n_in: int, invert: bool) -> tuple[Float[np.ndarray, "n n_in"], bool]:
    """The rows of a .npy file as floats, and whether they are images by their shape."""
    array = numpy_files.read_npy(path)
    x = np.asarray(input_array(array, str(path)))
    if not x.size:
        raise ValueError(f"{path} holds no numbers, its shape is {x.shape}; give it some rows.")
    are_images = not (x.ndim in (1, 2) and x.shape[-1] == n_in)
    if are_images:
        _check_size(path, x.shape[-2:] if x.ndim == 3 else x.shape, n_in)
    if x.dtype == np.uint8:
        x = x / np.float32(255)
    x = x.astype(np.float32)
    if are_images or invert:
        is_allowed = (x >= 0) & (x <= 1)
        if not is_allowed.all():
            where, value = place(x, is_allowed)
            raise ValueError(
                f"{path} must hold uint8 pixels, or floats in [0, 1], but {where} is {value:g}; "
                "divide pixels by 255."
            )
    elif x.min() >= 0 and LARGE_INPUT <= x.max() <= 255:
        warnings.warn(
            f"{path} reaches {x.max():g}, and floats are used as they are; divide pixels by 255.",
            UserWarning,
            stacklevel=3,
        )
    return x.reshape(-1, n_in), are_images


def _check_size(path: Path, shape: tuple[int, ...], n_in: int) -> None:
    """Raise a ValueError unless an image has n_in pixels; a square number is a square image."""
    side = math.isqrt(n_in)
    is_square = side * side == n_in
    if len(shape) != 2 or (shape != (side, side) if is_square else math.prod(shape) != n_in):
        size = "×".join(map(str, shape[::-1])) or "no"
        wanted = f"{side}×{side}" if is_square else str(n_in)
        raise ValueError(f"{path} has {size} pixels, but the network takes {wanted}; resize it.")
