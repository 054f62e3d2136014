"""Adapts to many tasks in a few compiled calls."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from deepchem_meta._checks import check_score_names
from deepchem_meta.engine.episodes import EpisodeChunks
from deepchem_meta.engine.learner_model import LearnerModel
from deepchem_meta.engine.meta_step import Execution
from deepchem_meta.engine.planning import choose_plan
from deepchem_meta.engine.sum_over_tasks import TASKS_AT_ONCE, task_keys
from deepchem_meta.engine.tracing import quiet_tensorflow
from deepchem_meta.engine.writes import check_graph

__all__ = ["MapOverTasks", "score_tasks"]

_logger = logging.getLogger(__name__)


class MapOverTasks:
    """A function of one task, computed for many tasks of one shape.

    Parameters
    ----------
    function : callable
        ``(support, query, numbers, key) -> results``, of tuples of tensors, a dict of float64
        scalars and an int64 tensor of shape (3,); gives a nested structure of tensors.
    together : callable, optional
        Does the same for many tasks in one pass, with the task as first axis. Used with the
        `task_execution` "auto".
    execution : Execution
        Whether the tasks run all at once or one after the other, and over whose replicas they are
        spread.
    model : LearnerModel
        The learner.
    autograph : bool, default False
        Whether `if` and `for` on tensors must work in `function`.
    """

    def __init__(
        self,
        function: Callable,
        together: Callable | None = None,
        *,
        execution: Execution,
        model: LearnerModel,
        autograph: bool = False,
    ):
        self._function = function
        self._together = together if execution.task_execution == "auto" else None
        self._execution = execution
        self._autograph = autograph
        self._model = model
        self._compiled: dict[Any, Callable] = {}

    def __call__(self, support: tuple, query: tuple, numbers: dict[str, float], keys: Any) -> Any:
        """Return the results, with the task as first axis, as NumPy arrays.

        Parameters
        ----------
        support, query : tuple of numpy.ndarray
            The arrays of a batch, with the task as first axis.
        numbers : dict of float
            The algorithm's numbers.
        keys : int64 array of shape (tasks, 3)
            For random numbers.
        """
        scalars = {name: np.float64(value) for name, value in numbers.items()}
        args = tf.nest.map_structure(tf.convert_to_tensor, (support, query, scalars, keys))
        kind = tuple((x.dtype, tuple(x.shape)) for x in tf.nest.flatten(args))
        if kind not in self._compiled:
            self._compiled[kind] = self._compile(args)
        return tf.nest.map_structure(lambda result: result.numpy(), self._compiled[kind](*args))

    def _compile(self, args: tuple) -> Callable:
        """Return the traced function for arguments of these shapes."""
        specs = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), args)
        support, query, scalars, keys = specs
        alike = len({tuple((x.dtype, *x.shape[2:]) for x in part) for part in specs[:2]}) == 1
        if self._together is not None and alike:
            function = self._trace(self._together, specs)
            check_graph(function, self._model.learned_variables, results=False)
            return function
        one = tf.nest.map_structure(
            lambda spec: tf.TensorSpec(spec.shape[1:], spec.dtype), (support, query, keys)
        )
        function = tf.function(self._function, autograph=self._autograph)
        task = function.get_concrete_function(one[0], one[1], scalars, one[2])
        check_graph(task, self._model.learned_variables, results=False)
        plan = choose_plan(
            task,
            task_execution=self._execution.task_execution,
            jit_compile=False,
            nbytes=self._model.nbytes,
            ragged=False,
        )
        results = tf.nest.map_structure(
            lambda x: tf.TensorSpec(x.shape, x.dtype), task.structured_outputs
        )

        def vectorized(support, query, scalars, keys):
            return tf.vectorized_map(
                lambda t: function(t[0], t[1], scalars, t[2]),
                (support, query, keys),
                fallback_to_while_loop=False,
            )

        def looped(support, query, scalars, keys):
            return tf.map_fn(
                lambda t: function(t[0], t[1], scalars, t[2]),
                (support, query, keys),
                fn_output_signature=results,
                parallel_iterations=1 if plan.ordered else TASKS_AT_ONCE,
            )

        if plan.vectorized:
            try:
                with quiet_tensorflow():
                    return self._trace(vectorized, specs)
            except Exception:
                if self._execution.task_execution == "vectorized":
                    raise
                _logger.debug("Tasks cannot be evaluated all at once", exc_info=True)
        return self._trace(looped, specs)

    def _trace(self, function: Callable, specs: tuple) -> Callable:
        """Return a function of many tasks, traced, over all replicas."""
        if self._execution.replicas > 1:
            function = _over_replicas(function, self._execution.strategy)
        return tf.function(function, autograph=False).get_concrete_function(*specs)


def _over_replicas(function: Callable, strategy: tf.distribute.Strategy) -> Callable:
    """Return a function of many tasks of which each replica computes a part.

    All parts have one size. They overlap where the number of replicas does not divide that of the
    tasks, and what is computed twice is left out.
    """
    replicas = strategy.num_replicas_in_sync

    def spread(support, query, scalars, keys):
        tasks = keys.shape[0]
        size = -(-tasks // replicas)
        begins = [min(part * size, max(tasks - size, 0)) for part in range(replicas)]

        def on_replica():
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            rows = tf.gather(begins, replica) + tf.range(size)
            mine = tf.nest.map_structure(lambda x: tf.gather(x, rows), (support, query, keys))
            return function(*mine[:2], scalars, mine[2])

        parts = strategy.run(on_replica)
        places = [begin + row for begin in begins for row in range(size)]
        first = [places.index(task) for task in range(tasks)]
        return tf.nest.map_structure(
            lambda part: tf.gather(strategy.gather(part, axis=0), first), parts
        )

    return spread


def score_tasks(
    over_tasks: MapOverTasks,
    episodes: EpisodeChunks,
    model: LearnerModel,
    *,
    numbers: dict[str, float],
    scores: dict[str, Callable],
    explain: Callable,
) -> dict[str, np.ndarray]:
    """Return the values of many tasks.

    Parameters
    ----------
    over_tasks : MapOverTasks
        Of a function that gives (values, outputs): a dict of tensors of shape (steps,), and the
        outputs of shape (steps, examples, ...) if there are `scores`.
    episodes : EpisodeChunks
        The tasks.
    model : LearnerModel
        The learner, which turns their batches into arrays.
    numbers : dict of float
        The algorithm's numbers.
    scores : dict of callable
        ``(targets, outputs, sample weights or None) -> float``, computed besides for each task and
        step.
    explain : callable
        ``(support, query)``: is called with the arrays of a task whose loss is not finite, and
        raises if they are why.

    Returns
    -------
    dict of float64 array of shape (tasks, steps)
    """
    parts: list[dict[str, np.ndarray]] = []
    for *batches, count in episodes:
        support, query = (model.read(batch, "`tasks`", stacked=True) for batch in batches)
        size = len(support[0])
        seed, step = tf.constant(episodes.seed, tf.int64), tf.constant(0, tf.int64)
        keys = task_keys(seed, step, size, first=len(parts) * size)
        values, outputs = over_tasks(support, query, numbers, keys)
        for task in np.flatnonzero(~np.isfinite(values["loss"]).all(axis=1)):
            explain([array[task] for array in support], [array[task] for array in query])
        check_score_names(scores, values)
        for name, score in scores.items():
            values[name] = _score(score, model.reader.pack(query), outputs)
        parts.append({name: array[:count] for name, array in values.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _score(score: Callable, query: Any, outputs: np.ndarray) -> np.ndarray:
    """Return a score of each task and number of steps."""
    _, y, *weights = query
    weights = weights[0] if weights else [None] * len(outputs)
    return np.array(
        [
            [score(target, one, weight) for one in steps]
            for target, steps, weight in zip(y, outputs, weights, strict=True)
        ]
    )
