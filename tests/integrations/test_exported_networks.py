"""Exported networks compute what `jaxnet.predict` does, in the other tool itself where it is there.

What PyTorch and Keras get is also checked by their definitions in NumPy, since both are large.
"""

import functools
import importlib.util
import types

import jax
import numpy as np
import pytest
import scipy.special

import jaxnet as jn
from jaxnet.core.parametric import Parametric
from jaxnet.core.types import Layer, ParametricLayer
from jaxnet.sweeps.ensemble import Ensemble, Member

HIDDEN = {
    **jn.activations.NAMED,
    "leaky_relu(0.3)": jn.activations.LeakyRelu(0.3),
    "elu(0.5)": jn.activations.Elu(0.5),
    "softmax(2.5)": jn.activations.Softmax(2.5),
}
COSTS = {
    **{name: cost() for name, cost in jn.costs.NAMED.items()},
    **{f"quadratic {name}": jn.costs.Quadratic(f) for name, f in jn.activations.NAMED.items()},
    "log-likelihood(3)": jn.costs.LogLikelihood(3.0),
}
NETWORKS = {
    **{f"hidden {name}": jn.Network((3, 5, 4, 2), hidden) for name, hidden in HIDDEN.items()},
    **{f"cost {name}": jn.Network((3, 5, 2), cost=cost) for name, cost in COSTS.items()},
    "no hidden layer": jn.Network((3, 2)),
}
X = np.random.default_rng(0).normal(0, 2, (7, 3)).astype(np.float32)


def _has(name):
    return importlib.util.find_spec(name) is not None


needs_onnx = pytest.mark.skipif(
    not (_has("onnx") and _has("onnxruntime")), reason="onnx or onnxruntime is not installed"
)


def _params(net, seed=0, dtype=np.float32):
    """Parameters of a network, those of its activations not the initial ones."""
    random = np.random.default_rng(seed)
    layers = []
    for activation, n_in, n_out in zip(
        (*net.activations, None), net.sizes, net.sizes[1:], strict=False
    ):
        layer = Layer(random.normal(0, 1, (n_in, n_out)).astype(dtype),
                      random.normal(0, 1, n_out).astype(dtype))  # fmt: skip
        if isinstance(activation, Parametric):
            layer = ParametricLayer(*layer, np.asarray(0.6, dtype))
        layers.append(layer)
    return tuple(layers)


@functools.cache
def _outputs(name):
    """The outputs of a network of `NETWORKS` for X."""
    return np.asarray(jn.predict(NETWORKS[name], _params(NETWORKS[name]), X))


def _names(net):
    """The classes of a network's activations, and the names of those without a constant."""
    parts = [*net.activations, net.cost.output]
    return {type(part).__name__ if not hasattr(part, "name") else part.name for part in parts}


TORCH_LACKS, KERAS_LACKS = {"exponential", "Snake"}, {"Snake"}


class _Torch(types.SimpleNamespace):
    """`torch.nn` by its documentation's formulas: each module ↦ a function of x and its weights."""

    Linear = staticmethod(lambda *sizes: lambda x, w, b: x @ w.T + b)
    Sigmoid = staticmethod(lambda: scipy.special.expit)
    Tanh = staticmethod(lambda: np.tanh)
    ReLU = staticmethod(lambda: lambda x: np.maximum(x, 0))
    LeakyReLU = staticmethod(lambda slope: lambda x: np.where(x > 0, x, slope * x))
    ELU = staticmethod(lambda alpha: lambda x: np.where(x > 0, x, alpha * np.expm1(x)))
    Softplus = staticmethod(
        lambda threshold: lambda x: np.where(x > threshold, x, np.log1p(np.exp(x)))
    )
    GELU = staticmethod(lambda: lambda x: x * scipy.special.ndtr(x))
    SiLU = staticmethod(lambda: lambda x: x * scipy.special.expit(x))
    Identity = staticmethod(lambda: lambda x: x)
    Softmax = staticmethod(lambda dim: lambda x: scipy.special.softmax(x, axis=dim))
    PReLU = staticmethod(lambda: lambda x, slope: np.where(x > 0, x, slope * x))

    @staticmethod
    def Sequential(*modules):  # noqa: N802 (as in torch.nn)
        return modules


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_for_pytorch_computes_the_outputs(name):
    net = NETWORKS[name]
    params = _params(net)
    if _names(net) & TORCH_LACKS:
        with pytest.raises(ValueError, match=r"^net has .*, which PyTorch lacks; .*, prelu can be"):
            jn.to_torch(net, params)
        return
    network, expected = jn.to_torch(net, params), _outputs(name)
    scope = {"nn": _Torch()}
    exec(network.source.partition("\n\n")[2], scope)
    a = X
    for index, module in enumerate(scope["module"]):
        own = [network.state_dict[key] for key in (f"{index}.weight", f"{index}.bias")
               if key in network.state_dict]  # fmt: skip
        a = module(a, *own)
    np.testing.assert_allclose(a, expected, rtol=1e-4, atol=1e-6)
    if _has("torch"):
        import torch  # pyright: ignore[reportMissingImports]

        with torch.no_grad():
            ours = network.module()(torch.tensor(X)).numpy()
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)
        exec(network.source, scope)
        state = {key: torch.tensor(array) for key, array in network.state_dict.items()}
        scope["module"].load_state_dict(state)  # strict: all names and shapes are there


def test_float64_parameters_make_a_double_module():
    net = jn.Network((3, 4, 2), jn.activations.prelu)
    network = jn.to_torch(net, _params(net, dtype=np.float64))
    assert network.source.endswith(").double()\n")
    assert {array.dtype for array in network.state_dict.values()} == {np.dtype(np.float64)}
    if _has("torch"):
        assert network.module()[0].weight.dtype.itemsize == 8


@pytest.mark.skipif(_has("torch"), reason="torch is installed")
def test_a_missing_pytorch_is_named_with_its_extra():
    net = jn.Network((3, 2))
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxnet-mlp\[torch\]'\.$"):
        jn.to_torch(net, _params(net)).module()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_weights_for_keras_are_kernels_and_biases(name):
    net = NETWORKS[name]
    params = _params(net)
    if _names(net) & KERAS_LACKS:
        with pytest.raises(ValueError, match=r"^net has .*, which Keras lacks; .* can be exported"):
            jn.to_keras(net, params)
        return
    weights, a = iter(jn.to_keras(net, params)), X
    for activation in (*net.activations, net.cost.output):
        z = a @ next(weights) + next(weights)
        if type(activation).__name__ == "PRelu":
            a = np.where(z > 0, z, next(weights) * z)
        else:  # the softmax that Keras has is the one of temperature 1
            is_softmax = isinstance(activation, jn.activations.Softmax)
            function = jn.activations.softmax if is_softmax else activation
            a = np.asarray(jax.vmap(function.fn)(z))
    assert next(weights, None) is None
    np.testing.assert_allclose(a, _outputs(name), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(not _has("keras"), reason="keras is not installed")
def test_keras_computes_the_outputs(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    import keras  # pyright: ignore[reportMissingImports]

    net = jn.Network((3, 5, 4, 2), (jn.activations.gelu, jn.activations.prelu))
    params = _params(net)
    layers = keras.layers
    model = keras.Sequential([
        layers.Input((3,)), layers.Dense(5, "gelu"), layers.Dense(4),
        layers.PReLU(shared_axes=[1]), layers.Dense(2, "sigmoid"),
    ])  # fmt: skip
    model.set_weights(jn.to_keras(net, params))
    with jax.numpy_rank_promotion("allow"):
        outputs = np.asarray(model(X))
    np.testing.assert_allclose(outputs, jn.predict(net, params, X), rtol=1e-4, atol=1e-6)


def _onnx_outputs(path, x):
    import onnxruntime  # pyright: ignore[reportMissingImports]

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": x})[0]


@needs_onnx
@pytest.mark.parametrize("name", NETWORKS)
def test_onnxruntime_computes_the_outputs(name, tmp_path):
    jn.to_onnx(tmp_path / "net.onnx", NETWORKS[name], _params(NETWORKS[name]))
    outputs = _onnx_outputs(tmp_path / "net.onnx", X)
    np.testing.assert_allclose(outputs, _outputs(name), rtol=1e-5, atol=1e-5)


@needs_onnx
@pytest.mark.parametrize("hidden", jn.activations.NAMED)
def test_far_from_0_onnx_has_the_same_activations(hidden, tmp_path):
    """At ±100, where a careless formula overflows or rounds."""
    net = jn.Network(
        (1, 1, 1), jn.activations.NAMED[hidden], jn.costs.Quadratic(jn.activations.linear)
    )
    unit, zero = np.ones((1, 1), np.float32), np.zeros(1, np.float32)
    params = tuple(layer._replace(w=unit, b=zero) for layer in jn.init(net, jax.random.key(0)))
    jn.to_onnx(tmp_path / "net.onnx", net, params)
    x = np.array([[-100], [-30], [0], [30], [100]], np.float32)
    outputs = _onnx_outputs(tmp_path / "net.onnx", x)
    np.testing.assert_allclose(outputs, jn.predict(net, params, x), rtol=1e-5, atol=1e-6)


@needs_onnx
def test_an_ensemble_in_onnx_averages_what_its_members_predict(tmp_path):
    first, second = jn.Network((3, 4, 2)), jn.Network((3, 2), cost=jn.costs.LogLikelihood())
    shift, scale = np.array([1.0, 0.5, -2.0], np.float32), np.array([2.0, 1.0, 0.1], np.float32)
    ensemble = Ensemble((
        Member(first, _params(first)), Member(first, _params(first, 1), shift, scale),
        Member(second, _params(second, 2)),
    ))  # fmt: skip
    jn.to_onnx(tmp_path / "ensemble.onnx", ensemble)
    outputs = _onnx_outputs(tmp_path / "ensemble.onnx", X)
    np.testing.assert_allclose(outputs, ensemble.predict(X), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"^params must be None for an ensemble"):
        jn.to_onnx(tmp_path / "ensemble.onnx", ensemble, _params(first))


def test_an_activation_of_a_users_own_is_refused(tmp_path):
    cube = jn.activations.Elementwise("cube", lambda z: z**3, lambda z: 3 * z**2)
    jn.register("cube", cube)
    net = jn.Network((3, 4, 2), cube)
    with pytest.raises(ValueError, match=r"^net has the activation cube, which ONNX lacks"):
        jn.to_onnx(tmp_path / "net.onnx", net, _params(net))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(_has("onnx"), reason="onnx is installed")
def test_a_missing_onnx_is_named_with_its_extra(tmp_path):
    net = jn.Network((3, 2))
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxnet-mlp\[onnx\]'\.$"):
        jn.to_onnx(tmp_path / "net.onnx", net, _params(net))
