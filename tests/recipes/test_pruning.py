import numpy as np
import pytest

import jaxnet as jn

RNG = np.random.default_rng(0)
SIZES = (5, 7, 4, 3)
PARAMS = tuple(
    jn.Layer(RNG.normal(size=(n_in, n_out)), RNG.normal(size=n_out))
    for n_in, n_out in zip(SIZES, SIZES[1:])
)


@pytest.mark.parametrize("sparsity", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_layer_loses_exactly_its_share_of_smallest_weights(sparsity):
    for layer, mask in zip(PARAMS, jn.pruning.magnitude(PARAMS, sparsity), strict=True):
        removed = np.abs(layer.w[~mask.w])
        assert len(removed) == round(sparsity * layer.w.size)
        assert mask.b is True
        if removed.size and mask.w.any():
            assert removed.max() <= np.abs(layer.w[mask.w]).min()


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.95])
def test_a_network_loses_exactly_its_share_of_smallest_weights(sparsity):
    masks = jn.pruning.magnitude(PARAMS, sparsity, scope="global")
    weights = np.concatenate([layer.w.ravel() for layer in PARAMS])
    keep = np.concatenate([mask.w.ravel() for mask in masks])
    n_removed = round(sparsity * len(weights))
    threshold = np.sort(np.abs(weights))[n_removed]
    np.testing.assert_array_equal(keep, np.abs(weights) >= threshold)


def test_of_equal_magnitudes_the_first_are_removed():
    params = (jn.Layer(np.array([[1.0, -1.0, 2.0], [-1.0, 1.0, 2.0]]), np.zeros(3)),)
    (mask,) = jn.pruning.magnitude(params, 0.5)
    assert mask.w.tolist() == [[False, False, True], [False, True, True]]
    first, last = jn.pruning.magnitude(
        (jn.Layer(np.ones((2, 2)), np.zeros(2)),) * 2, 0.75, scope="global"
    )
    assert (first.w.sum(), last.w.tolist()) == (0, [[False, False], [True, True]])


def test_a_pruned_network_keeps_its_zeros_and_is_pruned_further():
    data, net = jn.datasets.xor(n=40), jn.Network((2, 8, 2))
    dense = jn.train(net, data, jn.Recipe(jn.adam(0.05)), epochs=1)
    mask = jn.pruning.magnitude(dense.params, 0.5)
    pruned = jn.pruning.apply(dense.params, mask)
    run = jn.train(net, data, jn.Recipe(jn.adam(0.05)), epochs=2, params=pruned, trainable=mask)
    for before, after, layer in zip(pruned, run.params, mask, strict=True):
        assert np.all(np.asarray(after.w)[~layer.w] == 0)
        assert np.any(np.asarray(after.w)[layer.w] != np.asarray(before.w)[layer.w])
    further = jn.pruning.magnitude(run.params, 0.75)
    for layer, layer_further in zip(mask, further, strict=True):
        assert not np.any(layer_further.w & ~layer.w)


@pytest.mark.parametrize("sparsity", [-0.1, 1, float("nan")])
def test_what_is_no_fraction_is_refused(sparsity):
    with pytest.raises(ValueError, match="sparsity must be"):
        jn.pruning.magnitude(PARAMS, sparsity)


def test_what_is_no_network_is_refused():
    diverged = (jn.Layer(np.full((2, 2), np.nan), np.zeros(2)),)
    for params, message in ((diverged, "layer 0 must be finite"), ((), "params must be a tuple")):
        with pytest.raises(ValueError, match=message):
            jn.pruning.magnitude(params, 0.5)
    with pytest.raises(ValueError, match="mask must be one boolean, or a tuple with one entry"):
        jn.pruning.apply(PARAMS, (True,))
