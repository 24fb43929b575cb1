"""The parameters that both estimators have."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, get_args

import numpy as np

from jaxnet.core.arguments import brief, require_choice
from jaxnet.core.dtypes import FloatType
from jaxnet.core.hyperparameters import count, flag, leaf
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.training.measured import measured
from jaxnet.training.metrics import MetricFunction

ActivationName = Literal["identity", "logistic", "tanh", "relu"]
"""Scikit-learn's names of the hidden layers' activations."""
ScheduleName = Literal["constant", "invscaling", "adaptive"]
"""Scikit-learn's names of how the learning rate changes."""
SOLVERS = ("lbfgs", "sgd", "adam")
"""Scikit-learn's solvers."""


@dataclass(eq=False, repr=False)
class Parameters:
    """The parameters of an estimator, which `MLPClassifier` describes.

    Scikit-learn reads their names from the signature of `__init__`.
    """

    hidden_layer_sizes: Any = (100,)
    activation: ActivationName = "relu"
    _: KW_ONLY
    solver: str | Optimizer = "adam"
    alpha: float = 0.0001
    batch_size: int | Literal["auto"] = "auto"
    learning_rate: ScheduleName = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: int | np.random.RandomState | None = None
    tol: float = 1e-4
    verbose: bool | int = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000
    l1: float = 0.0
    dropout: float = 0.0
    n_members: int = 1
    metrics: Mapping[str, MetricFunction] | None = None
    dtype: FloatType | None = None
    device: str | None = None


def check_parameters(parameters: Parameters) -> None:
    """Refuse parameters that are out of their range, but for those that a recipe checks itself.

    Args:
      parameters: the estimator.

    Raises:
      ValueError: one of them is; the message says which, and what it may be.
    """
    require_choice("activation", parameters.activation, get_args(ActivationName))
    require_choice("learning_rate", parameters.learning_rate, get_args(ScheduleName))
    if parameters.batch_size != "auto":
        if isinstance(parameters.batch_size, str):
            raise ValueError(
                f'batch_size must be "auto" or a whole number, not {brief(parameters.batch_size)}.'
            )
        count("batch_size", parameters.batch_size, low=1)
    for name in ("max_iter", "max_fun", "n_members"):
        count(name, getattr(parameters, name), low=1)
    if parameters.n_iter_no_change != np.inf:
        count("n_iter_no_change", parameters.n_iter_no_change, low=1)
    for name in ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping"):
        flag(name, getattr(parameters, name))
    if not isinstance(parameters.verbose, (bool, np.bool_)):
        count("verbose", parameters.verbose, low=0)
    for name, high in (("power_t", np.inf), ("tol", np.inf), ("validation_fraction", 1)):
        leaf(name, getattr(parameters, name), high=high)
    if parameters.metrics:
        measured(("validation",), parameters.metrics)
        if not parameters.early_stopping:
            raise ValueError(
                "metrics are measured on validation examples, which early_stopping=True sets "
                "apart; set it, or leave metrics out."
            )
        if parameters.solver == "lbfgs":
            raise ValueError(
                'metrics are measured after each epoch, which solver="lbfgs" does not have; take '
                'solver="adam".'
            )
    if parameters.dtype is not None:
        require_choice("dtype", parameters.dtype, get_args(FloatType))
    if parameters.device is not None and not isinstance(parameters.device, str):
        raise ValueError(
            'device must be the name of a platform of JAX, such as "cpu" or "gpu", or None, not '
            f"{brief(parameters.device)}."
        )
    is_known = isinstance(parameters.solver, str) and parameters.solver in SOLVERS
    if parameters.learning_rate != "constant" and not is_known:
        raise ValueError(
            f'learning_rate="{parameters.learning_rate}" is for solver="sgd", not for '
            f'{brief(parameters.solver)}; leave it at "constant".'
        )
    if parameters.solver == "lbfgs" and (parameters.l1 or parameters.dropout):
        raise ValueError(
            'solver="lbfgs" is for smooth costs, without l1 and dropout; leave them at 0, or take '
            'solver="adam".'
        )
