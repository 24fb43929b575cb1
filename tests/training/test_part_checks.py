"""Parts that a caller has written: what raises or has a wrong shape is named in one sentence."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet as jn

DATA = jn.datasets.xor(n=20)
NET = jn.Network((2, 3, 2))


def fails(*arguments, **numbers):
    raise KeyError("no such thing")


@dataclasses.dataclass(frozen=True)
class Part(jn.activations.Activation):
    """The identity, of which one method is broken."""

    broken: str

    def fn(self, z):
        return {"fn raises": fails, "fn shape": lambda z: z[:1]}.get(self.broken, lambda z: z)(z)

    def pullback(self, z, g):
        methods = {"pullback raises": fails, "pullback shape": lambda g: g[:1]}
        return methods.get(self.broken, lambda g: g)(g)


@dataclasses.dataclass(frozen=True)
class Scaled(jn.activations.Parametric):
    """z·p, whose derivative by p is broken."""

    initial: float = 1.0
    raises: bool = False
    asks: bool = False

    def f(self, z, p):
        return -z if self.asks and p < 0 else z * p

    def prime(self, z, p):
        return jnp.full_like(z, p)

    def parameter_prime(self, z, p):
        return fails() if self.raises else z[:1]


@dataclasses.dataclass(frozen=True)
class Half(jn.costs.Cost):
    """½Σ(z − y)², of which one method is broken."""

    broken: str
    output = jn.activations.linear

    def fn(self, z, y):
        half = lambda z: 0.5 * jnp.sum((z - y) ** 2)
        return {"fn raises": fails, "fn shape": lambda z: z}.get(self.broken, half)(z)

    def delta(self, z, y):
        return {"delta raises": fails, "delta shape": lambda d: d[:1]}.get(
            self.broken, lambda d: d
        )(z - y)


def rule(init=lambda params: (), update=lambda grads, state, params: (grads, state)):
    """The constructor of an optax transformation."""
    return lambda learning_rate: optax.GradientTransformation(init, update)


def recipe(make):
    return jn.Recipe(jn.custom(make, learning_rate=0.1))


def of_schedule(factor):
    return jn.Recipe(jn.sgd(0.1), schedule=jn.schedules.custom(lambda a: factor, a=1.0))


PARTS = {
    "activation fn raises": (jn.Network((2, 3, 2), Part("fn raises")), "'no such thing'"),
    "activation fn": (jn.Network((2, 3, 2), Part("fn shape")), r"shape \(3,\), not \(1,\)"),
    "pullback raises": (jn.Network((2, 3, 2), Part("pullback raises")), "'no such thing'"),
    "pullback": (jn.Network((2, 3, 2), Part("pullback shape")), r"shape \(3,\), not \(1,\)"),
    "parameter raises": (jn.Network((2, 3, 2), Scaled(raises=True)), "'no such thing'"),
    "parameter": (jn.Network((2, 3, 2), Scaled()), r"shape \(3,\), not \(1,\)"),
    "parameter is traced": (jn.Network((2, 3, 2), Scaled(asks=True)), "f of the .*traced"),
    "output": (
        jn.Network((2, 3, 2), cost=jn.costs.Quadratic(Part("fn shape"))),
        r"shape \(2,\), not \(1,\)",
    ),
    "cost fn raises": (jn.Network((2, 3, 2), cost=Half("fn raises")), "'no such thing'"),
    "cost fn": (jn.Network((2, 3, 2), cost=Half("fn shape")), r"shape \(\), not \(2,\)"),
    "delta raises": (jn.Network((2, 3, 2), cost=Half("delta raises")), "'no such thing'"),
    "delta": (jn.Network((2, 3, 2), cost=Half("delta shape")), r"shape \(2,\), not \(1,\)"),
    "init raises": (jn.Network((2, 3, 2), init=fails), "init cannot draw .*'no such thing'"),
    "optimizer's state raises": (recipe(rule(init=fails)), "'no such thing'"),
    "optimizer's update raises": (recipe(rule(update=fails)), "'no such thing'"),
    "optimizer's updates": (
        recipe(rule(update=lambda g, s, p: (jax.tree.map(lambda a: a[:1], g), s))),
        r"must return updates .*float32\[2, 3\].*, not .*float32\[1, 3\]",
    ),
    "optimizer's state": (
        recipe(rule(update=lambda g, s, p: (g, jnp.zeros(3)))),
        r"must return a state .*not \['float32\[3\]'\]",
    ),
    "schedule raises": (of_schedule(fails), "'no such thing'"),
    "schedule": (of_schedule(lambda t: jnp.ones(3)), r"not an array of shape \(3,\)"),
    "augmentation raises": (jn.Recipe(jn.sgd(0.1), augmentation=fails), "'no such thing'"),
    "augmentation": (
        jn.Recipe(jn.sgd(0.1), augmentation=lambda key, xs, ys: (xs[:1], ys)),
        r"must return inputs and targets of the shapes that it gets",
    ),
    "metric raises": ({"metrics": {"mine": fails}}, "the metric mine .*'no such thing'"),
    "metric": ({"metrics": {"mine": lambda a, y, w: a}}, "the metric mine must return one number"),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("function", ["train", "sweep"])
def test_a_broken_part_is_named_in_a_sentence(name, function):
    part, message = PARTS[name]
    net = part if isinstance(part, jn.Network) else NET
    recipe = part if isinstance(part, jn.Recipe) else jn.Recipe(jn.sgd(0.1))
    options = part if isinstance(part, dict) else {}
    if function == "sweep":
        options = options | {"log": None}
    with pytest.raises(ValueError, match=message) as raised:
        getattr(jn, function)(net, DATA, recipe, epochs=1, **options)
    text = str(raised.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert ("raises" in name) == isinstance(raised.value.__cause__, KeyError)


@pytest.mark.parametrize("make", [optax.novograd, optax.lbfgs, optax.adafactor, optax.lamb])
def test_rules_of_optax_pass(make):
    run = jn.train(NET, DATA, recipe(make), epochs=1)
    assert np.isfinite(run.params[0].w).all()
