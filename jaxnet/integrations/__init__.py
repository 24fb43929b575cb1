"""Networks for other tools, and theirs for jaxnet: PyTorch, Keras, ONNX, scikit-learn.

There is a module for each tool, which imports it where it is used. `exported_layers` says what they
have in common: the layers of a network as arrays of NumPy, with an activation after each.
"""

from jaxnet.integrations.keras import to_keras
from jaxnet.integrations.onnx_files import to_onnx
from jaxnet.integrations.pytorch import TorchNetwork, to_torch
from jaxnet.integrations.scikit_learn import from_sklearn, to_sklearn

__all__ = ["TorchNetwork", "from_sklearn", "to_keras", "to_onnx", "to_sklearn", "to_torch"]
