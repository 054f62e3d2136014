"""Checks of the examples, targets and groups of grouped data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepchem_meta._checks import check_count
from deepchem_meta.tasks._arguments import check_finite, held_out, listed
from deepchem_meta.tasks._labels import check_labels, label_names
from deepchem_meta.tasks._strata_index import StrataIndex
from deepchem_meta.tasks.padding import flatten

__all__ = [
    "check_examples",
    "check_group_sizes",
    "check_groups",
    "check_held_out_groups",
    "check_targets",
    "find_group",
]


def check_examples(x: Any) -> Any:
    """Return examples as arrays of one length, in the structure of dicts and tuples they have."""
    x = _arrays(x, "`x`")
    leaves = flatten(x)
    shapes = [array.shape for array in leaves]
    if not leaves or any(not shape for shape in shapes) or len({shape[0] for shape in shapes}) > 1:
        raise ValueError(
            "`x` must be an array with the example as first axis, or a dict or tuple of such "
            f"arrays of the same length. Received: shapes {shapes}"
        )
    if len(leaves[0]) == 0:
        raise ValueError("`x` must have at least one example. Received: none")
    return x


def check_targets(y: Any, task_type: str, examples: int) -> tuple[np.ndarray, list[str] | None]:
    """Return targets, and the names of classes.

    Returns
    -------
    y : int32 array of shape (examples,), or float32 array of shape (examples, outputs)
        The numbers of classes, or the targets of regression.
    class_names : list of str or None
        The classes, sorted; None for regression.
    """
    if task_type == "regression":
        return _check_numbers(y, examples), None
    labels = check_labels("y", y)
    _check_length("y", len(labels), examples)
    values, numbers = np.unique(labels, return_inverse=True)
    if len(values) < 2:
        raise ValueError(
            "`y` must have at least two classes. "
            f"Received: the class {label_names(values)[0]!r} alone"
        )
    return numbers.reshape(-1).astype(np.int32), label_names(values)


def check_groups(groups: Any, names: Any, examples: int) -> tuple[list[str], np.ndarray]:
    """Return the groups' names, in the order of sorted groups, and the number of each row's."""
    labels = check_labels("groups", groups)
    _check_length("groups", len(labels), examples)
    values, numbers = np.unique(labels, return_inverse=True)
    return _check_names(names, label_names(values)), numbers.reshape(-1)


def check_group_sizes(index: StrataIndex, names: Sequence[str], drop_small: bool) -> np.ndarray:
    """Return whether each group is too small for a task, shape (groups,), if such may be left out.

    Raises
    ------
    ValueError
        If some are, and `drop_small` is False or no other group is left.
    """
    small = index.small
    if not small.any() or (drop_small and not small.all()):
        return small

    def text(group: int) -> str:
        counts = (f"{count} {name}" for name, count in index.describe(group).items())
        return f"{names[group]} ({', '.join(counts)})"

    needed = int(index.needed[0, 0])
    what = "examples" if index.counts.shape[1] == 1 else "examples of each class"
    places = np.flatnonzero(small)
    raise ValueError(
        f"Each group must have at least {needed} {what}, for `shots` and `queries` "
        "(drop_small=True leaves others out, as long as some remain). "
        f"Received: {len(places)} of {len(names)} with fewer: {listed(map(text, places))}"
    )


def check_held_out_groups(test: Any, names: Sequence[str], seed: Any) -> np.ndarray:
    """Return which groups `test` (names, a fraction or a number) holds out, as bools."""
    if not isinstance(test, (list, tuple, set, np.ndarray)):
        count = held_out(test, len(names), "groups")
        chosen = np.random.default_rng(check_count("seed", seed)).permutation(len(names))[:count]
        return np.isin(np.arange(len(names)), chosen)
    wanted = {str(name) for name in test}
    unknown = sorted(wanted - set(names))
    if unknown or not 0 < len(wanted) < len(names):
        raise ValueError(
            f"`test` must name some of the groups {listed(names)}, not all. "
            f"Received: {listed(unknown or sorted(wanted)) or 'none'}"
        )
    return np.array([name in wanted for name in names])


def find_group(name: Any, names: Sequence[str]) -> int:
    """Return the place of a group among `names`."""
    if str(name) not in names:
        raise ValueError(f"`name` must be one of {listed(names)}. Received: name={name!r}")
    return names.index(str(name))


def _arrays(x: Any, name: str) -> Any:
    """Return a structure with arrays of numbers in place of what is neither dict nor tuple."""
    if isinstance(x, dict):
        return {key: _arrays(part, f"{name}[{key!r}]") for key, part in x.items()}
    if isinstance(x, tuple):
        parts = [_arrays(part, f"{name}[{i}]") for i, part in enumerate(x)]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    array = np.asarray(x)
    if isinstance(x, np.ma.MaskedArray) or array.dtype.kind not in "fiub":
        raise TypeError(
            f"{name} must be an array of numbers, without a mask. "
            f"Received: {type(x).__name__} of dtype {array.dtype} and shape {array.shape}"
        )
    if array.dtype.kind in "fb":
        with np.errstate(over="ignore"):  # what is too large for float32 is found just below
            array = array.astype(np.float32, copy=False)
        if array.ndim:
            check_finite(array)
    return array


def _check_numbers(y: Any, examples: int) -> np.ndarray:
    """Return regression's targets as float32 of shape (examples, outputs)."""
    values = np.asarray(y)
    if isinstance(y, np.ma.MaskedArray) or values.dtype.kind not in "fiub":
        raise TypeError(
            "`y` must be an array of numbers, without a mask, for regression; "
            'task_type="classification" takes words. '
            f"Received: {type(y).__name__} of dtype {values.dtype}"
        )
    if values.ndim not in (1, 2) or values.shape[1:] == (0,):
        raise ValueError(
            "`y` must have the shape (examples,) or (examples, outputs). "
            f"Received: shape {values.shape}"
        )
    _check_length("y", len(values), examples)
    with np.errstate(over="ignore"):  # what is too large for float32 is found just below
        targets = values.astype(np.float32).reshape(examples, -1)
    wrong = np.flatnonzero(~np.isfinite(targets).all(axis=1))
    if wrong.size:
        raise ValueError(
            "`y` must be finite in float32; leave out the rows without a target. "
            f"Received: {wrong.size} of {examples} rows that are not: {listed(wrong)}"
        )
    return targets


def _check_names(names: Any, found: list[str]) -> list[str]:
    if names is None:
        return found
    names = [names] if isinstance(names, str) else list(names)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"`names` must be strings. Received: names={names!r}")
    if len(names) != len(found) or len(set(names)) != len(found):
        raise ValueError(
            f"`names` must be {len(found)} different names, of the groups {listed(found)} in this "
            f"order. Received: {len(names)}: {listed(names)}"
        )
    return [str(name) for name in names]


def _check_length(name: str, length: int, examples: int) -> None:
    if length != examples:
        raise ValueError(
            f"`{name}` must have {examples} entries, one for each example of `x`. "
            f"Received: {length}"
        )
