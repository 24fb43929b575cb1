"""The book's programs: the numbers of a plain NumPy loop, the book's lines, files and errors."""

import itertools
import json
import random
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network2 import COSTS, Network2

import jaxnet as jn
from jaxnet.book import mnist_loader, network, network2
from jaxnet.book.costs import BY_NAME, cost_for_training
from jaxnet.book.examples import split_of
from jaxnet.training.randomness import address, shuffle

SIZES = [6, 5, 3]
CLASSES = {"network": network.Network, "network2": network2.Network}
FLAGS = (
    "monitor_evaluation_cost", "monitor_evaluation_accuracy",
    "monitor_training_cost", "monitor_training_accuracy",
)  # fmt: skip


def _examples(n, seed, labels=False):
    """Random examples, of which the inputs say something about the label."""
    rng = np.random.default_rng(seed)
    xs, ys = rng.random((n, 6, 1)), rng.integers(3, size=n)
    for x, y in zip(xs, ys, strict=True):
        x[y] += 0.7
    return list(zip(xs, ys if labels else np.eye(3)[ys][:, :, None], strict=True))


TRAINING, EVALUATION = _examples(23, 0), _examples(11, 1, labels=True)


def _weights(seed=5):
    """Weights and biases in float64, of network2's shapes."""
    rng = np.random.default_rng(seed)
    pairs = list(itertools.pairwise(SIZES))
    return (
        [rng.standard_normal((n_out, n_in)) for n_in, n_out in pairs],
        [rng.standard_normal((n_out, 1)) for _, n_out in pairs],
    )


def _order(seed, epoch, n):
    key = jax.random.key(seed, impl="threefry2x32")
    return np.asarray(shuffle(address(key, "order", epoch), n))


def _seed_of_call(seed, number):
    return seed if number == 0 else int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


@pytest.mark.parametrize("lmbda", [0.0, 4.0])
@pytest.mark.parametrize("cost", COSTS)
def test_two_calls_have_the_curves_and_weights_of_a_loop_in_numpy(cost, lmbda):
    """With mini-batches of 4 of 23 examples, of which the last has 3."""
    net, reference = network2.Network(SIZES, BY_NAME[cost], seed=3), Network2(*_weights(), cost)
    net.weights, net.biases = _weights()
    xs, ys = map(np.array, zip(*TRAINING, strict=True))
    evaluation_xs, labels = zip(*EVALUATION, strict=True)
    expected: list[list[float]] = []
    one_hot = np.eye(3)[list(labels)][:, :, None]
    for call in range(2):
        curves = net.SGD(TRAINING, 3, 4, 0.8, lmbda, EVALUATION, **dict.fromkeys(FLAGS, True))
        expected = [[], [], [], []]
        for epoch in range(3):
            order = _order(_seed_of_call(3, call), epoch, len(xs))
            reference.train_epoch(xs, ys, order, 4, 0.8, len(xs), lmbda)
            expected[0].append(reference.total_cost(evaluation_xs, one_hot, lmbda))
            expected[1].append(round(reference.accuracy(evaluation_xs, labels) * len(labels)))
            expected[2].append(reference.total_cost(xs, ys, lmbda))
            expected[3].append(round(reference.accuracy(xs, ys.argmax(1)[:, 0]) * len(xs)))
        assert curves[1] == expected[1]
        assert curves[3] == expected[3]
        np.testing.assert_allclose(curves[0], expected[0], rtol=1e-9)
        np.testing.assert_allclose(curves[2], expected[2], rtol=1e-9)
        for ours, theirs in zip(net.weights + net.biases, reference.weights + reference.biases):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    assert net.total_cost(EVALUATION, lmbda, convert=True) == pytest.approx(expected[0][-1], 1e-9)
    assert net.total_cost(TRAINING, lmbda) == pytest.approx(expected[2][-1], 1e-9)
    assert net.accuracy(EVALUATION) == expected[1][-1]
    assert net.accuracy(TRAINING, convert=True) == expected[3][-1]
    np.testing.assert_allclose(net.feedforward(xs[0]), reference.feedforward(xs[0]), rtol=1e-9)


def test_chapter_1_has_the_weights_and_counts_of_a_loop_in_numpy(capsys):
    net, reference = network.Network(SIZES, seed=8), Network2(*_weights(), "QuadraticCost")
    net.weights, net.biases = _weights()
    net.SGD(TRAINING, 2, 10, 3.0, test_data=EVALUATION)
    xs, ys = zip(*TRAINING, strict=True)
    evaluation_xs, labels = zip(*EVALUATION, strict=True)
    lines, counts = [], []
    for epoch in range(2):
        reference.train_epoch(xs, ys, _order(8, epoch, len(xs)), 10, 3.0, len(xs))
        counts.append(round(reference.accuracy(evaluation_xs, labels) * len(labels)))
        lines.append(f"Epoch {epoch}: {counts[-1]} / 11")
    assert capsys.readouterr().out.splitlines() == lines
    assert net.evaluate(EVALUATION) == counts[-1]
    for ours, theirs in zip(net.weights + net.biases, reference.weights + reference.biases):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("chapter", CLASSES)
def test_a_seed_is_that_of_jaxnets_own_train(chapter):
    net = CLASSES[chapter](SIZES, seed=4)
    draws = jn.initializers.large if chapter == "network" else jn.initializers.default
    architecture = jn.Network(tuple(SIZES), cost=cost_for_training(net.cost), init=draws)
    xs, ys = (np.stack([pair[i] for pair in TRAINING])[:, :, 0] for i in (0, 1))
    recipe = jn.Recipe(jn.sgd(0.5), l2=0.0)
    run = jn.train(architecture, jn.datasets.arrays(xs, ys), recipe, epochs=2, seed=4)
    net.SGD(TRAINING, 2, 10, 0.5)
    assert net.weights[0].dtype == np.float32
    for layer, w, b in zip(run.params, net.weights, net.biases, strict=True):
        assert np.array_equal(layer.w.T, w)
        assert np.array_equal(layer.b[:, None], b)


@pytest.fixture(scope="module")
def mnist():
    """A few examples of MNIST."""
    training_data, _, test_data = mnist_loader.load_data_wrapper()
    return training_data[:300], test_data[:100]


def test_the_six_lines_of_chapter_1_run(mnist, capsys):
    training_data, test_data = mnist
    net = network.Network([784, 30, 10])
    net.SGD(training_data, 3, 10, 3.0, test_data=test_data)
    counts = re.findall(r"^Epoch \d: (\d+) / 100$", capsys.readouterr().out, re.M)
    assert len(counts) == 3
    assert int(counts[-1]) == net.evaluate(test_data)
    net.SGD(zip(*zip(*training_data)), 1, 10, 3.0)
    assert capsys.readouterr().out == "Epoch 0 complete\n"


def test_the_six_lines_of_chapter_3_run(mnist, capsys):
    training_data, test_data = mnist
    net = network2.Network([784, 30, 10], cost=network2.CrossEntropyCost)
    net.large_weight_initializer()
    net.SGD(
        training_data, 2, 10, 0.5, evaluation_data=zip(*zip(*test_data)), lmbda=5.0,
        monitor_evaluation_accuracy=True, monitor_training_cost=True,
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    number = r"\d+\.\d+(e-\d+)?"
    patterns = ["Epoch {} training complete", f"Cost on training data: {number}",
                r"Accuracy on evaluation data: \d+ / 100"]  # fmt: skip
    for line, (epoch, pattern) in zip(lines, itertools.product(range(2), patterns), strict=True):
        assert re.fullmatch(pattern.replace("{}", str(epoch)), line), line


@pytest.mark.parametrize("flags", [(), *((flag,) for flag in FLAGS), FLAGS[1:3]], ids=" ".join)
def test_lists_are_empty_where_nothing_is_monitored_and_counts_are_integers(flags, capsys):
    net = network2.Network(SIZES, seed=0)
    curves = net.SGD(TRAINING, 2, 10, 0.5, 0.1, EVALUATION, **dict.fromkeys(flags, True))
    for flag, curve in zip(FLAGS, curves, strict=True):
        assert len(curve) == (2 if flag in flags else 0)
        assert {type(value) for value in curve} <= {int if "accuracy" in flag else float}
    printed = capsys.readouterr().out
    for flag, curve in zip(FLAGS, curves, strict=True):
        _, name, kind = flag.split("_")
        n = {"training": 23, "evaluation": 11}[name]
        lines = re.findall(rf"^{kind.title()} on {name} data: (.*)$", printed, re.M)
        assert lines == [f"{value} / {n}" if kind == "accuracy" else f"{value}" for value in curve]


@pytest.mark.parametrize("flag", ["monitor_evaluation_accuracy", "monitor_training_accuracy"])
def test_training_ends_when_the_accuracy_has_not_risen_for_n_epochs(flag):
    net = network2.Network(SIZES, seed=0)
    curves = net.SGD(TRAINING, 9, 10, 0.0, 0.0, EVALUATION, early_stopping_n=2, **{flag: True})
    (accuracies,) = (curve for curve in curves if curve)
    assert accuracies[0] > 0
    assert len(accuracies) == 3  # the first is better than 0
    curves = net.SGD(TRAINING, 4, 10, 0.0, 0.0, EVALUATION, **{flag: True})
    assert len(curves[FLAGS.index(flag)]) == 4


def test_zero_epochs_change_and_print_nothing(capsys):
    net = network2.Network(SIZES, seed=0)
    before = [w.copy() for w in net.weights]
    assert net.SGD(TRAINING, 0, 10, 0.5, monitor_training_cost=True) == ([], [], [], [])
    assert all(map(np.array_equal, before, net.weights))
    assert capsys.readouterr().out == ""


def test_weights_are_repeated_by_a_seed_and_by_pythons_and_else_are_others():
    first = network2.Network(SIZES, seed=1)
    drawn = [first.weights[0]]
    first.default_weight_initializer()
    drawn.append(first.weights[0])
    again = network2.Network(SIZES, seed=1)
    assert np.array_equal(again.weights[0], drawn[0])
    again.default_weight_initializer()
    assert np.array_equal(again.weights[0], drawn[1])
    random.seed(7)
    seeded = network2.Network(SIZES)
    random.seed(7)
    assert np.array_equal(network2.Network(SIZES).weights[0], seeded.weights[0])
    drawn += [seeded.weights[0], network2.Network(SIZES).weights[0]]
    assert len({w.tobytes() for w in drawn}) == 4


def test_initial_weights_have_the_deviations_of_the_book():
    net = network2.Network([400, 100, 2], seed=0)
    assert net.weights[0].std() == pytest.approx(1 / 20, rel=0.02)
    net.large_weight_initializer()
    assert net.weights[0].std() == pytest.approx(1, rel=0.02)
    assert network.Network([400, 100, 2], seed=0).weights[0].std() == pytest.approx(1, rel=0.02)
    assert net.biases[0].std() == pytest.approx(1, rel=0.3)


def test_weights_can_be_changed_in_place_and_the_cost_be_assigned():
    net = network2.Network([2, 1], seed=0)
    net.weights[0][:], net.biases[0][:] = [[2.0, -1.0]], [[0.5]]
    x = np.array([[1.0], [3.0]])
    expected = 1 / (1 + np.exp(0.5))
    np.testing.assert_allclose(net.feedforward(x), [[expected]], rtol=1e-6)
    np.testing.assert_allclose(net.feedforward(np.hstack([x, x])), [[expected] * 2], rtol=1e-6)
    net.cost = network2.QuadraticCost
    assert net.total_cost([(x, 1)], 0.0) == pytest.approx(0.5 * (1 - expected) ** 2, rel=1e-5)
    assert net.accuracy([(x, 1), (x, 0), (x, 0)]) == 2


@pytest.mark.parametrize("name", BY_NAME)
def test_costs_are_those_that_are_trained_with(name):
    cost, trained = BY_NAME[name], cost_for_training(BY_NAME[name])
    z, y = np.array([[0.3], [-2.0], [1.5]]), np.array([[1.0], [0.0], [0.4]])
    a = 1 / (1 + np.exp(-z))
    with jax.enable_x64(True):
        logits, targets = jnp.asarray(z[:, 0]), jnp.asarray(y[:, 0])
        assert cost.fn(a, y) == pytest.approx(float(trained.fn(logits, targets)), rel=1e-12)
        slope = jax.grad(trained.fn)(logits, targets)
    np.testing.assert_allclose(cost.delta(z, a, y)[:, 0], slope, rtol=1e-12)
    assert network2.CrossEntropyCost.fn(np.ones((2, 1)), np.ones((2, 1))) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cost", BY_NAME)
def test_a_saved_network_is_loaded_as_it_was_and_network2_reads_it(cost, dtype, tmp_path):
    net = network2.Network(SIZES, BY_NAME[cost], seed=0)
    if dtype == "float64":
        net.weights, net.biases = _weights()
    net.save(tmp_path / "net")
    loaded, theirs = network2.load(str(tmp_path / "net")), Network2.load(tmp_path / "net")
    assert (loaded.sizes, loaded.cost, theirs.cost) == (SIZES, BY_NAME[cost], cost)
    for ours, other, array in zip(
        loaded.weights + loaded.biases, theirs.weights + theirs.biases, net.weights + net.biases
    ):
        assert ours.dtype == array.dtype == dtype
        assert np.array_equal(ours, array)
        assert np.array_equal(other, array)
    net.save(tmp_path / "net.json")
    assert jn.load(tmp_path / "net.json")[0] == net.architecture if dtype == "float32" else True


def test_files_of_network2_and_of_jaxnet_are_loaded(tmp_path):
    Network2(*_weights(), "QuadraticCost").save(tmp_path / "theirs.json")
    loaded = network2.load(tmp_path / "theirs.json")
    assert loaded.cost is network2.QuadraticCost
    np.testing.assert_allclose(loaded.weights[1], _weights()[0][1], rtol=1e-6)
    jn.save(tmp_path / "ours.json", loaded.architecture, loaded.params)
    assert np.array_equal(network2.load(tmp_path / "ours.json").biases[0], loaded.biases[0])
    relu = jn.Network((2, 2, 2), hidden=jn.activations.relu)
    jn.save(tmp_path / "relu.json", relu, jn.init(relu, jax.random.key(0)))
    with pytest.raises(ValueError, match=r"relu.json is .* cannot express.*jaxnet.load\.$"):
        network2.load(tmp_path / "relu.json")
    (tmp_path / "other").write_text(json.dumps({"sizes": [2, 2]}))
    with pytest.raises(ValueError, match="is not a network"):
        network2.load(tmp_path / "other")


def test_mnist_has_the_formats_of_the_book():
    (images, labels), *_ = mnist_loader.load_data()
    assert (images.dtype, labels.dtype) == (np.float32, np.int64)
    assert images.max() == 255 / 256
    training, validation, test = mnist_loader.load_data_wrapper()
    assert [len(data) for data in (training, validation, test)] == [50_000, 10_000, 10_000]
    for index in (0, 1234):
        x, y = training[index]
        assert np.array_equal(x, images[index].reshape(784, 1))
        assert np.array_equal(y, mnist_loader.vectorized_result(labels[index]))
    assert (validation[0][0].shape, int(validation[0][1]), int(test[0][1])) == ((784, 1), 3, 7)


X, Y = np.ones((6, 1)), np.array([[1.0], [0.0], [0.0]])
WRONG = {
    "no list": (3, "training_data must be a list of tuples .*, not 3"),
    "no tuples": ([X, X], "training_data must be a list of tuples"),
    "empty": ([], "training_data has no examples"),
    "flat x": ([(X, Y), (X[:, 0], Y)], r"x of example 1 must be .*\(6, 1\), not shape \(6,\)"),
    "small x": ([(X[:5], Y)], r"x of example 0 must be a column of 6 numbers.*not shape \(5, 1\)"),
    "text": ([("abc", Y)], "x of example 0 must be a column of 6 numbers"),
    "y of another width": ([(X, Y[:2])], r"y of example 0 must be .*\(3, 1\).*not shape \(2, 1\)"),
    "label too large": ([(X, 0), (X, 3)], r"y of example 1 must be a label in \[0, 2\].*not 3"),
    "label as a float": ([(X, 1.0)], "y of example 0 must be a label"),
    "mixed": ([(X, 1), (X, Y)], r"y of example 1 must be .* like those of all examples"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_examples_that_cannot_be_used_are_refused_in_a_sentence(kind):
    examples, message = WRONG[kind]
    with pytest.raises(ValueError, match=message) as refusal:
        split_of("training_data", examples, 6, 3)
    assert str(refusal.value).endswith(".")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": -1}, "epochs must be a whole number"),
        ({"mini_batch_size": 0}, "mini_batch_size must be a whole number of at least 1, not 0"),
        ({"eta": -0.5}, "eta must be .*-0.5"),
        ({"lmbda": -1.0}, "lmbda must be .*-1"),
        ({"training_data": [(X, Y * 2)]}, "target"),
        ({"training_data": [(X * np.nan, Y)]}, "nan"),
        ({"monitor_evaluation_cost": True}, "evaluation_data is None, but"),
        ({"early_stopping_n": 2}, "early_stopping_n is 2, but no accuracy is monitored"),
        ({"evaluation_data": [(X, 7)], "monitor_evaluation_cost": True}, "evaluation_data: y of"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_in_a_sentence(arguments, message):
    right = {"training_data": TRAINING, "epochs": 1, "mini_batch_size": 10, "eta": 0.5}
    with pytest.raises(ValueError, match=message):
        network2.Network(SIZES, seed=0).SGD(**(right | arguments))


def test_weights_and_inputs_that_cannot_be_used_are_refused_in_a_sentence():
    net = network2.Network(SIZES, seed=0)
    with pytest.raises(ValueError, match=r"a must be a column of 6 .*\(6, 1\)"):
        net.feedforward(np.ones(6))
    net.weights = [net.weights[0]]
    with pytest.raises(ValueError, match=r"weights must be .* \[\(5, 6\), \(3, 5\)\], not of sh"):
        net.feedforward(X)
    net.weights = "none"
    with pytest.raises(ValueError, match="weights must be a list of arrays"):
        net.save("unused")
    for wrong in (jn.costs.CrossEntropy(), "CrossEntropyCost"):
        with pytest.raises(ValueError, match="cost must be the class CrossEntropyCost"):
            cost_for_training(wrong)


def test_mini_batches_may_be_larger_than_the_data():
    first, other = (network2.Network(SIZES, seed=0) for _ in range(2))
    first.SGD(TRAINING, 1, 1000, 0.5)
    other.SGD(TRAINING, 1, 23, 0.5)
    assert all(map(np.array_equal, first.weights, other.weights))


def test_a_training_that_diverges_ends_with_a_warning_and_the_weights_before():
    net = network2.Network(SIZES, seed=0)
    before = [w.copy() for w in net.weights]
    with pytest.warns(RuntimeWarning, match="epoch 1"):
        curves = net.SGD(TRAINING, 3, 1, 1e30, 1e9, monitor_training_cost=True)
    assert curves == ([], [], [], [])
    assert all(map(np.array_equal, before, net.weights))
