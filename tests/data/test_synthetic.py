"""Wrong arguments of the synthetic data sets, each refused in one sentence."""

import numpy as np
import pytest

import jaxnet as jn


def fails(x):
    raise KeyError("no such column")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jn.datasets.xor(n=0), "n must be a whole number of at least 1, not 0"),
        (lambda: jn.datasets.xor(noise=-1), r"noise must be a number in \[0"),
        (lambda: jn.datasets.xor(seed=-1), r"seed must be a whole number in .*, not -1"),
        (lambda: jn.datasets.spirals(n_classes=0), "n_classes must be a whole number of at least"),
        (lambda: jn.datasets.spirals(turns=np.nan), "turns must be a .*number"),
        (lambda: jn.datasets.function(np.sin, low=1, high=1), "low must be below high, but low is"),
        (lambda: jn.datasets.function(np.sin, n_in=0), "n_in must be a whole number of at least 1"),
        (
            lambda: jn.datasets.function(fails, n=3),
            r"f cannot be computed of inputs \(3, 1\): 'no such column'\.",
        ),
        (lambda: jn.datasets.quadratic(n_in=0), "n_in must be a whole number of at least 1, not 0"),
    ],
)
def test_a_wrong_argument_is_refused_in_a_sentence(call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert str(raised.value).endswith(".")


def test_the_error_of_a_function_is_chained():
    with pytest.raises(ValueError, match="f cannot be computed") as raised:
        jn.datasets.function(fails, n=3)
    assert isinstance(raised.value.__cause__, KeyError)
