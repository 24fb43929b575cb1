"""`trainable=`: what is frozen keeps its bits, and the others train as if it were a constant."""

import functools

import jax
import numpy as np
import optax
import pytest
from jax import monitoring

import jaxnet as jn
from jaxnet.acceleration import first_layer
from jaxnet.acceleration.padding import program_network
from jaxnet.recipes import optimizers
from jaxnet.recipes.trainable import trainable_masks
from jaxnet.sweeps.lanes import LaneGroup
from jaxnet.training.step import Context, StepExamples, evaluation_params, mini_batch, start, step
from tests.support.parameters import representatives

XOR = jn.datasets.xor(n=40)
NET = jn.Network((2, 7, 5, 2), cost=jn.costs.LogLikelihood())
DRAWN = jn.init(NET, jax.random.key(0))
PARTS = {"l2": 0.5, "l1": 0.1, "max_norm": 0.5, "dropout": 0.2, "init_scale": 1.5}


def _random_masks(net, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(
        jn.Layer(rng.random((n_in, n_out)) < 0.5, rng.random(n_out) < 0.5)
        for n_in, n_out in zip(net.sizes, net.sizes[1:])
    )


def _recipe(name, parts=PARTS):
    optimizer = optimizers.NAMED[name]()
    parts = dict(parts)
    if optimizer.evaluation is not None:
        parts.pop("max_norm", None)
    return jn.Recipe(optimizer, **parts)


def _assert_frozen_bits_stay(initial, params, masks):
    has_moved = []
    for old, new, mask in zip(*map(jax.tree.leaves, (initial, params, masks)), strict=True):
        old, new = np.asarray(old), np.asarray(new)
        np.testing.assert_array_equal(new[~mask], old[~mask])
        has_moved.append(np.any(new[mask] != old[mask]))
    assert all(has_moved)


def _trained(recipe, prefix):
    """The start and the end of an epoch, in one compiled program."""
    order = np.arange(len(XOR.train.x))

    @jax.jit
    def run(masks):
        key = jax.random.key(0, impl="threefry2x32")
        begin = start(NET, recipe, key, DRAWN, trainable=masks)
        end, _ = jn.epoch(NET, 10, XOR.train, order, key, recipe, begin, trainable=masks)
        return begin.params, evaluation_params(recipe, end, masks)

    return run(trainable_masks(NET, prefix))


@pytest.mark.parametrize(
    "name", representatives(optimizers.NAMED, "momentum", "adamw", "schedule_free_sgd", "lbfgs")
)
def test_what_is_frozen_keeps_its_bits_in_every_optimizer(name):
    masks = _random_masks(NET)
    _assert_frozen_bits_stay(*_trained(_recipe(name), masks), masks)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ["adamw"])
def test_what_is_frozen_keeps_its_bits_with_every_part(name, part):
    masks = _random_masks(NET)
    recipe = _recipe(name, {part: PARTS[part]})
    _assert_frozen_bits_stay(*_trained(recipe, masks), masks)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("rule", ["lamb", "muon"])
def test_frozen_layers_train_as_with_optax_partition(rule):
    """The gradients of jax.grad, and an optimizer that is given the trainable layers alone."""
    recipe = jn.Recipe(optimizers.NAMED[rule](0.05))
    data, n_epochs = XOR.train, 4
    drawn = jax.tree.map(lambda array: array.astype(float), DRAWN)
    transformation = recipe.optimizer.transformation(jax.random.key(0))

    def cost(layers):
        logits = jax.vmap(lambda x: jn.logits(NET, (drawn[0], *layers), x))(data.x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, data.y).mean()

    @jax.jit
    def partitioned(layers):
        opt_state = transformation.init(layers)
        for _ in range(n_epochs):
            grads = jax.grad(cost)(layers)
            updates, opt_state = transformation.update(grads, opt_state, layers)
            layers = optax.apply_updates(layers, updates)
        return layers

    layers = partitioned(drawn[1:])
    run = jn.train(
        NET, XOR, recipe, epochs=n_epochs, batch_size=len(data.x), params=DRAWN,
        trainable=(False, True, True), evaluate_on=(),
    )  # fmt: skip
    for layer, expected in zip(run.params[1:], layers, strict=True):
        np.testing.assert_allclose(layer.w, expected.w, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["lbfgs", "newton_cg"])
def test_second_order_rules_minimize_over_what_is_trained(name):
    """As one layer alone: a frozen first layer is a change of inputs."""
    net = jn.Network((2, 3, 2), hidden=jn.activations.linear, cost=jn.costs.LogLikelihood())
    recipe = jn.Recipe(optimizers.NAMED[name](), l2=0.3)
    n = len(XOR.train.x)
    initial = start(net, recipe, jax.random.key(0, impl="threefry2x32")).params
    run = jn.train(net, XOR, recipe, epochs=3, batch_size=n, trainable=(False, True))
    narrow = jn.Network((3, 2), cost=jn.costs.LogLikelihood())
    hidden = np.asarray(XOR.train.x) @ np.asarray(initial[0].w) + np.asarray(initial[0].b)
    alone = jn.train(
        narrow, jn.Dataset(jn.Split(hidden, XOR.train.y)), recipe, epochs=3,
        batch_size=n, params=initial[1:],
    )  # fmt: skip
    np.testing.assert_allclose(run.params[1].w, alone.params[0].w, rtol=1e-6)


def test_another_mask_compiles_nothing_anew():
    recipe = jn.Recipe(jn.adam())
    train = functools.partial(jn.train, NET, XOR, recipe, epochs=1)
    train(trainable=_random_masks(NET, 1))
    compiled = []
    monitoring.register_event_duration_secs_listener(
        lambda name, seconds, **_: "backend_compile" in name and compiled.append(name)
    )
    train(trainable=_random_masks(NET, 2))
    assert not compiled


def test_no_mask_leaves_the_program_as_it_was():
    def text(**trainable):
        run = functools.partial(jn.fit, NET, epochs=1)
        return jax.jit(lambda data: run(data, jn.Recipe(jn.adam()), **trainable)).lower(XOR)

    assert text().as_text() == text(trainable=(True, True, True)).as_text()
    assert text().as_text() != text(trainable=(True, True, False)).as_text()


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["sgd", "adam", "schedule_free_sgd"])
def test_a_mask_is_the_same_in_fit_in_padding_and_traced(name):
    recipe = jn.Recipe(optimizers.NAMED[name](0.1), dropout=0.1)
    net = jn.Network((2, 15, 2))
    assert program_network([net], recipe).sizes[1] == 16
    masks = _random_masks(net)
    run = jn.train(net, XOR, recipe, epochs=3, trainable=masks)
    fit = functools.partial(jn.fit, net, epochs=3)
    params, _ = jax.jit(lambda masks: fit(XOR, recipe, trainable=masks))(masks)
    for layer, expected in zip(params, run.params, strict=True):
        np.testing.assert_allclose(layer.w, expected.w, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("first", [True, False], ids=["span", "steps"])
def test_lanes_with_masks_of_their_own_are_trained_as_alone(first):
    net, n_lanes = jn.Network((80, 6, 2)), 4
    rng = np.random.default_rng(0)
    data = jn.Split(rng.random((60, 80)), rng.integers(2, size=60))
    recipe = jn.Recipe(jn.momentum(0.3), l2=1.0)
    assert first_layer.span_steps(net, recipe, 2, n_lanes) > 0
    prefixes = [_random_masks(net, seed) for seed in range(n_lanes)]
    if first:
        prefixes = [(jn.Layer(True, masks[0].b), masks[1]) for masks in prefixes]
    masks = [trainable_masks(net, prefix) for prefix in prefixes]
    key = jax.random.key(0, impl="threefry2x32")
    group = LaneGroup(n_lanes, net.sizes[:2])

    def stack(*leaves):
        return np.stack(leaves, int(group.has_inner_lane_axis(np.shape(leaves[0]))))

    states = [start(net, recipe, key, trainable=mask) for mask in masks]
    recipes = jn.Recipe(jn.momentum(np.full(n_lanes, 0.3)), l2=np.ones(n_lanes))
    trained, _ = jn.epoch(
        net, 2, data, np.arange(60), key, recipes, jax.tree.map(stack, *states),
        parallelism=group, trainable=jax.tree.map(stack, *masks),
    )  # fmt: skip
    for lane, (state, mask) in enumerate(zip(states, masks, strict=True)):
        alone, _ = jn.epoch(net, 2, data, np.arange(60), key, recipe, state, trainable=mask)
        np.testing.assert_allclose(trained.params[0].w[:, lane], alone.params[0].w, atol=1e-11)
        np.testing.assert_allclose(trained.params[1].w[lane], alone.params[1].w, atol=1e-11)


def test_a_run_with_a_mask_is_resumed_with_the_same_mask_alone(tmp_path):
    masks, recipe = _random_masks(NET), jn.Recipe(jn.adam())
    train = functools.partial(jn.train, NET, XOR, recipe)
    whole = train(epochs=3, trainable=masks)
    train(epochs=2, trainable=masks, checkpoint=tmp_path)
    for other in (None, _random_masks(NET, 1)):
        with pytest.raises(ValueError, match=r"trainable was .* and is"):
            train(epochs=3, trainable=other, resume=tmp_path)
    resumed = train(epochs=3, trainable=masks, resume=tmp_path)
    jax.tree.map(np.testing.assert_array_equal, resumed.params, whole.params)


def test_a_divergence_is_counted_where_the_last_biases_are_frozen():
    net = jn.Network((2, 3, 2), cost=jn.costs.Quadratic(jn.activations.linear))
    recipe = jn.Recipe(jn.sgd(1e30))
    key = jax.random.key(0, impl="threefry2x32")
    masks = trainable_masks(net, (True, jn.Layer(True, False)))
    context = Context(net, 40, 4, key)
    state = start(net, recipe, key, trainable=masks)
    xs, ys = np.asarray(XOR.train.x[:10]), np.asarray(XOR.train.y[:10])
    for index in range(6):
        weights = np.full(10, 0.1, np.float32)
        batch = mini_batch(
            context, recipe, None, StepExamples(np.array(index, np.int32), xs, ys, weights)
        )
        state, _ = step(context, recipe, None, state, batch, trainable=masks)
    assert np.isfinite(np.asarray(state.params[-1].b)).all()
    assert state.finite_steps < 6
