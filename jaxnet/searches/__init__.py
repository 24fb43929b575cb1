"""Searches for good hyperparameters, on the lanes of sweeps: each is one function.

All take a network, data, a recipe and ranges, and return what has the fields `best`,
`networks_epochs` and `progress`. With a folder the same call goes on where an earlier one ended.
"""

from jaxnet.searches._asha import Asha, asha
from jaxnet.searches._hyperband import Hyperband, hyperband
from jaxnet.searches._hypergradient import Hypergradient, hypergradient
from jaxnet.searches._population import Population, population
from jaxnet.searches.results import BestNetwork, Progress

__all__ = [
    "Asha",
    "BestNetwork",
    "Hyperband",
    "Hypergradient",
    "Population",
    "Progress",
    "asha",
    "hyperband",
    "hypergradient",
    "population",
]
