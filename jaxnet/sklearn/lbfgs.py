"""The solver "lbfgs": SciPy's L-BFGS-B on all examples together."""

import warnings
from collections.abc import Sequence

import jax
import numpy as np
from scipy import optimize
from sklearn.exceptions import ConvergenceWarning

from jaxnet.core.network import Network
from jaxnet.core.types import Params
from jaxnet.sklearn.mapping import recipe_of
from jaxnet.sklearn.parameters import Parameters
from jaxnet.sklearn.programs import cost_and_gradient, room
from jaxnet.sklearn.training import Examples, Networks, loss_of, on_device


def minimize(
    parameters: Parameters, net: Network, examples: Examples, networks: Networks
) -> list[float]:
    """Minimize the penalized cost of each network of an estimator, which are changed in place.

    With several targets the squared error is searched as the sum over them, of which the gradient
    is; scikit-learn searches its mean with the gradient of the sum, which has the same minima.

    Args:
      parameters: the estimator.
      net: their architecture.
      examples: what to train on.
      networks: the networks.

    Returns:
      Each network's loss at the end.

    Warns:
      ConvergenceWarning: SciPy stopped before the gradient was below `tol`.
    """
    recipe = recipe_of(parameters)
    data = on_device(examples, room(len(examples.x), 64))
    losses, minima = [], []
    for index, progress in enumerate(networks.progress):
        initial = networks.member(index)

        def cost(flat: np.ndarray, like: Params = initial) -> tuple[float, np.ndarray]:
            params = unflatten(flat, like)
            costs, grads = cost_and_gradient(net, data, recipe, params)
            return float(np.sum(costs, dtype=float)), flatten(grads)

        options = {
            "maxfun": parameters.max_fun, "maxiter": parameters.max_iter, "gtol": parameters.tol,
        }  # fmt: skip
        result = optimize.minimize(
            cost, flatten(initial), method="L-BFGS-B", jac=True, options=options
        )
        if result.status != 0:
            warnings.warn(
                f"lbfgs stopped before it converged ({result.message}); raise max_iter="
                f"{parameters.max_iter} or max_fun={parameters.max_fun}, or scale the data.",
                ConvergenceWarning,
                stacklevel=4,
            )
        progress.n_iter = min(result.nit, parameters.max_iter)
        minima.append(unflatten(result.x, initial))
        costs, _ = cost_and_gradient(net, data, recipe, minima[-1])
        losses.append(loss_of(net, *np.asarray(costs, float)))
        if parameters.verbose:
            print(f"lbfgs: loss = {losses[-1]:.8f} after {progress.n_iter} iterations")
    networks.params = jax.tree.map(lambda *arrays: np.stack(arrays), *minima)
    return losses


def flatten(params: Params) -> np.ndarray:
    """All parameters of a network in one vector.

    Args:
      params: the parameters.
    """
    leaves: Sequence[np.ndarray] = jax.tree.leaves(params)
    return np.concatenate([np.ravel(leaf) for leaf in leaves]).astype(float)


def unflatten(flat: np.ndarray, like: Params) -> Params:
    """The parameters in a vector.

    Args:
      flat: what `flatten` returns.
      like: parameters of the same shapes.
    """
    leaves, structure = jax.tree.flatten(like)
    ends = np.cumsum([leaf.size for leaf in leaves])
    arrays = [
        np.asarray(flat[end - leaf.size : end].reshape(leaf.shape), leaf.dtype)
        for leaf, end in zip(leaves, ends, strict=True)
    ]
    return jax.tree.unflatten(structure, arrays)
