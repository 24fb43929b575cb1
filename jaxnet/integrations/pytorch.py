"""Networks for PyTorch: a plain `torch.nn.Sequential` and its state dict."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxnet.core.network import Network
from jaxnet.core.types import Params
from jaxnet.integrations.exported_layers import ExportedLayer, exported_layers

if TYPE_CHECKING:
    from torch import nn  # pyright: ignore[reportMissingImports]


class ModuleCall(NamedTuple):
    """The call of a class of `torch.nn`, such as Linear(784, 30).

    Attributes:
      name: the name of the class.
      arguments: its positional arguments.
      keywords: its keyword arguments.

    >>> ModuleCall("Softmax", (), {"dim": -1}).source
    'nn.Softmax(dim=-1)'
    """

    name: str
    arguments: tuple[float, ...] = ()
    keywords: dict[str, float] = {}  # noqa: RUF012 (nobody writes into it)

    @property
    def source(self) -> str:
        """The call in Python."""
        arguments = [*map(repr, self.arguments)]
        arguments += [f"{name}={value!r}" for name, value in self.keywords.items()]
        return f"nn.{self.name}({', '.join(arguments)})"


_ACTIVATIONS: dict[str, Callable[[ExportedLayer], ModuleCall]] = {
    "sigmoid": lambda layer: ModuleCall("Sigmoid"),
    "tanh": lambda layer: ModuleCall("Tanh"),
    "relu": lambda layer: ModuleCall("ReLU"),
    "leaky_relu": lambda layer: ModuleCall("LeakyReLU", (layer.constant("slope"),)),
    "elu": lambda layer: ModuleCall("ELU", (layer.constant("alpha"),)),
    # Below the threshold it computes ln(1+eᶻ), above it z: at 40 the two are equal in float64.
    "softplus": lambda layer: ModuleCall("Softplus", keywords={"threshold": 40}),
    "gelu": lambda layer: ModuleCall("GELU"),
    "silu": lambda layer: ModuleCall("SiLU"),
    "linear": lambda layer: ModuleCall("Identity"),
    "softmax": lambda layer: ModuleCall("Softmax", keywords={"dim": -1}),
    "prelu": lambda layer: ModuleCall("PReLU"),
}
"""The modules of PyTorch that compute activations, by their names in jaxnet."""


@dataclass(frozen=True, eq=False)
class TorchNetwork:
    """A trained network for PyTorch: the source of a `torch.nn.Sequential`, and its state dict.

    Only `module` needs PyTorch. Source and arrays can be carried to where it is, without pickle:
    `safetensors.numpy.save_file(network.state_dict, path)` here, and
    `module.load_state_dict(safetensors.torch.load_file(path))` there.

    Attributes:
      modules: the modules of the `Sequential`, in order.
      state_dict: its parameters, arrays by PyTorch's names: "0.weight" of shape (n_out, n_in),
        "0.bias" and so on.

    >>> from jaxnet.core.network import zero_params
    >>> net = Network((2, 3, 1))
    >>> {name: array.shape for name, array in to_torch(net, zero_params(net)).state_dict.items()}
    {'0.weight': (3, 2), '0.bias': (3,), '2.weight': (1, 3), '2.bias': (1,)}
    """

    modules: tuple[ModuleCall, ...]
    state_dict: dict[str, np.ndarray]

    @property
    def source(self) -> str:
        """The program in Python that makes the module, with parameters that PyTorch draws.

        >>> from jaxnet.core.network import zero_params
        >>> net = Network((2, 3, 1))
        >>> print(to_torch(net, zero_params(net)).source)
        from torch import nn
        <BLANKLINE>
        module = nn.Sequential(
            nn.Linear(2, 3),
            nn.Sigmoid(),
            nn.Linear(3, 1),
            nn.Sigmoid(),
        )
        <BLANKLINE>
        """
        calls = "".join(f"    {call.source},\n" for call in self.modules)
        double = ".double()" if self._is_double else ""
        return f"from torch import nn\n\nmodule = nn.Sequential(\n{calls}){double}\n"

    def module(self) -> "nn.Sequential":
        """The network as a module of PyTorch, with its parameters, which are copies.

        Returns:
          The `torch.nn.Sequential` of `source`, on the CPU, in the type of the parameters.

        Raises:
          ModuleNotFoundError: PyTorch is not installed.
        """
        try:
            import torch  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "a module of PyTorch needs torch: pip install 'jaxnet-mlp[torch]'."
            ) from None
        calls = [
            getattr(torch.nn, call.name)(*call.arguments, **call.keywords) for call in self.modules
        ]
        module = torch.nn.Sequential(*calls)
        module = module.double() if self._is_double else module
        module.load_state_dict({name: torch.tensor(a) for name, a in self.state_dict.items()})
        return module

    def __repr__(self) -> str:
        return f"TorchNetwork({', '.join(call.source for call in self.modules)})"

    @property
    def _is_double(self) -> bool:
        """Whether the parameters are float64, which is not PyTorch's default."""
        return any(array.dtype == np.float64 for array in self.state_dict.values())


def to_torch(net: Network, params: Params) -> TorchNetwork:
    """A trained network for PyTorch.

    The outputs are those of `jaxnet.predict`, for inputs as floats: divide pixels by 255. Softmax
    with a temperature T is one without, after weights and biases divided by T.

    Args:
      net: the architecture, with activations that PyTorch has modules for: all of
        `jaxnet.activations` but exponential and snake.
      params: its parameters.

    Returns:
      The network: `module()` is a `torch.nn.Sequential`, `state_dict` has its parameters and
      `source` its program.

    Raises:
      ValueError: the parameters are not the network's, or an activation has no module in PyTorch.

    >>> from jaxnet.core.network import zero_params
    >>> net = Network((2, 3, 1))
    >>> to_torch(net, zero_params(net))
    TorchNetwork(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1), nn.Sigmoid())
    """
    modules: list[ModuleCall] = []
    state_dict: dict[str, np.ndarray] = {}
    for layer in exported_layers(net, params, "PyTorch", _ACTIVATIONS):
        state_dict[f"{len(modules)}.weight"] = np.ascontiguousarray(layer.w.T)
        state_dict[f"{len(modules)}.bias"] = layer.b
        modules.append(ModuleCall("Linear", layer.w.shape))
        if layer.name == "prelu":
            state_dict[f"{len(modules)}.weight"] = np.array([layer.parameter], layer.w.dtype)
        modules.append(_ACTIVATIONS[layer.name](layer))
    return TorchNetwork(tuple(modules), state_dict)
