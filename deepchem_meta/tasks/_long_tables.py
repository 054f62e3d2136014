"""Tables with a row for each result: an assay, a molecule and a value."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deepchem_meta._checks import check_option
from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks._assay_results import AssayResults
from deepchem_meta.tasks._duplicates import MergedRows, merge_long, warn_of_conflicts
from deepchem_meta.tasks._molecule_tables import DroppedRow
from deepchem_meta.tasks._result_cells import QUALIFIERS, check_na_values, read_results
from deepchem_meta.tasks._text_tables import check_delimiter, check_encoding, read_cells
from deepchem_meta.tasks.molecule_features import Molecules
from deepchem_meta.tasks.molecules import refuse_unreadable

__all__ = ["LongTable", "ReadResults", "read_fs_mol", "read_long_csv"]


class LongTable(NamedTuple):
    """Results, a row each.

    Attributes
    ----------
    assays : list of str
    smiles : list of str
    values : float64 array of shape (results,)
        NaN is missing.
    lines : list of int
        The line of a file on which each stands.
    qualified : dict of str to int
        How many results of each assay had a qualifier, such as ">10".
    """

    assays: list[str]
    smiles: list[str]
    values: np.ndarray
    lines: list[int]
    qualified: dict[str, int]

    @classmethod
    def checked(cls, assays: Any, smiles: Any, values: Any, lines: Any) -> LongTable:
        """Return the columns as given by a user, or raise."""
        for name, column in (("assays", assays), ("smiles", smiles)):
            if isinstance(column, str) or not all(isinstance(text, str) for text in column):
                raise TypeError(
                    f"`{name}` must be a list of str, one for each result. "
                    f"Received: {type(column).__name__}"
                )
        numbers = np.asarray(values)
        if numbers.dtype.kind not in "fiub" or numbers.ndim != 1:
            raise TypeError(
                "`values` must be an array of numbers of shape (results,). "
                f"Received: dtype {numbers.dtype} and shape {numbers.shape}"
            )
        assays, smiles = list(assays), [text.strip() for text in smiles]
        lines = list(range(1, len(assays) + 1)) if lines is None else list(lines)
        lengths = {len(assays), len(smiles), len(numbers), len(lines)}
        if len(lengths) != 1 or not assays:
            raise ValueError(
                "`assays`, `smiles` and `values` must be as long as each other, at least one. "
                f"Received: {len(assays)}, {len(smiles)} and {len(numbers)}"
            )
        blank = [line for line, name in zip(lines, assays, strict=True) if not name.strip()]
        if blank:
            raise ValueError(
                "Each result must have the name of its assay. "
                f"Received: {len(blank)} without, on the lines {listed(blank)}"
            )
        return cls(assays, smiles, numbers.astype(np.float64), lines, {})


class ReadResults(NamedTuple):
    """The results of a long table, numbered and merged.

    Attributes
    ----------
    results : AssayResults
    names : list of str
        The assays, in the order in which they first occur.
    molecules : int64 array of shape (compounds,)
        Which of all molecules each compound is: those that have a result.
    merged : MergedRows
    dropped : list of DroppedRow
        The rows whose SMILES cannot be read.
    """

    results: AssayResults
    names: list[str]
    molecules: np.ndarray
    merged: MergedRows
    dropped: list[DroppedRow]

    @classmethod
    def of(
        cls, table: LongTable, molecules: Molecules, on_error: str, task_type: str, duplicates: str
    ) -> ReadResults:
        """Return the results of a table, merged where a molecule has several in an assay.

        Parameters
        ----------
        table : LongTable
        molecules : Molecules
            Those of the table's SMILES.
        on_error, task_type, duplicates : str
            As in `AssayTasks`.
        """
        classes = task_type == "classification"
        wrong = {
            i: molecules.reasons[table.smiles[i]] for i in np.flatnonzero(molecules.number < 0)
        }
        if wrong and (on_error == "raise" or len(wrong) == len(table.smiles)):
            refuse_unreadable(table.smiles, wrong, table.lines)
        kept = np.flatnonzero((molecules.number >= 0) & ~np.isnan(table.values))
        _check_values(table, kept, classes)
        names = list(dict.fromkeys(table.assays[i] for i in kept))
        number = {name: place for place, name in enumerate(names)}
        assay = np.array([number[table.assays[i]] for i in kept], np.int64)
        compounds, compound = np.unique(molecules.number[kept], return_inverse=True)
        values = table.values[kept]
        results, repeated, conflicts = merge_long(assay, compound, values, classes, len(names))
        if repeated.size and duplicates == "raise":
            places = (f"{table.lines[kept[i]]} ({table.smiles[kept[i]]})" for i in repeated)
            raise ValueError(
                'Each compound must have one result in an assay (duplicates="merge" merges '
                f"several). Received: {repeated.size} rows of compounds with several, on the "
                f"lines {listed(places)}"
            )
        differ = {name: int(n) for name, n in zip(names, conflicts, strict=True) if n}
        if differ:
            warn_of_conflicts(differ, classes)
        several = len(np.unique(compound[repeated]))
        dropped = [DroppedRow(table.lines[i], table.smiles[i], why) for i, why in wrong.items()]
        return cls(results, names, compounds, MergedRows(repeated.size, several, differ), dropped)


def read_long_csv(
    path: str | os.PathLike,
    *,
    assay: str,
    smiles: str,
    value: str,
    encoding: str | None,
    delimiter: str | None,
    na_values: Sequence[str],
    qualifiers: str,
) -> LongTable:
    """Read a long table from a CSV file; parameters are those of `AssayTasks.from_long_csv`."""
    check_option("qualifiers", qualifiers, QUALIFIERS)
    missing, path = check_na_values(na_values), Path(path)
    cells = read_cells(path, smiles, check_encoding(encoding), check_delimiter(delimiter))
    wanted = {"assay": assay, "smiles": smiles, "value": value}
    absent = [
        f"{name}={column!r}" for name, column in wanted.items() if column not in cells.columns
    ]
    if absent:
        raise ValueError(
            f"{path}: `assay`, `smiles` and `value` must name columns of the file. Received: "
            f"{', '.join(absent)}, where it has {listed(map(repr, cells.columns), 12)}"
        )
    columns = {
        name: [row[cells.columns.index(column)].strip() for row in cells.rows]
        for name, column in wanted.items()
    }
    found = read_results(columns["value"], missing)
    _refuse(path, "be a number or missing", found.words, columns["value"], cells.lines)
    if qualifiers == "raise":
        rule = 'have no qualifier; qualifiers="drop" takes such for missing, "bound" their number'
        _refuse(path, rule, found.qualified, columns["value"], cells.lines)
    values = np.where(found.qualified & (qualifiers == "drop"), np.nan, found.values)
    names, counts = np.unique(np.array(columns["assay"])[found.qualified], return_counts=True)
    qualified = dict(zip(names.tolist(), counts.tolist(), strict=True))
    return LongTable(columns["assay"], columns["smiles"], values, cells.lines, qualified)


def read_fs_mol(folder: str | os.PathLike, column: str) -> LongTable:
    """Read FS-Mol's files of a folder; `column` is the property to take."""
    paths = sorted(Path(folder).glob("*.jsonl.gz"))
    if not paths:
        raise ValueError(f"`folder` must have files *.jsonl.gz. Received: folder={str(folder)!r}")
    assays, smiles, values = [], [], []
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line, text in enumerate(file, start=1):
                try:
                    row = json.loads(text)
                    value = row[column]
                    smiles.append(row["SMILES"])
                    values.append(np.nan if value in (None, "") else float(value))
                except (ValueError, KeyError, TypeError) as error:
                    raise ValueError(
                        f"{path}, line {line}: a line must be JSON with SMILES and {column}. "
                        f"Received: {text[:80]!r}"
                    ) from error
                assays.append(path.name.removesuffix(".jsonl.gz"))
    return LongTable(assays, smiles, np.array(values), list(range(1, len(assays) + 1)), {})


def _check_values(table: LongTable, kept: np.ndarray, classes: bool) -> None:
    values = table.values[kept]
    allowed = np.isin(values, (0, 1)) if classes else np.isfinite(values.astype(np.float32))
    if kept.size == 0:
        raise ValueError("There must be at least one result. Received: none")
    if not allowed.all():
        rule = '0 or 1 (task_type="regression" takes numbers)' if classes else "finite in float32"
        wrong = (f"{table.values[i]} on line {table.lines[i]}" for i in kept[~allowed])
        raise ValueError(
            f"Values must be {rule}. Received: {(~allowed).sum()} others: {listed(wrong)}"
        )


def _refuse(
    path: Path, rule: str, wrong: np.ndarray, cells: Sequence[str], lines: Sequence[int]
) -> None:
    """Raise ValueError if cells break a rule, with their lines."""
    if wrong.any():
        bad = (f"{cells[i]!r} on line {lines[i]}" for i in np.flatnonzero(wrong))
        raise ValueError(
            f"{path}: a result must {rule}. Received: {wrong.sum()} that do not: {listed(bad)}"
        )
