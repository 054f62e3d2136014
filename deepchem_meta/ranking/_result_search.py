"""Finds the column of results in a table of compounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deepchem_meta.ranking._columns import place_of
from deepchem_meta.ranking._header import check_result_name
from deepchem_meta.ranking._result_column import (
    Column,
    ResultColumn,
    SeparatorError,
    read_result_column,
)
from deepchem_meta.ranking._result_names import are_results, begins_with_result
from deepchem_meta.ranking._units_beside import with_units
from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks._text_tables import Cells

__all__ = ["find_result"]


def find_result(
    path: str, table: Cells, smiles: int, name: str | None, unit: str | None
) -> tuple[int, ResultColumn]:
    """Return the place of the column of results, and what it holds.

    Parameters
    ----------
    path : str
        For messages.
    table : Cells
    smiles : int
        The place of the column of SMILES.
    name : str or None
        The column, if it is known. By default the only one whose name says that it is a result
        or, where no name does, the only one of labels.
    unit : str or None
        The unit of concentrations, if it is known.

    Raises
    ------
    ValueError
        If there is no such column, or several; or its cells are of no kind, or of several units.
    """
    if name is not None:
        place = place_of(path, "results", table.columns, name)
        return place, _read(path, table, place, unit)
    found, problems = {}, {}
    for place, column in enumerate(table.columns):
        if place != smiles and column:
            try:
                found[place] = _read(path, table, place, unit)
            except ValueError as error:
                problems[place] = error
    _raise_of_results(table.columns, found, problems)
    best = _best(table.columns, found)
    if len(best) != 1:
        raise _not_one(path, table.columns, best or list(found), problems)
    check_result_name(path, table.columns[best[0]])
    return best[0], found[best[0]]


def _read(path: str, table: Cells, place: int, unit: str | None) -> ResultColumn:
    cells = with_units(path, table, place, unit)
    return read_result_column(Column(path, table.columns[place], cells, table.lines), unit)


def _best(columns: Sequence[str], found: Mapping[int, ResultColumn]) -> list[int]:
    """Return the places of columns that can be taken for that of results."""
    named = [place for place in found if are_results(columns[place])]
    labels = [place for place in found if found[place].task_type == "classification"]
    alone = len(found) == 1 and columns[next(iter(found))].casefold() == "y"
    return named or labels or (list(found) if alone else [])


def _raise_of_results(
    columns: Sequence[str],
    found: Mapping[int, ResultColumn],
    problems: Mapping[int, ValueError],
) -> None:
    """Raise if a column that is called like a result is none, rather than leave it out."""
    surely = any(begins_with_result(columns[place]) for place in found)
    for place, error in problems.items():
        called = begins_with_result(columns[place])
        if called or (not surely and are_results(columns[place])):
            raise error
    separated = [error for error in problems.values() if isinstance(error, SeparatorError)]
    if separated and not _best(columns, found):
        raise separated[0]


def _not_one(
    path: str,
    columns: Sequence[str],
    found: Sequence[int],
    problems: Mapping[int, ValueError],
) -> ValueError:
    """Return the error of no column of results, or of several that may be."""
    what = "none" if not found else listed(repr(columns[place]) for place in found)
    why = "".join(f"; {error}" for error in list(problems.values())[:3])
    return ValueError(
        f"{path}: one column must hold labels or values; name it (result=..., or --result), or "
        f'call it so ("active", "pIC50", "IC50 (nM)"). Received: {what} of the columns '
        f"{listed(map(repr, columns))}{why}"
    )
