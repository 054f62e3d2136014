"""Checks of a table of compounds and assays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepchem_meta._checks import check_count, check_option
from deepchem_meta.tasks._arguments import check_finite, held_out, listed
from deepchem_meta.tasks._assay_index import AssayIndex

__all__ = [
    "check_assay",
    "check_features",
    "check_ids",
    "check_names",
    "check_places",
    "check_queries",
    "check_results",
    "check_rows",
    "check_shots",
    "check_sizes",
    "check_table",
    "check_test",
]


def check_queries(queries: Any) -> int | str:
    """Return `queries` if it is a whole number of at least 1, or "rest"."""
    if isinstance(queries, str):
        return check_option("queries", queries, ("rest",))
    return check_count("queries", queries, minimum=1)


def check_features(x: Any) -> np.ndarray:
    """Return features as a float32 array."""
    _check_unmasked("x", x)
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


def _check_unmasked(name: str, array: Any) -> None:
    """Raise TypeError if an array has a mask, which would be lost."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(
            f"`{name}` must not be a masked array; in `y` NaN stands for a missing result, as "
            f"`y.filled(np.nan)` writes it. Received: {name} of shape {array.shape} with a mask"
        )


def check_table(y: Any, w: Any, compounds: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return results and weights as arrays of shape (compounds, assays), if they have it.

    Weights of shape (compounds,) become those of all assays.
    """
    _check_unmasked("y", y)
    _check_unmasked("w", w)
    y = np.array(y, float)
    if y.ndim != 2 or len(y) != compounds or y.shape[1] == 0:
        raise ValueError(
            f"`y` must have the shape (compounds, assays), with {compounds} compounds as `x` has. "
            f"Received: shape {y.shape}"
        )
    if w is None:
        return y, None
    w = np.asarray(w, float)
    w = w[:, None] if w.ndim == 1 else w
    if w.shape not in {y.shape, (compounds, 1)}:
        raise ValueError(
            f"`w` must have the shape {y.shape} of `y`, or {(compounds,)}. "
            f"Received: shape {w.shape}"
        )
    return y, np.broadcast_to(w, y.shape)


def check_results(
    y: np.ndarray, w: np.ndarray | None, names: Sequence[str], task_type: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return results as float32, NaN where missing, and weights, None where all are 0 or 1.

    Parameters
    ----------
    y, w
        From `check_table`.
    names : list of str
        The assays, for the message.
    task_type : {"classification", "regression"}
    """
    with np.errstate(over="ignore"):  # what is too large for float32 is found just below
        values, weights = y.astype(np.float32), None if w is None else w.astype(np.float32)
    if weights is not None:
        if not (np.isfinite(weights).all() and weights.min() >= 0):
            raise ValueError(
                "`w` must be finite and at least 0. Received: weights from "
                f"{np.nanmin(w)} to {np.nanmax(w)}, {np.isnan(w).sum()} NaN"
            )
        values[weights == 0] = np.nan
        weights = None if np.isin(weights, (0, 1)).all() else weights
    classes = task_type == "classification"
    # In the original numbers: 1 + 1e-9 is no label, though it is 1 in float32.
    allowed = np.isin(y, (0, 1)) if classes else np.isfinite(values)
    wrong = ~(allowed | np.isnan(values))
    if wrong.any():
        rule = "0, 1 or NaN" if classes else "finite in float32, or NaN"
        hint = (
            '; task_type="regression" takes numbers, and `assays` of `from_csv` chooses columns'
            if classes
            else ""
        )
        places = np.flatnonzero(wrong.any(axis=0))
        by_assay = (f"{names[i]} ({listed(np.unique(y[wrong[:, i], i]), 3)})" for i in places)
        raise ValueError(
            f"`y` must be {rule}{hint}. Received: {wrong.sum()} other values, in {len(places)} of "
            f"{len(names)} assays: {listed(by_assay)}"
        )
    return values, weights


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


def check_ids(name: str, ids: Any, compounds: int) -> list[Any] | None:
    """Return the argument `name`, such as `ids`, as a list, one for each compound."""
    if ids is None:
        return None
    ids = list(ids)
    if len(ids) != compounds:
        raise ValueError(
            f"`{name}` must be {compounds}, one for each compound. Received: {len(ids)}"
        )
    return ids


def check_shots(shots: Any) -> int | tuple[int, ...]:
    """Return `shots` as a whole number of at least 1, or several of them in ascending order."""
    if not isinstance(shots, (list, tuple, range)):
        return check_count("shots", shots, minimum=1)
    if not shots:
        raise ValueError("`shots` must have at least one number. Received: none")
    return tuple(sorted({check_count("shots", size, minimum=1) for size in shots}))


def check_sizes(
    index: AssayIndex, constant: np.ndarray, names: Sequence[str], drop_small: bool
) -> np.ndarray:
    """Return whether each assay cannot make a task, shape (assays,), if such may be left out.

    Parameters
    ----------
    index : AssayIndex
    constant : bool array of shape (assays,)
        Which assays have no results, or only equal ones.
    names : list of str
    drop_small : bool

    Raises
    ------
    ValueError
        If some cannot, and `drop_small` is False or no other assay is left.
    """
    bad = constant | index.small
    if not bad.any() or (drop_small and not bad.all()):
        return bad
    if constant.any():
        rule, places = "have results that differ", np.flatnonzero(constant)
    else:
        rule, places = "have enough compounds for a task", np.flatnonzero(index.small)

    def text(assay: int) -> str:
        counts = (f"{count} {name}" for name, count in index.describe(assay).items())
        needed = " and ".join(map(str, index.needed[assay]))
        return f"{names[assay]} ({', '.join(counts)}; needs {needed})"

    raise ValueError(
        f"Each assay must {rule} (drop_small=True leaves others out, as long as some remain). "
        f"Received: {len(places)} of {len(names)} that do not: {listed(map(text, places))}. "
        "To adapt to an assay of few compounds, read it with `compounds_from_csv`, or make "
        "`shots` and `queries` small and take `compounds(assay)`"
    )


def check_assay(assay: Any, names: Sequence[str]) -> int:
    """Return the place of an assay among `names`."""
    if not isinstance(assay, str):
        raise TypeError(f"`assay` must be an assay's name. Received: assay={assay!r}")
    if assay not in names:
        raise ValueError(
            f"`assay` must be one of {', '.join(map(repr, names))}. Received: assay={assay!r}"
        )
    return names.index(assay)


def check_places(assays: Any, n: int, total: int) -> np.ndarray:
    """Return `assays` as an array of `n` places of assays, each below `total`."""
    which = np.asarray(assays)
    if which.dtype.kind not in "iu" or which.shape != (n,):
        raise TypeError(
            f"`assays` must be an array of {n} integers, one for each task. "
            f"Received: dtype {which.dtype} and shape {which.shape}"
        )
    if which.min() < 0 or which.max() >= total:
        raise ValueError(f"`assays` must be from 0 to {total - 1}. Received: assays={assays!r}")
    return which


def check_rows(compounds: Any, total: int) -> np.ndarray:
    """Return the numbers of the rows that `compounds`, `total` bools or a list of rows, chooses."""
    rows = np.asarray(compounds)
    if rows.dtype == bool and rows.shape == (total,):
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise TypeError(
            f"`compounds` must be {total} bools or a list of rows. "
            f"Received: dtype {rows.dtype} and shape {rows.shape}"
        )
    outside = rows.size == 0 or rows.min() < 0 or rows.max() >= total
    if outside or len(np.unique(rows)) < len(rows):
        raise ValueError(
            f"`compounds` must be different rows from 0 to {total - 1}, at least one. "
            f"Received: {listed(rows) or 'none'}"
        )
    return rows


def check_test(test: Any, names: Sequence[str]) -> np.ndarray:
    """Return which assays `test` (names, a fraction or a number) holds out, as bools."""
    if not isinstance(test, (list, tuple, np.ndarray)):
        first = len(names) - held_out(test, len(names), "assays")
        return np.arange(len(names)) >= first
    unknown = [name for name in test if name not in names]
    if unknown or not 0 < len(set(test)) < len(names):
        raise ValueError(
            f"`test` must name some of the assays {listed(names)}, not all. "
            f"Received: test={list(test)}"
        )
    return np.isin(names, list(test))
