"""Few-shot assays: how a new assay's compounds rank, learned from a table of other assays."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepchem_meta._checks import check_flag, check_option
from deepchem_meta.tasks._arguments import check_draw
from deepchem_meta.tasks._assay_checks import (
    check_assay,
    check_features,
    check_ids,
    check_names,
    check_places,
    check_queries,
    check_results,
    check_rows,
    check_shots,
    check_sizes,
    check_table,
    check_test,
)
from deepchem_meta.tasks._assay_draws import AssayDraws
from deepchem_meta.tasks._assay_reading import AssayReading
from deepchem_meta.tasks._assay_results import AssayResults
from deepchem_meta.tasks._datasets import AsDataset
from deepchem_meta.tasks._drawing import draw_rounds
from deepchem_meta.tasks._duplicates import merge_rows, number_molecules
from deepchem_meta.tasks._molecule_tables import DroppedRow
from deepchem_meta.tasks._scores import CLASSIFICATION_SCORES, REGRESSION_SCORES
from deepchem_meta.tasks.molecule_features import MoleculeFeatures

__all__ = ["AssayTasks"]

# Of what `replace` changes.
_CHECKS = {
    "shots": check_shots,
    "queries": check_queries,
    "balanced": lambda value: check_flag("balanced", value),
    "drop_small": lambda value: check_flag("drop_small", value),
}


class AssayTasks(AssayReading, AsDataset):
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
    molecules : list, optional
        Which rows are one molecule: those of equal values, of any hashable type. By default,
        `ids`. None, NaN and a blank string are a molecule of their own, and without `ids` each
        row is.
    shots : int or sequence of int, default 10
        Compounds of each class in the support set: so many active and as many inactive. For
        regression, compounds. Of several numbers each draw has one that its assay has enough
        compounds for, and support sets are padded to the largest: so one model learns to serve
        all of them.
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
    duplicates : {"merge", "raise"}, default "merge"
        What to do with a molecule that has several rows. Its results in an assay are merged into
        its first row and are missing in the others, so that no task has a molecule twice. The
        merged result is the label with most of the weight, and missing in a tie; in regression
        it is the weighted mean. Its weight is the mean of the weights. `x`, `y` and `ids` keep
        their rows.

    Attributes
    ----------
    names : list of str
        The assays, in the order of columns.
    ids : list or None
    molecules : int64 array of shape (compounds,)
        The number of each row's molecule, in the order of first rows.
    merged : MergedRows
        What was merged when the table was first given: `rows` rows of `molecules` molecules, of
        which ``conflicts[name]`` have results that differ in an assay.
    dropped : dict of str to dict of str to int
        The compounds of each assay left out, by class: ``{"NR-AR": {"inactive": 7, "active": 3}}``.
    left_out : dict of str to str
        The columns that `from_csv` did not take for assays, with the reason.
    dropped_rows : list of DroppedRow
        The rows that `from_csv` could not read and was told to drop: `line` of the file, `smiles`
        and `reason`.
    dropped_smiles : list of str
        Their SMILES.
    qualified : dict of str to int
        How many results of each assay had a qualifier, such as ">10", in the file.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit; a feature is NaN or infinite; a result is neither 0, 1 nor missing;
        an assay has no results or only equal ones, or fewer compounds than a task needs; or a
        molecule has several rows and `duplicates` is "raise".

    Warns
    -----
    UserWarning
        If results of one molecule differ and are merged.

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
        shots: int | Sequence[int] = 10,
        queries: int | str = 16,
        task_type: str = "classification",
        balanced: bool = True,
        drop_small: bool = False,
        molecules: Sequence[Any] | None = None,
        duplicates: str = "merge",
    ):
        self._configure(
            shots=shots,
            queries=queries,
            task_type=task_type,
            balanced=balanced,
            drop_small=drop_small,
            duplicates=duplicates,
        )
        self.x = check_features(x)
        y, w = check_table(y, w, len(self.x))
        self.names = check_names(names, y.shape[1])
        self.ids = check_ids("ids", ids, len(self.x))
        keys = check_ids("molecules", molecules, len(self.x)) or self.ids
        self.molecules = np.arange(len(self.x)) if keys is None else number_molecules(keys)
        y, w = check_results(y, w, self.names, self.task_type)
        y, w, self.merged = merge_rows(
            y,
            w,
            self.molecules,
            names=self.names,
            ids=self.ids,
            classes=self.task_type == "classification",
            duplicates=self.duplicates,
        )
        self._start(AssayResults.of_table(y, w))

    def _configure(
        self,
        *,
        shots: int | Sequence[int],
        queries: int | str,
        task_type: str,
        balanced: bool,
        drop_small: bool,
        duplicates: str,
    ) -> None:
        """Take the options that say what a task is."""
        self.shots, self.queries = _CHECKS["shots"](shots), _CHECKS["queries"](queries)
        self.balanced = _CHECKS["balanced"](balanced)
        self.drop_small = _CHECKS["drop_small"](drop_small)
        self.task_type = check_option("task_type", task_type, ("classification", "regression"))
        self.duplicates = check_option("duplicates", duplicates, ("merge", "raise"))

    def _start(self, results: AssayResults) -> None:
        """Take checked and merged results; the other attributes are there."""
        self._results = results
        self.dropped: dict[str, dict[str, int]] = {}
        self.left_out: dict[str, str] = {}
        self.dropped_rows: list[DroppedRow] = []
        self.qualified: dict[str, int] = {}
        self._index_assays()
        self._leave_out_small()

    @property
    def y(self) -> np.ndarray:
        """All results as a table, float32 of shape (compounds, assays); NaN is missing.

        It is made anew at each access, and takes room for every compound in every assay.
        """
        return self._results.table("value", (len(self.x), len(self.names)), np.nan)

    @property
    def w(self) -> np.ndarray | None:
        """All weights as such a table, 0 where there is no result; None if all are 0 or 1."""
        if self._results.weight is None:
            return None
        return self._results.table("weight", (len(self.x), len(self.names)), 0.0)

    @property
    def results(self) -> AssayResults:
        """All results as a long table, in the order of assays and, within each, of compounds.

        A named tuple of arrays of shape (results,): `assay`, the place in `names`; `compound`, the
        row of `x`; `value`; and `weight`, or None where all are 1.
        """
        return self._results

    @property
    def dropped_smiles(self) -> list[str]:
        """What `from_csv` could not read and was told to drop."""
        return [row.smiles for row in self.dropped_rows]

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
        if assays is None:
            which = draw_rounds(len(self.names), n, rng)
        else:
            which = check_places(assays, n, len(self.names))
        draw = self._draws.draw(which, rng)
        return self._batch(draw.support, draw.in_support), self._batch(draw.query, draw.in_query)

    def compounds(self, assay: str) -> tuple[np.ndarray, ...]:
        """Return all compounds that have a result in an assay, as one batch to adapt to.

        Parameters
        ----------
        assay : str
            One of `names`.

        Returns
        -------
        x : float32 array of shape (compounds with a result, features)
        y : float32 array of shape (compounds with a result, 1)
        sample_weight : float32 array of shape (compounds with a result,)
            Only if the source has weights other than 0 and 1.

        Raises
        ------
        TypeError, ValueError
            If there is no such assay.
        """
        column = check_assay(assay, self.names)
        places = np.flatnonzero(self._results.assay == column)
        x, y = self.x[self._results.compound[places]], self._results.value[places, None]
        weight = self._results.weight
        return (x, y) if weight is None else (x, y, weight[places])

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
        in_test = check_test(test, self.names)
        return self._columns(~in_test), self._columns(in_test)

    def take(self, compounds: Any) -> AssayTasks:
        """Return a source over some of the compounds.

        With two sets of compounds that share none, and `split`, a test is on new assays and new
        molecules; `scaffolds` of `ids` tells which molecules resemble each other.

        Parameters
        ----------
        compounds : bool array of shape (compounds,), or int array
            Which rows, each at most once. A molecule of several rows is taken by any of them, and
            its results then stand in the first that is taken. To divide molecules, give all rows
            of equal `molecules` to one side.

        Returns
        -------
        AssayTasks
            Over a copy of these rows.

        Raises
        ------
        TypeError, ValueError
            If `compounds` is no such array, or an assay has too few of them, unless `drop_small`.
        """
        rows = check_rows(compounds, len(self.x))
        taken, place = np.unique(self.molecules[rows], return_index=True)
        # A molecule's results stand in its first row, which need not be among those taken.
        number = np.full(len(self.x), -1)
        number[np.unique(self.molecules, return_index=True)[1][taken]] = place
        ids = None if self.ids is None else [self.ids[row] for row in rows]
        results = self._results.of_compounds(number)
        # Features that are stored small stay so.
        x = self.x.take(rows) if isinstance(self.x, MoleculeFeatures) else self.x[rows]
        return self._derive(x, results, ids=ids, molecules=self.molecules[rows])

    def replace(
        self,
        *,
        shots: int | Sequence[int] | None = None,
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
        return self._derive(self.x, self._results, **given)

    def with_features(self, x: Any) -> AssayTasks:
        """Return a source of the same results with other features.

        Parameters
        ----------
        x : array of shape (compounds, features)
            In the order of the rows here.

        Raises
        ------
        TypeError, ValueError
            As the constructor does.
        """
        x = check_features(x)
        if len(x) != len(self.x):
            raise ValueError(
                f"`x` must have a row for each of {len(self.x)} compounds. "
                f"Received: shape {x.shape}"
            )
        return self._derive(x, self._results)

    def _columns(self, chosen: np.ndarray) -> AssayTasks:
        places = np.flatnonzero(chosen)
        names = [self.names[place] for place in places]
        return self._derive(self.x, self._results.of_assays(places, len(self.names)), names=names)

    def _derive(self, x: Any, results: AssayResults, **changes: Any) -> AssayTasks:
        """Return a source over a part of the results, with other options, and with what is known.

        Results are merged already, so that nothing is merged, and warned of, once more.
        """
        part = copy.copy(self)
        part.x = x
        for name, value in changes.items():
            setattr(part, name, _CHECKS.get(name, lambda value: value)(value))
        part._start(results)
        part.dropped = self.dropped | part.dropped
        part.left_out, part.dropped_rows = self.left_out, self.dropped_rows
        part.qualified = {k: n for k, n in self.qualified.items() if k in part.names}
        conflicts = {k: n for k, n in self.merged.conflicts.items() if k in part.names}
        part.merged = self.merged._replace(conflicts=conflicts)
        return part

    def _index_assays(self) -> None:
        classes = self.task_type == "classification"
        queries = None if self.queries == "rest" else self.queries
        results, assays = self._results, len(self.names)
        shots = self.shots if isinstance(self.shots, tuple) else (self.shots,)
        self._draws = AssayDraws(results, assays, classes, shots, queries, self.balanced)
        self._weighted = self._draws.padded or results.weight is not None

    def _leave_out_small(self) -> None:
        """Drop assays that cannot make a task, or raise."""
        constant = self._results.constant(len(self.names))
        bad = check_sizes(self._draws.index, constant, self.names, self.drop_small)
        if not bad.any():
            return
        self.dropped = {self.names[i]: self._draws.index.describe(i) for i in np.flatnonzero(bad)}
        self.names = [name for name, out in zip(self.names, bad, strict=True) if not out]
        self._results = self._results.of_assays(np.flatnonzero(~bad), len(bad))
        self._index_assays()

    def _batch(self, places: np.ndarray, there: np.ndarray) -> tuple:
        """Return the compounds of some results, these and their weights; padding is not `there`."""
        results = self._results
        x, y = self.x[results.compound[places]], results.value[places][..., None]
        if not self._weighted:
            return x, y
        weight = np.float32(1) if results.weight is None else results.weight[places]
        return x, y, there * weight

    def __repr__(self) -> str:
        rows, molecules, _ = self.merged
        merged = f", {rows} rows of {molecules} molecules merged" if rows else ""
        return (
            f"AssayTasks({len(self.x)} compounds, {len(self.names)} assays, "
            f"shots={self.shots}, queries={self.queries!r}, task_type={self.task_type!r}, "
            f"balanced={self.balanced}{merged})"
        )
