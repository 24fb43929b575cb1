"""The sides of images whose rows of pixels lie one after the other in a vector."""

from jaxnet.core.arguments import brief
from jaxnet.core.hyperparameters import count


def checked_shape(shape: object) -> tuple[int, int] | None:
    """The height and width that a person gave for images.

    Args:
      shape: (height, width) in pixels, each at least 1; `None` for square images.

    Returns:
      The pair as Python ints, or `None`.

    Raises:
      ValueError: it is not a pair of positive whole numbers.

    >>> checked_shape([28, 28])
    (28, 28)
    """
    if shape is None:
        return None
    sides = shape if isinstance(shape, (tuple, list)) else ()
    if len(sides) != 2:
        raise ValueError(
            f"shape must be (height, width), not {brief(shape)}; for example (28, 28)."
        )
    height, width = (count("shape", side, low=1) for side in sides)
    return height, width


def image_shape(shape: tuple[int, int] | None, n_in: int) -> tuple[int, int]:
    """The height and width of an image of `n_in` pixels.

    Args:
      shape: what `checked_shape` returned.
      n_in: the number of the network's inputs.

    Returns:
      `shape`, or the sides of a square.

    Raises:
      ValueError: `shape` does not fit, or there is none and the images are not square.

    >>> image_shape(None, 784)
    (28, 28)
    """
    if shape is None:
        height = width = round(n_in**0.5)
        images = f"without a shape, images are {height}×{width}"
    else:
        height, width = shape
        images = f"shape {shape} has {height * width} pixels"
    if height * width != n_in:
        raise ValueError(
            f"{images}, but the network has {n_in} inputs; give the images' size as "
            "shape=(height, width)."
        )
    return height, width
