"""The record that `Evaluation.by_task` returns: one metric of each named task."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from deepchem_meta.evaluation._tables import html_table, text_table, wrapped
from deepchem_meta.evaluation.intervals import mean_and_interval

__all__ = ["ByTask"]


class ByTask(Mapping):
    """A metric of each named task over its draws of a support set.

    It is a mapping of the task's name to ``(mean, half_width)``, float64 arrays of shape (steps,):
    the mean over draws and half its 95% interval. Printed, and in notebooks, it is a table of the
    last number of steps.

    Parameters
    ----------
    values : dict of float64 array of shape (draws, steps)
        By the task's name.
    metric : str
        The metric's name.
    optimization_steps : tuple of int
        Steps of adaptation, one for each column of the values.

    Attributes
    ----------
    values_of : dict of float64 array of shape (draws, steps)
        As given.
    metric : str
        As given.
    optimization_steps : tuple of int
        As given.
    """

    def __init__(
        self,
        values: Mapping[str, np.ndarray],
        metric: str,
        optimization_steps: tuple[int, ...],
    ):
        self.values_of = dict(values)
        self.metric = metric
        self.optimization_steps = tuple(optimization_steps)

    def __getitem__(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        return mean_and_interval(self.values_of[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_of)

    def __len__(self) -> int:
        return len(self.values_of)

    def plot(self, ax: Any = None) -> Any:
        """Draw the mean of each task with its interval, the largest on top.

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

        return plotting.plot_by_task(self, ax=ax)

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write a row for each task and number of steps.

        Its columns are ``task``, ``optimization_steps``, ``draws``, the mean by the metric's name
        and its half interval (``roc_auc`` and ``roc_auc_ci95``, say), ``lowest``, ``median`` and
        ``highest`` of the draws.

        Parameters
        ----------
        path : str or path
            The file, which is written over.
        """
        statistics = (self.metric, f"{self.metric}_ci95", "lowest", "median", "highest")
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["task", "optimization_steps", "draws", *statistics])
            for name, values in self.values_of.items():
                for column, steps in enumerate(self.optimization_steps):
                    writer.writerow([name, steps, len(values), *self._statistics(name, column)])

    def __str__(self) -> str:
        return "\n".join([wrapped(self._headline()), text_table(self._rows(), left=True)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return html_table(self._rows(), self._headline())

    def _statistics(self, name: str, column: int) -> tuple[float, ...]:
        """Return mean, half interval, lowest, median and highest of a task's draws."""
        mean, half = self[name]
        low, median, high = np.quantile(self.values_of[name][:, column], [0.0, 0.5, 1.0])
        return mean[column], half[column], low, median, high

    def _rows(self) -> list[list[str]]:
        rows = [["", self.metric, "draws", "lowest", "median", "highest"]]
        for name, values in self.values_of.items():
            mean, half, *spread = self._statistics(name, -1)
            cells = (f"{value:.4g}" for value in spread)
            rows.append([name, f"{mean:.4g} ± {half:.2g}", str(len(values)), *cells])
        return rows

    def _headline(self) -> str:
        return (
            f"{self.metric} of each of {len(self)} tasks after {self.optimization_steps[-1]} "
            "steps; mean ± 95% interval over draws, lowest, median and highest draw"
        )
