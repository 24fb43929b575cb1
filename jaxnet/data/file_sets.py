"""The published sets of files, by their names: what each file is called and how it is written.

Sources: MNIST and the names of its files: LeCun, Cortes, Burges, The MNIST database of handwritten
digits. QMNIST: Yadav and Bottou, Cold case: the lost MNIST digits, 2019. EMNIST: Cohen et al.,
EMNIST: an extension of MNIST to handwritten letters, 2017. Kuzushiji: Clanuwat et al., Deep
learning for classical Japanese literature, 2018. USPS: LIBSVM's page of multi-class data sets, and
Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, page of the ZIP code data.
"""

from typing import Literal, NamedTuple

Format = Literal["idx", "npz", "mat", "csv", "libsvm", "columns"]
"""How the files of a set are written; "columns" is text, numbers between spaces."""


class FileSet(NamedTuple):
    """A data set as it is published in files of known names.

    Attributes:
      name: what it is called in errors.
      files: the names without `.gz` or `.bz2`: training images, their labels, test images and their
        labels; training and test file, if images and labels are in the same; or one file of all.
      format: how they are written.
      n_classes: the number of classes; `None`, if sets of several numbers have these names.
      first_label: the label of the first class, which becomes 0.
      is_transposed: whether images are stored column by column.
      part: which part of EMNIST it is; "" for other sets.
    """

    name: str
    files: tuple[str, ...]
    format: Format
    n_classes: int | None = None
    first_label: int = 0
    is_transposed: bool = False
    part: str = ""

    @property
    def needed(self) -> tuple[str, ...]:
        """The files that have to be there: all, but the training file alone of those in CSV."""
        return self.files[:1] if self.format == "csv" else self.files

    @property
    def first_file(self) -> str:
        """The name of the first file, with PART in place of EMNIST's part."""
        first = self.files[0]
        return first.replace(f"-{self.part}", "-PART", 1) if self.part else first


IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""The names of MNIST's four files, which Fashion-MNIST and KMNIST have, too."""
EMNIST_CLASSES = {
    "balanced": 47, "byclass": 62, "bymerge": 47, "digits": 10, "letters": 26, "mnist": 10,
}  # fmt: skip
"""The number of classes of each part of EMNIST."""
LETTERS = "letters"
"""The part of EMNIST whose labels are 1 to 26."""


def _four(pattern: str, *kinds: str) -> tuple[str, ...]:
    """The names of training images and labels, and of test images and labels."""
    return tuple(pattern.format(use=use, kind=kind) for use in ("train", "test") for kind in kinds)


def _emnist(part: str, n_classes: int) -> tuple[FileSet, ...]:
    """The three forms in which a part of EMNIST is published."""
    name, pattern = f"EMNIST {part}", f"emnist-{part}-{{use}}-{{kind}}"
    idx_files = _four(pattern, "images-idx3-ubyte", "labels-idx1-ubyte")
    csv_files = (f"emnist-{part}-train.csv", f"emnist-{part}-test.csv")
    options = (n_classes, int(part == LETTERS), True, part)
    return (
        FileSet(name, idx_files, "idx", *options),
        FileSet(name, (f"emnist-{part}.mat",), "mat", *options),
        FileSet(name, csv_files, "csv", *options),
    )


EMNIST = tuple(file_set for part, n in EMNIST_CLASSES.items() for file_set in _emnist(part, n))
"""EMNIST's parts, each in IDX, MATLAB's format and CSV."""
_QMNIST = FileSet(
    "QMNIST", _four("qmnist-{use}-{kind}", "images-idx3-ubyte", "labels-idx2-int"), "idx", 10
)
IDX = (
    FileSet("MNIST", IDX_FILES, "idx"),
    FileSet("MNIST", tuple(name.replace("-idx", ".idx") for name in IDX_FILES), "idx"),
    _QMNIST,
    *(file_set for file_set in EMNIST if file_set.format == "idx"),
)
"""The sets in IDX."""
KUZUSHIJI = tuple(
    FileSet(name, _four(f"{prefix}-{{use}}-{{kind}}", "imgs.npz", "labels.npz"), "npz", n_classes)
    for name, prefix, n_classes in (("KMNIST", "kmnist", 10), ("Kuzushiji-49", "k49", 49))
)
"""The sets in four NumPy archives of one array each."""
USPS = (
    FileSet("USPS", ("usps", "usps.t"), "libsvm", 10, 1),
    FileSet("USPS", ("zip.train", "zip.test"), "columns", 10),
)
"""USPS, as LIBSVM and The Elements of Statistical Learning publish it."""
CSV = tuple(
    FileSet(f"{prefix}train.csv", (f"{prefix}train.csv", f"{prefix}test.csv"), "csv")
    for prefix in ("mnist_", "fashion-mnist_", "")
)
"""Images in CSV: MNIST, Fashion-MNIST, and Kaggle's digits, whose test file has no labels."""
ALL = tuple(dict.fromkeys((*IDX, *EMNIST, *KUZUSHIJI, *USPS, *CSV)))
"""All sets."""
