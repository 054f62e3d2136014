"""Probabilities of classes from what a classifier gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepchem_meta._checks import check_rates

__all__ = ["class_log_probabilities", "with_base_rate"]


def class_log_probabilities(outputs: np.ndarray, kind: str) -> np.ndarray:
    """Return the logarithms of the probabilities of classes, in float64.

    Parameters
    ----------
    outputs : array of shape (examples, ..., classes), (examples, ..., 1) or (examples,)
        Of one output it is about class 1 of two.
    kind : {"logits", "probabilities"}
        What the outputs are; logits of one output are log-odds.

    Returns
    -------
    float64 array of shape (examples, ..., classes)
        At least two classes.
    """
    outputs = np.asarray(outputs, np.float64)
    if outputs.ndim == 1:
        outputs = outputs[:, np.newaxis]
    if kind == "logits":
        if outputs.shape[-1] == 1:
            outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=-1)
        return _normalized(outputs)
    if outputs.shape[-1] == 1:
        outputs = np.concatenate([1.0 - outputs, outputs], axis=-1)
    with np.errstate(divide="ignore"):
        return np.log(outputs)


def with_base_rate(log_probabilities: np.ndarray, base_rate: Any) -> np.ndarray:
    """Return probabilities for classes of other frequencies than in balanced training.

    Each class's probability is multiplied by its rate, and their sum brought back to 1, which is
    Bayes' rule for a classifier that has learned from as many examples of every class.

    Parameters
    ----------
    log_probabilities : float64 array of shape (examples, ..., classes)
        As `class_log_probabilities` returns them.
    base_rate : float or array of shape (classes,)
        The rate of class 1 of two, or that of every class, above 0 with a sum of 1.

    Returns
    -------
    float64 array of the same shape

    Raises
    ------
    TypeError, ValueError
        If `base_rate` is not as described.
    """
    rates = check_rates(base_rate, log_probabilities.shape[-1])
    return _normalized(log_probabilities + np.log(rates))


def _normalized(logits: np.ndarray) -> np.ndarray:
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
