"""Few-shot assays: how a new assay's compounds rank, learned from a table of other assays."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepchem_meta._checks import check_count, check_flag, check_option
from deepchem_meta.tasks._arguments import check_draw, held_out, listed
from deepchem_meta.tasks._assay_checks import (
    check_features,
    check_ids,
    check_names,
    check_queries,
    check_results,
)
from deepchem_meta.tasks._assay_index import AssayIndex
from deepchem_meta.tasks._scores import CLASSIFICATION_SCORES, REGRESSION_SCORES
from deepchem_meta.tasks.molecules import morgan_fingerprints, parse_smiles, read_assays_csv

__all__ = ["AssayTasks"]


class AssayTasks:
    """The assays of a table of compounds, each a task: of a few compounds the result is known.

    Parameters
    ----------
    x : float array of shape (compounds, features)
        The compounds' features, in memory, taken as float32. More axes are allowed.
    y : float array of shape (compounds, assays)
        Their results: 1 is active and 0 inactive, or any numbers for regression; NaN is missing.
        Regression's targets are left as they are: standardise them where assays differ in unit.
    w : float array of shape (compounds, assays) or (compounds,), optional
        Weights of at least 0; 0 is missing, whatever `y` says. Others than 0 and 1 become sample
        weights.
    names : list of str, optional
        The assays' names, by default ``assay_0`` and so on.
    ids : list, optional
        What identifies each compound, such as its SMILES.
    shots : int, default 10
        Compounds of each class in the support set: so many active and as many inactive. For
        regression, compounds.
    queries : int or "rest", default 16
        Compounds of each class in the query set, or all of the assay that are not in the support
        set.
    task_type : {"classification", "regression"}, default "classification"
        What `y` holds.
    balanced : bool, default True
        Whether a task has as many active as inactive compounds. With False its support set of
        2 * `shots` compounds and its query set of 2 * `queries` have them at the assay's own
        rate, rounded, at least one of each. Not for regression.
    drop_small : bool, default False
        Whether to leave out assays that have too few compounds, rather than to raise.

    Attributes
    ----------
    names : list of str
        The assays, in the order of columns.
    ids : list or None
    dropped : dict of str to dict of str to int
        The compounds of each assay left out, by class: ``{"NR-AR": {"inactive": 7, "active": 3}}``.
    dropped_smiles : list of str
        What `from_csv` could not read and was told to drop.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit; a feature is NaN or infinite; a result is neither 0, 1 nor missing;
        an assay has no results or only equal ones, or fewer compounds than a task needs.

    Examples
    --------
    >>> import numpy as np
    >>> from deepchem_meta.tasks import AssayTasks
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 32))
    >>> y = (x[:, :6] > 0).astype(float)  # 6 assays
    >>> y[rng.random(y.shape) < 0.3] = np.nan  # with gaps
    >>> train, test = AssayTasks(x, y, shots=5).split(test=2)
    >>> (x, y), query = train.sample(4, rng)
    >>> x.shape, y.shape, y[0].ravel()
    ((4, 10, 32), (4, 10, 1), array([0., 0., 0., 0., 0., 1., 1., 1., 1., 1.], dtype=float32))

    To measure how all other compounds of the two test assays are ranked:

    >>> support, (x, y, sample_weight) = test.replace(queries="rest").sample(2, rng)
    >>> round(test.scores["roc_auc"](y[0], x[0, :, 4], sample_weight[0]), 2)  # the right feature
    1.0

    References
    ----------
    Altae-Tran, H., Ramsundar, B., Pappu, A. S., and Pande, V. (2017). Low data drug discovery
    with one-shot learning. ACS Central Science 3(4), 283-293.

    Notes
    -----
    With ``queries="rest"`` the query sets of all tasks are padded to that of the source's largest
    assay, so that shapes are the same in each call, with copies of a compound of weight 0; a task
    then takes that many rows of features in memory.

    All batches of a source have sample weights, or none has: they do where there is padding or a
    weight other than 1.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        w: Any = None,
        *,
        names: Sequence[str] | None = None,
        ids: Sequence[Any] | None = None,
        shots: int = 10,
        queries: int | str = 16,
        task_type: str = "classification",
        balanced: bool = True,
        drop_small: bool = False,
    ):
        self.shots = check_count("shots", shots, minimum=1)
        self.queries = check_queries(queries)
        self.task_type = check_option("task_type", task_type, ("classification", "regression"))
        self.balanced = check_flag("balanced", balanced)
        self.drop_small = check_flag("drop_small", drop_small)
        self.x = check_features(x)
        self.y, self.w = check_results(y, w, len(self.x), self.task_type)
        self.names = check_names(names, self.y.shape[1])
        self.ids = check_ids(ids, len(self.x))
        self.dropped: dict[str, dict[str, int]] = {}
        self.dropped_smiles: list[str] = []
        self._index_assays()
        self._leave_out_small()

    @classmethod
    def from_csv(
        cls,
        path: str | os.PathLike,
        *,
        smiles: str = "smiles",
        assays: Sequence[str] | None = None,
        featurizer: Callable[[list[str]], Any] | None = None,
        on_error: str = "raise",
        **options: Any,
    ) -> AssayTasks:
        """Read a table of molecules and assays.

        Parameters
        ----------
        path : str or path
            A CSV file whose first line names the columns, gzipped if its name ends in .gz.
        smiles : str, default "smiles"
            The column of the SMILES, which become `ids`.
        assays : list of str, optional
            The columns of the assays: 0, 1 or empty, or numbers. By default, all other columns of
            numbers.
        featurizer : callable, optional
            Makes of a list of SMILES an array of shape (molecules, features). By default,
            `morgan_fingerprints`.
        on_error : {"raise", "drop"}, default "raise"
            What to do with SMILES that RDKit cannot read. Those dropped are in `dropped_smiles`.
        **options
            The constructor's other arguments.

        Returns
        -------
        AssayTasks

        Raises
        ------
        ValueError
            If the table lacks a column, or SMILES cannot be read, and as the constructor does.
        ImportError
            If RDKit is not installed.
        """
        table = read_assays_csv(path, smiles=smiles, assays=assays)
        molecules, kept = parse_smiles(table.smiles, on_error)
        ids = [table.smiles[i] for i in kept]
        x = morgan_fingerprints(molecules) if featurizer is None else featurizer(ids)
        tasks = cls(x, table.y[kept], names=table.names, ids=ids, **options)
        readable = set(kept.tolist())
        tasks.dropped_smiles = [s for i, s in enumerate(table.smiles) if i not in readable]
        return tasks

    @classmethod
    def from_dataset(cls, dataset: Any, **options: Any) -> AssayTasks:
        """Take a DeepChem dataset, whose tasks are the assays.

        Parameters
        ----------
        dataset : deepchem.data.Dataset
            Any object with `X`, `y`, `w`, `ids` and `get_task_names()` or `tasks`, as NumPy arrays.
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
        y = y[:, None] if y.ndim == 1 else y
        return cls(dataset.X, y, getattr(dataset, "w", None), **options)

    @property
    def ways(self) -> int | None:
        """Two classes, inactive and active; None for regression."""
        return 2 if self.task_type == "classification" else None

    @property
    def scores(self) -> dict[str, Callable[..., float]]:
        """Measures of a task's predictions, by scikit-learn.

        Each is called with ``(y_true, y_pred, sample_weight)``, arrays of shape (examples,) or
        (examples, 1), and leaves out examples of weight 0; other weights count as 1. They are
        "roc_auc" and "average_precision", which need scores such as logits or probabilities, or
        "r2" and "rmse" for regression.
        """
        classes = self.task_type == "classification"
        return dict(CLASSIFICATION_SCORES if classes else REGRESSION_SCORES)

    def sample(self, n: int, rng: np.random.Generator, assays: Any = None) -> tuple:
        """Draw `n` tasks.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            The tasks depend on nothing else.
        assays : int array of shape (n,), optional
            The assays, as places in `names`. By default they come in rounds, each of which has
            every assay once, in random order.

        Returns
        -------
        support, query : tuples of float32 arrays
            x of shape (n, examples, features), y of shape (n, examples, 1) and, for all batches of
            this source or none, sample_weight of shape (n, examples). Inactive compounds stand
            before active ones.

        Raises
        ------
        TypeError, ValueError
            If an argument is wrong.
        """
        n = check_draw(n, rng)
        which = self._in_rounds(n, rng) if assays is None else self._check_assays(assays, n)
        support, query = self._index.draw(which, rng)
        there = np.ones(query.shape, bool)
        if self.queries == "rest":
            query, there = self._index.rest(which, support)
        used = np.ones(support.shape, bool)
        return self._batch(support, which, used), self._batch(query, which, there)

    def split(self, test: Sequence[str] | float) -> tuple[AssayTasks, AssayTasks]:
        """Split the assays into those to train on and those to test on.

        Both parts share `x`. A compound may be in assays of both; see `take`.

        Parameters
        ----------
        test : list of str, float, or int
            The names of the assays to test on, or which fraction of the assays, or how many. The
            latter two take the last columns.

        Returns
        -------
        train, test : AssayTasks

        Raises
        ------
        TypeError, ValueError
            If a name is not there, or a part would have no assay.
        """
        if isinstance(test, (list, tuple, np.ndarray)):
            unknown = [name for name in test if name not in self.names]
            if unknown or not 0 < len(set(test)) < len(self.names):
                raise ValueError(
                    f"`test` must name some of the assays {listed(self.names)}, not all. "
                    f"Received: test={list(test)}"
                )
            in_test = np.isin(self.names, list(test))
        else:
            first = len(self.names) - held_out(test, len(self.names), "assays")
            in_test = np.arange(len(self.names)) >= first
        return self._columns(~in_test), self._columns(in_test)

    def take(self, compounds: Any) -> AssayTasks:
        """Return a source over some of the compounds.

        With two sets of compounds that share none, and `split`, a test is on new assays and new
        molecules; `scaffolds` of `ids` tells which molecules resemble each other.

        Parameters
        ----------
        compounds : bool array of shape (compounds,), or int array
            Which rows, each at most once.

        Returns
        -------
        AssayTasks
            Over a copy of these rows.

        Raises
        ------
        TypeError, ValueError
            If `compounds` is no such array, or an assay has too few of them, unless `drop_small`.
        """
        rows = np.asarray(compounds)
        if rows.dtype == bool and rows.shape == (len(self.x),):
            rows = np.flatnonzero(rows)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise TypeError(
                f"`compounds` must be {len(self.x)} bools or a list of rows. "
                f"Received: dtype {rows.dtype} and shape {rows.shape}"
            )
        outside = rows.size == 0 or rows.min() < 0 or rows.max() >= len(self.x)
        if outside or len(np.unique(rows)) < len(rows):
            raise ValueError(
                f"`compounds` must be different rows from 0 to {len(self.x) - 1}, at least one. "
                f"Received: {listed(rows) or 'none'}"
            )
        w = None if self.w is None else self.w[rows]
        ids = None if self.ids is None else [self.ids[row] for row in rows]
        options = self._options() | {"ids": ids}
        return AssayTasks(self.x[rows], self.y[rows], w, names=self.names, **options)

    def replace(
        self,
        *,
        shots: int | None = None,
        queries: int | str | None = None,
        balanced: bool | None = None,
        drop_small: bool | None = None,
    ) -> AssayTasks:
        """Return a source over the same table with other sizes of its tasks.

        Parameters
        ----------
        shots, queries, balanced, drop_small : optional
            As in the constructor. By default, as they are.

        Returns
        -------
        AssayTasks
            It shares `x` with this one.

        Raises
        ------
        TypeError, ValueError
            As the constructor does.
        """
        given = {
            "shots": shots,
            "queries": queries,
            "balanced": balanced,
            "drop_small": drop_small,
        }
        given = {name: value for name, value in given.items() if value is not None}
        return AssayTasks(self.x, self.y, self.w, names=self.names, **(self._options() | given))

    def _options(self) -> dict[str, Any]:
        names = ("ids", "shots", "queries", "task_type", "balanced", "drop_small")
        return {name: getattr(self, name) for name in names}

    def _columns(self, chosen: np.ndarray) -> AssayTasks:
        names = [name for name, here in zip(self.names, chosen, strict=True) if here]
        w = None if self.w is None else self.w[:, chosen]
        return AssayTasks(self.x, self.y[:, chosen], w, names=names, **self._options())

    def _index_assays(self) -> None:
        classes = self.task_type == "classification"
        queries = None if self.queries == "rest" else self.queries
        self._index = AssayIndex(self.y, classes, self.shots, queries, self.balanced)
        padded = queries is None and len(np.unique(self._index.counts.sum(axis=1))) > 1
        self._weighted = padded or self.w is not None

    def _leave_out_small(self) -> None:
        """Drop assays that cannot make a task, or raise."""
        constant, small = _constant(self.y), self._index.small
        bad = constant | small
        if not bad.any():
            return
        if not self.drop_small or bad.all():
            self._refuse(constant)
        self.dropped = {self.names[i]: self._index.describe(i) for i in np.flatnonzero(bad)}
        self.names = [name for name, out in zip(self.names, bad, strict=True) if not out]
        self.y = self.y[:, ~bad]
        self.w = None if self.w is None else self.w[:, ~bad]
        self._index_assays()

    def _refuse(self, constant: np.ndarray) -> None:
        if constant.any():
            rule, places = "have results that differ", np.flatnonzero(constant)
        else:
            rule, places = "have enough compounds for a task", np.flatnonzero(self._index.small)

        def text(assay: int) -> str:
            counts = (f"{count} {name}" for name, count in self._index.describe(assay).items())
            needed = " and ".join(map(str, self._index.needed[assay]))
            return f"{self.names[assay]} ({', '.join(counts)}; needs {needed})"

        raise ValueError(
            f"Each assay must {rule} (drop_small=True leaves others out, as long as some remain). "
            f"Received: {len(places)} of {len(self.names)} that do not: "
            f"{listed(map(text, places))}"
        )

    def _in_rounds(self, n: int, rng: np.random.Generator) -> np.ndarray:
        rounds = np.tile(np.arange(len(self.names)), (-(-n // len(self.names)), 1))
        return rng.permuted(rounds, axis=1).reshape(-1)[:n]

    def _check_assays(self, assays: Any, n: int) -> np.ndarray:
        which = np.asarray(assays)
        if which.dtype.kind not in "iu" or which.shape != (n,):
            raise TypeError(
                f"`assays` must be an array of {n} integers, one for each task. "
                f"Received: dtype {which.dtype} and shape {which.shape}"
            )
        if which.min() < 0 or which.max() >= len(self.names):
            raise ValueError(
                f"`assays` must be from 0 to {len(self.names) - 1}. Received: assays={assays!r}"
            )
        return which

    def _batch(self, rows: np.ndarray, which: np.ndarray, there: np.ndarray) -> tuple:
        """Return the compounds of `rows` with results and weights; padding is not `there`."""
        columns = which[:, None]
        x, y = self.x[rows], self.y[rows, columns][..., None]
        if not self._weighted:
            return x, y
        return x, y, there * (np.float32(1) if self.w is None else self.w[rows, columns])

    def __repr__(self) -> str:
        return (
            f"AssayTasks({len(self.x)} compounds, {len(self.names)} assays, "
            f"shots={self.shots}, queries={self.queries!r}, task_type={self.task_type!r}, "
            f"balanced={self.balanced})"
        )


def _constant(y: np.ndarray) -> np.ndarray:
    """Return whether the results of each column are all equal, or all missing."""
    # fmin and fmax leave out NaN; a column of nothing else compares as False.
    return ~(np.fmax.reduce(y) > np.fmin.reduce(y))
