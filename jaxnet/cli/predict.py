"""`jaxnet predict`: classify images with a saved network."""

import dataclasses
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console

from jaxnet.cli import console
from jaxnet.cli.options import DataOption, read
from jaxnet.core import costs, network
from jaxnet.io import network_files


@dataclasses.dataclass(frozen=True)
class Predict:
    """Classify images, or rows of a test set, and print the output of every class.

    An image is a PNG, or a .npy array, with as many pixels as the network has inputs; white on
    black, as MNIST is.
    """

    network: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="NETWORK")]
    """A network.json or network.safetensors, a run's folder, or a folder of runs: its newest."""
    images: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        tyro.conf.arg(metavar="IMAGE", help_behavior_hint=""),
    ] = ()
    """PNG or .npy files; they stand before any option."""
    test: Annotated[tuple[int, ...], tyro.conf.arg(help_behavior_hint="")] = ()
    """Rows of the test set to classify, from 0."""
    data: DataOption = "mnist"
    """Data set of --test: mnist, digits, a folder of IDX files, or an .npz archive."""
    invert: bool = False
    """Invert the images, which are dark on a light background."""

    def __call__(self, out: Console) -> None:
        """Classify and print."""
        if not self.images and not self.test:
            raise ValueError("nothing to classify: name image files, or rows with --test 0 1 2.")
        if self.invert and not self.images:
            raise ValueError(
                "--invert is for image files, and none is given; leave it out with --test."
            )
        net, params = network_files.load(_network_file(self.network))
        names, xs, labels = [], [], []
        for path in self.images:
            names.append(path.name)
            xs.append(_read_image(path, net.sizes[0], self.invert))
            labels.append("")
        if self.test:
            test = read(self.data).test
            if test is None:
                raise ValueError(
                    f"--data {self.data} has no test set; name a data set that has one."
                )
            if test.x.shape[1] != net.sizes[0]:
                raise ValueError(
                    f"{self.data} has {test.x.shape[1]} inputs, but the network takes "
                    f"{net.sizes[0]}; choose the data set that it was trained on with --data."
                )
            for row in self.test:
                if not 0 <= row < len(test.x):
                    raise ValueError(f"--test must be in [0, {len(test.x) - 1}], not {row}.")
                names.append(f"test {row}")
                xs.append(test.x[row])
                labels.append(str(np.asarray(test.y[row])))
        outputs = [np.asarray(network.predict(net, params, x)) for x in xs]
        damaged = [name for name, a in zip(names, outputs, strict=True) if np.isnan(a).any()]
        if damaged:
            raise ValueError(
                f"the network's outputs for {damaged[0]} are NaN, so that it predicts no class; "
                "name a network from before its run diverged."
            )
        kind = "probability" if isinstance(net.cost, costs.LogLikelihood) else "output"
        out.print(console.outputs_table(kind, names, labels, outputs))
        if kind == "output":
            console.say(
                out, "The outputs are independent of each other: they need not add up to 100."
            )


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


def _read_image(path: Path, n_in: int, invert: bool) -> np.ndarray:
    """An image as flat float32 pixels in [0, 1], with white as 1."""
    try:
        x = np.load(path, allow_pickle=False) if path.suffix == ".npy" else _pixels(path)
    except OSError as error:
        reason = error.strerror or "it is not a PNG or .npy file"
        raise ValueError(f"cannot read {path}: {reason}.") from None
    except (ValueError, EOFError, SyntaxError):
        raise ValueError(f"cannot read {path}: it is not a PNG or .npy file.") from None
    if x.dtype == np.uint8:
        x = x / np.float32(255)
    if x.dtype.kind != "f" or not x.size or not (x.min() >= 0 and x.max() <= 1):
        raise ValueError(f"{path} must hold uint8 pixels, or floats in [0, 1].")
    side = round(n_in**0.5)
    shapes = {(n_in,), (1, n_in)} | ({(side, side)} if side * side == n_in else set())
    if x.shape not in shapes:
        wanted = f"{side}×{side}" if (side, side) in shapes else str(n_in)
        given = "×".join(map(str, x.shape[::-1]))
        raise ValueError(f"{path} has {given} pixels, but the network takes {wanted}; resize it.")
    x = x.astype(np.float32).reshape(-1)
    return 1 - x if invert else x


def _pixels(path: Path) -> np.ndarray:
    """The grey values of an 8- or 16-bit picture; black shows through where it is transparent."""
    from PIL import Image  # matplotlib brings it

    try:
        with Image.open(path) as image:
            if image.mode.startswith("I"):
                return np.asarray(image) / np.float32(65535)
            if "A" in image.getbands() or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
            return np.asarray(image.convert("L"))
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from None
