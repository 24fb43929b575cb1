import dataclasses
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxnet as jn
from jaxnet.acceleration.padding import UnitMasks
from jaxnet.core.hyperparameters import leaf, pytree, static


@pytest.mark.parametrize("value", [1, 1.0, np.float64(1), np.int32(1), np.ones(()), Fraction(1)])
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


def _trees(number):
    """An instance of every class of jaxnet that is made by `pytree`, one number of it given."""
    sgd = jn.sgd(number)
    return {
        "Optimizer": sgd,
        "Schedule": jn.schedules.cosine(30, end=number),
        "Stopping": jn.stopping.reduce_on_plateau(5, factor=number),
        "Augmentation": jn.Augmentation(rotation=number),
        "Recipe": jn.Recipe(sgd, l2=number, stopping=jn.stopping.reach(number)),
        "Units": UnitMasks((np.full(3, number, np.float32),), (2,)),
    }


TREES, EQUAL_TREES, OTHER_TREES = _trees(0.5), _trees(jnp.float32(0.5)), _trees(0.25)


@pytest.mark.parametrize("name", TREES)
def test_trees_are_equal_by_value_whichever_library_holds_their_arrays(name):
    tree, equal, other = TREES[name], EQUAL_TREES[name], OTHER_TREES[name]
    assert tree == equal
    assert hash(tree) == hash(equal) == hash(other)  # numbers are no part of the hash
    assert tree != other
    assert len({tree, equal, other}) == 2
    assert tree != "a tree"
    assert tree.__eq__("a tree") is NotImplemented
    assert all(tree != TREES[different] for different in TREES if different != name)


@pytest.mark.parametrize(
    "other",
    [
        jn.nesterov(0.5),  # another static rule with numbers of the same names
        dataclasses.replace(jn.momentum(0.5), stochastic=True),
        jn.momentum([0.5]),  # another shape
        jn.momentum(0.5, decay=0.8),
    ],
    ids=repr,
)
def test_trees_of_other_structure_shapes_or_numbers_are_others(other):
    assert jn.momentum(0.5) != other
    assert jn.Recipe(jn.momentum(0.5)) != jn.Recipe(other)


def test_a_part_that_is_there_is_another_structure():
    assert jn.Recipe(jn.sgd(), l2=0) != jn.Recipe(jn.sgd())
    assert jn.Recipe(jn.sgd(), l2=0) != jn.Recipe(jn.sgd(), l1=0)


@pytest.mark.usefixtures("x64")
def test_a_leaf_of_another_type_is_another():
    double = jn.sgd(0.5)
    with jax.enable_x64(False):
        assert jn.sgd(0.5) != double


def _bits(*numbers):
    return Bent(np.array(numbers, np.uint32).view(np.float32), 1)


def test_leaves_are_compared_bit_by_bit():
    nan, other_nan = 0x7FC00000, 0x7FC00001
    assert _bits(nan) == _bits(nan)
    assert _bits(nan) != _bits(other_nan)
    assert Bent(np.float32(0.0), 1) != Bent(np.float32(-0.0), 1)
    assert Bent(1, 1) != Bent(1.0, 1)  # placeholders of other kinds than arrays
    assert Bent("a name", 1) == Bent("a name", 1)
    assert hash(Bent("a name", 1)) == hash(Bent("another", 1))


def test_random_keys_equal_only_themselves():
    key = jax.random.key(0)
    assert Bent(key, 1) == Bent(key, 1)
    assert Bent(key, 1) != Bent(jax.random.key(0), 1)
    assert hash(Bent(key, 1)) == hash(Bent(jax.random.key(0), 1))


@pytest.mark.parametrize("name", TREES)
def test_traced_trees_equal_only_themselves_and_are_hashed_by_what_is_known(name):
    tree = TREES[name]

    @jax.jit
    def compare(traced, other):
        again = jax.tree.unflatten(*jax.tree.flatten(traced)[::-1])
        assert traced == again
        assert traced != other
        assert traced != tree
        assert tree != traced
        assert hash(traced) == hash(again) == hash(other) == hash(tree)
        return jax.tree.leaves(traced)

    compare(tree, EQUAL_TREES[name])


def test_a_recipe_is_hashed_under_vmap_by_its_own_shapes():
    swept = jn.Recipe(jn.sgd([0.1, 0.2]), l2=[1.0, 2.0])

    def compare(recipe):
        assert hash(recipe) == hash(jn.Recipe(jn.sgd(0.1), l2=1.0)) != hash(swept)
        return recipe.l2

    jax.vmap(compare)(swept)


def test_equal_trees_are_one_program():
    traced = []

    @jax.jit
    def leaves(tree):
        traced.append(tree)
        return jax.tree.leaves(tree)

    for trees in (TREES, EQUAL_TREES, OTHER_TREES):
        for tree in trees.values():
            leaves(tree)
    assert len(traced) == len(TREES)
