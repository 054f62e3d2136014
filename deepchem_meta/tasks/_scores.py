"""How well the examples of a task are predicted, by scikit-learn's metrics."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["CLASSIFICATION_SCORES", "REGRESSION_SCORES", "examples_of"]


def roc_auc(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Return the area under the ROC curve, of the examples of weight above 0."""
    return _score("roc_auc_score", y_true, y_pred, sample_weight, classes=True)


def average_precision(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Return the area under the precision-recall curve, of the examples of weight above 0."""
    return _score("average_precision_score", y_true, y_pred, sample_weight, classes=True)


def r2(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Return the coefficient of determination, of the examples of weight above 0.

    Of several outputs it is the mean over outputs.
    """
    return _score("r2_score", y_true, y_pred, sample_weight)


def rmse(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Return the root of the mean squared error, of the examples of weight above 0.

    Of several outputs the mean is over examples and outputs.
    """
    return float(np.sqrt(_score("mean_squared_error", y_true, y_pred, sample_weight)))


CLASSIFICATION_SCORES: dict[str, Callable[..., float]] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
}
REGRESSION_SCORES: dict[str, Callable[..., float]] = {"r2": r2, "rmse": rmse}


def examples_of(
    y_true: Any, y_pred: Any, sample_weight: Any = None, classes: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and predictions of the examples of weight above 0, in one shape.

    Parameters
    ----------
    y_true, y_pred : array
        One value for each example, or with `classes` two logits; for regression of several outputs
        of shape (examples, outputs).
    sample_weight : array of shape (examples,), optional
    classes : bool, default False
        Whether the targets must be of two classes.

    Raises
    ------
    ValueError
        If the shapes do not fit, or one of two classes is absent.
    """
    y_true, y_pred = (np.asarray(array) for array in (y_true, y_pred))
    if classes and y_pred.size == 2 * y_true.size and y_pred.shape[-1] == 2:
        y_pred = y_pred[..., 1] - y_pred[..., 0]  # of two logits it is the log-odds
    if y_true.size != y_pred.size:
        raise ValueError(
            "`y_true` and `y_pred` must have one value for each example. "
            f"Received: shapes {y_true.shape} and {y_pred.shape}"
        )
    if y_true.shape != y_pred.shape or y_true.ndim != 2 or y_true.shape[1] == 1:
        y_true, y_pred = y_true.ravel(), y_pred.ravel()
    if sample_weight is not None:
        kept = np.asarray(sample_weight).ravel() > 0
        y_true, y_pred = y_true[kept], y_pred[kept]
    if classes and len(np.unique(y_true)) != 2:
        raise ValueError(
            "`y_true` must have active and inactive examples of weight above 0. "
            f"Received: the values {np.unique(y_true)}"
        )
    return y_true, y_pred


def _score(name: str, y_true: Any, y_pred: Any, sample_weight: Any, classes: bool = False) -> float:
    metric = getattr(_sklearn_metrics(), name)
    wanted, predicted = examples_of(y_true, y_pred, sample_weight, classes)
    # A model that has diverged has no score. scikit-learn raises for it.
    return float(metric(wanted, predicted)) if np.isfinite(predicted).all() else math.nan


def _sklearn_metrics() -> Any:
    try:
        return importlib.import_module("sklearn.metrics")
    except ImportError as error:
        raise ImportError(
            'Scores of assays need scikit-learn: pip install "deepchem_meta[molecules]"'
        ) from error
