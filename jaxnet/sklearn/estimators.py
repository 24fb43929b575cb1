"""`MLPClassifier` and `MLPRegressor`."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import Tags, column_or_1d, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from jaxnet.core.arguments import brief, require_choice
from jaxnet.sklearn.base import MultilayerPerceptron, has_epochs
from jaxnet.sklearn.training import Examples


@dataclass(eq=False, repr=False)
class MLPClassifier(ClassifierMixin, MultilayerPerceptron):
    """A classifier with scikit-learn's interface: its `MLPClassifier`, trained by jaxnet.

    With the same `random_state` the weights are those of scikit-learn's estimator, up to rounding.

    Args:
      hidden_layer_sizes: the widths of the hidden layers, or the width of a single one.
      activation: that of the hidden layers: "relu", "logistic", "tanh" or "identity".
      solver: "adam", "sgd" (with momentum) or "lbfgs", as scikit-learn has them; the name of one of
        jaxnet's other optimizers, such as "adamw", with `learning_rate_init`; or an `Optimizer`
        such as `jaxnet.adamw(1e-3, weight_decay=0.1)`, with its own numbers.
      alpha: α ≥ 0 of the penalty ½αΣw², divided by the sum of the mini-batch's weights.
      batch_size: examples per mini-batch; "auto" for min(200, n).
      learning_rate: with "sgd" alone: "constant"; "invscaling", η/t^`power_t` after t examples; or
        "adaptive", which divides η by 5 at each standstill.
      learning_rate_init: η > 0.
      power_t: the exponent of "invscaling", at least 0.
      max_iter: the most epochs, or iterations of "lbfgs", at least 1.
      shuffle: whether each epoch has a random order.
      random_state: a seed, or a `numpy.random.RandomState`, of initial weights, orders and the
        validation split; `None` for a random one.
      tol: what counts as progress: a loss lower, or a validation score higher, by this much.
      verbose: whether to print each epoch's loss.
      warm_start: whether `fit` goes on with the weights of the last call.
      momentum: μ in [0, 1) of "sgd".
      nesterovs_momentum: whether it is Nesterov's.
      early_stopping: whether to stop by the score of validation examples, taken from the training
        ones, and to keep the best epoch's weights.
      validation_fraction: the share of these examples, in [0, 1).
      beta_1: β₁ in [0, 1) of "adam".
      beta_2: β₂ in [0, 1) of "adam".
      epsilon: ε ≥ 0 of "adam", added to √v before the correction for its start.
      n_iter_no_change: the most epochs without progress, at least 1, or infinity.
      max_fun: the most evaluations of "lbfgs", at least 1.
      l1: λ ≥ 0 of the penalty λΣ|w|, divided as that of `alpha`.
      dropout: the probability, in [0, 1), with which a hidden unit is dropped for an example.
      n_members: how many networks to train together, with other initial weights and orders;
        predictions are the means of their outputs. `coefs_` and `intercepts_` then have an axis for
        the members in front, and curves are means over them.
      metrics: what to measure on the validation examples of `early_stopping` after each epoch, by
        name, as in `{"auc": jaxnet.metrics.roc_auc}`: metrics, or functions of outputs, targets and
        weights that are written with `jax.numpy`; `None` for nothing.
      dtype: "float32" or "float64", to compute in; `None` for that of `X`.
      device: the platform to compute on, such as "cpu" or "gpu"; `None` for JAX's default.
      class_weight: "balanced", or a weight for each class by its label, which multiply the
        examples' weights; `None` for 1.

    Attributes:
      classes_: the labels.
      coefs_: the weights of each layer, (n_in, n_out).
      intercepts_: the biases of each layer, (n_out,).
      loss_: the loss at the end: of an epoch, the mean of the penalized losses of its mini-batches.
      loss_curve_: this loss after each epoch.
      best_loss_: the lowest of them; `None` with early stopping.
      validation_scores_: the accuracy on the validation examples after each epoch; `None` without.
      validation_loss_curve_: the mean cost of the validation examples, without penalties.
      validation_metrics_: for each of `metrics` its values after each epoch.
      best_validation_score_: the best score; `None` without early stopping.
      n_iter_: the epochs of the last call.
      t_: the examples seen in all calls.
      n_features_in_: the number of features.
      feature_names_in_: their names, where `X` has some.
      n_layers_: the number of layers, that of the inputs included.
      n_outputs_: the number of outputs.
      out_activation_: that of the output layer: "softmax", or "logistic" for two classes or several
        labels.

    >>> from sklearn.datasets import load_iris
    >>> x, y = load_iris(return_X_y=True)
    >>> classifier = MLPClassifier((16,), learning_rate_init=0.05, tol=0.01, random_state=0)
    >>> classifier.fit((x - x.mean(0)) / x.std(0), y).score((x - x.mean(0)) / x.std(0), y) > 0.95
    True
    """

    _: KW_ONLY
    class_weight: Any = None

    def __sklearn_tags__(self) -> Tags:
        """What scikit-learn may expect of the classifier."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "MLPClassifier":
        """Train on these examples, from new initial weights unless `warm_start` is set.

        Args:
          X: the inputs, (n, n_features): an array, a DataFrame or a sparse matrix.
          y: the labels, (n,), or a matrix of 0 and 1 for several labels, (n, n_labels).
          sample_weight: how much each example counts, (n,), numbers of at least 0.

        Returns:
          The estimator.

        Raises:
          ValueError: a parameter, the data or the weights cannot be used.
        """
        self._fit(X, y, sample_weight, is_partial=False)
        return self

    @available_if(has_epochs)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> "MLPClassifier":
        """Train an epoch on these examples, with the weights and the optimizer of earlier calls.

        Args:
          X: the inputs, (n, n_features).
          y: their labels.
          sample_weight: how much each example counts.
          classes: all labels that later calls may bring; needed in the first call.

        Returns:
          The estimator.

        Raises:
          ValueError: the data do not go with those of the first call, or a parameter cannot be
            used.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                'class_weight="balanced" needs all examples, which partial_fit does not have; give '
                "a weight for each class."
            )
        self._note_classes(y, classes)
        self._fit(X, y, sample_weight, is_partial=True)
        return self

    def _note_classes(self, y: Any, classes: Any) -> None:
        known = getattr(self, "classes_", None)
        if known is not None:
            if classes is not None and not np.array_equal(known, unique_labels(classes)):
                raise ValueError(
                    f"classes must be those of the first call, {brief(known)}, not "
                    f"{brief(classes)}; leave them out."
                )
            return
        if classes is None:
            raise ValueError("classes must be passed in the first call of partial_fit.")
        is_multi_label = type_of_target(y).startswith("multilabel")
        self._labels = LabelBinarizer().fit(y if is_multi_label else classes)
        self.classes_ = self._labels.classes_

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each example.

        Args:
          X: the inputs, (n, n_features).

        Returns:
          The labels, (n,), or a matrix of 0 and 1 for several labels.
        """
        return self._nearest_labels(self._outputs(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, for each example.

        Args:
          X: the inputs, (n, n_features).

        Returns:
          The probabilities, (n, n_classes), in the order of `classes_`.
        """
        outputs = self._outputs(X)
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of the probability of each class, for each example.

        Args:
          X: the inputs, (n, n_features).

        Returns:
          The logarithms, (n, n_classes); −∞ where a probability is 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _nearest_labels(self, outputs: np.ndarray) -> np.ndarray:
        """The label that each row of outputs stands for."""
        rows = outputs.ravel() if outputs.shape[1] == 1 else outputs
        return np.asarray(self._labels.inverse_transform(rows))

    @property
    def _kind(self) -> str:
        if not hasattr(self, "_labels"):
            return "binary"
        return "multiclass" if self._labels.y_type_ == "multiclass" else "binary"

    def _targets(
        self, x: np.ndarray, y: Any, weight: np.ndarray | None, is_partial: bool
    ) -> Examples:
        y = y.toarray() if sparse.issparse(y) else y
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or is_partial):
            self._labels = LabelBinarizer().fit(y)
            self.classes_ = self._labels.classes_
        else:
            self._check_classes(unique_labels(y), is_partial)
        if self.class_weight is not None:
            if self.class_weight != "balanced" and not isinstance(self.class_weight, Mapping):
                raise ValueError(
                    'class_weight must be "balanced", or a weight for each class such as '
                    f"{{0: 1.0, 1: 5.0}}, or None, not {brief(self.class_weight)}."
                )
            factors = compute_sample_weight(self.class_weight, y)
            weight = factors if weight is None else weight * factors
        targets = np.asarray(self._labels.transform(y), x.dtype)
        return Examples(x, targets, weight, stratify=targets.shape[1] == 1)

    def _check_classes(self, classes: np.ndarray, is_partial: bool) -> None:
        """Refuse labels that the network has no output for."""
        is_same = set(classes) == set(self.classes_)
        if self.warm_start and not is_partial and not is_same:
            raise ValueError(
                f"warm_start goes on with the classes {brief(self.classes_)}, but y has "
                f"{brief(classes)}; fit with warm_start=False."
            )
        if set(classes) - set(self.classes_):
            raise ValueError(
                f"y has the classes {brief(classes)}, but the first call had "
                f"{brief(self.classes_)}; pass all classes to the first partial_fit."
            )

    def _score(self, outputs: np.ndarray, ys: np.ndarray, weights: np.ndarray | None) -> float:
        if not np.isfinite(outputs).all():
            return np.nan
        labels = self._labels.inverse_transform(ys)
        return accuracy_score(labels, self._nearest_labels(outputs), sample_weight=weights)

    def _metric_targets(self, ys: np.ndarray) -> np.ndarray:
        if self._labels.y_type_.startswith("multilabel"):
            return ys.astype(int)
        return ys.argmax(axis=1) if ys.shape[1] > 1 else ys[:, 0].astype(int)


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, MultilayerPerceptron):
    """A regressor with scikit-learn's interface: its `MLPRegressor`, trained by jaxnet.

    With the same `random_state` the weights are those of scikit-learn's estimator, up to rounding.
    `MLPClassifier` describes parameters and attributes: `validation_scores_` are R² here, and
    `out_activation_` is "identity" or "exp".

    Args:
      hidden_layer_sizes: as in `MLPClassifier`.
      activation: as there.
      solver: as there.
      alpha: as there.
      batch_size: as there.
      learning_rate: as there.
      learning_rate_init: as there.
      power_t: as there.
      max_iter: as there.
      shuffle: as there.
      random_state: as there.
      tol: as there.
      verbose: as there.
      warm_start: as there.
      momentum: as there.
      nesterovs_momentum: as there.
      early_stopping: as there.
      validation_fraction: as there.
      beta_1: as there.
      beta_2: as there.
      epsilon: as there.
      n_iter_no_change: as there.
      max_fun: as there.
      l1: as there.
      dropout: as there.
      n_members: as there.
      metrics: as there.
      dtype: as there.
      device: as there.
      loss: "squared_error", half the squared error; or "poisson", half the Poisson deviance, for
        targets of at least 0, with predictions eᶻ.

    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> regressor = MLPRegressor((16,), solver="lbfgs", random_state=0)
    >>> regressor.fit(x, np.sin(3 * x[:, 0])).score(x, np.sin(3 * x[:, 0])) > 0.99
    True
    """

    _: KW_ONLY
    loss: Literal["squared_error", "poisson"] = "squared_error"

    def __sklearn_tags__(self) -> Tags:
        """What scikit-learn may expect of the regressor."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "MLPRegressor":
        """Train on these examples, from new initial weights unless `warm_start` is set.

        Args:
          X: the inputs, (n, n_features): an array, a DataFrame or a sparse matrix.
          y: the targets, (n,) or (n, n_outputs).
          sample_weight: how much each example counts, (n,), numbers of at least 0.

        Returns:
          The estimator.

        Raises:
          ValueError: a parameter, the data or the weights cannot be used.
        """
        self._fit(X, y, sample_weight, is_partial=False)
        return self

    @available_if(has_epochs)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "MLPRegressor":
        """Train an epoch on these examples, with the weights and the optimizer of earlier calls.

        Args:
          X: the inputs, (n, n_features).
          y: their targets.
          sample_weight: how much each example counts.

        Returns:
          The estimator.

        Raises:
          ValueError: the data do not go with those of the first call, or a parameter cannot be
            used.
        """
        self._fit(X, y, sample_weight, is_partial=True)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The prediction for each example.

        Args:
          X: the inputs, (n, n_features).

        Returns:
          The predictions, (n,), or (n, n_outputs) for several targets.
        """
        outputs = self._outputs(X)
        return outputs.ravel() if self.n_outputs_ == 1 else outputs

    @property
    def _kind(self) -> str:
        require_choice("loss", self.loss, ("squared_error", "poisson"))
        return self.loss

    def _targets(
        self, x: np.ndarray, y: Any, weight: np.ndarray | None, is_partial: bool
    ) -> Examples:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        targets = np.asarray(y, x.dtype).reshape(len(x), -1)
        if self.loss == "poisson" and (targets < 0).any():
            raise ValueError(
                f'loss="poisson" is for targets of at least 0, but one of y is {targets.min():g}.'
            )
        return Examples(x, targets, weight, stratify=False)

    def _score(self, outputs: np.ndarray, ys: np.ndarray, weights: np.ndarray | None) -> float:
        if not np.isfinite(outputs).all():
            return np.nan
        return r2_score(ys, outputs, sample_weight=weights)

    def _metric_targets(self, ys: np.ndarray) -> np.ndarray:
        return ys
