"""What does the best-known small network, 784-16-16-10, learn, and what does it answer to noise?

    python experiments/sixteen_sixteen.py            # 70 seconds on 2 cores
    python experiments/sixteen_sixteen.py --smoke    # seconds, for the tests

Sigmoid units, cross-entropy, η = 0.5, λ = 5, mini-batches of 10, 30 epochs of all 50,000 training
images of MNIST, fixed in advance. Accuracy on the test set after the last epoch. Noise: 1,000
images whose pixels are uniform in [0, 1], the same for all seeds. How sure the network is: the
largest of its ten outputs, as it is.

Source: 3Blue1Brown, Neural networks, 2017, videos 1 and 2: 13,002 weights and biases; none of the
hoped-for edges; sure answers to noise; about 96 % of new images, by a recipe that is not told,
so that it cannot be judged (at η = 0.1 instead of 0.5, four of our runs end at 95.0 %).
"""

import tempfile
from dataclasses import dataclass

import jax
import numpy as np
from matplotlib.figure import Figure

import jaxnet as jn
from jaxnet.reporting import experiment

NET = jn.Network((784, 16, 16, 10))


@dataclass(frozen=True)
class Config(experiment.Config):
    """Settings of the experiment."""

    seeds: int = 16
    """Of the network, from 0 on."""
    epochs: int = 30
    """Epochs of each run."""
    examples: int = 50_000
    """Training images, the first of MNIST."""
    noise: int = 1000
    """Images of noise."""


def run(config: Config) -> tuple[list[dict], dict]:
    """All seeds in one sweep, then their outputs on test images and on noise."""
    mnist = jn.datasets.mnist()
    assert mnist.test is not None
    with tempfile.TemporaryDirectory() as folder:  # which keeps the weights of all seeds
        study = jn.sweep(
            NET, mnist._replace(valid=mnist.test), jn.Recipe(jn.sgd(0.5), l2=5.0), folder=folder,
            seeds=config.seeds, epochs=config.epochs, examples=config.examples,
        )  # fmt: skip
        params = [study.params(0, seed) for seed in range(config.seeds)]
    noise = np.random.default_rng(0).random((config.noise, 784), np.float32)
    predict = jax.jit(jn.predict, static_argnums=0)
    test = np.array([predict(NET, one, mnist.test.x).max(axis=1) for one in params])
    outputs = np.array([predict(NET, one, noise) for one in params])  # (seed, image, digit)
    sure = outputs.max(axis=2)
    said = (outputs.argmax(axis=2)[..., None] == np.arange(10)).mean(axis=1)  # (seed, digit)
    accuracy = study.history.evaluation_accuracy[0, :, -1]
    favourite = said.mean(axis=0).argmax()
    rows = [
        experiment.rounded("weights and biases", NET.n_params, 13_002, places=0),
        experiment.measured("accuracy on test images", accuracy),
        experiment.measured("largest output, test images", test.mean(axis=1), unit=""),
        experiment.measured("largest output, noise", sure.mean(axis=1), unit=""),
        experiment.compared(
            "largest output, test − noise", test.mean(axis=1), sure.mean(axis=1), ""
        ),
        experiment.measured("test images with an output above ½", (test > 0.5).mean(axis=1)),
        experiment.measured("noise with an output above ½", (sure > 0.5).mean(axis=1)),
        experiment.measured("noise taken for a seed's favourite", said.max(axis=1)),
        experiment.measured(f"noise taken for the digit {favourite}", said[:, favourite]),
    ]
    return rows, {"weights": np.array(params[0][0].w), "test": test, "noise": sure, "said": said}


def plot(curves: dict) -> Figure:
    """The first seed's weights into the first layer; how sure all seeds are, and of what."""
    figure, left, middle, right = experiment.panels(4, 3, 3, width=12, height=4)
    images, most = curves["weights"].T.reshape(4, 4, 28, 28), np.abs(curves["weights"]).max()
    images = np.pad(images, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=np.nan)
    images = images.swapaxes(1, 2).reshape(120, 120)
    shown = left.imshow(images, cmap="gray", vmin=-most, vmax=most)
    left.set_axis_off()
    left.set_title("weights into the first 16 units, seed 0")
    figure.colorbar(shown, ax=left, shrink=0.8, label="weight")
    edges = np.linspace(0, 1, 21)
    for style, (name, label) in enumerate((("test", "test images"), ("noise", "uniform noise"))):
        parts = [100 * np.histogram(one, edges)[0] / len(one) for one in curves[name]]
        experiment.band(middle, (edges[1:] + edges[:-1]) / 2, parts, style, label)
    middle.set(xlabel="largest output", ylabel="images, % per 0.05", xlim=(0, 1), ylim=0)
    middle.legend(frameon=False, title="mean and range of the seeds")
    right.bar(range(10), 100 * curves["said"].mean(axis=0), color=experiment.STYLES[1]["color"])
    right.plot(100 * curves["said"].T, "k.")
    right.set(xlabel="its answer", ylabel="images of noise, %", xticks=range(10))
    right.set_title("bars: mean; dots: seeds")
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, epochs=1, examples=200, noise=20)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
