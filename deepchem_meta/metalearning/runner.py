"""The compiled functions of an algorithm: meta-steps, adaptation, prediction and scores."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from deepchem_meta.engine.episodes import EpisodeChunks
from deepchem_meta.engine.map_over_tasks import MapOverTasks, score_tasks
from deepchem_meta.engine.meta_step import Execution, TaskFunctions
from deepchem_meta.engine.meta_trainer import MetaTrainer
from deepchem_meta.engine.optimizer import MetaOptimizer
from deepchem_meta.engine.sampling import Episodes
from deepchem_meta.engine.task_batch import TaskBatch
from deepchem_meta.engine.tracing import TracedOrEager, is_foreign
from deepchem_meta.metalearning._own_algorithms import check_adapted, check_variables_read
from deepchem_meta.metalearning.adapted import Adapted
from deepchem_meta.metalearning.exporting import ServedFunctions
from deepchem_meta.metalearning.task_algorithm import TaskAlgorithm

__all__ = ["TaskRunner"]


class TaskRunner:
    """Runs an algorithm's functions of one task for many, traced and compiled.

    Each function is made once for what its trace holds fast.

    Parameters
    ----------
    algorithm : TaskAlgorithm
        What happens in one task.
    optimizer : MetaOptimizer
        Moves the meta-learned variables.
    execution : Execution
        How meta-steps are to run.
    seed : tf.Variable
        An int64 scalar, for random numbers.
    """

    def __init__(
        self,
        algorithm: TaskAlgorithm,
        optimizer: MetaOptimizer,
        execution: Execution,
        seed: tf.Variable,
    ):
        self._algorithm = algorithm
        self._model = algorithm.model
        self._optimizer = optimizer
        self._execution = execution
        self._seed = seed
        self._made: dict[Hashable, Any] = {}
        self._autograph = is_foreign(algorithm)
        self._tried = False

    # Meta-steps.

    def trainer(self) -> MetaTrainer:
        """Return what takes meta-steps as the algorithm's attributes now say."""
        algorithm = self._algorithm
        return self._once(
            ("train", algorithm.traced_choices()),
            lambda: MetaTrainer(
                TaskFunctions(
                    self._task_gradient,
                    self._measure_task,
                    self.explain,
                    algorithm.tasks_gradient if algorithm.learns_together else None,
                    autograph=self._autograph,
                    phases=algorithm.phases,
                ),
                algorithm.roles.meta_variables,
                self._optimizer,
                self._execution,
                state=algorithm.roles.state_variables,
                seed=self._seed,
            ),
        )

    def meta_gradient(self, episodes: Episodes) -> tuple[float, list[tf.Tensor | None]]:
        """Return the loss and the meta-gradient over the tasks of one meta-step."""
        self.try_model([column[0] for column in episodes.support])
        result = self.trainer().gradient(episodes, self._algorithm.task_numbers())
        if not np.isfinite(result.logs[0, 0]):
            episodes.each(self.explain)
        scale = self._optimizer.loss_scale()
        gradients = [
            None if gradient is None else gradient / tf.cast(scale, gradient.dtype)
            for gradient in result.gradients
        ]
        return float(result.logs[0, 0]), gradients

    def train(self, episodes: Episodes) -> np.ndarray:
        """Take the meta-steps of some episodes; see `MetaTrainer.run`."""
        self.try_model([column[0] for column in episodes.support])
        self._optimizer.synchronize()
        return self.trainer().run(episodes, self._algorithm.task_numbers(), episodes.steps)

    # One task.

    def adapt(self, batch: Sequence[np.ndarray], steps: int, task: int = 0) -> Adapted:
        """Return what adaptation to the arrays of a support batch gives.

        Parameters
        ----------
        batch : list of numpy.ndarray
            The arrays.
        steps : int
            Steps of adaptation.
        task : int, default 0
            Its number, for random numbers.
        """
        self.try_model(batch)
        algorithm = self._algorithm
        function = self._once(
            ("adapt", algorithm.traced_choices(), steps),
            lambda: TracedOrEager(
                lambda arrays, numbers, key: self._adapt(arrays, numbers, key, steps),
                self._model.learned_variables,
                autograph=self._autograph,
            ),
        )
        try:
            adapted = function(batch, self._scalars(), self._key(task))
        except tf.errors.OpError:
            self.explain(batch)
            raise
        if not all(np.isfinite(part).all() for part in adapted.extra):
            self.explain(batch)
        return adapted

    def predict(self, adapted: Adapted, batch: Sequence[np.ndarray]) -> tuple[tf.Tensor, Any]:
        """Return (loss, outputs) of an adapted model for the arrays of a batch."""
        function = self._once("predict", lambda: self._traced(self._algorithm.predict_task))
        try:
            loss, outputs = function(adapted, batch)
        except tf.errors.OpError:
            self.explain((), batch)
            raise
        if not np.isfinite(loss):
            self.explain((), batch)
        return loss, outputs

    def predict_unadapted(self, batch: Sequence[np.ndarray]) -> tuple[tf.Tensor, Any]:
        """Return the learner's (loss, outputs) for the arrays of a batch."""
        model = self._model
        function = self._once(
            "predict_unadapted",
            lambda: TracedOrEager(lambda arrays: model.predict(model.values(), arrays)),
        )
        return function(batch)

    def outputs(self, adapted: Adapted, x: Any) -> Any:
        """Return an adapted model's outputs for a `KerasLearner`'s x."""
        make = lambda: self._traced(self._algorithm.predict_outputs)  # noqa: E731
        return self._once("outputs", make)(adapted, x)

    def deviations(self, adapted: Adapted, x: Any) -> tf.Tensor:
        """Return the standard deviations of `outputs`."""
        make = lambda: self._traced(self._algorithm.predict_deviations)  # noqa: E731
        return self._once("deviations", make)(adapted, x)

    def served(self, steps: int) -> ServedFunctions:
        """Return adaptation and prediction as functions of tensors."""
        key, numbers = tf.constant(self._key(0)), self._scalars()
        return ServedFunctions(
            lambda arrays: self._adapt(arrays, numbers, key, steps),
            self._algorithm.predict_outputs,
        )

    # Many held-out tasks.

    def score(
        self, episodes: EpisodeChunks, steps: tuple[int, ...], scores: dict[str, Callable]
    ) -> dict[str, np.ndarray]:
        """Return the loss, the metrics and the scores of held-out tasks; see `score_tasks`.

        Parameters
        ----------
        episodes : EpisodeChunks
            The tasks.
        steps : tuple of int
            Numbers of steps after which to score.
        scores : dict of callable
            The scores of their source.
        """
        if not self._tried:
            support = self._model.read(next(iter(episodes))[0], "`tasks`", stacked=True)
            self.try_model([array[0] for array in support])
        algorithm, with_outputs = self._algorithm, bool(scores)
        over_tasks = self._once(
            ("evaluate", algorithm.traced_choices(), steps, with_outputs),
            lambda: MapOverTasks(
                lambda *task: self._evaluate_task(*task, steps, with_outputs),
                (lambda *tasks: algorithm.evaluate_tasks(*tasks, with_outputs))
                if algorithm.evaluates_together
                else None,
                execution=self._execution,
                model=self._model,
                autograph=self._autograph,
            ),
        )
        return score_tasks(
            over_tasks,
            episodes,
            self._model,
            numbers=algorithm.task_numbers(),
            scores=scores,
            explain=self.explain,
        )

    # Checks.

    def try_model(self, support: Sequence[np.ndarray]) -> None:
        """Compute the learner's model for a support batch once before anything is traced."""
        if self._tried:
            return
        roles = self._algorithm.roles
        read = self._model.try_eagerly(self._first_loss, support, roles.meta_variables)
        if is_foreign(self._algorithm):
            check_variables_read(read, roles)
        self._tried = True

    def explain(self, support: Sequence[Any], query: Sequence[Any] = ()) -> None:
        """Raise ValueError if the arrays of a task are why a result is not finite.

        Batches of a learner that says what they are were checked when they came.
        """
        if self._model.knows_batches:
            return
        key = tf.constant(self._key(0))
        for arrays, role in ((support, "support"), (query, "query")):
            if len(arrays):
                tensors = [tf.convert_to_tensor(array) for array in arrays]
                self._algorithm.explain(self._batch(tensors, role, key, training=False))

    # What is traced.

    def _adapt(self, arrays, numbers, key, steps):
        """Return what adaptation to a support batch gives, outside of meta-training."""
        support = self._batch(arrays, "support", key, training=False)
        params = self._algorithm.start_values()
        return self._algorithm.adapt_and_settle(params, support, numbers, steps)

    def _task_gradient(self, support, query, numbers, key, scale, phase):
        """Return what `TaskFunctions.gradient` asks for."""
        batches = self._batches(support, query, key, training=True, phase=phase)
        return self._algorithm.task_gradient(*batches, numbers, scale)

    def _measure_task(self, support, query, numbers, key):
        """Return losses before and after adaptation, and the metrics of the query set after it.

        Those before adaptation are left out where there is none.
        """
        algorithm = self._algorithm
        support, query = self._batches(support, query, key, training=True)
        params = algorithm.start_values()
        values = {}
        if algorithm.adapts_in_steps and algorithm.optimization_steps:
            before = algorithm.adapt_and_settle(params, support, numbers, 0)
            values["support_loss_before"] = algorithm.query_loss(before, support)[0]
            values["query_loss_before"] = algorithm.query_loss(before, query)[0]
        after = algorithm.adapt_and_settle(params, support, numbers, algorithm.optimization_steps)
        values["support_loss_after"] = algorithm.query_loss(after, support)[0]
        if self._model.metric_names:
            _, outputs = algorithm.predict_task(after, query.arrays)
            values |= self._model.metrics(query.arrays, outputs)
        return {name: tf.cast(value, tf.float64) for name, value in values.items()}

    def _evaluate_task(self, support, query, numbers, key, steps, with_outputs):
        """Return the query loss, metrics and outputs after each number of steps, stacked."""
        algorithm = self._algorithm
        support, query = self._batches(support, query, key, training=False)
        params = algorithm.start_values()
        rows = []
        for adapted in algorithm.adapt_after(params, support, numbers, steps):
            loss, outputs = algorithm.predict_task(adapted, query.arrays)
            values = {"loss": loss, **self._model.metrics(query.arrays, outputs)}
            values = {name: tf.cast(value, tf.float64) for name, value in values.items()}
            rows.append((values, outputs if with_outputs else ()))
        return tf.nest.map_structure(lambda *parts: tf.stack(parts), *rows)

    def _first_loss(self, params: list[tf.Tensor], batch: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the loss on a support batch; of a foreign algorithm after a step, checked."""
        algorithm = self._algorithm
        foreign = is_foreign(algorithm)
        steps = min(1, algorithm.optimization_steps) if foreign else 0
        support = self._batch(batch, "support", tf.constant(self._key(0)), training=True)
        given = algorithm.adapt_task(list(params), support, self._scalars(), steps)
        adapted = Adapted.of(given, len(params))
        if foreign:
            check_adapted(params, adapted, algorithm.roles, steps)
        return algorithm.query_loss(adapted, support)[0]

    def _batch(self, arrays, role, key, training, phase=0):
        return TaskBatch(self._model, arrays, role, key, training, phase)

    def _batches(self, support, query, key, training, phase=0):
        pairs = (support, "support"), (query, "query")
        return [self._batch(arrays, role, key, training, phase) for arrays, role in pairs]

    def _scalars(self) -> dict[str, tf.Tensor]:
        numbers = self._algorithm.task_numbers()
        return {name: tf.constant(value, tf.float64) for name, value in numbers.items()}

    def _key(self, task: int) -> np.ndarray:
        """Return a key for random numbers outside meta-steps."""
        return np.array([int(self._seed.numpy()), int(self._optimizer.step), task], np.int64)

    def _traced(self, function: Callable) -> TracedOrEager:
        return TracedOrEager(function, autograph=self._autograph)

    def _once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what was made for a key, or make it."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]
