"""Networks, recipes and metrics are rebuilt from their fingerprints, whatever is registered."""

import dataclasses
import inspect
import json

import numpy as np
import pytest

import jaxnet as jn
from jaxnet.recipes import optimizers, schedules
from jaxnet.training.fingerprint import described, fingerprint
from jaxnet.training.metrics import Metric
from jaxnet.training.rebuilding import rebuilt_metric, rebuilt_network, rebuilt_recipe
from tests.recipes.test_recipe import PARTS

NET = jn.Network((2, 3, 2))
REQUIRED = {"horizon": 30, "warmup": 2, "length": 7, "every": 7}
METRICS = {name: metric for name, metric in vars(jn.metrics).items() if isinstance(metric, Metric)}


def _in_file(description):
    """What a file gives back of a description."""
    return json.loads(json.dumps(description))


def _assert_rebuilt(recipe):
    description = _in_file(fingerprint(NET, recipe, 10)["recipe"])
    assert rebuilt_recipe(description) == recipe


@pytest.mark.parametrize("name", optimizers.NAMED)
def test_optimizers(name):
    constructor = optimizers.NAMED[name]
    plain = constructor()
    _assert_rebuilt(jn.Recipe(plain))
    for number in plain.hyper:
        changed = dataclasses.replace(plain, hyper=plain.hyper | {number: 0.123})
        _assert_rebuilt(jn.Recipe(changed))
    for parameter in inspect.signature(constructor).parameters.values():
        if isinstance(parameter.default, bool):
            _assert_rebuilt(jn.Recipe(constructor(**{parameter.name: not parameter.default})))


@pytest.mark.parametrize("name", schedules.NAMED)
@pytest.mark.parametrize("unit", ["epochs", "steps"])
def test_schedules(name, unit):
    constructor = schedules.NAMED[name]
    arguments = REQUIRED | {"unit": unit}
    names = inspect.signature(constructor).parameters
    schedule = constructor(**{key: arguments[key] for key in arguments if key in names})
    _assert_rebuilt(jn.Recipe(jn.sgd(), schedule=schedule))
    for number in schedule.hyper:
        changed = dataclasses.replace(schedule, hyper=schedule.hyper | {number: 0.123})
        _assert_rebuilt(jn.Recipe(jn.sgd(), schedule=changed))


AUGMENTATIONS = {
    "mixup": jn.augmentation.mixup(0.2),
    "cutmix": jn.augmentation.cutmix(0.3, (1, 2)),
    "two": (jn.augmentation.input_noise(0.1), jn.Augmentation(rotation=3.0, elastic=2.0)),
}


@pytest.mark.parametrize("name", [*PARTS, *AUGMENTATIONS])
def test_parts_of_a_recipe(name):
    if name in AUGMENTATIONS:
        _assert_rebuilt(jn.Recipe(jn.sgd(), augmentation=AUGMENTATIONS[name]))
    else:
        part, _ = PARTS[name]
        _assert_rebuilt(jn.Recipe(**{"optimizer": jn.sgd(), name: part}))


def test_a_rule_that_leaves_penalties_out_of_its_costs():
    rule = jn.stopping.no_improvement_in(3, metric="cost")
    _assert_rebuilt(jn.Recipe(jn.sgd(np.float32(0.3)), l2=1.0, stopping=rule))


@pytest.mark.parametrize("activation", jn.activations.NAMED)
def test_activations(activation):
    net = jn.Network((2, 3, 4, 2), (jn.activations.NAMED[activation], jn.activations.LeakyRelu(3)))
    assert rebuilt_network(_in_file(described(net))) == net


@pytest.mark.parametrize("cost", jn.costs.NAMED)
@pytest.mark.parametrize("init", [*jn.initializers.NAMED, "gaussian(0.1)"])
def test_costs_and_initializers(cost, init):
    drawn = jn.initializers.NAMED.get(init) or jn.initializers.gaussian(0.1)
    net = jn.Network((2, 3, 2), cost=jn.costs.NAMED[cost](), init=drawn, precision="highest")
    assert rebuilt_network(_in_file(described(net))) == net
    temperate = jn.Network((2, 2), cost=jn.costs.LogLikelihood(2.5))
    assert rebuilt_network(_in_file(described(temperate))) == temperate


@pytest.mark.parametrize("name", METRICS)
def test_metrics(name):
    for metric in (METRICS[name], jn.metrics.F1(label=1), jn.metrics.TopK(2)):
        assert rebuilt_metric(_in_file(described(metric))) == metric


def own_rule(learning_rate):
    """A user's own."""
    return jn.sgd(learning_rate).rule(learning_rate)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (described(jn.custom(own_rule, learning_rate=0.1)), "is not one of jaxnet's own"),
        ({"rule": "adam", "version": 7}, "rule adam has the version 7, and this version of"),
        ({"rule": "adamm"}, "is not one of jaxnet's own"),
    ],
)
def test_what_is_not_the_librarys_own_is_refused(description, message):
    with pytest.raises(ValueError, match=message):
        rebuilt_recipe({"optimizer": description})
