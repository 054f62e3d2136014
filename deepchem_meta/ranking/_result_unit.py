"""Finds the unit of a column of numbers, and refuses contradictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from deepchem_meta.ranking._result_cells import Column
from deepchem_meta.ranking._result_names import NameSays
from deepchem_meta.ranking._units import UNITS, spelled
from deepchem_meta.ranking._words import counted
from deepchem_meta.tasks._arguments import listed

__all__ = ["find_unit"]

_KINDS = {
    "logarithm": "negative logarithms, which have no unit",
    "percent": "percentages",
    "concentration": "concentrations",
}


def find_unit(
    column: Column, says: NameSays, units: Sequence[str | None], given: str | None
) -> str | None:
    """Return the unit of concentrations, or None if the numbers are none.

    Parameters
    ----------
    column : Column
    says : NameSays
        What the column's name says.
    units : list of str or None
        What stands after each number; None where there is no number.
    given : str or None
        A key of `UNITS`.

    Raises
    ------
    ValueError
        If units are unknown, differ, or contradict the name, or concentrations have none.
    """
    in_cells = _of_cells(column, units)
    in_name = {_known(column, text) for text in says.units}
    found = in_cells | in_name | ({given} if given else set())
    if len(found) > 1:
        raise ValueError(
            f"{column.path}: the unit of {column.name!r} must be the same in its cells, its name "
            f"and `unit`. Received: {listed(sorted(found))}"
        )
    unit = found.pop() if found else None
    if unit is None and says.kind == "concentration":
        raise ValueError(
            f"{column.path}: the unit of the concentrations in {column.name!r} must be known: by "
            'the cells ("12 nM"), the name of the column ("IC50 (nM)") or --unit nM (unit="nM"); '
            'their negative logarithms are called "pIC50". Received: numbers alone'
        )
    right = {None: True, "percent": unit == "%", "concentration": unit != "%", "logarithm": False}
    if unit is not None and not right[says.kind]:
        raise ValueError(
            f"{column.path}: the unit of {column.name!r} must fit its name, which says "
            f"{_KINDS[says.kind]}; rename the column if it does not hold such. Received: {unit}"
        )
    return None if unit == "%" else unit


def _of_cells(column: Column, units: Sequence[str | None]) -> set[str]:
    """Return the unit of the cells, if they have one, or raise."""
    counts = Counter(text for text in units if text is not None)
    known = {_known(column, text) for text in counts if text}
    if len(known) > 1 or (known and counts[""]):
        shown = listed(
            f"{counted(count, 'cell')} of {text or 'no unit'}" for text, count in counts.items()
        )
        raise ValueError(
            f"{column.path}: all results in {column.name!r} must have the same unit. "
            f"Received: {shown}"
        )
    return known


def _known(column: Column, text: str) -> str:
    """Return a unit, a key of `UNITS` or %, or raise."""
    unit = "%" if text == "%" else spelled(text)
    if unit is None:
        raise ValueError(
            f"{column.path}: the unit of a concentration in {column.name!r} must be one of "
            f"{', '.join(UNITS)}. Received: {text!r}"
        )
    return unit
