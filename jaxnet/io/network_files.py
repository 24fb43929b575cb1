"""Networks in files: as network2's JSON, or as a sealed safetensors file.

`Layer.w` is (n_in, n_out); network2 stores (n_out, n_in), and biases as (n_out, 1). The two are
transposed here, and nowhere else.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.core import activations, costs, initializers, network
from jaxnet.core.activations import Activation
from jaxnet.core.costs import Cost, CrossEntropy, Quadratic
from jaxnet.core.network import Network
from jaxnet.core.types import Layer, Params
from jaxnet.io import files, version_0_2

KIND = "network"
FORMAT = 2
"""Of .safetensors files."""
JSON_FORMAT = 1
MAX_BYTES = 2**31
DTYPES = ("float32", "float64")
NETWORK2_COSTS: dict[str, Cost] = {
    "CrossEntropyCost": CrossEntropy(),
    "QuadraticCost": Quadratic(),
}
INITIALIZERS = (initializers.gaussian, initializers.truncated)
CLASSES: dict[str, type] = {
    **{cls.__name__: cls for cls in costs.NAMED.values()},
    **{cls.__name__: cls for cls in (activations.LeakyRelu, activations.Elu, activations.Softmax)},
    **{cls.__name__: cls for cls in INITIALIZERS},
}


def save(path: str | Path, net: Network, params: Params) -> None:
    """Write a network, in the format that the file's suffix names.

    `.json` is network2's own format (`sizes`, `weights`, `biases`, `cost`) with a further key
    `jaxnet` for what network2 cannot say; network2 loads the sigmoid networks with cross-entropy or
    quadratic cost, and refuses the others. `.safetensors` is exact to the bit and smaller, with the
    architecture in its metadata.

    Args:
      path: ends with .json or .safetensors; replaced atomically if it exists.
      net: the architecture, made of the library's own activations and costs.
      params: its parameters.

    Raises:
      ValueError: an unknown suffix, parameters of another network, a part that has no name.
      OSError: the file cannot be written; one that was there is unharmed.
    """
    path = Path(path)
    network.check_params(net, params)
    host = [Layer(np.asarray(layer.w), np.asarray(layer.b)) for layer in params]
    dtypes = {str(array.dtype) for layer in host for array in layer}
    if len(dtypes) > 1 or not dtypes <= set(DTYPES):
        raise ValueError(
            f"parameters must all be of one type, {' or '.join(DTYPES)}, not {dtypes}."
        )
    if _suffix(path) == ".json":
        files.write_atomic(path, _to_json(net, host))
        return
    arrays = {f"params/{name}": array for name, array in _tensors(host).items()}
    files.write_sealed(path, KIND, FORMAT, arrays, _describe(net))


def load(path: str | Path) -> tuple[Network, Params]:
    """Read a network that `save`, of this version or of 0.2, or network2 wrote.

    network2's float64 weights come in JAX's default float type, ours in the type they were saved in
    (as far as JAX's 64-bit setting allows).

    Raises:
      ValueError: the file is no network, or not a whole one; the message says what is wrong.
    """
    path = Path(path)
    suffix = _suffix(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ValueError(f"it has {size} bytes, more than the {MAX_BYTES} that are read")
        content = path.read_bytes()
        net, layers = _from_json(content) if suffix == ".json" else _from_safetensors(content)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {files.reason(error)}.") from None
    except files.DAMAGE as error:
        raise ValueError(f"{path} is not a network: {files.reason(error)}.") from None
    if layers[0].w.dtype != (dtype := jax.dtypes.canonicalize_dtype(layers[0].w.dtype)):
        warnings.warn(
            f"{path} holds float64, rounded to {dtype}: jax_enable_x64 is off.", stacklevel=2
        )
    return net, tuple(Layer(*(jnp.asarray(array, dtype) for array in layer)) for layer in layers)


def _suffix(path: Path) -> str:
    if path.suffix not in (".json", ".safetensors"):
        raise ValueError(f"{path} must end with .json or .safetensors.")
    return path.suffix


def _tensors(layers: Sequence[Layer]) -> dict[str, np.ndarray]:
    return {
        f"layers.{index}.{name}": np.ascontiguousarray(array)
        for index, layer in enumerate(layers)
        for name, array in layer._asdict().items()
    }


def _describe(net: Network) -> dict[str, Any]:
    return {
        "sizes": list(net.sizes),
        "hidden": [part_name(hidden) for hidden in net.activations],
        "cost": part_name(net.cost),
        "init": part_name(net.init),
        "precision": net.precision,
    }


def part_name(part: Any) -> Any:
    """A part by its name, or by its class and its constants: "relu", ["Quadratic", {...}]."""
    for named in (activations.NAMED, initializers.NAMED):
        for name, value in named.items():
            if value == part:
                return name
    if type(part) in CLASSES.values():
        constants = {key: getattr(part, key) for key in part.__dataclass_fields__}
        return [
            type(part).__name__,
            {k: part_name(v) if isinstance(v, Activation) else v for k, v in constants.items()},
        ]
    raise ValueError(
        f"{part!r} has no name in jaxnet, so that a file could not say what it is; save its "
        "parameters, a tuple of arrays, by other means."
    )


def _named(name: Any, kind: tuple[type, ...], known: Mapping[str, Any]) -> Any:
    """The part that `part_name` described; only the library's own names are ever looked up."""
    if isinstance(name, str):
        if name not in known:
            raise ValueError(f"its part {name!r} is not one of {sorted(known)}")
        return known[name]
    cls, constants = name
    if cls not in CLASSES or not isinstance(constants, dict):
        raise ValueError(f"its part {cls!r} is not one of {sorted(CLASSES)}")
    if not issubclass(CLASSES[cls], kind):
        kinds = " or ".join(allowed.__name__ for allowed in kind)
        raise ValueError(f"its part {cls!r} is no {kinds}")
    values = {
        key: _named(value, (Activation,), activations.NAMED) if key == "output" else value
        for key, value in constants.items()
    }
    return CLASSES[cls](**values)


def _network(described: dict[str, Any]) -> Network:
    """The network that `_describe` described."""
    return Network(
        tuple(described["sizes"]),
        tuple(_named(name, (Activation,), activations.NAMED) for name in described["hidden"]),
        _named(described["cost"], (Cost,), {}),
        _named(described["init"], INITIALIZERS, initializers.NAMED),
        described["precision"],
    )


def _to_json(net: Network, layers: list[Layer]) -> bytes:
    described = {"format": JSON_FORMAT} | _describe(net) | {"dtype": str(layers[0].w.dtype)}
    seal = files.described_sha256(described, _tensors(layers))
    document = {
        "sizes": list(net.sizes),
        "weights": [layer.w.T.tolist() for layer in layers],
        "biases": [layer.b[:, None].tolist() for layer in layers],
        "cost": _cost_name(net),
        "jaxnet": described | {"sha256": seal},
    }
    try:
        return json.dumps(document, allow_nan=False).encode()
    except ValueError:
        raise ValueError(
            "a parameter is not finite, which JSON cannot say; save as .safetensors."
        ) from None


def _cost_name(net: Network) -> str:
    """network2's name for the cost, or one that it cannot find for what it cannot run."""
    name = next((name for name, cost in NETWORK2_COSTS.items() if cost == net.cost), None)
    if name is None or set(net.activations) - {activations.sigmoid}:
        return f"jaxnet.{type(net.cost).__name__}"
    return name


def _from_json(content: bytes) -> tuple[Network, tuple[Layer, ...]]:
    """The network in a JSON document, network2's or ours."""
    document = _parsed(content)
    described = document.get("jaxnet")
    if described is None:
        if document["cost"] not in NETWORK2_COSTS:
            raise ValueError(f"its cost {document['cost']!r} is not {' or '.join(NETWORK2_COSTS)}")
        net = Network(tuple(document["sizes"]), cost=NETWORK2_COSTS[document["cost"]])
        layers = _json_layers(document, np.dtype(jax.dtypes.canonicalize_dtype(float)))
        network.check_params(net, layers)
        return net, layers
    net, dtype = _json_network(document, described)
    layers = _json_layers(document, dtype)
    network.check_params(net, layers)
    sealed = {key: value for key, value in described.items() if key != "sha256"}
    if files.described_sha256(sealed, _tensors(layers)) != described["sha256"]:
        raise ValueError("its contents do not have the SHA-256 it names; it was changed")
    return net, layers


def _parsed(content: bytes) -> dict[str, Any]:
    """The JSON object in a file; stricter than `json`: finite numbers, each key once."""

    def refuse(token: str) -> None:
        raise ValueError(f"it holds {token}, which is not a number in JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(parsed := dict(pairs)) < len(pairs):
            raise ValueError("a key of its JSON stands there twice")
        return parsed

    try:
        document = json.loads(content, parse_constant=refuse, object_pairs_hook=unique)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"its JSON is damaged or cut off: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("its JSON is not an object")
    return document


def _json_network(document: dict[str, Any], described: Any) -> tuple[Network, np.dtype]:
    """The network under the key `jaxnet`, which must agree with network2's keys, and its type."""
    if not isinstance(described, dict):
        raise ValueError("its key jaxnet is not an object")
    if described["dtype"] not in DTYPES:
        raise ValueError(f"its type {described['dtype']!r} is not one of {', '.join(DTYPES)}")
    files.check_format(described["format"], JSON_FORMAT)
    net = _network(described)
    if document["sizes"] != list(net.sizes):
        raise ValueError("its sizes stand there twice, and differ")
    if document["cost"] != _cost_name(net):
        raise ValueError(f"its cost is {document['cost']!r} and {_cost_name(net)!r} at once")
    return net, np.dtype(described["dtype"])


def _json_layers(document: dict[str, Any], dtype: np.dtype) -> tuple[Layer, ...]:
    """The parameters, as network2 lays them out."""
    matrices = [np.array(w) for w in document["weights"]]
    columns = [np.array(b) for b in document["biases"]]
    if any(a.ndim != 2 or a.dtype.kind not in "if" for a in matrices + columns):
        raise ValueError("its weights or its biases are not matrices of numbers")
    if any(b.shape[1] != 1 for b in columns):
        raise ValueError("its biases are not columns")
    if len(matrices) != len(columns):
        raise ValueError(f"it has {len(matrices)} weight matrices and {len(columns)} biases")
    with np.errstate(over="ignore"):  # what overflows is refused in the next line
        layers = tuple(
            Layer(np.ascontiguousarray(w.T, dtype), b[:, 0].astype(dtype))
            for w, b in zip(matrices, columns, strict=True)
        )
    if not all(np.isfinite(array).all() for layer in layers for array in layer):
        raise ValueError(f"a parameter is not finite, in {dtype}")
    return layers


def _from_safetensors(content: bytes) -> tuple[Network, tuple[Layer, ...]]:
    """The network in a sealed file, of this version or of 0.2."""
    arrays, header = files.read_sealed(content, KIND, FORMAT, older=version_0_2.read_network)
    net, tensors = _network(header), files.section(arrays, "params")
    wanted = {f"layers.{i}.{k}" for i in range(len(net.sizes) - 1) for k in Layer._fields}
    if set(tensors) != wanted:
        raise ValueError(f"it holds the tensors {sorted(tensors)} instead of {sorted(wanted)}")
    if not {str(tensor.dtype) for tensor in tensors.values()} <= set(DTYPES):
        raise ValueError(f"its parameters are not of type {' or '.join(DTYPES)}")
    layers = tuple(
        Layer(tensors[f"layers.{i}.w"], tensors[f"layers.{i}.b"]) for i in range(len(net.sizes) - 1)
    )
    network.check_params(net, layers)
    return net, layers
