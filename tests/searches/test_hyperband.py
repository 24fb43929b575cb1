"""The brackets of Hyperband, against the table of the paper."""

import numpy as np

import jaxnet as jn
from jaxnet.searches._hyperband import brackets

TABLE = (
    ((81, 1), (27, 3), (9, 9), (3, 27), (1, 81)),
    ((34, 3), (11, 9), (3, 27), (1, 81)),
    ((15, 9), (5, 27), (1, 81)),
    ((8, 27), (2, 81)),
    ((5, 81),),
)
"""Li et al., 2018, table 1: R = 81, η = 3."""


def test_brackets_are_those_of_the_paper():
    assert brackets(81, 3) == TABLE


def test_powers_of_the_factor_are_not_lost_to_rounding():
    assert len(brackets(3**5, 3)) == 6  # the logarithm of 243 to the base 3 is 4.999… in floats
    assert brackets(1, 3) == (((1, 1),),)


def test_each_bracket_trains_what_its_rungs_say():
    data, net = jn.datasets.xor(), jn.Network((2, 4, 2))
    search = jn.searches.hyperband(
        net, data, jn.Recipe(jn.sgd()), {"learning_rate": (0.1, 10.0)},
        epochs=9, factor=3, seeds=2, log=None,
    )  # fmt: skip
    assert search.brackets == brackets(9, 3)
    rates = set()
    for study, sizes in zip(search.studies, search.brackets, strict=True):
        for (n, epochs), (n_next, _) in zip(sizes, (*sizes[1:], (0, 0)), strict=True):
            assert (study.epochs == epochs).sum() == 2 * (n - n_next)
        rates |= {setting.number("learning_rate") for setting in study.settings}
    assert len(rates) == sum(sizes[0][0] for sizes in search.brackets)
    best = max(study.score.mean(axis=1).max() for study in search.studies)
    np.testing.assert_allclose(search.best.score, best)
