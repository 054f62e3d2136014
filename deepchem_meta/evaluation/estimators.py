"""Adaptation to one task as scikit-learn's estimators. Needs scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        'FewShotClassifier and FewShotRegressor need scikit-learn: pip install "deepchem_meta'
        '[molecules]"'
    ) from error

from deepchem_meta._checks import check_rates

__all__ = ["FewShotClassifier", "FewShotRegressor"]


class _FewShot(BaseEstimator):
    """What both have in common: `fit` adapts, and the algorithm stays as it is."""

    algorithm: Any
    optimization_steps: int | None

    def __sklearn_clone__(self) -> _FewShot:
        """Share the algorithm, which `fit` does not change."""
        return type(self)(**self.get_params(deep=False))

    def _adapt(self, X: Any, y: np.ndarray, sample_weight: Any) -> None:
        if not callable(getattr(self.algorithm, "adapt", None)):
            raise TypeError(
                "`algorithm` must be a metalearning algorithm. "
                f"Received: algorithm={self.algorithm!r}"
            )
        X = self._examples(X, reset=True)
        weights = () if sample_weight is None else (np.asarray(sample_weight, np.float32),)
        self.adapted_ = self.algorithm.adapt((X, y, *weights), self.optimization_steps)

    def _more_examples(self, X: Any) -> np.ndarray:
        """Return examples to predict, once there is something to predict with."""
        check_is_fitted(self, "adapted_")
        return self._examples(X, reset=False)

    def _examples(self, X: Any, reset: bool) -> np.ndarray:
        """Return examples as scikit-learn checks them; of `fit` they set how many features."""
        return validate_data(self, X, reset=reset, allow_nd=True)


class FewShotClassifier(ClassifierMixin, _FewShot):
    """A meta-trained classifier as a scikit-learn estimator for one new task.

    `fit` adapts to labelled examples. The algorithm is shared and never changed, so that copies of
    the estimator, in `cross_val_score` or `GridSearchCV`, cost nothing.

    Parameters
    ----------
    algorithm : MetaAlgorithm
        Trained, over a `KerasLearner`, of classes.
    optimization_steps : int, optional
        Steps of adaptation; those of `algorithm` by default.
    base_rate : float or array of shape (classes,), optional
        How often the second of two classes, or each of `classes_`, occurs where the estimator
        predicts: see `AdaptedTask.predict_proba`.

    Attributes
    ----------
    classes_ : array of shape (classes,)
        The labels, sorted: words or numbers.
    adapted_ : AdaptedTask
        What `fit` gave.
    n_features_in_ : int
        The second axis of X.

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> import deepchem_meta as dc
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> maml = dc.metalearning.MAML(dc.metalearning.KerasLearner(model, loss), 0.1, 5)
    >>> X = np.eye(4, dtype="float32")
    >>> found = dc.evaluation.FewShotClassifier(maml).fit(X, ["hawk", "crane", "hawk", "crane"])
    >>> found.predict_proba(X).shape
    (4, 2)
    """

    def __init__(
        self, algorithm: Any, *, optimization_steps: int | None = None, base_rate: Any = None
    ):
        self.algorithm = algorithm
        self.optimization_steps = optimization_steps
        self.base_rate = base_rate

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> FewShotClassifier:
        """Adapt to labelled examples.

        Parameters
        ----------
        X : array or DataFrame of shape (examples, features)
            Or with more axes, as the model takes it.
        y : array of shape (examples,)
            Labels of any kind, of at least two classes and no more than the model has.
        sample_weight : array of shape (examples,), optional

        Returns
        -------
        FewShotClassifier
            Itself.
        """
        self.classes_, numbers = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y must have at least two classes. Received: {self.classes_.tolist()}"
            )
        self._adapt(X, numbers.ravel(), sample_weight)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each of `classes_`, of shape (examples, classes)."""
        examples = self._more_examples(X)
        known = self.adapted_.predict_proba(examples)[:, : len(self.classes_)]
        if self.base_rate is not None:  # Bayes' rule, for a model of balanced tasks
            known = known * check_rates(self.base_rate, len(self.classes_))
        return known / known.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each example, of shape (examples,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]


class FewShotRegressor(RegressorMixin, _FewShot):
    """A meta-trained regression model as a scikit-learn estimator for one new task.

    Parameters
    ----------
    algorithm : MetaAlgorithm
        Trained, over a `KerasLearner` with one output, for regression.
    optimization_steps : int, optional
        Steps of adaptation; those of `algorithm` by default.

    Attributes
    ----------
    adapted_ : AdaptedTask
        What `fit` gave.
    n_features_in_ : int
        The second axis of X.
    """

    def __init__(self, algorithm: Any, *, optimization_steps: int | None = None):
        self.algorithm = algorithm
        self.optimization_steps = optimization_steps

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> FewShotRegressor:
        """Adapt to examples with their values.

        Parameters
        ----------
        X : array or DataFrame of shape (examples, features)
            Or with more axes, as the model takes it.
        y : array of shape (examples,) or (examples, outputs)
        sample_weight : array of shape (examples,), optional

        Returns
        -------
        FewShotRegressor
            Itself.
        """
        y = np.asarray(y, np.float32)
        self._shape = y.shape[1:]
        self._adapt(X, y, sample_weight)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the values of examples, in the shape of those that it was fitted to."""
        examples = self._more_examples(X)
        return np.reshape(self.adapted_.predict(examples), (len(examples), *self._shape))
