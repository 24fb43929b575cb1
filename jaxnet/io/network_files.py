"""Networks in files: as network2's JSON, or as a sealed safetensors file.

`Layer.w` has shape (n_in, n_out) and `Layer.b` (n_out,). network2 stores weights as (n_out, n_in)
and biases as (n_out, 1). This module alone converts between the two.
"""

import dataclasses
import json
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.core import activations, costs, initializers, network
from jaxnet.core.activation import Activation
from jaxnet.core.arguments import brief, path_of, require_kind
from jaxnet.core.costs import Cost, CrossEntropy, Quadratic
from jaxnet.core.network import Network
from jaxnet.core.parametric import Parametric
from jaxnet.core.types import Initializer, Layer, ParametricLayer, Params, layer_of
from jaxnet.io import files, reading, version_0_2
from jaxnet.io.reading import JsonObject

_Part = TypeVar("_Part")

KIND = "network"
FORMAT = 2
"""The number of the format of .safetensors files."""
JSON_FORMAT = 1
"""The number of the format of the key `jaxnet` in .json files."""
DTYPES = ("float32", "float64")
"""The types that parameters may have in a file."""
NETWORK2_COSTS: dict[str, Cost] = {
    "CrossEntropyCost": CrossEntropy(),
    "QuadraticCost": Quadratic(),
}
"""The costs that network2 knows, by its names."""
ACTIVATIONS = {
    type(activation)
    for activation in activations.NAMED.values()
    if not isinstance(activation, activations.Elementwise)
}
INITIALIZERS = (initializers.gaussian, initializers.truncated)
CLASSES: dict[str, type] = {
    **{cls.__name__: cls for cls in costs.NAMED.values()},
    **{cls.__name__: cls for cls in ACTIVATIONS},
    **{cls.__name__: cls for cls in INITIALIZERS},
}
"""The classes of parts that have constants, by their names."""


@runtime_checkable
class JsonDescribed(Protocol):
    """What can be written into a network's file as JSON, such as a table's encoding."""

    def to_json(self) -> JsonObject:
        """The object in JSON's types."""
        ...

    def check_network(self, net: Network) -> None:
        """Raise a ValueError for a network with other inputs or outputs.

        Args:
          net: the architecture.
        """
        ...


def save(
    path: str | Path, net: Network, params: Params, *, encoding: JsonDescribed | None = None
) -> None:
    """Write a network to a file, in the format of the file's suffix.

    `.json` is network2's own format (`sizes`, `weights`, `biases`, `cost`) with a further key
    `jaxnet` for what network2 cannot express. network2 loads the sigmoid networks with
    cross-entropy or quadratic cost, and refuses the others. `.safetensors` is exact to the bit and
    smaller, with the architecture in its metadata.

    Args:
      path: the file, which ends with .json or .safetensors; one that exists is replaced,
        atomically.
      net: the architecture, made of the library's own activations, costs and initializers, or of
        those that `jaxnet.register` has given a name.
      params: its parameters, all float32 or all float64.
      encoding: how the columns of a table become inputs, such as `table.encoding`, to be read by
        `jaxnet.datasets.load_encoding`; `None`, the default, for a network of arrays.

    Raises:
      ValueError: the suffix is unknown, the parameters are another network's or of another type, a
        part of the network has no name, the encoding is none, or a parameter for a .json file is
        not finite.
      OSError: the file cannot be written; one that existed is unharmed.

    >>> import tempfile
    >>> net = Network((2, 3, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/net.safetensors", net, network.init(net, jax.random.key(0)))
    ...     loaded, params = load(f"{folder}/net.safetensors")
    >>> loaded == net
    True
    """
    path = path_of("path", path)
    network.check_params(net, params)
    extra = encoding_entry(encoding, net)
    layers = tuple(layer._make(map(np.asarray, layer)) for layer in params)
    dtypes = {str(array.dtype) for layer in layers for array in layer}
    if len(dtypes) > 1 or not dtypes <= set(DTYPES):
        raise ValueError(
            f"parameters must all be of one type, {' or '.join(DTYPES)}, not {sorted(dtypes)}."
        )
    if _checked_suffix(path) == ".json":
        files.write_atomic(path, to_json(net, layers, extra))
        return
    arrays = {f"params/{name}": array for name, array in named_arrays(layers).items()}
    files.write_sealed(path, KIND, FORMAT, arrays, describe(net) | extra)


def load(path: str | Path, net: Network | None = None) -> tuple[Network, Params]:
    """Read a network from a file that `save`, of this version or of 0.2, or network2 wrote.

    Parameters have the type that they were saved in, as far as JAX's 64-bit setting allows;
    network2's, which are float64, have JAX's default float type.

    Args:
      path: the file, which ends with .json or .safetensors.
      net: the architecture, in place of that which the file describes: for a network with parts of
        your own that are not registered. Its sizes must be those of the file. `None`, the default,
        takes the file's.

    Returns:
      The architecture, and the parameters as JAX arrays.

    Raises:
      ValueError: the file is not a network, was changed or cannot be read, a part of it is neither
        the library's own nor registered, or `net` has other sizes; the message says why.

    Warns:
      UserWarning: parameters that were saved as float64 are rounded to float32.

    >>> import tempfile
    >>> net = Network((2, 3, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/net.json", net, network.init(net, jax.random.key(0)))
    ...     net, params = load(f"{folder}/net.json")
    >>> [layer.w.shape for layer in params]
    [(2, 3), (3, 1)]
    """
    path = path_of("path", path)
    kind = "a network"
    if net is not None:
        require_kind("net", net, Network, "jaxnet.Network((784, 30, 10))")
    if _checked_suffix(path) == ".json":
        net, layers = reading.read_content(path, kind, partial(from_json, net=net))
    else:
        net, layers = reading.read_file(path, kind, partial(_from_safetensors, net=net))
    saved_dtype = layers[0].w.dtype
    dtype = jax.dtypes.canonicalize_dtype(saved_dtype)
    if saved_dtype != dtype:
        warnings.warn(
            f"{path} holds float64, rounded to {dtype}: jax_enable_x64 is off.", stacklevel=2
        )
    return net, tuple(layer._make(jnp.asarray(array, dtype) for array in layer) for layer in layers)


def load_encoding(path: str | Path) -> JsonObject | None:
    """The encoding that `save` wrote into the file of a network or an ensemble, in JSON's types.

    Args:
      path: the file, which ends with .json or .safetensors.

    Returns:
      The encoding; None for a network of arrays.

    Raises:
      ValueError: the file is not a network, was changed or cannot be read.
    """
    path = path_of("path", path)
    if _checked_suffix(path) == ".json":
        return reading.read_content(path, "a network", _json_encoding)
    return reading.read_file(path, "a network", _safetensors_encoding)


def _json_encoding(content: bytes) -> JsonObject | None:
    """The encoding in the content of a .json file."""
    from_json(content)  # which checks the file's hash
    return reading.json_object(content, constants=False).get("jaxnet", {}).get("encoding")


def _safetensors_encoding(file: BinaryIO) -> JsonObject | None:
    """The encoding in a sealed file of a network or an ensemble."""
    header = files.read_sealed_header(file)
    return None if header is None else header.get("encoding")


def encoding_entry(encoding: JsonDescribed | None, net: Network) -> JsonObject:
    """What the header of a file says of an encoding, which `load_encoding` reads.

    Args:
      encoding: the encoding; None for a file without one.
      net: the network in the file.

    Raises:
      ValueError: it is no encoding, or that of a network with other inputs or outputs.
    """
    if encoding is None:
        return {}
    if not isinstance(encoding, JsonDescribed):
        raise ValueError(
            "encoding must be that of a table, such as table.encoding, or None, not "
            f"{brief(encoding)}."
        )
    encoding.check_network(net)
    return {"encoding": encoding.to_json()}


def _checked_suffix(path: Path) -> str:
    """The suffix of a network's file, if it is one of the two that exist."""
    if path.suffix not in (".json", ".safetensors"):
        raise ValueError(f"{path} must end with .json or .safetensors.")
    return path.suffix


def named_arrays(layers: Params) -> dict[str, np.ndarray]:
    """The parameters under the names layers.0.w, layers.0.b, layers.1.w, ….

    Args:
      layers: the parameters of a network.

    Returns:
      NumPy arrays by these names; `named_layers` makes parameters of them.
    """
    return {
        f"layers.{index}.{name}": np.asarray(array, order="C")
        for index, layer in enumerate(layers)
        for name, array in layer._asdict().items()
    }


def describe(net: Network) -> JsonObject:
    """The architecture in JSON's types.

    Args:
      net: the architecture, made of the library's own parts.

    Returns:
      A description, of which `described_network` makes the network again.

    Raises:
      ValueError: a part is not the library's own, so that a file cannot name it.

    >>> described_network(describe(Network((2, 3, 1)))) == Network((2, 3, 1))
    True
    """
    return {
        "sizes": list(net.sizes),
        "hidden": [part_name(hidden) for hidden in net.activations],
        "cost": part_name(net.cost),
        "init": part_name(net.init),
        "precision": net.precision,
    }


def part_name(part: Activation | Cost | Initializer) -> str | list[str | JsonObject]:
    """The description of an activation, a cost or an initializer in a file.

    Args:
      part: the part of a network.

    Returns:
      Its name, such as "relu"; or, for a class with constants, the class's name and the constants.

    Raises:
      ValueError: the part is not the library's own.

    >>> part_name(Quadratic(activations.linear))
    ['Quadratic', {'output': 'linear'}]
    """
    for registry in (activations.NAMED, initializers.NAMED):
        for name, value in registry.items():
            if value == part:
                return name
    classes = {cls: name for name, cls in _known_classes().items()}
    if type(part) not in classes:
        raise ValueError(
            f"{part!r} is not one of jaxnet's own, so a file cannot name it; give it a name by "
            "jaxnet.register first."
        )
    constants: JsonObject = {}
    for field in dataclasses.fields(part):  # pyright: ignore[reportArgumentType]
        value = getattr(part, field.name)
        constants[field.name] = part_name(value) if isinstance(value, Activation) else value
    return [classes[type(part)], constants]


def _known_classes() -> dict[str, type]:
    """The classes of parts that files name: the library's, and costs that were registered."""
    own = {name: cls for name, cls in costs.NAMED.items() if not costs.NAMED.is_built_in(cls)}
    return CLASSES | own


def _part(description: object, kinds: tuple[type[_Part], ...], known: Mapping[str, _Part]) -> _Part:
    """The part that `part_name` described; only the library's own names are ever looked up."""
    if isinstance(description, str):
        if description not in known:
            raise ValueError(
                f"its part {description!r} is not one of {sorted(known)}; register it first, by "
                f"jaxnet.register({description!r}, …)"
            )
        return known[description]
    if not isinstance(description, list) or len(description) != 2:
        raise ValueError(
            f"its part {description!r} is neither a name, such as 'sigmoid', nor a class with its "
            "constants, such as ['LeakyRelu', {'slope': 0.1}]"
        )
    class_name, constants = description
    classes = _known_classes()
    if class_name not in classes or not isinstance(constants, dict):
        raise ValueError(
            f"its part {class_name!r} is not one of {sorted(classes)}; register it first, by "
            f"jaxnet.register({class_name!r}, …)"
        )
    if not issubclass(classes[class_name], kinds):
        kind_names = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"its part {class_name!r} is not a {kind_names}")
    values = {
        name: _part(value, (Activation,), activations.NAMED) if name == "output" else value
        for name, value in constants.items()
    }
    return classes[class_name](**values)


def described_network(described: JsonObject) -> Network:
    """The network that `describe` described.

    Args:
      described: the description.

    Raises:
      ValueError: a part of it is not one of the library's own.
    """
    return Network(
        sizes=tuple(described["sizes"]),
        hidden=tuple(_part(name, (Activation,), activations.NAMED) for name in described["hidden"]),
        cost=_part(described["cost"], (Cost,), {}),
        init=_part(described["init"], INITIALIZERS, initializers.NAMED),
        precision=described["precision"],
    )


def to_json(net: Network, layers: Params, extra: JsonObject | None = None) -> bytes:
    """The content of a .json file.

    Args:
      net: the architecture.
      layers: its parameters in NumPy arrays, all float32 or all float64.
      extra: what else to write beside the description of the network; None for nothing.

    Returns:
      The JSON, of which `from_json` makes the network again.

    Raises:
      ValueError: a parameter is not finite, or a part of the network has no name.
    """
    described = {"format": JSON_FORMAT} | describe(net) | {"dtype": str(layers[0].w.dtype)}
    described |= extra or {}
    digest = files.described_sha256(described, named_arrays(layers))
    document = {
        "sizes": list(net.sizes),
        "weights": [layer.w.T.tolist() for layer in layers],
        "biases": [layer.b[:, None].tolist() for layer in layers],
        "cost": network2_cost_name(net),
        "jaxnet": described | {"sha256": digest},
    }
    numbers = [layer.activation for layer in layers if isinstance(layer, ParametricLayer)]
    if numbers:
        document["activation_parameters"] = [float(number) for number in numbers]
    try:
        return json.dumps(document, allow_nan=False).encode()
    except ValueError:
        raise ValueError(
            "a parameter is not finite, which JSON cannot say; save as .safetensors."
        ) from None


def network2_cost_name(net: Network) -> str:
    """network2's name for the cost of a network.

    Args:
      net: the architecture.

    Returns:
      A key of `NETWORK2_COSTS`; or a name that network2 refuses, if it cannot run the network.

    >>> network2_cost_name(Network((2, 3, 1)))
    'CrossEntropyCost'
    """
    for name, cost in NETWORK2_COSTS.items():
        if cost == net.cost and set(net.activations) <= {activations.sigmoid}:
            return name
    return f"jaxnet.{type(net.cost).__name__}"


def from_json(content: bytes, net: Network | None = None) -> tuple[Network, Params]:
    """The network in the content of a .json file, network2's or ours.

    Args:
      content: the bytes of the file.
      net: the architecture, in place of that which the file describes; `None`, the default, for
        that.

    Returns:
      The architecture, and the parameters as NumPy arrays of the type that they were saved in;
      network2's are in JAX's default float type.

    Raises:
      ValueError: it is not a network; the message is a bare reason.
    """
    document = reading.json_object(content, constants=False)
    described = document.get("jaxnet")
    if net is not None:
        _require_sizes(document["sizes"], net)
    if described is None:
        if net is None and document["cost"] not in NETWORK2_COSTS:
            raise ValueError(f"its cost {document['cost']!r} is not {' or '.join(NETWORK2_COSTS)}")
        if net is None:
            net = Network(tuple(document["sizes"]), cost=NETWORK2_COSTS[document["cost"]])
        layers = _json_layers(document, np.dtype(jax.dtypes.canonicalize_dtype(float)))
        network.check_params(net, layers)
        return net, layers
    net, dtype = _json_network(document, described, net)
    layers = _with_activation_parameters(document, net, _json_layers(document, dtype))
    network.check_params(net, layers)
    sealed = {key: value for key, value in described.items() if key != "sha256"}
    if files.described_sha256(sealed, named_arrays(layers)) != described["sha256"]:
        raise ValueError("its contents do not have the SHA-256 it names; it was changed")
    return net, layers


def _require_sizes(sizes: object, net: Network) -> None:
    """Refuse a network that was given for a file of other sizes."""
    if sizes != list(net.sizes):
        raise ValueError(f"its sizes are {sizes}, but those of net are {list(net.sizes)}")


def _json_network(
    document: JsonObject, described: object, given: Network | None
) -> tuple[Network, np.dtype]:
    """The network described under the key `jaxnet`, or the given one; the type of its parameters.

    network2's keys in the same document must agree with it.
    """
    if not isinstance(described, dict):
        raise ValueError("its key jaxnet is not an object")
    if described["dtype"] not in DTYPES:
        raise ValueError(f"its type {described['dtype']!r} is not one of {', '.join(DTYPES)}")
    files.check_format(described["format"], JSON_FORMAT)
    dtype = np.dtype(described["dtype"])
    if given is not None:
        return given, dtype
    net = described_network(described)
    if document["sizes"] != list(net.sizes):
        raise ValueError("its sizes occur twice, and differ")
    cost_name = network2_cost_name(net)
    if document["cost"] != cost_name:
        raise ValueError(f"its cost is {document['cost']!r} and {cost_name!r} at once")
    return net, dtype


def _json_layers(document: JsonObject, dtype: np.dtype) -> tuple[Layer, ...]:
    """The parameters in network2's keys, in this type."""
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


def _with_activation_parameters(
    document: JsonObject, net: Network, layers: tuple[Layer, ...]
) -> Params:
    """The layers with the parameters of their activations, which have a key of their own."""
    if len(layers) != len(net.sizes) - 1:
        raise ValueError(f"it has {len(layers)} weight matrices, but sizes {net.sizes}")
    has_parameter = [isinstance(activation, Parametric) for activation in net.activations]
    numbers = np.array(document.get("activation_parameters", []))
    if numbers.shape != (sum(has_parameter),) or numbers.dtype.kind not in "if":
        raise ValueError(
            f"its activation_parameters are not {sum(has_parameter)} numbers, one for each "
            "activation that has a parameter"
        )
    dtype = layers[0].w.dtype
    with np.errstate(over="ignore"):  # what overflows is refused in the next line
        numbers = numbers.astype(dtype)
    if not np.isfinite(numbers).all():
        raise ValueError(f"a parameter of an activation is not finite, in {dtype}")
    rest = iter(numbers)
    scalars = [np.asarray(next(rest)) if parametric else None for parametric in has_parameter]
    return tuple(
        layer_of(layer.w, layer.b, scalar)
        for layer, scalar in zip(layers, [*scalars, None], strict=True)
    )


def _from_safetensors(file: BinaryIO, net: Network | None) -> tuple[Network, Params]:
    """The network in a sealed file, of this version or of 0.2; or the given one, of its sizes."""
    arrays, header = files.read_sealed(file, KIND, FORMAT, older=version_0_2.read_network)
    if net is None:
        net = described_network(header)
    _require_sizes(header["sizes"], net)
    return net, named_layers(net, files.section(arrays, "params"))


def named_layers(net: Network, named: Mapping[str, np.ndarray]) -> Params:
    """The parameters of a network from arrays with the names that `named_arrays` gives.

    Args:
      net: the architecture.
      named: the arrays by their names.

    Raises:
      ValueError: the arrays are not those of this network; the message is a bare reason.
    """
    shapes = network.param_shapes(net)
    expected = {
        f"layers.{index}.{name}" for index, layer in enumerate(shapes) for name in layer._fields
    }
    if set(named) != expected:
        raise ValueError(f"it holds the tensors {sorted(named)} instead of {sorted(expected)}")
    if not {str(array.dtype) for array in named.values()} <= set(DTYPES):
        raise ValueError(f"its parameters are not of type {' or '.join(DTYPES)}")
    layers = tuple(
        layer._make(named[f"layers.{index}.{name}"] for name in layer._fields)
        for index, layer in enumerate(shapes)
    )
    network.check_params(net, layers)
    return layers
