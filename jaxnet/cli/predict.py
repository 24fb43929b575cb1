"""`jaxnet predict`: what a saved network answers to pictures, rows of a test set, or of a table."""

import dataclasses
import math
import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console

from jaxnet.cli import answers, console
from jaxnet.cli.options import read
from jaxnet.cli.questions import (
    Question,
    doubt_of,
    holds_network,
    is_input,
    network_file,
    questions_in,
)
from jaxnet.cli.saved_options import data_of_run
from jaxnet.core import costs, network
from jaxnet.core.activations import Softmax, sigmoid
from jaxnet.core.network import Network
from jaxnet.core.types import Params
from jaxnet.data.encoding import Encoding
from jaxnet.io import csv, network_files, table_files

RUNS = Path("runs")
"""The folder of runs of which the newest answers, where no network is named."""
SHOWN = 10
"""Rows of many that are printed."""
DRAWN = 4
"""Pictures that are drawn, if there are no more."""
UNSURE = 0.5
"""The largest output of a classifier below which its answer is doubtful."""


@dataclasses.dataclass(frozen=True)
class Predict:
    """Print a network's answers to pictures, to rows of a test set, or to rows of a table.

    Pictures are PNG, JPEG, GIF, BMP or TIFF files, folders of them, or a CSV file that has the name
    of one, or the pixels of one, in each line. They may have any size and colour: the digit is
    found, dark on light or light on dark, cropped, scaled and centred as those of MNIST were, and
    drawn as the network sees it. A picture of the network's own size whose border is dark is taken
    as it is. A .npy array holds an image or several, or rows of inputs. A network of a table takes
    new tables with the same columns, .csv, .tsv or .parquet, and answers each row.
    """

    files: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        tyro.conf.arg(metavar="[NETWORK] FILE", help_behavior_hint=""),
    ] = ()
    """A network.json or network.safetensors, a run's folder, or a folder of runs: its newest (that
    of the folder runs); then pictures, arrays or tables. They stand before any option."""
    test: Annotated[tuple[int, ...], tyro.conf.arg(help_behavior_hint="")] = ()
    """Rows of the test set to classify, from 0."""
    data: Annotated[str | None, tyro.conf.arg(metavar="NAME|PATH", help_behavior_hint="")] = None
    """Data set of --test: mnist, digits, or the files of one, as in jaxnet train (that of the run,
    or mnist)."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """CSV file to write all answers to (none)."""
    invert: bool = False
    """Take pictures and arrays as dark on light, also those of the network's own size."""

    def __call__(self, out: Console) -> None:
        """Read, predict and print."""
        file, inputs = self._network_and_inputs(out)
        if not inputs and not self.test:
            raise ValueError("nothing to classify: name image files, or rows with --test 0 1 2.")
        if self.invert and not inputs:
            raise ValueError(
                "--invert is for image files, and none is given; leave it out with --test."
            )
        if self.output is not None and self.output.suffix.lower() != ".csv":
            raise ValueError(
                f"--output must end with .csv, such as answers.csv, not {self.output}."
            )
        net, params = network_files.load(file)
        encoding = _encoding_of(file)
        tables = [path for path in inputs if path.suffix.lower() in table_files.SUFFIXES]
        if tables and encoding is not None and encoding.columns is not None:
            if len(inputs) > 1 or self.test or self.invert:
                raise ValueError(
                    f"a table such as {tables[0]} is answered alone; leave other files and options "
                    "out."
                )
            self._answer_table(tables[0], encoding, net, params, out)
            return
        _check_inputs(file, inputs, tables, encoding)
        questions = [
            question
            for path in inputs
            for question in questions_in(path, net.sizes[0], self.invert)
        ]
        are_classes = _in_percent(net)
        if self.test:
            if encoding is not None and encoding.columns is not None:
                raise ValueError(
                    f"--test is for images, but {file} reads the columns of a table; name a table: "
                    "jaxnet predict NETWORK NEW.csv."
                )
            data = data_of_run(file.parent) if self.data is None else self.data
            rows, are_labels = self._test_rows(net, data or "mnist")
            questions += rows
            are_classes = are_classes or are_labels
        names = () if encoding is None else tuple(map(str, encoding.target.classes))
        self._answer(net, params, questions, names if are_classes else None, out)

    def _network_and_inputs(self, out: Console) -> tuple[Path, list[Path]]:
        """The network's file, and the other files; says which network it is if it was chosen."""
        paths = [path.expanduser() for path in self.files]
        if paths and not is_input(paths[0]):
            file, inputs = network_file(paths[0]), paths[1:]
            is_chosen = file.parent not in (paths[0], paths[0].parent)
        elif RUNS.is_dir():
            file, inputs, is_chosen = network_file(RUNS), paths, True
        else:
            raise ValueError(
                f"there is no folder {RUNS} of which the newest network would answer; train one "
                "with jaxnet train, or name one: jaxnet predict NETWORK FILE."
            )
        for path in inputs:
            if holds_network(path):
                raise ValueError(
                    f"{path} holds a network, which stands before the files that it answers, and "
                    "alone: jaxnet predict NETWORK FILE."
                )
        if is_chosen:
            console.say(out, f"The newest run answers: {file.parent}/")
        return file, inputs

    def _answer_table(
        self, table: Path, encoding: Encoding, net: Network, params: Params, out: Console
    ) -> None:
        """Answer the rows of a table."""
        columns = encoding.predictions(net, params, table)
        rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values())]
        are_classes = bool(encoding.target.classes)
        in_percent = are_classes and _in_percent(net)
        out.print(answers.answers_table(rows[:SHOWN], are_classes, in_percent, out.width))
        self._write(rows, len(rows) - SHOWN, out)

    def _answer(
        self,
        net: Network,
        params: Params,
        questions: list[Question],
        classes: tuple[str, ...] | None,
        out: Console,
    ) -> None:
        """Answer pictures and rows; `classes` are the names of classes, `None` for no classes."""
        outputs = [np.asarray(network.predict(net, params, each.x)) for each in questions]
        _check_outputs(questions, outputs)
        if classes is not None:
            questions = [_with_doubt(each, a) for each, a in zip(questions, outputs, strict=True)]
        for sentence in doubt_of(questions):
            warnings.warn(sentence, UserWarning, stacklevel=2)
        n_shown = len(questions) if len(questions) <= 2 * SHOWN else SHOWN
        _draw(questions, out)
        _print_outputs(net, questions[:n_shown], outputs[:n_shown], classes, out)
        rows = [_answer_row(each, a, classes) for each, a in zip(questions, outputs, strict=True)]
        self._write(rows, len(questions) - n_shown, out)

    def _write(self, rows: list[dict[str, Any]], n_hidden: int, out: Console) -> None:
        """Write all answers to --output, or say how to see those that are not printed."""
        if self.output is not None:
            csv.write_csv(self.output, rows)
            console.say(out, f"{len(rows):,} rows are written to {self.output}")
        elif n_hidden > 0:
            console.say(out, f"… and {n_hidden:,} rows more: --output FILE writes all.")

    def _test_rows(self, net: Network, data: str) -> tuple[list[Question], bool]:
        """The rows of --test of a data set, and whether their targets are class labels."""
        test = read(data).test
        if test is None:
            raise ValueError(f"{data} has no test set; name a data set that has one with --data.")
        if test.x.shape[1] != net.sizes[0]:
            raise ValueError(
                f"{data} has {test.x.shape[1]} inputs, but the network takes "
                f"{net.sizes[0]}; choose the data set that it was trained on with --data."
            )
        for row in self.test:
            if not 0 <= row < len(test.x):
                raise ValueError(f"--test must be in [0, {len(test.x) - 1}], not {row}.")
        inputs, targets = np.asarray(test.x), np.asarray(test.y)
        label = lambda target: " ".join(
            map(answers.number_text, np.atleast_1d(target).astype(float).tolist())
        )
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
    classes: tuple[str, ...] | None,
    out: Console,
) -> None:
    """Print the table of outputs, in percent where they lie in [0, 1], as numbers elsewhere."""
    are_probabilities, in_percent = isinstance(net.cost.output, Softmax), _in_percent(net)
    title = "Outputs" if classes is None else "Output"
    if isinstance(net.cost, costs.LogLikelihood):
        title = "Probability"
    out.print(answers.outputs_table(title, questions, outputs, in_percent, classes, out.width))
    if in_percent and not are_probabilities and net.sizes[-1] > 1:
        console.say(out, "The outputs are independent of each other: they need not add up to 100.")
    if isinstance(net.cost, costs.GaussianNLL):
        console.say(out, "The first half of the outputs are means, the others log-variances.")


def _in_percent(net: Network) -> bool:
    """Whether a network's outputs lie in [0, 1]."""
    return isinstance(net.cost.output, Softmax) or net.cost.output == sigmoid


def _encoding_of(file: Path) -> Encoding | None:
    """The encoding in a network's file, if it has one."""
    described = network_files.load_encoding(file)
    return None if described is None else Encoding.from_json(described)


def _check_inputs(
    file: Path, inputs: list[Path], tables: list[Path], encoding: Encoding | None
) -> None:
    """Raise a ValueError for pictures where the network reads a table, and for the reverse."""
    if encoding is not None and encoding.columns is not None and inputs:
        raise ValueError(
            f"{file} reads the columns of a table, and {inputs[0]} is none; name a .csv, .tsv or "
            ".parquet file."
        )
    for path in tables:
        if path.suffix.lower() != ".csv":
            raise ValueError(
                f"{path} is a table, but {file} reads pixels; name pictures, or a .csv file of "
                "their names or pixels."
            )


def _with_doubt(question: Question, outputs: np.ndarray) -> Question:
    """A picture with the doubt of a classifier that is not sure of any class."""
    largest = float(outputs.max())
    if not question.is_picture or len(outputs) == 1 or largest >= UNSURE:
        return question
    doubt = f"the largest output is only {100 * largest:.0f}%"
    return question._replace(doubts=(*question.doubts, doubt))


def _answer_row(
    question: Question, outputs: np.ndarray, classes: tuple[str, ...] | None
) -> dict[str, Any]:
    """The row of an example in the CSV file of answers."""
    row: dict[str, Any] = {"image": question.name, "label": question.label}
    numbers = outputs.tolist()
    if classes is None:
        return row | {f"output {k}": number for k, number in enumerate(numbers)}
    names = classes or tuple(map(str, range(max(2, len(numbers)))))
    if len(numbers) == 1:  # the output is that of class 1
        numbers = [1 - numbers[0], numbers[0]]
    row["says"] = names[answers.class_of(outputs)]
    row |= {f"output {name}": number for name, number in zip(names, numbers, strict=True)}
    return row | {"doubts": "; ".join(question.doubts)}


def _draw(questions: list[Question], out: Console) -> None:
    """Draw pictures as the network sees them, if they are few and fit the terminal."""
    pictures = [question for question in questions if question.is_picture]
    for picture in pictures if len(pictures) <= DRAWN else ():
        side = math.isqrt(len(picture.x))
        if side * side == len(picture.x) and 8 <= side <= out.width:
            console.say(out, f"What the network sees of {picture.name}:")
            for line in answers.lines_of(picture.x.reshape(side, side), out.encoding):
                out.print(line, no_wrap=True, crop=False)
