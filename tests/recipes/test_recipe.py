"""A recipe's parts declare whether they are linear: whether training in a span may be chosen."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

import jaxnet as jn
from jaxnet.acceleration.first_layer import span_steps
from jaxnet.core.hyperparameters import number, pytree

NET = jn.Network((784, 30, 10))
SGD = jn.Recipe(jn.sgd())
PARTS: dict[str, tuple[Any, bool]] = {
    "optimizer": (jn.momentum(), True),
    "l2": (1.0, True),
    "l1": (1.0, False),
    "dropout": (0.5, True),
    "input_dropout": (0.5, False),
    "max_norm": (1.0, False),
    "label_smoothing": (0.1, True),
    "augmentation": (jn.Augmentation(shift=1), False),
    "schedule": (jn.schedules.cosine(30), True),
    "stopping": (jn.stopping.reduce_on_plateau(3), True),
    "init_scale": (0.5, True),
    "normalization": ("batch", True),
}
"""For each field of a recipe a part, and whether it is linear."""


def test_every_field_declares_whether_it_is_linear():
    """A new part of a recipe comes into this table, and declares it."""
    assert [field.name for field in fields(jn.Recipe)] == list(PARTS)
    for field in fields(jn.Recipe):
        part, _ = PARTS[field.name]
        assert "linear" in field.metadata or "linear" in dir(type(part)), field.name


@pytest.mark.parametrize("name", PARTS)
def test_a_recipe_is_linear_if_all_of_its_parts_are(name):
    part, linear = PARTS[name]
    recipe = replace(SGD, **{name: part})
    assert recipe.linear == linear
    assert (span_steps(NET, recipe, 10, lanes=8) > 0) == linear


@pytest.mark.parametrize("rule", [jn.adam, jn.rprop, jn.lbfgs, jn.muon])
def test_rules_are_not_linear_unless_they_say_so(rule):
    assert not jn.Recipe(rule()).linear


@pytree
class Undeclared(jn.Recipe):
    clipping: Any = None


@pytree
class Declared(jn.Recipe):
    clipping: Any = number(default=None, linear=True)


def test_a_part_that_declares_nothing_trains_the_plain_way():
    assert Undeclared(jn.sgd()).linear
    assert not Undeclared(jn.sgd(), clipping=np.float32(1)).linear
    assert Declared(jn.sgd(), clipping=np.float32(1)).linear


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", [name for name, (_, linear) in PARTS.items() if linear])
def test_what_is_linear_trains_in_a_span_as_alone(name):
    random = np.random.default_rng(0)
    data = jn.Dataset(jn.Split(random.random((45, 64)), random.integers(3, size=45)), None)
    net = jn.Network((64, 15, 3))
    part, _ = PARTS[name]
    part = jn.stopping.reduce_on_plateau(3, split="training") if name == "stopping" else part
    recipe = replace(SGD, **{name: part})
    assert span_steps(net, recipe, 2, lanes=4) == 4
    options = {"epochs": 2, "batch_size": 2, "evaluate_on": ("training",)}
    rates = jn.grid(recipe, learning_rate=[0.1, 0.2, 0.3, 0.5])
    study = jn.sweep(net, data, rates, seeds=[5], log=None, **options)
    assert study.plan.sizes[0].lanes == 4
    for lane in range(4):
        run = jn.train(net, data, study.settings[lane].recipe, seed=5, **options)
        ours, alone = study.history.training_cost[lane, 0], run.history.training_cost
        np.testing.assert_allclose(ours, alone, rtol=1e-9)
