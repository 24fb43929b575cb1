"""What all rules for mini-batches have in common, and functions of a user's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet as jn
from jaxnet.recipes.augmentation import Augmentation, custom, cutmix, input_noise, mixup
from jaxnet.recipes.batch_rules import batch_rule
from jaxnet.training.fingerprint import differences, fingerprint

NET = jn.Network((35, 6, 3))
RANDOM = np.random.default_rng(0)
X = RANDOM.integers(256, size=(23, 35), dtype=np.uint8)
Y = RANDOM.integers(3, size=23).astype(np.int32)
DATA = jn.Dataset(jn.Split(X, Y), jn.Split(X[:9], Y[:9]))


def flip_sign(key, xs, ys, share=0.5):
    """Each input of some examples negated."""
    flipped = jax.random.uniform(key, (len(xs), 1)) < share
    return jnp.where(flipped, -xs, xs), ys


def soften(key, xs, ys):
    """Targets drawn between the true ones and equal ones."""
    shares = 0.2 * jax.random.uniform(key, (len(ys), 1), ys.dtype)
    return xs, (1 - shares) * ys + shares / ys.shape[1]


RULES = {
    "distortion": Augmentation(1, rotation=10.0, shape=(5, 7)),
    "input noise": input_noise(0.3),
    "mixup": mixup(0.4),
    "cutmix": cutmix(1.0, shape=(5, 7)),
    "function": custom(flip_sign, share=0.3),
    "function of targets": batch_rule(soften),
    "chain": batch_rule((Augmentation(1, shape=(5, 7)), mixup(0.4), input_noise(0.3))),
}
SWEPT = {
    "cutmix": {"alpha": [0.0, 0.2, 1.0]},
    "function": {"share": [0.0, 0.3, 1.0]},
    "chain": {"alpha": [0.2, 0.2, 1.0], "sd": [0.1, 0.2, 0.2]},
}
"""Numbers of three lanes, for rules that cover all."""


def _recipe(rule):
    return jn.Recipe(jn.sgd(0.5), augmentation=rule)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_rows_that_fill_a_mini_batch_up_change_nothing_in_the_others(name, dtype):
    """Four more rows, of whatever numbers: the examples have the same draws, and no new partner."""
    rule, key = RULES[name], jax.random.key(3)
    xs, weights = X[:5].astype(dtype), np.full(5, 0.2, np.float32)
    alone = rule.apply(key, jnp.asarray(xs), jnp.asarray(Y[:5]), weights, 3)
    filler = np.full((4, 35), 255 if dtype == np.uint8 else np.nan, dtype)
    filled_x, filled_y = np.concatenate([xs, filler]), np.concatenate([Y[:5], [2, 2, 2, 2]])
    filled_weights = np.concatenate([weights, np.zeros(4, np.float32)])
    filled = rule.apply(
        key, jnp.asarray(filled_x), jnp.asarray(filled_y.astype(np.int32)), filled_weights, 3
    )
    for array, longer in zip(alone, filled, strict=True):
        np.testing.assert_array_equal(np.asarray(longer)[:5], np.asarray(array))
        assert np.isfinite(array).all()


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["mixup", "function"])
def test_training_is_a_loop_over_mini_batches_of_their_true_sizes(name):
    """The last one of three has three examples: the loop here has no rows that fill it up."""
    rule, data = RULES[name], DATA.train
    key, order = jax.random.key(7), RANDOM.permutation(23).astype(np.int32)
    state = jn.start(NET, _recipe(rule), key)
    trained, _ = jn.epoch(NET, 10, data, order, key, _recipe(rule), state)
    params = state.params

    @jax.jit
    def after_step(params, step, x, y):
        step_key = jax.random.fold_in(jax.random.fold_in(key, 5), step)
        weights = jnp.full(len(x), 1 / len(x))
        grads = jn.gradient(NET, params, *rule.apply(step_key, x, y, weights, 3))
        return jax.tree.map(lambda p, g: p - 0.5 * g, params, grads)

    for step, rows in enumerate(np.split(order, [10, 20])):
        params = after_step(params, step, jnp.asarray(X[rows]), jnp.asarray(Y[rows]))
    for layer, expected in zip(trained.params, params, strict=True):
        np.testing.assert_allclose(layer.w, expected.w, rtol=0, atol=1e-13)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", SWEPT)
def test_a_lane_trains_as_alone(name):
    numbers = {key: np.array(values) for key, values in SWEPT[name].items()}
    lanes = _recipe(RULES[name].with_numbers(**numbers))  # zipped, not crossed
    options = {"epochs": 3, "batch_size": 10, "evaluate_on": ("evaluation", "training")}
    study = jn.sweep(NET, DATA, lanes, seeds=[4, 9], log=None, **options)
    assert study.plan.sizes[0].lanes == 3
    for lane, place in np.ndindex(3, 2):
        own = study.settings[lane].recipe
        run = jn.train(NET, DATA, own, seed=int(study.seeds[place]), **options)
        ours = study.history.training_cost[lane, place]
        np.testing.assert_allclose(ours, run.history.training_cost, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["function", "chain"])
def test_a_resumed_run_has_the_same_bits(name, tmp_path):
    recipe, options = _recipe(RULES[name]), {"batch_size": 10, "seed": 3}
    whole = jn.train(NET, DATA, recipe, epochs=3, **options)
    jn.train(NET, DATA, recipe, epochs=1, checkpoint=tmp_path, **options)
    resumed = jn.train(NET, DATA, recipe, epochs=3, resume=tmp_path, **options)
    assert all(map(np.array_equal, jax.tree.leaves(whole.params), jax.tree.leaves(resumed.params)))
    other = _recipe(batch_rule((RULES[name], input_noise(0.1))))
    with pytest.raises(ValueError, match=r"recipe\.augmentation"):
        jn.train(NET, DATA, other, epochs=3, resume=tmp_path, **options)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("name", "zero"), [("input noise", "sd"), ("mixup", "alpha"), ("cutmix", "alpha")]
)
def test_at_0_a_rule_changes_nothing(name, zero):
    rule = RULES[name].with_numbers(**{zero: 0.0})
    runs = [jn.train(NET, DATA, _recipe(r), epochs=2, batch_size=10) for r in (rule, None)]
    np.testing.assert_allclose(*(run.params[0].w for run in runs), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_a_run_can_be_differentiated_by_the_noise():
    def cost(sd):
        recipe = _recipe((soften, input_noise(sd)))
        return jn.fit(NET, DATA, recipe, epochs=2)[1].training_cost[-1]

    cost = jax.jit(cost)
    slope = (cost(0.3 + 1e-5) - cost(0.3 - 1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(cost)(0.3), slope, rtol=1e-6)


def test_recipes_compare_rules_by_value():
    assert _recipe(flip_sign) == _recipe(custom(flip_sign)) == _recipe((custom(flip_sign),))
    assert _recipe(flip_sign) != _recipe(soften)
    assert _recipe(custom(flip_sign, share=0.5)) != _recipe(custom(flip_sign, share=0.4))
    assert _recipe([mixup(0.2), flip_sign]) == _recipe((mixup(0.2), custom(flip_sign)))
    assert hash(_recipe(flip_sign)) == hash(_recipe(custom(flip_sign)))
    assert len(jn.grid(_recipe((mixup(0.2), input_noise(0.1))), alpha=[0, 1], sd=[0, 0.1])) == 4
    text = (
        "Recipe(optimizer=sgd(learning_rate=0.5), augmentation=(mixup(alpha=0.2), custom(soften)))"
    )
    assert repr(_recipe((mixup(0.2), soften))) == text


def test_files_name_rules_by_their_functions_and_numbers():
    def described(rule):
        return fingerprint(NET, _recipe(rule), 10)["recipe"]["augmentation"]

    assert described(mixup(0.5)) == {"kind": "Mixup", "alpha": 0.5}
    assert described(flip_sign) == {
        "kind": "Custom", "function": {"function": f"{__name__}.flip_sign"},
    }  # fmt: skip
    assert described((Augmentation(shift=1), custom(flip_sign, share=0.5))) == {
        "kind": "Chain",
        "rules": [
            described(Augmentation(shift=1)),
            described(flip_sign) | {"values": {"share": 0.5}},
        ],
    }
    first, same, other = (lambda key, xs, ys, c=c: (c * xs, ys) for c in (1.0, 1.0, 2.0))
    assert described(first) == described(same)
    assert differences(described(first), described(other))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda key, xs: xs, r"custom\(<lambda>\) cannot change mini-batches: .* takes 2 "),
        (lambda key, xs, ys: xs, r"must return a pair of inputs and targets, not "),
        (lambda key, xs, ys: (xs[:1], ys), r"the shapes that it gets, .*, not \(\(1, 35\)"),
        (lambda key, xs, ys: (xs, ys[:, 0]), r"the shapes that it gets"),
        (lambda key, xs, ys: (xs * float(xs[0, 0]), ys), r"cannot change mini-batches: "),
        (lambda key, xs, ys: (xs[xs[:, 0] > 0], ys), r"cannot change mini-batches: "),
        ((mixup(0.2), cutmix(1.0)), r"images are 6×6, but the network has 35 inputs"),
        (cutmix(1.0, shape=(6, 6)), r"shape \(6, 6\) has 36 pixels"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused_before_training(rule, message):
    with pytest.raises(ValueError, match=message):
        jn.train(NET, DATA, _recipe(rule))


class Unhashable:
    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __call__(self, key, xs, ys):
        return xs, ys


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: _recipe(0.5), "augmentation must be a rule such as .*, not 0.5"),
        (lambda: _recipe(()), r"augmentation must be a rule such as .*, not \(\)"),
        (lambda: _recipe(Augmentation), "augmentation must be a rule such as .*, not <class"),
        (lambda: _recipe((mixup(0.2), "x")), "augmentation must be a rule such as .*, not 'x'"),
        (lambda: _recipe(Unhashable()), "augmentation must be hashable"),
        (lambda: mixup(-0.1), r"alpha must be a number in \[0, inf\), not -0.1"),
        (lambda: cutmix(np.nan), r"alpha must be a number in \[0, inf\), not nan"),
        (lambda: input_noise(-1), r"sd must be a number in \[0, inf\), not -1"),
        (lambda: jn.grid(_recipe(mixup(0.2)), alpha=[-1, 0]), r"alpha must be a number in"),
        (
            lambda: jn.grid(_recipe((mixup(1), cutmix(1))), alpha=[0.5]),
            "give the array to the rule",
        ),
        (lambda: jn.grid(_recipe(mixup(0.2)), sd=[0.5]), "its numbers are alpha, "),
    ],
)
def test_a_wrong_rule_or_number_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()
