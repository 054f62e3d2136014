"""What an algorithm is made of: pure functions of one task."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from deepchem_meta.engine.inner_loop import check_second_derivatives
from deepchem_meta.engine.model import LearnerModel
from deepchem_meta.engine.task_batch import TaskBatch

__all__ = ["TaskAlgorithm", "TaskGradient", "TaskObjective"]


class TaskObjective(NamedTuple):
    """What a task adds to what the optimizer minimises.

    Attributes
    ----------
    objective : scalar tf.Tensor
        What is minimised.
    loss : scalar tf.Tensor
        The query loss after adaptation, to be reported.
    final : list of tf.Tensor
        The values with the model's state as the task leaves it.
    """

    objective: tf.Tensor
    loss: tf.Tensor
    final: list[tf.Tensor]


class TaskGradient(NamedTuple):
    """The meta-gradient of one task.

    Attributes
    ----------
    loss : scalar tf.Tensor
        The query loss after adaptation.
    gradients : list of tf.Tensor or None
        By the meta-learned variables; None where there is none.
    state : list of tf.Tensor or None
        What `TaskAlgorithm.changed_state` returns.
    """

    loss: tf.Tensor
    gradients: list[tf.Tensor | None]
    state: list[tf.Tensor | None]


class TaskAlgorithm:
    """What happens in one task; `MetaAlgorithm` does the rest.

    A subclass of `MetaAlgorithm` implements `adapt_task`. The query loss and its meta-gradient
    follow from it; `query_loss`, `objective`, `predict_task` and `task_gradient` can be overridden
    too. All of them are traced, for each layout of the data once, and run for all tasks at once or
    one after the other.
    """

    _model: LearnerModel
    _meta_variables: list[tf.Variable]
    _state: list[int]  # the variables that only the model itself changes
    optimization_steps: int
    first_order: bool = False
    adapts_in_steps: bool = True
    steps_are_alike: bool = False  # so that n steps are one step n times

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
            The adapted values; after them whatever else `query_loss` and `predict_task` need
            (prototypes, a solved head).
        """
        raise NotImplementedError("Subclasses of MetaAlgorithm must implement adapt_task.")

    def query_loss(
        self, adapted: list[tf.Tensor], query: TaskBatch
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the loss on a task's query batch, a scalar, and the values with their state.

        By default the loss is the learner's.
        """
        return query.loss_and_state(adapted)

    def objective(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        query: TaskBatch,
        numbers: dict[str, tf.Tensor],
    ) -> TaskObjective:
        """Return what a task adds to what the optimizer minimises, by default the query loss.

        Parameters
        ----------
        params, support, numbers
            As in `adapt_task`.
        query : TaskBatch
            The task's query batch.

        Returns
        -------
        TaskObjective
        """
        adapted = self._adapt(params, support, numbers, self.optimization_steps)
        if not self.first_order:
            check_second_derivatives()
        loss, final = self.query_loss(adapted, query)
        return TaskObjective(loss, loss, final)

    def predict_task(
        self, adapted: list[tf.Tensor], batch: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, Any]:
        """Return the loss and the outputs of an adapted model for the arrays of a batch.

        By default they are the learner's, with ``training=False``.
        """
        return self._model.predict(adapted, batch)

    def predict_outputs(self, adapted: list[tf.Tensor], x: Any) -> Any:
        """Return the outputs of an adapted model of a `KerasLearner` for x alone."""
        return self._model.learner.compute_outputs(x, adapted)

    def predict_deviations(self, adapted: list[tf.Tensor], x: Any) -> tf.Tensor:
        """Return the standard deviations of `predict_outputs`; see `AdaptedTask.predict_std`."""
        raise TypeError(
            "`predict_std` needs an algorithm whose predictions have a spread: "
            f"GaussianProcessHead for regression. Received: a {type(self).__name__}"
        )

    def adapted_model(
        self, variables: list[tf.Tensor], head: list[tf.Tensor], support: Any
    ) -> keras.Model:
        """Return an adapted model as a plain `keras.Model`; see `AdaptedTask.to_model`.

        Parameters
        ----------
        variables : list of tf.Tensor
            The adapted value of each of the learner's variables.
        head : list of tf.Tensor
            What `adapt_task` returned after them.
        support : nested structure of tf.Tensor
            The support batch.
        """
        if not hasattr(self._model.learner, "to_model"):
            raise TypeError(
                "`to_model` needs a learner that is a KerasLearner. "
                f"Received: {type(self._model.learner).__name__}"
            )
        if head:
            raise TypeError(
                "`to_model` needs an algorithm that predicts with the model itself, or whose head "
                "is known as layers; `predict` serves all. "
                f"Received: a {type(self).__name__} with a head of its own"
            )
        return self._model.learner.to_model(variables, support)

    @property
    def learns_together(self) -> bool:
        """Whether many tasks can be taken in one pass.

        Then `tasks_gradient` does what `task_gradient` does, and `evaluate_tasks` what
        `predict_task` does, for many tasks at once.
        """
        return False

    @property
    def classes_as(self) -> str | None:
        """What the outputs are of classes: "logits" or "probabilities"; None where they are not.

        By default a `KerasLearner`'s loss says it.
        """
        return getattr(self._model.learner, "classes_as", None)

    def task_gradient(
        self,
        support: TaskBatch,
        query: TaskBatch,
        numbers: dict[str, tf.Tensor],
        scale: tf.Tensor,
    ) -> TaskGradient:
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
        TaskGradient
        """
        with tf.GradientTape() as tape:
            params = self._model.values()
            objective, loss, final = self.objective(params, support, query, numbers)
            scaled = objective * tf.cast(scale, objective.dtype)
        gradients = tape.gradient(scaled, self._meta_variables)
        gradients = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        return TaskGradient(loss, gradients, self.changed_state(params, final))

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

    def check_batch(self, inputs: Any, source: str, stacked: bool) -> None:
        """Raise if a batch of a `KerasLearner` is not as the algorithm needs it.

        By default the learner's `check_batch` says what it must be.

        Parameters
        ----------
        inputs : tuple
            ``(x, y)`` or ``(x, y, sample_weight)``, of NumPy arrays.
        source : str
            Where it comes from, for messages.
        stacked : bool
            Whether the first axis is the task and the second the example.

        Raises
        ------
        TypeError, ValueError
        """
        self._model.learner.check_batch(inputs, source, stacked=stacked)

    def explain(self, batch: TaskBatch) -> None:
        """Raise ValueError if a batch is why a result is not finite; nothing by default.

        Parameters
        ----------
        batch : TaskBatch
            A support or a query batch, to be looked at eagerly.
        """

    def check_tasks(self, tasks: Any) -> None:
        """Raise ValueError if the algorithm cannot be evaluated on a source of tasks."""

    def task_numbers(self) -> dict[str, float]:
        """Return the numbers that `adapt_task` uses and that may change between calls."""
        return {}

    def traced_choices(self) -> Hashable:
        """Return what a trace of `adapt_task` holds fast, so that a change leads to a new one."""
        return self.optimization_steps

    def _adapt(self, params, support, numbers, steps):
        """Return the adapted values with the state that prediction is to use."""
        adapted = self.adapt_task(params, support, numbers, steps)
        count = len(self._model.variables)
        return [*self._model.settle(adapted[:count], support.arrays), *adapted[count:]]

    def _task_gradient(self, support, query, numbers, key, scale):
        """Return what `TaskFunctions.gradient` asks for."""
        batches = self._batches(support, query, key, training=True)
        return self.task_gradient(*batches, numbers, scale)

    def _measure_task(self, support, query, numbers, key):
        """Return losses before and after adaptation, and the metrics of the query set after it.

        Those before adaptation are left out where there is none.
        """
        support, query = self._batches(support, query, key, training=True)
        params = self._model.values()
        values = {}
        if self.adapts_in_steps and self.optimization_steps:
            before = self._adapt(params, support, numbers, 0)
            values["support_loss_before"] = self.query_loss(before, support)[0]
            values["query_loss_before"] = self.query_loss(before, query)[0]
        after = self._adapt(params, support, numbers, self.optimization_steps)
        values["support_loss_after"] = self.query_loss(after, support)[0]
        if self._model.metric_names:
            _, outputs = self.predict_task(after, query.arrays)
            values |= self._model.metrics(query.arrays, outputs)
        return {name: tf.cast(value, tf.float64) for name, value in values.items()}

    def _evaluate_task(self, support, query, numbers, key, steps, with_outputs):
        """Return the query loss, metrics and outputs after each number of steps, stacked."""
        support, query = self._batches(support, query, key, training=False)
        params = self._model.values()
        rows = []
        for count in steps:
            adapted = self._adapt(params, support, numbers, count)
            loss, outputs = self.predict_task(adapted, query.arrays)
            values = {"loss": loss, **self._model.metrics(query.arrays, outputs)}
            values = {name: tf.cast(value, tf.float64) for name, value in values.items()}
            rows.append((values, outputs if with_outputs else ()))
        return tf.nest.map_structure(lambda *parts: tf.stack(parts), *rows)

    def _batches(self, support, query, key, training):
        pairs = (support, "support"), (query, "query")
        return [TaskBatch(self._model, arrays, role, key, training) for arrays, role in pairs]
