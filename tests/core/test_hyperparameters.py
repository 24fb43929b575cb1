import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxnet as jn
from jaxnet.core.hyperparameters import leaf, pytree, static


@pytest.mark.parametrize("value", [1, 1.0, np.float64(1), np.int32(1), np.ones(()), True])
def test_a_leaf_has_one_type_whatever_it_was_given_as(value):
    assert leaf("x", value).dtype == np.float32
    assert not jax.typeof(leaf("x", value)).weak_type


def test_a_leaf_may_be_a_jax_array_a_list_or_none():
    assert leaf("x", jnp.float32(2)).item() == 2
    assert leaf("x", [1, 2]).shape == (2,)
    assert leaf("x", None) is None


@given(st.one_of(st.floats(max_value=-1e-30), st.just(float("nan")), st.just(float("inf"))))
def test_a_leaf_outside_its_range_is_refused_and_named(value):
    with pytest.raises(ValueError, match=r"rate must be a number in \[0, inf\), not"):
        leaf("rate", value)


@pytest.mark.parametrize("value", ["fast", object(), [[1], [1, 2]], 1j])
def test_a_leaf_must_be_a_number(value):
    with pytest.raises(ValueError, match="rate must be a number"):
        leaf("rate", value)


def test_a_pytree_survives_rebuilding_with_anything_for_leaves():
    recipe = jn.Recipe(jn.sgd(0.5), l2=5.0)
    names = jax.tree.map(lambda _: "a leaf that no constructor would take", recipe)
    assert jax.tree.leaves(names) == ["a leaf that no constructor would take"] * 2
    assert jax.tree.structure(names) == jax.tree.structure(recipe)


def test_a_recipe_says_where_its_leaves_are():
    paths, _ = jax.tree_util.tree_flatten_with_path(jn.Recipe(jn.sgd(0.5), l2=5.0))
    assert [jax.tree_util.keystr(path) for path, _ in paths] == [
        ".optimizer.hyper['learning_rate']",
        ".l2",
    ]


@pytree
class Bent:
    """Children around a static field, to see that their order and paths are those of the class."""

    first: Any
    power: int = static()
    second: Any = 2.0
    names: tuple[str, ...] = static(default_factory=lambda: ("made",))


def test_a_static_field_is_structure_and_all_others_are_children_in_their_order():
    bent = Bent(1.0, 3)
    paths, structure = jax.tree_util.tree_flatten_with_path(bent)
    assert [(jax.tree_util.keystr(path), value) for path, value in paths] == [
        (".first", 1.0),
        (".second", 2.0),
    ]
    assert structure == jax.tree.structure(Bent(5.0, 3, 6.0))
    assert structure != jax.tree.structure(Bent(1.0, 4))
    assert bent.names == ("made",)


def test_fields_may_be_static_without_a_default_before_fields_that_must_be_given():
    assert jn.Optimizer(rule=jn.sgd().rule, hyper={"learning_rate": 1}).hyper["learning_rate"] == 1


def test_a_pytree_is_frozen_and_is_not_made_a_dataclass_twice():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Bent(1.0, 3).power = 4
    with pytest.raises(TypeError, match="@pytree makes Bent a dataclass itself"):
        pytree(Bent)
