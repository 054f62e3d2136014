"""What an algorithm is made of: pure functions of one task."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from deepchem_meta._checks import check_count
from deepchem_meta.engine.inner_loop import check_second_derivatives
from deepchem_meta.engine.learner_model import LearnerModel
from deepchem_meta.engine.roles import Roles
from deepchem_meta.engine.task_batch import TaskBatch
from deepchem_meta.metalearning.adapted import Adapted

__all__ = ["TaskAlgorithm", "TaskGradient", "TaskObjective"]


class TaskObjective(NamedTuple):
    """What a task adds to what the optimizer minimises.

    Attributes
    ----------
    objective : scalar tf.Tensor
        What is minimised.
    loss : scalar tf.Tensor
        The query loss after adaptation, to be reported.
    final : list of tf.Tensor or Adapted
        The values with the model's state as the task leaves it; as `extra` those of the
        algorithm's own state.
    """

    objective: tf.Tensor
    loss: tf.Tensor
    final: list[tf.Tensor] | Adapted


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

    Parameters
    ----------
    model : LearnerModel
        The learner as a pure function.
    roles : Roles
        Which variables are meta-learned, which adapt, and which are state.
    optimization_steps : int
        Steps of adaptation to each task in `fit`.

    Attributes
    ----------
    model, roles
        As given.
    """

    #: Whether the meta-gradient leaves out second derivatives.
    first_order: bool = False
    #: Whether adaptation goes in steps, so that it differs after 1 and after 5 of them.
    adapts_in_steps: bool = True
    #: Whether n steps are one step n times: a step knows no more than the values before it.
    steps_are_alike: bool = False

    def __init__(self, model: LearnerModel, roles: Roles, optimization_steps: int):
        self.model = model
        self.roles = roles
        self.optimization_steps = optimization_steps

    @property
    def phases(self) -> tuple[int, ...]:
        """The meta-steps at which a new phase of training begins, in order; by default none.

        What happens in a task may differ from phase to phase: `TaskBatch.phase` is the number of
        the present one, from 0 on. Each phase is traced for itself.
        """
        return ()

    @property
    def optimization_steps(self) -> int:
        """Steps of adaptation to each task in `fit`. An int of at least 0."""
        return self._optimization_steps

    @optimization_steps.setter
    def optimization_steps(self, value: int) -> None:
        self._optimization_steps = check_count("optimization_steps", value)

    def start_values(self) -> list[tf.Tensor]:
        """Return what adaptation starts from: the present values of the learner's variables.

        Under a `tf.GradientTape` the reads are recorded.
        """
        return self.model.values()

    def adapt_task(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        numbers: dict[str, tf.Tensor],
        steps: int,
    ) -> list[tf.Tensor] | Adapted:
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
        list of tf.Tensor, or Adapted
            The adapted values, one for each of the learner's variables; as `Adapted` with whatever
            else `query_loss` and `predict_task` need (prototypes, a solved head).
        """
        raise NotImplementedError("Subclasses of MetaAlgorithm must implement adapt_task.")

    def adapt_and_settle(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        numbers: dict[str, tf.Tensor],
        steps: int,
    ) -> Adapted:
        """Return what `adapt_task` gives, with the state of the model that prediction is to use.

        Parameters are those of `adapt_task`. A learner may want statistics of the support set,
        computed by the adapted model in one more pass.
        """
        count = len(self.roles.variables)
        params, extra = Adapted.of(self.adapt_task(params, support, numbers, steps), count)
        return Adapted(self.model.settle(params, support.arrays), extra)

    def adapt_after(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        numbers: dict[str, tf.Tensor],
        counts: Sequence[int],
    ) -> list[Adapted]:
        """Return what `adapt_and_settle` gives after each of several numbers of steps.

        By default each begins anew. An algorithm whose steps can share one path computes less.
        """
        return [self.adapt_and_settle(params, support, numbers, count) for count in counts]

    def query_loss(self, adapted: Adapted, query: TaskBatch) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the loss on a task's query batch, a scalar, and the values with their state.

        By default the loss is the learner's.
        """
        return query.loss_and_state(adapted.params)

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
        adapted = self.adapt_and_settle(params, support, numbers, self.optimization_steps)
        if not self.first_order:
            check_second_derivatives()
        loss, final = self.query_loss(adapted, query)
        return TaskObjective(loss, loss, final)

    def predict_task(self, adapted: Adapted, batch: Sequence[tf.Tensor]) -> tuple[tf.Tensor, Any]:
        """Return the loss and the outputs of an adapted model for the arrays of a batch.

        By default they are the learner's, with ``training=False``.
        """
        return self.model.predict(adapted.params, batch)

    def predict_outputs(self, adapted: Adapted, x: Any) -> Any:
        """Return the outputs of an adapted model of a `KerasLearner` for x alone."""
        return self.model.learner.compute_outputs(x, adapted.params)

    def predict_deviations(self, adapted: Adapted, x: Any) -> tf.Tensor:
        """Return the standard deviations of `predict_outputs`; see `AdaptedTask.predict_std`."""
        raise TypeError(
            "`predict_std` needs an algorithm whose predictions have a spread: "
            f"GaussianProcessHead for regression. Received: a {type(self).__name__}"
        )

    def adapted_model(self, adapted: Adapted, support: Any) -> keras.Model:
        """Return an adapted model as a plain `keras.Model`; see `AdaptedTask.to_model`.

        Parameters
        ----------
        adapted : Adapted
            What adaptation gave.
        support : nested structure of tf.Tensor
            The support batch.
        """
        if not hasattr(self.model.learner, "to_model"):
            raise TypeError(
                "`to_model` needs a learner that is a KerasLearner. "
                f"Received: {type(self.model.learner).__name__}"
            )
        if adapted.extra:
            raise TypeError(
                "`to_model` needs an algorithm that predicts with the model itself, or whose head "
                "is known as layers; `predict` serves all. "
                f"Received: a {type(self).__name__} with a head of its own"
            )
        return self.model.learner.to_model(adapted.params, support)

    @property
    def learns_together(self) -> bool:
        """Whether one gradient can be taken of the sum of many tasks' objectives.

        It pays where all tasks are computed with the same weights. The engine then takes the
        gradient of `tasks_objective`, and `task_gradient` must not be overridden.
        """
        return False

    @property
    def evaluates_together(self) -> bool:
        """Whether `evaluate_tasks` adapts to many tasks, and scores them, in one pass."""
        return False

    def tasks_objective(
        self,
        support: Sequence[tf.Tensor],
        query: Sequence[tf.Tensor],
        numbers: dict[str, tf.Tensor],
        keys: tf.Tensor,
    ) -> TaskObjective:
        """Return the sums of what `objective` gives over many tasks, if it `learns_together`.

        By default each task is computed by `objective`, all at once.

        Parameters
        ----------
        support, query : list of tf.Tensor
            The arrays of the tasks' batches, with the task as first axis.
        numbers : dict of scalar tf.Tensor
            As in `adapt_task`.
        keys : int64 tensor of shape (tasks, 3)
            For random numbers.

        Returns
        -------
        TaskObjective
            Without final values: no task changes the model's state.
        """
        params = self.start_values()

        def one(task):
            arrays, key = task[:2], task[2]
            batches = [
                TaskBatch(self.model, part, role, key, True)
                for part, role in zip(arrays, ("support", "query"), strict=True)
            ]
            objective, loss, _ = self.objective(params, *batches, numbers)
            return objective, loss

        tasks = list(support), list(query), keys
        sums = map(tf.reduce_sum, tf.vectorized_map(one, tasks, fallback_to_while_loop=False))
        return TaskObjective(*sums, [])

    def tasks_gradient(
        self,
        support: Sequence[tf.Tensor],
        query: Sequence[tf.Tensor],
        numbers: dict[str, tf.Tensor],
        keys: tf.Tensor,
        scale: tf.Tensor,
    ) -> TaskGradient:
        """Return the sum of many tasks' losses, and one gradient of `scale` times it.

        Parameters are those of `tasks_objective` and `task_gradient`.
        """
        with tf.GradientTape() as tape:
            objective, loss, _ = self.tasks_objective(support, query, numbers, keys)
            scaled = objective * tf.cast(scale, objective.dtype)
        return TaskGradient(loss, self._gradients(tape, scaled), [])

    @property
    def classes_as(self) -> str | None:
        """What the outputs are of classes: "logits" or "probabilities"; None where they are not.

        By default a `KerasLearner`'s loss says it.
        """
        return getattr(self.model.learner, "classes_as", None)

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
            params = self.start_values()
            objective, loss, final = self.objective(params, support, query, numbers)
            scaled = objective * tf.cast(scale, objective.dtype)
        return TaskGradient(loss, self._gradients(tape, scaled), self.changed_state(params, final))

    def changed_state(
        self, before: list[tf.Tensor], after: list[tf.Tensor] | Adapted
    ) -> list[tf.Tensor | None]:
        """Return what the model itself changed of its variables' values.

        Parameters
        ----------
        before : list of tf.Tensor
            The values at a task's beginning.
        after : list of tf.Tensor or Adapted
            Those at its end, `TaskObjective.final`.

        Returns
        -------
        list of tf.Tensor or None
            The new value of each of `Roles.state_variables`; None where it is the old one.
        """
        params, own = Adapted.of(after, len(before), "objective")
        places = self.roles.state_places
        kept = [None if params[i] is before[i] else params[i] for i in places]
        return [*kept, *(own or [None] * len(self.roles.own_state))]

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
        self.model.learner.check_batch(inputs, source, stacked=stacked)

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

    def _gradients(self, tape: tf.GradientTape, scaled: tf.Tensor) -> list[tf.Tensor | None]:
        """Return the gradients by the meta-learned variables, as dense tensors."""
        gradients = tape.gradient(scaled, self.roles.meta_variables)
        return [None if g is None else tf.convert_to_tensor(g) for g in gradients]
