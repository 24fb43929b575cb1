"""Images in CSV: a label and pixels in each line."""

from pathlib import Path

from jaxnet.core.arguments import path_of
from jaxnet.core.types import Dataset
from jaxnet.data.splits import training_and_test
from jaxnet.io import number_text


def pixels(
    path: str | Path,
    test: str | Path | None = None,
    n_valid: int | None = None,
    n_classes: int | None = None,
) -> Dataset:
    r"""The images in a CSV file of labels and pixels, such as Kaggle's MNIST and Fashion-MNIST.

    Each line holds a label and the pixels of an image, whole numbers from 0 to 255. The first line
    may be a header: label,pixel0,pixel1,… or label,1x1,1x2,…

    Args:
      path: the file of training examples, compressed (`.gz`, `.bz2`) or not.
      test: the file of test examples, with labels; `None`, the default, for none.
      n_valid: how many of the last training examples to validate on; by default a sixth. Random
        ones, if the examples are in order of their classes.
      n_classes: the number of classes, which labels have to be below; no limit by default.

    Returns:
      A `Dataset` of uint8 images (n, n_pixels) and integer labels.

    Raises:
      ValueError: a file cannot be read, holds something else, or has no labels, as Kaggle's
        `test.csv`.

    Warns:
      UserWarning: the examples are in order of their classes, or look like no images.

    >>> import tempfile
    >>> rows = [f"{label}," + ",".join(["0", "255"] * 8) for label in (3, 7, 7)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "train.csv").write_text("\n".join(rows))
    ...     data = pixels(f"{folder}/train.csv", n_valid=1)
    >>> data.train.x.shape, data.valid.y.tolist()
    ((2, 16), [7])
    """
    files = [path_of("path", path)]
    if test is not None:
        files.append(path_of("test", test))
    arrays = [array for file in files for array in number_text.read_pixels(file)]
    return training_and_test(arrays, n_valid, n_classes, str(path))
