"""`register`: a part of a user's own is saved, loaded, resumed and opened by its name."""

import dataclasses
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet as jn
from jaxnet.core.registry import Registry
from jaxnet.training.fingerprint import described, fingerprint
from jaxnet.training.part_registries import REGISTRIES
from jaxnet.training.rebuilding import rebuilt_metric, rebuilt_network, rebuilt_recipe

ROOT = Path(__file__).parents[2]


def sine(z):
    return jnp.sin(z)


def sine_prime(z):
    return jnp.cos(z)


@dataclasses.dataclass(frozen=True)
class Cubed(jn.costs.Cost):
    """Σ |a−y|³ / 3."""

    output: jn.activations.Activation = jn.activations.sigmoid
    factor: float = 1.0

    def fn(self, z, y):
        return self.factor * jnp.sum(jnp.abs(self.output.residual(z, y)) ** 3) / 3

    def delta(self, z, y):
        residual = self.output.residual(z, y)
        return self.factor * self.output.pullback(z, residual * jnp.abs(residual))


def small(key, n_in, n_out):
    return jn.Layer(0.1 * jax.random.normal(key, (n_in, n_out)), jnp.zeros(n_out))


def fromage(learning_rate=0.05):
    return jn.custom(optax.fromage, learning_rate=learning_rate)


def shrinking_rule(transition_steps, factor):
    return lambda step: factor ** (step / transition_steps)


def shrinking(factor=0.5):
    return jn.schedules.custom(shrinking_rule, {"transition_steps": 1.0}, factor=factor)


def certainty(outputs, targets, weights):
    return jnp.sum(weights * jnp.max(outputs, axis=1)) / jnp.sum(weights)


def flipped(key, xs, ys):
    return jnp.where(jax.random.bernoulli(key, 0.5, (len(xs), 1)), -xs, xs), ys


SINE = jn.activations.Elementwise("sine", sine, sine_prime)
PARTS = {
    "activation": SINE, "cost": Cubed, "initializer": small, "optimizer": fromage,
    "schedule": shrinking, "metric": certainty, "augmentation": flipped,
}  # fmt: skip
NETWORKS = {
    "activation": jn.Network((2, 3, 2), hidden=SINE),
    "cost": jn.Network((2, 3, 2), cost=Cubed(jn.activations.tanh, factor=2.0)),
    "initializer": jn.Network((2, 3, 2), init=small),
}
RECIPES = {
    "optimizer": jn.Recipe(fromage(0.1)),
    "schedule": jn.Recipe(jn.sgd(0.1), schedule=shrinking(0.25)),
    "augmentation": jn.Recipe(jn.sgd(0.1), augmentation=(flipped, jn.augmentation.mixup(0.2))),
}


def register(kind):
    is_function = kind not in ("activation", "cost")
    return jn.register(f"my_{kind}", PARTS[kind], kind=kind if is_function else None)


@pytest.mark.parametrize("kind", PARTS)
def test_a_registered_part_has_its_name_in_the_registry_and_in_fingerprints(kind):
    assert register(kind) is PARTS[kind]
    assert register(kind) is PARTS[kind]  # the same again
    assert REGISTRIES[kind][f"my_{kind}"] is PARTS[kind]
    if kind == "metric":
        assert described(certainty) == "my_metric"
        assert rebuilt_metric("my_metric") is certainty
        return
    net, recipe = NETWORKS.get(kind, NETWORKS["cost"]), RECIPES.get(kind, jn.Recipe(jn.sgd(0.1)))
    register("cost")
    description = json.loads(json.dumps(fingerprint(net, recipe, 10)))
    assert f'"my_{kind}"' in json.dumps(description)
    assert rebuilt_network(description["network"]) == net
    assert rebuilt_recipe(description["recipe"]) == recipe
    assert pickle.loads(pickle.dumps((net, recipe))) == (net, recipe)


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_with_a_registered_part_is_saved_and_loaded(kind, suffix, tmp_path):
    net, path = NETWORKS[kind], tmp_path / f"net.{suffix}"
    params = jn.init(net, jax.random.key(0))
    with pytest.raises(ValueError, match=r"give it a name by jaxnet.register first\.$"):
        jn.save(path, net, params)
    register(kind)
    jn.save(path, net, params)
    loaded, same = jn.load(path)
    assert loaded == net
    assert all(map(np.array_equal, jax.tree.leaves(same), jax.tree.leaves(params)))
    given = dataclasses.replace(net, hidden=jn.activations.relu)
    assert jn.load(path, net=given)[0] == given
    assert np.array_equal(jn.load(path, net=given)[1][0].w, params[0].w)
    with pytest.raises(ValueError, match=r"sizes are \[2, 3, 2\], but those of net are \[2, 4, 2"):
        jn.load(path, net=jn.Network((2, 4, 2)))


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
def test_a_given_network_has_the_activation_parameters_of_the_file(suffix, tmp_path):
    net, path = jn.Network((2, 3, 2)), tmp_path / f"net.{suffix}"
    jn.save(path, net, jn.init(net, jax.random.key(0)))
    parametric = jn.Network((2, 3, 2), hidden=jn.activations.PRelu())
    with pytest.raises(ValueError, match="activation"):
        jn.load(path, net=parametric)


def test_a_cost_is_trained_by_its_own_derivative():
    jn.check_deltas(register("cost")())


@pytest.mark.parametrize("instance", [Cubed(), jn.metrics.TopK(2), SINE])
def test_an_instance_says_its_kind(instance):
    jn.register("mine", instance)
    assert described(instance) in ("mine", {"kind": "mine"})


def test_it_decorates():
    @jn.register("tiny", kind="initializer")
    def tiny(key, n_in, n_out):
        return jn.Layer(jnp.zeros((n_in, n_out)), jnp.zeros(n_out))

    assert jn.initializers.NAMED["tiny"] is tiny


CELL = """
import jaxnet as jn, jax.numpy as jnp
@jn.register("tiny", kind="initializer")
def tiny(key, n_in, n_out):
    return jn.Layer(jnp.zeros((n_in, n_out)), jnp.zeros(n_out))
def f(z):
    return z
ramp = jn.register("ramp", jn.activations.Elementwise("ramp", f, jnp.ones_like))
"""


def test_a_cell_of_a_notebook_may_run_again_and_a_closure_is_another_part():
    namespace = {"__name__": "notebook"}
    for _ in range(2):
        exec(CELL, namespace)
        assert jn.initializers.NAMED["tiny"] is namespace["tiny"]
        assert jn.activations.NAMED["ramp"] is namespace["ramp"]
    with pytest.raises(ValueError, match="name ramp belongs to another activation"):
        jn.register("ramp", SINE)
    made = [lambda key, n_in, n_out: factor * small(key, n_in, n_out) for factor in (1, 2)]  # noqa: B023
    jn.register("made", made[0], kind="initializer")
    with pytest.raises(ValueError, match="name made belongs to another initializer"):
        jn.register("made", made[1], kind="initializer")


def rule(learning_rate):
    return optax.sgd(learning_rate)


WRONG = {
    "taken": ("relu", SINE, None, "name relu belongs to another activation, relu; choose"),
    "second": ("mine", jn.activations.relu, None, "second one for the activation relu; use"),
    "capitals": ("Mine", SINE, None, "name must be of small letters.*not 'Mine'"),
    "no name": (None, SINE, None, "name must be .*not None"),
    "unknown kind": ("mine", small, "layer", "kind must be one of activation, .*not 'layer'"),
    "no kind": ("mine", small, None, 'a function with kind= one of "initializer", "optimizer"'),
    "other kind": ("mine", SINE, "cost", "with kind='cost'"),
    "no part": ("mine", 3, "metric", "part must be .*not 3 with kind='metric'"),
    "no optimizer": ("mine", small, "optimizer", "cannot be called without arguments"),
    "optimizer": ("mine", jn.sgd(0.1), "optimizer", "part must be"),
    "schedule": ("mine", fromage, "schedule", "makes a jaxnet.Schedule, but"),
    "known rule": ("mine", lambda: jn.custom(jn.sgd().rule, learning_rate=0.1), "optimizer",
                   "which sgd makes, too; use sgd"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_registered_is_refused_in_a_sentence(case):
    name, part, kind, message = WRONG[case]
    before = {kind: dict(registry) for kind, registry in REGISTRIES.items()}
    with pytest.raises(ValueError, match=message) as refusal:
        _unchecked(jn.register)(name, part, kind=kind)
    assert str(refusal.value).endswith(".")
    assert {kind: dict(registry) for kind, registry in REGISTRIES.items()} == before


def _unchecked(function):
    """The function without the check of its annotations that tests apply."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def test_a_name_is_never_given_to_another_part():
    registry = Registry("number", {"one": 1})
    registry.add("two", 2)
    registry.add("two", 2)
    with pytest.raises(ValueError, match="name two belongs to another number, 2; choose another"):
        registry.add("two", 3)
    with pytest.raises(ValueError, match="name deux is a second one for the number two; use"):
        registry.add("deux", 2)
    assert dict(registry) == {"one": 1, "two": 2}


SCRIPT = """
import hashlib, json, sys
import jax, numpy as np
import jaxnet as jn
from tests.training import test_registration as parts

step = sys.argv[1]
if step != "unregistered":
    for kind in parts.PARTS:
        parts.register(kind)
net = jn.Network((2, 3, 2), parts.SINE, parts.Cubed(factor=2.0), parts.small)
recipe = jn.Recipe(
    parts.fromage(0.1), schedule=parts.shrinking(0.9), augmentation=parts.flipped
)
data = jn.datasets.xor(n=20)
metrics = {"sure": parts.certainty}
def digest(params):
    arrays = map(np.asarray, jax.tree.leaves(params))
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
def attempt(function):
    try:
        return function()
    except ValueError as error:
        return str(error)
def train(**arguments):
    return digest(jn.train(net, data, recipe, metrics=metrics, **arguments).params)
def study():
    return jn.sweep(net, data, [recipe], seeds=2, epochs=1, metrics=metrics, folder="study")
result = {}
if step == "begin":
    result["whole"] = train(epochs=2)
    train(epochs=1, checkpoint="run")
    result["study"] = digest(study().params())
    jn.save("net.json", net, jn.init(net, jax.random.key(0)))
elif step == "resume":
    result["whole"] = train(epochs=2, resume="run")
    opened = jn.open_study("study")
    result["study"] = digest(opened.params())
    result["same"] = digest(study().params())
    result["network"] = jn.load("net.json")[0] == net
    from typing import get_args
    from jaxnet.cli import options
    choices = (options.ActivationName, options.CostName, options.InitName, options.OptimizerName,
               options.ScheduleName, options.MetricName)
    names = [name for choice in choices for name in get_args(choice)]
    result["choices"] = [name for name in names if name.startswith("my_")]
else:
    result["resume"] = attempt(lambda: train(epochs=2, resume="run"))
    result["open"] = attempt(lambda: jn.open_study("study") and "opened")
    result["load"] = attempt(lambda: jn.load("net.json")[0] and "loaded")
    result["given"] = attempt(lambda: jn.load("net.json", net=net)[0] == net)
print(json.dumps(result))
"""


def _run(step, folder):
    """What the script prints in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, step],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.mark.slow
def test_another_process_goes_on_if_it_registers_the_parts_and_else_says_what_to_register(tmp_path):
    begun = _run("begin", tmp_path)
    resumed = _run("resume", tmp_path)
    assert resumed["whole"] == begun["whole"]
    assert resumed["study"] == resumed["same"] == begun["study"]
    assert resumed["network"]
    assert resumed["choices"] == [f"my_{kind}" for kind in PARTS if kind != "augmentation"]
    refused = _run("unregistered", tmp_path)
    names = ", ".join(sorted(f"my_{kind}" for kind in PARTS))
    assert refused["resume"].endswith(
        f"Its parts {names} are not known here: register them first, by "
        "jaxnet.register('my_activation', …)."
    )
    for key in ("open", "load"):
        assert "register it first, by jaxnet.register" in refused[key]
        assert "\n" not in refused[key]
    assert refused["given"] is True
