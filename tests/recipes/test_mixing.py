"""Mixup, CutMix and input noise against their formulas, and their draws against scipy's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxnet.recipes.mixing import cutmix, draw_partners, draw_shares, input_noise, mixup

N = 400
ONES = np.ones(N, np.float32)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0, 8.0])
def test_shares_have_a_beta_distribution(alpha):
    shares = draw_shares(jax.random.key(1), alpha, np.ones(4000, np.float32))
    low = np.asarray(shares)[shares < 0.5]  # numbers just below 1 are rounded to it
    assert abs(len(low) - 2000) < 4 * np.sqrt(1000)
    assert stats.kstest(low, lambda x: 2 * stats.beta(alpha, alpha).cdf(x)).pvalue > 1e-3


def test_partners_are_uniform_permutations_of_the_examples_that_are_present():
    is_present = np.array([True, False, True, True, False])
    keys = jax.random.split(jax.random.key(0), 6000)
    partners = np.asarray(jax.vmap(lambda key: draw_partners(key, jnp.asarray(is_present)))(keys))
    assert np.array_equal(partners[:, ~is_present], np.tile([1, 4], (6000, 1)))
    permutations, counts = np.unique(partners[:, is_present], axis=0, return_counts=True)
    assert len(permutations) == 6
    assert np.array_equal(np.sort(permutations, axis=1), np.tile([0, 2, 3], (6, 1)))
    assert stats.chisquare(counts).pvalue > 1e-3


def test_mixup_mixes_inputs_and_targets_by_the_same_shares():
    """One-hot inputs and labels: each row shows who was mixed with whom, and how."""
    xs, ys = np.eye(N, dtype=np.float32), np.arange(N, dtype=np.int32)
    mixed_x, mixed_y = map(np.asarray, mixup(1.0).apply(jax.random.key(0), xs, ys, ONES, N))
    np.testing.assert_array_equal(mixed_x, mixed_y)
    np.testing.assert_allclose(mixed_x.sum(axis=1), 1, rtol=1e-6)
    shares, others = np.diag(mixed_x), mixed_x - np.diag(np.diag(mixed_x))
    has_partner = (others > 0).sum(axis=1)
    assert set(has_partner) <= {0, 1}
    assert (has_partner == 0).sum() < 10  # its own partner: once on average
    assert ((others > 0).sum(axis=0) <= 1).all()  # a permutation
    assert stats.kstest(shares[has_partner == 1], stats.uniform.cdf).pvalue > 1e-3


def test_cutmix_replaces_a_rectangle_and_mixes_targets_by_its_area():
    """Images of one number each, the example's own."""
    height, width = 6, 9
    numbers, labels = np.arange(N, dtype=np.float32), np.arange(N, dtype=np.int32)
    xs = np.repeat(numbers[:, None], height * width, axis=1)
    rule = cutmix(1.0, shape=(height, width))
    images, targets = map(np.asarray, rule.apply(jax.random.key(0), xs, labels, ONES, N))
    sides = []
    for image, target, number in zip(
        images.reshape(N, height, width), targets, labels, strict=True
    ):
        is_cut = image != number
        np.testing.assert_allclose(target[number], 1 - is_cut.mean(), atol=1e-6)
        np.testing.assert_allclose(target.sum(), 1, rtol=1e-6)
        if is_cut.any():
            (partner,) = np.unique(image[is_cut])
            np.testing.assert_allclose(target[int(partner)], is_cut.mean(), atol=1e-6)
            rows, columns = np.flatnonzero(is_cut.any(axis=1)), np.flatnonzero(is_cut.any(axis=0))
            assert is_cut[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
            sides.append((len(rows), len(columns)))
    areas = np.prod(sides, axis=1) / (height * width)
    expected = _areas(np.random.default_rng(0), 20_000, height, width)
    standard_error = expected.std() / np.sqrt(len(areas))
    assert abs(areas.mean() - expected[expected > 0].mean()) < 4 * standard_error


def _areas(random, n, height, width):
    """The areas of n rectangles drawn by the definition, one after the other."""
    areas = []
    for _ in range(n):
        cut = np.sqrt(1 - random.beta(1.0, 1.0))
        area = 1.0
        for size in (height, width):
            length, middle = int(size * cut), int(random.integers(size))
            first = middle - length // 2
            area *= max(0, min(size, first + length) - max(0, first)) / size
        areas.append(area)
    return np.array(areas)


def test_noise_is_normal_and_leaves_labels_alone():
    xs, ys = np.full((N, 20), 255, np.uint8), np.zeros(N, np.int32)
    noisy, labels = input_noise(0.5).apply(jax.random.key(2), xs, ys, ONES, 10)
    assert labels is ys
    standardized = (np.asarray(noisy).ravel() - 1) / 0.5
    assert stats.kstest(standardized, stats.norm.cdf).pvalue > 1e-3
