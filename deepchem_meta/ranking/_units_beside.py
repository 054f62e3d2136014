"""Takes the units of results from a column of units beside them."""

from __future__ import annotations

from deepchem_meta.ranking._result_cells import MISSING
from deepchem_meta.ranking._result_column import are_all_labels
from deepchem_meta.ranking._result_names import read_name, words_of
from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks._text_tables import Cells

__all__ = ["with_units"]

_NAMES = {"unit", "units", "uom"}


def with_units(path: str, table: Cells, place: int, unit: str | None) -> list[str]:
    """Return the cells of a column of results, each with its unit if another column has these.

    Parameters
    ----------
    path : str
        For messages.
    table : Cells
    place : int
        The column of results.
    unit : str or None
        The unit, if it is known.

    Returns
    -------
    list of str
        The cells as they are where the column's name says what they are, or they are labels. A
        column of units belongs to the results if it is called "unit" or "units", and whatever it
        is called besides is in the name of the column of results too: "Standard Units" belongs to
        "Standard Value".

    Raises
    ------
    ValueError
        If there are columns of units, and it is in doubt which belongs to the results.
    """
    name, cells = table.columns[place], [row[place].strip() for row in table.rows]
    says = read_name(name)
    if says.kind in ("logarithm", "percent") or says.units or are_all_labels(cells):
        return cells
    units = [n for n in range(len(table.columns)) if n != place and _has_units(table, n)]
    own = [n for n in units if words_of(table.columns[n]) - _NAMES <= words_of(name)]
    if len(own) == 1:
        texts = [row[own[0]].strip() for row in table.rows]
        return [_joined(cell, text) for cell, text in zip(cells, texts, strict=True)]
    if units and unit is None:
        raise ValueError(
            f"{path}: the unit of {name!r} must be known: call its column {name + ' unit'!r}, give "
            f'--unit nM (unit="nM"), or say in the name that it has none ("pIC50"). Received: '
            f"the units in {listed(repr(table.columns[n]) for n in units)}"
        )
    return cells


def _has_units(table: Cells, place: int) -> bool:
    """Return whether a column is called one of units, and has some."""
    named = bool(_NAMES & words_of(table.columns[place]))
    return named and any(row[place].strip().casefold() not in MISSING for row in table.rows)


def _joined(cell: str, unit: str) -> str:
    """Return a number with its unit, and other cells as they are."""
    alone = cell[-1:].isdigit() or cell[-1:] == "."
    there = not {cell.casefold(), unit.casefold()} & MISSING
    return f"{cell} {unit}" if alone and there else cell
