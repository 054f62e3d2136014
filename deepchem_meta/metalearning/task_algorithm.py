"""What an algorithm is made of: pure functions of one task."""

from __future__ import annotations

from collections.abc import Hashable

import tensorflow as tf

from deepchem_meta.engine.inner_loop import check_second_derivatives
from deepchem_meta.engine.model import LearnerModel, TaskBatch

__all__ = ["TaskAlgorithm"]


class TaskAlgorithm:
    """What happens in one task; `MetaAlgorithm` does the rest.

    A subclass of `MetaAlgorithm` implements `adapt_task`. The query loss and its meta-gradient
    follow from it; `query_loss` and `task_gradient` can be overridden too. All of them are traced,
    for each layout of the data once, and run for all tasks at once or one after the other.
    """

    _model: LearnerModel
    _meta_variables: list[tf.Variable]
    _state: list[int]  # the variables that only the model itself changes
    optimization_steps: int
    first_order: bool = False

    def adapt_task(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        numbers: dict[str, tf.Tensor],
        steps: int,
    ) -> list[tf.Tensor]:
        """Adapt the values of the learner's variables to a task.

        Parameters
        ----------
        params : list of tf.Tensor
            The values to start from, one for each of the learner's variables.
        support : TaskBatch
            The task's support batch: ``support.loss_and_state(params, step)`` computes the loss
            of a step.
        numbers : dict of scalar tf.Tensor
            What `task_numbers` gives, as float64 tensors.
        steps : int
            Steps of adaptation.

        Returns
        -------
        list of tf.Tensor
            The adapted values.
        """
        raise NotImplementedError("Subclasses of MetaAlgorithm must implement adapt_task.")

    def query_loss(
        self, adapted: list[tf.Tensor], query: TaskBatch
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the loss on a task's query batch, a scalar, and the values with their state.

        By default the loss is the learner's.
        """
        return query.loss_and_state(adapted)

    def task_gradient(
        self,
        support: TaskBatch,
        query: TaskBatch,
        numbers: dict[str, tf.Tensor],
        scale: tf.Tensor,
    ) -> tuple[tf.Tensor, list[tf.Tensor | None], list[tf.Tensor | None]]:
        """Return a task's query loss after adaptation, and the gradient of `scale` times it.

        Parameters
        ----------
        support, query : TaskBatch
            The task's batches.
        numbers : dict of scalar tf.Tensor
            As in `adapt_task`.
        scale : float64 scalar
            Not 1 for a `keras.optimizers.LossScaleOptimizer` alone.

        Returns
        -------
        loss : scalar tf.Tensor
        gradients : list of tf.Tensor or None
            By the meta-learned variables; None where there is none.
        state : list of tf.Tensor or None
            What `changed_state` returns.
        """
        with tf.GradientTape() as tape:
            params = self._model.values()
            adapted = self._adapt(params, support, numbers, self.optimization_steps)
            if not self.first_order:
                check_second_derivatives()
            loss, final = self.query_loss(adapted, query)
            scaled = loss * tf.cast(scale, loss.dtype)
        gradients = tape.gradient(scaled, self._meta_variables)
        gradients = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        return loss, gradients, self.changed_state(params, final)

    def changed_state(
        self, before: list[tf.Tensor], after: list[tf.Tensor]
    ) -> list[tf.Tensor | None]:
        """Return what the model itself changed of its variables' values.

        Parameters
        ----------
        before, after : list of tf.Tensor
            The values at a task's beginning and end.

        Returns
        -------
        list of tf.Tensor or None
            The new value of each variable that is neither meta-learned nor adapted; None where it
            is the old one.
        """
        return [None if after[i] is before[i] else after[i] for i in self._state]

    def task_numbers(self) -> dict[str, float]:
        """Return the numbers that `adapt_task` uses and that may change between calls."""
        return {}

    def traced_choices(self) -> Hashable:
        """Return what a trace of `adapt_task` holds fast, so that a change leads to a new one."""
        return self.optimization_steps

    def _adapt(self, params, support, numbers, steps):
        """Return the adapted values with the state that prediction is to use."""
        return self._model.settle(self.adapt_task(params, support, numbers, steps), support)

    def _task_gradient(self, support, query, numbers, key, scale):
        """Be `TaskFunctions.gradient`."""
        return self.task_gradient(*self._batches(support, query, key), numbers, scale)

    def _measure_task(self, support, query, numbers, key):
        """Return the support loss before and after adaptation, and the query loss before."""
        support, query = self._batches(support, query, key)
        params = self._model.values()
        before = self._model.settle(params, support)
        adapted = self._adapt(params, support, numbers, self.optimization_steps)
        losses = [support.loss(before), support.loss(adapted), query.loss(before)]
        return tf.stack([tf.cast(loss, tf.float64) for loss in losses])

    def _evaluate_task(self, support, query, numbers, key, steps, with_outputs):
        """Return the query loss, metrics and outputs after each number of steps, stacked."""
        support, query = self._batches(support, query, key)
        params = self._model.values()
        rows = []
        for count in steps:
            adapted = self._adapt(params, support, numbers, count)
            loss, outputs = self._model.predict(adapted, query.arrays)
            values = {"loss": loss, **self._model.metrics(query.arrays, outputs)}
            values = {name: tf.cast(value, tf.float64) for name, value in values.items()}
            rows.append((values, outputs if with_outputs else ()))
        return tf.nest.map_structure(lambda *parts: tf.stack(parts), *rows)

    def _batches(self, support, query, key):
        return TaskBatch(self._model, support, "support", key), TaskBatch(
            self._model, query, "query", key
        )
