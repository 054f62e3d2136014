"""Molecules as arrays, and tables of assays, by RDKit."""

from __future__ import annotations

import csv
import gzip
import importlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deepchem_meta._checks import check_count, check_flag, check_option
from deepchem_meta.tasks._arguments import listed

__all__ = ["AssayTable", "morgan_fingerprints", "parse_smiles", "read_assays_csv", "scaffolds"]


class AssayTable(NamedTuple):
    """What a CSV file of assays holds.

    Attributes
    ----------
    smiles : list of str
    names : list of str
        The assays.
    y : float64 array of shape (len(smiles), len(names))
        NaN where a cell is empty.
    """

    smiles: list[str]
    names: list[str]
    y: np.ndarray


def morgan_fingerprints(
    smiles: Sequence[Any], radius: int = 2, size: int = 2048, counts: bool = True
) -> np.ndarray:
    """Count the substructures round each atom of each molecule, hashed to a vector.

    Parameters
    ----------
    smiles : list of str, or of rdkit.Chem.Mol
        The molecules.
    radius : int, default 2
        The largest radius of a substructure, in bonds; 2 is also known as ECFP4.
    size : int, default 2048
        The length of a vector. Substructures that are hashed to the same place add up.
    counts : bool, default True
        Whether to give log(1 + count), which keeps frequent substructures from outweighing the
        others, or only 1 for those that are there.

    Returns
    -------
    float32 array of shape (len(smiles), size)

    Raises
    ------
    ValueError
        If a SMILES cannot be read, with the number of such and the first five.
    ImportError
        If RDKit is not installed.

    Examples
    --------
    >>> from deepchem_meta.tasks import morgan_fingerprints
    >>> x = morgan_fingerprints(["CCO", "c1ccccc1"], size=512)
    >>> x.shape, x.dtype
    ((2, 512), dtype('float32'))

    References
    ----------
    Rogers, D., and Hahn, M. (2010). Extended-connectivity fingerprints. Journal of Chemical
    Information and Modeling 50(5), 742-754.
    """
    radius, size = check_count("radius", radius), check_count("size", size, minimum=1)
    check_flag("counts", counts)
    generators = _rdkit("Chem.rdFingerprintGenerator")
    generator = generators.GetMorganGenerator(radius=radius, fpSize=size)
    fingerprint = (
        generator.GetCountFingerprintAsNumPy if counts else generator.GetFingerprintAsNumPy
    )
    molecules = parse_smiles(smiles)[0]
    x = np.empty((len(molecules), size), np.float32)
    for row, molecule in zip(x, molecules, strict=True):
        row[:] = fingerprint(molecule)
    return np.log1p(x, out=x) if counts else x


def scaffolds(smiles: Sequence[Any]) -> list[str]:
    """Return the Murcko scaffold of each molecule: its rings and what links them.

    Molecules of one scaffold resemble each other, so a test on scaffolds that training has not
    seen tells how well a model does on new chemistry.

    Parameters
    ----------
    smiles : list of str, or of rdkit.Chem.Mol
        The molecules.

    Returns
    -------
    list of str
        Canonical SMILES without stereochemistry; ``""`` for a molecule without rings.

    Raises
    ------
    ValueError
        If a SMILES cannot be read, with the number of such and the first five.
    ImportError
        If RDKit is not installed.

    Examples
    --------
    >>> from deepchem_meta.tasks import scaffolds
    >>> scaffolds(["Cc1ccccc1", "Oc1ccccc1CC", "CCO"])
    ['c1ccccc1', 'c1ccccc1', '']

    References
    ----------
    Bemis, G. W., and Murcko, M. A. (1996). The properties of known drugs. 1. Molecular
    frameworks. Journal of Medicinal Chemistry 39(15), 2887-2893.
    """
    murcko = _rdkit("Chem.Scaffolds.MurckoScaffold")
    return [murcko.MurckoScaffoldSmiles(mol=molecule) for molecule in parse_smiles(smiles)[0]]


def parse_smiles(smiles: Sequence[Any], on_error: str = "raise") -> tuple[list[Any], np.ndarray]:
    """Read SMILES.

    Parameters
    ----------
    smiles : list of str, or of rdkit.Chem.Mol
        Molecules are taken as they are. The empty SMILES is taken for a missing one.
    on_error : {"raise", "drop"}, default "raise"
        What to do with a SMILES that cannot be read.

    Returns
    -------
    molecules : list of rdkit.Chem.Mol
    kept : int array of shape (len(molecules),)
        Where in `smiles` they are.

    Raises
    ------
    TypeError
        If `smiles` is one string.
    ValueError
        If some cannot be read and are not to be dropped, with their number and the first five.
    """
    check_option("on_error", on_error, ("raise", "drop"))
    if isinstance(smiles, str):
        raise TypeError(f"`smiles` must be a list of SMILES. Received: smiles={smiles!r}")
    chem, base = _rdkit("Chem"), _rdkit("rdBase")

    def parse(text: Any) -> Any:
        if isinstance(text, chem.Mol):
            return text
        return chem.MolFromSmiles(text) if isinstance(text, str) and text.strip() else None

    with base.BlockLogs():  # what RDKit writes of each SMILES that it cannot read
        molecules = [parse(text) for text in smiles]
    kept = np.flatnonzero([molecule is not None for molecule in molecules])
    if on_error == "raise" and len(kept) < len(molecules):
        bad = [repr(text) for text, molecule in zip(smiles, molecules, strict=True) if not molecule]
        raise ValueError(
            "Every SMILES must be readable. "
            f"Received: {len(bad)} of {len(molecules)} that RDKit cannot read: {listed(bad)}"
        )
    return [molecules[i] for i in kept], kept


def read_assays_csv(
    path: str | os.PathLike, *, smiles: str = "smiles", assays: Sequence[str] | None = None
) -> AssayTable:
    """Read a table of molecules and their results in assays.

    Parameters
    ----------
    path : str or path
        A CSV file in UTF-8 whose first line names the columns, gzipped if its name ends in .gz.
    smiles : str, default "smiles"
        The column of the SMILES.
    assays : list of str, optional
        The columns of the assays. By default, all other columns of numbers; one in which most
        cells are no numbers, such as names, is left out.

    Returns
    -------
    AssayTable

    Raises
    ------
    ValueError
        If a column is not there, twice there, or has some cells that are no numbers, a line has
        more or fewer cells than the first, or there are no molecules or no assays.
    """
    path = Path(path)
    columns, rows = _read_cells(path)
    wanted = [smiles, *(assays or ())]
    missing = [name for name in wanted if columns.count(name) != 1]
    if missing:
        raise ValueError(
            f"{path} must have each of the columns {', '.join(map(repr, wanted))} once. "
            f"Received: a file with the columns {', '.join(map(repr, columns))}"
        )
    if not rows:
        raise ValueError(f"{path} must have molecules. Received: a file of one line")
    names = [name for name in columns if name != smiles] if assays is None else list(assays)
    numbers = [_numbers(path, name, rows, columns.index(name), assays) for name in names]
    kept = {name: column for name, column in zip(names, numbers, strict=True) if column is not None}
    if not kept:
        raise ValueError(
            f"{path} must have a column of numbers. "
            f"Received: a file with the columns {', '.join(map(repr, columns))}"
        )
    place = columns.index(smiles)
    return AssayTable([row[place] for row in rows], list(kept), np.stack(list(kept.values()), 1))


def _read_cells(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns, and the cells of each line that is not blank."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        columns = next(reader, [])
        rows = []
        for row in reader:
            if row and len(row) != len(columns):
                raise ValueError(
                    f"{path}, line {reader.line_num}: a line must have {len(columns)} cells, as "
                    f"the first has. Received: {len(row)}"
                )
            if row:
                rows.append(row)
    return columns, rows


def _numbers(
    path: Path, name: str, rows: list[list[str]], place: int, assays: Sequence[str] | None
) -> np.ndarray | None:
    """Return a column as numbers, or None if it is one of words that was not asked for."""
    values = np.full(len(rows), np.nan)
    wrong = []
    for i, row in enumerate(rows):
        try:
            values[i] = float(row[place]) if row[place].strip() else math.nan
        except ValueError:
            wrong.append(i)
    words = len(wrong) > np.isfinite(values).sum()
    if wrong and (assays is not None or not words):
        raise ValueError(
            f"{path}, column {name!r}: a result must be a number or empty. Received: "
            f"{rows[wrong[0]][place]!r} for molecule {wrong[0] + 1}, and {len(wrong) - 1} more. "
            "`assays` chooses the columns to read"
        )
    return None if wrong else values


def _rdkit(module: str) -> Any:
    try:
        return importlib.import_module(f"rdkit.{module}")
    except ImportError as error:
        raise ImportError(
            'Reading molecules needs RDKit: pip install "deepchem_meta[molecules]"'
        ) from error
