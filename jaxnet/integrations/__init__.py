"""Other tools: networks for PyTorch, Keras, ONNX and scikit-learn, trials of Optuna, trackers.

There is a module for each tool, which imports it where it is used. `exported_layers` says what
exported networks have in common: the layers as arrays of NumPy, with an activation after each.
`tracking` says what MLflow, W&B and TensorBoard have in common, and `callbacks` makes them.
"""

from jaxnet.integrations import callbacks
from jaxnet.integrations._track import track
from jaxnet.integrations.keras import to_keras
from jaxnet.integrations.onnx_files import to_onnx
from jaxnet.integrations.pytorch import TorchNetwork, to_torch
from jaxnet.integrations.scikit_learn import from_sklearn, to_sklearn
from jaxnet.integrations.tracking import Tracker

__all__ = [
    "TorchNetwork",
    "Tracker",
    "callbacks",
    "from_sklearn",
    "to_keras",
    "to_onnx",
    "to_sklearn",
    "to_torch",
    "track",
]
