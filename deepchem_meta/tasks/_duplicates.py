"""Rows of one molecule: finds them and merges their results, so that no task has one twice."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks._assay_results import AssayResults

__all__ = [
    "MergedRows",
    "find_repeated",
    "merge_long",
    "merge_results",
    "merge_rows",
    "number_molecules",
    "warn_of_conflicts",
]


class MergedRows(NamedTuple):
    """What was merged in a table.

    Attributes
    ----------
    rows : int
        The rows of molecules that have more than one.
    molecules : int
        Those molecules.
    conflicts : dict of str to int
        How many of these molecules have results that differ, by assay. Assays without any are
        not in it.
    """

    rows: int
    molecules: int
    conflicts: dict[str, int]


def number_molecules(keys: Iterable[Any]) -> np.ndarray:
    """Return the number of each row's molecule, in the order of first rows.

    Parameters
    ----------
    keys : sequence of hashable objects
        Rows of equal keys are one molecule. None, NaN and a blank string are a molecule of their
        own.

    Returns
    -------
    int64 array of shape (rows,)

    Raises
    ------
    TypeError
        If a key cannot be hashed.
    """
    numbers: dict[Any, int] = {}
    return np.array(
        [numbers.setdefault(object() if _says_nothing(k) else k, len(numbers)) for k in keys], int
    )


def find_repeated(molecules: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each molecule that has more than one.

    Parameters
    ----------
    molecules : int array of shape (rows,)

    Returns
    -------
    list of int arrays
        In the order of the molecules' numbers; the rows of each ascend.
    """
    rows = np.flatnonzero(np.bincount(molecules)[molecules] > 1)
    rows = rows[np.argsort(molecules[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(molecules[rows])) + 1
    return np.split(rows, starts) if rows.size else []


def merge_rows(
    y: np.ndarray,
    w: np.ndarray | None,
    molecules: np.ndarray,
    *,
    names: Sequence[str],
    ids: Sequence[Any] | None,
    classes: bool,
    duplicates: str,
) -> tuple[np.ndarray, np.ndarray | None, MergedRows]:
    """Merge the rows of each molecule into its first, and warn of results that differ.

    Parameters
    ----------
    y, w, molecules, classes
        As in `merge_results`.
    names : list of str
        The assays.
    ids : list or None
        What names a row in messages, beside its number.
    duplicates : {"merge", "raise"}
        Whether to merge, or to refuse molecules of several rows.

    Returns
    -------
    y, w : arrays like `y` and `w`
    merged : MergedRows

    Raises
    ------
    ValueError
        If molecules have several rows and `duplicates` is "raise".
    """
    repeated = find_repeated(molecules)
    if repeated and duplicates == "raise":
        texts = [", ".join(map(str, rows)) for rows in repeated]
        if ids is not None:
            texts = [f"{t} ({ids[rows[0]]!r})" for t, rows in zip(texts, repeated, strict=True)]
        raise ValueError(
            'Each compound must have one row (duplicates="merge" merges the results of several). '
            f"Received: {len(repeated)} with several, in the rows {listed(texts)}"
        )
    y, w, counts = merge_results(y, w, repeated, classes)
    conflicts = {name: int(n) for name, n in zip(names, counts, strict=True) if n}
    if conflicts:
        warn_of_conflicts(conflicts, classes)
    return y, w, MergedRows(sum(map(len, repeated)), len(repeated), conflicts)


def merge_results(
    y: np.ndarray, w: np.ndarray | None, repeated: Sequence[np.ndarray], classes: bool
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Merge the results that a molecule has in an assay into its first row.

    The merged result is the label that has most of the weight, and missing in a tie; of numbers
    it is the weighted mean. Its weight is the mean of the weights. The molecule's other rows have
    no result. A molecule whose results are in its first row stays as it is.

    Parameters
    ----------
    y : float array of shape (rows, assays)
        Results; NaN is missing.
    w : float array of shape (rows, assays), or None
        Weights above 0 where there is a result. With None they are 1.
    repeated : list of int arrays
        From `find_repeated`.
    classes : bool
        Whether results are labels, 0 or 1, or numbers.

    Returns
    -------
    y, w : arrays like `y` and `w`
    conflicts : int array of shape (assays,)
        How many molecules have results that differ.
    """
    if not repeated:
        return y, w, np.zeros(y.shape[1], int)
    rows = np.concatenate(repeated)
    starts = np.cumsum([0, *map(len, repeated[:-1])])
    first = rows[starts]
    here = ~np.isnan(y[rows])
    weight = here * (1.0 if w is None else w[rows].astype(float))
    weights, counts = np.add.reduceat(weight, starts), np.add.reduceat(here.astype(int), starts)
    low, high = np.fmin.reduceat(y[rows], starts), np.fmax.reduceat(y[rows], starts)
    with np.errstate(invalid="ignore"):  # 0 / 0 where a molecule has no result
        merged = np.add.reduceat(weight * np.where(here, y[rows], 0), starts) / weights
    if classes:
        tie = np.abs(merged - 0.5) < 1e-6  # weights are rounded to float32
        merged = np.where(tie | (counts == 0), np.nan, merged > 0.5)
    y = y.copy()
    y[rows] = np.nan
    y[first] = np.where(low == high, low, merged)
    if w is not None:
        w = w.copy()
        w[first] = np.where(counts > 0, weights / np.maximum(counts, 1), w[first])
    return y, w, (low < high).sum(axis=0)


def merge_long(
    assay: np.ndarray, molecule: np.ndarray, value: np.ndarray, classes: bool, kinds: int
) -> tuple[AssayResults, np.ndarray, np.ndarray]:
    """Merge the results that a molecule has in an assay, of a long table.

    Parameters
    ----------
    assay, molecule : int arrays of shape (results,)
    value : float array of shape (results,)
        Without NaN.
    classes : bool
        As in `merge_results`, whose rules hold.
    kinds : int
        How many assays there are.

    Returns
    -------
    results : AssayResults
    repeated : int64 array
        The rows of results whose molecule has several in the assay.
    conflicts : int64 array of shape (kinds,)
        How many molecules of each assay have results that differ.
    """
    order = np.lexsort((molecule, assay))
    assay, molecule, value = assay[order], molecule[order], np.asarray(value, np.float64)[order]
    new = np.r_[True, (np.diff(assay) != 0) | (np.diff(molecule) != 0)]
    starts = np.flatnonzero(new)
    counts = np.diff(np.r_[starts, len(value)])
    low, high = np.minimum.reduceat(value, starts), np.maximum.reduceat(value, starts)
    mean = np.add.reduceat(value, starts) / counts
    merged = np.where(low == high, low, mean)
    conflicts = np.bincount(assay[starts][low < high], minlength=kinds)
    kept = np.ones(len(starts), bool)
    if classes:
        kept = merged != 0.5  # no majority
        merged = merged > 0.5
    places = starts[kept]
    results = AssayResults.sorted(assay[places], molecule[places], merged[kept])
    return results, order[np.repeat(counts > 1, counts)], conflicts


def warn_of_conflicts(conflicts: dict[str, int], classes: bool) -> None:
    """Warn of results that differ, at the line outside this package that led here."""
    rule = "the majority was taken, and none in a tie" if classes else "their mean was taken"
    by_assay = listed(f"{name} {count}" for name, count in conflicts.items())
    warnings.warn(
        f"{sum(conflicts.values())} times the rows of one molecule have different results in an "
        f"assay ({by_assay}); {rule}. The attribute `merged` has these numbers, and "
        'duplicates="raise" refuses such a table',
        UserWarning,
        stacklevel=_outside(),
    )


def _says_nothing(key: Any) -> bool:
    """Return whether a key is missing: None, NaN, pandas.NA or a blank string."""
    try:
        hash(key)
    except TypeError as error:
        raise TypeError(
            "What identifies a compound must be hashable, such as a string. "
            f"Received: {key!r} in `ids` or `molecules`"
        ) from error
    if isinstance(key, str):
        return not key.strip()
    try:
        return key is None or bool(key != key)
    except TypeError:  # pandas.NA is neither equal to itself nor not
        return True


def _outside() -> int:
    """Return the `stacklevel` by which a warning of the caller points out of this package."""
    package = __name__.partition(".")[0]
    frame, level = inspect.currentframe(), 0
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    return level
