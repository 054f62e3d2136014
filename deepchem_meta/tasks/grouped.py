"""Examples in groups, such as patients or sensors, each group a task."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepchem_meta._checks import check_count, check_flag, check_option
from deepchem_meta.tasks._arguments import check_draw
from deepchem_meta.tasks._assay_checks import check_places, check_queries
from deepchem_meta.tasks._datasets import AsDataset
from deepchem_meta.tasks._drawing import draw_rounds
from deepchem_meta.tasks._grouped_checks import (
    check_examples,
    check_group_sizes,
    check_groups,
    check_held_out_groups,
    check_targets,
    find_group,
)
from deepchem_meta.tasks._grouped_reading import GroupedReading
from deepchem_meta.tasks._grouped_tables import DroppedExample
from deepchem_meta.tasks._scores import CLASSIFICATION_SCORES, REGRESSION_SCORES
from deepchem_meta.tasks._strata_index import StrataIndex
from deepchem_meta.tasks.padding import flatten, map_structure

__all__ = ["GroupedTasks"]


class GroupedTasks(GroupedReading, AsDataset):
    """Examples in groups (patients, cell lines, sensors, plots), each group a task.

    Parameters
    ----------
    x : array of shape (examples, ...), or dict or tuple of such arrays
        The examples, in memory. Floats and bools are taken as float32, integers stay as they are.
    y : array of shape (examples,) or (examples, outputs)
        Their targets: numbers for regression, which are left as they are; for classification
        class numbers or words, of shape (examples,).
    groups : array of shape (examples,)
        The group of each example, integers or strings.
    shots : int, default 10
        Examples of a support set. For classification, of each class in it.
    queries : int or "rest", default 16
        Examples of a query set, for classification of each class in it, or all of the group that
        are not in the support set.
    task_type : {"regression", "classification"}, default "regression"
        What `y` holds.
    names : list of str, optional
        What to call the groups, in the order of sorted `groups`. By default, these as text.
    drop_small : bool, default False
        Whether to leave out groups that have too few examples, rather than to raise.

    Attributes
    ----------
    x : array, dict or tuple
        As given.
    y : float32 array of shape (examples, outputs), or int32 array of shape (examples,)
        The targets of regression, or the numbers of classes.
    names : list of str
        The groups.
    class_names : list of str or None
        The classes by number, in sorted order; None for regression.
    features : list of str or None
        The columns that make up `x`, where it was read from a table.
    dropped : dict of str to dict of str to int
        The examples of each group left out: ``{"p7": {"examples": 3}}``, or by class.
    left_out : dict of str to str
        The columns of a table that were not read, with the reason.
    dropped_rows : list of DroppedExample
        The rows of a table without a target: `row`, `group` and `reason`.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit; x or y has NaN or infinite values; a group or class is missing; or a
        group has fewer examples than a task needs, in classification of each class.

    Examples
    --------
    >>> import numpy as np
    >>> from deepchem_meta.tasks import GroupedTasks
    >>> rng = np.random.default_rng(0)
    >>> patients = np.repeat(["ann", "bob", "cyd", "dan"], [30, 40, 28, 35])
    >>> x = rng.normal(size=(133, 6))
    >>> tasks = GroupedTasks(x, x.sum(axis=1), patients, shots=5)
    >>> (x, y), (query_x, query_y) = tasks.sample(8, rng)
    >>> x.shape, y.shape, query_x.shape
    ((8, 5, 6), (8, 5, 1), (8, 16, 6))
    >>> train, test = tasks.split(test=["bob"])
    >>> train.names, test.names
    (['ann', 'cyd', 'dan'], ['bob'])

    To adapt to all that is known of a group:

    >>> x, y = tasks.group("cyd")
    >>> x.shape
    (28, 6)

    Notes
    -----
    Rows are stored once; a group is a list of their numbers. Examples are drawn without
    replacement, so the support and the query set of a task share none.

    With ``queries="rest"`` the query sets of all tasks are padded to that of the largest group,
    with copies of an example of weight 0. All batches of a source have sample weights, or none
    has: they do where there is padding.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        groups: Any,
        *,
        shots: int = 10,
        queries: int | str = 16,
        task_type: str = "regression",
        names: Sequence[str] | None = None,
        drop_small: bool = False,
    ):
        self.shots = check_count("shots", shots, minimum=1)
        self.queries = check_queries(queries)
        self.task_type = check_option("task_type", task_type, ("regression", "classification"))
        self.drop_small = check_flag("drop_small", drop_small)
        self.x = check_examples(x)
        examples = len(flatten(self.x)[0])
        self.y, self.class_names = check_targets(y, self.task_type, examples)
        self.names, numbers = check_groups(groups, names, examples)
        self.features: list[str] | None = None
        self.dropped: dict[str, dict[str, int]] = {}
        self.left_out: dict[str, str] = {}
        self.dropped_rows: list[DroppedExample] = []
        self._sort_rows(numbers)
        self._index_groups()
        self._leave_out_small()

    @property
    def ways(self) -> int | None:
        """The number of classes; None for regression."""
        return None if self.class_names is None else len(self.class_names)

    @property
    def scores(self) -> dict[str, Callable[..., float]]:
        """Measures of a task's predictions, by scikit-learn.

        Each is called with ``(y_true, y_pred, sample_weight)`` and leaves out examples of weight 0.
        They are "roc_auc" and "average_precision" for two classes, none for more, and for
        regression "rmse" and, where each query set has two examples or more, "r2". Of several
        outputs "r2" is the mean over outputs, and "rmse" is over all of them.
        """
        if self.ways is not None:
            return dict(CLASSIFICATION_SCORES) if self.ways == 2 else {}
        fewest = self._index.counts.min() - self.shots if self.queries == "rest" else self.queries
        scores = dict(REGRESSION_SCORES)
        if fewest < 2:  # R² of one example is not defined
            del scores["r2"]
        return scores

    def sample(self, n: int, rng: np.random.Generator, assays: Any = None) -> tuple:
        """Draw `n` tasks.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            The tasks depend on nothing else.
        assays : int array of shape (n,), optional
            The groups, as places in `names`. By default they come in rounds, each of which has
            every group once, in random order. `AssayTasks` calls it so too.

        Returns
        -------
        support, query : tuples of arrays
            x, in the structure of `x`, of shape (n, examples, ...); y, float32 of shape
            (n, examples, outputs), or int32 of shape (n, examples) for classification, class after
            class; and, for all batches of this source or none, sample_weight, float32 of shape
            (n, examples).

        Raises
        ------
        TypeError, ValueError
            If an argument is wrong.
        """
        n = check_draw(n, rng)
        total = len(self.names)
        which = draw_rounds(total, n, rng) if assays is None else check_places(assays, n, total)
        support, query = self._index.draw(which, rng)
        there = np.ones(query.shape, bool)
        if self.queries == "rest":
            query, there = self._index.rest(which, support)
        return self._batch(support, np.ones(support.shape, bool)), self._batch(query, there)

    def group(self, name: Any) -> tuple[Any, np.ndarray]:
        """Return all examples of a group, as one batch to adapt to.

        Parameters
        ----------
        name : str or int
            One of `names`.

        Returns
        -------
        x : array, dict or tuple
            In the structure of `x`, in the order of its rows; arrays of shape (rows, ...).
        y : array
            float32 of shape (rows, outputs), or int32 of shape (rows,) for classification.

        Raises
        ------
        ValueError
            If there is no such group.
        """
        rows = np.sort(self._index.all_rows(find_group(name, self.names)))
        return map_structure(lambda array: array[rows], self.x), self.y[rows]

    def split(
        self, test: Sequence[str] | float, *, seed: int = 0
    ) -> tuple[GroupedTasks, GroupedTasks]:
        """Split the groups into those to train on and those to test on.

        Both parts share `x` and `y`, and no group.

        Parameters
        ----------
        test : list of str, float, or int
            The names of the groups to test on, or which fraction of the groups, or how many.
        seed : int, default 0
            Chooses the groups, where `test` does not name them.

        Returns
        -------
        train, test : GroupedTasks

        Raises
        ------
        TypeError, ValueError
            If a name is not there, or a part would have no group.
        """
        in_test = check_held_out_groups(test, self.names, seed)
        return self._part(~in_test), self._part(in_test)

    def replace(
        self,
        *,
        shots: int | None = None,
        queries: int | str | None = None,
        drop_small: bool | None = None,
    ) -> GroupedTasks:
        """Return a source over the same examples with other sizes of its tasks.

        Parameters
        ----------
        shots, queries, drop_small : optional
            As in the constructor. By default, as they are.

        Returns
        -------
        GroupedTasks
            It shares `x` and `y` with this one. Groups that were left out stay out.

        Raises
        ------
        TypeError, ValueError
            As the constructor does.
        """
        changed = copy.copy(self)
        if shots is not None:
            changed.shots = check_count("shots", shots, minimum=1)
        if queries is not None:
            changed.queries = check_queries(queries)
        if drop_small is not None:
            changed.drop_small = check_flag("drop_small", drop_small)
        changed._index_groups()
        changed._leave_out_small()
        return changed

    def _sort_rows(self, numbers: np.ndarray) -> None:
        """Sort rows by group and class, so that those of both are a range of `_rows`."""
        strata = self.ways or 1
        kinds = numbers * strata + (0 if self.ways is None else self.y)
        self._rows = np.argsort(kinds, kind="stable")
        counts = np.bincount(kinds, minlength=len(self.names) * strata)
        self._counts = counts.reshape(-1, strata)
        self._starts = (np.cumsum(counts) - counts).reshape(-1, strata)

    def _index_groups(self) -> None:
        queries = 0 if self.queries == "rest" else self.queries
        self._index = StrataIndex(
            self._rows,
            self._starts,
            self._counts,
            np.full_like(self._counts, self.shots),
            np.full_like(self._counts, queries),
            self.class_names or ("examples",),
        )
        self._weighted = queries == 0 and len(np.unique(self._counts.sum(axis=1))) > 1

    def _leave_out_small(self) -> None:
        """Drop groups that cannot make a task, or raise."""
        small = check_group_sizes(self._index, self.names, self.drop_small)
        if small.any():
            out = {self.names[i]: self._index.describe(i) for i in np.flatnonzero(small)}
            self.dropped = self.dropped | out
            self._keep(~small)

    def _part(self, chosen: np.ndarray) -> GroupedTasks:
        part = copy.copy(self)
        part._keep(chosen)
        return part

    def _keep(self, chosen: np.ndarray) -> None:
        self.names = [name for name, here in zip(self.names, chosen, strict=True) if here]
        self._counts, self._starts = self._counts[chosen], self._starts[chosen]
        self._index_groups()

    def _batch(self, rows: np.ndarray, there: np.ndarray) -> tuple:
        """Return the examples of `rows`; padding is not `there`."""
        batch = map_structure(lambda array: array[rows], self.x), self.y[rows]
        return (*batch, there.astype(np.float32)) if self._weighted else batch

    def __repr__(self) -> str:
        examples = int(self._counts.sum())
        kind = "" if self.ways is None else f", {self.ways} classes"
        return (
            f"GroupedTasks({examples} examples, {len(self.names)} groups{kind}, "
            f"shots={self.shots}, queries={self.queries!r}, task_type={self.task_type!r})"
        )
