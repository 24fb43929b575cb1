"""`jaxnet predict`: what a saved network answers to images, rows of a test set, or of a table."""

import dataclasses
import math
import warnings
from pathlib import Path
from typing import Annotated, BinaryIO, NamedTuple

import numpy as np
import tyro
from jaxtyping import Float
from rich.console import Console

from jaxnet.cli import console
from jaxnet.cli.options import DataOption, read
from jaxnet.core import costs, network
from jaxnet.core.activations import Softmax, sigmoid
from jaxnet.core.conversion import input_array, place
from jaxnet.core.network import Network
from jaxnet.core.types import Params
from jaxnet.data.datasets import load_encoding
from jaxnet.data.doubtful import LARGE_INPUT
from jaxnet.io import csv, network_files, numpy_files, reading, table_files

MAX_PIXELS = 2**22
"""The pixels of the largest picture that is decoded."""

PICTURES = ("PNG", "JPEG")
"""The formats of pictures."""
SHOWN = 10
"""Rows of a table that are printed."""
WHITE_16_BIT = 65535
"""The grey value of white in a 16-bit picture."""


class Question(NamedTuple):
    """An example that the network is asked about."""

    name: str
    """What the output calls it."""
    x: np.ndarray
    """Its inputs, (n_in,)."""
    label: str
    """Its class or its targets; empty if they are not known."""


@dataclasses.dataclass(frozen=True)
class Predict:
    """Print a network's outputs for images, or for rows of a test set, and the class they mean.

    A network of a table takes new tables with the same columns, .csv, .tsv or .parquet, and answers
    each row: the first on the screen, all in the CSV file --output.
    An image is a PNG or JPEG with as many pixels as the network has inputs, white on black as MNIST
    is, or black on white with --invert. Transparent pixels show the background: black, or white
    with --invert. A .npy array holds an image or several, or rows of inputs.
    """

    network: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="NETWORK")]
    """A network.json or network.safetensors, a run's folder, or a folder of runs: its newest."""
    images: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        tyro.conf.arg(metavar="IMAGE", help_behavior_hint=""),
    ] = ()
    """PNG, JPEG or .npy files, or tables; they stand before any option."""
    test: Annotated[tuple[int, ...], tyro.conf.arg(help_behavior_hint="")] = ()
    """Rows of the test set to classify, from 0."""
    data: DataOption = "mnist"
    """Data set of --test: mnist, digits, or the files of one, as in jaxnet train."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """CSV file to write the answers to a table to (none)."""
    invert: bool = False
    """Invert the images, which are dark on a light or transparent background."""

    def __call__(self, out: Console) -> None:
        """Read, predict and print."""
        if not self.images and not self.test:
            raise ValueError("nothing to classify: name image files, or rows with --test 0 1 2.")
        if self.invert and not self.images:
            raise ValueError(
                "--invert is for image files, and none is given; leave it out with --test."
            )
        file = _network_file(self.network)
        net, params = network_files.load(file)
        tables = [path for path in self.images if path.suffix.lower() in table_files.SUFFIXES]
        if tables:
            self._answer_table(tables, file, net, params, out)
            return
        if self.output is not None:
            raise ValueError(
                "--output is for the answers to a table; name a .csv or .parquet file."
            )
        questions = [
            question
            for path in self.images
            for question in _questions_in_file(path, net.sizes[0], self.invert)
        ]
        are_classes = isinstance(net.cost.output, Softmax) or net.cost.output == sigmoid
        if self.test:
            rows, are_labels = self._test_rows(net)
            questions += rows
            are_classes = are_classes or are_labels
        outputs = [np.asarray(network.predict(net, params, question.x)) for question in questions]
        _check_outputs(questions, outputs)
        _print_outputs(net, questions, outputs, are_classes, out)

    def _answer_table(
        self, tables: list[Path], file: Path, net: Network, params: Params, out: Console
    ) -> None:
        """Answer the rows of a table."""
        if len(self.images) > 1 or self.test or self.invert:
            raise ValueError(
                f"a table such as {tables[0]} is answered alone; leave other files and options out."
            )
        if self.output is not None and self.output.suffix.lower() != ".csv":
            raise ValueError(
                f"--output must end with .csv, such as answers.csv, not {self.output}."
            )
        answers = load_encoding(file).predictions(net, params, tables[0])
        rows = [dict(zip(answers, cells, strict=True)) for cells in zip(*answers.values())]
        if self.output is not None:
            csv.write_csv(self.output, rows)
        out.print(console.answers_table(rows[:SHOWN]))
        if self.output is not None:
            console.say(out, f"{len(rows):,} rows are written to {self.output}")
        elif len(rows) > SHOWN:
            console.say(out, f"… and {len(rows) - SHOWN:,} rows more: --output FILE writes all.")

    def _test_rows(self, net: Network) -> tuple[list[Question], bool]:
        """The rows of --test, and whether their targets are class labels."""
        test = read(self.data).test
        if test is None:
            raise ValueError(f"--data {self.data} has no test set; name a data set that has one.")
        if test.x.shape[1] != net.sizes[0]:
            raise ValueError(
                f"{self.data} has {test.x.shape[1]} inputs, but the network takes "
                f"{net.sizes[0]}; choose the data set that it was trained on with --data."
            )
        for row in self.test:
            if not 0 <= row < len(test.x):
                raise ValueError(f"--test must be in [0, {len(test.x) - 1}], not {row}.")
        inputs, targets = np.asarray(test.x), np.asarray(test.y)
        label = lambda target: " ".join(f"{number:.4g}" for number in np.atleast_1d(target))
        rows = [Question(f"test {row}", inputs[row], label(targets[row])) for row in self.test]
        n_classes = max(2, net.sizes[-1])
        are_integers = targets.dtype.kind != "f" and net.cost.takes_labels
        return rows, bool(are_integers and targets.max() < n_classes)


def _check_outputs(questions: list[Question], outputs: list[np.ndarray]) -> None:
    """Raise a ValueError if an output is not finite."""
    for question, output in zip(questions, outputs, strict=True):
        if not np.isfinite(output).all():
            index = int(np.isfinite(output).argmin())
            raise ValueError(
                f"output {index} of the network for {question.name} is {output[index]}: its "
                "weights have diverged, or the inputs are too large; train it again with a smaller "
                "learning rate, or scale the inputs."
            )


def _print_outputs(
    net: Network,
    questions: list[Question],
    outputs: list[np.ndarray],
    are_classes: bool,
    out: Console,
) -> None:
    """Print the table of outputs, in percent where they lie in [0, 1], as numbers elsewhere."""
    are_probabilities = isinstance(net.cost.output, Softmax)
    in_percent = are_probabilities or net.cost.output == sigmoid
    title = "Output" if are_classes else "Outputs"
    if isinstance(net.cost, costs.LogLikelihood):
        title = "Probability"
    names, labels = [q.name for q in questions], [q.label for q in questions]
    out.print(console.outputs_table(title, names, labels, outputs, in_percent, are_classes))
    if in_percent and not are_probabilities and net.sizes[-1] > 1:
        console.say(out, "The outputs are independent of each other: they need not add up to 100.")
    if isinstance(net.cost, costs.GaussianNLL):
        console.say(out, "The first half of the outputs are means, the others log-variances.")


def _network_file(path: Path) -> Path:
    """The network file at a path; in a folder of runs, that of the newest run."""
    if not path.exists() and not path.suffix:
        raise ValueError(
            f"the folder {path} does not exist; train a network first, or name another folder."
        )
    if not path.is_dir():
        return path
    for pattern in ("network.safetensors", "*/network.safetensors"):
        if networks := list(path.glob(pattern)):
            return max(networks, key=lambda file: file.stat().st_mtime)
    raise ValueError(
        f"the folder {path} holds no network.safetensors; name the folder of a run, or of runs."
    )


def _questions_in_file(path: Path, n_in: int, invert: bool) -> list[Question]:
    """The images of a picture or of a .npy array."""
    if path.suffix == ".npy":
        rows, are_images = _rows_of_array(path, n_in, invert)
    else:
        grey, are_images = _picture(path, 1.0 if invert else 0.0), True
        _check_size(path, grey.shape, n_in)
        rows = grey.reshape(1, n_in)
    if are_images and (rows.min(axis=1) == rows.max(axis=1)).any():
        remedy = "leave --invert out" if invert else "use --invert"
        ink = "light ink on a dark" if invert else "dark ink on a light"
        warnings.warn(
            f"{path} shows nothing, since all its pixels are equal; {remedy} for {ink} or "
            "transparent background.",
            UserWarning,
            stacklevel=2,
        )
    rows = 1 - rows if invert else rows
    numbered = lambda index: f"{path.name} row {index}" if len(rows) > 1 else path.name
    return [Question(numbered(index), row, "") for index, row in enumerate(rows)]


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


def _picture(path: Path, background: float) -> Float[np.ndarray, "height width"]:
    """The grey values of a picture file in [0, 1], on a background of this grey value."""
    remedy = "save it as a PNG, or as a .npy array"
    return reading.read_file(
        path, "a readable picture", lambda file: _pixels(file, background), remedy
    )


def _pixels(file: BinaryIO, background: float) -> Float[np.ndarray, "height width"]:
    """The grey values of an open picture file; errors are bare reasons."""
    from PIL import Image, ImageOps, UnidentifiedImageError  # matplotlib brings it

    try:
        with Image.open(file, formats=PICTURES) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"it has {image.width}×{image.height} pixels, far too many")
            if (n_frames := getattr(image, "n_frames", 1)) > 1:
                raise ValueError(f"it is animated, with {n_frames} frames; save one of them")
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):  # 16 bits; the transparent value is one of them
                grey = np.asarray(image)
                is_transparent = grey == image.info.get("transparency", -1)
                return np.where(is_transparent, background, grey / WHITE_16_BIT).astype(np.float32)
            image = image.convert("RGBA")
            grey, alpha = (
                np.asarray(band, np.float32) / 255
                for band in (image.convert("L"), image.getchannel("A"))
            )
            return alpha * grey + (1 - alpha) * np.float32(background)
    except UnidentifiedImageError:
        raise ValueError("its format is neither PNG nor JPEG") from None


def _check_size(path: Path, shape: tuple[int, ...], n_in: int) -> None:
    """Raise a ValueError unless an image has n_in pixels; a square number is a square image."""
    side = math.isqrt(n_in)
    is_square = side * side == n_in
    if len(shape) != 2 or (shape != (side, side) if is_square else math.prod(shape) != n_in):
        size = "×".join(map(str, shape[::-1])) or "no"
        wanted = f"{side}×{side}" if is_square else str(n_in)
        raise ValueError(f"{path} has {size} pixels, but the network takes {wanted}; resize it.")
