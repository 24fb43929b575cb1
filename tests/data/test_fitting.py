"""Pictures of digits as a network sees them, beside MNIST's own images."""

import numpy as np
import photos
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

import jaxnet as jn
from jaxnet.data import fitting
from jaxnet.io import picture_files

DIGITS = jn.datasets.mnist().test.x[:12].reshape(-1, 28, 28) / 255


def _enlarged(digit, n=6):
    """A digit of MNIST as grey values of 28n × 28n pixels, off the middle."""
    return np.roll(ndimage.zoom(digit, n, order=1), (9, -7), (0, 1))[..., None]


def _line(points, size=(200, 150), width=8, paper=0.9, ink=0.1):
    """A picture of a line through points (x, y)."""
    image = Image.new("F", size, paper)
    ImageDraw.Draw(image).line(points, fill=ink, width=width)
    return np.array(image)[..., None]


def test_a_digit_of_mnist_becomes_itself_whatever_its_size_and_colours():
    similarities = []
    for digit in DIGITS:
        expected = fitting.fitted(_enlarged(digit), 28).pixels
        similarities.append(np.corrcoef(expected.ravel(), digit.ravel())[0, 1])
        ink = _enlarged(digit, 8)
        blue_on_yellow = ink * [0.1, 0.2, 0.6] + (1 - ink) * [0.9, 0.8, 0.4]
        chalk = 0.2 + 0.6 * ink
        for picture in (1 - ink, chalk, blue_on_yellow):
            image = fitting.fitted(picture, 28).pixels
            assert np.abs(image - expected).mean() < 0.02
    assert min(similarities) > 0.85
    assert np.mean(similarities) > 0.93


def test_the_box_is_20_pixels_and_the_centre_of_mass_in_the_middle_as_in_mnist():
    for digit in DIGITS:
        image = fitting.fitted(_enlarged(digit), 28).pixels
        rows, columns = (np.flatnonzero(image.max(axis=axis) > 0.3) for axis in (1, 0))
        assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21
        np.testing.assert_allclose(ndimage.center_of_mass(image), 14, atol=0.3)


def test_the_aspect_is_kept():
    image = fitting.fitted(_line([(40, 30), (40, 130), (90, 130)], width=14), 28).pixels
    rows, columns = (np.flatnonzero(image.max(axis=axis) > 0.5) for axis in (1, 0))
    assert (len(rows), len(columns)) == (20, 10)


def test_smaller_images_are_filled_as_those_of_usps_and_scikit_learn_are():
    image = fitting.fitted(_line([(80, 20), (80, 120)], width=14), 8).pixels
    assert (image.max(axis=1) > 0.4).all()


def test_uneven_light_and_squares_are_no_ink():
    picture = _line([(60, 30), (140, 30), (90, 120)])
    expected = fitting.fitted(picture, 28)
    x = np.linspace(-1, 1, picture.shape[1])[:, None]
    shadow = picture * np.where(x > 0.2, 0.6, 1.0)
    lit = picture * (0.75 + 0.25 * x)
    squared = picture.copy()
    squared[::15] = np.minimum(squared[::15], 0.7)
    squared[:, ::15] = np.minimum(squared[:, ::15], 0.7)
    for disturbed in (shadow, lit, squared):
        image, doubts = fitting.fitted(disturbed, 28)
        assert doubts == ()
        assert np.abs(image - expected.pixels).mean() < 0.02


def test_thin_strokes_get_the_width_of_mnists():
    thin = fitting.fitted(_line([(60, 20), (150, 20), (90, 130)], width=2), 28).pixels
    thick = fitting.fitted(_line([(60, 20), (150, 20), (90, 130)], width=14), 28).pixels
    assert thin.max() > 0.95
    assert 0.75 < thin.sum() / thick.sum() < 1.1


def test_ink_that_is_as_light_as_its_paper_is_found_by_its_colour():
    ink = _line([(60, 30), (140, 30), (90, 120)], paper=0.0, ink=1.0)
    red, green = np.array([0.9, 0.3, 0.3]), np.array([0.3, 0.605, 0.3])
    assert abs(fitting.grey_of(red[None, None]) - fitting.grey_of(green[None, None])) < 0.01
    image, doubts = fitting.fitted(ink * red + (1 - ink) * green, 28)
    assert doubts == ()
    assert np.abs(image - fitting.fitted(ink, 28).pixels).mean() < 0.02


SEVEN = [(60, 30), (140, 30), (90, 120)]


@pytest.mark.parametrize(
    ("picture", "doubt"),
    [
        (np.full((60, 60, 1), 0.8), "it shows nothing"),
        (_line(SEVEN, ink=0.8), "its contrast is low"),
        (_line([(60, 30), (60, 149)]), "what is found reaches its border"),
        (_line(SEVEN) + _line([(20, 30), (20, 130)]) - 0.9, "it shows 2 separate shapes, of "),
        (_line([(60, 30), (67, 34)], width=3), "what is found is only "),
        (_line([(60, 60), (110, 60)], width=50), "what is found is no line of a pen"),
    ],
)
def test_what_is_doubtful_is_said(picture, doubt):
    doubts = fitting.fitted(picture, 28).doubts
    assert [text for text in doubts if text.startswith(doubt)], doubts


def test_a_table_beside_the_paper_is_not_the_digit():
    picture = _line(SEVEN)
    picture[:, :20] = picture[140:] = 0.3
    image, doubts = fitting.fitted(picture, 28)
    assert np.abs(image - fitting.fitted(_line(SEVEN), 28).pixels).mean() < 0.02
    assert doubts == ()


def test_two_parts_of_a_digit_that_lie_close_are_one_digit():
    whole = [(60, 30), (140, 30)]
    five = _line([(70, 40), (70, 80), (120, 80), (120, 130), (60, 130)])
    image, doubts = fitting.fitted(np.minimum(five, _line(whole)), 28)
    assert doubts == ()
    assert np.flatnonzero(image.max(axis=1) > 0.5).size == 20


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_picture_is_turned_as_its_exif_data_says(tmp_path, turn):
    upright = Image.fromarray((255 * _line(SEVEN)[..., 0]).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = turn
    transpositions = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright if turn == 1 else upright.transpose(transpositions[turn])
    stored.save(tmp_path / "a.jpg", exif=exif, quality=95)
    colours, _ = picture_files.read_picture(tmp_path / "a.jpg")
    np.testing.assert_allclose(colours, np.asarray(upright)[..., None] / 255, atol=0.1)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".bmp", ".tif"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_large_picture_is_reduced_to_means(tmp_path, suffix, mode):
    y, x = np.mgrid[:900, :1300]
    n = 2 if suffix == ".jpg" else 3  # a JPEG is decoded in half its size, which is enough
    grey = Image.fromarray(((x // 5 + y // 5) % 256).astype(np.uint8)).convert(mode)
    grey.save(tmp_path / f"a{suffix}")
    colours, alpha = picture_files.read_picture(tmp_path / f"a{suffix}")
    rows, columns = 900 // n, 1300 // n
    assert alpha.shape == (rows, -(-1300 // n))
    assert (alpha == 1).all()
    pixels = np.asarray(grey, float).reshape(900, 1300, -1)[:, : columns * n]
    expected = pixels.reshape(rows, n, columns, n, -1).mean(axis=(1, 3)) / 255
    tolerance = 0.1 if suffix == ".jpg" else 0.01
    colours = colours[:, :columns].mean(axis=-1)
    np.testing.assert_allclose(colours, expected.mean(axis=-1), atol=tolerance)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    for side in (8_200, 13_500):  # beyond jaxnet's limit, and beyond Pillow's
        Image.new("1", (side, side)).save(tmp_path / "bomb.png")
        with pytest.raises(
            ValueError, match=r"bomb\.png is not a readable picture: it has .*pixel"
        ):
            picture_files.read_picture(tmp_path / "bomb.png")


@pytest.mark.slow
def test_photos_of_digits_are_read_nearly_as_well_as_the_digits():
    data = jn.datasets.mnist()
    net = jn.Network((784, 30, 10))
    train = jn.Split(data.train.x[:10_000], data.train.y[:10_000])
    run = jn.train(net, jn.Dataset(train), jn.Recipe(jn.sgd(0.5)), epochs=2, evaluate_on=())
    x, y = data.test.x[:80], data.test.y[:80]
    seen = np.stack([fitting.fitted(photo / 255, 28).pixels.ravel() for photo in photos.photos(x)])
    score = lambda inputs: int((jn.predict(net, run.params, inputs).argmax(axis=1) == y).sum())
    original = score(x)
    assert original >= 70
    assert score(seen.astype(np.float32)) >= 0.93 * original


def test_a_list_of_pictures_names_the_line_that_is_wrong(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("file,label\n\na.png,1\n\n34,2\n")
    with pytest.raises(ValueError, match="its line 5 names '34', and no picture file"):
        picture_files.read_names(path)
    path.write_text("file,label\n\na.png,1\n")
    assert picture_files.read_names(path) == [tmp_path / "a.png"]
