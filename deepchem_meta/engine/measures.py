"""What is measured of the tasks of a meta-step, now and then."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from deepchem_meta.engine.batches import Layout
from deepchem_meta.engine.sampling import Episodes
from deepchem_meta.engine.sum_over_tasks import Plan, SumOverTasks, task_keys

__all__ = ["Measures"]


class Measures:
    """Means over the tasks of a meta-step of what a function gives for each.

    A traced function without XLA takes all of the tasks: it is seldom called, and compiling takes
    longer than it saves. Called task by task, a function takes four times as long.

    Parameters
    ----------
    function : tf.types.experimental.PolymorphicFunction
        ``(support, query, numbers, key) -> values``, a dict of float64 scalars.
    seed : tf.Variable
        An int64 scalar, for random numbers.
    task_batch_size : int, optional
        How many tasks at most to take at once.
    """

    def __init__(
        self,
        function: tf.types.experimental.PolymorphicFunction,
        seed: tf.Variable,
        task_batch_size: int | None = None,
    ):
        self._function = function
        self._seed = seed
        self._task_batch_size = task_batch_size
        self._traced: dict[tuple[Layout, int, bool], Callable] = {}

    def __call__(
        self, episodes: Episodes, layout: Layout, plan: Plan, numbers: dict[str, float], step: int
    ) -> dict[str, float]:
        """Return the means over the tasks of the one meta-step in `episodes`.

        Parameters
        ----------
        episodes : Episodes
            Of one meta-step.
        layout : Layout
            How their data lie.
        plan : Plan
            How the meta-step runs.
        numbers : dict of float
            The algorithm's numbers that may change between calls.
        step : int
            Meta-steps taken before, for the tasks' keys.

        Returns
        -------
        dict of float
            By the names that the function gives.
        """
        known = layout, episodes.tasks, plan.ordered
        if known not in self._traced:
            self._traced[known] = self._trace(layout, episodes.tasks, plan, numbers)
        data = tf.nest.map_structure(tf.convert_to_tensor, episodes.pack(layout, 1))
        given = {name: tf.constant(value, tf.float64) for name, value in numbers.items()}
        sums = self._traced[known](data, given, tf.constant(step, tf.int64))
        return {name: float(value) / episodes.tasks for name, value in sums.items()}

    def _trace(
        self, layout: Layout, tasks: int, plan: Plan, numbers: dict[str, float]
    ) -> tf.types.experimental.ConcreteFunction:
        """Return the function that sums over so many tasks of a layout."""
        scalars = {name: tf.TensorSpec((), tf.float64) for name in numbers}
        one = self._function.get_concrete_function(
            *layout.specs(), scalars, tf.TensorSpec((3,), tf.int64)
        )
        names = list(one.structured_outputs)
        looped = plan._replace(vectorized=False, together=False)
        over_tasks = SumOverTasks(layout, tasks, looped, self._task_batch_size)

        def total(data, given, step):
            return over_tasks(
                lambda support, query, key: self._function(support, query, given, key),
                {name: tf.zeros((), tf.float64) for name in names},
                data,
                tf.constant(0),
                task_keys(self._seed, step, tasks),
            )

        return tf.function(total, autograph=False).get_concrete_function(
            over_tasks.specs(1), scalars, tf.TensorSpec((), tf.int64)
        )
