"""Who is better on the same tasks, by how much, and how sure that is."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from deepchem_meta.engine.direction import smaller_is_better
from deepchem_meta.evaluation._tables import html_table, text_table, wrapped
from deepchem_meta.evaluation.intervals import mean_and_interval
from deepchem_meta.evaluation.report import Evaluation

__all__ = ["Comparison", "check_metric", "common_metrics", "cost"]


class Comparison:
    """Evaluations of several algorithms on the same tasks.

    Printed, and in notebooks, it is a table with the best one first. Of tasks with names it has the
    range of their means: an assay on which an algorithm fails does not show in the mean.

    Parameters
    ----------
    evaluations : dict of str to Evaluation
        By the algorithms' names. Each at one number of steps of adaptation, and of the same tasks.
    metric : str
        "loss" or the name of a metric that all have, to compare by. The smallest is the best where
        the name ends in "loss", "error" or a short form such as "rmse", and else the largest.
    seconds : dict of str to float, optional
        How long those that were trained took.
    failed : dict of str to str, optional
        Why algorithms that are to have a row have no evaluation.

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
    failed : dict of str to str
        As given.
    n_tasks : int
        That of each `Evaluation`; so are the next two.
    seed : int
        What drew the tasks.
    unit : {"tasks", "draws"}
        What the intervals are over.

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
        failed: Mapping[str, str] | None = None,
    ):
        _check_evaluations(evaluations, metric)
        costs = {name: cost(one.mean[metric][0], metric) for name, one in evaluations.items()}
        self.evaluations = {name: evaluations[name] for name in sorted(costs, key=costs.get)}
        self.metric = metric
        seconds = seconds or {}
        self.seconds = {name: seconds[name] for name in self.evaluations if name in seconds}
        self.failed = dict(failed or {})
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
            "failed": self.failed,
            "evaluations": {name: one.to_dict() for name, one in self.evaluations.items()},
        }

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write a table with a row for each algorithm, the best first.

        Its columns are ``algorithm``, ``optimization_steps``, ``seconds`` of training, the mean of
        each metric that all have and its half interval (``accuracy`` and ``accuracy_ci95``, say),
        and ``difference`` and ``difference_ci95`` of the metric compared by, to the best; then its
        ``lowest``, ``median`` and ``highest``, as in `Evaluation.spread`. What is not there is left
        empty. If an algorithm failed, the last column is ``failed``, with why.

        Parameters
        ----------
        path : str or path
            The file, which is written over.
        """
        differences = self.differences()
        metrics = common_metrics(self.evaluations.values())
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
            row |= {"difference": difference[0], "difference_ci95": difference[1]}
            spread = one.spread(self.metric)[:, 0]
            rows.append(row | dict(zip(("lowest", "median", "highest"), spread, strict=True)))
        rows += [{"algorithm": name, "failed": reason} for name, reason in self.failed.items()]
        columns = [*rows[0], *(["failed"] if self.failed else [])]
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)

    def __str__(self) -> str:
        rows = self._rows()
        parts = [text_table(rows, left=True)]
        width = max(len(name) for name in [*(row[0] for row in rows), *self.failed])
        parts += [wrapped(f"{name.ljust(width)}  {why}") for name, why in self.failed.items()]
        return "\n".join([*parts, wrapped(self._basis())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        rows = self._rows()
        failed = [[name, why, *[""] * (len(rows[0]) - 2)] for name, why in self.failed.items()]
        return html_table([*rows, *failed], self._basis())

    def _rows(self) -> list[list[str]]:
        """Return the table's rows, the header first."""
        mean, half, steps = self.mean, self.ci95, self.optimization_steps
        columns = {
            "": {name: name for name in mean},
            self.metric: {name: _interval(mean[name], half[name]) for name in mean},
        }
        if self.unit == "draws":  # over named tasks
            spreads = {
                name: one.spread(self.metric)[:, 0] for name, one in self.evaluations.items()
            }
            columns["lowest to highest"] = {
                name: f"{low:.4g} to {high:.4g}" for name, (low, _, high) in spreads.items()
            }
        columns["steps"] = {name: str(steps[name]) for name in mean}
        if self.seconds:
            columns["seconds"] = {name: f"{value:.1f}" for name, value in self.seconds.items()}
        differences = {name: _interval(*pair) for name, pair in self.differences().items()}
        if differences:
            columns[f"difference from {next(iter(mean))}"] = differences
        return [list(columns)] + [
            [cells.get(name, "") for cells in columns.values()] for name in mean
        ]

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


def check_metric(metric: str | None, evaluations: Sequence[Evaluation]) -> str:
    """Return the metric to compare by: the one given, or the first that all have."""
    common = common_metrics(evaluations)
    if metric is None:
        return common[1] if len(common) > 1 else "loss"
    if metric not in common:
        raise ValueError(
            f"`metric` must be one of {common}, which all algorithms have. "
            f"Received: metric={metric!r}"
        )
    return metric


def common_metrics(evaluations: Iterable[Evaluation]) -> list[str]:
    """Return the metrics that all have, the loss first."""
    first, *others = (one.mean for one in evaluations)
    return [name for name in first if all(name in other for other in others)]


def cost(mean: Any, metric: str) -> np.ndarray:
    """Return means such that the smallest is the best, and NaN the worst."""
    sign = 1.0 if smaller_is_better(metric) else -1.0
    return np.nan_to_num(sign * np.asarray(mean), nan=np.inf, posinf=np.inf, neginf=-np.inf)


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
    check_metric(metric, list(evaluations.values()))
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


def _interval(mean: float, half: float) -> str:
    return f"{mean:.4g} ± {half:.2g}"
