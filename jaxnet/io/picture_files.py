"""Picture files: their pixels, upright, in colour, and no more of them than are needed."""

import csv
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxnet.io import reading

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff")
"""The suffixes of picture files, by which those in a folder are known."""
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF")
"""Pillow's names of the formats that are read."""
MAX_PIXELS = 2**26
"""The pixels of the largest picture that is decoded: more than the cameras of most phones have."""
ENOUGH = 400
"""The longer side, in pixels, to which larger pictures may be reduced."""
WHITE_16_BIT = 65535
"""The grey value of white in a 16-bit picture."""
REMEDY = "save it as a PNG or JPEG"


class Pixels(NamedTuple):
    """The pixels of a picture.

    Attributes:
      colours: the channels, in [0, 1]: grey alone, or red, green and blue.
      alpha: the opacity, in [0, 1].
    """

    colours: Float[np.ndarray, "height width channels"]
    alpha: Float[np.ndarray, "height width"]


def read_picture(path: str | Path, enough: int = ENOUGH) -> Pixels:
    """The pixels of a picture file, turned as its EXIF data says.

    Args:
      path: a PNG, JPEG, GIF, BMP or TIFF file with one picture.
      enough: the longer side, in pixels, to which larger pictures may be reduced.

    Returns:
      The pixels. Of a picture of twice this size or more, means over squares of them, so that the
      longer side has at least `enough`, and less than twice as many.

    Raises:
      ValueError: the file cannot be read, is of another format, has several frames, or has more
        than `MAX_PIXELS` pixels.
      ModuleNotFoundError: Pillow is not installed.
    """
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise ModuleNotFoundError(
            "pictures need Pillow: pip install 'jaxnet-mlp[cli]', or pip install pillow"
        ) from None
    return reading.read_file(path, "a readable picture", lambda file: _pixels(file, enough), REMEDY)


def _pixels(file: BinaryIO, enough: int) -> Pixels:
    """The pixels of an open picture file; errors are bare reasons."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Of metadata that is damaged, which says nothing of the pixels.
            warnings.simplefilter("ignore")
            with Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ValueError(f"it has {image.width}×{image.height} pixels, far too many")
                if getattr(image, "is_animated", False):
                    raise ValueError("it has several frames; save one of them")
                if image.format == "JPEG":  # which is decoded in an eighth of its size or more
                    image.draft(None, (enough, enough))
                return _channels(ImageOps.exif_transpose(image), enough)
    except UnidentifiedImageError:
        raise ValueError("its format is none of PNG, JPEG, GIF, BMP and TIFF") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValueError(f"it has more than the {MAX_PIXELS} pixels that are decoded") from None


def _channels(image: "Image.Image", enough: int) -> Pixels:
    """The channels of an open image."""
    factor = max(1, max(image.size) // enough)
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits; the transparent value is one of them
        grey = np.asarray(image)
        alpha = (grey != image.info.get("transparency", -1)).astype(np.float32)
        grey = _unit(grey)
        return Pixels(_means(grey, factor)[..., None], _means(alpha, factor))
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    mode = "RGBA" if has_alpha else "L" if image.mode in ("1", "L") else "RGB"
    image = image.convert(mode)
    image = image.reduce(factor) if factor > 1 else image
    channels = np.asarray(image, np.float32).reshape(image.height, image.width, -1) / 255
    if not has_alpha:
        return Pixels(channels, np.ones(channels.shape[:2], np.float32))
    return Pixels(channels[..., :3], channels[..., 3])


def _unit(grey: np.ndarray) -> Float[np.ndarray, "height width"]:
    """Grey values of 16 bits, or of any range, from 0 to 1."""
    if grey.dtype.kind in "iu" and grey.min() >= 0 and grey.max() <= WHITE_16_BIT:
        return (grey / WHITE_16_BIT).astype(np.float32)
    low, high = float(grey.min()), float(grey.max())
    if not np.isfinite([low, high, high - low]).all():
        raise ValueError("its pixels are not finite numbers")
    return ((grey - low) / (high - low if high > low else 1.0)).astype(np.float32)


def _means(grey: Float[np.ndarray, "height width"], n: int) -> Float[np.ndarray, "rows columns"]:
    """The means over squares of n×n pixels; the rest at the lower and right edge is left out."""
    height, width = grey.shape[0] // n, grey.shape[1] // n
    if n == 1 or not height or not width:
        return grey
    return grey[: height * n, : width * n].reshape(height, n, width, n).mean(axis=(1, 3))


def read_names(path: str | Path) -> list[Path]:
    r"""The names of the pictures that a CSV file lists.

    Args:
      path: the file, in UTF-8: the name of a picture file in the first cell of each line, below a
        header or without one.

    Returns:
      The paths; those that are relative are so to the folder of the CSV file.

    Raises:
      ValueError: the file cannot be read, or holds something else.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "list.csv")
    ...     _ = path.write_text("file,label\nseven.png,7\nphotos/two.JPG,2\n")
    ...     [name.relative_to(folder).as_posix() for name in read_names(path)]
    ['seven.png', 'photos/two.JPG']
    """
    folder = Path(path).parent
    return [folder / name for name in reading.read_content(path, "a list of pictures", _names)]


def _names(content: bytes) -> list[str]:
    """The names in the content of a CSV file; errors are bare reasons."""
    try:
        rows = list(csv.reader(io.StringIO(reading.utf8(content), newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(f"its CSV is damaged: {error}") from None
    cells = [(number, row[0].strip()) for number, row in enumerate(rows, 1) if row]
    if cells and not is_picture(cells[0][1]):
        cells = cells[1:]
    names = {number: name for number, name in cells if name}
    if not names:
        raise ValueError("it names no picture")
    for number, name in names.items():
        if not is_picture(name) or "\0" in name:
            raise ValueError(f"its line {number} names {name[:40]!r}, and no picture file")
    return list(names.values())


def is_picture(path: str | Path) -> bool:
    """Whether a file's name is that of a picture.

    Args:
      path: the file.

    Returns:
      Whether its suffix is one of `SUFFIXES`, in small or capital letters.

    >>> is_picture("a.JPG"), is_picture("a.csv")
    (True, False)
    """
    return Path(path).suffix.lower() in SUFFIXES
