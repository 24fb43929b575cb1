import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import monitoring

import jaxnet as jn
from jaxnet.acceleration.padding import program_network
from jaxnet.recipes import optimizers
from jaxnet.sweeps import lanes, time_estimates
from jaxnet.sweeps.chunk import ChunkLoop, ChunkSpec, train_chunk
from jaxnet.sweeps.layout import Layout
from jaxnet.sweeps.recipe_batch import RecipeBatch
from tests.support.parameters import representatives

RANDOM = np.random.default_rng(0)
DATA = jn.Dataset(
    jn.Split(RANDOM.random((53, 4)).astype(np.float32), RANDOM.integers(3, size=53)),
    jn.Split(RANDOM.random((20, 4)).astype(np.float32), RANDOM.integers(3, size=20)),
)
NET = jn.Network((4, 15, 3), cost=jn.costs.LogLikelihood())  # 15 is filled up to 16
MONITOR = ("evaluation",)
KINDS = ("momentum", "adam", "noisy_sgd", "muon", "schedule_free_adam", "lbfgs")


def _work(nets, recipe, seeds, shape=None, epochs=3, members=None, **options):
    shape = (1, len(seeds)) if shape is None else shape
    members = tuple(range(len(seeds))) if members is None else members
    options = {"repack": False, "keep_best": False} | options
    nets = (nets,) * len(seeds) if isinstance(nets, jn.Network) else tuple(nets)
    program = program_network(nets, recipe)
    layout = Layout(0, *shape, members)
    batch = RecipeBatch(recipe)
    return ChunkSpec(nets, batch, tuple(seeds), program, (layout,), 6, epochs, MONITOR, **options)


def _alone(net, recipe, seed, epochs=3):
    return jn.train(net, DATA, recipe, epochs=epochs, batch_size=6, seed=seed, evaluate_on=MONITOR)


def _close(states, result, row, run, net=NET, rtol=1e-9):
    opt_state, params = jax.tree.map(lambda leaf: leaf[row], (states.opt_state, states.params))
    params = run.recipe.optimizer.evaluation_params(opt_state, params)
    for layer, single, n_in, n_out in zip(params, run.params, net.sizes, net.sizes[1:]):
        np.testing.assert_allclose(layer.w[:n_in, :n_out], single.w, rtol, rtol)
        np.testing.assert_allclose(layer.b[:n_out], single.b, rtol, rtol)
    for curve, alone in zip(result.history.to_array(), run.history.to_array(), strict=True):
        np.testing.assert_allclose(curve[row][: len(alone)], alone, rtol)


def _scaled(optimizer, factors):
    """The optimizer with its first number, mostly the learning rate, multiplied."""
    if not optimizer.hyper:
        return optimizer
    name = next(iter(optimizer.hyper))
    hyper = optimizer.hyper | {name: optimizer.hyper[name] * factors}
    return dataclasses.replace(optimizer, hyper=hyper)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", representatives(KINDS, *{*KINDS} - {"adam"}))
def test_a_lane_is_the_network_trained_alone_for_200_steps(name):
    """Every kind of rule, in float64, in a wider program where it may be: see experiments/lanes."""
    optimizer = _scaled(optimizers.NAMED[name](), 0.1 if name == "schedule_free_sgd" else 1.0)
    recipe = jn.Recipe(_scaled(optimizer, np.array([0.5, 1.0])), l2=np.array([0.0, 0.3]))
    # Line searches decide by rounding; where there is one optimum only, they agree on it.
    net, size, epochs = (jn.Network((4, 3)), 53, 200) if name == "lbfgs" else (NET, 6, 23)
    spec = _work(net, recipe, (7, 7), epochs=epochs)._replace(batch_size=size, evaluate_on=())
    result, states = train_chunk(spec, DATA)
    options = {"epochs": epochs, "batch_size": size, "seed": 7, "evaluate_on": ()}
    run = jn.train(net, DATA, jn.Recipe(optimizer, l2=0.3), **options)
    assert int(states.step[1]) >= 200
    _close(states, result, 1, run, net)


@pytest.mark.usefixtures("x64")
def test_lanes_of_different_widths_share_a_program_and_are_those_of_the_networks_alone():
    nets = [dataclasses.replace(NET, sizes=(4, a, b, 3)) for a, b in ((5, 9), (7, 2))]
    recipe = jn.Recipe(jn.adam(np.array([0.1, 0.02])), l2=1.0, l1=0.5, max_norm=2.0)
    spec = _work(nets, recipe, (3, 3), keep_best=True)
    assert spec.program_network.sizes == (4, 7, 9, 3)
    result, states = train_chunk(spec, DATA)
    for row, net in enumerate(nets):
        single = jax.tree.map(lambda leaf, row=row: leaf[row] if leaf.ndim else leaf, recipe)
        _close(states, result, row, _alone(net, single, 3), net)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("swept", [False, True])
def test_lanes_draw_what_the_networks_alone_draw(swept):
    """Dropout at the true width, of inputs and hidden units; smoothing; halving; a schedule."""
    rate = np.array([0.1, 0.3]) if swept else 0.3
    recipe = jn.Recipe(
        jn.sgd(np.array([0.5, 0.9])),
        dropout=0.5,
        input_dropout=rate,
        label_smoothing=0.1,
        schedule=jn.schedules.cosine(3),
        stopping=jn.stopping.reduce_on_plateau(1),
        init_scale=np.array([1.0, 0.5]),
    )
    result, states = train_chunk(_work(NET, recipe, (2, 2), keep_best=True), DATA)
    assert result.has_own_inputs == swept
    for row in range(2):
        single = jax.tree.map(lambda leaf, row=row: leaf[row] if np.ndim(leaf) else leaf, recipe)
        _close(states, result, row, _alone(NET, single, 2))


def test_bits_do_not_depend_on_the_neighbours_even_where_one_diverges():
    rates = np.array([0.5, 0.3, 0.7, 0.2])
    recipe = lambda rates: jn.Recipe(jn.sgd(rates), l2=1.0)
    relu = dataclasses.replace(NET, hidden=jn.activations.relu)
    seeds = (1, 1, 2, 2)
    healthy, before = train_chunk(_work(relu, recipe(rates), seeds, (2, 2)), DATA)
    rates[1] = 1e30
    result, states = train_chunk(_work(relu, recipe(rates), seeds, (2, 2)), DATA)
    others = [0, 2, 3]
    for a, b in zip(jax.tree.leaves((before, healthy)), jax.tree.leaves((states, result))):
        if np.ndim(a):
            assert np.array_equal(a[others], b[others], equal_nan=a.dtype.kind == "f")
    assert result.diverged_epoch.tolist() == [0, 1, 0, 0]
    assert 1 <= result.diverged_step[1] <= 3
    assert result.epochs.tolist() == [3, 0, 3, 3]
    assert np.isnan(result.history.evaluation_cost[1]).all()
    start = jn.start(relu, jn.Recipe(jn.sgd(1.0)), jax.random.key(1, impl="threefry2x32"))
    frozen = states.params[0].w[1, :, :15]  # as it was
    np.testing.assert_allclose(frozen, start.params[0].w, rtol=1e-6)


def test_a_lane_that_diverges_later_keeps_what_it_had_and_says_when():
    """An infinite step in the second epoch's third mini-batch, by a schedule."""
    net = jn.Network((4, 3), cost=jn.costs.Quadratic(jn.activations.linear))
    data = jn.Dataset(jn.Split(DATA.train.x, np.eye(3, dtype=np.float32)[DATA.train.y]), None)
    bomb = jn.schedules.custom(_explodes, at=np.array([11.0, -1.0]))
    spec = _work(net, jn.Recipe(jn.sgd(np.array([0.1, 0.1])), schedule=bomb), (0, 0))
    result, states = train_chunk(spec._replace(evaluate_on=()), data)
    assert result.diverged_epoch.tolist() == [2, 0]
    assert result.diverged_step.tolist() == [3, 0]
    assert result.epochs.tolist() == [1, 3]
    run = jn.train(net, data, jn.Recipe(jn.sgd(0.1)), epochs=1, batch_size=6, evaluate_on=())
    np.testing.assert_allclose(states.params[0].w[0], run.params[0].w, rtol=1e-5)


def _explodes(at):
    return lambda step: jnp.where(step == at, jnp.inf, 1.0)


def test_the_first_layers_products_are_single_matrix_products():
    """(batch, n_in) × (n_in, lanes·n_out): no product is batched over lanes there."""
    recipe = jn.Recipe(jn.sgd(np.full(8, 0.1)))
    net = jn.Network((64, 16, 3))
    data = jn.Dataset(jn.Split(np.ones((60, 64), np.float32), np.zeros(60, int)), None)
    spec = _work(net, recipe, (0,) * 8)
    loop = ChunkLoop(spec, data, None, None, None)
    assert loop.enter(0)
    args = (data.train, np.int32(0), loop.inputs, loop.state.train)
    program = loop.epoch_program
    text = lanes.train_lanes.jitted(program).lower(program, *args).compile().as_text()
    assert "f32[64,128]" in text  # 8 lanes of 16 units, side by side
    assert "f32[8,64,16]" not in text


def test_one_program_trains_all_chunks_of_a_size():
    compiled = []
    listen = lambda name, *_, **__: compiled.append(name)
    recipe = jn.Recipe(jn.sgd(np.array([0.1, 0.2])), l2=np.array([0.0, 1.0]))
    train_chunk(_work(NET, recipe, (0, 0)), DATA)
    monitoring.register_event_duration_secs_listener(listen)
    try:
        recipe = jn.Recipe(jn.sgd(np.array([0.3, 0.4])), l2=np.array([5.0, 2.0]))
        train_chunk(_work(NET, recipe, (9, 9), epochs=5), DATA)
    finally:
        monitoring.clear_event_listeners()
    assert not [name for name in compiled if "backend_compile" in name]


def test_those_that_are_left_go_on_in_smaller_programs(monkeypatch):
    """Each lane stops after its own patience; programs halve, and nothing else changes."""
    patience = np.array([1.0, 1, 1, 1, 1, 1, 30, 30])
    rule = jn.Stopping(patience=patience, metric="cost")
    recipe = jn.Recipe(jn.sgd(np.r_[np.full(6, 1e-9), 0.01, 0.02]), stopping=rule)
    spec = _work(NET, recipe, (0,) * 4 + (1,) * 4, (2, 4), epochs=12, keep_best=True)
    whole, states = train_chunk(spec, DATA)
    stays, _ = train_chunk(spec._replace(repack=True), DATA)
    assert np.array_equal(stays.computed, whole.computed)  # to compile takes longer than to train
    monkeypatch.setattr(time_estimates, "COMPILE_SECONDS", 0.0)
    result, packed = train_chunk(spec._replace(repack=True), DATA)
    sizes = [(slot.n_groups, slot.n_lanes) for slot in result.slots[7]]
    assert (sizes[0], sizes[-1]) == ((2, 4), (1, 2))
    assert (whole.computed == spec.epochs).all()
    assert (result.epochs <= result.computed).all()
    assert result.computed.sum() < spec.epochs * len(result.computed)
    assert np.array_equal(result.epochs, whole.epochs)
    states, packed = ((tree.params, tree.watch, tree.finite_steps) for tree in (states, packed))
    for a, b in zip(jax.tree.leaves(states), jax.tree.leaves(packed), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
