"""Tables of examples, their targets and their groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks._columns import Columns, why_no_name
from deepchem_meta.tasks._labels import check_labels, label_names
from deepchem_meta.tasks._result_cells import Results

__all__ = ["DroppedExample", "GroupedTable", "read_groups"]

_WORD = "it must be a finite number, with a decimal point"
_MISSING = "a feature must not be missing; fill it in, or leave the row or the column out"
_QUALIFIED = "a number must have no qualifier such as '>'"
_OTHERS = "; `features` names the columns to read"


class DroppedExample(NamedTuple):
    """A row of a table that was left out.

    Attributes
    ----------
    row : int or label
        The line of the file on which it begins, or the row's label in the frame's index.
    group : str
    reason : str
    """

    row: Any
    group: str
    reason: str


class GroupedTable(NamedTuple):
    """What a table of examples holds.

    Attributes
    ----------
    x : float32 array of shape (examples, features)
    y : float64 array of shape (examples, outputs), or labels of shape (examples,)
    groups : array of shape (examples,)
        Numbers or strings.
    features : list of str
        The columns of x.
    left_out : dict of str to str
        The reason why each other column is not read.
    dropped_rows : list of DroppedExample
        The rows without a target.
    empty : list of str
        The groups that have no other rows.
    """

    x: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    features: list[str]
    left_out: dict[str, str]
    dropped_rows: list[DroppedExample]
    empty: list[str]


def read_groups(
    columns: Columns, group: Any, target: Any, features: Sequence[Any] | None, task_type: str
) -> GroupedTable:
    """Read a table of examples.

    Parameters
    ----------
    columns : Columns
        The table.
    group : str
        The column of the groups.
    target : str or list of str
        The column of the targets, or for regression several.
    features : list of str or None
        The columns of the features. By default, all others that have a name and a number.
    task_type : {"regression", "classification"}

    Returns
    -------
    GroupedTable

    Raises
    ------
    TypeError, ValueError
        If a column is not there, a group or a feature is missing, a feature or a target of
        regression is no number, or nothing is left.
    """
    targets = list(target) if isinstance(target, (list, tuple)) else [target]
    asked = None if features is None else _check_asked(features)
    _check_columns(columns, group, targets, asked, task_type)
    groups = _read_group(columns, columns.names.index(group))
    y, absent = _read_targets(columns, targets, task_type)
    kept = ~absent.any(axis=1)
    if not kept.any():
        raise ValueError(
            f"{columns.source} must have a row with a target in {listed(map(repr, targets))}. "
            "Received: none"
        )
    found, left_out = _choose(columns, {group, *targets}, asked)
    x = [_read_feature(columns, name, results, kept) for name, results in found.items()]
    names = label_names(groups)
    dropped = [
        DroppedExample(columns.rows[i], names[i], _no_target(targets, absent[i]))
        for i in np.flatnonzero(~kept)
    ]
    with np.errstate(over="ignore"):  # what is too large for float32 is found when it is checked
        x = np.stack(x, axis=1).astype(np.float32)
    return GroupedTable(
        x=x,
        y=y[kept],
        groups=groups[kept],
        features=[str(name) for name in found],
        left_out=left_out,
        dropped_rows=dropped,
        empty=sorted({row.group for row in dropped} - set(label_names(groups[kept]))),
    )


def _check_asked(features: Any) -> list:
    asked = [features] if isinstance(features, str) else list(features)
    if not asked or len(set(asked)) < len(asked):
        raise ValueError(
            f"`features` must be at least one column, each once. Received: features={asked!r}"
        )
    return asked


def _check_columns(
    columns: Columns, group: Any, targets: list, asked: list | None, task_type: str
) -> None:
    """Raise if a column is missing or has two parts to play, or the table has no rows."""
    if task_type == "classification" and len(targets) > 1:
        raise ValueError(
            f"`target` must be one column for classification. Received: target={targets!r}"
        )
    wanted = [group, *targets, *(asked or ())]
    known = set(columns.names) - {""}
    missing = [name for name in wanted if name not in known]
    if missing or not targets:
        raise ValueError(
            f"{columns.source} must have the columns that `group`, `target` and `features` name. "
            f"Received: {', '.join(map(repr, missing)) or 'no target'}, and a table with the "
            f"columns {', '.join(map(repr, columns.names)) or 'none'}"
        )
    twice = [name for name, count in Counter(wanted).items() if count > 1]
    if twice:
        raise ValueError(
            "`group`, `target` and `features` must name different columns. "
            f"Received: {listed(map(repr, twice))} more than once"
        )
    if not columns.rows:
        raise ValueError(f"{columns.source} must have at least one row. Received: none")


def _read_group(columns: Columns, place: int) -> np.ndarray:
    """Return the group of each row, all of which have one."""
    groups, missing = columns.group_labels(place)
    if missing.any():
        first = int(missing.argmax())
        raise ValueError(
            f"{_where(columns, columns.names[place], first)}: each row must have a group. "
            f"Received: {columns.cell(place, first)}, and {int(missing.sum()) - 1} more such cells"
        )
    return check_labels("group", groups)


def _read_targets(columns: Columns, targets: list, task_type: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets, and whether each row has none, of shape (rows, targets)."""
    places = [columns.names.index(name) for name in targets]
    if task_type == "classification":
        y, missing = columns.labels(places[0])
        return y, missing[:, None]
    found = [columns.results(place) for place in places]
    for name, results in zip(targets, found, strict=True):
        _check_numbers(columns, name, results, np.ones(len(results.values), bool), "")
    y = np.stack([results.values for results in found], axis=1)
    return y, np.isnan(y)


def _no_target(targets: list, absent: np.ndarray) -> str:
    return f"has no target in {listed(repr(targets[k]) for k in np.flatnonzero(absent))}"


def _choose(
    columns: Columns, used: set, asked: list | None
) -> tuple[dict[Any, Results], dict[str, str]]:
    """Return the columns of the features, as numbers, and why each other one is left out."""
    wanted = set(asked or ())
    found: dict[Any, Results] = {}
    left_out: dict[str, str] = {}
    for place, name in enumerate(columns.names):
        if name in used:
            continue
        reason = why_no_name(name) if asked is None else None
        if asked is not None and name not in wanted:
            reason = "is not among `features`"
        if reason is None:
            results = columns.results(place)
            if asked is not None or np.isfinite(results.values).any():
                found[name] = results
                continue
            reason = "has no numbers"
            if results.words.any():
                first = columns.cell(place, int(results.words.argmax()))
                reason = f"has no numbers, but words such as {first}"
        left_out[str(name) or f"column {place + 1} (no name)"] = reason
    if not found:
        reasons = listed(f"{name!r} {reason}" for name, reason in left_out.items())
        raise ValueError(
            f"{columns.source} must have a column of numbers for the features. Received: a table "
            f"without one: {reasons or 'it has no other column'}"
        )
    return {name: found[name] for name in asked or found}, left_out


def _read_feature(columns: Columns, name: Any, results: Results, kept: np.ndarray) -> np.ndarray:
    """Return the numbers of a feature in the rows that are kept."""
    _check_numbers(columns, name, results, kept, _OTHERS)
    missing = np.isnan(results.values) & kept
    if missing.any():
        _refuse(columns, name, missing, _MISSING + _OTHERS)
    return results.values[kept]


def _check_numbers(
    columns: Columns, name: Any, results: Results, kept: np.ndarray, hint: str
) -> None:
    """Raise if a cell of the rows that are kept is a word, or has a qualifier."""
    for wrong, rule in ((results.words & kept, _WORD), (results.qualified & kept, _QUALIFIED)):
        if wrong.any():
            _refuse(columns, name, wrong, rule + hint)


def _refuse(columns: Columns, name: Any, wrong: np.ndarray, rule: str) -> None:
    first = int(wrong.argmax())
    cell = columns.cell(columns.names.index(name), first)
    raise ValueError(
        f"{_where(columns, name, first)}: {rule}. "
        f"Received: {cell}, and {int(wrong.sum()) - 1} more such cells"
    )


def _where(columns: Columns, name: Any, row: int) -> str:
    return f"{columns.source}, column {name!r}, {columns.row_word} {columns.rows[row]!r}"
