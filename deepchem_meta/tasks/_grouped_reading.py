"""Makes sources of grouped tasks from data frames and CSV files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeVar

from deepchem_meta._checks import check_absent
from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks._columns import Columns, FrameColumns, TextColumns
from deepchem_meta.tasks._grouped_tables import read_groups

__all__ = ["GroupedReading"]

Source = TypeVar("Source", bound="GroupedReading")


class GroupedReading:
    """The constructors of `GroupedTasks` that read a table."""

    @classmethod
    def from_dataframe(
        cls: type[Source],
        frame: Any,
        *,
        group: Any,
        target: Any,
        features: Sequence[Any] | None = None,
        task_type: str = "regression",
        **options: Any,
    ) -> Source:
        """Take the rows of a pandas DataFrame as examples.

        Parameters
        ----------
        frame : pandas.DataFrame
            Text in the columns of groups and classes is taken without surrounding blanks.
        group : str
            The column of the groups: text, categories or whole numbers.
        target : str or list of str
            The column of the targets; a list makes several outputs, for regression.
        features : list of str, optional
            The columns of the features, in this order. By default, all other columns that have a
            name and a number. Categories are no numbers.
        task_type : {"regression", "classification"}, default "regression"
            What the targets are: numbers, or the classes' numbers or words.
        **options
            `shots`, `queries` and `drop_small`, as in the constructor.

        Returns
        -------
        GroupedTasks
            Rows without a target are left out and are in its `dropped_rows`, columns that were not
            read in its `left_out`, and the columns of x in its `features`.

        Raises
        ------
        TypeError, ValueError
            If a column is not there or has a wrong kind of cell, a group or a feature is missing,
            and as the constructor does.

        Examples
        --------
        >>> import pandas
        >>> from deepchem_meta.tasks import GroupedTasks
        >>> plot = ["a", "b"] * 6
        >>> frame = pandas.DataFrame({"plot": plot, "rain": range(12), "yield": range(12)})
        >>> tasks = GroupedTasks.from_dataframe(
        ...     frame, group="plot", target="yield", shots=2, queries=3
        ... )
        >>> tasks.names, tasks.features
        (['a', 'b'], ['rain'])
        """
        return cls._read(FrameColumns(frame), group, target, features, task_type, options)

    @classmethod
    def from_csv(
        cls: type[Source],
        path: str | os.PathLike,
        *,
        group: str,
        target: str | Sequence[str],
        features: Sequence[str] | None = None,
        task_type: str = "regression",
        na_values: Sequence[str] = (),
        encoding: str | None = None,
        delimiter: str | None = None,
        **options: Any,
    ) -> Source:
        r"""Read examples from a CSV file, a row each.

        Parameters
        ----------
        path : str or path
            A CSV file whose first line names the columns, gzipped if its name ends in .gz. Blanks
            round names do not count, and lines of nothing but blank cells are left out.
        group : str
            The column of the groups, which are taken as text: 7 and 007 are two.
        target : str or list of str
            The column of the targets; a list makes several outputs, for regression.
        features : list of str, optional
            The columns of the features, in this order. By default, all other columns that have a
            name and a number.
        task_type : {"regression", "classification"}, default "regression"
            What the targets are: numbers, or the classes' numbers or words.
        na_values : list of str, default ()
            Cells that are missing, beside those that are for `AssayTasks.from_csv`. Among classes
            these are the empty cell, ``#N/A``, ``<NA>``, ``N/A``, ``NA``, ``n.a.`` and ``NaN``:
            "none" may be a class.
        encoding, delimiter : str, optional
            As in `AssayTasks.from_csv`.
        **options
            `shots`, `queries` and `drop_small`, as in the constructor.

        Returns
        -------
        GroupedTasks
            Rows without a target are left out and are in its `dropped_rows`, columns that were not
            read in its `left_out`, and the columns of x in its `features`.

        Raises
        ------
        TypeError, ValueError
            If the file is no text in its encoding, a column is not there or has a wrong kind of
            cell, a group or a feature is missing, and as the constructor does.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from deepchem_meta.tasks import GroupedTasks
        >>> lines = [f"p{i % 2},{i},{i / 2}" for i in range(12)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "doses.csv")
        ...     _ = path.write_text("\n".join(["patient,dose,effect", *lines, "p1,3,"]))
        ...     tasks = GroupedTasks.from_csv(
        ...         path, group="patient", target="effect", shots=2, queries=3
        ...     )
        >>> tasks.names, tasks.features
        (['p0', 'p1'], ['dose'])
        >>> tasks.dropped_rows
        [DroppedExample(row=14, group='p1', reason="has no target in 'effect'")]
        """
        group, target, features = map(_stripped, (group, target, features))
        columns = TextColumns(path, group, na_values, encoding, delimiter)
        return cls._read(columns, group, target, features, task_type, options)

    @classmethod
    def _read(
        cls: type[Source],
        columns: Columns,
        group: Any,
        target: Any,
        features: Sequence[Any] | None,
        task_type: str,
        options: dict[str, Any],
    ) -> Source:
        check_absent(options, "names", reason="the groups of a table have names")
        table = read_groups(columns, group, target, features, task_type)
        if table.empty and not options.get("drop_small", False):
            raise ValueError(
                "Each group must have rows with a target (drop_small=True leaves others out). "
                f"Received: {len(table.empty)} without any: {listed(table.empty)}"
            )
        tasks = cls(table.x, table.y, table.groups, task_type=task_type, **options)
        tasks.features, tasks.left_out = table.features, table.left_out
        tasks.dropped_rows = table.dropped_rows
        kinds = tasks.class_names or ("examples",)
        tasks.dropped = tasks.dropped | {name: dict.fromkeys(kinds, 0) for name in table.empty}
        return tasks


def _stripped(names: Any) -> Any:
    """Return names of columns without surrounding blanks."""
    if isinstance(names, str):
        return names.strip()
    return [_stripped(name) for name in names] if isinstance(names, (list, tuple)) else names
