"""Tables of molecules and their results in assays, from CSV files."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from deepchem_meta._checks import check_option
from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks._result_cells import (
    QUALIFIERS,
    Results,
    check_na_values,
    read_results,
)
from deepchem_meta.tasks._text_tables import (
    Cells,
    check_delimiter,
    check_encoding,
    read_cells,
)

__all__ = ["AssayTable", "read_assays_csv"]

_NUMBERS = (
    "a result must be a number, with a decimal point, or missing; `assays` names the columns to "
    "read, `na_values` what stands for a missing result, and `qualifiers` says how to take "
    "results such as '>10'"
)
_UNQUALIFIED = (
    'a result must have no qualifier; qualifiers="drop" takes such for missing, and '
    'qualifiers="bound" takes their number'
)
_NO_NAME = re.compile(r"Unnamed: \d+(\.\d+)*")


class AssayTable(NamedTuple):
    """What a CSV file of assays holds.

    Attributes
    ----------
    smiles : list of str
        The SMILES of each row, without surrounding blanks.
    names : list of str
        The assays.
    y : float64 array of shape (len(smiles), len(names))
        The results; NaN is missing.
    lines : list of int
        The line of the file on which each row begins. The first line, of names, is 1.
    left_out : dict of str to str
        The reason why each other column is no assay, in the order of columns. A column without a
        name goes by its place, such as ``"column 1 (no name)"``.
    qualified : dict of str to int
        How many results of each assay had a qualifier, such as ">10". Assays without any are not
        in it.
    """

    smiles: list[str]
    names: list[str]
    y: np.ndarray
    lines: list[int]
    left_out: dict[str, str]
    qualified: dict[str, int]


def read_assays_csv(
    path: str | os.PathLike,
    *,
    smiles: str = "smiles",
    assays: Sequence[str] | None = None,
    na_values: Sequence[str] = (),
    qualifiers: str = "raise",
    encoding: str | None = None,
    delimiter: str | None = None,
) -> AssayTable:
    """Read a table of molecules and their results in assays.

    Parameters
    ----------
    path : str or path
        A CSV file whose first line names the columns, gzipped if its name ends in .gz. Blanks
        round names do not count, and lines of nothing but blank cells are left out.
    smiles : str, default "smiles"
        The column of the SMILES.
    assays : list of str, optional
        The columns of the assays. By default, all other columns that have a name and a number.
        ``Unnamed: 0``, as pandas calls a column without a name, is taken for none.
    na_values : list of str, default ()
        Cells that stand for a missing result, beside the empty one, ``-``, ``?``, ``#N/A``,
        ``<NA>``, ``N/A``, ``NA``, ``n.a.``, ``NaN``, ``nd``, ``n.d.``, ``None`` and ``null``.
        Capital and small letters are the same, and surrounding blanks do not count.
    qualifiers : {"raise", "drop", "bound"}, default "raise"
        What to do with results such as ``>10``, ``<0.5``, ``>=3`` and ``~5``: refuse them, take
        them for missing, or take their number.
    encoding : str, optional
        The file's encoding, such as "cp1252". By default UTF-8, or what the byte order mark of
        UTF-16 says.
    delimiter : str, optional
        What stands between two cells. By default the comma, semicolon or tab, whichever the
        first line has.

    Returns
    -------
    AssayTable

    Raises
    ------
    TypeError
        If an argument is of a wrong type.
    ValueError
        If the file is no text in its encoding; a column is not there, or twice there; a row has
        more or fewer cells than the first line; an assay has a number and a cell that is neither
        a number nor missing; a result has a qualifier, unless `qualifiers` says what to do; or
        there are no molecules or no assays.

    Notes
    -----
    A number has an optional sign, digits with an optional decimal point, and an optional exponent.
    So ``1,5``, ``2023_001``, ``0x1`` and ``inf`` are none.
    """
    path = Path(path)
    missing = check_na_values(na_values)
    check_option("qualifiers", qualifiers, QUALIFIERS)
    smiles, asked = _check_names(smiles, assays)
    cells = read_cells(path, smiles, check_encoding(encoding), check_delimiter(delimiter))
    _check_columns(path, cells, [smiles, *(asked or ())])
    found: dict[str, Results] = {}
    left_out: dict[str, str] = {}
    for place, name in enumerate(cells.columns):
        if name == smiles:
            continue
        column = [row[place] for row in cells.rows]
        results = read_results(column, missing)
        reason = _why_left_out(name, column, results, asked)
        if reason is None:
            _check_results(f"{path}, column {name!r}", column, cells.lines, results, qualifiers)
            found[name] = results
        else:
            left_out[name or f"column {place + 1} (no name)"] = reason
    if not found:
        reasons = listed(f"{name!r} {reason}" for name, reason in left_out.items())
        raise ValueError(
            f"{path} must have a column of numbers. Received: a file without one, beside the "
            f"column {smiles!r}: {reasons or 'it has no other column'}"
        )
    place = cells.columns.index(smiles)
    names = list(found) if asked is None else asked
    values = [
        np.where(results.qualified & (qualifiers == "drop"), np.nan, results.values)
        for results in (found[name] for name in names)
    ]
    counts = {name: int(found[name].qualified.sum()) for name in names}
    return AssayTable(
        smiles=[row[place].strip() for row in cells.rows],
        names=names,
        y=np.stack(values, axis=1),
        lines=cells.lines,
        left_out=left_out,
        qualified={name: count for name, count in counts.items() if count},
    )


def _check_names(smiles: str, assays: Sequence[str] | None) -> tuple[str, list[str] | None]:
    """Return the names of the columns that are wanted, without surrounding blanks."""
    if not isinstance(smiles, str):
        raise TypeError(f"`smiles` must be the name of a column. Received: smiles={smiles!r}")
    if assays is None:
        return smiles.strip(), None
    names = [assays] if isinstance(assays, str) else list(assays)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"`assays` must be names of columns. Received: assays={names!r}")
    smiles, *names = (name.strip() for name in (smiles, *names))
    if not names or len({smiles, *names}) <= len(names):
        raise ValueError(
            "`assays` must be at least one column, each once, and not that of the SMILES, "
            f"{smiles!r}. Received: assays={names!r}"
        )
    return smiles, names


def _check_columns(path: Path, cells: Cells, wanted: list[str]) -> None:
    """Raise if a column is missing, or the table has no rows."""
    missing = [name for name in wanted if not name or name not in cells.columns]
    if missing:
        raise ValueError(
            f"{path} must have the columns {', '.join(map(repr, wanted))}; `smiles` and `assays` "
            f"name others, and `delimiter` says what stands between two. Received: a file without "
            f"{', '.join(map(repr, missing))}, with the columns "
            f"{', '.join(map(repr, cells.columns)) or 'none'}"
        )
    if not cells.rows:
        raise ValueError(f"{path} must have molecules. Received: a file of one line")


def _why_left_out(
    name: str, column: list[str], results: Results, asked: list[str] | None
) -> str | None:
    """Return why a column is not an assay, or None if it is one."""
    if not name:
        return "has no name"
    if asked is not None:
        return None if name in asked else "is not among `assays`"
    if _NO_NAME.fullmatch(name):
        return "has the name that pandas gives to a column without one"
    if np.isfinite(results.values).any():
        return None
    if results.words.any():
        return f"has no numbers, but words such as {column[results.words.argmax()]!r}"
    return "has no results"


def _check_results(
    where: str, column: list[str], lines: list[int], results: Results, qualifiers: str
) -> None:
    """Raise if a cell of an assay is no result."""
    if results.words.any():
        wrong, rule = results.words, _NUMBERS
    elif results.qualified.any() and qualifiers == "raise":
        wrong, rule = results.qualified, _UNQUALIFIED
    else:
        return
    first = int(wrong.argmax())
    raise ValueError(
        f"{where}, line {lines[first]}: {rule}. "
        f"Received: {column[first]!r}, and {int(wrong.sum()) - 1} more such cells"
    )
