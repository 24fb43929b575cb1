"""Arrays as people have them: names as labels, fractions, groups, sparse inputs."""

import jax
import numpy as np
import pandas
import pytest
import scipy.sparse
from sklearn.model_selection import train_test_split

import jaxnet as jn
from jaxnet.data.partition import partition

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
NAMES = np.array(["cat", "dog", "cat", "cow"] * 10)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (NAMES, ("cat", "cow", "dog")),
        (NAMES.tolist(), ("cat", "cow", "dog")),
        (NAMES.astype(object)[:, None], ("cat", "cow", "dog")),
        (pandas.Categorical(NAMES), ("cat", "cow", "dog")),
        (pandas.Series(NAMES), ("cat", "cow", "dog")),
        (NAMES == "cat", ("False", "True")),
    ],
)
def test_names_of_labels_are_kept(y, classes):
    data = jn.datasets.arrays(X, y)
    assert data.encoding.target.classes == classes
    expected = np.unique(np.asarray(y).ravel(), return_inverse=True)[1]
    assert data.train.y.dtype == np.int32
    np.testing.assert_array_equal(data.train.y, expected)
    net = jn.Network((3, len(classes)), cost=jn.costs.LogLikelihood())
    params = jn.init(net, jax.random.key(0))
    answers = data.encoding.predictions(net, params, X[:2])
    assert set(answers["class"]) <= set(classes)


def test_labels_of_other_splits_have_the_same_numbers():
    data = jn.datasets.arrays(X, NAMES, test=(X[:2], ["dog", "cow"]))
    assert data.test.y.tolist() == [2, 1]
    with pytest.raises(ValueError, match="row 1 of the test data has the label 'hen', which no"):
        jn.datasets.arrays(X, NAMES, test=(X[:2], ["dog", "hen"]))
    with pytest.raises(ValueError, match="the test data have no names as labels"):
        jn.datasets.arrays(X, NAMES, test=(X[:2], [0, 1]))
    with pytest.raises(ValueError, match="row 2 of the targets is None"):
        jn.datasets.arrays(X[:3], np.array(["a", "b", None], object))
    with pytest.raises(ValueError, match="row 2 of the targets is nan"):
        jn.datasets.arrays(X[:3], ["a", "b", float("nan")])
    with pytest.raises(ValueError, match="row 1 of the targets is ''"):
        jn.datasets.arrays(X[:3], ["a", "", "b"])
    weighted = jn.datasets.arrays(X, NAMES, class_weight={"cow": 3})
    assert weighted.train.weight.tolist() == [1, 1, 1, 3] * 10


def test_fractions_are_stratified_as_scikit_learn_does_it():
    y = np.repeat([0, 1, 2], [100, 60, 40])
    x = np.arange(200.0)[:, None] / 200
    data = jn.datasets.arrays(x, y, valid=0.2, test=0.1, seed=3)
    _, expected = train_test_split(y, test_size=0.2, stratify=y, random_state=0)
    assert np.bincount(data.valid.y).tolist() == np.bincount(expected).tolist()
    assert [len(split.y) for split in data] == [140, 40, 20]
    everything = np.sort(np.concatenate([split.x[:, 0] for split in data]))
    np.testing.assert_allclose(everything, x[:, 0], atol=1e-6)
    again = jn.datasets.arrays(x, y, valid=0.2, test=0.1, seed=3)
    np.testing.assert_array_equal(again.test.x, data.test.x)
    other = jn.datasets.arrays(x, y, valid=0.2, test=0.1, seed=4)
    assert not np.array_equal(other.test.x, data.test.x)


def test_weights_and_groups_go_with_their_rows():
    weight = np.arange(1.0, 41)
    data = jn.datasets.arrays(
        weight[:, None] / 40,
        np.arange(40) % 2,
        valid=0.25,
        weight=weight,
        groups=np.arange(40) // 4,
    )
    np.testing.assert_allclose(data.train.weight, data.train.x[:, 0] * 40, rtol=1e-6)
    groups = [set(np.round(split.x[:, 0] * 40 - 1).astype(int) // 4) for split in data[:2]]
    assert not groups[0] & groups[1]
    with pytest.raises(ValueError, match="groups are for valid or test as a fraction"):
        jn.datasets.arrays(X, NAMES, groups=np.arange(40))
    with pytest.raises(ValueError, match="groups name 3 rows, but there are 40"):
        jn.datasets.arrays(X, NAMES, valid=0.2, groups=[1, 2, 3])
    with pytest.raises(ValueError, match="entry 1 of groups is nan"):
        jn.datasets.arrays(X[:3], NAMES[:3], valid=0.4, groups=[1, np.nan, 3])


def test_sparse_inputs_become_dense_with_their_size():
    sparse = scipy.sparse.csr_matrix(X)
    with pytest.warns(UserWarning, match=r"were made dense, 40 × 3 numbers or 0\.0 MiB"):
        data = jn.datasets.arrays(sparse, NAMES)
    np.testing.assert_array_equal(data.train.x, X)


@pytest.mark.parametrize("seed", range(5))
def test_a_partition_has_every_row_once(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(20, 300))
    labels, groups = random.integers(0, 3, n), random.integers(0, 12, n)
    for options in ({}, {"labels": labels}, {"groups": groups}):
        parts = partition(n, 0.3, 0.2, seed=seed, **options)
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))
        if not options.get("groups", np.zeros(0)).size:
            assert [len(rows) for rows in parts[1:]] == [round(0.3 * n), round(0.2 * n)]
