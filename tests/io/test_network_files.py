import contextlib
import json
import os
import stat

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network2 import Network2

import jaxnet as jn
from jaxnet.core.types import History
from jaxnet.io import csv, files

NET = jn.Network((5, 4, 3))
NETWORKS = [
    NET,
    jn.Network((5, 3)),
    jn.Network((5, 4, 3), cost=jn.costs.Quadratic()),
    jn.Network((5, 4, 6, 3), (jn.activations.relu, jn.activations.LeakyRelu(0.2))),
    jn.Network((5, 4, 6, 3), (jn.activations.PRelu(0.1), jn.activations.relu)),
    jn.Network((5, 4, 6, 3), (jn.activations.relu, jn.activations.snake)),
    jn.Network((5, 4, 3), jn.activations.Elu(0.3), jn.costs.LogLikelihood(2.0)),
    jn.Network((5, 4, 3), cost=jn.costs.AbsoluteError(jn.activations.Softmax(3.0))),
    jn.Network((5, 4, 3), init=jn.initializers.gaussian(0.03), precision="default"),
    jn.Network((5, 4, 3), init=jn.initializers.he, cost=jn.costs.Quadratic(jn.activations.tanh)),
]


def _params(net, seed=0):
    return jn.init(net, jax.random.key(seed))


def _same(tree, other):
    return all(
        a.dtype == b.dtype and np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    )


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
@pytest.mark.parametrize("net", NETWORKS)
def test_what_is_saved_is_loaded_to_the_bit(tmp_path, net, suffix):
    path = tmp_path / f"net.{suffix}"
    jn.save(path, net, _params(net))
    loaded, params = jn.load(path)
    assert loaded == net
    assert _same(params, _params(net))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("suffix", ["json", "safetensors"])
def test_float64_too(tmp_path, suffix):
    params = _params(NET)
    assert params[0].w.dtype == jnp.float64
    jn.save(tmp_path / f"net.{suffix}", NET, params)
    assert _same(jn.load(tmp_path / f"net.{suffix}")[1], params)


@pytest.mark.parametrize("net", NETWORKS[:3])
def test_network2_reads_our_json_and_we_read_its(tmp_path, net):
    params = _params(net)
    jn.save(tmp_path / "ours.json", net, params)
    theirs = Network2.load(tmp_path / "ours.json")
    x = np.random.default_rng(0).random(5)
    ours = jn.predict(net, params, x)
    np.testing.assert_allclose(theirs.feedforward(x[:, None])[:, 0], ours, rtol=1e-5)
    theirs.save(tmp_path / "theirs.json")
    loaded, again = jn.load(tmp_path / "theirs.json")
    assert loaded == net
    assert _same(again, params)


def test_network2_refuses_what_it_cannot_run(tmp_path):
    net = jn.Network((5, 4, 3), jn.activations.relu)
    jn.save(tmp_path / "relu.json", net, _params(net))
    with pytest.raises(AttributeError, match=r"jaxnet\.CrossEntropy"):
        Network2.load(tmp_path / "relu.json")


def _document(tmp_path):
    jn.save(tmp_path / "net.json", NET, _params(NET))
    return json.loads((tmp_path / "net.json").read_text())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("weights"), "it lacks 'weights'"),
        (lambda d: d["weights"].pop(), "1 weight matrices and 2 biases"),
        (lambda d: (d["weights"].pop(), d["biases"].pop()), "1 weight matrices, but sizes"),
        (lambda d: (d["weights"].clear(), d["biases"].clear()), "0 weight matrices, but sizes"),
        (lambda d: d["weights"][0].pop(), "the parameters have shapes"),
        (lambda d: d["weights"][0][0].append(0.0), "inhomogeneous|not matrices"),
        (lambda d: d["weights"][0][0].__setitem__(0, "1"), "not matrices of numbers"),
        (lambda d: d["weights"][0][0].__setitem__(0, 10**400), "not matrices of numbers"),
        (lambda d: d["weights"][0][0].__setitem__(0, 1e300), "not finite, in float32"),
        (lambda d: d["weights"][0][0].__setitem__(0, 0.25), "do not have the SHA-256 it names"),
        (lambda d: d["weights"][0][0].__setitem__(0, 1e999), "Infinity|not finite"),
        (lambda d: d["biases"].__setitem__(0, [0.0] * 4), "not matrices of numbers"),
        (lambda d: d["biases"].__setitem__(0, [[0.0, 1.0]] * 4), "its biases are not columns"),
        (lambda d: d.update(sizes=[5, 4, 4]), "its sizes occur twice, and differ"),
        (lambda d: d.update(cost="QuadraticCost"), "QuadraticCost' and 'CrossEntropyCost' at once"),
        (lambda d: d["jaxnet"].update(sizes=[5, 10**9, 3]), "fewer than 2³¹"),
        (lambda d: d["jaxnet"].update(hidden=["os.system"]), "part 'os.system' is not one of"),
        (lambda d: d["jaxnet"].update(hidden=["he"]), "part 'he' is not one of"),
        (lambda d: d["jaxnet"].update(hidden=["tanh"]), "its cost is|do not have the SHA-256"),
        (lambda d: d["jaxnet"].update(hidden=[["LeakyRelu", {"slope": "nan"}]]), "(?s:.*)slope"),
        (lambda d: d["jaxnet"].update(cost=["eval", {}]), "part 'eval' is not one of"),
        (lambda d: d["jaxnet"].update(cost=["Softmax", {}]), "part 'Softmax' is not a Cost"),
        (lambda d: d["jaxnet"].update(cost=["Quadratic", {"output": "he"}]), "'he' is not one of"),
        (lambda d: d["jaxnet"].update(init="relu"), "part 'relu' is not one of"),
        (lambda d: d["jaxnet"].update(init="he"), "do not have the SHA-256"),
        (lambda d: d["jaxnet"].update(precision="default"), "do not have the SHA-256"),
        (lambda d: d["jaxnet"].update(format=99), "its format is 99; this version reads 1"),
        (lambda d: d["jaxnet"].update(dtype="object"), "type 'object' is not one of float32"),
        (lambda d: d["jaxnet"].update(dtype=["f"]), "type .'f'. is not one of float32"),
        (lambda d: d.update(jaxnet=3), "its key jaxnet is not an object"),
        (lambda d: d.update(activation_parameters=[0.1]), "not 0 numbers, one for each activation"),
        (lambda d: (d.pop("jaxnet"), d.update(cost="os.system")), "cost 'os.system' is not Cross"),
    ],
)
def test_tampered_json_is_refused(tmp_path, change, message):
    document = _document(tmp_path)
    change(document)
    (tmp_path / "net.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match=rf"net\.json is not a network: .*({message})"):
        jn.load(tmp_path / "net.json")


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([], "not 1 numbers, one for each activation"),
        ([0.1, 0.2], "not 1 numbers"),
        ([None], "not 1 numbers"),
        (["0.1"], "not 1 numbers"),
        ([1e300], "not finite, in float32"),
        ([0.2], "do not have the SHA-256"),
    ],
)
def test_a_tampered_parameter_of_an_activation_is_refused(tmp_path, numbers, message):
    net, path = jn.Network((5, 4, 3), jn.activations.prelu), tmp_path / "net.json"
    jn.save(path, net, _params(net))
    document = json.loads(path.read_text())
    assert document["activation_parameters"] == [0.25]
    path.write_text(json.dumps(document | {"activation_parameters": numbers}))
    with pytest.raises(ValueError, match=rf"net\.json is not a network: .*{message}"):
        jn.load(path)


def test_tensors_of_a_file_name_the_parameter_of_an_activation(tmp_path):
    net, path = jn.Network((5, 4, 3), jn.activations.snake), tmp_path / "net.safetensors"
    jn.save(path, net, _params(net))
    tensors = safetensors.numpy.load_file(path)
    assert tensors["params/layers.0.activation"] == np.float32(1)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"3", b"\xff\xfe", b'{"sizes": [1, NaN]}', b"[" * 100_000, b"{}"]
)
def test_what_is_no_network_is_refused(tmp_path, content):
    for name in ("bad.json", "bad.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="is not a network"):
            jn.load(tmp_path / name)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_file_cut_or_changed_anywhere_is_refused(tmp_path, data):
    original = data.draw(st.sampled_from(NETWORKS))
    for name in ("net.json", "net.safetensors"):
        path = tmp_path / name
        jn.save(path, original, _params(original))
        whole = path.read_bytes()
        at = data.draw(st.integers(0, len(whole) - 1))
        path.write_bytes(whole[:at])
        with pytest.raises(ValueError, match="is not a network"):
            jn.load(path)
        flipped = bytearray(whole)
        flipped[at] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(bytes(flipped))
        # A changed space, or a digit beyond float32, changes nothing; the rest is refused.
        with contextlib.suppress(ValueError):
            net, params = jn.load(path)
            assert _same(params, _params(original))
            assert net == original


def test_a_key_that_stands_twice_is_refused(tmp_path):
    jn.save(tmp_path / "net.json", NET, _params(NET))
    text = (tmp_path / "net.json").read_text()
    (tmp_path / "net.json").write_text(text.replace('"cost"', '"cost": "QuadraticCost", "cost"', 1))
    with pytest.raises(ValueError, match="a key of its JSON occurs twice"):
        jn.load(tmp_path / "net.json")


def test_tensors_of_another_type_are_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    jn.save(path, NET, _params(NET))
    content = path.read_bytes()
    assert b'"F32"' in content
    path.write_bytes(content.replace(b'"F32"', b'"I32"'))
    with pytest.raises(ValueError, match="it was changed"):
        jn.load(path)


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
def test_what_could_not_be_loaded_is_not_saved(tmp_path, suffix):
    for dtype in (np.int32, np.float16, jnp.bfloat16):
        params = jax.tree.map(lambda a, dtype=dtype: a.astype(dtype), _params(NET))
        with pytest.raises(
            ValueError, match=r"arrays of floats|parameters must all be of one type, float32 or"
        ):
            jn.save(tmp_path / f"net.{suffix}", NET, params)
    with pytest.raises(OSError, match="its folder does not exist") as caught:
        jn.save(tmp_path / "gone" / f"net.{suffix}", NET, _params(NET))
    assert caught.value.filename.endswith(f"net.{suffix}")


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
def test_rounding_to_float32_is_said(tmp_path, suffix):
    with jax.enable_x64(True):
        jn.save(tmp_path / f"net.{suffix}", NET, _params(NET))
    with pytest.warns(UserWarning, match="holds float64, rounded to float32: jax_enable_x64"):
        _, params = jn.load(tmp_path / f"net.{suffix}")
    assert params[0].w.dtype == jnp.float32


def test_safetensors_with_other_tensors_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    safetensors.numpy.save_file({"w": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="it lacks 'jaxnet'"):
        jn.load(path)
    jn.save(path, NET, _params(NET))
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    safetensors.numpy.save_file({"w": np.zeros(3)}, path, header["__metadata__"])
    with pytest.raises(ValueError, match="it was changed"):
        jn.load(path)


def test_an_oversized_file_is_refused_unread(tmp_path):
    with (tmp_path / "net.json").open("wb") as file:
        file.truncate(2**31 + 1)  # it takes no room on the disk
    with pytest.raises(ValueError, match="it has more than the 2147483648 bytes that are read"):
        jn.load(tmp_path / "net.json")


def test_unknown_suffix_missing_file_and_foreign_parts(tmp_path):
    with pytest.raises(ValueError, match=r"net\.pkl must end with \.json or \.safetensors"):
        jn.save(tmp_path / "net.pkl", NET, _params(NET))
    with pytest.raises(ValueError, match=r"cannot read .*gone\.json: No such file"):
        jn.load(tmp_path / "gone.json")
    with pytest.raises(ValueError, match="the parameters have shapes"):
        jn.save(tmp_path / "net.json", NET, _params(NETWORKS[1]))
    mine = jn.activations.Elementwise("mine", jnp.tanh, jnp.cosh)
    net = jn.Network((5, 4, 3), mine)
    with pytest.raises(ValueError, match="is not one of jaxnet's own"):
        jn.save(tmp_path / "net.json", net, _params(net))
    assert os.listdir(tmp_path) == []


def test_parameters_that_are_not_finite_go_into_safetensors_only(tmp_path):
    params = jax.tree.map(lambda a: a * jnp.nan, _params(NET))
    with pytest.raises(ValueError, match=r"not finite, which JSON cannot say; save as \.safet"):
        jn.save(tmp_path / "net.json", NET, params)
    jn.save(tmp_path / "net.safetensors", NET, params)
    assert np.isnan(jn.load(tmp_path / "net.safetensors")[1][0].w).all()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.json"
    jn.save(path, NET, _params(NET))
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*net\.json'$") as caught:
        jn.save(path, NET, _params(NET, seed=1))
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.json"]


def test_written_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    files.write_atomic(tmp_path / "ours", b"")
    usual, ours = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "ours"))
    assert usual == ours


def test_history_as_csv_is_exact():
    costs = np.array([0.1, 1 / 3], np.float32)
    nan = np.full(2, np.nan, np.float32)
    text = csv.history_csv(History(costs, np.array([0.5, 0.9634], np.float32), nan, nan)).decode()
    lines = text.splitlines()
    assert lines[0].startswith("epoch,evaluation_cost,evaluation_accuracy,training_cost,")
    assert lines[1] == "1,0.1,0.5,,,,"
    assert lines[2].endswith(",0.9634,,,,")
    assert np.float32(lines[2].split(",")[1]) == costs[1]
