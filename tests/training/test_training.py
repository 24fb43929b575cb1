import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import monitoring
from network2 import Network2

import jaxnet as jn
from jaxnet.training.randomness import address, shuffle
from jaxnet.training.step import start

XOR = jn.datasets.xor(n=100)
NET = jn.Network((2, 4, 2))


def _columns(split, n_out):
    xs = [x[:, None] / 255 for x in np.asarray(split.x, float)]
    return xs, [np.eye(n_out)[y][:, None] for y in split.y]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("cost", ["CrossEntropyCost", "QuadraticCost"])
def test_an_epoch_of_train_is_network2s(cost):
    mnist = jn.datasets.mnist()
    data = jn.Dataset(*(jn.Split(split.x[:n], split.y[:n]) for split, n in zip(mnist, (1000, 300))))
    net = jn.Network(
        (784, 30, 10),
        cost={"CrossEntropyCost": jn.costs.CrossEntropy(), "QuadraticCost": jn.costs.Quadratic()}[
            cost
        ],
    )
    l1, l2, eta, batch_size = 0.3, 5.0, 0.5, 7  # 7 does not divide 1,000
    recipe = jn.Recipe(jn.sgd(eta), l2=l2, l1=l1)
    key = jax.random.key(3)
    initial = start(net, recipe, key).params
    reference = Network2(
        [layer.w.T for layer in initial], [layer.b[:, None] for layer in initial], cost
    )
    xs, ys = _columns(data.train, 10)
    order = np.asarray(shuffle(address(key, "order", 0), 1000))
    reference.train_epoch(xs, ys, order, batch_size, eta, 1000, l2, l1)

    run = jn.train(net, data, recipe, epochs=1, batch_size=batch_size, seed=3)

    for layer, w, b in zip(run.params, reference.weights, reference.biases, strict=True):
        np.testing.assert_allclose(layer.w, w.T, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(layer.b, b[:, 0], rtol=1e-9, atol=1e-12)
    valid_xs, valid_ys = _columns(data.valid, 10)
    expected = (
        reference.total_cost(valid_xs, valid_ys, l2, l1),
        reference.accuracy(valid_xs, data.valid.y),
        reference.total_cost(xs, ys, l2, l1),
        reference.accuracy(xs, data.train.y),
        reference.total_cost(valid_xs, valid_ys, 0.0, 0.0),
        reference.total_cost(xs, ys, 0.0, 0.0),
    )
    np.testing.assert_allclose(run.history.to_array()[:, 0], expected, rtol=1e-9)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("n", [1, 7, 70, 83 * 7, 127 * 7 + 3])
def test_every_number_of_mini_batches_is_one_plain_epoch(n):
    """One example, one batch, whole blocks, a block that is left over, a batch that is."""
    random = np.random.default_rng(n)
    data = jn.Dataset(jn.Split(random.random((n, 3)), random.integers(2, size=n).astype(np.int32)))
    net, key = jn.Network((3, 4, 2)), jax.random.key(0)
    recipe = jn.Recipe(jn.sgd(0.5), l2=0.1)
    state = start(net, recipe, key)
    weights, biases = (
        [layer.w.T for layer in state.params],
        [layer.b[:, None] for layer in state.params],
    )
    reference = Network2(weights, biases)
    order = random.permutation(n)
    size = min(7, n)
    xs, ys = [x[:, None] for x in data.train.x], [np.eye(2)[y][:, None] for y in data.train.y]
    reference.train_epoch(xs, ys, order, size, 0.5, n, l2=0.1)
    trained, _ = jn.epoch(net, size, data.train, order, key, recipe, state)
    assert trained.step == -(-n // size)
    for layer, w, b in zip(trained.params, reference.weights, reference.biases, strict=True):
        np.testing.assert_allclose(layer.w, w.T, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(layer.b, b[:, 0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("x64", [True, False])
def test_parameters_of_another_type_come_to_the_default_one(x64):
    params = jn.init(NET, jax.random.key(0))
    with jax.enable_x64(x64):
        given = jax.tree.map(lambda a: np.asarray(a, np.float32 if x64 else np.float64), params)
        run = jn.train(NET, XOR, jn.Recipe(jn.adam(0.01)), epochs=1, params=given)
        assert run.params[0].w.dtype == (jnp.float64 if x64 else jnp.float32)


@pytest.mark.parametrize("n", [1, 2, 255, 256, 257, 1000, 65_536, 65_537])
def test_the_order_sorts_the_random_keys(n):
    key = address(jax.random.key(n), "order", 3)
    keys = np.asarray(jax.random.bits(key, (n,), np.uint32))
    assert np.array_equal(shuffle(key, n), np.argsort(keys, kind="stable"))


def test_the_order_is_a_permutation_addressed_by_epoch():
    key = jax.random.key(0)
    first, two = (np.asarray(shuffle(address(key, "order", e), 1000)) for e in (0, 1))
    assert np.array_equal(np.sort(first), np.arange(1000))
    assert np.array_equal(np.sort(two), np.arange(1000))
    assert not np.array_equal(first, two)
    # As uniform as it looks: the mean square displacement of a random order is (n²−1)/6.
    assert np.mean((first - np.arange(1000)) ** 2) == pytest.approx(1e6 / 6, rel=0.15)


def test_addresses_do_not_meet():
    key = jax.random.key(0)
    seen = {
        tuple(jax.random.key_data(address(key, stream, index)).tolist())
        for stream in ("init", "order", "step", "rule")
        for index in range(100)
    }
    assert len(seen) == 400


def test_a_run_is_a_function_of_its_seed():
    recipe = jn.Recipe(jn.adam(0.01))
    first, same, other = (jn.train(NET, XOR, recipe, epochs=2, seed=seed) for seed in (1, 1, 2))
    assert all(map(np.array_equal, jax.tree.leaves(first.params), jax.tree.leaves(same.params)))
    assert all(map(np.array_equal, first.history.to_array(), same.history.to_array()))
    assert not np.array_equal(first.params[0].w, other.params[0].w)


def test_an_epoch_is_the_same_within_a_longer_run():
    recipe = jn.Recipe(jn.momentum(0.1))
    short, long = (jn.train(NET, XOR, recipe, epochs=epochs) for epochs in (2, 4))
    for first, other in zip(short.history.to_array(), long.history.to_array(), strict=True):
        assert np.array_equal(first, other[:2])


def test_fit_is_train_as_a_pure_function():
    recipe = jn.Recipe(jn.nesterov(0.1), l2=0.1)
    run = jn.train(NET, XOR, recipe, epochs=3, batch_size=8, seed=5)
    fit = functools.partial(jn.fit, NET, epochs=3, batch_size=8)
    params, history = jax.jit(fit)(XOR, recipe, seed=5)
    for ours, theirs in zip(jax.tree.leaves(params), jax.tree.leaves(run.params), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(history.to_array(), run.history.to_array(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("put", [lambda data: data, jax.device_put])
def test_fit_compiles_around_data_that_it_closes_over(put):
    data, recipe = put(XOR), jn.Recipe(jn.sgd(0.5))
    params, _ = jax.jit(lambda recipe: jn.fit(NET, data, recipe, epochs=1))(recipe)
    expected, _ = jn.fit(NET, XOR, recipe, epochs=1)
    np.testing.assert_allclose(params[0].w, expected[0].w, rtol=1e-5)


@pytest.mark.usefixtures("x64")
def test_fit_under_vmap_is_one_fit_a_seed():
    recipe = jn.Recipe(jn.adam(0.01))
    fit = functools.partial(jn.fit, NET, XOR, recipe, epochs=2, batch_size=30)
    together, _ = jax.vmap(lambda seed: fit(seed=seed))(jnp.arange(3))
    for seed in range(3):
        alone, _ = fit(seed=seed)
        for many, first in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(many[seed], first, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_the_slope_of_the_data_cost_along_lambda_is_that_of_the_network_not_of_the_penalty():
    """Along ln λ, by forward mode, and by differences of what `evaluate` returns."""

    def costs(log_penalty):
        recipe = jn.Recipe(jn.sgd(0.3), l2=jnp.exp(log_penalty))
        params, history = jn.fit(NET, XOR, recipe, epochs=2, batch_size=20)
        evaluated = jn.evaluate(NET, params, XOR.valid).cost
        return evaluated, history.evaluation_data_cost[-1], history.evaluation_cost[-1]

    at, step = jnp.log(2.0), 1e-5
    evaluated = jax.jit(lambda log_penalty: costs(log_penalty)[0])
    difference = (evaluated(at + step) - evaluated(at - step)).item() / (2 * step)
    _, slope, slope_with_penalty = jax.jit(jax.jacfwd(costs))(at)
    assert slope == pytest.approx(difference, rel=1e-5)
    assert slope_with_penalty > 2 * abs(difference)  # λ/2n Σw² itself


@pytest.mark.usefixtures("x64")
def test_a_cost_is_the_data_cost_and_the_penalty_of_its_split():
    recipe = jn.Recipe(jn.sgd(0.5), l2=2.0, l1=0.5)
    run = jn.train(NET, XOR, recipe, epochs=2)
    curves, weights = run.history, [np.asarray(layer.w) for layer in run.params]
    squares, sizes = sum(np.sum(w**2) for w in weights), sum(np.abs(w).sum() for w in weights)
    for name, split in (("evaluation", XOR.valid), ("training", XOR.train)):
        cost, data_cost = (getattr(curves, f"{name}_{kind}")[-1] for kind in ("cost", "data_cost"))
        a = np.asarray(jn.predict(NET, run.params, split.x))
        y = np.eye(2)[split.y]
        entropy = -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a), axis=1)
        assert data_cost == pytest.approx(entropy.mean(), rel=1e-9)
        n = len(split.x)
        assert cost - data_cost == pytest.approx(squares / n + 0.5 * sizes / n, rel=1e-9)
    plain = jn.train(NET, XOR, jn.Recipe(jn.sgd(0.5)), epochs=2).history
    assert np.array_equal(plain.evaluation_cost, plain.evaluation_data_cost)


@pytest.fixture
def compilations():
    """Counts the programs that XLA compiles."""
    count = [0]

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            count[0] += 1

    monitoring.register_event_duration_secs_listener(listen)
    yield count
    monitoring.unregister_event_duration_listener(listen)


def test_one_program_serves_all_epochs_numbers_and_seeds(compilations):
    net = jn.Network((2, 5, 2))  # a network of this test's own
    jn.train(net, XOR, jn.Recipe(jn.adam(0.5), l2=5), epochs=1)
    assert compilations[0] > 0
    numbers = (1, 0.25, np.float64(0.1), np.int32(2), jnp.float32(0.3), jnp.asarray(1))
    recipes = [jn.Recipe(jn.adam(number), l2=number) for number in numbers]
    compilations[0] = 0
    for seed, recipe in enumerate(recipes):
        jn.train(net, XOR, recipe, epochs=3, seed=seed)
    assert compilations[0] == 0
    own = [jn.Optimizer(optax.sgd, {"learning_rate": rate}) for rate in (1, 0.5, np.float32(2))]
    jn.train(net, XOR, jn.Recipe(own[0]), epochs=1)
    jn.evaluate(net, jn.train(net, XOR, jn.Recipe(own[0])).params, XOR.test, l2=1)
    compilations[0] = 0
    for rule, size, seed in zip(own, (10, np.int64(10), np.int32(10)), (7, np.uint32(7), 1)):
        run = jn.train(net, XOR, jn.Recipe(rule), epochs=1, batch_size=size, seed=seed)
        jn.evaluate(net, run.params, XOR.test, l2=np.float64(size))
    assert compilations[0] == 0
    jn.train(net, XOR, jn.Recipe(jn.adam(0.7)), epochs=1)  # no l2: another program
    assert compilations[0] > 0


def test_no_number_of_any_part_of_a_recipe_compiles_anything(compilations):
    def recipe(x):
        return jn.Recipe(
            jn.momentum(x, decay=x),
            l2=x,
            l1=x,
            dropout=x,
            input_dropout=x,
            max_norm=x,
            label_smoothing=x,
            augmentation=jn.Augmentation(0, rotation=x, shape=(1, 2)),
            schedule=jn.schedules.warmup_cosine(2, 1, start=x, end=x),
            stopping=jn.stopping.reduce_on_plateau(round(1 + x), factor=x, floor=x, target=x),
        )

    options = {"epochs": 2, "batch_size": 50}
    jn.train(NET, XOR, recipe(0.3), **options)
    compilations[0] = 0
    jn.train(NET, XOR, recipe(0.6), **options)
    assert compilations[0] == 0


def test_divergence_ends_the_run_and_keeps_what_was_there():
    data = jn.datasets.function(lambda x: x, n=64)
    net = jn.Network((1, 8, 1), jn.activations.relu, jn.costs.Quadratic(jn.activations.linear))
    with pytest.warns(RuntimeWarning, match=r"diverged in epoch \d+: .* learning rate 30 is"):
        run = jn.train(net, data, jn.Recipe(jn.sgd(30.0)), epochs=50, batch_size=8)
    n = len(run.history.training_cost)
    assert 0 <= n < 50
    assert f"diverged in epoch {n + 1}" in run.stopped
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((run.params, run.best_params)))
    slow = jn.Recipe(jn.sgd(0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert jn.train(net, data, slow, epochs=2).stopped is None


def test_divergence_after_good_epochs_keeps_their_history():
    """A rate that is good for three epochs, and infinite then: what was learnt stays."""
    net = jn.Network((2, 4, 2))
    good = jn.train(net, XOR, jn.Recipe(jn.sgd(0.5)), epochs=3)
    recipe = jn.Recipe(jn.Optimizer(_explodes, jn.sgd(0.5).hyper))
    with pytest.warns(RuntimeWarning, match="diverged in epoch 4"):
        bad = jn.train(net, XOR, recipe, epochs=9)
    for first, other in zip(good.history.to_array(), bad.history.to_array(), strict=True):
        np.testing.assert_allclose(first, other, rtol=1e-5)
    np.testing.assert_allclose(good.params[0].w, bad.params[0].w, rtol=1e-4)


def _explodes(learning_rate):
    schedule = lambda step: jnp.where(step < 30, learning_rate, jnp.inf)
    return optax.chain(optax.scale_by_schedule(schedule), optax.scale(-1.0))


def test_the_best_epoch_is_the_first_of_the_highest_evaluation_accuracy():
    run = jn.train(NET, XOR, jn.Recipe(jn.sgd(2.0)), epochs=12)
    assert run.best_epoch == 1 + int(np.argmax(run.history.evaluation_accuracy))
    scores = jn.evaluate(NET, run.best_params, XOR.valid)
    assert scores.accuracy == pytest.approx(run.history.evaluation_accuracy.max())


def test_regression_has_no_accuracy_and_is_judged_by_its_cost():
    data = jn.datasets.function(np.sin, high=np.pi, n=100)
    net = jn.Network((1, 10, 1), cost=jn.costs.Quadratic(jn.activations.linear))
    run = jn.train(net, data, jn.Recipe(jn.adam(0.02)), epochs=15)
    assert np.isnan(run.history.evaluation_accuracy).all()
    assert run.best_epoch == 1 + int(np.argmin(run.history.evaluation_cost))
    assert run.history.evaluation_cost[-1] < 0.5 * run.history.evaluation_cost[0]
    run = jn.train(net, data, jn.Recipe(jn.adam(0.02), l2=20.0), epochs=15)
    assert run.best_epoch == 1 + int(np.argmin(run.history.evaluation_data_cost))
    assert run.best_epoch != 1 + int(np.argmin(run.history.evaluation_cost))


def test_what_is_not_monitored_is_nan_and_without_validation_the_last_is_best():
    alone = jn.Dataset(XOR.train)
    run = jn.train(NET, alone, jn.Recipe(jn.sgd(0.5)), epochs=2)
    assert np.isnan(run.history.evaluation_cost).all()
    assert not np.isnan(run.history.training_cost).any()
    assert run.best_epoch == 2
    quiet = jn.train(NET, XOR, jn.Recipe(jn.sgd(0.5)), epochs=2, evaluate_on=())
    assert np.isnan(quiet.history.to_array()).all()
    for first, other in zip(
        jax.tree.leaves(run.params), jax.tree.leaves(quiet.params), strict=True
    ):
        np.testing.assert_allclose(first, other, rtol=1e-5)


def test_binary_labels_serve_a_single_output():
    net = jn.Network((2, 8, 1))
    run = jn.train(net, XOR, jn.Recipe(jn.adam(0.05)), epochs=30)
    says = np.asarray(jn.predict(net, run.params, XOR.valid.x))[:, 0] > 0.5
    assert run.history.evaluation_accuracy[-1] == pytest.approx(np.mean(says == XOR.valid.y))
    assert run.history.evaluation_accuracy[-1] > 0.95


def test_accuracies_are_exact_fractions():
    mnist = jn.datasets.mnist()
    net = jn.Network((784, 10))
    scores = jn.evaluate(net, jn.init(net, jax.random.key(0)), mnist.test)
    hits = round(float(scores.accuracy) * 10_000)
    assert np.asarray(scores.accuracy) == np.float32(hits / 10_000)


def test_on_epoch_hears_every_epoch():
    heard = []
    run = jn.train(NET, XOR, jn.Recipe(jn.sgd(0.5)), epochs=3, on_epoch=heard.append)
    assert [report.epoch for report in heard] == [1, 2, 3]
    assert [report.training_cost for report in heard] == run.history.training_cost.tolist()
    assert heard[-1].best_epoch == run.best_epoch
    numbers = [number for report in heard for number in (*report[:9], *report[11:13])]
    assert all(type(number) in (int, float) for number in numbers)
    assert all(type(w) is np.ndarray for report in heard for w in jax.tree.leaves(report.params))
    assert np.array_equal(heard[-1].params[0].w, run.params[0].w)


def test_given_parameters_are_where_training_starts():
    params = jn.init(NET, jax.random.key(7))
    run = jn.train(NET, XOR, jn.Recipe(jn.sgd(0.0)), epochs=1, params=params)
    assert np.array_equal(run.params[0].w, params[0].w)
    with pytest.raises(ValueError, match="the parameters have shapes"):
        jn.train(jn.Network((2, 3, 2)), XOR, jn.Recipe(jn.sgd(0.1)), params=params)


def test_rules_that_evaluate_elsewhere_or_search_along_a_line_fit_in():
    run = jn.train(NET, XOR, jn.Recipe(jn.schedule_free_sgd(0.5)), epochs=20)
    assert run.history.training_cost[-1] < run.history.training_cost[0]
    scores = jn.evaluate(NET, run.params, XOR.train)
    assert scores.cost == pytest.approx(run.history.training_cost[-1], rel=1e-5)
    run = jn.train(NET, XOR, jn.Recipe(jn.lbfgs()), epochs=25, batch_size=100)
    assert run.history.training_accuracy[-1] == 1.0
