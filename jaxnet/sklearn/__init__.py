"""Estimators with scikit-learn's parameters, attributes and rules, and networks of jaxnet inside.

The extra `sklearn` installs scikit-learn, which nothing else in `import jaxnet` needs.
"""

import importlib.util

if importlib.util.find_spec("sklearn") is None:
    raise ModuleNotFoundError(
        "jaxnet.sklearn needs scikit-learn: pip install 'jaxnet-mlp[sklearn]'.", name="sklearn"
    )

from jaxnet.sklearn.estimators import MLPClassifier, MLPRegressor
from jaxnet.sklearn.search import SweepSearchCV

__all__ = ["MLPClassifier", "MLPRegressor", "SweepSearchCV"]
