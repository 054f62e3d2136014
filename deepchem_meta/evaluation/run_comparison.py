"""Several algorithms on the same tasks, after the same training if any is asked for."""

from __future__ import annotations

import numbers
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from deepchem_meta._checks import check_count, check_positive
from deepchem_meta.evaluation.comparison import Comparison, check_metric, cost
from deepchem_meta.evaluation.report import Evaluation

__all__ = ["compare"]

_STEPS = (1, 3, 5, 10)


def compare(
    algorithms: Sequence[Any] | Mapping[str, Any],
    tasks: Any,
    *,
    validation: Any = None,
    n_tasks: int = 600,
    validation_tasks: int = 200,
    optimization_steps: int | Sequence[int] | None = None,
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
    optimization_steps : int or sequence of int, default (1, 3, 5, 10)
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
        An algorithm that fails in training or evaluation (a loss that is not finite, say) has a row
        that says so; the results of the others are kept.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described; both budgets are given; algorithms that are to be
        trained share variables; or no metric is there for all. Nothing has been trained then.
    Exception
        What the first algorithm raised, if all of them failed.

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
    metric = check_metric(metric, _try_out(named, sources, seed))
    seconds, evaluations = {}, {}
    failed: dict[str, Exception] = {}
    for name, algorithm in named.items():
        try:
            if name in trained:
                seconds[name] = _train(algorithm, budget)
        except Exception as error:  # the others' results must not be lost
            failed[name] = error
    for name, algorithm in named.items():
        if name not in failed:
            try:
                evaluations[name] = _evaluate(
                    algorithm,
                    tasks,
                    validation,
                    n_tasks,
                    validation_tasks,
                    candidates,
                    metric,
                    seed,
                )
            except Exception as error:
                failed[name] = error
    if not evaluations:
        raise next(iter(failed.values()))
    reasons = {name: _reason(error) for name, error in failed.items()}
    return Comparison(evaluations, metric, seconds=seconds, failed=reasons)


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
    if isinstance(steps, numbers.Integral):
        steps = (steps,)
    if not isinstance(steps, Iterable) or not (steps := tuple(steps)):
        raise ValueError(
            "`optimization_steps` must be an int or a sequence of int. "
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


def _evaluate(
    algorithm, tasks, validation, n_tasks, validation_tasks, candidates, metric, seed
) -> Evaluation:
    """Return the evaluation of one algorithm, at steps that are chosen on `validation` if given."""
    steps = getattr(algorithm, "optimization_steps", 0)
    if validation is not None:
        if callable(getattr(algorithm, "choose_rate", None)):
            algorithm.choose_rate(validation, validation_tasks, seed + 1, metric)
        found = algorithm.evaluate(
            validation, n_tasks=validation_tasks, optimization_steps=candidates, seed=seed + 1
        )
        steps = found.optimization_steps[np.argmin(cost(found.mean[metric], metric))]
    return algorithm.evaluate(tasks, n_tasks=n_tasks, optimization_steps=(steps,), seed=seed)


def _reason(error: Exception) -> str:
    """Return in a few words why an algorithm has no result."""
    meta_step = getattr(error, "meta_step", None)
    if meta_step is not None:
        return f"failed at meta-step {meta_step}"
    message = str(error).partition("\n")[0]
    return f"failed: {type(error).__name__}: {message[:60]}"


def _train(algorithm: Any, budget: Mapping[str, Any]) -> float:
    """Train, and return how many seconds it took."""
    start = time.monotonic()
    algorithm.fit(**budget, verbose=0)
    return time.monotonic() - start
