"""The programs of Nielsen's book with jaxnet inside: `network` of chapter 1, `network2` of 3.

`from jaxnet.book import mnist_loader, network, network2` is the only line of the book's that
changes. The names of chapter 3 are here, too: `jaxnet.book.Network` is `network2.Network`.

Source: Nielsen, Neural Networks and Deep Learning, chapters 1 and 3.
"""

from jaxnet.book import mnist_loader, network, network2
from jaxnet.book.costs import CrossEntropyCost, QuadraticCost
from jaxnet.book.mnist_loader import load_data, load_data_wrapper
from jaxnet.book.network2 import Network, load

__all__ = [
    "CrossEntropyCost",
    "Network",
    "QuadraticCost",
    "load",
    "load_data",
    "load_data_wrapper",
    "mnist_loader",
    "network",
    "network2",
]
