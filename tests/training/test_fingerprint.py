"""Fingerprints name runs: the same for the same run, wherever the code stands."""

import inspect
import json
import pickle
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

import cloudpickle
import jax
import numpy as np
import optax
import pytest

import jaxnet as jn
from jaxnet.core.hyperparameters import pytree
from jaxnet.recipes import optimizers, schedules
from jaxnet.training import fingerprint as fingerprints
from jaxnet.training.fingerprint import differences, fingerprint
from jaxnet.training.fingerprint_0_2 import fingerprint_0_2

NET, XOR = jn.Network((2, 4, 2)), jn.datasets.xor(n=20)
LENGTHS = {"horizon": 8.0, "warmup": 2.0}
DEFAULTS = Path(__file__).parents[1] / "data" / "rule_defaults.json"


def _of(recipe, net=NET):
    return fingerprint(net, recipe, 10)


def _schedule(name):
    constructor = schedules.NAMED[name]
    known = inspect.signature(constructor).parameters
    return constructor(**{key: value for key, value in LENGTHS.items() if key in known})


def _rules():
    """Every registered rule: (kind, name, constructor, an instance)."""
    rules = []
    for name, constructor in optimizers.NAMED.items():
        rules.append(pytest.param("optimizer", name, constructor, constructor(), id=name))
    for name, constructor in schedules.NAMED.items():
        schedule = _schedule(name)
        rules.append(pytest.param("schedule", name, constructor, schedule, id=f"{name} schedule"))
    return rules


def _recipe(kind, part):
    return jn.Recipe(part) if kind == "optimizer" else jn.Recipe(jn.sgd(), schedule=part)


@pytest.mark.parametrize(("kind", "name", "constructor", "part"), _rules())
def test_a_rule_goes_by_its_registry_name_and_what_is_not_at_default(kind, name, constructor, part):
    described = _of(_recipe(kind, part))["recipe"][kind]
    assert described.pop("rule") == name
    assert set(described) <= set(LENGTHS)  # what has no default
    assert json.loads(json.dumps(described)) == described
    for number in part.hyper:
        changed = replace(part, hyper=part.hyper | {number: part.hyper[number] * 0.5 + 0.125})
        described = _of(_recipe(kind, changed))["recipe"][kind]
        assert described[number] == float(changed.hyper[number])


@pytest.mark.parametrize(("kind", "name", "constructor", "part"), _rules())
def test_another_default_is_another_version_of_a_rule(kind, name, constructor, part):
    """What is left out stands at its default: if that changes, old files must not be taken for new.

    To change a default or a formula: raise the rule's `version`, and write both down here.
    """
    pinned = json.loads(DEFAULTS.read_text(encoding="utf-8"))[kind][name]
    parameters = inspect.signature(constructor).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    assert {"version": part.version, "defaults": defaults} == pinned


@pytest.mark.parametrize(("kind", "name", "constructor", "part"), _rules())
def test_a_later_version_of_a_rule_is_another_rule(kind, name, constructor, part):
    before, after = (_of(_recipe(kind, p)) for p in (part, replace(part, version=part.version + 1)))
    assert differences(before, after) == [
        f"recipe.{kind}.version was at its default and is {part.version + 1}"
    ]


@pytest.mark.parametrize("dtype", [False, True])
def test_a_default_is_one_in_either_float_type(dtype):
    with jax.enable_x64(dtype):
        explicit = jn.Recipe(jn.adam(learning_rate=1e-3, eps=1e-8))
        assert _of(explicit) == _of(jn.Recipe(jn.adam()))
        assert _of(explicit) != _of(jn.Recipe(jn.adam(learning_rate=1.0001e-3)))


def test_parts_of_a_network_go_by_name():
    net = jn.Network(
        (4, 3, 3, 2),
        (jn.activations.relu, jn.activations.LeakyRelu(0.25)),
        jn.costs.Quadratic(jn.activations.linear),
        jn.initializers.gaussian(0.5),
    )
    assert _of(jn.Recipe(jn.sgd()), net)["network"] == {
        "sizes": [4, 3, 3, 2],
        "hidden": ["relu", {"kind": "LeakyRelu", "slope": 0.25}],
        "cost": {"kind": "quadratic", "output": "linear"},
        "init": {"kind": "gaussian", "std": 0.5},
    }
    assert _of(jn.Recipe(jn.sgd()))["network"] == {"sizes": [2, 4, 2]}


CHANGES: dict[str, dict[str, Any]] = {
    "l2": {"l2": 1.0}, "l1": {"l1": 1.0}, "dropout": {"dropout": 0.5},
    "input_dropout": {"input_dropout": 0.5}, "max_norm": {"max_norm": 1.0},
    "label_smoothing": {"label_smoothing": 0.5}, "init_scale": {"init_scale": 0.5},
    "augmentation": {"augmentation": jn.Augmentation(shift=1)},
    "schedule": {"schedule": jn.schedules.cosine(4)},
    "stopping": {"stopping": jn.stopping.reduce_on_plateau(8)},
    "normalization": {"normalization": "batch"},
}  # fmt: skip


def test_each_part_of_a_recipe_shows():
    fields = set(inspect.signature(jn.Recipe).parameters) - {"optimizer"}
    assert fields == set(CHANGES)
    plain = jn.Recipe(jn.sgd())
    for name, part in CHANGES.items():
        assert any(name in line for line in differences(_of(plain), _of(replace(plain, **part))))


def rule(learning_rate: float) -> optax.GradientTransformation:
    """A user's own."""
    return optax.sgd(learning_rate)


def test_a_users_own_rule_is_not_taken_for_a_registered_one():
    own, wrapped = (jn.Recipe(jn.custom(f, learning_rate=0.5)) for f in (rule, optax.adam))
    assert _of(own)["recipe"]["optimizer"] == {
        "custom": {"function": f"{rule.__module__}.rule"},
        "hyper": {"learning_rate": 0.5},
    }
    assert _of(wrapped) != _of(jn.Recipe(jn.adam(0.5)))


@dataclass(frozen=True)
class Drawn:
    std: float

    def layer(self, key, n_in, n_out):
        """An initializer."""


def he(key, n_in, n_out):
    """A user's own, called as one of the library's is."""


def _renamed(function, module):
    """The same function as another module would have it."""
    clone = FunctionType(function.__code__, function.__globals__, function.__name__)
    clone.__module__ = module
    return clone


def test_parts_that_share_a_name_are_told_apart():
    rules = [jn.custom(_renamed(rule, name), learning_rate=0.5) for name in ("mine", "yours")]
    assert _of(jn.Recipe(rules[0])) != _of(jn.Recipe(rules[1]))
    inits = [
        he, jn.initializers.he, Drawn(0.1).layer, Drawn(5.0).layer, partial(he, 1), partial(he, 2),
    ]  # fmt: skip
    described = [json.dumps(fingerprints.described(init)) for init in inits]
    assert len(set(described)) == len(inits)


def _scaled(factor):
    """A rule that has captured a number, as has the method of a class."""

    def rule(learning_rate):
        return optax.sgd(factor * learning_rate)

    return rule


def _drawing(std):
    class Drawing:
        spread = std

        def __call__(self, key, n_in, n_out):
            return jn.initializers.gaussian(std)(key, n_in, n_out)

        @property
        def width(self):
            return 2 * std

    return Drawing()


class Stateful:
    """An object of a user's own class, whose repr is an address in memory."""

    def __init__(self, std):
        self.std = std

    def __call__(self, key, n_in, n_out):
        return jn.initializers.gaussian(self.std)(key, n_in, n_out)


class Terse(Stateful):
    """Another one, whose repr hides its number."""

    def __repr__(self):
        return "Terse()"


# Both of a pair stand in one line, have one name and, mostly, one code.
LOOK_ALIKES = {
    "lambdas": [lambda learning_rate: optax.sgd(learning_rate), lambda learning_rate: None],
    "captured": [_scaled(1.0), _scaled(2.0)],
    "captured arrays": [_scaled(np.float32(1.0)), _scaled(np.float32(2.0))],
    "captured lambdas": [_scaled(lambda: 1), _scaled(lambda: 2)],
    "defaults": [lambda learning_rate, s=s: optax.sgd(s * learning_rate) for s in (1, 2)],
    "keyword defaults": [lambda rate, *, s=s: optax.sgd(s * rate) for s in (1, 2)],
    "constants": [lambda rate: optax.sgd(rate, 0.5), lambda rate: optax.sgd(rate, 0.6)],
    "partial": [partial(_scaled(s), learning_rate=1) for s in (1, 2)],
    "compiled": [jax.jit(_scaled(s)) for s in (1.0, 2.0)],
    "classes": [_drawing(0.1), _drawing(0.2)],
    "objects": [Stateful(0.1), Stateful(0.2)],
    "terse objects": [Terse(0.1), Terse(0.2)],
    "methods": [Stateful(0.1).__call__, Stateful(0.2).__call__],
}  # fmt: skip


@pytest.mark.parametrize("kind", LOOK_ALIKES)
def test_functions_and_objects_without_a_path_are_told_apart(kind):
    first, second = (json.dumps(fingerprints.described(part)) for part in LOOK_ALIKES[kind])
    assert first != second
    assert "0x" not in first + second
    copied = pickle.loads(cloudpickle.dumps(LOOK_ALIKES[kind][0]))  # as in another process
    assert kind == "compiled" or json.dumps(fingerprints.described(copied)) == first


def test_the_same_lambda_is_the_same_run_and_another_one_is_refused(tmp_path):
    rules = [lambda learning_rate: optax.sgd(learning_rate) for _ in range(2)]
    first, again = (jn.Recipe(jn.custom(rule, learning_rate=0.5)) for rule in rules)
    other = jn.Recipe(jn.custom(_scaled(2.0), learning_rate=0.5))
    jn.train(NET, XOR, first, epochs=1, checkpoint=tmp_path)
    assert len(jn.train(NET, XOR, again, epochs=2, resume=tmp_path).history.training_cost) == 2
    with pytest.raises(ValueError, match=r"recipe\.optimizer\.custom\.function\.captured"):
        jn.train(NET, XOR, other, epochs=3, resume=tmp_path)


def test_a_study_trains_both_of_two_rules_with_one_name(tmp_path):
    recipes = [jn.Recipe(jn.custom(_scaled(s), learning_rate=0.1)) for s in (1.0, 5.0)]
    options: dict[str, Any] = {"epochs": 1, "folder": tmp_path, "log": None}
    alone = [jn.sweep(NET, XOR, recipe, **options | {"folder": None}) for recipe in recipes]
    both = [jn.sweep(NET, XOR, recipe, **options) for recipe in recipes]
    costs = [float(study.history.evaluation_cost.item()) for study in (*alone, *both)]
    assert costs[:2] == costs[2:]
    assert costs[0] != costs[1]


def test_what_shows_no_more_than_its_address_or_refers_to_itself_is_refused():
    with pytest.raises(ValueError, match="does not show what it holds; use a module-level"):
        fingerprints.described(object())

    def draw(key, n_in, n_out):
        return draw(key, n_in, n_out)

    with pytest.raises(ValueError, match="a part that refers to itself does not show"):
        _of(jn.Recipe(jn.sgd()), jn.Network((2, 4, 2), init=draw))


def test_a_users_own_rule_may_have_a_version():
    first, second = (jn.custom(rule, version=n, learning_rate=0.5) for n in (1, 2))
    assert differences(_of(jn.Recipe(first)), _of(jn.Recipe(second))) == [
        "recipe.optimizer.version was at its default and is 2"
    ]
    swept = jn.grid(jn.Recipe(replace(jn.adam(), version=3)), learning_rate=[0.1, 0.2])
    assert swept.optimizer.version == 3
    with pytest.raises(ValueError, match="version must be a whole number of at least 1, not 0"):
        jn.custom(rule, version=0, learning_rate=0.5)


def test_a_function_goes_by_its_public_path():
    """Wherever optax keeps it."""
    assert fingerprints.described(optax.fromage) == {"function": "optax.fromage"}


@pytree
class Later(jn.Recipe):
    """A recipe of a later version, with a part more."""

    clipping: Any = None


def test_a_run_goes_on_where_a_module_was_renamed_and_a_field_added(tmp_path, monkeypatch):
    recipe = jn.Recipe(jn.momentum(0.5), l2=0.1, schedule=jn.schedules.cosine(4))
    whole = jn.train(NET, XOR, recipe, epochs=4)
    jn.train(NET, XOR, recipe, epochs=2, checkpoint=tmp_path)
    for part in (recipe.optimizer, recipe.schedule):
        monkeypatch.setattr(part.rule, "__module__", "jaxnet.elsewhere")
    later = Later(jn.momentum(0.5), l2=0.1, schedule=jn.schedules.cosine(4))
    resumed = jn.train(NET, XOR, later, epochs=4, resume=tmp_path)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(resumed.params), strict=True):
        assert np.array_equal(a, b)
    other = replace(later, clipping=1.0)
    with pytest.raises(ValueError, match=r"recipe\.clipping was at its default and is 1\.0"):
        jn.train(NET, XOR, other, epochs=4, resume=tmp_path)


def test_a_study_grows_where_a_module_was_renamed_and_a_field_added(tmp_path, monkeypatch):
    options: dict[str, Any] = {"seeds": 2, "epochs": 2, "folder": tmp_path, "log": None}
    recipe = jn.Recipe(jn.momentum(np.array([0.5, 1.0])), l2=0.1)
    whole = jn.sweep(NET, XOR, recipe, **options)
    monkeypatch.setattr(recipe.optimizer.rule, "__module__", "jaxnet.elsewhere")
    plans: list[str] = []
    later = Later(jn.momentum(np.array([0.5, 1.0])), l2=0.1)
    again = jn.sweep(NET, XOR, later, **options | {"log": plans.append})
    assert "nothing is missing" in plans[0]
    assert np.array_equal(whole.history.evaluation_cost, again.history.evaluation_cost)


def test_another_engine_number_refuses_a_run_by_name(tmp_path, monkeypatch):
    jn.train(NET, XOR, jn.Recipe(jn.sgd()), epochs=1, checkpoint=tmp_path)
    monkeypatch.setattr(fingerprints, "ENGINE", 99)
    with pytest.raises(ValueError, match="engine was 1 and is 99"):
        jn.train(NET, XOR, jn.Recipe(jn.sgd()), epochs=2, resume=tmp_path)


def test_version_0_2_named_radam_by_optaxs_own_rule():
    recipe = jn.Recipe(jn.radam())
    assert fingerprint_0_2(NET, recipe, 10)["optimizer"] == ["optax._src.alias.radam"]
