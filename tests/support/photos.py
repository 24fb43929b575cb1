"""Digits as photos: ink on paper, turned, unevenly lit, with noise.

    python tests/support/photos.py FOLDER

writes 20 of them as PNG.
"""

import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

SIDE = 200
ANGLE = 10
"""The largest rotation, in degrees."""


def photo(digit: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A digit of 28×28 pixels, uint8, as a photo of 200×200 pixels in colour, uint8.

    The digit is turned, and as large as two fifths to four fifths of the photo, somewhere in it.
    """
    scale = 20 / (SIDE * random.uniform(0.4, 0.8))
    angle = np.deg2rad(random.uniform(-ANGLE, ANGLE))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    free = SIDE / 2 - 11 / scale
    centre = SIDE / 2 + random.uniform(-free, free, 2)
    ink = ndimage.affine_transform(digit / 255, turn, 14 - turn @ centre, (SIDE, SIDE), order=1)
    ink = ndimage.gaussian_filter(ink > 0.5, 1.0, output=float)[..., None]
    paper, pen = random.uniform(0.7, 1.0, 3), random.uniform(0.0, 0.35, 3)
    if random.random() < 0.3:  # chalk on a board
        paper, pen = pen, paper
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    slope = random.uniform(-0.25, 0.25, 2)
    light = (0.8 + slope[0] * x + slope[1] * y - 0.1 * (x**2 + y**2))[..., None]
    colours = light * (ink * pen + (1 - ink) * paper)
    colours = colours + random.normal(0, random.uniform(0.02, 0.06), colours.shape)
    return np.round(255 * np.clip(colours, 0, 1)).astype(np.uint8)


def photos(digits: np.ndarray, seed: int = 0) -> list[np.ndarray]:
    """Photos of digits, uint8 (n, 784) or (n, 28, 28)."""
    random = np.random.default_rng(seed)
    return [photo(digit.reshape(28, 28), random) for digit in digits]


if __name__ == "__main__":
    from PIL import Image

    import jaxnet as jn

    test = jn.datasets.mnist().test
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(photos(test.x[:20])):
        Image.fromarray(image).save(folder / f"{index}-{test.y[index]}.png")
