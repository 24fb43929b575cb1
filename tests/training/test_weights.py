"""Example weights: both normalizations against scikit-learn, repetition and simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet as jn
from jaxnet.core import backpropagation
from jaxnet.recipes import optimizers
from jaxnet.training import evaluation
from jaxnet.training.mini_batches import mini_batches

neural_network = pytest.importorskip("sklearn.neural_network")
RANDOM = np.random.default_rng(3)
N, N_IN, BATCH = 57, 6, 10
X = RANDOM.normal(size=(N, N_IN))
LABELS = RANDOM.integers(3, size=N)
WEIGHT = RANDOM.gamma(1.0, size=N) * (RANDOM.random(N) > 0.2)
KEY = jax.random.key(0)
ALPHA = 0.3


def _scikit_adam(learning_rate, b1, b2, eps):
    """Adam with ε outside of the bias correction, as scikit-learn has it."""

    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return jnp.zeros((), int), zeros, zeros

    def update(grads, state, params=None):
        t, m, v = state[0] + 1, *state[1:]
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, grads)
        v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g**2, v, grads)
        rate = learning_rate * jnp.sqrt(1 - b2**t) / (1 - b1**t)
        return jax.tree.map(lambda m, v: -rate * m / (jnp.sqrt(v) + eps), m, v), (t, m, v)

    return optax.GradientTransformation(init, update)


SOLVERS = {
    "sgd": (
        {"solver": "sgd", "learning_rate_init": 0.1, "momentum": 0.0},
        lambda: jn.sgd(0.1),
        1e-12,
    ),
    "momentum": (
        {"solver": "sgd", "learning_rate_init": 0.1, "momentum": 0.8, "nesterovs_momentum": False},
        lambda: jn.momentum(0.1, decay=0.8),
        1e-12,
    ),
    "nesterov": (
        {"solver": "sgd", "learning_rate_init": 0.1, "momentum": 0.8, "nesterovs_momentum": True},
        lambda: jn.nesterov(0.1, decay=0.8),
        1e-12,
    ),
    "adam": (
        {"solver": "adam", "learning_rate_init": 0.01},
        lambda: jn.custom(_scikit_adam, learning_rate=0.01, b1=0.9, b2=0.999, eps=1e-8),
        1e-9,
    ),
}
TASKS = {
    "classifier": (LABELS, "MLPClassifier", 3, jn.costs.LogLikelihood()),
    "binary": (LABELS % 2, "MLPClassifier", 1, jn.costs.CrossEntropy()),
    "multi-label": (
        RANDOM.integers(2, size=(N, 4)),
        "MLPClassifier",
        4,
        jn.costs.CrossEntropy(),
    ),
    "regressor": (
        RANDOM.normal(size=(N, 2)),
        "MLPRegressor",
        2,
        jn.costs.Quadratic(jn.activations.linear),
    ),
}


def _epochs(net, split, recipe, params, n_epochs=5, order=None):
    """The state after some epochs in the order of the data."""
    state = jn.start(net, recipe, KEY, params)
    for _ in range(n_epochs):
        order = np.arange(len(split.x)) if order is None else order
        state, _ = jn.epoch(net, BATCH, split, order, KEY, recipe, state)
    return state


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_normalized_by_the_batch_training_is_scikit_learns(task, solver, weight):
    targets, kind, n_out, cost = TASKS[task]
    options, optimizer, tolerance = SOLVERS[solver]
    model = getattr(neural_network, kind)(
        hidden_layer_sizes=(5,),
        activation="logistic",
        alpha=ALPHA,
        batch_size=BATCH,
        shuffle=False,
        **options,
    )
    classes = {"classes": np.unique(targets)} if targets.ndim == 1 else {}
    if task == "multi-label":
        classes = {"classes": np.arange(4)}
    model.partial_fit(X, targets, sample_weight=weight, **classes)
    net = jn.Network((N_IN, 5, n_out), cost=cost)
    params = jn.init(net, KEY)
    for layer, w, b in zip(params, model.coefs_, model.intercepts_, strict=True):
        w[:], b[:] = layer.w, layer.b
    del model._optimizer  # its momenta are of the epoch that made the model
    for _ in range(5):
        model.partial_fit(X, targets, sample_weight=weight)
    y = targets if targets.ndim == 1 else targets.astype(float)
    recipe = jn.Recipe(optimizer(), l2=ALPHA, normalization="batch")
    trained = _epochs(net, jn.Split(X, y, weight), recipe, params).params
    for layer, w, b in zip(trained, model.coefs_, model.intercepts_, strict=True):
        np.testing.assert_allclose(layer.w, w, tolerance, tolerance)
        np.testing.assert_allclose(layer.b, b, tolerance, tolerance)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("normalization", ["training set", "batch"])
def test_in_full_batches_a_whole_weight_is_as_many_copies(normalization):
    counts = RANDOM.integers(4, size=N)
    net, n = jn.Network((N_IN, 5, 3), cost=jn.costs.LogLikelihood()), counts.sum()
    split = jn.Split(X, LABELS, counts.astype(float))
    copies = jn.Split(np.repeat(X, counts, axis=0), np.repeat(LABELS, counts))
    # λ/n has the number of examples, or with "batch" the sum of the weights.
    factor = N / n if normalization == "training set" else 1.0
    runs = [
        jn.train(net, jn.Dataset(data), jn.Recipe(jn.sgd(0.5), l2=l2, normalization=normalization),
                 epochs=5, batch_size=len(data.x))
        for data, l2 in ((split, 0.7 * factor), (copies, 0.7))
    ]  # fmt: skip
    for layer, of_copies in zip(runs[0].params, runs[1].params, strict=True):
        np.testing.assert_allclose(layer.w, of_copies.w, 1e-9, 1e-12)
    np.testing.assert_allclose(
        runs[0].history.training_data_cost, runs[1].history.training_data_cost, 1e-9
    )
    np.testing.assert_allclose(
        runs[0].history.training_accuracy, runs[1].history.training_accuracy, 1e-9
    )


def _share_of_rare_class(normalization, batch_size):
    """A rare class's part of the sum of all weights, over many random mini-batches."""
    n = 10_000
    is_rare = np.arange(n) < n // 20  # 5%
    # Each class is to have half of the gradient.
    weight = np.where(is_rare, 10.0, 0.5 / 0.95)
    total = np.zeros(2)
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(n)
        batches = mini_batches(order, batch_size, np.dtype(float), weight, normalization)
        rare = is_rare[batches.indices]
        total += [(batches.weights * rare).sum(), batches.weights.sum()]
    return total[0] / total[1]


@pytest.mark.usefixtures("x64")
def test_the_gradient_is_unbiased_whatever_the_batch():
    """A class of 5% that is to count half does so; normalized by the batch it has 29% of it."""
    for batch_size in (1, 10, 100, 10_000):
        np.testing.assert_allclose(_share_of_rare_class("training set", batch_size), 0.5, 1e-9)
    assert abs(_share_of_rare_class("batch", 10) - 0.29) < 0.01
    np.testing.assert_allclose(_share_of_rare_class("batch", 10_000), 0.5, 1e-9)


@pytest.mark.usefixtures("x64")
def test_the_mean_of_all_mini_batches_is_the_gradient_of_the_weighted_cost():
    net = jn.Network((N_IN, 5, 3), cost=jn.costs.LogLikelihood())
    params = jn.init(net, KEY)
    n = N // BATCH * BATCH
    split = jn.Split(X[:n], LABELS[:n], WEIGHT[:n])
    batches = mini_batches(np.arange(n), BATCH, np.dtype(float), split.weight)
    grads = [
        backpropagation.gradient(net, params, split.x[rows], split.y[rows], None, weights)
        for rows, weights in zip(batches.indices, batches.weights, strict=True)
    ]
    mean = jax.tree.map(lambda *parts: sum(parts) / len(parts), *grads)
    expected = jax.grad(lambda params: jn.evaluate(net, params, split).cost)(params)
    for layer, wanted in zip(mean, expected, strict=True):
        np.testing.assert_allclose(layer.w, wanted.w, 1e-9, 1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("name", "normalization"),
    [*((name, "training set") for name in optimizers.NAMED), ("adam", "batch")],
)
def test_a_mini_batch_of_weight_0_leaves_everything_as_it_was(name, normalization):
    """Also its address: the step after it draws what it would have drawn."""
    net = jn.Network((N_IN, 5, 3), cost=jn.costs.LogLikelihood())
    recipe = jn.Recipe(optimizers.NAMED[name](), dropout=0.3, normalization=normalization)
    weight = np.concatenate([WEIGHT[:20] + 0.1, np.zeros(20)])
    split = jn.Split(X[:40], LABELS[:40], weight)
    first, last = np.arange(20), np.arange(20, 40)
    state = jn.start(net, recipe, KEY, jn.init(net, KEY))
    # The weights' mean is that of all examples in the order.
    orders = [np.concatenate(parts) for parts in ((first, last), (last, first))]
    before, after = (jn.epoch(net, BATCH, split, order, KEY, recipe, state)[0] for order in orders)
    assert before.step == 2 == before.finite_steps
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(a, b)


def test_costs_and_accuracies_are_weighted_means():
    net = jn.Network((N_IN, 5, 3), cost=jn.costs.LogLikelihood())
    params = jn.init(net, KEY)
    split = jn.Split(X, LABELS, WEIGHT)
    costs, correct = evaluation.by_example(net, params, split)
    scores = jn.evaluate(net, params, split, l2=0.5)
    penalty = 0.5 / (2 * N) * sum(float(jnp.sum(layer.w**2)) for layer in params)
    np.testing.assert_allclose(scores.cost, np.average(costs, weights=WEIGHT) + penalty, 1e-5)
    np.testing.assert_allclose(scores.accuracy, np.average(correct, weights=WEIGHT), 1e-5)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(3), "have shape (3,); give one number for each of the 57 examples"),
        (-WEIGHT, "must be at least 0"),
        (np.zeros(N), "all weights are zero"),
        (np.full(N, np.nan), "is nan"),
        (["a"] * N, "strings"),
    ],
)
def test_wrong_weights_are_refused_in_a_sentence(weight, message):
    data = jn.Dataset(jn.Split(X, LABELS, weight))
    with pytest.raises(ValueError, match="weights") as error:
        jn.train(jn.Network((N_IN, 3)), data, jn.Recipe(jn.sgd(0.1)), epochs=1)
    assert message in str(error.value)


def test_class_weights_are_scikit_learns():
    utils = pytest.importorskip("sklearn.utils.class_weight")
    for class_weight in ("balanced", {0: 2.0, 2: 0.5}):
        data = jn.datasets.arrays(X, LABELS, weight=WEIGHT, class_weight=class_weight)
        factors = utils.compute_class_weight(
            class_weight, classes=np.arange(3), y=LABELS, sample_weight=WEIGHT
        )
        np.testing.assert_allclose(data.train.weight, WEIGHT * factors[LABELS], 1e-6)
    with pytest.raises(ValueError, match="class_weight names class 7"):
        jn.datasets.class_weighted(data, {7: 1.0})
