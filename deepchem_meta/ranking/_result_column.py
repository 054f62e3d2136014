"""Reads a column of results: labels, values, or concentrations with a unit."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from deepchem_meta.ranking._plausible import (
    check_concentrations,
    check_logarithms,
    check_numbers,
    check_scale,
)
from deepchem_meta.ranking._result_cells import MISSING, Column, SeparatorError, split_numbers
from deepchem_meta.ranking._result_names import NameSays, are_labels, are_results, read_name
from deepchem_meta.ranking._result_unit import find_unit
from deepchem_meta.ranking._units import UNITS

__all__ = ["Column", "ResultColumn", "SeparatorError", "are_all_labels", "read_result_column"]

_LABELS = {
    **dict.fromkeys(("1", "active", "yes", "true", "positive", "pos", "hit", "+"), 1.0),
    **dict.fromkeys(("0", "inactive", "no", "false", "negative", "neg", "-"), 0.0),
}
_OF_LOGARITHMS = {"": "", ">": "<", "<": ">", "~": "~"}
_CODES = {-1.0, 0.0, 1.0, 2.0}  # of classes
_CODED = ("activity", "result", "value", "y", "response")


class ResultColumn(NamedTuple):
    """What a column of results holds.

    Attributes
    ----------
    values : float64 array of shape (cells,)
        1 for active and 0 for inactive, or values; NaN where there is none. Concentrations are
        -log10 of mol/L.
    signs : list of str
        What stood before each number that was taken for the value: ``">"`` or ``"<"`` of a bound,
        ``"~"``, or nothing. The sign belongs to `values`: ``>10000 nM`` is ``<`` 5.
    task_type : {"classification", "regression"}
    unit : str or None
        That of concentrations.
    logarithmic : bool
        Whether values are negative logarithms of concentrations.
    """

    values: np.ndarray
    signs: list[str]
    task_type: str
    unit: str | None
    logarithmic: bool


def read_result_column(column: Column, unit: str | None = None) -> ResultColumn:
    """Read a column of results.

    Parameters
    ----------
    column : Column
    unit : str or None
        A key of `UNITS`; by default that of the cells, or of the column's name.

    Raises
    ------
    ValueError
        If cells are neither labels nor numbers, are of different units or of none that is known,
        a number is not plausible, or the name leaves in doubt what is meant. `SeparatorError` if
        numbers have commas.
    """
    if unit is not None and unit not in UNITS:
        raise ValueError(f"`unit` must be one of {', '.join(UNITS)}. Received: unit={unit!r}")
    texts = [cell.strip() for cell in column.cells]
    present = _present(texts)
    if not present:
        raise ValueError(
            f"{column.path}: the column {column.name!r} must hold results. Received: none"
        )
    if unit is None and all(_label(texts[n]) is not None for n in present):
        values = np.full(len(texts), math.nan)
        values[present] = [_label(texts[n]) for n in present]
        return ResultColumn(values, [""] * len(texts), "classification", None, False)
    says = read_name(column.name)
    if says.doubt:
        raise ValueError(f"{column.path}: the name of the column {column.name!r} {says.doubt}")
    return _values(column, says, unit)


def are_all_labels(cells: Sequence[str]) -> bool:
    """Return whether all cells that are not missing are labels."""
    texts = [cell.strip() for cell in cells]
    return all(_label(texts[n]) is not None for n in _present(texts))


def _values(column: Column, says: NameSays, unit: str | None) -> ResultColumn:
    """Return the values of a column of numbers."""
    labels = [n for n, text in enumerate(column.cells) if _label(text.strip()) is not None]
    numbers = split_numbers(column, labels)
    found = find_unit(column, says, numbers.units, unit)
    values, signs = numbers.values, numbers.signs
    if found is not None:
        check_concentrations(column, values, found)
        values = -np.log10(values * UNITS[found])
        signs = [_OF_LOGARITHMS[sign] for sign in signs]
    elif says.kind == "logarithm":
        check_logarithms(column, values)
    else:
        check_numbers(column, values)
        if says.kind is None:
            _refuse_codes(column, values)
            if are_results(column.name):
                check_scale(column, values)
    logarithmic = found is not None or says.kind == "logarithm"
    return ResultColumn(values, signs, "regression", found, logarithmic)


def _present(texts: Sequence[str]) -> list[int]:
    """Return the places of cells that are not missing."""
    # A hyphen is inactive beside a plus, and else a missing cell.
    missing = MISSING - ({"-"} if "+" in texts else set())
    return [n for n, text in enumerate(texts) if text.casefold() not in missing]


def _label(text: str) -> float | None:
    """Return 1 for active and 0 for inactive, or None for another text."""
    return _LABELS.get(re.sub(r"^([01])\.0*$", r"\1", text.casefold()))


def _refuse_codes(column: Column, values: np.ndarray) -> None:
    """Raise ValueError if numbers stand for classes, of which nobody knows the better."""
    known = set(values[~np.isnan(values)].tolist())
    coded = column.name.strip().casefold() in _CODED and known <= _CODES
    if not coded and not are_labels(column.name):
        return
    labels = np.isin(values, (0, 1))
    odd = ~labels & ~np.isnan(values)
    shown = odd if labels.sum() > odd.sum() else ~np.isnan(values)
    raise ValueError(
        f"{column.path}: labels in {column.name!r} must be 1 and 0, active and inactive, or yes "
        'and no, and values have a column of another name, such as "pIC50". '
        f"Received: {column.shown(np.flatnonzero(shown))}"
    )
