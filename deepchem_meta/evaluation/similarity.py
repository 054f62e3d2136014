"""Similarity to the measured compounds, which needs no training. Needs scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.gaussian_process.kernels import Kernel, NormalizedKernelMixin
    from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data
except ImportError as error:
    raise ImportError(
        "TanimotoKernel, SimilarityClassifier and SimilarityRegressor need scikit-learn: "
        'pip install "deepchem_meta[molecules]"'
    ) from error

from deepchem_meta._checks import check_positive
from deepchem_meta.evaluation._tanimoto import tanimoto

__all__ = ["SimilarityClassifier", "SimilarityRegressor", "TanimotoKernel"]


class TanimotoKernel(NormalizedKernelMixin, Kernel):
    """The Tanimoto similarity as a kernel of scikit-learn's Gaussian processes.

    It has no hyperparameters: ``ConstantKernel() * TanimotoKernel() + WhiteKernel()`` learns an
    amplitude and a noise.

    Examples
    --------
    >>> import numpy as np
    >>> from deepchem_meta.evaluation import TanimotoKernel
    >>> TanimotoKernel()(np.array([[1, 1, 0], [1, 0, 1]]))
    array([[1.        , 0.33333333],
           [0.33333333, 1.        ]])

    References
    ----------
    Ralaivola, L., Swamidass, S. J., Saigo, H., and Baldi, P. (2005). Graph kernels for chemical
    informatics. Neural Networks 18(8), 1093-1110.
    """

    def __init__(self) -> None:
        """Take nothing; scikit-learn asks each kernel for its constructor."""

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        """Return the similarities and, if asked for, their gradient, of shape (n, n, 0)."""
        values = tanimoto(X, X if Y is None else Y)
        return (values, np.empty((*values.shape, 0))) if eval_gradient else values

    def is_stationary(self) -> bool:
        """Return False: the similarity is no function of a difference."""
        return False

    def __repr__(self) -> str:
        return "TanimotoKernel()"


class _Similarity(BaseEstimator):
    """The mean of known targets, weighted by a power of the similarity."""

    power: float

    def _remember(self, X: Any, y: Any) -> np.ndarray:
        check_positive("power", self.power)
        self.X_, y = validate_data(self, X, y)
        check_non_negative(self.X_, type(self).__name__)
        return y

    def _mean(self, X: Any, targets: np.ndarray) -> np.ndarray:
        check_is_fitted(self, "X_")
        X = validate_data(self, X, reset=False)
        check_non_negative(X, type(self).__name__)
        # An example that resembles none has the mean of all.
        weights = tanimoto(X, self.X_) ** self.power + 1e-9
        return weights @ targets / weights.sum(axis=1, keepdims=True)


class SimilarityClassifier(ClassifierMixin, _Similarity):
    """Similarity search: the probability of a class is its share among the known examples.

    Each known example counts with a power of its Tanimoto similarity.

    Parameters
    ----------
    power : float, default 3.0
        The power. The larger it is, the more the nearest examples count.

    Attributes
    ----------
    classes_ : array of shape (classes,)
    """

    def __init__(self, power: float = 3.0):
        self.power = power

    def fit(self, X: Any, y: Any) -> SimilarityClassifier:
        """Remember examples of shape (examples, features), at least 0, and their labels."""
        y = self._remember(X, y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        self._targets = np.eye(len(self.classes_))[numbers]
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each of `classes_`, of shape (examples, classes)."""
        return self._mean(X, self._targets)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each example, of shape (examples,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class SimilarityRegressor(RegressorMixin, _Similarity):
    """The mean of the known values, each weighted by a power of its Tanimoto similarity.

    Parameters
    ----------
    power : float, default 3.0
        The power. The larger it is, the more the nearest examples count.
    """

    def __init__(self, power: float = 3.0):
        self.power = power

    def fit(self, X: Any, y: Any) -> SimilarityRegressor:
        """Remember examples of shape (examples, features), at least 0, and their values."""
        self._values = self._remember(X, y).astype(np.float64)[:, np.newaxis]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the values of examples, of shape (examples,)."""
        return self._mean(X, self._values)[:, 0]
