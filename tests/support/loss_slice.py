"""The plane through the weights of a network that the page of the optimizers races on.

    python tests/support/loss_slice.py

writes jaxnet/reporting/demos/optimizers.json: a 2-3-1 network learns XOR from two seeds. The plane
goes through both ends and the first beginning: (0, 0) and (1, 0) are the ends. `across` leads from
one to the other, and `up`, as long as `across` and orthogonal to it, towards the beginning.
"""

import json
from pathlib import Path

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

import jaxnet as jn

FILE = Path(__file__).parents[2] / "jaxnet" / "reporting" / "demos" / "optimizers.json"
XS, YS = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
NET = jn.Network((2, 3, 1), hidden=jn.activations.tanh)
EPOCHS = 400
SEEDS = (0, 1)


def trained(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A network's weights at the beginning and at the end, as flat vectors."""
    begin = jn.init(NET, jax.random.key(seed))
    data = jn.datasets.arrays(np.array(XS, float), np.array(YS, float))
    run = jn.train(NET, data, jn.Recipe(jn.sgd(1.0)), epochs=EPOCHS, batch_size=4, params=begin,
                   evaluate_on=(), progress=False)  # fmt: skip
    return np.asarray(ravel_pytree(begin)[0]), np.asarray(ravel_pytree(run.params)[0])


def plane() -> dict:
    """What the file holds."""
    (begin, first_end), (_, second_end) = (trained(seed) for seed in SEEDS)
    across = second_end - first_end
    aside = begin - first_end
    along = aside @ across / (across @ across)
    up = aside - along * across
    height = np.linalg.norm(up) / np.linalg.norm(across)
    up /= height
    rounded = lambda vector: np.round(vector.astype(float), 6).tolist()
    return {
        "sizes": list(NET.sizes), "hidden": "tanh", "cost": "cross-entropy", "xs": XS, "ys": YS,
        "origin": rounded(first_end), "across": rounded(across), "up": rounded(up),
        "start": [round(float(along), 3), round(float(height), 3)],
        "minima": [[0, 0], [1, 0]], "window": [-1.1, 2.2, -1.55, 1.2],
    }  # fmt: skip


def main() -> None:
    """Write the file."""
    with jax.enable_x64(True):
        FILE.write_text(json.dumps(plane()) + "\n", "utf-8")


if __name__ == "__main__":
    main()
