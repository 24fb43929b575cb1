"""Networks and ensembles as files of ONNX, which many runtimes and languages read."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxnet.core.activations import LARGEST_EXPONENT
from jaxnet.core.arguments import brief, path_of
from jaxnet.core.network import Network
from jaxnet.core.types import Params
from jaxnet.integrations.exported_layers import ExportedLayer, exported_layers
from jaxnet.io import files
from jaxnet.sweeps.ensemble import Ensemble, Member

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto  # pyright: ignore[reportMissingImports]

OPSET, IR_VERSION = 17, 8
"""The versions of ONNX's operators and of its format: those of 2022."""
MOST_BYTES = 2**31 - 2**20
"""The largest file of Protocol Buffers, less what is no weight."""


class _Graph:
    """The nodes of a graph, and the arrays that they read."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.arrays: dict[str, np.ndarray] = {}
        self.prefix = ""

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: float) -> str:
        """Add a node, and return the name of its output."""
        from onnx import helper  # pyright: ignore[reportMissingImports]

        output = output or f"{self.prefix}{operator.lower()}_{len(self.nodes)}"
        node = helper.make_node(operator, list(inputs), [output])
        node.attribute.extend(helper.make_attribute(*pair) for pair in attributes.items())
        self.nodes.append(node)
        return output

    def array(self, name: str, values: object) -> str:
        """Add an array, and return its name."""
        name = f"{self.prefix}{name}"
        self.arrays[name] = np.asarray(values, np.float32)
        return name

    def number(self, value: float) -> str:
        """Add a number, and return its name."""
        return self.array(f"number_{len(self.nodes)}_{len(self.arrays)}", value)


def _gelu(graph: _Graph, z: str, layer: ExportedLayer) -> str:
    """½z(1 + erf(z/√2)): ONNX has Gelu itself only since version 20."""
    erf = graph.node("Erf", graph.node("Mul", z, graph.number(1 / math.sqrt(2))))
    half = graph.node("Mul", z, graph.number(0.5))
    return graph.node("Mul", half, graph.node("Add", erf, graph.number(1)))


def _exponential(graph: _Graph, z: str, layer: ExportedLayer) -> str:
    """e^min(z, 40)."""
    return graph.node("Exp", graph.node("Min", z, graph.number(LARGEST_EXPONENT)))


def _prelu(graph: _Graph, z: str, layer: ExportedLayer) -> str:
    """z where z > 0, p·z elsewhere."""
    return graph.node("PRelu", z, graph.array(f"slope_{len(graph.nodes)}", [layer.parameter]))


def _snake(graph: _Graph, z: str, layer: ExportedLayer) -> str:
    """z + sin²(pz)/p, which is z for p = 0."""
    if not layer.parameter:
        return z
    p = graph.number(layer.parameter)
    sine = graph.node("Sin", graph.node("Mul", z, p))
    return graph.node("Add", z, graph.node("Div", graph.node("Mul", sine, sine), p))


_ACTIVATIONS: dict[str, Callable[[_Graph, str, ExportedLayer], str]] = {
    "sigmoid": lambda graph, z, layer: graph.node("Sigmoid", z),
    "tanh": lambda graph, z, layer: graph.node("Tanh", z),
    "relu": lambda graph, z, layer: graph.node("Relu", z),
    "leaky_relu": lambda graph, z, layer: graph.node("LeakyRelu", z, alpha=layer.constant("slope")),
    "elu": lambda graph, z, layer: graph.node("Elu", z, alpha=layer.constant("alpha")),
    "softplus": lambda graph, z, layer: graph.node("Softplus", z),
    "exponential": _exponential,
    "gelu": _gelu,
    "silu": lambda graph, z, layer: graph.node("Mul", z, graph.node("Sigmoid", z)),
    "linear": lambda graph, z, layer: z,
    "softmax": lambda graph, z, layer: graph.node("Softmax", z, axis=-1),
    "prelu": _prelu,
    "snake": _snake,
}
"""What computes an activation, by its name in jaxnet: graph, name of z, layer ↦ name of a."""


def to_onnx(path: str | Path, net: Network | Ensemble, params: Params | None = None) -> None:
    """Write a trained network, or an ensemble, to an ONNX file.

    The graph has one input, "x" of shape (n, n_in), and one output, "y" of shape (n, n_out), in
    float32. The outputs are those of `jaxnet.predict`, for inputs as floats: divide pixels by 255.
    An ensemble's outputs are the mean of its members', as `Ensemble.predict` returns them.

    Args:
      path: the file, which ends with .onnx; one that exists is replaced.
      net: the architecture, with any of `jaxnet.activations`; or an ensemble.
      params: the network's parameters, which are stored in float32; `None`, the default, for an
        ensemble, which has its own.

    Raises:
      ValueError: the suffix is another one, the parameters are not the network's, an activation is
        not jaxnet's own, or the file would be larger than 2 GB.
      ModuleNotFoundError: onnx is not installed.
      OSError: the file cannot be written; one that existed is unharmed.

    >>> from jaxnet.core.network import zero_params
    >>> net = Network((2, 3, 1))
    >>> to_onnx("network.txt", net, zero_params(net))
    Traceback (most recent call last):
    ValueError: path must end with .onnx, not network.txt.
    """
    checked_path = path_of("path", path)
    if checked_path.suffix != ".onnx":
        raise ValueError(f"path must end with .onnx, not {checked_path}.")
    members = _members(net, params)
    layers = [
        exported_layers(member.network, member.params, "ONNX", _ACTIVATIONS) for member in members
    ]
    n_bytes = sum(4 * member.network.n_params for member in members)
    if n_bytes > MOST_BYTES:
        raise ValueError(
            f"net has {n_bytes:,} bytes of weights, but an ONNX file holds {MOST_BYTES:,} at most; "
            "export fewer members, or a smaller network."
        )
    try:
        import onnx  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise ModuleNotFoundError("to_onnx needs onnx: pip install 'jaxnet-mlp[onnx]'.") from None
    files.write_atomic(checked_path, _model(members, layers).SerializeToString())


def _members(net: Network | Ensemble, params: Params | None) -> tuple[Member, ...]:
    """The networks to export: those of an ensemble, or a single one."""
    if isinstance(net, Ensemble):
        if params is not None:
            raise ValueError(
                f"params must be None for an ensemble, which has its own, not {brief(params)}."
            )
        return net.members
    if not isinstance(net, Network):
        raise ValueError(
            "net must be a Network such as jaxnet.Network((784, 30, 10)), or an Ensemble, not "
            f"{brief(net)}."
        )
    return (Member(net, () if params is None else params),)


def _model(members: tuple[Member, ...], layers: list[list[ExportedLayer]]) -> "ModelProto":
    """The model of networks whose outputs are averaged."""
    from onnx import TensorProto, checker, helper, numpy_helper  # pyright: ignore[reportMissingImports]

    graph = _Graph()
    outputs = []
    for index, (member, own_layers) in enumerate(zip(members, layers, strict=True)):
        graph.prefix = f"member_{index}_" if len(layers) > 1 else ""
        outputs.append(_add_network(graph, member, own_layers))
    # The mean of one network's outputs is these outputs.
    graph.node("Mean" if len(outputs) > 1 else "Identity", *outputs, output="y")
    sizes = members[0].network.sizes
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in (("x", sizes[0]), ("y", sizes[-1]))
    )
    arrays = [numpy_helper.from_array(array, name) for name, array in graph.arrays.items()]
    proto = helper.make_graph(graph.nodes, "jaxnet", [x], [y], arrays)
    versions = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(proto, opset_imports=versions, ir_version=IR_VERSION)
    model.producer_name = "jaxnet"
    checker.check_model(model)
    return model


def _add_network(graph: _Graph, member: Member, layers: list[ExportedLayer]) -> str:
    """Add a network to a graph, and return the name of its outputs."""
    a = "x"
    if member.shift is not None:
        a = graph.node("Sub", a, graph.array("shift", member.shift))
    if member.scale is not None:
        a = graph.node("Mul", a, graph.array("scale", member.scale))
    for index, layer in enumerate(layers):
        w, b = graph.array(f"w_{index}", layer.w), graph.array(f"b_{index}", layer.b)
        a = _ACTIVATIONS[layer.name](graph, graph.node("Gemm", a, w, b), layer)
    return a
