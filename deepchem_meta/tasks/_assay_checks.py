"""Checks of a table of compounds and assays."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepchem_meta._checks import check_count, check_option
from deepchem_meta.tasks._arguments import check_finite, listed

__all__ = ["check_features", "check_ids", "check_names", "check_queries", "check_results"]


def check_queries(queries: Any) -> int | str:
    """Return `queries` if it is a whole number of at least 1, or "rest"."""
    if isinstance(queries, str):
        return check_option("queries", queries, ("rest",))
    return check_count("queries", queries, minimum=1)


def check_features(x: Any) -> np.ndarray:
    """Return features as a float32 array."""
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise TypeError(
            "`x` must be an array of numbers, of shape (compounds, features). "
            f"Received: dtype {x.dtype} and shape {x.shape}"
        )
    if x.ndim < 2 or x.size == 0:
        raise ValueError(
            "`x` must have the shape (compounds, features), with at least one of both. "
            f"Received: shape {x.shape}"
        )
    with np.errstate(over="ignore"):  # what is too large for float32 is found just below
        x = x.astype(np.float32, copy=False)
    check_finite(x)
    return x


def check_results(
    y: Any, w: Any, compounds: int, task_type: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return results as float32, NaN where missing, and weights, None where all are 1."""
    y = np.array(y, float)
    if y.ndim != 2 or len(y) != compounds or y.shape[1] == 0:
        raise ValueError(
            f"`y` must have the shape (compounds, assays), with {compounds} compounds as `x` has. "
            f"Received: shape {y.shape}"
        )
    w = np.ones((compounds, 1)) if w is None else np.asarray(w, float)
    w = w[:, None] if w.ndim == 1 else w
    if w.shape not in {y.shape, (compounds, 1)}:
        raise ValueError(
            f"`w` must have the shape {y.shape} of `y`, or {(compounds,)}. "
            f"Received: shape {w.shape}"
        )
    if not (np.isfinite(w).all() and w.min() >= 0):
        raise ValueError(
            "`w` must be finite and at least 0. "
            f"Received: weights from {np.nanmin(w)} to {np.nanmax(w)}, {np.isnan(w).sum()} NaN"
        )
    y[np.broadcast_to(w == 0, y.shape)] = np.nan
    allowed = np.isin(y, (0, 1)) if task_type == "classification" else np.isfinite(y)
    wrong = y[~(allowed | np.isnan(y))]
    if wrong.size:
        rule = "0, 1 or NaN" if task_type == "classification" else "finite or NaN"
        hint = ' (task_type="regression" takes numbers)' if rule.startswith("0") else ""
        raise ValueError(
            f"`y` must be {rule}{hint}. Received: {wrong.size} other values, such as "
            f"{listed(np.unique(wrong))}"
        )
    plain = np.isin(w, (0, 1)).all()
    weights = np.broadcast_to(w, y.shape).astype(np.float32)
    return y.astype(np.float32), None if plain else weights


def check_names(names: Any, assays: int) -> list[str]:
    """Return a name for each assay, no two the same."""
    if names is None:
        return [f"assay_{i}" for i in range(assays)]
    names = [names] if isinstance(names, str) else list(names)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"`names` must be strings. Received: names={names!r}")
    if len(names) != assays or len(set(names)) != assays:
        raise ValueError(
            f"`names` must be {assays} different names, one for each column of `y`. "
            f"Received: names={names!r}"
        )
    return [str(name) for name in names]


def check_ids(ids: Any, compounds: int) -> list[Any] | None:
    """Return `ids` as a list, one for each compound."""
    if ids is None:
        return None
    ids = list(ids)
    if len(ids) != compounds:
        raise ValueError(f"`ids` must be {compounds}, one for each compound. Received: {len(ids)}")
    return ids
