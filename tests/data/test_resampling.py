"""Folds against their definition, and against scikit-learn's splitters."""

import numpy as np
import pytest

import jaxnet as jn
from jaxnet.data.resampling import resampling_of

RANDOM = np.random.default_rng(1)
N = 103
LABELS = RANDOM.choice(3, size=N, p=[0.6, 0.3, 0.1])
SPLIT = jn.Split(RANDOM.random((N, 2)), LABELS)
GROUPS = RANDOM.choice(["a", "b", "c", "d"], size=N)
KINDS = {
    "k_fold": jn.resampling.k_fold(5),
    "stratified": jn.resampling.k_fold(5, stratify=True, repeats=2, valid=0.2),
    "holdout": jn.resampling.holdout(0.2, stratify=True, valid=0.1),
    "bootstrap": jn.resampling.bootstrap(4),
    "groups": jn.resampling.leave_one_group_out(GROUPS),
    "given": resampling_of([(np.arange(50), np.arange(50, N))]),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_rows_of_a_fold_are_disjoint_and_the_same_again(name):
    folds, again = KINDS[name].folds(SPLIT), KINDS[name].folds(SPLIT)
    for fold, same in zip(folds, again, strict=True):
        parts = [fold.train, fold.test, *([] if fold.valid is None else [fold.valid])]
        for index, part in enumerate(parts):
            assert len(part)
            assert part.min() >= 0
            assert part.max() < N
            for other in parts[index + 1 :]:
                assert not np.intersect1d(part, other).size
        if name != "bootstrap":
            assert sorted(np.concatenate(parts)) == list(range(N))
        for rows, others in zip(fold, same, strict=True):
            np.testing.assert_array_equal(rows, others)


def test_every_example_is_scored_once_in_each_repeat():
    folds = jn.resampling.k_fold(4, repeats=3).folds(SPLIT)
    assert len(folds) == 12
    for repeat in range(3):
        tests = [fold.test for fold in folds[4 * repeat : 4 * repeat + 4]]
        assert sorted(np.concatenate(tests)) == list(range(N))
        sizes = list(map(len, tests))
        assert max(sizes) - min(sizes) <= 1
    assert not np.array_equal(folds[0].test, folds[4].test)


@pytest.mark.parametrize(
    "resampling",
    [jn.resampling.k_fold(5, stratify=True), jn.resampling.holdout(0.2, stratify=True)],
)
def test_stratified_parts_have_each_class_in_proportion(resampling):
    for fold in resampling.folds(SPLIT):
        counts = np.bincount(LABELS[fold.test], minlength=3)
        expected = np.bincount(LABELS) * len(fold.test) / N
        assert np.abs(counts - expected).max() <= 1


def test_a_holdout_per_seed_differs_from_seed_to_seed():
    shared, own = jn.resampling.holdout(0.2), jn.resampling.holdout(0.2, per_seed=True)
    assert np.array_equal(shared.folds(SPLIT, 0)[0].test, shared.folds(SPLIT, 1)[0].test)
    assert not np.array_equal(own.folds(SPLIT, 0)[0].test, own.folds(SPLIT, 1)[0].test)


def test_a_bootstrap_leaves_out_37_percent():
    folds = jn.resampling.bootstrap(200).folds(SPLIT)
    share = np.mean([len(fold.test) / N for fold in folds])
    assert abs(share - (1 - 1 / N) ** N) < 0.01
    assert all(len(fold.train) == N for fold in folds)
    assert len({tuple(fold.train) for fold in folds}) == 200


def test_scikit_learns_splitters_are_taken():
    selection = pytest.importorskip("sklearn.model_selection")
    pairs = list(selection.StratifiedKFold(3).split(SPLIT.x, LABELS))
    folds = resampling_of(iter(pairs)).folds(SPLIT)
    for fold, (train, test) in zip(folds, pairs, strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.test, test)
    by_group = {tuple(fold.test) for fold in KINDS["groups"].folds(SPLIT)}
    theirs = selection.LeaveOneGroupOut().split(SPLIT.x, LABELS, GROUPS)
    assert by_group == {tuple(test) for _, test in theirs}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: jn.resampling.k_fold(1), "n_folds"),
        (lambda: jn.resampling.k_fold(200).folds(SPLIT), "103 examples; choose fewer"),
        (lambda: jn.resampling.holdout(1.5), "fraction"),
        (lambda: jn.resampling.holdout(0.0), "fraction"),
        (lambda: jn.resampling.k_fold(3, valid=1.0), "valid"),
        (lambda: jn.resampling.k_fold(3, valid=0.999).folds(SPLIT), "leaves none to train on"),
        (lambda: jn.resampling.holdout(0.999).folds(SPLIT), "leaves none to train on"),
        (lambda: jn.resampling.leave_one_group_out([1.0, np.nan]), "entry 1 of groups is nan"),
        (lambda: jn.resampling.leave_one_group_out(["a", None]), "entry 1 of groups is None"),
        (lambda: jn.resampling.leave_one_group_out(["a"] * 3), "two different groups"),
        (lambda: jn.resampling.leave_one_group_out([1, 2]).folds(SPLIT), "give one for each"),
        (lambda: resampling_of("k"), "k_fold"),
        (lambda: resampling_of([(np.array([0]), np.array([N]))]).folds(SPLIT), "numbers in"),
        (
            lambda: resampling_of([(np.array([0, 1]), np.array([1]))]).folds(SPLIT),
            "row 1 of fold 0 of resample",
        ),
        (
            lambda: jn.resampling.k_fold(3, stratify=True).folds(SPLIT._replace(y=SPLIT.x)),
            "stratify integer labels",
        ),
    ],
)
def test_what_is_no_resampling_is_refused_in_a_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()
