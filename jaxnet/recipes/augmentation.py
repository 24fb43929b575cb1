"""Augmentation: the examples of each mini-batch are changed at random.

Images are shifted, rotated, scaled or bent (`Augmentation`), examples are mixed with each other
(`mixup`, `cutmix`), inputs get noise (`input_noise`), or a function of a user's own does something
else (`custom`). This happens on the device, inside the compiled loop: no copy of the data set is
made. What happens to an example depends on the run's seed and on the step alone. `expand` is the
book's way instead: a data set of five times as many images, made before training.
"""

import itertools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from jaxnet.core.deprecation import renamed_attributes
from jaxnet.core.hyperparameters import count, leaf, pytree, shown, static
from jaxnet.core.network import inputs
from jaxnet.core.types import AnyArray, Inputs, KeyArray, Numbers, Split, Targets
from jaxnet.recipes.batch_rules import BatchRule, custom
from jaxnet.recipes.images import checked_shape, image_shape
from jaxnet.recipes.mixing import cutmix, input_noise, mixup

__all__ = [
    "Augmentation",
    "BatchRule",
    "augment",
    "custom",
    "cutmix",
    "expand",
    "input_noise",
    "mixup",
    "shift_images",
]

SELECTED = 3
"""Shifts of up to this many pixels choose among all places; longer ones slice image by image."""

FLOAT32 = jnp.dtype("float32")
"""The float type of resampled images by default."""


@pytree
class Augmentation(BatchRule):
    """Random, small distortions of images whose rows of pixels lie one after the other.

    For each image of each mini-batch, every distortion is drawn uniformly up to its largest size.
    `None`, the default, leaves a distortion out of the program. Pixels from outside an image are 0,
    black.

    Attributes:
      shift: the largest shift along each axis, in whole pixels, less than the image's sides: 1
        draws one of nine places; static.
      rotation: the largest angle, in degrees in [0, 360), either way, around the middle.
      scaling: the largest fraction by which an image grows or shrinks, in [0, 1).
      elastic: α ≥ 0 of an elastic distortion, in pixels: each pixel moves by α times a uniform
        random field in [−1, 1]² that is smoothed by a Gaussian.
      smoothness: the standard deviation of that Gaussian in pixels, at least 0.1, by default 4;
        `None` without an elastic distortion.
      shape: (height, width) of an image in pixels; `None`, the default, for a square: static.

    Raises:
      ValueError: a number is out of its range, or `shape` is not a pair of positive numbers.

    Source: Simard, Steinkraus, Platt, Best practices for convolutional neural networks, 2003,
    section 2 (elastic, there with α = 34 and σ = 4 on 29 × 29 pixels).

    >>> Augmentation(shift=1)
    Augmentation(shift=1)
    """

    shift: int | None = static(default=None)
    rotation: Numbers | None = None
    scaling: Numbers | None = None
    elastic: Numbers | None = None
    smoothness: Numbers | None = 4.0
    shape: tuple[int, int] | None = static(default=None)

    def __post_init__(self) -> None:
        if self.shift is not None:
            object.__setattr__(self, "shift", count("shift", self.shift, low=0))
        object.__setattr__(self, "shape", checked_shape(self.shape))
        object.__setattr__(self, "rotation", leaf("rotation", self.rotation, high=360))
        object.__setattr__(self, "scaling", leaf("scaling", self.scaling, high=1))
        object.__setattr__(self, "elastic", leaf("elastic", self.elastic))
        smoothness = None if self.elastic is None else leaf("smoothness", self.smoothness, low=0.1)
        object.__setattr__(self, "smoothness", smoothness)

    def image_shape(self, n_in: int) -> tuple[int, int]:
        """The height and width of an image of `n_in` pixels.

        Args:
          n_in: the number of the network's inputs.

        Returns:
          `shape`, or the sides of a square.

        Raises:
          ValueError: `shape` does not fit, or there is none and the images are not square, or
            `shift` is not less than the sides.

        >>> Augmentation(shift=1).image_shape(784)
        (28, 28)
        """
        height, width = image_shape(self.shape, n_in)
        if self.shift is not None and self.shift >= min(height, width):
            raise ValueError(
                f"shift must be less than the sides of an image, {height}×{width}, "
                f"not {self.shift}; choose a smaller one."
            )
        return height, width

    def apply(
        self,
        key: KeyArray,
        xs: Inputs,
        ys: Targets,
        weights: Float[AnyArray, " batch"],
        n_out: int,
    ) -> tuple[Inputs, Targets]:
        """The mini-batch with distorted images: see `augment`."""
        return augment(self, key, xs, weights.dtype), ys

    def check(self, n_in: int, n_out: int) -> None:
        """Raise an error if the network's inputs are no such images; see `image_shape`."""
        self.image_shape(n_in)

    def __repr__(self) -> str:
        names = ("shift", "rotation", "scaling", "elastic", "smoothness")
        numbers = [
            f"{name}={shown(value)}" for name in names if (value := getattr(self, name)) is not None
        ]
        numbers += [] if self.shape is None else [f"shape={self.shape}"]
        return f"Augmentation({', '.join(numbers)})"


def augment(
    rule: Augmentation, key: KeyArray, xs: Inputs, dtype: jnp.dtype = FLOAT32
) -> Float[Array, "batch n_in"] | AnyArray:
    """A mini-batch of images, each distorted by its own random draw.

    Args:
      rule: which distortions are drawn, and their largest sizes.
      key: the random key of the step.
      xs: the images, shape (batch, n_in): uint8 pixels or floats.
      dtype: the float type of resampled images, by default float32.

    Returns:
      The images, of the same shape. They keep their type if they are only shifted; otherwise they
      are floats, with uint8 pixels scaled by 1/255.

    Raises:
      ValueError: the rule's shape does not fit the images.

    >>> xs = jnp.arange(9.0).reshape(1, 9)
    >>> augment(Augmentation(shift=0), jax.random.key(0), xs).tolist() == xs.tolist()
    True
    """
    height, width = rule.image_shape(xs.shape[1])
    shift_key, bend_key = jax.random.split(key)
    xs = jnp.asarray(xs)
    if rule.rotation is not None or rule.scaling is not None or rule.elastic is not None:
        images = inputs(xs, dtype).reshape(-1, height, width)
        keys = jax.random.split(bend_key, len(xs))
        xs = jax.vmap(lambda key, image: _resampled(rule, key, image))(keys, images)
        xs = xs.reshape(-1, height * width)
    if rule.shift is None:
        return xs
    shifts = jax.random.randint(shift_key, (len(xs), 2), -rule.shift, rule.shift + 1)
    return shift_images(xs, shifts, rule.shift, width)


def shift_images(
    xs: Inputs, shifts: Int[AnyArray, "batch 2"], most: int, width: int
) -> Float[Array, "batch n_in"] | AnyArray:
    """Shift each image by its own numbers of pixels; zeros come in at the edges.

    A shift by (i, j) moves the row of all pixels by i·width + j; then the columns that would come
    from the line above or below are blackened. For one-pixel shifts, choosing among all nine places
    takes a fifth of the time of slicing each image where it starts (12 and 58 ms for 50,000
    images).

    Args:
      xs: the images, shape (batch, n_in), with rows of pixels one after the other.
      shifts: for each image how many pixels it moves down and to the right; negative numbers move
        it up and to the left.
      most: the largest absolute number in `shifts`.
      width: the width of an image in pixels.

    Returns:
      The shifted images, of the shape and type of `xs`.

    >>> right = jnp.array([[0, 1]])
    >>> shift_images(jnp.array([[1.0, 2.0, 3.0, 4.0]]), right, most=1, width=2).tolist()
    [[0.0, 1.0, 0.0, 3.0]]
    """
    xs = jnp.asarray(xs)
    n = xs.shape[1]
    border = most * width + most
    padded = jnp.pad(xs, ((0, 0), (border, border)))
    starts = border - (shifts[:, :1] * width + shifts[:, 1:])
    if most <= SELECTED:
        moved = xs
        for i, j in itertools.product(range(-most, most + 1), repeat=2):
            place = border - (i * width + j)
            moved = jnp.where(starts == place, padded[:, place : place + n], moved)
    else:
        moved = jax.vmap(lambda row, start: jax.lax.dynamic_slice(row, start, (n,)))(padded, starts)
    columns = (jnp.arange(n) % width)[None] - shifts[:, 1:]
    return jnp.where((columns >= 0) & (columns < width), moved, jnp.zeros((), xs.dtype))


def _resampled(rule: Augmentation, key: KeyArray, image: Float[Array, "h w"]) -> Array:
    """An image rotated, scaled and bent: each pixel is read, bilinearly, where it comes from."""
    height, width = image.shape
    turn_key, scale_key, field_key = jax.random.split(key, 3)
    middle = jnp.array([(height - 1) / 2, (width - 1) / 2], image.dtype)
    rows, columns = jnp.mgrid[:height, :width].astype(image.dtype)
    down, right = rows - middle[0], columns - middle[1]
    if rule.rotation is not None:
        angle = jnp.deg2rad(_uniform(turn_key, rule.rotation, image.dtype))
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        down, right = cos * down - sin * right, sin * down + cos * right
    if rule.scaling is not None:
        scale = 1 + _uniform(scale_key, rule.scaling, image.dtype)
        down, right = down / scale, right / scale
    if rule.elastic is not None:
        fields = jax.random.uniform(field_key, (2, *image.shape), image.dtype, -1.0, 1.0)
        sigma, alpha = jnp.asarray(rule.smoothness), jnp.asarray(rule.elastic)
        smooth_rows, smooth_columns = (_gaussian(sigma, size) for size in image.shape)
        moves = alpha * jnp.einsum("ih,dhw,jw->dij", smooth_rows, fields, smooth_columns)
        down, right = down + moves[0], right + moves[1]
    return map_coordinates(image, [down + middle[0], right + middle[1]], order=1, cval=0.0)


def _uniform(key: KeyArray, most: Numbers, dtype: jnp.dtype) -> Float[Array, ""]:
    """A number drawn uniformly from [−most, most)."""
    return jnp.asarray(most) * jax.random.uniform(key, (), dtype, -1.0, 1.0)


def _gaussian(sigma: ArrayLike, size: int) -> Float[Array, "n n"]:
    """The matrix that convolves with a Gaussian; rows sum to 1, or less where the border cuts."""
    apart = jnp.arange(size)[:, None] - jnp.arange(-3 * size, 4 * size)[None]
    weights = jnp.exp(-((apart / sigma) ** 2) / 2)
    return weights[:, 3 * size : 4 * size] / jnp.sum(weights, axis=1, keepdims=True)


def expand(split: Split, shape: tuple[int, int] | None = None) -> Split:
    """A data set of five times as many images: each one, and its four shifts by one pixel.

    This makes the book's 250,000 images of MNIST's 50,000.

    Args:
      split: images, uint8 or float, and labels or targets.
      shape: (height, width) of an image in pixels; `None`, the default, for a square.

    Returns:
      NumPy arrays: all images as they are, then all shifted down, up, right, left.

    Raises:
      ValueError: the images do not have that shape.

    Source: Nielsen, chapter 3, other techniques for regularization, and `expand_mnist.py`.

    >>> expand(Split(np.ones((2, 9)), np.array([0, 1]))).x.shape
    (10, 9)
    """
    x, y = np.asarray(split.x), np.asarray(split.y)
    size = Augmentation(shape=shape).image_shape(x.shape[1])
    images = x.reshape(-1, *size)
    moved = [images] + [np.zeros_like(images) for _ in range(4)]
    moved[1][:, 1:], moved[2][:, :-1] = images[:, :-1], images[:, 1:]
    moved[3][:, :, 1:], moved[4][:, :, :-1] = images[:, :, :-1], images[:, :, 1:]
    weight = None if split.weight is None else np.concatenate([split.weight] * 5)
    return Split(np.concatenate(moved).reshape(-1, x.shape[1]), np.concatenate([y] * 5), weight)


if not TYPE_CHECKING:  # a type checker is to report unknown names
    __getattr__ = renamed_attributes(__name__, {"shifted": "shift_images"})
