import numpy as np
import pytest

import jaxnet as jn
from jaxnet.recipes.trainable import trainable_masks

NET = jn.Network((2, 3, 2))


def test_a_prefix_stands_for_masks_of_every_array():
    w = np.array([[1, 0, 1], [0, 1, 1]])
    for ones in (w, w.astype(float), w.astype(bool), w.tolist()):
        first, last = trainable_masks(NET, (jn.Layer(ones, True), False))
        np.testing.assert_array_equal(first.w, w.astype(bool))
        assert first.b is None
        assert first.w.dtype == last.w.dtype == bool
        assert last.w.shape == (3, 2)
        assert not last.w.any()
        assert not last.b.any()
    first, last = trainable_masks(NET, False)
    assert not first.w.any()
    assert not last.b.any()


def test_what_is_trained_whole_is_no_mask():
    for whole in (None, True, 1, (True, 1), [True, jn.Layer(True, np.bool_(True))]):
        assert trainable_masks(NET, whole) is None


@pytest.mark.parametrize(
    ("trainable", "message"),
    [
        ((True, True, True), "one entry for each of the 2 layers of sizes \\(2, 3, 2\\)"),
        (jn.Layer(True, True), "trainable must be one boolean, or a tuple"),
        ("all", "trainable\\[0\\] must be of booleans, or of 0 and 1, not 'all'"),
        ((0.5, True), "trainable\\[0\\] must be of booleans, or of 0 and 1, not 0.5"),
        ((True, np.ones((3, 2))), "trainable\\[1\\] must be a boolean for the whole layer"),
        (
            (jn.Layer(np.ones((3, 2)), True), True),
            "trainable\\[0\\].w has shape \\(3, 2\\), but the parameters have \\(2, 3\\)",
        ),
        ((jn.Layer(True, [1, 0, 2]), True), "trainable\\[0\\].b must be of booleans"),
    ],
)
def test_what_is_no_prefix_is_refused(trainable, message):
    with pytest.raises(ValueError, match=message):
        trainable_masks(NET, trainable)
