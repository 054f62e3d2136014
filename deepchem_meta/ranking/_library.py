"""Reads a library of candidates, chunk by chunk, so that it may be larger than the memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deepchem_meta.ranking._columns import find_smiles
from deepchem_meta.ranking._formats import check_file, check_format, kind_of
from deepchem_meta.ranking._lines import read_lines, read_rows
from deepchem_meta.tasks import Featurizer, Standardizer
from deepchem_meta.tasks._text_tables import check_columns
from deepchem_meta.tasks.molecule_features import in_parallel
from deepchem_meta.tasks.molecules import canonical_smiles, read_standard

__all__ = ["Chunk", "Library"]

_CHUNK = 1000  # rows that a process takes at once
_IN_PARALLEL = 5  # chunks from which on several processes are used
_TRIED = 200  # rows that are read to recognise the columns


class Chunk(NamedTuple):
    """Some rows of a library.

    Attributes
    ----------
    rows : list of list of str
        The cells of each row.
    lines : list of int
        The line of the file on which each begins.
    canonical : list of str or None
        The canonical SMILES of each molecule's standard form; None where it cannot be read.
    reasons : dict of int to str
        Why not, by the place in the chunk.
    stored : list of arrays
        What the parts of the featurizer computed for the readable rows.
    """

    rows: list[list[str]]
    lines: list[int]
    canonical: list[str | None]
    reasons: dict[int, str]
    stored: list[np.ndarray]


class Library:
    """A CSV file of candidates.

    Parameters
    ----------
    path : Path
        Its first line names the columns; gzipped if its name ends in .gz. A file whose name ends
        in .smi has no such line: it has a SMILES and a name a line, with a blank between.
    smiles : str or None
        The column of SMILES, by default found as in `read_measured`.

    Attributes
    ----------
    columns : list of str
    smiles : int
        The place of the column of SMILES.
    blank : int
        How many rows of blank cells were left out by the chunks up to now.

    Raises
    ------
    ValueError
        If there is no row, no column of SMILES, two columns have the same name, or the file is
        damaged, a pipe or of another format.
    """

    def __init__(self, path: Path, smiles: str | None = None):
        check_format(path, names=True)
        check_file(path)
        self._path, self._column, self.blank = path, smiles or "smiles", 0
        first = list(itertools.islice(self._records(), _TRIED + 1))
        if len(first) < 2:
            raise ValueError(f"{path} must have a row for each candidate. Received: none")
        self.columns = [name.strip() for name in first[0][1]]
        check_columns(path, self.columns)
        rows = [row for _, row in first[1:] if len(row) == len(self.columns)]
        self.smiles = find_smiles(str(path), self.columns, rows, smiles)

    def chunks(self, featurizer: Featurizer, standardizer: Standardizer) -> Iterator[Chunk]:
        """Yield the library's rows with their molecules' features.

        Parameters
        ----------
        featurizer : Featurizer
        standardizer : Standardizer
        """
        self.blank = 0
        reader = _Reader(featurizer, standardizer, len(self.columns), self.smiles)
        records = itertools.islice(self._records(), 1, None)
        chunks = iter(lambda: list(itertools.islice(records, _CHUNK)), [])
        first = list(itertools.islice(chunks, _IN_PARALLEL))
        if len(first) < _IN_PARALLEL:  # processes take longer to start
            yield from map(reader, first)
        else:
            yield from in_parallel(reader, itertools.chain(first, chunks))

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row that is not blank after its line; the first has the columns' names."""
        if kind_of(self._path) != ".smi":
            yield from read_rows(self._path, self._column, self._count_blank)
            return
        yield 0, ["smiles", "name"]
        for line, text in read_lines(self._path):
            if text.strip():
                yield line, [*text.strip().split(None, 1), ""][:2]

    def _count_blank(self, count: int) -> None:
        self.blank += count


class _Reader:
    """Reads the molecules of some rows, in a process of its own."""

    def __init__(self, featurizer: Any, standardizer: Any, columns: int, smiles: int):
        self._parts = featurizer.parts
        self._standardizer = standardizer
        self._columns, self._smiles = columns, smiles

    def __call__(self, records: list[tuple[int, list[str]]]) -> Chunk:
        lines, rows = [line for line, _ in records], [row for _, row in records]
        wrong = {
            n: f"the row has {len(row)} cells instead of {self._columns}"
            for n, row in enumerate(rows)
            if len(row) != self._columns
        }
        texts = ["" if n in wrong else row[self._smiles] for n, row in enumerate(rows)]
        molecules, reasons = read_standard(texts, self._standardizer)
        reasons |= wrong
        kept = [n for n in range(len(rows)) if n not in reasons]
        standard = [molecules[n] for n in kept]
        canonical: list[str | None] = [None] * len(rows)
        for n, text in zip(kept, canonical_smiles(standard), strict=True):
            canonical[n] = text
        stored = [part.compute(standard) for part in self._parts]
        return Chunk(rows, lines, canonical, reasons, stored)
