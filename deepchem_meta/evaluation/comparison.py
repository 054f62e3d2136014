"""Several algorithms on the same tasks: who is better, by how much, and how sure that is."""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from deepchem_meta._checks import check_count, check_positive
from deepchem_meta.evaluation.direction import smaller_is_better
from deepchem_meta.evaluation.intervals import mean_and_interval
from deepchem_meta.evaluation.report import Evaluation

__all__ = ["Comparison", "compare"]

_STEPS = (1, 3, 5, 10)


def compare(
    algorithms: Sequence[Any] | Mapping[str, Any],
    tasks: Any,
    *,
    validation: Any = None,
    n_tasks: int = 600,
    validation_tasks: int = 200,
    optimization_steps: Sequence[int] | None = None,
    metric: str | None = None,
    seed: int = 0,
    fit_steps: int | None = None,
    fit_seconds: float | None = None,
) -> Comparison:
    """Evaluate algorithms on the same tasks, after the same training if any is asked for.

    Parameters
    ----------
    algorithms : list, or dict of str to objects
        Those of `deepchem_meta.metalearning`, `EstimatorBaseline`, or anything else with their
        `evaluate`, and `fit` if it is to be trained. Those of a list go by their `name` or their
        class, with " 2" and so on where that is taken.
    tasks : object or tf.data.Dataset
        The source of held-out tasks that they are compared on.
    validation : object or tf.data.Dataset, optional
        A source of other held-out tasks, to choose each algorithm's steps of adaptation on, and the
        rate of those that have `choose_rate` (`FineTuning`). None may be one of `tasks`.
    n_tasks : int, default 600
        Tasks to adapt to. Of a source that names its tasks (`AssayTasks`) the number is rounded up
        to full rounds.
    validation_tasks : int, default 200
        The same for `validation`.
    optimization_steps : sequence of int, default (1, 3, 5, 10)
        The steps of adaptation to choose from; needs `validation`. Without it, each algorithm
        takes those of its attribute `optimization_steps`.
    metric : str, optional
        "loss", or the name of a metric or score that all algorithms have; the steps are chosen, the
        table is sorted and differences are taken by it. By default the first one that all have
        besides the loss, or the loss if there is none. The smallest is the best where the name
        ends in "loss", "error" or a short form such as "rmse", and else the largest. Losses compare
        only if they are of one kind.
    seed : int, default 0
        What the tasks are drawn from, the same ones for all; those of `validation` from seed + 1.
    fit_steps : int, optional
        Train all that have `fit` for so many meta-steps first. By default nothing is trained.
    fit_seconds : float, optional
        Train them for so many seconds each instead, compilation included, which is not cut short;
        nor is a compiled call of about a quarter of a second. Schedules over the whole training
        (`MAMLPlusPlus`, a falling rate of `Reptile`) must be set for as many meta-steps as fit in.

    Returns
    -------
    Comparison

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described; both budgets are given; algorithms that are to be
        trained share variables; or no metric is there for all. Nothing has been trained then.

    Examples
    --------
    Printed, the result is a table, with the best first:

    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> from deepchem_meta.evaluation import EstimatorBaseline, compare
    >>> from deepchem_meta.tasks import SinusoidTasks
    >>> line = EstimatorBaseline(Ridge(), name="straight line")
    >>> nearest = EstimatorBaseline(KNeighborsRegressor(1), name="nearest")
    >>> comparison = compare([line, nearest], SinusoidTasks(shots=10), n_tasks=100)
    >>> print(comparison)
                       loss  steps  difference from nearest
    nearest        1.98 ± 0.5      0
    straight line  5.92 ± 1.5      0              3.94 ± 1.2
    100 tasks, seed 0; mean ± 95% interval over tasks (1.96 standard errors), ...

    Notes
    -----
    Before the training each algorithm is evaluated on one task, or one round of named tasks, so
    that what does not fit is known before the time is spent.
    """
    named = _by_name(algorithms)
    if validation is not None and validation is tasks:
        raise ValueError(
            "`validation` must have other tasks than `tasks`. Received: the same source for both"
        )
    check_count("n_tasks", n_tasks, minimum=1)
    check_count("validation_tasks", validation_tasks, minimum=1)
    check_count("seed", seed)
    candidates = _check_candidates(optimization_steps, validation)
    budget = _budget(fit_steps, fit_seconds)
    trained = {
        name: algorithm
        for name, algorithm in named.items()
        if budget and callable(getattr(algorithm, "fit", None))
    }
    _check_apart(trained)
    sources = [tasks] if validation is None else [tasks, validation]
    metric = _check_metric(metric, _try_out(named, sources, seed))
    seconds = {name: _train(algorithm, budget) for name, algorithm in trained.items()}
    evaluations = {}
    for name, algorithm in named.items():
        steps = getattr(algorithm, "optimization_steps", 0)
        if validation is not None:
            if callable(getattr(algorithm, "choose_rate", None)):
                algorithm.choose_rate(validation, validation_tasks, seed + 1, metric)
            found = algorithm.evaluate(
                validation,
                n_tasks=validation_tasks,
                optimization_steps=candidates,
                seed=seed + 1,
            )
            steps = found.optimization_steps[np.argmin(_cost(found.mean[metric], metric))]
        evaluations[name] = algorithm.evaluate(
            tasks, n_tasks=n_tasks, optimization_steps=(steps,), seed=seed
        )
    return Comparison(evaluations, metric, seconds=seconds)


class Comparison:
    """Evaluations of several algorithms on the same tasks.

    Printed, it is a table with the best one first.

    Parameters
    ----------
    evaluations : dict of str to Evaluation
        By the algorithms' names. Each at one number of steps of adaptation, and of the same tasks.
    metric : str
        "loss" or the name of a metric that all have, to compare by. The smallest is the best where
        the name ends in "loss", "error" or a short form such as "rmse", and else the largest.
    seconds : dict of str to float, optional
        How long those that were trained took.

    Attributes
    ----------
    evaluations : dict of str to Evaluation
        As given, the best first; so are the other dicts.
    optimization_steps : dict of str to int
        Steps of adaptation of each.
    metric : str
        As given.
    seconds : dict of str to float
        As given; empty if nothing was trained.
    n_tasks, seed, unit
        Those of each `Evaluation`.

    Raises
    ------
    TypeError
        If `evaluations` is no dict of them, or empty.
    ValueError
        If one lacks the metric or has several numbers of steps, or they are of different tasks.

    Notes
    -----
    Intervals are 1.96 standard errors, or Student's t below 30 values. Those of the differences
    tell better who is ahead: what makes a task hard for all is not in them.
    """

    def __init__(
        self,
        evaluations: Mapping[str, Evaluation],
        metric: str,
        *,
        seconds: Mapping[str, float] | None = None,
    ):
        _check_evaluations(evaluations, metric)
        costs = {name: _cost(one.mean[metric][0], metric) for name, one in evaluations.items()}
        self.evaluations = {name: evaluations[name] for name in sorted(costs, key=costs.get)}
        self.metric = metric
        seconds = seconds or {}
        self.seconds = {name: seconds[name] for name in self.evaluations if name in seconds}
        first = next(iter(self.evaluations.values()))
        self.n_tasks, self.seed, self.unit = first.n_tasks, first.seed, first.unit

    @property
    def optimization_steps(self) -> dict[str, int]:
        """Steps of adaptation of each algorithm."""
        return {name: one.optimization_steps[0] for name, one in self.evaluations.items()}

    @property
    def mean(self) -> dict[str, float]:
        """The mean of the metric, by algorithm."""
        return {name: float(one.mean[self.metric][0]) for name, one in self.evaluations.items()}

    @property
    def ci95(self) -> dict[str, float]:
        """Half the width of the 95% interval of each mean."""
        return {name: float(one.ci95[self.metric][0]) for name, one in self.evaluations.items()}

    def differences(self, reference: str | None = None) -> dict[str, tuple[float, float]]:
        r"""Return by how much the metric of each algorithm exceeds that of one of them.

        .. math:: \bar d \pm t \, s_d / \sqrt n

        with :math:`d` the n differences between the two on the same task (with named tasks, on the
        same draw), and t as in `mean_and_interval`.

        Parameters
        ----------
        reference : str, optional
            The one to compare the others with, by default the best.

        Returns
        -------
        dict of (mean, half_width)
            The mean difference and half the width of its 95% interval, of all but the reference.

        Raises
        ------
        ValueError
            If there is no algorithm of this name.
        """
        names = list(self.evaluations)
        reference = names[0] if reference is None else reference
        if reference not in names:
            raise ValueError(
                f"`reference` must be one of {names}. Received: reference={reference!r}"
            )
        units = {name: one.units(self.metric) for name, one in self.evaluations.items()}
        found = {}
        for name in names:
            if name != reference:
                with np.errstate(invalid="ignore"):  # both may be infinite
                    mean, half = mean_and_interval(units[name] - units[reference])
                found[name] = float(mean[0]), float(half[0])
        return found

    def plot(self, ax: Any = None) -> Any:
        """Draw the mean of the metric with its interval, an algorithm a row.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not there: ``pip install "deepchem_meta[plot]"``.
        """
        from deepchem_meta import plotting

        return plotting.plot_comparison(self, ax=ax)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as numbers, strings, lists and dicts, ready for JSON.

        Differences are those to the best algorithm.
        """
        return {
            "metric": self.metric,
            "n_tasks": self.n_tasks,
            "seed": self.seed,
            "unit": self.unit,
            "optimization_steps": self.optimization_steps,
            "mean": self.mean,
            "ci95": self.ci95,
            "differences": {name: list(pair) for name, pair in self.differences().items()},
            "seconds": self.seconds,
            "evaluations": {name: one.to_dict() for name, one in self.evaluations.items()},
        }

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write a table with a row for each algorithm, the best first.

        Its columns are ``algorithm``, ``optimization_steps``, ``seconds`` of training, the mean of
        each metric that all have and its half interval (``accuracy`` and ``accuracy_ci95``, say),
        and ``difference`` and ``difference_ci95`` of the metric compared by, to the best. What is
        not there is left empty.

        Parameters
        ----------
        path : str or path
            The file, which is written over.
        """
        differences = self.differences()
        metrics = _common_metrics(self.evaluations.values())
        rows = []
        for name, one in self.evaluations.items():
            row = {
                "algorithm": name,
                "optimization_steps": self.optimization_steps[name],
                "seconds": self.seconds.get(name, ""),
            }
            mean, half = one.mean, one.ci95
            for metric in metrics:
                row |= {metric: mean[metric][0], f"{metric}_ci95": half[metric][0]}
            difference = differences.get(name, ("", ""))
            rows.append(row | {"difference": difference[0], "difference_ci95": difference[1]})
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def __str__(self) -> str:
        mean, half, steps = self.mean, self.ci95, self.optimization_steps
        differences = {name: _interval(*pair) for name, pair in self.differences().items()}
        columns = {
            "": {name: name for name in mean},
            self.metric: {name: _interval(mean[name], half[name]) for name in mean},
            "steps": {name: str(steps[name]) for name in mean},
        }
        if self.seconds:
            columns["seconds"] = {name: f"{value:.1f}" for name, value in self.seconds.items()}
        if differences:
            columns[f"difference from {next(iter(mean))}"] = differences
        cells = [[head, *(cell.get(name, "") for name in mean)] for head, cell in columns.items()]
        widths = [max(map(len, column)) for column in cells]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in zip(*cells, strict=True)
        ]
        return "\n".join([*lines, self._basis()])

    __repr__ = __str__

    def _basis(self) -> str:
        """Return what the figures are over."""
        names = next(iter(self.evaluations.values())).task_names
        kinds = 1 if names is None else len(set(names))
        n = self.n_tasks // kinds
        what = f"{n} tasks" if names is None else f"{kinds} tasks, {n} draws of each"
        how = "Student's t" if n < 30 else "1.96 standard errors"
        return (
            f"{what}, seed {self.seed}; mean ± 95% interval over {self.unit} ({how}), "
            f"differences paired by {self.unit[:-1]}"
        )


class _StopAfter(keras.callbacks.Callback):
    """Ends `fit` after some seconds."""

    def __init__(self, seconds: float):
        super().__init__()
        self._seconds = seconds

    def on_train_begin(self, logs: Any = None) -> None:
        self._end = time.monotonic() + self._seconds

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if time.monotonic() >= self._end:
            self.model.stop_training = True


def _by_name(algorithms: Any) -> dict[str, Any]:
    """Return algorithms by names, those of a list by names of our choice."""
    if isinstance(algorithms, Mapping):
        named = dict(algorithms)
    else:
        named = {}
        for algorithm in algorithms if isinstance(algorithms, (list, tuple)) else ():
            name = getattr(algorithm, "name", type(algorithm).__name__)
            names = (f"{name} {i}" if i > 1 else name for i in range(1, len(named) + 2))
            named[next(new for new in names if new not in named)] = algorithm
    if not named or not all(isinstance(name, str) for name in named):
        raise TypeError(
            "`algorithms` must be a list of at least one algorithm, or a dict of str to them. "
            f"Received: algorithms={algorithms!r}"
        )
    for name, algorithm in named.items():
        if isinstance(algorithm, type) or not callable(getattr(algorithm, "evaluate", None)):
            raise TypeError(
                "Each of `algorithms` must be an object with `evaluate`. "
                f"Received: {algorithm!r} as {name!r}"
            )
    return named


def _check_candidates(steps: Any, validation: Any) -> tuple[int, ...]:
    """Return the steps of adaptation to choose from."""
    if steps is None:
        return _STEPS
    if validation is None:
        raise ValueError(
            "`optimization_steps` needs `validation`, to choose on. "
            f"Received: optimization_steps={steps!r}, validation=None"
        )
    if not isinstance(steps, Iterable) or not (steps := tuple(steps)):
        raise ValueError(
            "`optimization_steps` must be a sequence of int. "
            f"Received: optimization_steps={steps!r}"
        )
    return tuple(check_count("optimization_steps", count) for count in steps)


def _budget(steps: int | None, seconds: float | None) -> dict[str, Any] | None:
    """Return the arguments of `fit`, or None if nothing is to be trained."""
    if steps is not None and seconds is not None:
        raise ValueError(
            "One of `fit_steps` and `fit_seconds` may be given. "
            f"Received: fit_steps={steps!r}, fit_seconds={seconds!r}"
        )
    if steps is not None:
        return {"steps": check_count("fit_steps", steps, minimum=1)}
    if seconds is not None:
        stop = _StopAfter(check_positive("fit_seconds", seconds))
        return {"steps": sys.maxsize, "callbacks": [stop]}
    return None


def _check_apart(trained: Mapping[str, Any]) -> None:
    """Raise if two algorithms would train the same variables."""
    owners: dict[int, tuple[str, Any]] = {}  # with the variable, so that its id stays its own
    for name, algorithm in trained.items():
        for variable in getattr(getattr(algorithm, "learner", None), "variables", ()):
            other, _ = owners.setdefault(id(variable), (name, variable))
            if other != name:
                raise ValueError(
                    "Algorithms that are to be trained must have a learner and a model each. "
                    f"Received: {other!r} and {name!r}, which share variables"
                )


def _try_out(named: Mapping[str, Any], sources: Sequence[Any], seed: int) -> list[Evaluation]:
    """Return an evaluation of each algorithm on one task of each source, or raise as it does."""
    return [
        algorithm.evaluate(source, n_tasks=1, optimization_steps=(0,), seed=seed)
        for algorithm in named.values()
        for source in sources
    ]


def _check_metric(metric: str | None, evaluations: Sequence[Evaluation]) -> str:
    """Return the metric to compare by: the one given, or the first that all have."""
    common = _common_metrics(evaluations)
    if metric is None:
        return common[1] if len(common) > 1 else "loss"
    if metric not in common:
        raise ValueError(
            f"`metric` must be one of {common}, which all algorithms have. "
            f"Received: metric={metric!r}"
        )
    return metric


def _common_metrics(evaluations: Iterable[Evaluation]) -> list[str]:
    """Return the metrics that all have, the loss first."""
    first, *others = (one.mean for one in evaluations)
    return [name for name in first if all(name in other for other in others)]


def _train(algorithm: Any, budget: Mapping[str, Any]) -> float:
    """Train, and return how many seconds it took."""
    start = time.monotonic()
    algorithm.fit(**budget, verbose=0)
    return time.monotonic() - start


def _check_evaluations(evaluations: Any, metric: str) -> None:
    if (
        not isinstance(evaluations, Mapping)
        or not evaluations
        or not all(isinstance(one, Evaluation) for one in evaluations.values())
    ):
        raise TypeError(
            "`evaluations` must be a dict of names and at least one Evaluation. "
            f"Received: evaluations={evaluations!r}"
        )
    _check_metric(metric, list(evaluations.values()))
    steps = {name: one.optimization_steps for name, one in evaluations.items()}
    if any(len(one) != 1 for one in steps.values()):
        raise ValueError(
            f"Each of `evaluations` must have one number of steps of adaptation. Received: {steps}"
        )
    drawn = {
        name: (one.n_tasks, one.seed, one.unit, one.task_names) for name, one in evaluations.items()
    }
    first, *others = drawn.values()
    if any(other != first for other in others):
        received = {
            name: f"{n} tasks, seed {seed}, intervals over {unit}"
            for name, (n, seed, unit, _) in drawn.items()
        }
        raise ValueError(
            "All `evaluations` must be of the same tasks: as many, from the same seed and of the "
            f"same names. Received: {received}"
        )


def _cost(mean: Any, metric: str) -> np.ndarray:
    """Return means such that the smallest is the best, and NaN the worst."""
    sign = 1.0 if smaller_is_better(metric) else -1.0
    return np.nan_to_num(sign * np.asarray(mean), nan=np.inf, posinf=np.inf, neginf=-np.inf)


def _interval(mean: float, half: float) -> str:
    return f"{mean:.4g} ± {half:.2g}"
