"""Makes sources of assays from CSV files and from DeepChem's datasets."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from deepchem_meta._checks import check_option
from deepchem_meta.tasks._array_cache import check_cache
from deepchem_meta.tasks._long_tables import LongTable, ReadResults, read_fs_mol, read_long_csv
from deepchem_meta.tasks._molecule_tables import check_reading, featurize
from deepchem_meta.tasks.featurizers import Featurizer, MorganCounts
from deepchem_meta.tasks.molecule_features import MoleculeFeatures, Molecules
from deepchem_meta.tasks.molecules import identify
from deepchem_meta.tasks.standardizing import Standardizer
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
    def from_long_csv(
        cls: type[Source],
        path: str | os.PathLike,
        *,
        assay: str = "assay",
        smiles: str = "smiles",
        value: str = "active",
        encoding: str | None = None,
        delimiter: str | None = None,
        na_values: Sequence[str] = (),
        qualifiers: str = "raise",
        **options: Any,
    ) -> Source:
        """Read a table with a row for each result: an assay, a molecule and a value.

        Parameters
        ----------
        path : str or path
            A CSV file whose first line names the columns, gzipped if its name ends in .gz.
        assay, smiles, value : str
            The columns of the assay's name, of the SMILES and of the result. Other columns do not
            count.
        encoding, delimiter, na_values, qualifiers : optional
            How to read the cells, as in `from_csv`. Rows without a value are left out.
        **options
            Those of `from_results`.

        Returns
        -------
        AssayTasks

        Raises
        ------
        ValueError
            If a column or a name is missing, a value is no number, and as `from_results` does.
        ImportError
            If RDKit is not installed.
        """
        table = read_long_csv(
            path,
            assay=assay,
            smiles=smiles,
            value=value,
            encoding=encoding,
            delimiter=delimiter,
            na_values=na_values,
            qualifiers=qualifiers,
        )
        tasks = cls.from_results(
            table.assays, table.smiles, table.values, lines=table.lines, **options
        )
        tasks.qualified = table.qualified
        return tasks

    @classmethod
    def from_fs_mol(cls: type[Source], folder: str | os.PathLike, **options: Any) -> Source:
        """Read a folder of FS-Mol: a file ``<assay>.jsonl.gz`` an assay, a molecule a line.

        Parameters
        ----------
        folder : str or path
            Such as ``fs-mol/train``.
        **options
            Those of `from_results`. With ``task_type="regression"`` the values are those of
            ``LogRegressionProperty``, else of ``Property``.

        Returns
        -------
        AssayTasks

        Raises
        ------
        ValueError
            If the folder has no such file, a line lacks what it must have, and as `from_results`
            does.

        References
        ----------
        Stanley, M., et al. (2021). FS-Mol: a few-shot learning dataset of molecules. NeurIPS
        Datasets and Benchmarks.
        """
        regression = options.get("task_type") == "regression"
        table = read_fs_mol(folder, "LogRegressionProperty" if regression else "Property")
        return cls.from_results(table.assays, table.smiles, table.values, **options)

    @classmethod
    def from_results(
        cls: type[Source],
        assays: Sequence[str],
        smiles: Sequence[str],
        values: Any,
        *,
        featurizer: Featurizer | None = None,
        standardizer: Standardizer | None = None,
        cache: str | os.PathLike | None = None,
        on_error: str = "raise",
        lines: Sequence[int] | None = None,
        shots: int | Sequence[int] = 10,
        queries: int | str = 16,
        task_type: str = "classification",
        balanced: bool = True,
        drop_small: bool = False,
        duplicates: str = "merge",
    ) -> Source:
        """Take results as a long table, of as many assays and molecules as there are.

        Memory grows with the number of results and of different molecules. Each molecule's features
        are stored once, counts as integers of 8 bits, and decoded where a task is drawn.

        Parameters
        ----------
        assays : list of str
            The assay of each result.
        smiles : list of str
            Its molecule. Those of the same canonical SMILES are one, after `standardizer`.
        values : float array of shape (results,)
            1 is active and 0 inactive, or any numbers for regression. NaN is left out.
        featurizer : Featurizer, optional
            By default `MorganCounts`. Parts that scale by a distribution are fitted to these
            molecules, unless they are fitted; a test takes the training source's `x.featurizer`.
        standardizer : Standardizer, optional
            What is made of each molecule first. By default they are taken as they are.
        cache : path, optional
            A folder that keeps what was read and computed, memory-mapped, for the next start. A
            damaged file is made anew. By default all is in memory.
        on_error : {"raise", "drop"}, default "raise"
            What to do with SMILES that cannot be read. Those dropped are in `dropped_rows`.
        lines : list of int, optional
            The line of a file on which each result stands, for messages and `dropped_rows`; by
            default their places from 1.
        shots, queries, task_type, balanced, drop_small, duplicates : optional
            As in the constructor.

        Returns
        -------
        AssayTasks
            Whose `x` is a `MoleculeFeatures`, with a row a molecule, and whose `ids` are canonical
            SMILES.

        Raises
        ------
        TypeError, ValueError
            If the columns differ in length, an assay has no name, SMILES cannot be read, and as the
            constructor does.
        ImportError
            If RDKit is not installed.
        """
        featurizer = MorganCounts() if featurizer is None else featurizer
        _check_parts(featurizer, standardizer)
        check_option("on_error", on_error, ("raise", "drop"))
        folder = check_cache(cache)
        tasks = cls.__new__(cls)
        tasks._configure(
            shots=shots,
            queries=queries,
            task_type=task_type,
            balanced=balanced,
            drop_small=drop_small,
            duplicates=duplicates,
        )
        table = LongTable.checked(assays, smiles, values, lines)
        molecules = Molecules.of(table.smiles, standardizer, folder)
        read = ReadResults.of(table, molecules, on_error, tasks.task_type, tasks.duplicates)
        tasks.names, tasks.merged = read.names, read.merged
        tasks.ids = [molecules.smiles[place] for place in read.molecules]
        tasks.molecules = np.arange(len(tasks.ids))
        tasks.x = MoleculeFeatures.of(tasks.ids, featurizer, folder)
        tasks._start(read.results)
        tasks.dropped_rows = read.dropped
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


def _check_parts(featurizer: Any, standardizer: Any) -> None:
    """Raise unless features can be stored and molecules be brought to one form."""
    if not isinstance(featurizer, Featurizer):
        raise TypeError(
            "`featurizer` must be a Featurizer, such as MorganCounts(), whose features can be "
            f"stored. Received: featurizer={featurizer!r}"
        )
    if standardizer is not None and not isinstance(standardizer, Standardizer):
        raise TypeError(
            f"`standardizer` must be a Standardizer. Received: standardizer={standardizer!r}"
        )
