"""Estimators against scikit-learn's own: the same numbers, and the same behaviour."""

import copy
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path
from unittest import mock

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.optimize import check_grad
from sklearn import neural_network
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import hamming_loss, log_loss, mean_absolute_error, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import jaxnet as jn
from jaxnet.sklearn import MLPClassifier, MLPRegressor

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 4))
BINARY = (X[:, 0] * X[:, 1] > 0).astype(int)
CLASSES = np.digitize(X[:, 0], [-0.5, 0.5])
LABELS = np.array(["low", "middle", "high"])[CLASSES]
SEVERAL = (X[:, :3] > [0.0, 0.3, -0.2]).astype(int)
NUMBERS = X[:, 0] ** 2 + X[:, 1]
PAIRS = np.stack([NUMBERS, np.sin(X[:, 2])], axis=1)
WEIGHT = RANDOM.uniform(0.1, 3, 60)
OWN = {"classifier": MLPClassifier, "regressor": MLPRegressor}
THEIRS = {"classifier": neural_network.MLPClassifier, "regressor": neural_network.MLPRegressor}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def small(kind, **parameters):
    """An estimator of five hidden units that all tests share programs for."""
    return OWN[kind](**{"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 15} | parameters)


def arrays(estimator):
    return [*estimator.coefs_, *estimator.intercepts_]


def assert_same(estimator, other, tolerance):
    for own, theirs in zip(arrays(estimator), arrays(other), strict=True):
        assert own.dtype == theirs.dtype
        np.testing.assert_allclose(own, theirs, rtol=tolerance, atol=tolerance)


# Estimator, targets, parameters, whether there are weights.
SGD = {"solver": "sgd", "learning_rate_init": 0.3}
EXACT = {
    "adam": ("classifier", CLASSES, {"learning_rate_init": 0.02}, False),
    "adam, a last smaller batch": ("classifier", BINARY, {"batch_size": 7, "alpha": 1.0}, False),
    "large epsilon": ("classifier", BINARY, {"epsilon": 0.1, "beta_1": 0.5}, False),
    "weights": ("classifier", CLASSES, {"batch_size": 7, "alpha": 1.0}, True),
    "several labels": ("classifier", SEVERAL, {"activation": "logistic"}, True),
    "strings": ("classifier", LABELS, {"activation": "tanh", "shuffle": False}, False),
    "sgd": ("classifier", CLASSES, SGD, False),
    "sgd, plain": ("classifier", CLASSES, SGD | {"momentum": 0.0, "alpha": 0.5}, False),
    "sgd, Polyak": (
        "classifier", CLASSES, {"solver": "sgd", "nesterovs_momentum": False, "batch_size": 7}, True
    ),
    "invscaling": (
        "classifier", CLASSES, SGD | {"learning_rate": "invscaling", "power_t": 0.3}, False
    ),
    "adaptive": (
        "classifier", CLASSES,
        SGD | {"learning_rate": "adaptive", "tol": 0.01, "n_iter_no_change": 2, "max_iter": 120},
        False,
    ),
    "stopped": ("classifier", BINARY, {"tol": 0.05, "max_iter": 99}, False),
    "early": (
        "classifier", BINARY,
        {"early_stopping": True, "validation_fraction": 0.2, "learning_rate_init": 0.05,
         "n_iter_no_change": 3, "max_iter": 60},
        True,
    ),
    "early, several": ("classifier", CLASSES, {"early_stopping": True}, False),
    "two layers": ("regressor", PAIRS, {"hidden_layer_sizes": (5, 4)}, True),
    "no layer": ("regressor", NUMBERS, {"hidden_layer_sizes": (), "activation": "identity"}, False),
    "early, numbers": ("regressor", NUMBERS, {"early_stopping": True}, True),
    "counts": ("regressor", np.exp(NUMBERS), {"loss": "poisson"}, True),
    "lbfgs": ("classifier", BINARY, {"solver": "lbfgs", "max_iter": 30}, True),
    "lbfgs, counts": (
        "regressor", np.exp(NUMBERS / 4), {"solver": "lbfgs", "loss": "poisson", "max_iter": 9},
        False,
    ),
}  # fmt: skip
OTHERS = ("adamw", "muon", "noisy_sgd", "rmsprop")
"""Some of jaxnet's optimizers: one with a mask, one of shapes, one with noise, one with a root."""
FEW = ("adam", "weights", "sgd, Polyak", "adaptive", "early", "two layers", "counts", "lbfgs")
"""Those that always run."""


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=() if c in FEW else pytest.mark.exhaustive) for c in EXACT],
)
def test_weights_and_curves_are_scikit_learns_own(case):
    kind, y, parameters, has_weight = EXACT[case]
    weight = WEIGHT if has_weight else None
    parameters = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 15} | parameters
    own = OWN[kind](**parameters).fit(X, y, weight)
    theirs = THEIRS[kind](**parameters).fit(X, y, weight)
    assert_same(own, theirs, {"sgd": 1e-12, "lbfgs": 1e-7}.get(own.solver, 1e-9))
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(own, name) == getattr(theirs, name), name
    names = ["loss_"]
    if own.solver != "lbfgs":
        names += ["loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"]
    for name in names:
        value, expected = getattr(own, name), getattr(theirs, name)
        assert (value is None) == (expected is None), name
        if value is not None:
            np.testing.assert_allclose(value, expected, rtol=1e-7, atol=1e-9, err_msg=name)
    np.testing.assert_array_equal(own.predict(X).shape, theirs.predict(X).shape)
    method = "predict_proba" if kind == "classifier" else "predict"
    np.testing.assert_allclose(
        getattr(own, method)(X), getattr(theirs, method)(X), rtol=1e-6, atol=1e-9
    )


def test_a_random_state_is_used_as_scikit_learn_uses_it():
    own, theirs = np.random.RandomState(3), np.random.RandomState(3)
    parameters = {"hidden_layer_sizes": (5,), "tol": 0.05, "max_iter": 99}
    MLPClassifier(random_state=own, **parameters).fit(X, BINARY)
    neural_network.MLPClassifier(random_state=theirs, **parameters).fit(X, BINARY)
    assert own.randint(2**31) == theirs.randint(2**31)


@pytest.mark.parametrize("kind", OWN)
def test_partial_fit_goes_on_as_scikit_learns_does(kind):
    """Also after a fit, and in a copy that was a file in between."""
    y = CLASSES if kind == "classifier" else NUMBERS
    classes = {"classes": [0, 1, 2]} if kind == "classifier" else {}
    parameters = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 15}
    own, theirs = OWN[kind](**parameters), THEIRS[kind](**parameters)
    for half in (slice(0, 30), slice(30, 60), slice(0, 30)):
        own.partial_fit(X[half], y[half], **classes)
        theirs.partial_fit(X[half], y[half], **classes)
    file = io.BytesIO()
    joblib.dump(own, file)
    own = joblib.load(io.BytesIO(file.getvalue()))
    assert_same(own.partial_fit(X, y), theirs.partial_fit(X, y), 1e-9)
    assert_same(own.fit(X, y).partial_fit(X, y), theirs.fit(X, y).partial_fit(X, y), 1e-9)
    assert own.t_ == theirs.t_ == 16 * 60


def test_a_warm_start_goes_on_as_scikit_learns_does():
    parameters = {
        "hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 4, "warm_start": True,
    }  # fmt: skip
    own, theirs = MLPClassifier(**parameters), neural_network.MLPClassifier(**parameters)
    for _ in range(3):
        assert_same(own.fit(X, BINARY), theirs.fit(X, BINARY), 1e-9)
        assert own.n_iter_ == theirs.n_iter_
    assert len(own.loss_curve_) == len(theirs.loss_curve_) == 12


def test_a_warm_start_keeps_the_best_weights_of_all_calls():
    """Scikit-learn's trains them further in place, so that they may not be the best any more."""
    estimator = small(
        "classifier", early_stopping=True, warm_start=True, learning_rate_init=0.05, max_iter=30
    ).fit(X, CLASSES)
    best = clone(estimator).fit(X, CLASSES)
    assert_same(estimator, best, 0)
    estimator.set_params(learning_rate_init=1e-9, max_iter=2).fit(X, CLASSES)
    assert_same(estimator, best, 0)
    assert len(estimator.validation_scores_) == len(best.validation_scores_) + estimator.n_iter_


CHECK = """
import warnings
from sklearn.utils.estimator_checks import check_estimator
from jaxnet.sklearn import MLPClassifier, MLPRegressor

warnings.simplefilter("ignore")
estimators = MLPClassifier(), MLPRegressor()
results = [result for own in estimators for result in check_estimator(own, on_fail=None)]
print(len(results))
for result in results:
    if result["status"] != "passed":
        print(result["check_name"], repr(result["exception"]))
"""
SKIPPED = {"check_array_api_input", "check_classifiers_multilabel_output_format_decision_function"}
"""What scikit-learn skips of its own estimators too: they have no decision function."""


def test_check_estimator_passes_without_exceptions():
    """In a plain interpreter, since the type checks of these tests refuse what it tries."""
    environment = os.environ | {"PYTHONPATH": str(Path(jn.__file__).parents[1])}
    process = subprocess.run(
        [sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    n_checks, *others = process.stdout.splitlines()
    assert int(n_checks) > 100
    assert [line for line in others if line.split()[0] not in SKIPPED] == []


def test_the_gradient_of_lbfgs_is_that_of_its_loss():
    """The loss of weights is that of an estimator which goes on from them for no iteration."""
    from jaxnet.core.dtypes import computing_in
    from jaxnet.sklearn import mapping, programs
    from jaxnet.sklearn.lbfgs import flatten, unflatten

    estimator = small("classifier", alpha=0.7).fit(X, CLASSES)
    net = mapping.network_of(estimator, 4, 3, mapping.COSTS["multiclass"][0])
    with computing_in("float64"):
        recipe = mapping.recipe_of(estimator)
        data = jn.Split(X, np.eye(3)[CLASSES], WEIGHT)
        like = tuple(map(jn.Layer, estimator.coefs_, estimator.intercepts_))
        both = lambda flat: programs.cost_and_gradient(net, data, recipe, unflatten(flat, like))
        error = check_grad(
            lambda flat: float(both(flat)[0].sum()), lambda flat: flatten(both(flat)[1]),
            flatten(like),
        )  # fmt: skip
        loss = both(flatten(like))[0]
    assert error < 1e-6
    probabilities = estimator.predict_proba(X)
    squares = sum((w**2).sum() for w in estimator.coefs_)
    expected = log_loss(CLASSES, probabilities, sample_weight=WEIGHT)
    np.testing.assert_allclose(loss, [expected, 0.35 * squares / WEIGHT.sum()], rtol=1e-9)


def test_alpha_makes_weights_smaller_and_l1_makes_them_zero():
    norm = lambda e: sum((w**2).sum() for w in e.fit(X, CLASSES).coefs_)
    norms = [norm(small("classifier", solver="lbfgs", alpha=alpha)) for alpha in (0.01, 1, 100)]
    assert norms[0] > norms[1] > norms[2]
    penalized = small(
        "classifier", solver="sgd", l1=30.0, learning_rate_init=0.05, momentum=0.0, tol=0.0
    )
    sizes = np.abs(penalized.set_params(max_iter=100).fit(X, CLASSES).coefs_[0])
    assert np.median(sizes) < 0.03


@pytest.mark.parametrize(
    ("kind", "y"),
    [("classifier", BINARY), ("classifier", CLASSES), ("classifier", SEVERAL),
     ("regressor", NUMBERS), ("regressor", PAIRS)],
)  # fmt: skip
def test_lbfgs_learns_the_examples(kind, y):
    estimator = small(kind, solver="lbfgs", hidden_layer_sizes=(16,), max_iter=300, alpha=1e-4)
    assert estimator.fit(X, y).score(X, y) > 0.9
    assert not hasattr(estimator, "partial_fit")
    assert estimator.n_iter_ <= 300


@pytest.mark.parametrize("limit", [{"max_fun": 5}, {"max_iter": 2}])
@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_lbfgs_says_that_it_was_stopped(limit):
    with pytest.warns(ConvergenceWarning, match="before it converged"):
        small("classifier", solver="lbfgs", **limit).fit(X, BINARY)


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_a_training_says_that_it_has_not_converged():
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        small("classifier", max_iter=2).fit(X, BINARY)
    small("classifier", max_iter=200, tol=1.0).fit(X, BINARY)


@pytest.mark.parametrize("y", [BINARY, CLASSES, SEVERAL], ids=["two", "three", "several"])
def test_probabilities_are_those_of_the_classes(y):
    estimator = small("classifier").fit(X, y)
    probabilities = estimator.predict_proba(X)
    assert probabilities.shape == (60, 2 if y is BINARY else 3)
    if y is not SEVERAL:
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        np.testing.assert_array_equal(estimator.predict(X), probabilities.argmax(axis=1))
    else:
        np.testing.assert_array_equal(estimator.predict(X), probabilities > 0.5)
    np.testing.assert_allclose(estimator.predict_log_proba(X), np.log(probabilities))


def test_labels_may_be_strings():
    estimator = small("classifier", learning_rate_init=0.05, max_iter=60).fit(X, LABELS)
    assert estimator.classes_.tolist() == ["high", "low", "middle"]
    assert estimator.score(X, LABELS) > 0.9
    assert set(estimator.predict(X)) <= set(LABELS)


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("form", ["csr_matrix", "csc_array"])
def test_sparse_inputs_train_the_same_network(kind, form):
    y = CLASSES if kind == "classifier" else NUMBERS
    x = np.where(X > 0.5, X, 0)
    inputs = getattr(sparse, form)(x)
    estimator = small(kind).fit(inputs, y, WEIGHT)
    assert_same(estimator, small(kind).fit(x, y, WEIGHT), 0)
    np.testing.assert_array_equal(estimator.predict(inputs), estimator.predict(x))


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("is_given", [False, True])
def test_it_computes_in_the_type_of_the_inputs_or_in_the_one_asked_for(kind, dtype, is_given):
    """Whatever JAX's default type is, which stays as it is."""
    y = CLASSES if kind == "classifier" else NUMBERS
    x = X.astype("float64" if is_given else dtype)
    estimator = small(kind, dtype=dtype if is_given else None).fit(x, y)
    method = estimator.predict_proba if kind == "classifier" else estimator.predict
    assert {array.dtype for array in [*arrays(estimator), method(x)]} == {np.dtype(dtype)}
    reference = small(kind).fit(X, y)
    assert_same(
        reference, reference if dtype == "float64" else small(kind).fit(x.astype(float), y), 1e-2
    )
    assert jn.init(jn.Network((2, 1)), __import__("jax").random.key(0))[0].w.dtype == np.float32


def test_feature_names_are_kept_and_checked():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    estimator = small("regressor", early_stopping=True).fit(frame, NUMBERS)
    assert estimator.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    estimator.predict(frame)  # without a warning
    with pytest.raises(ValueError, match="feature names"):
        estimator.predict(frame.rename(columns={"a": "e"}))


def test_early_stopping_keeps_the_best_weights_and_both_validation_curves():
    estimator = small("classifier", early_stopping=True, learning_rate_init=0.1, max_iter=80).fit(
        X, CLASSES
    )
    assert len(estimator.validation_scores_) == len(estimator.validation_loss_curve_)
    assert len(estimator.validation_scores_) == estimator.n_iter_ < 80
    assert estimator.best_validation_score_ == max(estimator.validation_scores_)
    assert estimator.best_loss_ is None
    random = np.random.RandomState(0)
    for n_in, n_out in ((4, 5), (5, 3)):  # the initial weights come first
        random.uniform(size=n_in * n_out + n_out)
    from sklearn.model_selection import train_test_split

    _, x, _, y = train_test_split(X, CLASSES, random_state=random, test_size=0.1)
    assert estimator.score(x, y) == estimator.best_validation_score_
    last = small("classifier", early_stopping=True, learning_rate_init=0.1, max_iter=1)
    last.fit(X, CLASSES)
    np.testing.assert_allclose(
        last.validation_loss_curve_, [log_loss(y, last.predict_proba(x), labels=[0, 1, 2])]
    )


MEASURED = {
    "several classes": (CLASSES, jn.metrics.log_loss, lambda y, a: log_loss(y, a)),
    "two classes": (CLASSES > 1, jn.metrics.roc_auc, lambda y, a: roc_auc_score(y, a[:, 1])),
    "several labels": (
        np.stack([CLASSES > 0, CLASSES > 1], axis=1).astype(int),
        jn.metrics.hamming,
        lambda y, a: hamming_loss(y, a > 0.5),
    ),
    "numbers": (NUMBERS, jn.metrics.mae, mean_absolute_error),
}


@pytest.mark.parametrize("case", MEASURED)
def test_metrics_of_the_validation_examples_are_scikit_learns(case):
    y, metric, theirs = MEASURED[case]
    kind = "regressor" if case == "numbers" else "classifier"
    parameters = {"early_stopping": True, "validation_fraction": 0.3, "max_iter": 5}
    model = small(kind, metrics={"value": metric}, **parameters).fit(X, y)
    split = train_test_split(
        X, y, test_size=0.3, random_state=_after_the_weights_are_drawn(kind, y),
        stratify=y if case == "two classes" else None,
    )  # fmt: skip
    best = int(np.argmax(model.validation_scores_))
    outputs = model.predict(split[1]) if kind == "regressor" else model.predict_proba(split[1])
    assert len(model.validation_metrics_["value"]) == model.n_iter_
    assert model.validation_metrics_["value"][best] == pytest.approx(theirs(split[3], outputs))


def _after_the_weights_are_drawn(kind, y):
    """The random state that divides the examples, in scikit-learn's own estimator."""
    module = neural_network._multilayer_perceptron
    seen = []

    def divide(*arrays, random_state, **options):
        seen.append(copy.deepcopy(random_state))
        return train_test_split(*arrays, random_state=random_state, **options)

    with mock.patch.object(module, "train_test_split", divide):
        THEIRS[kind](hidden_layer_sizes=(5,), early_stopping=True, max_iter=1, random_state=0).fit(
            X, y
        )
    return seen[0]


def test_metrics_need_a_validation_split():
    with pytest.raises(ValueError, match="which early_stopping=True sets apart; set it"):
        small("classifier", metrics={"auc": jn.metrics.roc_auc}).fit(X, CLASSES)
    with pytest.raises(ValueError, match="the name of a metric must be an ident"):
        small("classifier", metrics={"cost": jn.metrics.mae}, early_stopping=True).fit(X, CLASSES)
    with pytest.raises(ValueError, match="the metric f1 is for classes, but the targets are numb"):
        small("regressor", metrics={"f1": jn.metrics.f1}, early_stopping=True).fit(X, NUMBERS)
    with pytest.raises(ValueError, match='which solver="lbfgs" does not have'):
        small(
            "regressor", metrics={"mae": jn.metrics.mae}, early_stopping=True, solver="lbfgs"
        ).fit(X, NUMBERS)
    assert small("classifier", metrics={}).fit(X, CLASSES).validation_metrics_ == {}


def test_the_validation_split_keeps_the_shares_of_two_classes():
    y = np.array([0] * 57 + [1] * 3)
    with pytest.raises(ValueError, match="least populated class"):
        small("classifier", early_stopping=True).fit(X, [*y[:-2], 0, 0])
    small("classifier", early_stopping=True, validation_fraction=0.5).fit(X, y)


@pytest.mark.parametrize("n", [1, 7, 10, 11, 23])
def test_epochs_without_progress_end_the_training(n):
    """Also in the middle of the epochs that one call of the program trains."""
    estimator = small("classifier", tol=1e6, n_iter_no_change=n, max_iter=100).fit(X, BINARY)
    assert estimator.n_iter_ == n + 2  # the first epoch improves upon infinity
    assert len(estimator.loss_curve_) == n + 2


def test_no_number_of_epochs_without_progress_may_end_the_training():
    estimator = small("classifier", tol=1e6, n_iter_no_change=np.inf, max_iter=25)
    assert estimator.fit(X, BINARY).n_iter_ == 25


def test_an_adaptive_rate_falls_until_the_end():
    estimator = small(
        "classifier", solver="sgd", learning_rate="adaptive", tol=1e6, n_iter_no_change=1,
        learning_rate_init=1e-5, max_iter=100,
    ).fit(X, BINARY)  # fmt: skip
    assert estimator.n_iter_ == 3 + 2 + 2  # at 1e-5, 2e-6 and 4e-7


def test_the_learning_rate_of_a_warm_start_begins_anew():
    estimator = small("classifier", solver="sgd", learning_rate="invscaling", warm_start=True)
    rates = []
    for _ in range(2):
        estimator.fit(X, BINARY)
        rates.append(estimator._networks.progress[0].learning_rate)
    assert estimator.t_ == 2 * 15 * 60
    np.testing.assert_allclose(rates, [0.001 / 901**0.5, 0.001 / 1801**0.5])


def test_examples_are_shuffled_unless_asked_not_to():
    in_order = [small("classifier", shuffle=False, batch_size=1).fit(X, BINARY) for _ in range(2)]
    shuffled = small("classifier", batch_size=1).fit(X, BINARY)
    assert_same(*in_order, 0)
    assert np.abs(in_order[0].coefs_[0] - shuffled.coefs_[0]).max() > 1e-3


def test_it_prints_epochs_only_if_it_is_verbose(capsys):
    small("classifier", max_iter=2).fit(X, BINARY)
    assert capsys.readouterr().out == ""
    small("classifier", max_iter=2, verbose=True, early_stopping=True).fit(X, BINARY)
    printed = capsys.readouterr().out
    assert printed.count("Iteration") == printed.count("Validation score") == 2
    small("classifier", tol=1e6, verbose=1).fit(X, BINARY)
    assert "did not improve" in capsys.readouterr().out


@pytest.mark.parametrize("kind", OWN)
def test_weights_that_diverge_are_refused(kind):
    y = BINARY if kind == "classifier" else NUMBERS
    estimator = small(kind, solver="sgd", learning_rate_init=1e150, activation="identity")
    with pytest.raises(ValueError, match="not finite"):
        estimator.fit(1e150 * X, y)


def test_an_example_of_weight_two_counts_like_two_and_of_weight_zero_like_none():
    weight = np.arange(60) % 3
    estimator = small("classifier", solver="sgd", learning_rate_init=0.2)
    repeated = clone(estimator).fit(np.repeat(X, weight, axis=0), np.repeat(CLASSES, weight))
    assert_same(estimator.fit(X, CLASSES, weight), repeated, 1e-9)


def test_a_batch_size_above_the_number_of_examples_is_clipped():
    with pytest.warns(UserWarning, match="batch_size=200 is clipped to the 60"):
        clipped = small("classifier", batch_size=200).fit(X, CLASSES)
    assert_same(clipped, small("classifier").fit(X, CLASSES), 0)


def test_class_weights_are_weights_of_examples():
    factors = {0: 2.0, 1: 0.5, 2: 1.0}
    weighted = small("classifier", class_weight=factors).fit(X, CLASSES, WEIGHT)
    by_hand = WEIGHT * np.array([2.0, 0.5, 1.0])[CLASSES]
    assert_same(weighted, small("classifier").fit(X, CLASSES, by_hand), 0)
    shares = 60 / (3 * np.bincount(CLASSES))
    balanced = small("classifier", class_weight="balanced").fit(X, CLASSES)
    assert_same(balanced, small("classifier").fit(X, CLASSES, shares[CLASSES]), 1e-12)


def test_poisson_without_hidden_layer_is_a_generalized_linear_model():
    y = RANDOM.poisson(np.exp(0.3 * X[:, 0] + 0.1))
    own = small(
        "regressor", loss="poisson", hidden_layer_sizes=(), activation="identity", alpha=6.0,
        solver="lbfgs", tol=1e-9, max_iter=500,
    ).fit(X, y, WEIGHT)  # fmt: skip
    # Its penalty is ½α‖w‖² beside a mean, ours is divided by the sum of the weights.
    theirs = PoissonRegressor(alpha=6.0 / WEIGHT.sum(), tol=1e-9, max_iter=500).fit(X, y, WEIGHT)
    np.testing.assert_allclose(own.coefs_[0].ravel(), theirs.coef_, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(own.predict(X), theirs.predict(X), rtol=1e-5)


def test_members_predict_together_and_the_first_is_the_single_network():
    parameters = {"tol": 0.02, "max_iter": 99, "learning_rate_init": 0.02}
    single = small("classifier", **parameters).fit(X, CLASSES)
    estimator = small("classifier", **parameters, n_members=3).fit(X, CLASSES)
    assert [w.shape for w in estimator.coefs_] == [(3, 4, 5), (3, 5, 3)]
    for own, alone in zip(arrays(estimator), arrays(single), strict=True):
        np.testing.assert_allclose(own[0], alone, rtol=1e-9, atol=1e-12)
    probabilities = []
    for index in range(3):
        member = clone(single).fit(X, CLASSES)
        member.coefs_ = [w[index] for w in estimator.coefs_]
        member.intercepts_ = [b[index] for b in estimator.intercepts_]
        probabilities.append(member.predict_proba(X))
    np.testing.assert_allclose(estimator.predict_proba(X), np.mean(probabilities, axis=0))
    assert np.std(probabilities, axis=0).max() > 0.01
    n_iters = [progress.n_iter for progress in estimator._networks.progress]
    assert estimator.n_iter_ == max(n_iters) > min(n_iters)


@pytest.mark.parametrize(
    "solver",
    ["schedule_free_adam", *(pytest.param(n, marks=pytest.mark.exhaustive) for n in OTHERS)],
)
def test_any_optimizer_of_jaxnet_is_a_solver(solver):
    by_name = small("classifier", solver=solver, learning_rate_init=0.02, dropout=0.1)
    by_name.fit(X, CLASSES)
    optimizer = getattr(jn, solver)(0.02)
    estimator = small("classifier", solver=optimizer, dropout=0.1).fit(X, CLASSES)
    assert_same(by_name, estimator, 1e-6)
    for copied in (clone(estimator).fit(X, CLASSES), pickle.loads(pickle.dumps(estimator))):
        assert_same(estimator, copied, 0)
        assert copied.get_params()["solver"] == optimizer
    assert estimator.partial_fit(X, CLASSES).n_iter_ == 1


def test_dropout_changes_the_training_and_follows_the_random_state():
    dropped, again = (small("classifier", dropout=0.5).fit(X, CLASSES) for _ in range(2))
    assert_same(dropped, again, 0)
    assert np.abs(dropped.coefs_[0] - small("classifier").fit(X, CLASSES).coefs_[0]).max() > 1e-3


def test_it_works_in_pipelines_searches_and_threads():
    pipeline = make_pipeline(StandardScaler(), small("classifier", max_iter=5))
    assert cross_val_score(pipeline, X, CLASSES, cv=2).shape == (2,)
    search = GridSearchCV(
        small("classifier"), {"alpha": [0.1, 1.0], "solver": ["adam", jn.adamw(0.01)]}, cv=2
    ).fit(X, CLASSES)
    assert len(search.cv_results_["params"]) == 4
    networks = joblib.Parallel(n_jobs=2, prefer="threads")(
        joblib.delayed(small("classifier", dtype=dtype).fit)(X, CLASSES)
        for dtype in ("float32", "float64", "float32")
    )
    assert [e.coefs_[0].dtype.name for e in networks] == ["float32", "float64", "float32"]
    assert_same(networks[0], networks[2], 0)


def test_changed_weights_predict_and_are_gone_on_from():
    estimator = small("regressor", warm_start=True).fit(X, NUMBERS)
    estimator.coefs_ = [0 * w for w in estimator.coefs_]
    estimator.intercepts_ = [np.zeros(5), np.array([7.0])]
    np.testing.assert_array_equal(estimator.predict(X), 7)
    estimator.set_params(learning_rate_init=1e-9, max_iter=1).fit(X, NUMBERS)
    np.testing.assert_allclose(estimator.predict(X), 7, atol=1e-6)


def test_an_interrupted_training_keeps_its_epochs(monkeypatch):
    from jaxnet.sklearn import training

    original, n_calls = training.train_members, []

    def interrupted(*arguments):
        n_calls.append(1)
        if len(n_calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(training, "train_members", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        estimator = small("classifier", max_iter=60).fit(X, BINARY)
    monkeypatch.undo()
    assert_same(estimator, small("classifier", max_iter=20).fit(X, BINARY), 0)
    assert estimator.n_iter_ == 20


WRONG = {
    "hidden_layer_sizes": [(0,), -1, "5", (2.5,)],
    "activation": ["softmax"], "solver": ["rmsprob", None], "alpha": [-1],
    "batch_size": [0, "all"], "learning_rate": ["cosine"], "learning_rate_init": [0, -1.0],
    "power_t": [-1], "max_iter": [0, 1.5], "shuffle": ["no"], "tol": [-1],
    "momentum": [-0.1, 2], "nesterovs_momentum": [1], "early_stopping": ["yes"],
    "validation_fraction": [1.0, -0.1], "beta_1": [1.0], "beta_2": [-0.5], "epsilon": [-1],
    "n_iter_no_change": [0, 2.5], "max_fun": [0], "l1": [-1.0], "dropout": [1.0],
    "n_members": [0], "dtype": ["float16"], "device": ["abacus", 3], "warm_start": [None],
    "verbose": ["yes", -1], "class_weight": ["balance", [1.0, 2.0]], "random_state": ["seed"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "values"), WRONG.items(), ids=WRONG)
def test_a_wrong_parameter_is_refused_in_one_sentence_that_names_it(name, values):
    for value in values:
        estimator = small("classifier")
        if name in ("momentum", "nesterovs_momentum"):
            estimator.set_params(solver="sgd")
        estimator.set_params(**{name: value})
        words = "seed" if name == "random_state" else name  # scikit-learn's own message
        with pytest.raises(ValueError, match=words) as refusal:
            estimator.fit(X, BINARY)
        assert str(refusal.value).count("\n") == 0


REFUSED = {
    "schedule": ("learning_rate", lambda: small(
        "classifier", solver=jn.adamw(), learning_rate="adaptive").fit(X, BINARY)),
    "smooth": ("smooth", lambda: small("classifier", solver="lbfgs", l1=1.0).fit(X, BINARY)),
    "weight": ("sample_weight", lambda: small("classifier").fit(X, BINARY, -WEIGHT)),
    "first classes": ("first call", lambda: small("classifier").partial_fit(X, BINARY)),
    "other classes": ("first call", lambda: small("classifier").partial_fit(
        X, BINARY, classes=[0, 1]).partial_fit(X, BINARY, classes=[0, 2])),
    "unseen class": ("classes", lambda: small("classifier").partial_fit(
        X, BINARY, classes=[0, 1]).partial_fit(X, CLASSES)),
    "warm classes": ("warm_start", lambda: small("classifier", warm_start=True).fit(
        X, BINARY).fit(X, CLASSES)),
    "warm sizes": ("warm_start=False", lambda: small("classifier", warm_start=True).fit(
        X, BINARY).set_params(hidden_layer_sizes=(6,)).fit(X, BINARY)),
    "other solver": ("leave solver", lambda: small("regressor").partial_fit(
        X, NUMBERS).set_params(solver="sgd").partial_fit(X, NUMBERS)),
    "partial early": ("early_stopping", lambda: small("regressor", early_stopping=True).partial_fit(
        X, NUMBERS)),
    "partial balanced": ("class_weight", lambda: small("classifier", class_weight="balanced")
                         .partial_fit(X, BINARY, classes=[0, 1])),
    "few for validation": ("validation_fraction", lambda: small(
        "regressor", early_stopping=True).fit(X[:8], NUMBERS[:8])),
    "negative counts": ("at least 0", lambda: small("regressor", loss="poisson").fit(X, NUMBERS)),
    "loss": ("loss", lambda: small("regressor").set_params(loss="hinge").fit(X, NUMBERS)),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_together_is_refused(case):
    words, call = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        call()


def test_without_scikit_learn_one_sentence_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("jaxnet.sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxnet-mlp\[sklearn\]'\.$"):
        import jaxnet.sklearn  # noqa: F401
