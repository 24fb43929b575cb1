"""Interactive pages in which the browser itself computes, each in one file that works offline.

The folder `demos` has their parts. All pages need `shared.css`, `page.js`, and `network.js`: the
network with its handwritten gradient. Each has an HTML, a CSS and a JavaScript file of its own, and
a JSON file with its data, if it needs any.
"""

import base64
import html
import json
from pathlib import Path

import numpy as np
from jax.flatten_util import ravel_pytree

from jaxnet.core import activations, costs
from jaxnet.core.network import Network
from jaxnet.core.registry import suggestion
from jaxnet.core.types import Params

PARTS = Path(__file__).parent / "demos"
"""The folder with the parts of the pages."""
TITLES = {
    "neuron": "Why a neuron that is badly wrong learns slowly",
    "backprop": "Backpropagation, with every number shown",
    "optimizers": "A race of optimizers",
    "playground": "A small network learns before your eyes",
    "digits": "Draw a digit, and a network answers",
}
"""The pages by name, with their titles."""
HIDDEN = ("sigmoid", "tanh", "relu", "softplus", "linear")
"""The hidden activations that `network.js` has."""
COSTS = {
    "quadratic": costs.Quadratic(),
    "cross-entropy": costs.CrossEntropy(),
    "quadratic-linear": costs.Quadratic(activations.linear),
    "log-likelihood": costs.LogLikelihood(),
}
"""The costs that `network.js` has, by its names for them."""
DIGITS = (784, 10)
"""The numbers of inputs and outputs of a network for the page `digits`."""
BEGINNING = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
    '<meta name="generator" content="jaxnet demo">\n'
)
"""What all pages begin with."""


def demo_page(name: str, network: tuple[Network, Params] | None = None) -> str:
    """An interactive page, complete in one file.

    Args:
      name: one of `TITLES`, such as "neuron".
      network: for the page "digits", the network that answers, with its parameters; `None`, the
        default, for that of the page.

    Returns:
      The page, as the content of an .html file.

    Raises:
      ValueError: there is no page of this name, or it does not take this network.

    >>> "<title>Why a neuron" in demo_page("neuron")
    True
    """
    check(name, network is not None)
    styles = "".join(_part(part) for part in ("shared.css", f"{name}.css"))
    scripts = "".join(
        f"<script>\n{_part(part)}</script>\n" for part in ("network.js", "page.js", f"{name}.js")
    )
    return (
        f"{BEGINNING}"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(TITLES[name])} · jaxnet</title>\n<style>\n{styles}</style></head>\n"
        f"<body>\n{_part(f'{name}.html')}{_data(name, network)}{scripts}</body></html>\n"
    )


def check(name: str, has_network: bool) -> None:
    """Raise a ValueError unless there is a page of a name, and it takes a network if it has one.

    Args:
      name: the name.
      has_network: whether a network is to answer on the page.
    """
    if name not in TITLES:
        raise ValueError(f"there is no demo {name!r}; {suggestion(name, TITLES)}")
    if has_network and name != "digits":
        raise ValueError(f"the demo digits alone takes a network, and not {name}; leave it out.")


def is_demo_page(path: Path) -> bool:
    """Whether a file is one of the pages, by its first bytes.

    Args:
      path: the file.
    """
    with path.open("rb") as file:
        return file.read(len(BEGINNING)) == BEGINNING.encode()


def network_data(net: Network, params: Params) -> dict[str, object]:
    """A network as `network.js` reads it.

    Args:
      net: the architecture.
      params: its parameters.

    Returns:
      Its sizes, the names of its parts, and its parameters as 16-bit floats in base64, in the order
      w, b, w, b, …

    Raises:
      ValueError: it has a part that `network.js` has not, or a parameter that is no 16-bit float.

    >>> from jaxnet.core.types import Layer
    >>> data = network_data(Network((2, 1)), (Layer(w=np.ones((2, 1)), b=np.zeros(1)),))
    >>> data["sizes"], data["cost"], data["params"]
    ([2, 1], 'cross-entropy', 'ADwAPAAA')
    """
    hidden = {activations.NAMED.name_of(activation) for activation in net.activations}
    hidden = hidden or {"sigmoid"}
    cost = next((name for name, known in COSTS.items() if known == net.cost), None)
    if cost is None or len(hidden) > 1 or not hidden <= {*HIDDEN}:
        raise ValueError(
            f"the pages compute with one hidden activation of {', '.join(HIDDEN)} and a cost of "
            f"{', '.join(map(repr, COSTS.values()))}, not with {net}."
        )
    flat = np.asarray(ravel_pytree(params)[0])
    largest, most = np.abs(flat).max(), np.finfo("<f2").max
    if not largest <= most:
        raise ValueError(
            f"the pages have parameters as 16-bit floats, up to {most:,.0f} in size, but the "
            f"network's reach {largest:g}; train one with a lower learning rate."
        )
    return {
        "sizes": list(net.sizes),
        "hidden": hidden.pop(),
        "cost": cost,
        "params": base64.b64encode(flat.astype("<f2").tobytes()).decode(),
    }


def _data(name: str, network: tuple[Network, Params] | None) -> str:
    """The data of a page, as an element that its script reads; "" if it has none."""
    if not (PARTS / f"{name}.json").exists():
        return ""
    text = _part(f"{name}.json")
    if network is not None:
        net, params = network
        if (net.sizes[0], net.sizes[-1]) != DIGITS:
            raise ValueError(
                f"the demo digits needs a network of 784 inputs and 10 outputs, not {net.sizes}; "
                "train one by jaxnet train."
            )
        about = f"It is your own network, {'-'.join(map(str, net.sizes))}."
        text = json.dumps(json.loads(text) | network_data(net, params) | {"about": about}) + "\n"
    # "<" would end the element if "/script>" came after it.
    text = text.replace("<", "\\u003c")
    return f'<script type="application/json" id="data">{text}</script>\n'


def _part(name: str) -> str:
    """The text of a file of the folder `demos`."""
    return (PARTS / name).read_text(encoding="utf-8")
