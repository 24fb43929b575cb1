"""Whatever is registered survives being copied: to other processes, files and notebooks."""

import copy
import dataclasses
import inspect
import pickle
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context, reduction

import cloudpickle
import jax
import jax.numpy as jnp
import optax
import pytest

import jaxnet as jn
from jaxnet.recipes import optimizers

COPIES = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "deepcopy": copy.deepcopy,
    "cloudpickle": lambda value: cloudpickle.loads(cloudpickle.dumps(value)),
}
LENGTHS = {"horizon": 30, "warmup": 9}
"""What constructors of schedules ask for that has no default."""
NUMBERS = {"n": 5, "target": 0.9}
"""What constructors of stopping rules ask for."""


def _made(constructor, values):
    """What a constructor makes of its defaults, and of values for what has none."""
    required = [
        parameter.name
        for parameter in inspect.signature(constructor).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    return constructor(**{name: values[name] for name in required})


def _outputs(name, cost):
    """A cost, and the same cost with each activation where its outputs are a choice."""
    yield name, cost()
    if "output" in cost.__dataclass_fields__:
        for output, activation in jn.activations.NAMED.items():
            yield f"{name} {output}", cost(activation)


ACTIVATIONS = {
    **jn.activations.NAMED,
    "leaky_relu(0.3)": jn.activations.LeakyRelu(0.3),
    "elu(0.5)": jn.activations.Elu(0.5),
    "softmax(2.5)": jn.activations.Softmax(2.5),
}
COSTS = {
    **{
        label: cost
        for name in jn.costs.NAMED
        for label, cost in _outputs(name, jn.costs.NAMED[name])
    },
    "log-likelihood(3)": jn.costs.LogLikelihood(3.0),
}
INITIALIZERS = {
    **jn.initializers.NAMED,
    "gaussian": jn.initializers.gaussian(0.1),
    "truncated": jn.initializers.truncated(0.1),
}
NETWORKS = {
    **{f"hidden {name}": jn.Network((2, 3, 2), hidden) for name, hidden in ACTIVATIONS.items()},
    **{f"cost {name}": jn.Network((2, 3, 2), cost=cost) for name, cost in COSTS.items()},
    **{f"init {name}": jn.Network((2, 3, 2), init=init) for name, init in INITIALIZERS.items()},
}
STATIC = {
    **{f"activation {name}": part for name, part in ACTIVATIONS.items()},
    **{f"cost {name}": part for name, part in COSTS.items()},
    **{f"initializer {name}": part for name, part in INITIALIZERS.items()},
    **{f"task {name}": part for name, part in jn.tasks.NAMED.items()},
    **{f"network, {name}": part for name, part in NETWORKS.items()},
}

OPTIMIZERS = {
    **{name: constructor() for name, constructor in optimizers.NAMED.items()},
    "custom": jn.custom(optax.fromage, learning_rate=0.01),
    "swept": jn.adam(jnp.logspace(-4, -1, 5)),
}
SCHEDULES = {
    **{name: _made(constructor, LENGTHS) for name, constructor in jn.schedules.NAMED.items()},
    "custom": jn.schedules.custom(
        optax.polynomial_schedule, {"transition_steps": 10}, init_value=1, end_value=0, power=2
    ),
}
STOPPING = {
    name: _made(constructor, NUMBERS)
    for name, constructor in inspect.getmembers(jn.stopping, inspect.isfunction)
    if inspect.signature(constructor).return_annotation is jn.Stopping
}


def scaled(key, xs, ys, scale):
    """A function of a mini-batch."""
    return scale * xs, ys


AUGMENTATION = {
    "a shift": jn.Augmentation(shift=1),
    "all": jn.Augmentation(shift=2, rotation=10, scaling=0.1, elastic=3, shape=(28, 28)),
    "mixup": jn.augmentation.mixup(0.2),
    "cutmix": jn.augmentation.cutmix([0.5, 1.0], shape=(5, 7)),
    "input noise": jn.augmentation.input_noise(0.1),
    "a function": jn.augmentation.custom(scaled, scale=2.0),
}
RECIPE = jn.Recipe(
    jn.adam(jnp.float32(0.01)),
    l2=0.1,
    l1=0.2,
    dropout=0.5,
    input_dropout=0.1,
    max_norm=3,
    label_smoothing=0.1,
    augmentation=jn.Augmentation(shift=1, rotation=10),
    schedule=jn.schedules.cosine(30),
    stopping=jn.stopping.reduce_on_plateau(10),
    init_scale=0.5,
)
TREES = {
    **{f"optimizer {name}": part for name, part in OPTIMIZERS.items()},
    **{f"schedule {name}": part for name, part in SCHEDULES.items()},
    **{f"stopping {name}": part for name, part in STOPPING.items()},
    **{f"augmentation by {name}": part for name, part in AUGMENTATION.items()},
    **{f"recipe of {name}": jn.Recipe(part) for name, part in OPTIMIZERS.items()},
    "recipe of a chain": jn.Recipe(jn.sgd(), augmentation=tuple(AUGMENTATION.values())),
    "recipe of everything": RECIPE,
}


def _n_traces(first, second, **jit_options):
    """How often a function of a part is traced that is called with one and then with another."""
    traces = []

    def program(part, number):
        traces.append(part)
        return number

    compiled = jax.jit(program, **jit_options)
    compiled(first, 1.0)
    compiled(second, 1.0)
    return len(traces)


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", STATIC)
def test_a_copied_static_part_is_equal_and_compiles_nothing_new(name, way):
    part = STATIC[name]
    duplicate = COPIES[way](part)
    assert duplicate == part
    assert hash(duplicate) == hash(part)
    assert repr(duplicate) == repr(part)
    assert _n_traces(part, duplicate, static_argnums=0) == 1


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", TREES)
def test_a_copied_pytree_is_equal_and_compiles_nothing_new(name, way):
    tree = TREES[name]
    duplicate = COPIES[way](tree)
    assert duplicate is not tree
    assert duplicate == tree
    assert hash(duplicate) == hash(tree)
    assert repr(duplicate) == repr(tree)
    assert _n_traces(tree, duplicate) == 1


def test_the_recipe_of_everything_has_every_part():
    assert all(getattr(RECIPE, field.name) is not None for field in dataclasses.fields(jn.Recipe))
    assert set(STOPPING) >= {"no_improvement_in", "reduce_on_plateau", "reach"}


def test_a_copied_network_and_recipe_train_without_compiling_anything_new():
    data = jn.datasets.xor(n=20)
    traces = []

    @partial(jax.jit, static_argnums=0)
    def fit(net, recipe):
        traces.append(net)
        return jn.fit(net, data, recipe, epochs=1, seed=0)[0]

    net = jn.Network((2, 3, 2), jn.activations.tanh)
    recipe = jn.Recipe(jn.sgd(0.5), l2=0.1)
    params = fit(net, recipe)
    for duplicate in COPIES.values():
        again = fit(duplicate(net), duplicate(recipe))
        assert all(map(jnp.array_equal, jax.tree.leaves(params), jax.tree.leaves(again)))
    assert len(traces) == 1


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_and_its_recipe_can_be_sent_to_a_process(name):
    """By the pickler of `concurrent.futures.ProcessPoolExecutor`."""
    work = (NETWORKS[name], RECIPE)
    assert pickle.loads(reduction.ForkingPickler.dumps(work)) == work


def test_a_network_comes_back_from_a_spawned_process_as_itself():
    nets = list(NETWORKS.values())
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(list, nets).result() == nets
