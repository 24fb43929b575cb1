"""Files: networks as network2's JSON or as safetensors, histories and settings of runs.

Nothing is ever pickled, every write is atomic (temporary file, fsync, rename), and a file that is
truncated, tampered with or mismatched is refused with a reason before anything of it is used.

`Layer.w` is (n_in, n_out); network2 stores (n_out, n_in), and biases as (n_out, 1). The two are
transposed here, at the door, and nowhere else.
"""

import csv
import hashlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from jaxnet import activations, costs, initializers, network
from jaxnet.activations import Activation
from jaxnet.costs import Cost, CrossEntropy, Quadratic
from jaxnet.network import Network
from jaxnet.training import History
from jaxnet.types import Layer, Params

FORMAT = 1
MAX_BYTES = 2**31
DTYPES = ("float32", "float64", "float16")
NETWORK2_COSTS: dict[str, Cost] = {
    "CrossEntropyCost": CrossEntropy(),
    "QuadraticCost": Quadratic(),
}
CLASSES: dict[str, type] = {
    **{cls.__name__: cls for cls in costs.NAMED.values()},
    **{cls.__name__: cls for cls in (activations.LeakyRelu, activations.Elu, activations.Softmax)},
    "gaussian": initializers.gaussian,
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
    if _suffix(path) == ".json":
        write_atomic(path, _to_json(net, host))
        return
    tensors = {f"layers.{i}.{k}": v for i, layer in enumerate(host) for k, v in _parts(layer)}
    metadata = {"jaxnet": json.dumps(_describe(net) | {"sha256": _sha256(host)})}
    write_atomic(path, safetensors.numpy.save(tensors, metadata))


def load(path: str | Path) -> tuple[Network, Params]:
    """Read a network that `save`, or network2, wrote.

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
        raise ValueError(f"cannot read {path}: {error.strerror}.") from None
    except RecursionError:
        raise ValueError(f"{path} is not a network: it is nested too deeply.") from None
    except (ValueError, TypeError, KeyError, SafetensorError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise ValueError(f"{path} is not a network: {reason}.") from None
    return net, tuple(Layer(jnp.asarray(layer.w), jnp.asarray(layer.b)) for layer in layers)


def write_atomic(path: str | Path, content: bytes) -> None:
    """Write a file so that it is there whole or, whatever happens, as it was before."""
    path = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp's files are private, a result is not
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the rename itself is durable only once its folder is
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def history_csv(history: History) -> bytes:
    """The four curves as CSV, a line per epoch, exactly; what was not monitored stays empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("epoch", *History._fields))
    for index, row in enumerate(zip(*map(np.asarray, history), strict=True), 1):
        writer.writerow((index, *("" if np.isnan(x) else str(x) for x in row)))
    return text.getvalue().encode()


def _suffix(path: Path) -> str:
    if path.suffix not in (".json", ".safetensors"):
        raise ValueError(f"{path} must end with .json or .safetensors.")
    return path.suffix


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _parts(layer: Layer) -> list[tuple[str, np.ndarray]]:
    return [(name, np.ascontiguousarray(array)) for name, array in layer._asdict().items()]


def _sha256(layers: list[Layer]) -> str:
    digest = hashlib.sha256()
    for layer in layers:
        for _, array in _parts(layer):
            digest.update(array.data)
    return digest.hexdigest()


def _describe(net: Network) -> dict[str, Any]:
    return {
        "format": FORMAT,
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
        names = part.__dataclass_fields__
        values = {key: getattr(part, key) for key in names}
        return [
            type(part).__name__,
            {k: part_name(v) if isinstance(v, Activation) else v for k, v in values.items()},
        ]
    raise ValueError(
        f"{part!r} has no name in jaxnet, so that a file could not say what it is; save its "
        "parameters, a tuple of arrays, by other means."
    )


def _named(name: Any) -> Any:
    """The part that `_name` described; only names of the library's own are ever looked up."""
    if isinstance(name, str):
        known = activations.NAMED | initializers.NAMED
        if name not in known:
            raise ValueError(f"its part {name!r} is not one of {sorted(known)}")
        return known[name]
    kind, constants = name
    if kind not in CLASSES or not isinstance(constants, dict):
        raise ValueError(f"its part {kind!r} is not one of {sorted(CLASSES)}")
    values = {k: _named(v) if k == "output" else float(v) for k, v in constants.items()}
    return CLASSES[kind](**values)


def _network(described: dict[str, Any]) -> Network:
    if described["format"] != FORMAT:
        raise ValueError(f"its format is {described['format']!r}; this version reads {FORMAT}")
    return Network(
        tuple(described["sizes"]),
        tuple(_named(name) for name in described["hidden"]),
        _named(described["cost"]),
        _named(described["init"]),
        described["precision"],
    )


def _to_json(net: Network, layers: list[Layer]) -> bytes:
    name = next((name for name, cost in NETWORK2_COSTS.items() if cost == net.cost), None)
    if name is None or set(net.activations) - {activations.sigmoid}:
        name = f"jaxnet.{type(net.cost).__name__}"  # a class that network2 cannot find
    document = {
        "sizes": list(net.sizes),
        "weights": [layer.w.T.tolist() for layer in layers],
        "biases": [layer.b[:, None].tolist() for layer in layers],
        "cost": name,
        "jaxnet": _describe(net) | {"dtype": str(layers[0].w.dtype), "sha256": _sha256(layers)},
    }
    try:
        return json.dumps(document, allow_nan=False).encode()
    except ValueError:
        raise ValueError(
            "a parameter is not finite, which JSON cannot say; save as .safetensors."
        ) from None


def _from_json(content: bytes) -> tuple[Network, tuple[Layer, ...]]:
    def refuse(token: str) -> None:
        raise ValueError(f"it holds {token}, which is not a number in JSON")

    try:
        document = json.loads(content, parse_constant=refuse)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"its JSON is damaged or cut off: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("its JSON is not an object")
    described = document.get("jaxnet")
    if described is None:
        if document["cost"] not in NETWORK2_COSTS:
            raise ValueError(f"its cost {document['cost']!r} is not {' or '.join(NETWORK2_COSTS)}")
        net = Network(tuple(document["sizes"]), cost=NETWORK2_COSTS[document["cost"]])
        dtype = np.dtype(np.float64)
    else:
        if not isinstance(described, dict):
            raise ValueError("its key jaxnet is not an object")
        if described["dtype"] not in DTYPES:
            raise ValueError(f"its type {described['dtype']!r} is not one of {', '.join(DTYPES)}")
        net, dtype = _network(described), np.dtype(described["dtype"])
        if document["sizes"] != list(net.sizes):
            raise ValueError(f"its sizes are {document['sizes']} and {list(net.sizes)} at once")
    matrices = [np.array(w, np.float64) for w in document["weights"]]
    columns = [np.array(b, np.float64) for b in document["biases"]]
    if any(a.ndim != 2 for a in matrices + columns) or any(b.shape[1] != 1 for b in columns):
        raise ValueError("its weights are not matrices, or its biases not columns")
    if len(matrices) != len(columns):
        raise ValueError(f"it has {len(matrices)} weight matrices and {len(columns)} biases")
    layers = tuple(
        Layer(np.ascontiguousarray(w.T, dtype), b[:, 0].astype(dtype))
        for w, b in zip(matrices, columns, strict=True)
    )
    if not all(np.isfinite(array).all() for layer in layers for array in layer):
        raise ValueError("a parameter is not finite")
    network.check_params(net, layers)
    if described is not None:
        _verify(described, list(layers))
    return net, layers


def _from_safetensors(content: bytes) -> tuple[Network, tuple[Layer, ...]]:
    tensors = safetensors.numpy.load(content)
    # safetensors' own functions read metadata from files only; the header is its first bytes.
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    described = json.loads(header["__metadata__"]["jaxnet"])
    net = _network(described)
    wanted = {f"layers.{i}.{k}" for i in range(len(net.sizes) - 1) for k in Layer._fields}
    if set(tensors) != wanted:
        raise ValueError(f"it holds the tensors {sorted(tensors)} instead of {sorted(wanted)}")
    layers = tuple(
        Layer(tensors[f"layers.{i}.w"], tensors[f"layers.{i}.b"]) for i in range(len(net.sizes) - 1)
    )
    network.check_params(net, layers)
    _verify(described, list(layers))
    return net, layers


def _verify(described: dict[str, Any], layers: list[Layer]) -> None:
    if _sha256(layers) != described["sha256"]:
        raise ValueError("its parameters do not have the SHA-256 it names; it was changed")
