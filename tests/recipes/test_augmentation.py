import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

import jaxnet as jn
from jaxnet.recipes.augmentation import Augmentation, _gaussian, augment, shift_images

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(1, 256, size=(40, 5, 7), dtype=np.uint8)


def _moved(image, down, right):
    """A pixel at a time, by its definition."""
    height, width = image.shape
    out = np.zeros_like(image)
    for i in range(height):
        for j in range(width):
            if 0 <= i - down < height and 0 <= j - right < width:
                out[i, j] = image[i - down, j - right]
    return out


@pytest.mark.parametrize("most", [1, 3, 4, 6])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_shift_moves_every_pixel(most, dtype):
    """Up to three pixels the places are chosen among, beyond they are sliced."""
    shifts = RANDOM.integers(-most, most + 1, size=(40, 2)).astype(np.int32)
    images = IMAGES.astype(dtype)
    got = shift_images(jnp.asarray(images.reshape(40, 35)), jnp.asarray(shifts), most, 7)
    expected = np.array([_moved(*each) for each in zip(images, *shifts.T)])
    assert got.dtype == dtype
    assert np.array_equal(np.asarray(got).reshape(40, 5, 7), expected)


def test_all_nine_places_are_equally_likely_and_addressed():
    image = np.zeros((1, 25), np.uint8)
    image[0, 12] = 255  # in the middle of 5 × 5
    rule, xs = Augmentation(shift=1), jnp.asarray(np.repeat(image, 9000, 0))
    got = np.asarray(augment(rule, jax.random.key(0), xs))
    counts = got.astype(bool).sum(0).reshape(5, 5)
    assert counts[1:4, 1:4].sum() == 9000
    assert np.all(np.abs(counts[1:4, 1:4] - 1000) < 5 * np.sqrt(1000))
    assert np.array_equal(got, augment(rule, jax.random.key(0), xs))
    assert not np.array_equal(got, augment(rule, jax.random.key(1), xs))


@pytest.mark.parametrize("part", ["rotation", "scaling", "elastic"])
def test_nothing_is_done_by_0_of_it(part):
    xs = jnp.asarray(IMAGES.reshape(40, 35))
    rule = Augmentation(**{part: 0.0}, shape=(5, 7))
    got = augment(rule, jax.random.key(0), xs)
    np.testing.assert_allclose(got, IMAGES.reshape(40, 35) / 255, atol=1e-5)


def _bar(size=29):
    rows, columns = np.mgrid[:size, :size] - size // 2
    return np.exp(-((rows / 6) ** 2) - (columns / 2) ** 2)


def _moments(image):
    """Angle in degrees and length of the long axis, from second moments."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] - image.shape[0] // 2
    weight = image / image.sum()
    ii, jj, ij = (weight * rows**2).sum(), (weight * columns**2).sum(), (weight * rows * columns)
    angle = np.rad2deg(0.5 * np.arctan2(2 * ij.sum(), ii - jj))
    return angle, np.sqrt(ii + jj)


def test_a_rotation_turns_by_up_to_its_angle_either_way():
    xs = jnp.asarray(np.repeat(_bar().reshape(1, -1), 200, 0))
    got = np.asarray(augment(Augmentation(rotation=30.0), jax.random.key(0), xs))
    angles = np.array([_moments(image)[0] for image in got.reshape(200, 29, 29)])
    assert np.abs(angles).max() < 30.5
    assert angles.min() < -27
    assert angles.max() > 27
    assert np.std(angles) == pytest.approx(30 / np.sqrt(3), rel=0.1)
    # The image of a drawn angle is SciPy's, up to how each interpolates.
    scipys = ndimage.rotate(_bar(), angles[0], reshape=False, order=1)
    other = ndimage.rotate(_bar(), -angles[0], reshape=False, order=1)
    first = got[0].reshape(29, 29)
    assert min(np.abs(first - scipys).max(), np.abs(first - other).max()) < 0.05


def test_scaling_grows_and_shrinks():
    xs = jnp.asarray(np.repeat(_bar().reshape(1, -1), 200, 0))
    got = np.asarray(augment(Augmentation(scaling=0.2), jax.random.key(0), xs))
    moments = np.array([_moments(image) for image in got.reshape(200, 29, 29)])
    factors = moments[:, 1] / _moments(_bar())[1]
    assert np.abs(moments[:, 0]).max() < 0.5
    assert 0.79 < factors.min() < 0.84
    assert 1.16 < factors.max() < 1.22


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_the_fields_are_smoothed_by_scipys_gaussian(sigma):
    field = RANDOM.standard_normal((9, 12))
    got = _gaussian(sigma, 9) @ field @ _gaussian(sigma, 12).T
    expected = ndimage.gaussian_filter(field, sigma, mode="constant", truncate=6)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_an_elastic_distortion_bends_by_about_what_its_field_says():
    """The pixels of a ramp show where they were read from."""
    ramp = np.tile(np.arange(64.0), (64, 1)).reshape(1, -1)
    rule = Augmentation(elastic=34.0, smoothness=4.0)
    got = np.asarray(augment(rule, jax.random.key(0), jnp.asarray(np.repeat(ramp, 20, 0))))
    moves = (got - ramp).reshape(20, 64, 64)[:, 20:44, 20:44]
    # A uniform field has variance 1/3; smoothing by σ divides it by 4πσ².
    assert np.std(moves) == pytest.approx(34 * np.sqrt(1 / 3 / (4 * np.pi * 16)), rel=0.15)
    assert np.abs(np.diff(moves, axis=1)).mean() < 0.3 * np.std(moves)


def test_expand_is_each_image_and_its_four_neighbours():
    split = jn.Split(IMAGES.reshape(40, 35), np.arange(40) % 10)
    got = jn.augmentation.expand(split, shape=(5, 7))
    assert got.x.shape == (200, 35)
    assert got.x.dtype == np.uint8
    assert np.array_equal(got.y, np.tile(split.y, 5))
    for block, move in enumerate([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]):
        expected = np.array([_moved(image, *move) for image in IMAGES])
        assert np.array_equal(got.x[40 * block : 40 * block + 40].reshape(40, 5, 7), expected)


def test_expanded_mnist_is_the_books_250_000():
    train = jn.datasets.mnist().train
    assert jn.augmentation.expand(train).x.shape == (250_000, 784)


def test_training_with_augmentation_is_a_function_of_the_seed():
    random = np.random.default_rng(1)
    x = random.integers(256, size=(60, 36), dtype=np.uint8)
    data = jn.Dataset(jn.Split(x, random.integers(3, size=60).astype(np.int32)))
    rule = Augmentation(1, rotation=10.0)
    recipe, plain = jn.Recipe(jn.sgd(0.5), augmentation=rule), jn.Recipe(jn.sgd(0.5))
    net = jn.Network((36, 5, 3))
    first, same, other = (
        jn.train(net, data, r, epochs=2, seed=4, evaluate_on=()) for r in (recipe, recipe, plain)
    )
    assert np.array_equal(first.params[0].w, same.params[0].w)
    assert not np.array_equal(first.params[0].w, other.params[0].w)
