"""Make of a picture of any size what a network of handwritten digits reads.

The original images of MNIST were black and white. Each was scaled into a box of 20×20 pixels with
its aspect kept, which gave grey levels by anti-aliasing, and moved in a field of 28×28 pixels so
that its centre of mass was in the middle. A photo is brought into this form: its background is
removed, the ink is told from the rest by a threshold, and the largest shape is scaled and moved.

Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

Grey = Float[np.ndarray, "height width"]
"""Grey values in [0, 1], 0 for black."""
Mask = Bool[np.ndarray, "height width"]
"""Which pixels are ink."""

MNIST_SIDE, MNIST_BOX = 28, 20
"""The side of MNIST's images, and of the box into which digits were scaled."""
SMALLEST_SIDE = 8
"""The side of the smallest image in which a digit can be told."""
THINNEST = 0.12
"""The width of a stroke that is not made wider, as a fraction of the digit's longer side; in MNIST
the median is 0.14, and a twentieth are below 0.10."""
THICKEST = 0.45
"""The width, likewise, of the thickest stroke; in MNIST the maximum is 0.44."""
NOTHING, LOW_CONTRAST = 0.04, 0.15
"""Contrasts between ink and background below which nothing is found, and below which the result is
doubtful."""
LOW_SIGNAL = 6.0
"""The contrast, in standard deviations of the background, below which the result is doubtful."""
SMALLEST_DIGIT = 12
"""The pixels of a digit's longer side below which the result is doubtful."""
GAP = 0.2
"""Shapes that are this far apart, as a fraction of the largest one's longer side, are one digit."""
INKED = 40
"""A stroke has more than this number of pixels (in small pictures, than a hundredth of them); as
many may be brighter by chance."""
SPECK = 0.03
"""The area below which a shape is dirt, as a fraction of the largest one's."""
LIKE = 0.4
"""The area from which another shape might be the digit, as a fraction of the chosen one's."""
GREEN, BLUE = 0.587, 0.114
"""The weights of green and blue in grey, whose rest is red's (ITU-R BT.601)."""


class FittedPicture(NamedTuple):
    """What a network sees of a picture.

    Attributes:
      pixels: the image, light on black, in [0, 1].
      doubts: what is doubtful about it, in clauses without a full stop; empty for nothing.
    """

    pixels: Float[np.ndarray, "side side"]
    doubts: tuple[str, ...] = ()


def grey_of(colours: Float[np.ndarray, "height width channels"]) -> Grey:
    """The grey values of a picture.

    Args:
      colours: one channel, grey, or three: red, green and blue, in [0, 1].

    Returns:
      The grey values, in [0, 1].

    >>> grey_of(np.array([[[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]])).round(3).tolist()
    [[0.299, 1.0]]
    """
    if colours.shape[-1] == 1:
        return colours[..., 0]
    red, green, blue = np.moveaxis(colours, -1, 0)
    # Not a sum of three terms, so that rounding leaves white at 1.
    return red + GREEN * (green - red) + BLUE * (blue - red)


def opaque(
    colours: Float[np.ndarray, "height width channels"], alpha: Grey, background: float | None
) -> Float[np.ndarray, "height width channels"]:
    """A picture on a background that shows through where it is transparent.

    Args:
      colours: its channels, in [0, 1].
      alpha: its opacity, in [0, 1].
      background: the grey value of the background; `None` for the one of black and white that
        differs more from what is opaque.

    Returns:
      The channels of the picture on the background.

    >>> opaque(np.zeros((1, 2, 1)), np.array([[0.0, 1.0]]), None).ravel().tolist()
    [1.0, 0.0]
    """
    if background is None:
        opacity = float(alpha.sum())
        is_dark = opacity > 0 and float((grey_of(colours) * alpha).sum()) < 0.5 * opacity
        background = 1.0 if is_dark else 0.0
    return alpha[..., None] * colours + (1 - alpha[..., None]) * background


def has_dark_border(grey: Grey) -> bool:
    """Whether the border of a picture is dark, as MNIST's is.

    Args:
      grey: the picture.

    Returns:
      Whether most of the outermost pixels are nearer to black than to white.

    >>> has_dark_border(np.pad(np.ones((8, 8)), 1))
    True
    """
    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return float(np.median(rim)) < 0.5


def is_dark_on_light(grey: Grey) -> bool:
    """Whether a picture's ink is darker than its background.

    Args:
      grey: the picture.

    Returns:
      Whether most of the pixels that differ strongly from their surroundings are darker. Edges of
      shadows and tables count nothing, since they are as much darker on one side as lighter on
      the other.

    >>> picture = np.full((20, 20), 0.9)
    >>> picture[5:15, 9:11] = 0.2
    >>> is_dark_on_light(picture), is_dark_on_light(1 - picture)
    (True, False)
    """
    surroundings = ndimage.gaussian_filter(grey, min(grey.shape) / 6)
    return float(np.mean((grey - surroundings) ** 3)) < 0


def fitted(
    colours: Float[np.ndarray, "height width channels"], side: int, is_dark: bool | None = None
) -> FittedPicture:
    """A picture of a digit as a network sees it.

    Args:
      colours: the picture's channels in [0, 1]: grey, or red, green and blue.
      side: the height and width of the network's images, at least `SMALLEST_SIDE`. From 28 on the
        digit fills 20/28 of it, as in MNIST; smaller images are filled, as those of USPS are.
      is_dark: whether the ink is darker than the background; `None` (the default) to find out.

    Returns:
      The image, and what is doubtful about it.

    >>> picture = np.full((100, 80, 1), 0.9)
    >>> picture[20:60, 30:36] = 0.2
    >>> image = fitted(picture, 28).pixels
    >>> round(float(image.max(axis=1).sum()))
    20
    """
    if is_dark is None:
        is_dark = is_dark_on_light(grey_of(colours))
    ink, contrast, noise = _ink(colours, is_dark)
    if contrast < NOTHING:
        return FittedPicture(np.zeros((side, side), np.float32), ("it shows nothing",))
    doubts = []
    if contrast < max(LOW_CONTRAST, LOW_SIGNAL * noise):
        doubts.append("its contrast is low")
    shape, more = _largest_shape(ink > 0.5)
    width = _stroke_width(shape)
    if width > THICKEST:
        more.append("what is found is no line of a pen")
    return FittedPicture(_scaled(_thickened(shape, width), side), (*doubts, *more))


def _ink(
    colours: Float[np.ndarray, "height width channels"], is_dark: bool
) -> tuple[Grey, float, float]:
    """How much ink there is in each pixel, 1 for the darkest; its contrast, and the noise's.

    A top-hat transform removes a background of any form that varies more slowly than a stroke is
    wide. Of red, green, blue and grey the one is taken in which the ink stands out best.
    """
    candidates = [grey_of(colours)]
    if colours.shape[-1] > 1:
        candidates += list(np.moveaxis(colours, -1, 0))
    window = max(3, max(colours.shape[:2]) // 4)
    sigma = max(colours.shape[:2]) / 400
    best = None
    for channel in candidates:
        smooth = ndimage.gaussian_filter(1 - channel if is_dark else channel, sigma)
        hat = _tophat(smooth, window)
        hat = hat - float(np.quantile(hat, 0.3))  # of the background, as ink is the smaller part
        n_inked = min(INKED, 1 + hat.size // 100)
        contrast = float(np.partition(hat, -n_inked, axis=None)[-n_inked])
        noise = 1.4826 * float(np.median(np.abs(hat[hat <= contrast / 2])))
        signal = contrast / (noise + 0.02)
        if best is None or signal > best[0]:
            best = (signal, hat / max(contrast, 1e-6), contrast, noise)
    assert best is not None
    return best[1:]


def _tophat(grey: Grey, window: int) -> Grey:
    """What is lighter than its surroundings and narrower than a window: ink, but no light.

    Beyond the border the picture goes on as a slope, so that a dark corner is no hollow.
    """
    margin = window // 2 + 1
    margins = [(min(margin, n - 1),) * 2 for n in grey.shape]
    padded = np.pad(grey, margins, mode="reflect", reflect_type="odd")
    hat = np.asarray(ndimage.white_tophat(padded, size=(window, window)))
    (top, _), (left, _) = margins
    return hat[top : top + grey.shape[0], left : left + grey.shape[1]]


def _largest_shape(mask: Mask) -> tuple[Bool[np.ndarray, "rows columns"], list[str]]:
    """The ink of the largest shape within its bounding box, and what is doubtful about it."""
    labels, n = _labelled(mask)
    areas = ndimage.sum_labels(mask, labels, np.arange(1, n + 1))
    largest = ndimage.find_objects(labels)[int(areas.argmax())]
    length = max(part.stop - part.start for part in largest)
    mask = mask & np.isin(labels, 1 + np.flatnonzero(areas >= SPECK * areas.max()))
    distance = _distance(~mask)
    groups, n = _labelled(distance <= max(1.0, GAP * length / 2))
    areas = ndimage.sum_labels(mask, groups, np.arange(1, n + 1))
    frame = np.ones(mask.shape, bool)
    frame[1:-1, 1:-1] = False
    at_border = np.isin(np.arange(1, n + 1), groups[frame & mask])
    # What reaches the border is rather the edge of a table than the digit.
    weights = np.where(at_border, LIKE * areas, areas)
    chosen = int(weights.argmax())
    doubts = []
    if at_border[chosen]:
        doubts.append("what is found reaches its border")
    if n_like := int(np.count_nonzero(weights >= LIKE * weights[chosen])) - 1:
        doubts.append(f"it shows {1 + n_like} separate shapes, of which the largest is taken")
    shape = mask & (groups == 1 + chosen)
    rows, columns = (np.flatnonzero(shape.any(axis=axis)) for axis in (1, 0))
    shape = shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if max(shape.shape) < SMALLEST_DIGIT:
        doubts.append(f"what is found is only {max(shape.shape)} pixels high")
    return shape, doubts


def _labelled(mask: Mask) -> tuple[np.ndarray, int]:
    """The number of each pixel's shape, from 1, and the number of shapes; corners connect."""
    labels = np.zeros(mask.shape, np.int32)
    return labels, int(ndimage.label(mask, np.ones((3, 3), bool), output=labels))  # pyright: ignore


def _distance(mask: Mask) -> Grey:
    """The distance of each pixel from the nearest one that is not in the mask."""
    return np.asarray(ndimage.distance_transform_edt(mask))


def _stroke_width(shape: Mask) -> float:
    """The width of a shape's strokes as a fraction of its longer side.

    Within a stroke of width w the mean distance from the edge is w/4.
    """
    inside = np.pad(shape, 1)
    distance = _distance(inside)
    return 4 * float(distance[inside].mean()) / max(shape.shape)


def _thickened(shape: Mask, width: float) -> Bool[np.ndarray, "rows columns"]:
    """A shape with strokes of at least the width `THINNEST`, which MNIST's pen had."""
    margin = (THINNEST - width) * max(shape.shape) / 2
    if margin <= 0:
        return shape
    padded = np.pad(shape, int(np.ceil(margin)))
    return _distance(~padded) <= margin


def _scaled(shape: Mask, side: int) -> Float[np.ndarray, "side side"]:
    """A shape scaled into its box, with grey levels at its edges, and centred in an image."""
    is_mnist = side >= MNIST_SIDE
    box = round(side * MNIST_BOX / MNIST_SIDE) if is_mnist else side
    scale = max(shape.shape) / box
    centre = np.array(
        ndimage.center_of_mass(shape) if is_mnist else np.array(shape.shape) / 2 - 0.5
    )
    middle = side / 2 if is_mnist else side / 2 - 0.5
    margin = int(np.ceil(2 * scale)) + 1
    padded = np.pad(shape.astype(np.float32), margin)
    smooth = ndimage.gaussian_filter(padded, 0.4 * scale)
    image = ndimage.affine_transform(
        smooth, scale * np.eye(2), centre + margin - middle * scale, (side, side), order=1
    )
    return np.clip(image, 0, 1)
