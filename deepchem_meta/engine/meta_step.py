"""A traced function that takes many meta-steps: tasks in parallel or in turn, XLA or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deepchem_meta._checks import check_count, check_option
from deepchem_meta.engine.batches import Layout
from deepchem_meta.engine.optimizer import MetaOptimizer, accumulation_dtype
from deepchem_meta.engine.state import ModelState
from deepchem_meta.engine.sum_over_tasks import Plan, SumOverTasks, task_keys

__all__ = [
    "LOGS",
    "CallShape",
    "Execution",
    "MetaStep",
    "Moves",
    "StepResult",
    "TaskFunctions",
    "TaskSums",
]

LOGS = ("loss", "gradient_norm")
"""What is reported of each meta-step: the query loss after adaptation, a mean over its tasks, and
the norm of the meta-gradient."""


class Execution(NamedTuple):
    """How an algorithm's meta-steps are to run, as its constructor was told.

    Attributes
    ----------
    task_execution : {"auto", "vectorized", "looped"}, default "auto"
        Whether the tasks run all at once or one after the other.
    jit_compile : bool or "auto", default "auto"
        Whether to compile with XLA.
    reduction : {"sum", "mean"}, default "sum"
        Of the meta-gradients over tasks.
    task_batch_size : int, optional
        How many tasks at most run at once.
    strategy : tf.distribute.Strategy, optional
        Over whose replicas the tasks are spread; by default there is one.
    """

    task_execution: str = "auto"
    jit_compile: bool | str = "auto"
    reduction: str = "sum"
    task_batch_size: int | None = None
    strategy: tf.distribute.Strategy | None = None

    def check(self) -> Execution:
        """Return it, or raise TypeError or ValueError for what is not as described."""
        check_option("task_execution", self.task_execution, ("auto", "vectorized", "looped"))
        check_option("jit_compile", self.jit_compile, ("auto", True, False))
        check_option("reduction", self.reduction, ("sum", "mean"))
        if self.task_batch_size is not None:
            check_count("task_batch_size", self.task_batch_size, minimum=1)
        return self

    def weight(self, tasks: int) -> float:
        """Return what the sum of so many tasks' meta-gradients is multiplied by."""
        return 1.0 if self.reduction == "sum" else 1.0 / tasks

    @property
    def shares_cpu(self) -> bool:
        """Whether several replicas run on the CPU of this process."""
        if self.replicas == 1:  # the default strategy does not say where it runs
            return False
        devices = self.strategy.extended.worker_devices
        return len(devices) > 1 and all("CPU" in device for device in devices)

    @property
    def replicas(self) -> int:
        """Over how many replicas the tasks are spread."""
        return 1 if self.strategy is None else self.strategy.num_replicas_in_sync


class TaskFunctions(NamedTuple):
    """What an algorithm does with one task, as pure functions of its data.

    Attributes
    ----------
    gradient : callable
        ``(support, query, numbers, key, scale, phase) -> (loss, gradients, state)``: the query loss
        after adaptation, the gradient of `scale` times it by each meta-learned variable, and the
        values at which the task leaves the model's state.
    measure : callable
        ``(support, query, numbers, key) -> values``: what is measured now and then, a dict of
        float64 scalars.
    explain : callable
        ``(support, query)``: is called with the arrays of a task whose result may not be finite,
        and raises if they are why.
    together : callable or None
        Does what `gradient` does for many tasks at once and returns the sums over them, of an
        algorithm that computes the same function of the variables for every task. Its arguments
        have the task as first axis, except for ``numbers`` and ``scale``.
    autograph : bool, default False
        Whether `if` and `for` on tensors must work in them.
    phases : tuple of int, default ()
        The meta-steps, in order, at which a new phase of training begins. `gradient` is traced for
        each phase: 0 before the first of them, then 1, and so on.

    Notes
    -----
    ``key`` is an int64 tensor of shape (3,), for random numbers: the seed, the number of the
    meta-step and that of the task in it.
    """

    gradient: Callable
    measure: Callable
    explain: Callable[[Sequence, Sequence], None] = lambda support, query: None
    together: Callable | None = None
    autograph: bool = False
    phases: tuple[int, ...] = ()


class TaskSums(NamedTuple):
    """What is summed over the tasks of a meta-step.

    Attributes
    ----------
    one : callable
        ``(support, query, numbers, key, scale) -> (loss, gradients, state)`` of one task, in the
        dtypes in which they are summed: zeros for None, of the state `ModelState.summands`.
    together : callable or None
        The same for many tasks at once, summed over them already.
    """

    one: Callable
    together: Callable | None


class Moves(NamedTuple):
    """What a meta-step moves.

    Attributes
    ----------
    variables : list of tf.Variable
        The meta-learned variables.
    reached : list of bool
        Which of them the query loss depends on; the others stay as they are.
    optimizer : MetaOptimizer
        Moves them.
    state : ModelState
        What the model changes itself.
    """

    variables: Sequence[tf.Variable]
    reached: Sequence[bool]
    optimizer: MetaOptimizer
    state: ModelState

    def zeros(self) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Return the sums of gradients and of state over no tasks."""
        gradients = [tf.zeros(v.shape, accumulation_dtype(v)) for v in self.variables]
        return gradients, self.state.zeros()

    def apply(self, gradients: Sequence[tf.Tensor], state: Sequence[tf.Tensor], tasks: int) -> None:
        """Move everything, by gradients and by sums of state over so many tasks."""
        self.state.assign(state, tasks)
        reached = zip(gradients, self.reached, strict=True)
        self.optimizer.apply([gradient if reach else None for gradient, reach in reached])


class CallShape(NamedTuple):
    """For what data a call of `MetaStep` has room.

    Attributes
    ----------
    layout : Layout
        How the data of an episode lie.
    tasks, capacity : int
        Tasks a meta-step; meta-steps at most.
    """

    layout: Layout
    tasks: int
    capacity: int


class StepResult(NamedTuple):
    """What a call of `MetaStep` gives back.

    Attributes
    ----------
    steps : int32 scalar
        Meta-steps run, the one included whose loss or gradient was not finite.
    finite : bool scalar
        Whether all of them were finite; one that is not is not applied, and is the last.
    logs : float64 tensor of shape (capacity, len(LOGS))
        A row for each step.
    gradients : list of tf.Tensor
        The last step's meta-gradient, reduced over tasks, times the optimizer's loss scale.
    state : list of tf.Tensor
        The last step's sums over tasks of the model's state.
    """

    steps: tf.Tensor
    finite: tf.Tensor
    logs: tf.Tensor
    gradients: list[tf.Tensor]
    state: list[tf.Tensor]


class MetaStep:
    """One traced function that takes up to `capacity` meta-steps a call.

    Both tapes stand inside the function that is vectorised: with the outer one outside it, XLA
    takes the data for constants and compiles anew at every call. How many steps to take is a
    tensor, so that neither the first call of a run nor its last needs a trace of its own, and 1,
    10 or 100 steps a call give the same numbers.

    Parameters
    ----------
    sums : TaskSums
        What is summed over tasks.
    moves : Moves
        What is moved by it.
    shape : CallShape
        For what data there is room.
    plan : Plan
        How to run the tasks.
    execution : Execution
        How the sums are reduced, and over whose replicas the tasks are spread.
    seed : tf.Variable
        An int64 scalar, for random numbers.
    numbers : list of str
        The names of the algorithm's numbers that may change between calls.
    """

    def __init__(
        self,
        sums: TaskSums,
        moves: Moves,
        shape: CallShape,
        plan: Plan,
        execution: Execution,
        *,
        seed: tf.Variable,
        numbers: Sequence[str],
    ):
        self.shape = shape
        self.plan = plan
        self._task_sums = sums.together if plan.together else sums.one
        self._moves = moves
        self._execution = execution
        self._seed = seed
        replicas = execution.replicas
        self._over_tasks = SumOverTasks(
            shape.layout, shape.tasks, plan, execution.task_batch_size, replicas
        )
        self._weight = execution.weight(shape.tasks)
        # A concrete function takes its data without a second look, and is never traced again.
        # XLA compiles what one replica does; with a single one that is the whole function.
        whole, part = (plan.jit_compile, None) if replicas == 1 else (None, plan.jit_compile)
        self._sums = tf.function(self._sum_tasks, autograph=False, jit_compile=part)
        self._function = tf.function(
            self._run, autograph=False, jit_compile=whole
        ).get_concrete_function(
            self._over_tasks.specs(shape.capacity),
            tf.TensorSpec((), tf.int32),
            tf.TensorSpec((), tf.bool),
            {name: tf.TensorSpec((), tf.float64) for name in numbers},
        )

    def __call__(
        self, data: tuple, count: int, numbers: dict[str, float], apply: bool = True
    ) -> StepResult:
        """Take `count` meta-steps.

        Parameters
        ----------
        data : tuple
            As `Episodes.pack` gives it.
        count : int
            Up to `capacity`.
        numbers : dict of float
            The algorithm's numbers, by the names given.
        apply : bool, default True
            Whether to move the variables, or only to compute their gradients.
        """
        scalars = {name: np.float64(value) for name, value in numbers.items()}
        inputs = (data, np.int32(count), apply, scalars)
        return StepResult(*self._function(*tf.nest.map_structure(tf.convert_to_tensor, inputs)))

    def _run(self, data, count, apply, numbers):
        def proceed(step, finite, logs, gradients, state):
            return (step < count) & finite

        def take(step, finite, logs, gradients, state):
            row, gradients, state, finite = self._step(data, step, numbers)
            tf.cond(finite & apply, lambda: self._apply(gradients, state), lambda: False)
            logs = tf.tensor_scatter_nd_update(logs, [[step]], [row])
            return step + 1, finite, logs, gradients, state

        logs = tf.zeros((self.shape.capacity, len(LOGS)), tf.float64)
        return tf.while_loop(proceed, take, (0, True, logs, *self._moves.zeros()))

    def _step(self, data, step, numbers):
        """Return the logs of one meta-step, its gradients and state, and if all is finite."""
        optimizer = self._moves.optimizer
        scale = tf.cast(optimizer.loss_scale(), tf.float64)
        loss, gradients, state = self._over_replicas(data, step, numbers, scale)
        gradients = [gradient * tf.constant(self._weight, gradient.dtype) for gradient in gradients]
        norm = tf.cast(_global_norm(gradients), tf.float64) / scale
        finite = tf.math.is_finite(loss)
        if not optimizer.skips_nonfinite:
            finite &= tf.math.is_finite(norm)
        return tf.stack([loss / self.shape.tasks, norm]), gradients, state, finite

    def _over_replicas(self, *args):
        """Return what `_sum_tasks` gives, summed over replicas."""
        strategy = self._execution.strategy
        if self._execution.replicas == 1:
            return self._sum_tasks(0, *args)

        def on_replica():
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return _packed(self._sums(tf.cast(replica, tf.int32), *args))

        sums = {
            dtype: strategy.reduce(tf.distribute.ReduceOp.SUM, part, axis=None)
            for dtype, part in strategy.run(on_replica).items()
        }
        return _unpacked(sums, (tf.zeros((), tf.float64), *self._moves.zeros()))

    def _sum_tasks(self, replica, data, step, numbers, scale):
        """Return the loss, gradients and state summed over a replica's tasks."""
        keys = task_keys(self._seed, self._moves.optimizer.step, self.shape.tasks)
        return self._over_tasks(
            lambda *task: self._task_sums(*task[:2], numbers, task[2], scale),
            (tf.zeros((), tf.float64), *self._moves.zeros()),
            data,
            step,
            keys,
            replica,
        )

    def _apply(self, gradients, state):
        self._moves.apply(gradients, state, self.shape.tasks)
        return True


def _packed(structure: Any) -> dict[str, tf.Tensor]:
    """Return all values of a dtype in one vector: each reduction over replicas has its latency."""
    tensors = tf.nest.flatten(structure)
    return {
        dtype.name: tf.concat([tf.reshape(t, [-1]) for t in tensors if t.dtype == dtype], axis=0)
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors)
    }


def _unpacked(packed: dict[str, tf.Tensor], like: Any) -> Any:
    """Return what was packed, in the structure and shapes of `like`."""
    places = dict.fromkeys(packed, 0)
    tensors = []
    for tensor in tf.nest.flatten(like):
        start, size = places[tensor.dtype.name], tensor.shape.num_elements()
        part = packed[tensor.dtype.name][start : start + size]
        tensors.append(tf.reshape(part, tensor.shape))
        places[tensor.dtype.name] += size
    return tf.nest.pack_sequence_as(like, tensors)


def _global_norm(gradients: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the norm over all gradients, which may differ in dtype.

    One long vector takes XLA a third of the time of a sum over each.
    """
    widest = max((gradient.dtype for gradient in gradients), key=lambda dtype: dtype.size)
    return tf.norm(tf.concat([tf.reshape(tf.cast(g, widest), [-1]) for g in gradients], axis=0))
