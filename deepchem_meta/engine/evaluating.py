"""Adapts to many tasks in a few compiled calls."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from deepchem_meta.engine.batches import BatchReader
from deepchem_meta.engine.execution import TASKS_AT_ONCE
from deepchem_meta.engine.planning import choose_plan
from deepchem_meta.engine.tracing import quiet_tensorflow

__all__ = ["EpisodeChunks", "OverManyTasks", "score_tasks"]

_logger = logging.getLogger(__name__)

_MOST_TASKS_A_CALL = 200
_MOST_BYTES_A_CALL = 2**25


class OverManyTasks:
    """A function of one task, computed for many tasks of one shape.

    Parameters
    ----------
    function : callable
        ``(support, query, numbers, key) -> results``, of tuples of tensors, a dict of float64
        scalars and an int64 tensor of shape (3,); gives a nested structure of tensors.
    task_execution : {"auto", "vectorized", "looped"}
        Whether the tasks run all at once or one after the other.
    nbytes : int
        Bytes of the learner's variables.
    """

    def __init__(self, function: Callable, *, task_execution: str, nbytes: int):
        self._function = function
        self._task_execution = task_execution
        self._nbytes = nbytes
        self._compiled: dict[Any, Callable] = {}

    def __call__(
        self, support: tuple, query: tuple, numbers: dict[str, float], keys: np.ndarray
    ) -> Any:
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
        support, query, scalars, keys = tf.nest.map_structure(
            lambda x: tf.TensorSpec(x.shape, x.dtype), args
        )
        one = tf.nest.map_structure(
            lambda spec: tf.TensorSpec(spec.shape[1:], spec.dtype), (support, query, keys)
        )
        function = tf.function(self._function)
        task = function.get_concrete_function(one[0], one[1], scalars, one[2])
        plan = choose_plan(
            task,
            task_execution=self._task_execution,
            jit_compile=False,
            nbytes=self._nbytes,
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

        specs = (support, query, scalars, keys)
        if plan.vectorized:
            try:
                with quiet_tensorflow():
                    return tf.function(vectorized, autograph=False).get_concrete_function(*specs)
            except Exception:
                if self._task_execution == "vectorized":
                    raise
                _logger.debug("Tasks cannot be evaluated all at once", exc_info=True)
        return tf.function(looped, autograph=False).get_concrete_function(*specs)


class EpisodeChunks:
    """The episodes of an evaluation, in parts of one size that a call has room for.

    How they are drawn depends on the source, the seed and their number alone, so that every
    algorithm gets the same ones.

    Parameters
    ----------
    source : object
        With ``sample(n, rng)``. One with `names` (`AssayTasks`) gives its tasks in turn.
    n_tasks : int
        How many to draw.
    seed : int
        What to draw them from.
    check : callable, optional
        Takes and returns what ``sample`` gives, or raises.

    Attributes
    ----------
    names : list of str or None
        Of a source that names its tasks, the name of each task drawn.
    n_tasks : int
        How many are drawn: full rounds, where tasks are named.
    seed : int
        As given.
    """

    def __init__(
        self,
        source: Any,
        n_tasks: int,
        seed: int,
        check: Callable[[Any], Any] = lambda episodes: episodes,
    ):
        self.seed = seed
        self._source = source
        self._check = check
        named = "assays" in inspect.signature(source.sample).parameters
        known = list(source.names) if named else []
        rounds = -(-n_tasks // len(known)) if known else None
        self.names = known * rounds if known else None
        self.n_tasks = len(self.names) if known else n_tasks
        self._kinds = len(known)

    def __iter__(self) -> Iterator[tuple[Any, Any, int]]:
        """Yield (support, query, count): the first `count` tasks are new, the others repeat."""
        source = self._source
        if hasattr(source, "initial_state"):  # read from its beginning, in a copy of its own
            source = copy.copy(source)
            source.set_state(source.initial_state)
        rng = np.random.default_rng(self.seed)
        peek = getattr(source, "peek", None)
        first = peek() if peek else source.sample(1, np.random.default_rng(self.seed))
        nbytes = sum(np.asarray(array).nbytes for array in tf.nest.flatten(first))
        most = max(1, min(_MOST_TASKS_A_CALL, _MOST_BYTES_A_CALL // nbytes))
        size = -(-self.n_tasks // -(-self.n_tasks // most))
        for start in range(0, self.n_tasks, size):
            count = min(size, self.n_tasks - start)
            which = {"assays": np.arange(start, start + count) % self._kinds} if self.names else {}
            episodes = self._check(source.sample(count, rng, **which))
            rows = np.arange(size) % count
            yield *tf.nest.map_structure(lambda a, rows=rows: np.asarray(a)[rows], episodes), count


def score_tasks(
    over_tasks: OverManyTasks,
    episodes: EpisodeChunks,
    reader: BatchReader,
    *,
    numbers: dict[str, float],
    scores: dict[str, Callable],
) -> dict[str, np.ndarray]:
    """Return the values of many tasks.

    Parameters
    ----------
    over_tasks : OverManyTasks
        Of a function that gives (values, outputs): a dict of tensors of shape (steps,), and the
        outputs of shape (steps, examples, ...) if there are `scores`.
    episodes : EpisodeChunks
        The tasks.
    reader : BatchReader
        Turns their batches into arrays.
    numbers : dict of float
        The algorithm's numbers.
    scores : dict of callable
        ``(targets, outputs, sample weights or None) -> float``, computed besides for each task and
        step.

    Returns
    -------
    dict of float64 array of shape (tasks, steps)
    """
    parts: list[dict[str, np.ndarray]] = []
    for *batches, count in episodes:
        support, query = (reader.read(batch, "`tasks`") for batch in batches)
        size = len(support[0])
        keys = np.zeros((size, 3), np.int64)
        keys[:, 0] = episodes.seed
        keys[:, 2] = len(parts) * size + np.arange(size)
        values, outputs = over_tasks(support, query, numbers, keys)
        for name, score in scores.items():
            values[name] = _score(score, reader.pack(query), outputs)
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
