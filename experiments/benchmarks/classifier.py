"""A fit of scikit-learn's classifier, in a module of its own: its processes need no JAX."""

import warnings

import numpy as np


def fit(
    train: tuple[np.ndarray, np.ndarray],
    valid: tuple[np.ndarray, np.ndarray],
    hidden: tuple[int, ...],
    batch_size: int,
    epochs: int,
    rate: float,
    seed: int,
) -> float:
    """The validation accuracy after a number of epochs of Adam, without regularization."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        hidden, alpha=0.0, learning_rate_init=rate, max_iter=epochs, random_state=seed,
        batch_size=batch_size, tol=0.0, n_iter_no_change=10**6,  # pyright: ignore
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        model.fit(*train)
    return float(model.score(*valid))
