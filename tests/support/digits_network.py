"""The network that the page of digits is shipped with, and its examples.

    python tests/support/digits_network.py    # two minutes on 2 cores

writes jaxnet/reporting/demos/digits.json: a 784-16-16-10 network, trained on MNIST's images moved,
turned and scaled a little, as people draw them; and the first test image of each digit.
"""

import base64
import json
from pathlib import Path

import jax
import numpy as np

import jaxnet as jn
from jaxnet.reporting import demo_pages

FILE = Path(__file__).parents[2] / "jaxnet" / "reporting" / "demos" / "digits.json"
NET = jn.Network((784, 16, 16, 10))
RECIPE = jn.Recipe(
    jn.adam(0.003),
    schedule=jn.schedules.cosine(40),
    augmentation=jn.Augmentation(shift=1, rotation=10, scaling=0.1),
)


def main() -> None:
    """Train, and write the file."""
    data = jn.datasets.mnist()
    run = jn.train(NET, data, RECIPE, epochs=40, batch_size=32)
    params = jax.tree.map(lambda leaf: leaf.astype(np.float16).astype(np.float32), run.params)
    accuracy = jn.evaluate(NET, params, data.test).accuracy
    labels = np.asarray(data.test.y)
    first = [int(np.argmax(labels == digit)) for digit in range(10)]
    content = demo_pages.network_data(NET, params) | {
        "about": f"It is a 784-16-16-10 network of {NET.n_params:,} numbers, right about "
        f"{accuracy:.1%} of MNIST's test set.",
        "examples": base64.b64encode(np.asarray(data.test.x)[first].tobytes()).decode(),
    }
    FILE.write_text(json.dumps(content) + "\n", "utf-8")
    print(f"accuracy on the test set: {accuracy:.2%}")


if __name__ == "__main__":
    main()
