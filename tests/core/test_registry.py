import jax
import numpy as np
import optax
import pytest

import jaxnet as jn
from jaxnet.comparison import tuning
from jaxnet.core.registry import Registry, suggestion
from jaxnet.recipes import optimizers

REGISTRIES = {
    "activation": jn.activations.NAMED,
    "cost": jn.costs.NAMED,
    "initializer": jn.initializers.NAMED,
    "optimizer": optimizers.NAMED,
    "schedule": jn.schedules.NAMED,
    "task": jn.tasks.NAMED,
}


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("adamm", optimizers.NAMED, "did you mean adam, radam or nadam?"),
        ("adm", ["sgd", "adam"], "did you mean adam?"),
        ("xyz", ["sgd", "adam"], "known are sgd and adam."),
        ("xyz", ["sgd"], "known are sgd."),
        ("xyz", [], "none are known."),
    ],
)
def test_a_suggestion_names_what_is_similar_or_all_there_is(name, known, expected):
    assert suggestion(name, known) == expected


@pytest.mark.parametrize("kind", REGISTRIES)
def test_each_registry_is_a_mapping_that_finds_its_entries_both_ways(kind):
    registry = REGISTRIES[kind]
    assert registry.kind == kind
    assert list(registry) == list(dict(registry.items()))
    for name, entry in registry.items():
        assert registry[name] is registry.look_up(name) is entry
        assert registry.name_of(entry) == name
    assert "no such name" not in registry
    assert registry.get("no such name") is None
    with pytest.raises(KeyError):
        registry["no such name"]


@pytest.mark.parametrize("kind", REGISTRIES)
def test_each_registry_refuses_a_name_and_suggests_a_similar_one(kind):
    registry = REGISTRIES[kind]
    name = next(iter(registry))
    with pytest.raises(ValueError, match=rf"^{name}s is not a known {kind}; did you mean {name}\b"):
        registry.look_up(f"{name}s")
    with pytest.raises(ValueError, match=rf"^#~ is not a known {kind}; known are {name}, .+ and "):
        registry.look_up("#~")


@pytest.mark.parametrize("name", [None, 3, ["sgd"]])
def test_what_is_no_name_at_all_is_refused_too(name):
    with pytest.raises(ValueError, match="is not a known optimizer"):
        optimizers.NAMED.look_up(name)


def test_a_registry_does_not_change():
    entries = {"one": 1}
    registry = Registry("number", entries)
    entries["two"] = 2
    assert dict(registry) == {"one": 1}
    with pytest.raises(TypeError):
        registry["two"] = 2


def test_a_name_is_that_of_the_very_object_before_that_of_an_equal_one():
    first, second = [1], [1]
    registry = Registry("list", {"first": first, "second": second})
    assert registry.name_of(second) == "second"
    assert registry.name_of([1]) == "first"
    assert registry.name_of([2]) is None
    assert registry.name_of((1,)) is None


def test_entries_without_one_truth_value_are_found_by_identity():
    array = np.arange(3)
    registry = Registry("thing", {"array": array, "sgd": optax.sgd, "device": jax.numpy.ones(2)})
    assert registry.name_of(array) == "array"
    assert registry.name_of(np.arange(3)) is None
    assert registry.name_of(optax.sgd) == "sgd"
    assert registry.name_of(optax.adam) is None


def test_an_equal_activation_has_the_name_of_the_registered_one():
    assert jn.activations.NAMED.name_of(jn.activations.LeakyRelu(0.01)) == "leaky_relu"
    assert jn.activations.NAMED.name_of(jn.activations.LeakyRelu(0.02)) is None


def test_optimizers_and_tasks_are_looked_up_by_name():
    assert tuning.named("adam") is jn.adam
    assert jn.tasks.named("book") is jn.tasks.NAMED["book"]
