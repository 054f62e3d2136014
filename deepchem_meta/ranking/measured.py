"""Reads the measured compounds of one assay, however they are written down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deepchem_meta._checks import check_option
from deepchem_meta.ranking._columns import find_names, find_result, find_smiles
from deepchem_meta.ranking._formats import check_format
from deepchem_meta.ranking._result_column import ResultColumn
from deepchem_meta.ranking._words import counted
from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks._molecule_tables import DroppedRow
from deepchem_meta.tasks._text_tables import read_cells
from deepchem_meta.tasks.molecules import canonical_smiles, read_molecules
from deepchem_meta.tasks.standardizing import Standardizer

__all__ = ["Measured", "read_measured"]

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
        The lines of each molecule whose labels differ. Without a majority it is left out.
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
        The column of labels or values. By default it is the only such one, or the only one whose
        name says so ("active", "label", "pIC50", "IC50 (nM)", ...).
    unit : {"M", "mM", "uM", "nM", "pM", "fM"}, optional
        The unit of concentrations. By default that of the cells or of the column's name.
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
        If a column is not found, its cells are not as described, or there are too few compounds:
        2 of each class, or 4 values that are not all equal.
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
    where, column = find_result(str(path), cells.columns, cells.rows, place, result, unit)
    texts = [row[place].strip() for row in cells.rows]
    molecules, reasons = read_molecules(texts)
    unreadable = [DroppedRow(cells.lines[n], texts[n], why) for n, why in reasons.items()]
    there = ~np.isnan(column.values)
    kept = [n for n in range(len(texts)) if n not in reasons and there[n]]
    standardizer = Standardizer() if standardizer is None else standardizer
    canonical = canonical_smiles(standardizer(molecules[n]) for n in kept)
    groups: dict[str, list[int]] = {}
    for n, molecule in zip(kept, canonical, strict=True):
        groups.setdefault(molecule, []).append(n)
    merged = _merge(groups, column)
    rows = merged.rows
    if duplicates == "raise" and len(kept) > len(groups):
        lines = [[cells.lines[n] for n in group] for group in groups.values() if len(group) > 1]
        raise ValueError(
            f"{path}: each molecule must have one row. Received: several on the lines "
            f"{listed(map(str, lines))}"
        )
    found = Measured(
        smiles=[texts[n] for n in rows],
        canonical=[molecule for molecule, group in groups.items() if group[0] in set(rows)],
        values=np.array(merged.values),
        lines=[cells.lines[n] for n in rows],
        task_type=column.task_type,
        columns=(cells.columns[place], cells.columns[where]),
        unit=column.unit,
        names=find_names(cells.columns, [cells.rows[n] for n in rows], {place, where}),
        signs=merged.signs,
        merged=len(kept) - len(groups),
        contradicting=[[cells.lines[n] for n in group] for group in merged.contradicting],
        unreadable=unreadable,
        missing=int((~there).sum()),
    )
    _check_enough(path, found)
    return found


class _Merged(NamedTuple):
    """The first row, the value and the sign of each molecule, and the rows of contradictions."""

    rows: list[int]
    values: list[float]
    signs: list[str]
    contradicting: list[list[int]]


def _merge(groups: dict[str, list[int]], column: ResultColumn) -> _Merged:
    """Return one result for each molecule; `groups` has the rows of each."""
    merged = _Merged([], [], [], [])
    for group in groups.values():
        value = float(np.mean(column.values[group]))
        if column.task_type == "classification":
            if 0 < value < 1:
                merged.contradicting.append(group)
            if value == 0.5:
                continue
            value = float(value > 0.5)
        signs = {column.signs[n] for n in group} - {""}
        merged.rows.append(group[0])
        merged.values.append(value)
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
    elif np.ptp(found.values) == 0:
        raise ValueError(
            f"{path}: the values in {found.columns[1]!r} must differ. "
            f"Received: {len(found)} of {found.values[0]:g}"
        )
