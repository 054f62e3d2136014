"""Whether the smallest or the largest value of a metric is the best."""

from __future__ import annotations

__all__ = ["smaller_is_better"]

# Ends of the names of Keras' and scikit-learn's losses and errors, and of their short forms.
_FALLING = (
    "loss", "error", "mse", "rmse", "mae", "mape", "msle", "crossentropy", "divergence", "hinge",
    "poisson", "logcosh",
)  # fmt: skip


def smaller_is_better(metric: str) -> bool:
    """Return whether a metric's name is that of a loss or an error.

    Parameters
    ----------
    metric : str
        Such as "val_loss", "mean_squared_error" or "accuracy".

    Examples
    --------
    >>> smaller_is_better("val_loss"), smaller_is_better("roc_auc")
    (True, False)

    scikit-learn's "neg" turns an error into a score:

    >>> smaller_is_better("neg_mean_squared_error")
    False
    """
    name = metric.lower().removeprefix("val_")
    return name.endswith(_FALLING) and not name.startswith("neg_")
