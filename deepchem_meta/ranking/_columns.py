"""Finds the columns of a table of compounds: the SMILES and the names."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from deepchem_meta.ranking._header import check_smiles_name
from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks._result_cells import check_na_values, read_results
from deepchem_meta.tasks.molecules import read_molecules

__all__ = ["find_names", "find_smiles", "place_of"]

_SMILES_NAMES = ("smiles", "canonical_smiles", "smi", "structure", "molecule", "compound")
_NAMES = ("id", "name", "compound", "molecule", "identifier", "code", "title")
_TRIED = 200  # cells of a column that are tried as SMILES


def find_smiles(path: str, columns: Sequence[str], rows: Sequence[Sequence[str]], name: str | None):
    """Return the place of the column of SMILES.

    Parameters
    ----------
    path : str
        For messages.
    columns : list of str
    rows : list of list of str
        The first rows of the file are enough.
    name : str or None
        The column, if it is known. By default one that is called so, or that can be read as
        SMILES.

    Raises
    ------
    ValueError
        If there is no such column, its cells are no SMILES, or the first line is a row.
    """
    lower = [column.casefold() for column in columns]
    if name is not None:
        place = place_of(path, "SMILES", columns, name)
        _check_cells(path, columns[place], [row[place] for row in rows])
        return place
    named = [lower.index(one) for one in _SMILES_NAMES if one in lower]
    named += [n for n, one in enumerate(lower) if "smiles" in one and n not in named]
    for place in (*named, *range(len(columns))):
        cells = [row[place] for row in rows[:_TRIED] if row[place].strip()]
        if cells and _readable(cells) > 0.5 and (place in named or _are_long(cells)):
            check_smiles_name(path, columns[place])
            return place
    if named:
        _check_cells(path, columns[named[0]], [row[named[0]] for row in rows])
    raise ValueError(
        f"{path}: a column must hold SMILES. Received: the columns {listed(map(repr, columns))}, "
        "of which none can be read so"
    )


def find_names(
    columns: Sequence[str], rows: Sequence[Sequence[str]], taken: Collection[int]
) -> list[str]:
    """Return the names of compounds, ``""`` where there is none.

    Parameters
    ----------
    columns : list of str
    rows : list of list of str
        A row for each compound.
    taken : set of int
        The places of columns that hold something else.

    Returns
    -------
    list of str
        The cells of the first column that is called "id", "name", "compound" or the like, if most
        of its cells differ, or else of the first column of words that all differ.
    """
    places = [n for n in range(len(columns)) if n not in taken]
    cells = {n: [row[n].strip() for row in rows] for n in places}
    ranks = {n: _name_rank(columns[n]) for n in places}
    called = [n for n in places if ranks[n] is not None and 2 * len({*cells[n]} - {""}) > len(rows)]
    found = sorted(called, key=ranks.get) or [n for n in places if _are_names(cells[n])]
    return cells[found[0]] if found else [""] * len(rows)


def _name_rank(column: str) -> int | None:
    """Return how surely a column is called one of names, 0 for surely; None if it is not."""
    words = re.findall("[a-z]+", re.sub("(?<=[a-z])(?=[A-Z])", " ", column).casefold())
    return min((_NAMES.index(word) for word in words if word in _NAMES), default=None)


def _are_names(cells: Sequence[str]) -> bool:
    """Return whether cells are words that all differ."""
    numbers = ~read_results(cells, check_na_values(())).words
    return len({*cells} - {""}) == len(cells) and not numbers.any()


def place_of(path: str, what: str, columns: Sequence[str], name: str) -> int:
    """Return the place of a column that was named, or raise."""
    if name not in columns:
        raise ValueError(
            f"{path}: the column of {what} must be one of {listed(map(repr, columns))}. "
            f"Received: {name!r}"
        )
    return columns.index(name)


def _readable(cells: Sequence[str]) -> float:
    """Return which share of cells are SMILES."""
    return 1 - len(read_molecules(cells)[1]) / len(cells)


def _are_long(cells: Sequence[str]) -> bool:
    """Return whether cells are too long to be read as SMILES by chance, as "C" or "I" are."""
    return sum(map(len, cells)) / len(cells) > 5 and not all(c.strip().isdigit() for c in cells)


def _check_cells(path: str, column: str, cells: Sequence[str]) -> None:
    tried = [cell for cell in cells if cell.strip()][:_TRIED]
    if not tried or _readable(tried) <= 0.5:
        shown = repr(tried[0]) if tried else "no cell that is not blank"
        raise ValueError(
            f"{path}: the column {column!r} must hold SMILES. Received: {shown}, and more than "
            "half of the first cells cannot be read"
        )
