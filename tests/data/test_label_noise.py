import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxnet as jn
from jaxnet.data.label_noise import label_noise

LABELS = np.random.default_rng(0).choice([0, 3, 4, 7], 2000).astype(np.int32)
DATA = jn.Dataset(jn.Split(np.zeros((2000, 1)), LABELS), jn.Split(np.zeros((9, 1)), LABELS[:9]))


@pytest.mark.parametrize("fraction", [0, 0.1, 0.5, 1])
def test_a_fraction_of_the_labels_is_wrong(fraction):
    noisy = label_noise(DATA, fraction, seed=3)
    is_wrong = noisy.train.y != LABELS
    assert is_wrong.sum() == 2000 * fraction
    assert noisy.train.y.dtype == np.int32
    assert noisy.train.x is DATA.train.x
    assert noisy.valid is DATA.valid
    again, other = (label_noise(DATA, fraction, seed=seed) for seed in (3, 4))
    assert np.array_equal(again.train.y, noisy.train.y)
    assert fraction == 0 or not np.array_equal(other.train.y, noisy.train.y)
    more = label_noise(DATA, (1 + fraction) / 2, seed=3)
    assert np.array_equal(more.train.y[is_wrong], noisy.train.y[is_wrong])


def test_the_other_classes_are_equally_likely():
    noisy = label_noise(DATA, 1.0, seed=0).train.y
    for label in (0, 3, 4, 7):
        others, counts = np.unique(noisy[label == LABELS], return_counts=True)
        assert set(others) == {0, 3, 4, 7} - {label}
        assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((DATA, 1.5), r"fraction must be in \[0, 1\], not 1.5"),
        ((DATA, -0.1), "fraction must be a number in"),
        ((DATA, 0.1, -1), "seed must be a whole number"),
        ((jn.datasets.quadratic(5), 0.1), r"needs integer labels \(n,\), not float64 of shape"),
        ((jn.Dataset(jn.Split(np.zeros((2, 1)), np.ones(2, int))), 0.1), "of two classes or more"),
    ],
)
def test_what_has_no_other_labels_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        label_noise(*arguments)


def test_labels_of_jax_are_changed_too():
    data = jn.Dataset(jn.Split(jnp.zeros((4, 1)), jnp.array([0, 1, 0, 1])))
    assert label_noise(data, 1.0).train.y.tolist() == [1, 0, 1, 0]
