"""Sums over the tasks of a meta-step: all tasks at once, in a loop, or in one pass."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from deepchem_meta.engine.batches import Layout

__all__ = ["TASKS_AT_ONCE", "Plan", "SumOverTasks", "task_keys"]

# In a loop over tasks, by TensorFlow's scheduler. One a core halves the time of a single one.
TASKS_AT_ONCE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class Plan(NamedTuple):
    """How the tasks of a meta-step run.

    Attributes
    ----------
    vectorized : bool
        All tasks at once with `tf.vectorized_map`, or else one after the other.
    jit_compile : bool
        Compiled with XLA.
    ordered : bool
        A loop over tasks runs strictly one after the other, because they change some state.
    reason : str
        Why, in words.
    together : bool
        What the tasks share is computed for all of them in one pass, and one gradient is taken of
        the sum of their losses.
    """

    vectorized: bool
    jit_compile: bool
    ordered: bool
    reason: str
    together: bool = False


class SumOverTasks:
    """Sums what a function gives for each task of a meta-step, in a traced function.

    Parameters
    ----------
    layout : Layout
        How the data of an episode lie.
    tasks : int
        Tasks a meta-step.
    plan : Plan
        Whether to take them all at once or in a loop.
    task_batch_size : int, optional
        How many at most to take at once.
    parts : int, default 1
        Into how many parts the tasks are divided, of which a call sums over one. Parts differ by
        one task where their number does not divide that of the tasks.
    """

    def __init__(
        self,
        layout: Layout,
        tasks: int,
        plan: Plan,
        task_batch_size: int | None = None,
        parts: int = 1,
    ):
        self._tasks = tasks
        self._parts = parts
        self._share = -(-tasks // parts)  # of the largest part
        self._uneven = tasks % parts != 0
        self._at_once = min(self._share, task_batch_size or self._share)
        self._layout = layout
        self._plan = plan

    def specs(self, capacity: int) -> tuple:
        """Return what `Episodes.pack` gives, with room for `capacity` steps, as specifications."""
        rows = capacity * self._tasks
        return tuple(tuple(array.packed_specs(rows) for array in part) for part in self._layout)

    def __call__(
        self,
        function: Callable,
        zeros: Any,
        data: tuple,
        step: tf.Tensor,
        keys: tf.Tensor,
        part: tf.Tensor | int = 0,
    ) -> Any:
        """Return the sum of ``function(support, query, key)`` over the tasks of meta-step `step`.

        Parameters
        ----------
        function : callable
            Gives tensors in the structure of `zeros`. Of a plan that takes tasks together it gets
            those of many tasks, and gives the sums.
        zeros : nested structure of tf.Tensor
            The sum over no tasks.
        data : tuple
            As `Episodes.pack` gives it.
        step : int32 scalar
            Its place in `data`.
        keys : tensor of shape (tasks, ...)
            A key for each of its tasks.
        part : int32 scalar, default 0
            Which part of them to take.
        """
        begin, end = (place * self._tasks // self._parts for place in (part, part + 1))
        if not (self._plan.vectorized or self._plan.together):
            return self._loop(function, zeros, data, step, keys, begin, end)
        episodes = self._unpack(
            data, lambda array, packed: array.unpack_step(packed, step, self._tasks)
        )
        tasks = (*episodes, keys)

        def total(first, count):
            chosen = tf.nest.map_structure(lambda x: self._rows(x, begin + first, count), tasks)
            if self._plan.together:
                return function(*chosen)
            values = tf.vectorized_map(
                lambda task: function(*task), chosen, fallback_to_while_loop=False
            )
            if self._uneven:  # the last task may be one of the next part
                inside = begin + first + tf.range(count) < end
                values = tf.nest.map_structure(lambda value: _only(inside, value), values)
            return tf.nest.map_structure(lambda value: tf.reduce_sum(value, axis=0), values)

        groups, rest = divmod(self._share, self._at_once)
        if groups == 1 and not rest:
            return total(0, self._share)
        sums = tf.while_loop(
            lambda group, sums: group < groups,
            lambda group, sums: (
                group + 1,
                tf.nest.map_structure(tf.add, sums, total(group * self._at_once, self._at_once)),
            ),
            (0, zeros),
            parallel_iterations=1,
        )[1]
        if rest:
            sums = tf.nest.map_structure(tf.add, sums, total(groups * self._at_once, rest))
        return sums

    def _loop(self, function, zeros, data, step, keys, begin, end):
        """Return the sum over tasks that run one after the other."""

        def add(task, total):
            row = step * self._tasks + task
            episode = self._unpack(data, lambda array, packed: array.unpack(packed, row))
            return task + 1, tf.nest.map_structure(tf.add, total, function(*episode, keys[task]))

        at_once = 1 if self._plan.ordered else min(TASKS_AT_ONCE, self._at_once)
        return tf.while_loop(
            lambda task, total: task < end, add, (begin, zeros), parallel_iterations=at_once
        )[1]

    def _rows(self, tensor, first, count):
        """Return `count` rows from the given one on; past the end the last row again."""
        if count == tensor.shape[0]:
            return tensor
        if self._uneven:
            return tf.gather(tensor, tf.minimum(first + tf.range(count), self._tasks - 1))
        return tf.ensure_shape(tensor[first : first + count], (count, *tensor.shape[1:]))

    def _unpack(self, data, select):
        """Return (support, query), each array chosen from its packed form by `select`."""
        return tuple(
            tuple(select(array, packed) for array, packed in zip(arrays, part, strict=True))
            for arrays, part in zip(self._layout, data, strict=True)
        )


def task_keys(seed: tf.Tensor, step: tf.Tensor, tasks: int, first: int = 0) -> tf.Tensor:
    """Return the key of each task of a meta-step: the seed, the step and the task's number.

    Parameters
    ----------
    seed, step : int64 scalar
    tasks : int
    first : int, default 0
        The number of the first task.

    Returns
    -------
    int64 tensor of shape (tasks, 3)
    """
    same = tf.repeat([[seed, step]], tasks, axis=0)
    return tf.concat([same, tf.range(first, first + tasks, dtype=tf.int64)[:, tf.newaxis]], axis=1)


def _only(inside, value):
    """Return a value of each task, and 0 for tasks that are not inside."""
    shape = (-1, *[1] * (value.shape.rank - 1))
    return tf.where(tf.reshape(inside, shape), value, tf.zeros_like(value))
