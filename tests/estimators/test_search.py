"""SweepSearchCV against scikit-learn's searches: the same scores, and the same behaviour."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn.base
from scipy import sparse, stats
from sklearn import neural_network
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from jaxnet.sklearn import MLPClassifier, MLPRegressor, SweepSearchCV, lane_training
from jaxnet.sklearn.search import halving_rounds

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["low", "middle", "high"])[Y]
NUMBERS = X[:, :2] @ [[1.0, -1.0], [2.0, 0.5]]
WEIGHT = np.random.default_rng(0).uniform(0.5, 2, len(X))
FRAME = pd.DataFrame(X, columns=list("abcd"))
GRID = {"learning_rate_init": [0.001, 0.03], "alpha": [1e-4, 1.0]}
KINDS = {
    "classifier": (MLPClassifier, neural_network.MLPClassifier),
    "regressor": (MLPRegressor, neural_network.MLPRegressor),
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def pair(kind="classifier", **parameters):
    """An estimator and scikit-learn's own, of the same parameters."""
    own, theirs = KINDS[kind]
    parameters = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 12} | parameters
    return own(**parameters), theirs(**parameters)


def piped(estimators):
    return [make_pipeline(StandardScaler(), PCA(), estimator) for estimator in estimators]


def scores(search):
    """The columns of scores, and those that are shared."""
    return {
        name: np.asarray(column, float)
        for name, column in search.cv_results_.items()
        if "test_" in name or "train_" in name
    }


def assert_same(own, theirs, tolerance=0.0):
    own_scores, their_scores = scores(own), scores(theirs)
    assert set(own.cv_results_) == set(theirs.cv_results_)
    for name, column in their_scores.items():
        np.testing.assert_allclose(own_scores[name], column, atol=tolerance, err_msg=name)
    assert list(own.cv_results_["params"]) == list(theirs.cv_results_["params"])


TWO_SCORES = {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro"}
# Estimators, data, grid, arguments of the search, arguments of fit.
CASES = {
    "numbers": (pair(), (X, Y), GRID, {"return_train_score": True}, {}),
    "stopping": (
        pair(max_iter=60, tol=0.02, n_iter_no_change=2), (X, Y), GRID, {"cv": 2}, {},
    ),
    "early stopping": (
        pair(max_iter=30, early_stopping=True, n_iter_no_change=3), (X, Y), GRID, {"cv": 3}, {},
    ),
    "adaptive": (
        pair(solver="sgd", learning_rate="adaptive", tol=0.1, n_iter_no_change=1, max_iter=40),
        (X, Y), {"learning_rate_init": [0.5, 0.1, 0.01]}, {"cv": 2}, {},
    ),
    "layers, batches and epochs": (
        pair(), (X, Y),
        {"hidden_layer_sizes": [(5,), (3, 2)], "batch_size": [30, "auto"], "max_iter": [5, 12]},
        {"cv": 2}, {},
    ),
    "a list of grids": (pair(), (X, Y), [GRID, {"activation": ["tanh"]}], {"cv": 2}, {}),
    "two scores": (pair(), (X, Y), GRID, TWO_SCORES, {}),
    "a function": (pair(), (X, Y), GRID, {"refit": lambda results: 1, "cv": 3}, {}),
    "no last fit": (pair(), (X, Y), GRID, {"refit": False, "cv": 2}, {}),
    "groups": (
        pair(), (X, Y), GRID, {"cv": GroupKFold(3)}, {"groups": np.arange(len(X)) % 7},
    ),
    "weights": (pair(), (X, Y), GRID, {"cv": 3}, {"sample_weight": WEIGHT}),
    "names": (pair(), (FRAME, NAMES), GRID, {"cv": 2}, {}),
    "sparse": (pair(), (sparse.csr_matrix(X), Y), GRID, {"cv": 2}, {}),
    "pipeline": (
        piped(pair()), (FRAME, NAMES),
        {"pca__n_components": [2, 3], "mlpclassifier__alpha": [1e-4, 1.0]}, {"cv": 3},
        {"mlpclassifier__sample_weight": WEIGHT},
    ),
    "a random state": (
        pair(random_state=np.random.RandomState(3)), (X, Y), GRID, {"cv": 2}, {},
    ),
    "regression": (
        pair("regressor", early_stopping=True), (X, NUMBERS), GRID, {"cv": 2}, {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_scores_are_those_of_scikit_learn(name):
    (own, theirs), data, grid, arguments, fit = CASES[name]
    own = SweepSearchCV(own, grid, **arguments).fit(*data, **fit)
    theirs = GridSearchCV(theirs, grid, **arguments).fit(*data, **fit)
    assert_same(own, theirs, 1e-9)
    assert own.multimetric_ == theirs.multimetric_
    assert own.n_splits_ == theirs.n_splits_
    if arguments.get("refit", True):
        assert own.best_params_ == theirs.best_params_
        assert own.best_index_ == theirs.best_index_
        predictions = own.predict(data[0]), theirs.predict(data[0])
        if name == "regression":
            np.testing.assert_allclose(*predictions, 1e-6)
        else:
            np.testing.assert_array_equal(*predictions)


SOLVERS = {
    "adam": {"alpha": 1e-50, "beta_2": 0.99999999},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.03},
    "dropout": {"dropout": 0.3, "l1": 0.01, "learning_rate_init": 0.03},
    "schedule_free_adam": {"solver": "schedule_free_adam", "learning_rate_init": 0.03},
    "curvature": {"solver": "newton_cg", "learning_rate_init": 0.1, "max_iter": 4},
}


@pytest.mark.parametrize("name", SOLVERS)
def test_a_lane_is_the_network_of_a_fit(name):
    estimator = MLPClassifier((5,), random_state=0, max_iter=12).set_params(**SOLVERS[name])
    rows = np.arange(len(X))
    search = SweepSearchCV(
        estimator, {"momentum": [0.9, 0.8]}, cv=[(rows, rows)], keep_models=True, refit=False
    )
    kept = search.fit(X, Y).cv_models_[0, 0, 0]
    alone = sklearn.base.clone(estimator).fit(X, Y)
    for own, other in zip(kept.coefs_ + kept.intercepts_, alone.coefs_ + alone.intercepts_):
        np.testing.assert_allclose(own, other, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(kept.loss_curve_, alone.loss_curve_)


def test_lanes_share_programs_and_shrink(monkeypatch):
    """Networks that stop leave a program of half the size, and their results stay the same."""
    monkeypatch.setattr(lane_training.Chunk, "_pays", lambda *_: True)
    monkeypatch.setattr(lane_training, "FEWEST_SLOTS", 2)
    monkeypatch.setattr(lane_training, "_n_slots", lambda *_: 8)
    sizes = []
    train_lanes = lane_training.train_lanes

    def counted(shape, *arrays):
        sizes.append(shape.group.n_lanes)
        return train_lanes(shape, *arrays)

    monkeypatch.setattr(lane_training, "train_lanes", counted)
    own, theirs = pair()
    rates = zip([2, 2, 4, 4, 6, 8], [0.3, 0.1, 0.03, 0.2, 0.05, 0.01], strict=True)
    grid = [{"max_iter": [n], "learning_rate_init": [rate]} for n, rate in rates]
    own = SweepSearchCV(own, grid, cv=2, n_jobs=1).fit(X, Y)
    assert_same(own, GridSearchCV(theirs, grid, cv=2).fit(X, Y))
    assert sizes == [8] * 2 + [4] * 2 + [2] * 4 + [8] * 2 + [4] * 2 + [2] * 4


def test_drawn_candidates_are_those_of_a_random_search():
    own, theirs = pair()
    space = {"alpha": stats.loguniform(1e-5, 1), "learning_rate_init": stats.loguniform(1e-4, 0.1)}
    own = SweepSearchCV(own, param_distributions=space, n_iter=5, cv=2, random_state=1)
    theirs = RandomizedSearchCV(theirs, space, n_iter=5, cv=2, random_state=1)
    assert_same(own.fit(X, Y), theirs.fit(X, Y))


def test_transformers_are_fitted_once_per_fold():
    class Counting(StandardScaler):
        n_fits = 0

        def fit(self, X, y=None, sample_weight=None):
            Counting.n_fits += 1
            return super().fit(X, y)

    model = make_pipeline(Counting(), FunctionTransformer(lambda x: x), pair()[0])
    grid = {"counting__with_std": [True, False], "mlpclassifier__alpha": [0.1, 1, 10]}
    SweepSearchCV(model, grid, cv=2, refit=False).fit(X, Y)
    assert Counting.n_fits == 4  # two folds, with and without a scale


def test_a_failing_candidate_costs_its_score():
    own, grid = pair()[0], {"alpha": [-1.0, 0.1]}
    with pytest.warns(FitFailedWarning, match="alpha must be"):
        own = SweepSearchCV(own, grid, cv=2, error_score=0.25).fit(X, Y)
    assert own.cv_results_["mean_test_score"][0] == 0.25
    assert own.best_params_ == {"alpha": 0.1}
    with pytest.raises(ValueError, match="alpha must be"):
        SweepSearchCV(pair()[0], grid, cv=2, error_score="raise").fit(X, Y)
    own = SweepSearchCV(
        pair(solver="sgd")[0], {"learning_rate_init": [1e30, 0.01]}, cv=2,
        scoring=TWO_SCORES["scoring"], refit=False,
    )  # fmt: skip
    with pytest.warns(FitFailedWarning, match="not finite"), pytest.warns(UserWarning, match="s"):
        own.fit(X, Y)
    assert np.isnan(own.cv_results_["mean_test_accuracy"]).tolist() == [True, False]


def test_an_error_in_training_costs_the_scores_of_its_candidates():
    """The first class has an example that no stratified validation split can divide."""
    y = (np.arange(len(X)) == 0).astype(int) + (np.arange(len(X)) == len(X) - 1)
    grid = {"early_stopping": [False, True], "device": [None, "abacus"]}
    search = SweepSearchCV(pair()[0], grid, cv=2, refit=False)
    with pytest.warns(FitFailedWarning, match="abacus"), pytest.warns(UserWarning, match="finite"):
        search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isnan(scores).tolist() == [False, True, True, True]


class Shortened(Pipeline):
    """A pipeline whose `fit` changes the rows, as those of other packages do."""

    def fit(self, X, y=None, **params):
        return super().fit(X[:30], y[:30], **params)


@pytest.mark.filterwarnings("ignore:.*were not trained together")
def test_derived_classes_fit_in_their_own_way():
    own, theirs = (Shortened([("m", estimator)]) for estimator in pair())
    grid = {"m__alpha": [0.1, 1.0]}
    assert_same(
        SweepSearchCV(own, grid, cv=2).fit(X, Y), GridSearchCV(theirs, grid, cv=2).fit(X, Y)
    )


def test_a_score_of_losses_a_single_step_and_sparse_labels():
    own, theirs = [Pipeline([("m", estimator)]) for estimator in pair()]
    grid = {"m__alpha": [0.1, 1.0]}
    arguments = {"cv": 2, "scoring": lambda model, x, y: -model[-1].loss_}
    own_search = SweepSearchCV(own, grid, **arguments, n_jobs=-2).fit(X, Y)
    assert_same(own_search, GridSearchCV(theirs, grid, **arguments).fit(X, Y), 1e-9)
    labels = sparse.csr_matrix(np.eye(3, dtype=int)[Y])
    own_search = SweepSearchCV(own, grid, cv=2).fit(X, labels)
    assert_same(own_search, GridSearchCV(theirs, grid, cv=2).fit(X, labels))


def test_divergence_with_early_stopping_is_that_of_scikit_learn():
    parameters = {"solver": "sgd", "early_stopping": True, "activation": "identity"}
    own, theirs = pair("regressor", **parameters)
    grid = {"learning_rate_init": [1e200, 0.01]}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of errors that are too large to square
        own = SweepSearchCV(own, grid, cv=2, refit=False).fit(X, NUMBERS)
        theirs = GridSearchCV(theirs, grid, cv=2, refit=False).fit(X, NUMBERS)
    assert_same(own, theirs, 1e-9)


def test_seeds_are_averaged_and_models_are_kept():
    grid = {"alpha": [1e-4, 1.0]}
    search = SweepSearchCV(pair()[0], grid, cv=2, n_seeds=3, keep_models=True).fit(X, Y)
    models = search.cv_models_
    assert models.shape == (2, 2, 3)
    states = [model.random_state for model in models[0, 0]]
    assert states[0] == 0
    assert len(set(states)) == 3
    train, test = next(StratifiedKFold(2).split(X, Y))
    means = [np.mean([model.score(X[test], Y[test]) for model in own]) for own in models[:, 0]]
    np.testing.assert_allclose(search.cv_results_["split0_test_score"], means)
    alone = sklearn.base.clone(models[1, 0, 2]).fit(X[train], Y[train])
    np.testing.assert_allclose(alone.coefs_[0], models[1, 0, 2].coefs_[0], atol=1e-9)
    assert np.isfinite(models[0, 0, 0].loss_curve_).all()


def test_halving_goes_on_with_the_best():
    grid = {"learning_rate_init": np.geomspace(1e-4, 0.1, 9).tolist()}
    search = SweepSearchCV(pair()[0].set_params(max_iter=27), grid, cv=2, halving=3).fit(X, Y)
    results = search.cv_results_
    assert results["iter"].tolist() == [0] * 9 + [1] * 3 + [2]
    assert results["n_resources"].tolist() == [3] * 9 + [9] * 3 + [27]
    first, kept = results["mean_test_score"][:9], list(results["params"])[9:12]
    best = sorted(np.argsort(-first, kind="stable")[:3].tolist())
    assert kept == [results["params"][index] for index in best]
    assert search.best_index_ == 12
    # The last one is trained as if there had been no rounds before.
    theirs = GridSearchCV(pair()[1].set_params(max_iter=27), grid, cv=2).fit(X, Y)
    row = list(theirs.cv_results_["params"]).index(search.best_params_)
    assert search.best_score_ == pytest.approx(theirs.cv_results_["mean_test_score"][row])
    assert halving_rounds(2, 100, 3) == [100]


@pytest.mark.parametrize("grid", [
    {"hidden_layer_sizes": [(3,), (4,), (5,), (6,)]},  # each in a program of its own
    {"tol": [10.0, 0.0], "alpha": [0.1, 0.2], "n_iter_no_change": [1]},  # two end early
])  # fmt: skip
def test_halving_goes_on_where_others_have_ended(grid):
    estimator = pair()[0].set_params(max_iter=8)
    search = SweepSearchCV(estimator, grid, cv=2, halving=2).fit(X, Y)
    whole = SweepSearchCV(estimator, grid, cv=2).fit(X, Y)
    row = list(whole.cv_results_["params"]).index(search.best_params_)
    assert search.best_score_ == whole.cv_results_["mean_test_score"][row]
    several = SweepSearchCV(estimator, GRID, cv=2, halving=2, scoring=TWO_SCORES["scoring"])
    with pytest.raises(ValueError, match="which of several scores decides"):
        several.set_params(refit=False).fit(X, Y)


def test_what_is_not_trained_together_is_said():
    own, theirs = pair()
    grid = {"solver": ["lbfgs", "adam"]}
    with pytest.warns(UserWarning, match="2 of 4 fits were not trained together"):
        search = SweepSearchCV(own, grid, cv=2).fit(X, Y)
    assert_same(search, GridSearchCV(theirs, grid, cv=2).fit(X, Y))
    with pytest.warns(UserWarning, match="4 of 4 fits were not trained together"):
        SweepSearchCV(theirs, {"alpha": [0.1, 1]}, cv=2).fit(X, Y)


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_unfinished_trainings_are_said_once():
    with pytest.warns(ConvergenceWarning) as caught:
        SweepSearchCV(pair()[0], GRID, cv=2, refit=False).fit(X, Y)
    (warning,) = caught
    assert "8 of 8 trainings have not converged" in str(warning.message)


def test_a_seed_is_drawn_where_there_is_none():
    estimator = pair(random_state=None)[0]
    searches = [
        SweepSearchCV(estimator, GRID, cv=2, random_state=seed, keep_models=True).fit(X, Y)
        for seed in (1, 1, 2)
    ]
    first, same, other = (scores(search)["split0_test_score"] for search in searches)
    np.testing.assert_array_equal(first, same)
    assert (
        searches[0].cv_models_[0, 0, 0].random_state == searches[0].cv_models_[3, 1, 0].random_state
    )
    weights = [search.best_estimator_.coefs_[0] for search in searches]
    np.testing.assert_array_equal(weights[0], weights[1])
    weights = [search.cv_models_[0, 0, 0].coefs_[0] for search in searches]
    assert not np.allclose(weights[0], weights[2])
    assert estimator.random_state is None
    assert len(other) == 4


def test_it_works_inside_of_other_estimators():
    search = SweepSearchCV(pair()[0], GRID, cv=2)
    theirs = GridSearchCV(pair()[1], GRID, cv=2)
    own_scores, their_scores = (
        cross_validate(own, X, Y, cv=2)["test_score"] for own in (search, theirs)
    )
    np.testing.assert_array_equal(own_scores, their_scores)
    model = CalibratedClassifierCV(make_pipeline(StandardScaler(), search), cv=2).fit(X, Y)
    assert model.predict_proba(X).shape == (len(X), 3)
    copied = sklearn.base.clone(search)
    assert repr(copied) == repr(search)
    assert not hasattr(copied, "best_estimator_")


def test_arguments_are_checked():
    estimator = pair()[0]
    with pytest.raises(ValueError, match="either param_grid, to try all"):
        SweepSearchCV(estimator).fit(X, Y)
    with pytest.raises(ValueError, match="either param_grid, to try all"):
        SweepSearchCV(estimator, GRID, param_distributions=GRID).fit(X, Y)
    with pytest.raises(ValueError, match="n_seeds"):
        SweepSearchCV(estimator, GRID, n_seeds=0).fit(X, Y)
    with pytest.raises(ValueError, match="Invalid parameter 'alhpa'"):
        SweepSearchCV(estimator, {"alhpa": [1]}).fit(X, Y)


class Recorder:
    """A callback of scikit-learn that notes what it is told."""

    def __init__(self):
        self.events = []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"{context.task_name} begins")

    def on_fit_task_end(self, estimator, context):
        self.events.append(f"{context.task_name} ends")


@pytest.mark.skipif(
    not hasattr(SweepSearchCV, "set_callbacks"), reason="this scikit-learn has no callbacks"
)
@pytest.mark.parametrize("refit", [True, False])
def test_callbacks_hear_what_they_hear_from_scikit_learn(refit):
    recorders = []
    for kind, estimator in zip((SweepSearchCV, GridSearchCV), pair(), strict=True):
        search = kind(estimator, {"alpha": [0.1, 1.0]}, cv=2, refit=refit)
        recorders.append(Recorder())
        search.set_callbacks(recorders[-1]).fit(X, Y)
    own, theirs = (recorder.events for recorder in recorders)
    assert sorted(own) == sorted(theirs)
    assert own[-2:] == ["fit ends", "teardown"]


@pytest.mark.slow
def test_float32_scores_agree_with_float64_over_seeds():
    """The interval of the paired difference of 16 seeds lies within half a point."""
    grid, differences = {"learning_rate_init": [0.01, 0.03]}, []
    for seed in range(16):
        estimator = pair(random_state=seed, max_iter=40)[0]
        wide, narrow = (
            SweepSearchCV(estimator.set_params(dtype=dtype), grid, cv=2, refit=False).fit(X, Y)
            for dtype in ("float64", "float32")
        )
        differences.append(
            np.mean(narrow.cv_results_["mean_test_score"] - wide.cv_results_["mean_test_score"])
        )
    half_width = stats.t.ppf(0.975, 15) * stats.sem(differences)
    assert abs(np.mean(differences)) + half_width < 0.005


def test_warnings_of_a_clipped_batch_size_are_said():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        SweepSearchCV(pair()[0], {"batch_size": [500]}, cv=2, refit=False).fit(X, Y)
    assert any("clipped to the 75 training examples" in str(each.message) for each in caught)
