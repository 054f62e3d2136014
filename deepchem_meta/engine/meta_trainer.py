"""Runs episodes through compiled meta-steps, choosing a plan for each layout of the data."""

from __future__ import annotations

import bisect
import functools
import itertools
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from deepchem_meta.engine.batches import Layout
from deepchem_meta.engine.inner_loop import no_second_derivative
from deepchem_meta.engine.measures import Measures
from deepchem_meta.engine.meta_step import (
    CallShape,
    Execution,
    MetaStep,
    Moves,
    StepResult,
    TaskFunctions,
    TaskSums,
)
from deepchem_meta.engine.optimizer import MetaOptimizer, accumulation_dtype
from deepchem_meta.engine.planning import agree, choose_plan, draws_random_numbers
from deepchem_meta.engine.sampling import Episodes
from deepchem_meta.engine.state import ModelState
from deepchem_meta.engine.sum_over_tasks import Plan
from deepchem_meta.engine.tracing import quiet_tensorflow
from deepchem_meta.engine.writes import check_graph

__all__ = ["MetaTrainer", "NotFiniteError"]

_logger = logging.getLogger(__name__)

_MOST_STEPS_A_CALL = 200
_MOST_BYTES_A_CALL = 2**24
_SECONDS_A_CALL = 0.25  # so that Ctrl-C and callbacks are prompt
_MOST_EXACT_LAYOUTS = 2


class NotFiniteError(FloatingPointError):
    """A loss or gradient is not finite.

    Attributes
    ----------
    meta_step : int
        The meta-step, from 1 on.
    """

    def __init__(self, message: str, meta_step: int):
        super().__init__(message)
        self.meta_step = meta_step


class MetaTrainer:
    """Takes meta-steps over episodes of any layout.

    Batches of one shape run stacked. The first two shapes get a compiled function each; any more,
    and tasks that differ in shape within a meta-step, go through one function for all shapes.
    Which function a step gets depends on the steps before it and never on how many are taken a
    call.

    Parameters
    ----------
    functions : TaskFunctions
        What the algorithm does with one task. They are traced once for each layout.
    variables : list of tf.Variable
        The meta-learned variables.
    optimizer : MetaOptimizer
        Moves them.
    execution : Execution
        How the tasks are to run.
    state : list of tf.Variable
        What the model may change itself.
    seed : tf.Variable
        An int64 scalar, for random numbers.

    Attributes
    ----------
    plan : Plan or None
        How the tasks of the last meta-step ran.
    """

    def __init__(
        self,
        functions: TaskFunctions,
        variables: Sequence[tf.Variable],
        optimizer: MetaOptimizer,
        execution: Execution,
        *,
        state: Sequence[tf.Variable],
        seed: tf.Variable,
    ):
        self.plan: Plan | None = None
        self._execution = execution
        self._variables = list(variables)
        self._optimizer = optimizer
        self._state = list(state)
        self._seed = seed
        self._gradient = tf.function(functions.gradient, autograph=functions.autograph)
        measure = tf.function(functions.measure, autograph=functions.autograph)
        self._measures = Measures(measure, seed, execution.task_batch_size)
        self._together = functions.together
        self._phases = functions.phases
        self._explain = functions.explain
        self._nbytes = sum(v.shape.num_elements() * v.dtype.size for v in self._variables)
        self._exact: list[Layout] = []
        self._relaxed: Layout | None = None
        self._steps: dict[tuple[CallShape, int], MetaStep] = {}
        self._plans: dict[tuple[Layout, int, int], Plan] = {}
        #: How long a meta-step took in the last call.
        self.seconds_a_step: float = _SECONDS_A_CALL

    def capacity(self, episodes: Episodes) -> int:
        """Return for how many meta-steps such as these a call should have room."""
        size = episodes.layouts()[0].nbytes * episodes.tasks
        return max(1, min(_MOST_STEPS_A_CALL, _MOST_BYTES_A_CALL // size))

    @property
    def step(self) -> int:
        """Meta-steps taken so far."""
        return int(self._optimizer.step)

    @property
    def steps_a_call(self) -> int:
        """How many meta-steps take about a quarter of a second, as measured."""
        return max(1, int(_SECONDS_A_CALL / self.seconds_a_step))

    def run(
        self,
        episodes: Episodes,
        numbers: dict[str, float],
        capacity: int,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> np.ndarray:
        """Take a meta-step for each of the episodes' steps.

        Parameters
        ----------
        episodes : Episodes
            Of at most `capacity` meta-steps.
        numbers : dict of float
            The algorithm's numbers that may change between calls.
        capacity : int
            Meta-steps for which a call has room.

        meanwhile : callable
            Is called once, just before the steps run: a thread that it starts does not compete
            with this one for Python's interpreter lock, each change of which takes 5 ms.

        Returns
        -------
        float64 array of shape (steps, len(LOGS))

        Raises
        ------
        NotFiniteError
            If a loss or gradient is not finite; that step and those after it are not taken.
        """
        logs = []
        for layout, start, stop in self._stretches(episodes):
            part = episodes.slice(start, stop)
            step = self._step(layout, part, numbers, capacity)
            data = tf.nest.map_structure(tf.convert_to_tensor, part.pack(layout, capacity))
            if stop == episodes.steps:
                meanwhile()
            begin = time.perf_counter()
            result = step(data, part.steps, numbers)
            logs.append(result.logs[: int(result.steps)].numpy())
            self.seconds_a_step = (time.perf_counter() - begin) / part.steps
            if not bool(result.finite):
                last = len(logs[-1]) - 1
                part.slice(last, last + 1).each(self._explain)
                number = self.step + 1
                raise NotFiniteError(_describe(number, logs[-1][-1]), number)
        return np.concatenate(logs)

    def gradient(self, episodes: Episodes, numbers: dict[str, float]) -> StepResult:
        """Return the meta-gradient over the tasks of one meta-step, without applying it.

        The gradient of a variable that the query loss does not reach is None.
        """
        layout, _, _ = next(self._stretches(episodes))
        step = self._step(layout, episodes, numbers, 1)
        result = step(episodes.pack(layout, 1), 1, numbers, apply=False)
        pairs = zip(result.gradients, self._reached(layout, numbers), strict=True)
        return result._replace(gradients=[g if reached else None for g, reached in pairs])

    def is_ready(self, episodes: Episodes, capacity: int) -> bool:
        """Say whether a function for meta-steps such as these is compiled."""
        shape = CallShape(episodes.layouts()[0], episodes.tasks, capacity)
        return (shape, self._phase) in self._steps

    def measure(
        self, episodes: Episodes, numbers: dict[str, float], capacity: int
    ) -> dict[str, float]:
        """Return means of what `TaskFunctions.measure` gives over the first meta-step's tasks."""
        first = episodes.slice(0, 1)
        layout, _, _ = next(self._stretches(first))
        step = self._step(layout, first, numbers, capacity)  # its errors come first
        return self._measures(first, layout, step.plan, numbers, self.step)

    def _stretches(self, episodes: Episodes) -> Iterator[tuple[Layout, int, int]]:
        """Yield (layout, start, stop) for the stretches of meta-steps that share a function."""
        first, start = self.step, 0
        for layout, steps in itertools.groupby(episodes.layouts(), key=self._layout_for):
            stop = start + len(list(steps))
            inside = [phase - first for phase in self._phases if start < phase - first < stop]
            for begin, end in itertools.pairwise([start, *inside, stop]):
                yield layout if layout else self._relaxed, begin, end
            start = stop

    @property
    def _phase(self) -> int:
        """The phase of training that the next meta-step is in."""
        return bisect.bisect_right(self._phases, self.step) if self._phases else 0

    @property
    def _sums(self) -> TaskSums:
        """What is summed over tasks in the phase of the next meta-step."""
        one = functools.partial(self._dense_gradient, phase=self._phase)
        return TaskSums(one, self._together and self._dense_sums)

    def _layout_for(self, layout: Layout) -> Layout | None:
        """Return the layout to run a meta-step in, or None for the one that all shapes fit."""
        new = not layout.ragged and layout not in self._exact
        if new and len(self._exact) < _MOST_EXACT_LAYOUTS:
            self._exact.append(layout)
        if layout in self._exact:
            return layout
        seen = [*self._exact, *([self._relaxed] if self._relaxed else []), layout]
        self._relaxed = functools.reduce(Layout.relax, seen)
        return None

    def _step(
        self, layout: Layout, episodes: Episodes, numbers: dict[str, float], capacity: int
    ) -> MetaStep:
        """Return the function for a layout; its plan is chosen and tried out on first use."""
        shape = CallShape(layout, episodes.tasks, capacity)
        key = shape, self._phase
        if key not in self._steps:
            self._steps[key] = self._prepare(shape, episodes, numbers)
        self.plan = self._steps[key].plan
        return self._steps[key]

    def _prepare(self, shape: CallShape, episodes: Episodes, numbers: dict[str, float]) -> MetaStep:
        layout, tasks, _ = shape
        known = layout, tasks, self._phase
        plan = self._plans.get(known)
        if plan is not None:
            return self._build(plan, shape, numbers)
        check_graph(self._trace(layout, numbers), self._variables)
        wanted = self._execution
        plan = choose_plan(
            self._trace(layout, numbers),
            task_execution=wanted.task_execution,
            jit_compile=wanted.jit_compile,
            nbytes=self._nbytes,
            ragged=layout.ragged,
            shares_cpu=wanted.shares_cpu,
        )
        # What to fall back on: a loop without XLA, except for what the user asked.
        plain = plan._replace(
            vectorized=wanted.task_execution == "vectorized", jit_compile=wanted.jit_compile is True
        )
        # One pass is faster than XLA's loop, which gives way unless it was asked for.
        compiled = plan.jit_compile and (plan.vectorized or wanted.jit_compile is True)
        if not compiled and self._can_run_together(layout, tasks, numbers):
            plan = plan._replace(together=True, jit_compile=False)
            if draws_random_numbers(self._trace(layout, numbers)):  # in one pass others
                plain = plain._replace(together=True)
        step = None
        if plan != plain:
            try:
                with quiet_tensorflow():
                    step = self._build(plan, shape, numbers)
                # Rounding can carry an input over the kink of a ReLU, and the gradient jumps: one
                # of 30 meta-steps of a small net. So differences must show on other data too.
                agreed = any(
                    self._agrees(step, episodes.slice(0, 1).multiplied(factor), numbers)
                    for factor in (1.0, 0.99)
                )
            except Exception as error:
                _logger.debug("Meta-steps cannot run as %s", plan, exc_info=True)
                step, plan = None, plain._replace(reason=f"{plan} raised {type(error).__name__}")
            else:
                if not agreed:
                    step, plan = None, plain._replace(reason=f"{plan} gave other numbers")
        self._plans[known] = plan
        _logger.debug("Meta-steps of %d tasks run as %s", tasks, plan)
        return step or self._build(plan, shape, numbers)

    def _agrees(self, step: MetaStep, episodes: Episodes, numbers: dict[str, float]) -> bool:
        """Say whether a meta-step gives what its tasks give one by one; nothing is applied."""
        layout, tasks, capacity = step.shape
        scale = tf.cast(self._optimizer.loss_scale(), tf.float64)
        scalars = {name: tf.constant(value, tf.float64) for name, value in numbers.items()}
        keys = self._task_keys(tasks)
        one_task, sums = self._sums.one, None

        def add(support, query):
            nonlocal sums
            arrays = layout.tensors(support, query)
            one = tf.nest.flatten(one_task(*arrays, scalars, next(keys), scale))
            sums = one if sums is None else [a + b for a, b in zip(sums, one, strict=True)]

        episodes.each(add)
        loss, *rest = sums
        gradients, state = rest[: len(self._variables)], rest[len(self._variables) :]
        weight = self._execution.weight(tasks)
        reference = [loss / tasks, *(g * tf.cast(weight, g.dtype) for g in gradients), *state]
        found = step(episodes.pack(layout, capacity), 1, numbers, apply=False)
        values = [found.logs[0, 0], *found.gradients, *found.state]
        return agree(values, reference, self._dtypes(layout, numbers))

    def _task_keys(self, tasks: int) -> Iterator[tf.Tensor]:
        """Yield what `task_keys` gives for the next meta-step, without its ten eager operations."""
        seed, step = int(self._seed.numpy()), self.step
        return (tf.constant([seed, step, task], tf.int64) for task in range(tasks))

    def _dtypes(self, layout: Layout, numbers: dict[str, float]) -> set[tf.DType]:
        """Return the floating dtypes in which a task's gradient is computed."""
        operations = self._trace(layout, numbers).graph.get_operations()
        dtypes = {output.dtype for operation in operations for output in operation.outputs}
        return {dtype for dtype in dtypes if dtype.is_floating}

    def _build(self, plan: Plan, shape: CallShape, numbers: dict[str, float]) -> MetaStep:
        state = ModelState(self._changed(shape.layout, numbers))
        reached = self._reached(shape.layout, numbers)
        return MetaStep(
            self._sums,
            Moves(self._variables, reached, self._optimizer, state),
            shape,
            plan,
            self._execution,
            seed=self._seed,
            numbers=list(numbers),
        )

    def _trace(
        self, layout: Layout, numbers: dict[str, float]
    ) -> tf.types.experimental.ConcreteFunction:
        """Return the graph of one task's gradient, traced once for each layout and phase."""
        scalars = {name: tf.TensorSpec((), tf.float64) for name in numbers}
        key, scale = tf.TensorSpec((3,), tf.int64), tf.TensorSpec((), tf.float64)
        try:
            return self._gradient.get_concrete_function(
                *layout.specs(), scalars, key, scale, self._phase
            )
        except Exception as error:  # autograph wraps the LookupError in one of its own
            operation = re.search(r"gradient registry has no entry for: (\w+)", str(error))
            if operation is None:
                raise
            raise no_second_derivative(operation[1]) from error

    def _reached(self, layout: Layout, numbers: dict[str, float]) -> list[bool]:
        """Say which variables the query loss depends on."""
        _, gradients, _ = self._trace(layout, numbers).structured_outputs
        return [gradient is not None for gradient in gradients]

    def _changed(self, layout: Layout, numbers: dict[str, float]) -> list[tf.Variable]:
        """Return the variables that the model changes itself."""
        _, _, values = self._trace(layout, numbers).structured_outputs
        pairs = zip(self._state, values, strict=True)
        return [variable for variable, value in pairs if value is not None]

    def _can_run_together(self, layout: Layout, tasks: int, numbers: dict[str, float]) -> bool:
        """Say whether the tasks of a meta-step can be taken in one pass through the model.

        With XLA they should not: it would compile anew at every call, since the tape stands outside
        of what is vectorised.
        """
        support, query = ([(a.dtype, a.shape[1:]) for a in part] for part in layout)
        alike = support == query and not layout.ragged and not tasks % self._execution.replicas
        known = self._together is not None and self._execution.task_execution == "auto"
        return known and alike and not self._changed(layout, numbers)

    def _dense_sums(self, *args):
        """Return what `TaskFunctions.together` does in the dtypes in which it is summed."""
        loss, gradients, _ = self._together(*args)
        return tf.cast(loss, tf.float64), self._dense(gradients), []

    def _dense(self, gradients):
        """Return gradients in the dtypes in which they are summed, zeros where there is none."""
        dtypes = [accumulation_dtype(v) for v in self._variables]
        return [
            tf.zeros(v.shape, dtype) if gradient is None else tf.cast(gradient, dtype)
            for v, gradient, dtype in zip(self._variables, gradients, dtypes, strict=True)
        ]

    def _dense_gradient(self, support, query, numbers, key, scale, phase):
        """Return what `TaskFunctions.gradient` does in the dtypes in which it is summed."""
        loss, gradients, values = self._gradient(support, query, numbers, key, scale, phase)
        changed = [(v, a) for v, a in zip(self._state, values, strict=True) if a is not None]
        state = ModelState([v for v, _ in changed]).summands([a for _, a in changed])
        return tf.cast(loss, tf.float64), self._dense(gradients), state


def _describe(step: int, row: np.ndarray) -> str:
    """Say what was not finite, and what may help."""
    return (
        f"The meta-loss or its gradient is not finite at meta-step {step}: loss {row[0]}, norm of "
        f"the gradient {row[1]}. The variables are as the last finite meta-step left them. A "
        "smaller learning rate, of the optimizer or of the inner loop, or clipping (`clipnorm` of "
        "a Keras optimizer) may help; or the data hold NaN."
    )
