import jax
import numpy as np
import pytest

from jaxnet.core import initializers

N_IN, N_OUT = 400, 300


@pytest.mark.parametrize(
    ("init", "w_std", "b_std"),
    [
        (initializers.default, N_IN**-0.5, 1),
        (initializers.large, 1, 1),
        (initializers.he, (2 / N_IN) ** 0.5, 0),
        (initializers.glorot, (2 / (N_IN + N_OUT)) ** 0.5, 0),
        (initializers.gaussian(0.01), 0.01, 0),
    ],
)
def test_moments(init, w_std, b_std):
    layer = init(jax.random.key(1), N_IN, N_OUT)
    assert layer.w.shape == (N_IN, N_OUT)
    # The standard deviation of 120,000 normal numbers is known to 0.2% (300: to 4%).
    assert np.std(layer.w) == pytest.approx(w_std, rel=0.01)
    assert abs(np.mean(layer.w)) < 0.02 * w_std
    assert np.std(layer.b) == pytest.approx(b_std, rel=0.15)


def test_weights_and_biases_are_drawn_apart():
    layer = initializers.default(jax.random.key(1), 1, 1)
    assert layer.w.item() != layer.b.item()


def test_a_negative_standard_deviation_is_refused():
    with pytest.raises(ValueError, match=r"gaussian: std must be a number in \[0, inf\), not -1"):
        initializers.gaussian(-1)
