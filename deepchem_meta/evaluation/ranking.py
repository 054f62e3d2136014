"""How good a ranking is where only its top will be measured."""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from deepchem_meta._checks import check_count
from deepchem_meta.tasks._scores import examples_of
from deepchem_meta.tasks.streams import as_source

__all__ = ["ScoredTasks", "enrichment", "hits_in_top", "spearman"]


class ScoredTasks:
    """A source of tasks with more scores, which `evaluate`, `compare` and `fit` report.

    Parameters
    ----------
    tasks : object or tf.data.Dataset
        A source of tasks.
    scores : dict of str to callable
        By name ``(y_true, y_pred, sample_weight or None) -> float``, of the query set of a task:
        `hits_in_top`, `enrichment`, `spearman`, or a function of your own. `y_pred` is what the
        model gives. Where a name ends in "loss" or "error" the smallest is the best. Names must
        be others than "loss" and the metrics of what is evaluated.

    Attributes
    ----------
    scores : dict of str to callable
        Those of `tasks` too.

    Raises
    ------
    TypeError
        If `scores` are no dict of callables, or `tasks` is no source.

    Examples
    --------
    >>> import deepchem_meta as dc
    >>> tasks = dc.tasks.SinusoidTasks(shots=5)
    >>> scored = dc.evaluation.ScoredTasks(tasks, {"spearman": dc.evaluation.spearman})
    >>> list(scored.scores)
    ['spearman']
    """

    def __init__(self, tasks: Any, scores: Mapping[str, Callable[..., float]]):
        known = isinstance(scores, Mapping) and all(map(callable, scores.values()))
        if not known or not all(isinstance(name, str) for name in scores):
            raise TypeError(
                "`scores` must be a dict of functions of (y_true, y_pred, sample_weight). "
                f"Received: scores={scores!r}"
            )
        self._tasks = as_source(tasks)
        self.scores = {**getattr(self._tasks, "scores", {}), **scores}
        self.sample = self._tasks.sample  # itself, since its arguments tell whether it names tasks

    def __copy__(self) -> ScoredTasks:
        """Return one over a copy of the source, whose place in a dataset is its own."""
        return ScoredTasks(copy.copy(self._tasks), self.scores)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._tasks, name)


def hits_in_top(k: int) -> Callable[..., float]:
    """Return a score: how many of the `k` examples ranked first are active.

    Parameters
    ----------
    k : int
        At least 1. Of a query set of fewer examples all count.

    Returns
    -------
    callable
        ``(y_true, y_pred, sample_weight=None) -> float``. Of examples with equal predictions the
        expected number counts.
    """
    check_count("k", k, minimum=1)

    def score(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        active, predicted = examples_of(y_true, y_pred, sample_weight, classes=True)
        return _hits(active, predicted, k)

    return score


def enrichment(fraction: float) -> Callable[..., float]:
    """Return a score: the rate of actives among those ranked first, over that among all.

    Parameters
    ----------
    fraction : float
        Which part of the examples is the top, above 0 and at most 1; rounded up to whole examples.
        With 0.01 it is known as EF1%.

    Returns
    -------
    callable
        ``(y_true, y_pred, sample_weight=None) -> float``; 1 is what chance gives.
    """
    if not isinstance(fraction, (int, float)) or not 0 < fraction <= 1:
        raise ValueError(f"`fraction` must be above 0 and at most 1. Received: {fraction!r}")

    def score(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        active, predicted = examples_of(y_true, y_pred, sample_weight, classes=True)
        top = math.ceil(round(fraction * len(active), 9))  # 0.1 * 30 is a little more than 3
        return _hits(active, predicted, top) / top / active.mean()

    return score


def spearman(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
    """Return Spearman's rank correlation, of the examples of weight above 0.

    Of several outputs it is the mean over outputs. Constant predictions rank nothing and have 0. It
    is NaN where the targets are constant, or predictions are not finite.
    """
    wanted, predicted = examples_of(y_true, y_pred, sample_weight)
    columns = zip(np.atleast_2d(wanted.T), np.atleast_2d(predicted.T), strict=True)
    return float(np.mean([_rank_correlation(*column) for column in columns]))


def _rank_correlation(wanted: np.ndarray, predicted: np.ndarray) -> float:
    if np.ptp(wanted) == 0 or not np.isfinite(predicted).all():
        return math.nan
    if np.ptp(predicted) == 0:
        return 0.0
    try:
        stats = importlib.import_module("scipy.stats")
    except ImportError as error:
        raise ImportError(
            '`spearman` needs SciPy: pip install "deepchem_meta[molecules]"'
        ) from error
    return float(stats.spearmanr(wanted, predicted).statistic)


def _hits(active: np.ndarray, predicted: np.ndarray, k: int) -> float:
    """Return the expected number of actives among the first `k`, equal ones in any order."""
    if not np.isfinite(predicted).all():
        return math.nan
    k = min(k, len(active))
    threshold = np.sort(predicted)[-k]
    above, tied = predicted > threshold, predicted == threshold
    left = k - above.sum()
    return float(active[above].sum() + active[tied].mean() * left)
