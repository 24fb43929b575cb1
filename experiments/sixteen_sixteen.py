"""What does the best-known small network, 784-16-16-10, learn, and what does it answer to noise?

    python experiments/sixteen_sixteen.py            # 70 seconds on 2 cores
    python experiments/sixteen_sixteen.py --smoke    # seconds, for the tests

Sigmoid units, cross-entropy, η = 0.5, λ = 5, mini-batches of 10, 30 epochs of all 50,000 training
images of MNIST, fixed in advance. Accuracy on the test set after the last epoch. Noise: 1,000
images whose pixels are uniform in [0, 1], the same for all seeds. How sure the network is: the
largest of its ten outputs, as it is.

Source: 3Blue1Brown, Neural networks, 2017, videos 1 and 2: 13,002 weights and biases; none of the
hoped-for edges; sure answers to noise; about 96% of new images, by a recipe that is not stated,
so that it cannot be judged (at η = 0.1 instead of 0.5, four of our runs end at 95.0%).
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
    """Seeds of the network, from 0 on."""
    epochs: int = 30
    """Epochs of each run."""
    examples: int = 50_000
    """Training images, the first of MNIST."""
    noise: int = 1000
    """Images of noise."""


def train(config: Config) -> tuple[np.ndarray, list[jn.Params]]:
    """The test accuracy of each seed after the last epoch, and its parameters."""
    mnist = jn.datasets.mnist()
    with tempfile.TemporaryDirectory() as folder:  # which keeps the weights of all seeds
        study = jn.sweep(
            NET,
            mnist._replace(valid=mnist.test),
            jn.Recipe(jn.sgd(0.5), l2=5.0),
            folder=folder,
            seeds=config.seeds,
            epochs=config.epochs,
            examples=config.examples,
        )
        params = [study.params(0, seed) for seed in range(config.seeds)]
    return np.asarray(study.history.evaluation_accuracy)[0, :, -1], params


def run(config: Config) -> tuple[list[dict], dict]:
    """All seeds in one sweep, then their outputs on test images and on noise."""
    test = jn.datasets.mnist().test
    assert test is not None
    accuracy, all_params = train(config)
    noise = np.random.default_rng(0).random((config.noise, 784), np.float32)
    predict = jax.jit(jn.predict, static_argnums=0)
    # The largest output of each image, (seed, image).
    sure_test = np.array([predict(NET, params, test.x).max(axis=1) for params in all_params])
    noise_outputs = np.array([predict(NET, params, noise) for params in all_params])
    sure_noise = noise_outputs.max(axis=2)
    is_answer = noise_outputs.argmax(axis=2)[..., None] == np.arange(10)  # (seed, image, digit)
    answers = is_answer.mean(axis=1)  # the share of each digit, (seed, digit)
    favourite = answers.mean(axis=0).argmax()
    mean_test, mean_noise = sure_test.mean(axis=1), sure_noise.mean(axis=1)
    rows = [
        experiment.digits_row("weights and biases", NET.n_params, 13_002, places=0),
        experiment.estimate_row("accuracy on test images", accuracy),
        experiment.estimate_row("largest output, test images", mean_test, unit=""),
        experiment.estimate_row("largest output, noise", mean_noise, unit=""),
        experiment.difference_row("largest output, test − noise", mean_test, mean_noise, unit=""),
        experiment.estimate_row(
            "test images with an output above ½", (sure_test > 0.5).mean(axis=1)
        ),
        experiment.estimate_row("noise with an output above ½", (sure_noise > 0.5).mean(axis=1)),
        experiment.estimate_row("noise taken for a seed's favourite", answers.max(axis=1)),
        experiment.estimate_row(f"noise taken for the digit {favourite}", answers[:, favourite]),
    ]
    curves = {
        "weights": all_params[0][0].w,
        "test": sure_test,
        "noise": sure_noise,
        "said": answers,
    }
    return rows, curves


def weight_images(weights: np.ndarray) -> np.ndarray:
    """The weights into 16 units as 4 × 4 images of 28 × 28, with NaN between them."""
    images = weights.T.reshape(4, 4, 28, 28)
    images = np.pad(images, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=np.nan)
    return images.swapaxes(1, 2).reshape(4 * 30, 4 * 30)


def plot(curves: dict) -> Figure:
    """The first seed's weights into the first layer; how sure all seeds are, and of what."""
    figure, (left, middle, right) = experiment.panels(4, 3, 3, width=12, height=4)
    largest = np.abs(curves["weights"]).max()
    images = weight_images(curves["weights"])
    shown = left.imshow(images, cmap="gray", vmin=-largest, vmax=largest)
    left.set_axis_off()
    left.set_title("weights into the first 16 units, seed 0")
    figure.colorbar(shown, ax=left, shrink=0.8, label="weight")

    edges = np.linspace(0, 1, 21)
    middles = (edges[1:] + edges[:-1]) / 2
    for style, (name, label) in enumerate((("test", "test images"), ("noise", "uniform noise"))):
        shares = [100 * np.histogram(outputs, edges)[0] / len(outputs) for outputs in curves[name]]
        experiment.band(middle, middles, shares, style, label)
    middle.set(xlabel="largest output", ylabel="images, % per 0.05", xlim=(0, 1), ylim=0)
    middle.legend(frameon=False, title="mean and range of the seeds")

    answers = 100 * curves["said"]
    right.bar(range(10), answers.mean(axis=0), color=experiment.line_style(1)["color"])
    right.plot(answers.T, "k.")
    right.set(xlabel="its answer", ylabel="images of noise, %", xticks=range(10))
    right.set_title("bars: mean; dots: seeds")
    return figure


if __name__ == "__main__":
    smoke = Config(seeds=2, epochs=1, examples=200, noise=20)
    experiment.main(__file__, __doc__, Config(), smoke, run, plot)
