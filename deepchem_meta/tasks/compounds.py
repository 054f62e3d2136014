"""The compounds of one assay: those that were measured, and those that were not."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from deepchem_meta._checks import check_option
from deepchem_meta.tasks._assay_checks import check_results
from deepchem_meta.tasks._duplicates import MergedRows, merge_rows, number_molecules
from deepchem_meta.tasks._molecule_tables import (
    DroppedRow,
    MoleculeRows,
    check_reading,
    featurize,
)
from deepchem_meta.tasks.tables import read_assays_csv

__all__ = ["Candidates", "Compounds", "compounds_from_csv"]


class Candidates(NamedTuple):
    """Compounds without a result.

    Attributes
    ----------
    x : float32 array of shape (candidates, features)
    smiles : list of str
    lines : int64 array of shape (candidates,)
        The line of the file on which each begins.
    """

    x: np.ndarray
    smiles: list[str]
    lines: np.ndarray


class Compounds(NamedTuple):
    """The compounds of one assay.

    Attributes
    ----------
    x : float32 array of shape (compounds, features)
        The features of the compounds that have a result.
    y : float32 array of shape (compounds, 1)
        Their results.
    smiles : list of str
        Their SMILES.
    lines : int64 array of shape (compounds,)
        The line of the file on which each begins; the first line, of names, is 1.
    assay : str
        The assay's column.
    candidates : Candidates
        The compounds without a result, with `x`, `smiles` and `lines` of their own.
    left_out : dict of str to str
        The reason why each other column is not the assay.
    dropped_rows : list of DroppedRow
        The rows whose SMILES could not be read, with `line`, `smiles` and `reason`.
    qualified : int
        How many results had a qualifier, such as ">10".
    merged : MergedRows
        How many `rows` of how many `molecules` were merged, and how many of these have results
        that differ (`conflicts`).
    """

    x: np.ndarray
    y: np.ndarray
    smiles: list[str]
    lines: np.ndarray
    assay: str
    candidates: Candidates
    left_out: dict[str, str]
    dropped_rows: list[DroppedRow]
    qualified: int
    merged: MergedRows

    @property
    def support(self) -> tuple[np.ndarray, np.ndarray]:
        """``(x, y)``, as the method `adapt` of an algorithm takes it."""
        return self.x, self.y


def compounds_from_csv(
    path: str | os.PathLike,
    *,
    smiles: str = "smiles",
    assay: str | None = None,
    featurizer: Callable[[list[str]], Any] | None = None,
    on_error: str = "raise",
    na_values: Sequence[str] = (),
    qualifiers: str = "raise",
    encoding: str | None = None,
    delimiter: str | None = None,
    duplicates: str = "merge",
) -> Compounds:
    r"""Read the compounds of one assay, however few, to adapt to it and to rank the others.

    Parameters
    ----------
    path : str or path
        A CSV file whose first line names the columns, gzipped if its name ends in .gz.
    smiles : str, default "smiles"
        The column of the SMILES.
    assay : str, optional
        The column of the assay. By default, the only column of numbers.
    featurizer : callable, optional
        Makes of a list of SMILES an array of shape (molecules, features). By default,
        `morgan_fingerprints`. It must be the one that the model was trained with.
    on_error : {"raise", "drop"}, default "raise"
        What to do with SMILES that cannot be read. Those dropped are in `dropped_rows`.
    na_values, qualifiers, encoding, delimiter : optional
        How to read the cells, as in `AssayTasks.from_csv`.
    duplicates : {"merge", "raise"}, default "merge"
        What to do with a molecule that has several rows. Merged, its result is the majority of
        its labels where all results of the assay are 0 or 1, and otherwise the mean. A molecule
        without a majority has no result. It stands where its first row does.

    Returns
    -------
    Compounds
        Each molecule is there once: among the compounds with a result, or among the candidates.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, the file cannot be read, it has several assays and `assay` names
        none, or no compound has a result.
    ImportError
        If RDKit is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from deepchem_meta.tasks import compounds_from_csv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "mine.csv")
    ...     _ = path.write_text("smiles,active\nCCO,0\nCCN,1\nCCCl,\n")
    ...     compounds = compounds_from_csv(path)
    >>> x, y = compounds.support
    >>> x.shape, y.ravel()
    ((2, 2048), array([0., 1.], dtype=float32))
    >>> compounds.candidates.smiles
    ['CCCl']
    """
    check_reading(featurizer, on_error)
    check_option("duplicates", duplicates, ("merge", "raise"))
    table = read_assays_csv(
        path,
        smiles=smiles,
        assays=None if assay is None else [assay],
        na_values=na_values,
        qualifiers=qualifiers,
        encoding=encoding,
        delimiter=delimiter,
    )
    if len(table.names) > 1:
        raise ValueError(
            f"{path} must have one assay, or `assay` must name the one to read. "
            f"Received: {len(table.names)} assays: {', '.join(map(repr, table.names))}"
        )
    rows = featurize(table, featurizer, on_error)
    y, _ = check_results(rows.y, None, table.names, "regression")
    molecules = number_molecules(rows.canonical)
    y, _, merged = merge_rows(
        y,
        None,
        molecules,
        names=table.names,
        ids=rows.smiles,
        classes=bool(np.isin(y[~np.isnan(y)], (0, 1)).all()),
        duplicates=duplicates,
    )
    first = np.unique(molecules, return_index=True)[1]
    missing = np.isnan(y[first, 0])
    if missing.all():
        raise ValueError(
            f"{path} must have a compound with a result in {table.names[0]!r}. Received: none"
        )
    known = first[~missing]
    return Compounds(
        x=rows.x[known],
        y=y[known],
        smiles=[rows.smiles[i] for i in known],
        lines=rows.lines[known],
        assay=table.names[0],
        candidates=_candidates(rows, first[missing]),
        left_out=table.left_out,
        dropped_rows=rows.dropped,
        qualified=sum(table.qualified.values()),
        merged=merged,
    )


def _candidates(rows: MoleculeRows, places: np.ndarray) -> Candidates:
    return Candidates(rows.x[places], [rows.smiles[i] for i in places], rows.lines[places])
