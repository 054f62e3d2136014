"""Makes sources of assays from CSV files and from DeepChem's datasets."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from deepchem_meta.tasks._molecule_tables import check_reading, featurize
from deepchem_meta.tasks.molecules import identify
from deepchem_meta.tasks.tables import read_assays_csv

__all__ = ["AssayReading"]

Source = TypeVar("Source", bound="AssayReading")


class AssayReading:
    """The constructors of `AssayTasks` that read a table from elsewhere."""

    @classmethod
    def from_csv(
        cls: type[Source],
        path: str | os.PathLike,
        *,
        smiles: str = "smiles",
        assays: Sequence[str] | None = None,
        featurizer: Callable[[list[str]], Any] | None = None,
        on_error: str = "raise",
        na_values: Sequence[str] = (),
        qualifiers: str = "raise",
        encoding: str | None = None,
        delimiter: str | None = None,
        **options: Any,
    ) -> Source:
        """Read a table of molecules and assays.

        Rows of the same canonical SMILES (with stereochemistry and isotopes, without atom map
        numbers) are one molecule.

        Parameters
        ----------
        path : str or path
            A CSV file whose first line names the columns, gzipped if its name ends in .gz. Blanks
            round names do not count, and lines of nothing but blank cells are left out.
        smiles : str, default "smiles"
            The column of the SMILES, which become `ids`.
        assays : list of str, optional
            The columns of the assays: 0, 1 or missing, or numbers. By default, all other columns
            that have a name and a number.
        featurizer : callable, optional
            Makes of a list of SMILES an array of shape (molecules, features). By default,
            `morgan_fingerprints`.
        on_error : {"raise", "drop"}, default "raise"
            What to do with SMILES that cannot be read. Those dropped are in `dropped_rows`.
        na_values : list of str, default ()
            Cells that stand for a missing result, beside the empty one, ``-``, ``?``, ``#N/A``,
            ``<NA>``, ``N/A``, ``NA``, ``n.a.``, ``NaN``, ``nd``, ``n.d.``, ``None`` and ``null``.
            Capital and small letters are the same, and surrounding blanks do not count.
        qualifiers : {"raise", "drop", "bound"}, default "raise"
            What to do with results such as ``>10``, ``<0.5``, ``>=3`` and ``~5``: refuse them,
            take them for missing, or take their number. `qualified` counts them.
        encoding : str, optional
            The file's encoding, such as "cp1252". By default UTF-8, or what the byte order mark
            of UTF-16 says.
        delimiter : str, optional
            What stands between two cells. By default the comma, semicolon or tab, whichever the
            first line has.
        **options
            The constructor's other arguments.

        Returns
        -------
        AssayTasks

        Raises
        ------
        ValueError
            If the file is no text in its encoding; a column is not there, or twice there; an
            assay has a number and a cell that is neither a number nor missing; a result has a
            qualifier, unless `qualifiers` says what to do; SMILES cannot be read; and as the
            constructor does.
        ImportError
            If RDKit is not installed.
        """
        check_reading(featurizer, on_error)
        table = read_assays_csv(
            path,
            smiles=smiles,
            assays=assays,
            na_values=na_values,
            qualifiers=qualifiers,
            encoding=encoding,
            delimiter=delimiter,
        )
        rows = featurize(table, featurizer, on_error)
        names, ids, molecules = table.names, rows.smiles, rows.canonical
        tasks = cls(rows.x, rows.y, names=names, ids=ids, molecules=molecules, **options)
        tasks.left_out, tasks.dropped_rows = table.left_out, rows.dropped
        tasks.qualified = table.qualified
        return tasks

    @classmethod
    def from_dataset(cls: type[Source], dataset: Any, **options: Any) -> Source:
        """Take a DeepChem dataset, whose tasks are the assays.

        Parameters
        ----------
        dataset : deepchem.data.Dataset
            Any object with `X`, `y`, `w`, `ids` and `get_task_names()` or `tasks`, as NumPy arrays.
            Where RDKit is installed and can read ids as SMILES, those of one molecule are equal
            whichever way it is written.
        **options
            The constructor's other arguments.

        Returns
        -------
        AssayTasks

        Raises
        ------
        TypeError, ValueError
            As the constructor does.
        """
        y = np.asarray(dataset.y)
        names = getattr(dataset, "get_task_names", lambda: getattr(dataset, "tasks", ()))()
        options.setdefault("names", [str(name) for name in names] or None)
        options.setdefault("ids", getattr(dataset, "ids", None))
        if options["ids"] is not None:
            options["ids"] = list(options["ids"])
            options.setdefault("molecules", identify(options["ids"]))
        y = y[:, None] if y.ndim == 1 else y
        return cls(dataset.X, y, getattr(dataset, "w", None), **options)
