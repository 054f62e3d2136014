"""Reads the measured compounds of one assay, however they are written down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deepchem_meta._checks import check_option
from deepchem_meta.ranking._columns import find_names, find_smiles
from deepchem_meta.ranking._formats import check_format
from deepchem_meta.ranking._result_column import ResultColumn
from deepchem_meta.ranking._result_search import find_result
from deepchem_meta.ranking._words import counted
from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks._molecule_tables import DroppedRow
from deepchem_meta.tasks._text_tables import Cells, read_cells
from deepchem_meta.tasks.molecules import canonical_smiles, read_standard
from deepchem_meta.tasks.standardizing import Standardizer

__all__ = ["Measured", "read_measured"]

_FAR = 1  # between negative logarithms of one molecule: a factor of 10
_SAME = 1e-6  # of values, relative to the largest if that is above 1
_FEWEST = {"classification": 2, "regression": 4}  # of each class; in all


class Measured(NamedTuple):
    """The measured compounds of one assay, each molecule once.

    Attributes
    ----------
    smiles : list of str
        As they are written where each molecule first stands.
    canonical : list of str
        RDKit's canonical SMILES of their standard form.
    values : float64 array of shape (molecules,)
        1 for active and 0 for inactive, or values; concentrations are -log10 of mol/L.
    lines : list of int
        The line of the file on which each molecule first stands.
    task_type : {"classification", "regression"}
    columns : tuple of str
        The names of the columns of SMILES and of results.
    unit : str or None
        That of concentrations.
    names : list of str
        What the molecules are called in another column; ``""`` where nothing is found.
    signs : list of str
        What stood before each result that was taken for its number: ``">"`` or ``"<"`` of a
        bound, ``"~"``, or nothing. The sign belongs to `values`: ``>10000 nM`` is ``<`` 5.
    merged : int
        How many rows were merged into an earlier one of the same molecule.
    contradicting : list of list of int
        The lines of each molecule whose labels differ, or whose negative logarithms of
        concentrations differ by more than 1.
    undecided : list of str
        The canonical SMILES of the molecules that are left out: those with as many labels of either
        class.
    unreadable : list of DroppedRow
        The rows whose SMILES cannot be read, with `line`, `smiles` and `reason`.
    missing : int
        How many rows have no result.
    """

    smiles: list[str]
    canonical: list[str]
    values: np.ndarray
    lines: list[int]
    task_type: str
    columns: tuple[str, str]
    unit: str | None
    names: list[str]
    signs: list[str]
    merged: int
    contradicting: list[list[int]]
    undecided: list[str]
    unreadable: list[DroppedRow]
    missing: int

    def __len__(self) -> int:
        return len(self.canonical)

    @property
    def scale(self) -> str:
        """The scale of `values`: -log10(mol/L), or the name of the column."""
        return self.columns[1] if self.unit is None else "-log10(mol/L)"

    @property
    def bounds(self) -> list[int]:
        """The places of molecules whose result is a bound."""
        return [n for n, sign in enumerate(self.signs) if sign in ("<", ">")]

    def shown(self, place: int, form: str) -> str:
        """Return the result of a molecule as text, with its sign.

        Parameters
        ----------
        place : int
        form : str
            The format of its number, such as ".2f".
        """
        return f"{self.signs[place]}{self.values[place]:{form}}"


def read_measured(
    path: str | os.PathLike,
    *,
    smiles: str | None = None,
    result: str | None = None,
    unit: str | None = None,
    duplicates: str = "merge",
    standardizer: Standardizer | None = None,
) -> Measured:
    """Read the measured compounds of one assay from a CSV file.

    Parameters
    ----------
    path : str or path
        A CSV file whose first line names the columns, gzipped if its name ends in .gz. Numbers have
        a point and no thousands separators.
    smiles : str, optional
        The column of SMILES. By default it is found by its name or its cells.
    result : str, optional
        The column of labels or values. By default it is the only one of labels, or the only one
        whose name says so ("active", "label", "pIC50", "IC50 (nM)", ...). Numbers under another
        name, such as "MW", are taken only if they are named here.
    unit : {"M", "mM", "uM", "nM", "pM", "fM"}, optional
        The unit of concentrations. By default that of the cells, of the column's name, or of a
        column of units beside it. Names such as "pIC50" or "-log IC50" are of negative logarithms,
        which have none.
    duplicates : {"merge", "raise"}, default "merge"
        What to do with molecules of several rows. Merged, a molecule has the label of the majority
        or the mean of its values. One with as many labels of either class is left out.
    standardizer : Standardizer, optional
        By default ``Standardizer()``: salts are stripped and charges neutralised.

    Returns
    -------
    Measured

    Raises
    ------
    ValueError
        If a column is not found, its cells are not as described, it is in doubt whether more is
        better, or there are too few compounds: 2 of each class, or 4 values that are not all equal.
    ImportError
        If RDKit is not installed.
    """
    check_option("duplicates", duplicates, ("merge", "raise"))
    path = Path(path)
    check_format(path, names=False)
    cells = read_cells(path, smiles or "smiles", None, None)
    if not cells.rows:
        raise ValueError(f"{path} must have a row for each compound. Received: none")
    place = find_smiles(str(path), cells.columns, cells.rows, smiles)
    where, column = find_result(str(path), cells, place, result, unit)
    rows = _read_rows(
        cells, place, column, Standardizer() if standardizer is None else standardizer
    )
    if duplicates == "raise":
        _refuse_several(path, cells, rows.groups)
    merged = _merge(rows.groups, column)
    found = Measured(
        smiles=[cells.rows[n][place].strip() for n in merged.rows],
        canonical=merged.canonical,
        values=np.array(merged.values),
        lines=[cells.lines[n] for n in merged.rows],
        task_type=column.task_type,
        columns=(cells.columns[place], cells.columns[where]),
        unit=column.unit,
        names=find_names(cells.columns, [cells.rows[n] for n in merged.rows], {place, where}),
        signs=merged.signs,
        merged=sum(len(group) - 1 for group in rows.groups.values()),
        contradicting=[[cells.lines[n] for n in group] for group in merged.contradicting],
        undecided=merged.undecided,
        unreadable=rows.unreadable,
        missing=int(np.isnan(column.values).sum()),
    )
    _check_enough(path, found)
    return found


class _Rows(NamedTuple):
    """The rows of each molecule by its canonical SMILES, and those that cannot be read."""

    groups: dict[str, list[int]]
    unreadable: list[DroppedRow]


def _read_rows(cells: Cells, place: int, column: ResultColumn, standardizer: Standardizer) -> _Rows:
    """Read the molecules of the rows that have a result."""
    texts = [row[place].strip() for row in cells.rows]
    molecules, reasons = read_standard(texts, standardizer)
    kept = [n for n in range(len(texts)) if n not in reasons and not np.isnan(column.values[n])]
    groups: dict[str, list[int]] = {}
    for n, canonical in zip(kept, canonical_smiles(molecules[n] for n in kept), strict=True):
        groups.setdefault(canonical, []).append(n)
    unreadable = [DroppedRow(cells.lines[n], texts[n], reasons[n]) for n in sorted(reasons)]
    return _Rows(groups, unreadable)


def _refuse_several(path: Path, cells: Cells, groups: dict[str, list[int]]) -> None:
    """Raise ValueError if a molecule has several rows."""
    lines = [[cells.lines[n] for n in group] for group in groups.values() if len(group) > 1]
    if lines:
        raise ValueError(
            f"{path}: each molecule must have one row. Received: several on the lines "
            f"{listed(map(str, lines))}"
        )


class _Merged(NamedTuple):
    """The molecules' first rows and results, the rows of contradictions, and what is left out."""

    rows: list[int]
    canonical: list[str]
    values: list[float]
    signs: list[str]
    contradicting: list[list[int]]
    undecided: list[str]


def _merge(groups: dict[str, list[int]], column: ResultColumn) -> _Merged:
    """Return one result for each molecule; `groups` has the rows of each."""
    merged = _Merged([], [], [], [], [], [])
    labels = column.task_type == "classification"
    for canonical, group in groups.items():
        values = column.values[group]
        if np.ptp(values) > (0 if labels else _FAR if column.logarithmic else np.inf):
            merged.contradicting.append(group)
        value = float(np.mean(values))
        if labels and value == 0.5:
            merged.undecided.append(canonical)
            continue
        signs = {column.signs[n] for n in group} - {""}
        merged.rows.append(group[0])
        merged.canonical.append(canonical)
        merged.values.append(float(value > 0.5) if labels else value)
        merged.signs.append(signs.pop() if len(signs) == 1 else "~" if signs else "")
    return merged


def _check_enough(path: Any, found: Measured) -> None:
    """Raise ValueError unless there is something to learn from."""
    fewest = _FEWEST[found.task_type]
    unreadable = f"; {counted(len(found.unreadable), 'row')} could not be read"
    left_out = unreadable if found.unreadable else ""
    if found.task_type == "classification":
        active = int(found.values.sum())
        inactive = len(found) - active
        if min(active, inactive) < fewest:
            raise ValueError(
                f"{path}: at least {fewest} active and {fewest} inactive compounds must be "
                f"measured. Received: {active} active and {inactive} inactive in "
                f"{found.columns[1]!r}{left_out}"
            )
    elif len(found) < fewest:
        raise ValueError(
            f"{path}: at least {fewest} compounds must be measured. Received: {len(found)} in "
            f"{found.columns[1]!r}{left_out}"
        )
    elif np.ptp(found.values) < _SAME * max(1, np.abs(found.values).max()):
        raise ValueError(
            f"{path}: the values in {found.columns[1]!r} must differ by {_SAME:g} or more. "
            f"Received: {len(found)} of {found.values[0]:g}"
        )
