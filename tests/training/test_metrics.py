"""Metrics are scikit-learn's, on random and on degenerate input."""

import pickle
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as theirs

import jaxnet as jn
from jaxnet.training.fingerprint import described

RNG = np.random.default_rng(0)


def _softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def _labels_case(n, k, labels=None, weights=None, decimals=None):
    outputs = _softmax(RNG.normal(size=(n, k)))
    if decimals is not None:  # ties
        outputs = np.round(outputs, decimals)
        outputs[:, -1] = 1 - outputs[:, :-1].sum(axis=1)
    labels = RNG.integers(0, k, n) if labels is None else labels
    return outputs, labels, weights


def _binary_case(n, labels=None, weights=None, decimals=9):
    labels = RNG.integers(0, 2, n) if labels is None else labels
    return np.round(RNG.uniform(size=(n, 1)), decimals), labels, weights


LABELS = {
    "random": _labels_case(60, 4),
    "weighted": _labels_case(60, 4, weights=RNG.exponential(size=60)),
    "ten classes": _labels_case(60, 10, weights=RNG.exponential(size=60)),
    "zero weights": _labels_case(60, 4, weights=RNG.integers(0, 2, 60).astype(float)),
    "ties": _labels_case(60, 4, decimals=1),
    "one class only": _labels_case(60, 4, labels=np.full(60, 2)),
    "a class that never appears": _labels_case(60, 4, labels=RNG.integers(0, 3, 60)),
    "a class that is never predicted": (
        np.tile([0.5, 0.3, 0.1, 0.1], (60, 1)), RNG.integers(0, 4, 60), None
    ),
    "one example": _labels_case(1, 4),
    "two outputs": _labels_case(60, 2, weights=RNG.exponential(size=60)),
    "one output": _binary_case(60, weights=RNG.exponential(size=60)),
    "one output, ties": _binary_case(60, decimals=1),
    "one output, one class": _binary_case(60, labels=np.ones(60, int)),
    "one output, one example": _binary_case(1),
}  # fmt: skip
MATRICES = {
    "random": (RNG.uniform(size=(60, 4)), RNG.integers(0, 2, (60, 4)).astype(float), None),
    "weighted": (
        RNG.uniform(size=(60, 4)), RNG.integers(0, 2, (60, 4)), RNG.exponential(size=60)
    ),
    "zero weights": (
        RNG.uniform(size=(60, 4)), RNG.integers(0, 2, (60, 4)).astype(bool),
        RNG.integers(0, 2, 60).astype(float),
    ),
    "labels of one kind": (
        np.round(RNG.uniform(size=(60, 4)), 1), np.tile([1.0, 0.0, 1.0, 0.0], (60, 1)), None
    ),
    "one example": (RNG.uniform(size=(1, 3)), np.array([[1.0, 0.0, 1.0]]), None),
}  # fmt: skip
NUMBERS = {
    "random": (RNG.normal(size=(60, 2)), RNG.normal(size=(60, 2)), None),
    "weighted": (RNG.normal(size=(60, 1)), RNG.normal(size=(60, 1)), RNG.exponential(size=60)),
    "zero weights": (
        RNG.normal(size=(60, 2)), RNG.normal(size=(60, 2)), RNG.integers(0, 2, 60).astype(float)
    ),
    "constant targets": (RNG.normal(size=(60, 1)), np.full((60, 1), 2.0), None),
    "constant targets, met": (np.full((60, 1), 2.0), np.full((60, 1), 2.0), None),
    "one example": (np.array([[1.0]]), np.array([[3.0]]), None),
}  # fmt: skip


def _classes(a):
    return (a[:, 0] > 0.5).astype(int) if a.shape[1] == 1 else a.argmax(axis=1)


def _probabilities(a):
    return np.hstack([1 - a, a]) if a.shape[1] == 1 else a


def _predicted(function, **options):
    return lambda a, y, w: function(
        y, _classes(a) if y.ndim == 1 else a > 0.5, sample_weight=w, **options
    )


def _top_5(a, y, w):
    if a.shape[1] <= 5:
        return 1.0
    classes = range(a.shape[1])
    return theirs.top_k_accuracy_score(y, a, k=5, sample_weight=w, labels=classes)


def _brier(a, y, w):
    p = _probabilities(a)
    return theirs.brier_score_loss(y, p, sample_weight=w, labels=range(p.shape[1]))


def _log_loss(a, y, w):
    p = _probabilities(a)
    return theirs.log_loss(y, p, sample_weight=w, labels=range(p.shape[1]))


def _roc_auc(a, y, w):
    if y.ndim == 1 and a.shape[1] <= 2:
        return theirs.roc_auc_score(y, a[:, -1], sample_weight=w)
    if y.ndim == 1 and len(np.unique(y)) < a.shape[1]:
        return np.nan  # "not defined"
    return theirs.roc_auc_score(y, a, sample_weight=w, multi_class="ovr", average="macro")


OF_CLASSES = {
    "accuracy": _predicted(theirs.accuracy_score),
    "balanced_accuracy": _predicted(theirs.balanced_accuracy_score),
    "precision": _predicted(theirs.precision_score, average="macro", zero_division=0),
    "recall": _predicted(theirs.recall_score, average="macro", zero_division=0),
    "f1": _predicted(theirs.f1_score, average="macro", zero_division=0),
    "f1_micro": _predicted(theirs.f1_score, average="micro", zero_division=0),
    "top_5": _top_5,
    "roc_auc": _roc_auc,
    "log_loss": _log_loss,
    "brier": _brier,
    "hamming": _predicted(theirs.hamming_loss),
}
ONLY_LABELS = ("balanced_accuracy", "top_5", "log_loss", "brier")
OF_NUMBERS = {
    "mae": lambda a, y, w: theirs.mean_absolute_error(y, a, sample_weight=w),
    "rmse": lambda a, y, w: theirs.root_mean_squared_error(y, a, sample_weight=w),
    "r2": lambda a, y, w: theirs.r2_score(y, a, sample_weight=w),
}
CASES = [
    *((name, LABELS, case) for name in OF_CLASSES for case in LABELS),
    *((name, MATRICES, case) for name in OF_CLASSES if name not in ONLY_LABELS
      for case in MATRICES),
    *((name, NUMBERS, case) for name in OF_NUMBERS for case in NUMBERS),
]  # fmt: skip


def _expected(function, outputs, targets, weights):
    """scikit-learn's value of the examples that have a weight."""
    if weights is not None:
        outputs, targets, weights = (array[weights > 0] for array in (outputs, targets, weights))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(outputs, targets, weights)


def test_every_metric_is_compared_with_scikit_learns():
    assert set(OF_CLASSES) | set(OF_NUMBERS) == set(jn.metrics.NAMED)


@pytest.mark.parametrize(("name", "cases", "case"), CASES)
def test_a_metric_is_scikit_learns(name, cases, case, x64):
    outputs, targets, weights = cases[case]
    value = jn.metrics.NAMED[name](outputs, targets, weights)
    expected = _expected((OF_CLASSES | OF_NUMBERS)[name], outputs, targets, weights)
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("label", range(4))
@pytest.mark.parametrize("name", ["Precision", "Recall", "F1"])
def test_a_class_metric_of_one_class_is_scikit_learns(name, label, x64):
    outputs, targets, weights = LABELS["weighted"]
    function = getattr(theirs, f"{name.lower()}_score")
    expected = _predicted(function, average=None)(outputs, targets, weights)[label]
    value = getattr(jn.metrics, name)(label=label)(outputs, targets, weights)
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["Precision", "Recall", "F1"])
@pytest.mark.parametrize("cases", [LABELS, MATRICES], ids=["labels", "matrix"])
def test_a_micro_average_is_scikit_learns(name, cases, x64):
    outputs, targets, weights = cases["weighted"]
    function = getattr(theirs, f"{name.lower()}_score")
    expected = _predicted(function, average="micro")(outputs, targets, weights)
    value = getattr(jn.metrics, name)(average="micro")(outputs, targets, weights)
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("k", range(1, 5))
def test_top_k_is_scikit_learns_also_with_ties(k, x64):
    for case in ("random", "weighted", "ties"):
        outputs, targets, weights = LABELS[case]
        if k < outputs.shape[1]:
            expected = theirs.top_k_accuracy_score(targets, outputs, k=k, sample_weight=weights)
            value = jn.metrics.TopK(k)(outputs, targets, weights)
            np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", jn.metrics.NAMED)
def test_a_metric_is_a_value_that_compiles_once_and_can_be_mapped(name, x64):
    metric = jn.metrics.NAMED[name]
    copied = pickle.loads(pickle.dumps(metric))
    assert copied == metric
    assert hash(copied) == hash(metric)
    assert described(copied) == described(metric)
    outputs, targets, _ = (NUMBERS if name in OF_NUMBERS else LABELS)["random"]
    weights = np.ones((2, len(outputs)))
    stacked = np.stack([outputs, outputs[::-1]])
    mapped = jax.jit(jax.vmap(metric, (0, None, 0)))(stacked, targets, weights)
    alone = [metric(one_outputs, targets) for one_outputs in stacked]
    np.testing.assert_allclose(mapped, alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", jn.metrics.NAMED)
def test_an_example_of_weight_0_is_not_there(name, x64):
    metric = jn.metrics.NAMED[name]
    outputs, targets, _ = (NUMBERS if name in OF_NUMBERS else LABELS)["random"]
    weights = np.ones(len(outputs))
    weights[10:] = 0.0
    poisoned = outputs.copy()
    poisoned[20] = np.nan
    expected = metric(outputs[:10], targets[:10])
    np.testing.assert_allclose(metric(poisoned, targets, weights), expected, rtol=0, atol=1e-12)
    assert np.isnan(metric(outputs, targets, np.zeros(len(outputs))))


@pytest.mark.parametrize("name", jn.metrics.NAMED)
@pytest.mark.parametrize("dtype", ["int32", "int8", "float16"])
def test_outputs_of_other_types_count_as_numbers(name, dtype):
    outputs, targets, _ = (NUMBERS if name in OF_NUMBERS else LABELS)["random"]
    outputs = np.round(4 * outputs - 2).astype(dtype)
    weights = np.linspace(0.1, 0.9, len(outputs))
    expected = jn.metrics.NAMED[name](outputs.astype("float32"), targets, weights)
    np.testing.assert_array_equal(jn.metrics.NAMED[name](outputs, targets, weights), expected)


def test_the_first_half_of_twice_as_many_outputs_are_means(x64):
    means, targets, weights = NUMBERS["weighted"]
    outputs = np.concatenate([means, np.full_like(means, 9.0)], axis=1)
    for name in OF_NUMBERS:
        metric = jn.metrics.NAMED[name]
        np.testing.assert_array_equal(
            metric(outputs, targets, weights), metric(means, targets, weights)
        )


@pytest.mark.parametrize("n", [77, 1000, 10_000])
def test_a_perfect_order_has_the_area_1_whatever_the_weights(n):
    weights, outputs = np.random.default_rng(n).uniform(0.1, 3, n), np.linspace(0, 1, n)[:, None]
    labels = (np.arange(n) >= n // 3).astype(int)
    assert jn.metrics.roc_auc(outputs, labels, weights) == 1.0
    assert jn.metrics.roc_auc(-outputs, labels, weights) == 0.0


def test_a_nan_output_is_wrong():
    outputs, targets = np.array([[np.nan, 0.1], [0.9, 0.1]]), np.array([0, 0])
    assert jn.metrics.accuracy(outputs, targets) == 0.5
    assert jn.metrics.recall(outputs, targets) == 0.5
    assert jn.metrics.TopK(2)(outputs, targets) == 0.5
    assert np.isnan(jn.metrics.roc_auc(outputs[:, ::-1], np.array([0, 1])))
    assert jn.metrics.hamming(outputs, jnp.zeros((2, 2))) == 0.5


@pytest.mark.parametrize("name", ONLY_LABELS)
def test_a_metric_of_labels_refuses_a_matrix(name):
    with pytest.raises(ValueError, match=r"is for integer labels.*choose another metric\.$"):
        jn.metrics.NAMED[name](np.ones((3, 2)), np.ones((3, 2)))


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: jn.metrics.TopK(0), "k must be a whole number"),
        (lambda: jn.metrics.Precision(label=-1), "label must be a whole number"),
        (lambda: jn.metrics.F1(label=5)(np.ones((3, 2)), np.ones(3, int)), r"in \[0, 2\)"),
    ],
)
def test_a_wrong_choice_is_refused(make, fault):
    with pytest.raises(ValueError, match=fault):
        make()
