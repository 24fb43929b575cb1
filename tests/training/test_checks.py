"""What a person gets who passes something of the wrong type: one clear sentence.

In a plain interpreter, since the shape checks of these tests would answer first.
"""

import json
import re
import subprocess
import sys

import jax
import pytest

import jaxnet as jn

# An expression, and what its error must say.
CASES = {
    "jn.Network('ab')": "sizes must be two or more positive whole numbers.*not 'ab'",
    "jn.Network(7)": "sizes must be two or more positive whole numbers.*not 7",
    "jn.Network((3, 2.5))": "sizes must be two or more positive whole numbers",
    "jn.Network((3, None))": "sizes must be two or more positive whole numbers",
    "jn.Network((2, 3, 1), hidden='relu')": "hidden must be an Activation such as",
    "jn.Network((2, 3, 1), cost='quadratic')": "cost must be a Cost such as",
    "jn.Network((2, 3, 1), precision='double')": "precision must be .*not 'double'",
    "jn.Recipe(0.5)": "optimizer must be an Optimizer such as jaxnet.sgd.*not 0.5",
    "jn.Recipe(jn.sgd(0.5), l2='much')": r"l2 must be a number in \[0, inf\), not 'much'",
    "jn.sgd('fast')": "learning_rate must be a number .*not 'fast'",
    "jn.train(net, data, recipe, epochs=2.5)": "epochs must be a whole number of at least 0",
    "jn.train(net, data, recipe, epochs=-1)": "epochs must be a whole number of at least 0, not -1",
    "jn.train(net, data, recipe, batch_size='all')": "batch_size must be a whole number",
    "jn.train(net, data, recipe, batch_size=201)": r"batch_size must be in \[1, 200\]",
    "jn.train(net, data, recipe, seed=-1)": r"seed must be a whole number in \[0, 4294967296\)",
    "jn.train(net, data, recipe, seed=0.5)": "seed must be a whole number",
    "jn.train(net, data, recipe, evaluate_on='training')": "evaluate_on must be a tuple of",
    "jn.train(net, data, recipe, evaluate_on=('tset',))": "evaluate_on must be a tuple of",
    "jn.train(net, data, jn.Recipe(jn.sgd([1, 2])))": "train and fit take scalars",
    "jn.train(net, data, jn.sgd(0.5))": "recipe must be a Recipe, not sgd\\(.*\\): wrap it",
    "jn.sweep(net, data, jn.sgd(0.5))": "recipe must be a Recipe, not sgd\\(.*\\): wrap it",
    "jn.sgd(None)": "learning_rate must be a number, not None",
    "jn.predict(net, jn.init(jn.Network((2, 5, 2)), jax.random.key(0)), data.train.x)": "ask for",
    "jn.train(net, data.train, recipe)": "data must be a Dataset, not Split",
    "jn.train(net, data, recipe, evaluate_on=None)": "evaluate_on must be a tuple of",
    "jn.train(net, jn.Dataset(X), recipe)": "training split must be a Split of inputs and targets",
    "jn.train(net, jn.Dataset(None), recipe)": "training split is None: the data has no",
    "jn.train(net, with_train(x=X * 1j), recipe)": "inputs are complex128; use uint8",
    "jn.train(net, with_train(x=X * np.nan), recipe)": "row 0, column 0 of the inputs is nan",
    "jn.train(net, with_train(y=Y[:, None] + [0, 2]), recipe)": "targets are floats of shape",
    "jn.train(net, data._replace(test=jn.Split(X[:, :1], Y)), recipe)": "the test inputs have sh",
    "jn.train(net, data._replace(test=jn.Split(X, Y + 1)), recipe)": "the test labels lie in .1",
    "jn.sweep(net, 3, recipe)": "data must be a Dataset, not int",
    "jn.sweep(net, data, 0.1)": "recipe must be a Recipe, not 0.1",
    "jn.sweep(net, data, recipe, seeds='all')": "seeds must be a whole number",
    "jn.sweep(net, data, recipe, epochs=0)": "epochs must be a whole number of at least 1, not 0",
    "jn.sweep(net, data, recipe, executor='processes')": "executor must be an object with submit",
    "jn.sweep('net', data, recipe)": "net must be a Network, not str",
    "jn.evaluate(net, params, jn.Split(X, Y + 1))": "the evaluated labels lie in .1, 2.",
    "jn.evaluate(net, params, data.test, l2=-1)": r"l2 must be a number in \[0, inf\), not -1",
    "jn.gradient(net, params, X, Y * 0.5)": "given targets have shape",
    "jn.gradient(net, params, X * 1j, Y)": "inputs are complex.*; use uint8 for pixels",
    "jn.gradient(net, params, X, Y, [X, X])": "2 masks for 0 hidden layers",
    "jn.predict(net, params, [1.0, 2.0, 3.0])": "x has shape .3,., but the network takes",
    "jn.init(net, 0)": r"init takes a random key, such as jax.random.key\(0\), not 0",
    "jn.Network((2, 1), cost=jn.costs.LogLikelihood())": "softmax of a single output is always 1",
    "jn.Network((64, 2**63, 10))": "make .* parameters, but there must be fewer than 2³¹",
    "jn.Network((2, 3, 1), hidden=Loose())": "parts must be hashable",
    "jn.initializers.gaussian([1, 2])": "gaussian: std must be one number",
    "jn.activations.LeakyRelu('a')": "LeakyRelu: slope must be a number",
    "jn.Recipe(jn.sgd(0.5), dropout=1)": r"dropout must be a number in \[0, 1\), not 1; choose",
    "jn.Recipe(jn.sgd(0.5), dropout=-0.1)": r"dropout must be a number in \[0, 1\), not -0.1",
    "jn.Recipe(jn.sgd(0.5), input_dropout=2)": r"input_dropout must be a number in \[0, 1\)",
    "jn.Recipe(jn.sgd(0.5), l1=-1)": r"l1 must be a number in \[0, inf\), not -1; choose",
    "jn.Recipe(jn.sgd(0.5), label_smoothing=1)": r"label_smoothing must be a number in \[0, 1\)",
    "jn.Recipe(jn.sgd(0.5), schedule=0.9)": "schedule must be a Schedule such as.*not 0.9",
    "jn.Recipe(jn.sgd(0.5), augmentation=1)": "augmentation must be a rule such as .*, not 1",
    "jn.augmentation.custom(3)": "augmentation must be a rule such as .*, not 3",
    "jn.augmentation.custom(max, share='a')": "share must be a number in .*, not 'a'",
    "jn.augmentation.mixup('a')": r"alpha must be a number in \[0, inf\), not 'a'",
    "jn.augmentation.mixup(None)": r"alpha must be a number in \[0, inf\), not None",
    "jn.augmentation.cutmix(1, shape=3)": r"shape must be \(height, width\), not 3",
    "jn.datasets.label_noise(data.train, 0.1)": "data must be a Dataset such as",
    "jn.train(net, data, recipe, order='random')": 'order must be "shuffled" or "sequential"',
    "jn.fit(net, data, recipe, epochs=1, order=1)": 'order must be "shuffled" or "sequential"',
    "jn.sweep(net, data, recipe, order=None)": 'order must be "shuffled" or "sequential"',
    "jn.Recipe(jn.sgd(0.5), stopping=10)": "stopping must be a Stopping such as.*not 10",
    "jn.stopping.no_improvement_in(0)": r"patience must be a whole number in \[1, inf\), not 0",
    "jn.stopping.no_improvement_in(2.5)": r"patience must be a whole number in \[1, inf\), not 2.5",
    "jn.stopping.no_improvement_in(3, split='test')": "not 'test'; the test set never decides",
    "jn.stopping.no_improvement_in(3, metric='the loss')": "metric must be .*not 'the loss'",
    "jn.stopping.reach(1.5)": r"target must be an accuracy in \[0, 1\], not 1.5",
    "jn.schedules.cosine(0)": "horizon must be a positive number of epochs, not 0",
    "jn.schedules.warmup_cosine(3, 3)": "warmup must be shorter than the horizon, 3, not 3",
    "jn.schedules.exponential(0.9, unit='days')": "unit must be .*not 'days'",
    "jn.Augmentation(shift=0.5)": "shift must be a whole number of at least 0, not 0.5",
    "jn.train(square, pixels, with_(augmentation=jn.Augmentation(2)))": "an image, 2×2, not 2",
    "jn.Augmentation(1, shape=12)": r"shape must be \(height, width\), not 12",
    "jn.stopping.Stopping()": "a stopping rule needs a patience, or a target alone",
    "jn.stopping.Stopping(patience=3, floor=0.1)": "factor and floor of a stopping rule go",
    "jn.schedules.custom(optax.linear_schedule, horizon='end')": "must name one of the lengths",
    "jn.Recipe(jn.schedule_free_sgd(1), max_norm=1)": "max_norm would not bound the weights that",
    "jn.train(net, data, recipe, monitors=jn.Monitors(('dead',)))": "dead are of hidden layers",
    "jn.train(net, data, with_(schedule=cycle), epochs=1, batch_size=200)": "cannot be made of",
    "jn.train(net, data, with_(schedule=asks))": "be made of epochs of 20 mini-batches: Attem",
    "jn.train(net, data, with_(schedule=jn.schedules.warmup(1e9)))": "be below 2³¹ mini-batches",
    "jn.Network({2, 3, 1})": "sizes must be two or more positive whole numbers.*not {",
    "jn.sgd(1e-50)": "learning_rate is 1e-50, which is 0 in float32; give 0 itself, or at least",
    "jn.train(net, data, recipe, on_epoch=later)": "on_epoch must be a plain function, without asy",
    "jn.train(net, data, recipe, on_epoch=Later())": "on_epoch must be a plain function",
    "jn.train(net, data, recipe, on_epoch=[print, lazy])": "on_epoch must be a plain function",
    "jn.sweep(net, data, recipe, log=later)": "log must be a plain function, without async or yiel",
    "jn.sweep(net, data, recipe, on_progress=lazy)": "on_progress must be a plain function",
    "jn.confusion(counts, start, jn.Split(X[:3], np.array([0, 1, 3])))": "needs integer labels",
    "jn.Recipe(jn.sgd(0.5), max_norm=0)": "max_norm must be a number in .1e-06, inf., not 0",
    "jn.train(net, data, recipe, on_epoch=[print, 3])": "on_epoch must be a function of a report",
    "jn.Augmentation(scaling=1)": r"scaling must be a number in \[0, 1\), not 1",
    "jn.Monitors(('loss',))": "names of monitors must be a tuple of gradient_norm.*not .'loss'",
    "jn.Monitors(every=0)": "every must be a whole number of at least 1, not 0",
    "jn.train(net, data, recipe, monitors=3)": "monitors must be Monitors, such as.*not 3",
    "jn.train(net, data, recipe, monitors=jn.Monitors(every=99))": "an epoch has 20; choose fewer",
    "jn.train(net, data, recipe, time_budget=-1)": r"time_budget must be a number in \[0, inf\)",
    "jn.train(net, data, recipe, devices=2)": "devices must be a list such as jax.devices.., not 2",
    "jn.train(net, data, recipe, devices=jax.devices() * 2)": "devices must be different ones",
    "jn.train(net, data, with_(dropout=0.5))": "dropout is for hidden units, but sizes .2, 2. has",
    "jn.train(net, data, with_(max_norm=1))": "max_norm is for hidden units",
    "jn.train(net, data, with_(augmentation=jn.Augmentation(1)))": "images are 1×1, but",
    "jn.train(net, data, with_(stopping=reach), evaluate_on=())": "evaluate_on lacks .evaluation",
    "jn.train(net, data._replace(valid=None), with_(stopping=reach))": "has no validation set",
    **{
        f"jn.{call}(net, jn.Dataset(data.train), recipe, evaluate_on=('validation',){more})": (
            "evaluate_on has the validation split, but the data has none; give it one, or evaluate"
        )
        for call, more in (
            ("train", ""),
            ("fit", ", epochs=1"),
            ("sweep", ", successive_halving=2"),
        )
    },
    "jn.train(jn.Network((1, 1)), sine, with_(stopping=reach))": "numbers to predict; use",
    "jn.train(jn.Network((1, 1)), sine, with_(label_smoothing=0.1))": "is for classes",
    "jn.train(net, data, with_(schedule=jn.schedules.cosine(3)), epochs=4)": "ends after 3 epochs",
    "jn.newton_cg(iterations=0)": "iterations must be a whole number of at least 1, not 0",
    "jn.train(jn.Network((3, 2)), data, recipe)": "network's 3 inputs need .n, 3.; choose sizes",
    "jn.train(jn.Network((2, 3)), jn.datasets.spirals(n_classes=5), recipe)": "lie in .0, 4.",
    "jn.train(jn.Network((1, 3)), jn.datasets.function(abs), recipe)": "3 outputs need",
}

SCRIPT = """
import dataclasses, json, sys
import jax, numpy as np, optax
import jaxnet as jn
net, data, recipe = jn.Network((2, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd(0.5))
params = jn.init(net, jax.random.key(0))
X, Y = data.train.x, data.train.y
with_ = lambda **parts: jn.Recipe(jn.sgd(0.5), **parts)
square = jn.Network((4, 2))
pixels = jn.Dataset(jn.Split(np.zeros((20, 4), np.uint8), np.zeros(20, int)))
cycle = jn.schedules.one_cycle(1, 0.3)
asks = jn.schedules.custom(
    optax.exponential_decay, {"transition_steps": 10}, init_value=1, decay_rate=0.5
)
reach, sine = jn.stopping.reach(1), jn.datasets.function(np.sin)
counts = jn.Network((2, 1), cost=jn.costs.Quadratic(jn.activations.linear))
start = jn.init(counts, jax.random.key(0))
async def later(report):
    pass
def lazy(report):
    yield
class Later:
    async def __call__(self, report):
        pass
with_train = lambda **parts: data._replace(train=data.train._replace(**parts))
@dataclasses.dataclass
class Loose(jn.activations.Activation):
    fn = pullback = None
messages = {}
for case in json.load(sys.stdin):
    try:
        eval(case)
        messages[case] = "nothing"
    except Exception as error:
        messages[case] = f"{type(error).__name__}: {error}"
assert jn.Network([2, 1]) == jn.Network((2, 1)) and hash(jn.Network([2, 1]))
assert jn.Network([2, 3, 1], [jn.activations.relu]).hidden == jn.activations.relu
json.dump(messages, sys.stdout)
"""


@pytest.fixture(scope="module")
def messages():
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(list(CASES)),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(process.stdout)


@pytest.mark.parametrize("case", CASES)
def test_the_error_says_what_is_wrong(case, messages):
    assert messages[case].startswith("ValueError: ")
    assert "\n" not in messages[case]
    assert re.search(CASES[case], messages[case])


@pytest.mark.parametrize(
    ("name", "other"), [("jax_threefry_partitionable", False), ("jax_random_seed_offset", 5)]
)
@pytest.mark.parametrize("train", [jn.train, jn.fit, jn.sweep])
def test_other_draws_from_the_same_seed_are_refused(train, name, other):
    """A run is a function of the network, the data, the recipe and the seed alone."""
    default = getattr(jax.config, name)
    jax.config.update(name, other)
    try:
        with pytest.raises(ValueError, match=rf"{name} is {other}, so that.*set it to {default}, "):
            train(jn.Network((2, 2)), jn.datasets.xor(n=12), jn.Recipe(jn.sgd(0.5)), epochs=1)
    finally:
        jax.config.update(name, default)
