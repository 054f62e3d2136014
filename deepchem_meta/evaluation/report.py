"""The record that `evaluate` returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deepchem_meta.evaluation._tables import html_table, text_table, wrapped
from deepchem_meta.evaluation.by_task import ByTask
from deepchem_meta.evaluation.intervals import mean_and_interval

__all__ = ["Evaluation"]


class Evaluation:
    """Loss and metrics on the query sets of held-out tasks, over steps of adaptation.

    Printed, it is a table of means and 95% intervals, and of the lowest and the highest mean of
    named tasks. Notebooks show it as a table.

    Parameters
    ----------
    values : dict of float64 array of shape (n_tasks, steps)
        The loss, by the name "loss", and each metric.
    optimization_steps : tuple of int
        Steps of adaptation, one for each column.
    seed : int
        What the tasks were drawn from.
    task_names : list of str, optional
        Of a source that names its tasks (`AssayTasks`): the name of each row's task, in rounds in
        which each occurs once.
    settings : dict, optional
        What else belongs to the figures, such as the mode of BatchNorm.

    Attributes
    ----------
    loss : float64 array of shape (n_tasks, len(optimization_steps))
        The query loss of each task.
    metrics : dict of float64 array of shape (n_tasks, len(optimization_steps))
        By name.
    optimization_steps : tuple of int
        As given.
    n_tasks : int
        Tasks adapted to.
    seed : int
        As given.
    task_names : list of str or None
        As given.
    settings : dict
        As given.
    unit : {"tasks", "draws"}
        What the intervals are over: tasks or, where tasks are named, draws of a support set for
        each of them.

    Notes
    -----
    Intervals are 1.96 standard errors, or Student's t below 30 values.
    """

    def __init__(
        self,
        values: Mapping[str, np.ndarray],
        optimization_steps: Sequence[int],
        *,
        seed: int,
        task_names: Sequence[str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ):
        self.metrics = {name: np.asarray(array, np.float64) for name, array in values.items()}
        self.loss = self.metrics.pop("loss")
        self.optimization_steps = tuple(optimization_steps)
        self.seed = seed
        self.task_names = None if task_names is None else list(task_names)
        self.settings = dict(settings or {})
        self.n_tasks = len(self.loss)
        self.unit = "tasks" if task_names is None else "draws"

    @property
    def mean(self) -> dict[str, np.ndarray]:
        """The mean of the loss and of each metric, float64 arrays of shape (steps,)."""
        return {name: mean_and_interval(self.units(name))[0] for name in self._values()}

    @property
    def ci95(self) -> dict[str, np.ndarray]:
        """Half the width of the 95% interval of each mean, float64 arrays of shape (steps,)."""
        return {name: mean_and_interval(self.units(name))[1] for name in self._values()}

    def by_task(self, metric: str = "loss") -> ByTask:
        """Return a metric of each named task, over its draws.

        Parameters
        ----------
        metric : str, default "loss"
            "loss" or the name of a metric.

        Returns
        -------
        ByTask
            A mapping of the task's name to (mean, half_width), float64 arrays of shape (steps,),
            with a table, a plot and a CSV file.

        Raises
        ------
        ValueError
            If the source does not name its tasks, or the metric is not known.
        """
        if self.task_names is None:
            raise ValueError(
                "`by_task` needs a source that names its tasks. Received: tasks without names."
            )
        values, names = self._value(metric), np.array(self.task_names)
        drawn = {name: values[names == name] for name in dict.fromkeys(self.task_names)}
        return ByTask(drawn, metric, self.optimization_steps)

    def spread(self, metric: str = "loss") -> np.ndarray:
        """Return how far tasks differ, which the interval of the mean does not tell.

        Parameters
        ----------
        metric : str, default "loss"
            "loss" or the name of a metric.

        Returns
        -------
        float64 array of shape (3, steps)
            The lowest, the median and the highest mean of the named tasks; of tasks without names
            their quantiles at 5, 50 and 95%.
        """
        if self.task_names is None:
            return np.quantile(self._value(metric), [0.05, 0.5, 0.95], axis=0)
        means = np.stack([mean for mean, _ in self.by_task(metric).values()])
        return np.quantile(means, [0.0, 0.5, 1.0], axis=0)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as numbers, strings, lists and dicts, ready for JSON."""
        return {
            "optimization_steps": list(self.optimization_steps),
            "n_tasks": self.n_tasks,
            "seed": self.seed,
            "unit": self.unit,
            "settings": self.settings,
            "task_names": self.task_names,
            "mean": {name: mean.tolist() for name, mean in self.mean.items()},
            "ci95": {name: half.tolist() for name, half in self.ci95.items()},
            "values": {name: values.tolist() for name, values in self._values().items()},
        }

    def plot(self, metric: str | None = None, ax: Any = None, label: str | None = None) -> Any:
        """Draw a metric over the steps of adaptation, with its interval.

        Parameters
        ----------
        metric : str, optional
            "loss" or the name of a metric; by default the first metric, or the loss if there is
            none.
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default a new figure.
        label : str, optional
            For the legend.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not there: ``pip install "deepchem_meta[plot]"``.
        """
        from deepchem_meta import plotting

        metric = metric or next(iter(self.metrics), "loss")
        self._value(metric)
        label = label or self.settings.get("algorithm", metric)
        return plotting.plot_adaptation({label: self}, metric, ax=ax)

    def __str__(self) -> str:
        parts = [wrapped(self._headline()), text_table(self._rows())]
        if self.task_names is not None:
            parts += [self._range_headline(), text_table(self._ranges(), left=True)]
        return "\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the tables for a notebook."""
        tables = [html_table(self._rows(), self._headline())]
        if self.task_names is not None:
            tables.append(html_table(self._ranges(), self._range_headline()))
        return "\n".join(tables)

    def _rows(self) -> list[list[str]]:
        names = list(self._values())
        mean, half = self.mean, self.ci95
        rows = [["steps", *names]]
        for index, steps in enumerate(self.optimization_steps):
            cells = (f"{mean[name][index]:.4g} ± {half[name][index]:.2g}" for name in names)
            rows.append([str(steps), *cells])
        return rows

    def _ranges(self) -> list[list[str]]:
        """Return the lowest and highest task of each metric, after the last number of steps."""
        rows = [["", "lowest", "task", "median", "highest", "task"]]
        for metric in self._values():
            means = {name: mean[-1] for name, (mean, _) in self.by_task(metric).items()}
            low, high = min(means, key=means.get), max(means, key=means.get)
            median = self.spread(metric)[1, -1]
            cells = (f"{means[low]:.4g}", low, f"{median:.4g}", f"{means[high]:.4g}", high)
            rows.append([metric, *cells])
        return rows

    def _range_headline(self) -> str:
        steps = self.optimization_steps[-1]
        return f"means of each of {len(set(self.task_names))} tasks after {steps} steps"

    def _headline(self) -> str:
        settings = "".join(f", {name} {value}" for name, value in self.settings.items())
        if self.task_names is None:
            what, n = f"{self.n_tasks} tasks", self.n_tasks
        else:
            kinds = len(set(self.task_names))
            n = self.n_tasks // kinds
            what = f"{kinds} tasks, {n} draws of each"
        how = "Student's t" if n < 30 else "1.96 standard errors"
        return f"{what}, seed {self.seed}{settings}; mean ± 95% interval over {self.unit} ({how})"

    def _values(self) -> dict[str, np.ndarray]:
        return {"loss": self.loss, **self.metrics}

    def _value(self, metric: str) -> np.ndarray:
        values = self._values()
        if metric not in values:
            raise ValueError(f"`metric` must be one of {list(values)}. Received: {metric!r}")
        return values[metric]

    def units(self, metric: str = "loss") -> np.ndarray:
        """Return the values that intervals are over, which are independent of each other.

        Parameters
        ----------
        metric : str, default "loss"
            "loss" or the name of a metric.

        Returns
        -------
        float64 array of shape (n, steps)
            A row a task or, where tasks are named, the mean over tasks a draw.
        """
        values = self._value(metric)
        if self.task_names is None:
            return values
        kinds = len(set(self.task_names))
        return values.reshape(-1, kinds, values.shape[-1]).mean(axis=1)
