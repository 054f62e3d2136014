"""The inner loop: adapt the values of variables to one task, differentiably."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from deepchem_meta.engine.inner_optimizers import GradientDescent, InnerOptimizer
from deepchem_meta.engine.optimizer import accumulation_dtype
from deepchem_meta.engine.tracing import converted

__all__ = ["InnerLoop", "check_second_derivatives", "no_second_derivative"]

Loss = Callable[[list[tf.Tensor], int], tuple[tf.Tensor, list[tf.Tensor]]]

# More steps run in a loop, without XLA, which cannot differentiate one. 50 steps of a small net:
# unrolled 15 ms and 29 s to compile, in a loop 20 ms and 1 s.
_MOST_UNROLLED = 10


@dataclasses.dataclass(frozen=True)  # autograph does not look into the methods of named tuples
class InnerLoop:
    r"""Steps of adaptation, each of which can be differentiated.

    .. math:: \theta_{k+1} = \theta_k - \alpha_k d(\nabla_{\theta} L(\theta_k))

    A tape outside sees the whole path from the first values to the last.

    Attributes
    ----------
    variables : list of tf.Variable or None
        The variables behind the values that adapt; None behind a value that has none. What a loss
        reads of them directly, rather than from its argument, is held at its meta-learned value in
        every step and counts in the gradient.
    adapts : list of bool
        Which of the values the steps change.
    rate : callable
        ``(step, index) -> tensor``: the learning rate of a step for one of the values, a scalar or
        of its shape; it is cast to the value's dtype.
    optimizer : InnerOptimizer, default GradientDescent()
        The rule :math:`d`.
    clipnorm : float, optional
        The gradients of a step are scaled down to this norm, over all of them.
    first_order : bool or bool scalar tensor, default False
        Take the inner gradients for constants, which drops the Hessian from the meta-gradient.
    recompute : bool, default False
        Keep only the values between steps for the meta-gradient, and compute the rest of a step
        again: less memory, more time, the same numbers to rounding. Needs a traced function.
    constraints : dict of int to callable, default none
        What a step's new value goes through, by its place: a Keras constraint, say.

    References
    ----------
    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML 2017, https://arxiv.org/abs/1703.03400
    """

    variables: Sequence[tf.Variable | None]
    adapts: Sequence[bool]
    rate: Callable[[int, int], tf.Tensor]
    optimizer: InnerOptimizer = dataclasses.field(default_factory=GradientDescent)
    clipnorm: float | None = None
    first_order: bool | tf.Tensor = False
    recompute: bool = False
    constraints: Mapping[int, Callable] = dataclasses.field(default_factory=dict)

    def run(self, loss: Loss, values: Sequence[tf.Tensor], steps: int) -> list[tf.Tensor]:
        """Return the values after some steps.

        Parameters
        ----------
        loss : callable
            ``(values, step) -> (loss, values)``: the loss as a function of the list of values and
            of the number of the step, and the values with the model's state (moving averages) as
            the step leaves it. The number is an int or, of more than 10 steps, an int32 scalar.
        values : list of tf.Tensor
            The values to start from, one for each of `variables`.
        steps : int
            The number of steps; with 0 the values come back as they are.
        """
        return self.after(loss, values, [steps])[0]

    def after(
        self, loss: Loss, values: Sequence[tf.Tensor], counts: Sequence[int]
    ) -> list[list[tf.Tensor]]:
        """Return the values after each of several numbers of steps, which share one path.

        Parameters are those of `run`, with a list of numbers of steps.
        """
        state, reached, found = self._start(values), 0, {}
        for count in sorted(set(counts)):
            state, reached = self._advance(loss, state, count - reached, count), count
            found[count] = state[1]
        return [found[count] for count in counts]

    def path(self, loss: Loss, values: Sequence[tf.Tensor], steps: int) -> list[list[tf.Tensor]]:
        """Return the values before the first step and after each, which are unrolled.

        Parameters are those of `run`.
        """
        state = self._start(values)
        path = [state[1]]
        for _ in range(steps):
            state = self._step(loss, *state)
            path.append(state[1])
        return path

    def _advance(self, loss, state, steps, end):
        """Return the number, values and slots after so many steps, at step number `end`."""
        if steps > _MOST_UNROLLED:
            return tf.while_loop(
                lambda step, *_: step < end,
                lambda *state: self._step(loss, *state),
                state,
                maximum_iterations=steps,
            )
        for _ in range(steps):
            state = self._step(loss, *state)
        return state

    def _start(self, values):
        """Return the number of the first step, the values and the optimizer's slots before it."""
        slots = converted(self.optimizer.start)([values[index] for index in self._places])
        return 0, list(values), slots

    @property
    def _places(self):
        return [index for index, adapts in enumerate(self.adapts) if adapts]

    def _step(self, loss, step, values, slots):
        """Return the number, values and slots after a step."""
        rates = [tf.cast(self.rate(step, index), values[index].dtype) for index in self._places]
        one = functools.partial(self._move, loss, step)
        values, slots = (_recomputed(one) if self.recompute else one)(values, slots, rates)
        if self.first_order is not True:
            check_second_derivatives()
        return step + 1, list(values), slots

    def _move(self, loss, step, values, slots, rates):
        """Return the values and slots after a step at given rates."""
        sources = [values[index] for index in self._places]
        gradients, values = self._gradients(loss, step, values, sources)
        if self.first_order is not False:
            gradients = [self._constant(gradient) for gradient in gradients]
        if self.clipnorm is not None:
            gradients = _clip(gradients, self.clipnorm)
        directions, slots = converted(self.optimizer.direction)(gradients, slots, step)
        moves = zip(self._places, sources, rates, directions, strict=True)
        for index, source, rate, direction in moves:
            value = source - rate * direction
            constraint = self.constraints.get(index)
            values[index] = value if constraint is None else constraint(value)
        return values, slots

    def _constant(self, gradient):
        """Return a gradient as a constant where the loop is of first order."""
        constant = tf.stop_gradient(gradient)
        if self.first_order is True:
            return constant
        return tf.where(self.first_order, constant, gradient)

    def _gradients(self, loss, step, values, sources):
        """Return the gradients of a step, and the values with the model's state after it.

        A gradient is by the value and by the variable behind it, where `loss` reads that directly.
        `tf.recompute_grad` stops tapes inside the function that it wraps; `tf.gradients` works
        there.
        """
        variables = [self.variables[index] for index in self._places]
        behind = {place: v for place, v in enumerate(variables) if v is not None}
        if self.recompute:
            before = list(values)  # beyond which lies the step before
            value, values = loss(list(values), step)
            _check_reads(value.graph, step, behind.values())
            handles = [variable.handle for variable in behind.values()] if type(step) is int else []
            found = tf.gradients(value, [*sources, *handles], stop_gradients=before)
            direct, captured = found[: len(sources)], found[len(sources) :]
        else:
            with tf.GradientTape() as tape:
                tape.watch(sources)
                value, values = loss(list(values), step)
            direct, captured = tape.gradient(value, [sources, list(behind.values())])
        captured = dict(zip(behind, captured, strict=False))
        gradients = []
        for place, source in enumerate(sources):
            parts = [direct[place], captured.get(place)]
            parts = [tf.convert_to_tensor(part) for part in parts if part is not None]
            gradients.append(tf.add_n(parts) if parts else tf.zeros_like(source))
        return gradients, list(values)


def _recomputed(one: Callable) -> Callable:
    """Return what `tf.recompute_grad` makes of a step, given its real numbers alone.

    Integers have no gradient, which it takes for an error.
    """

    def call(params, slots, rates):
        real = [index for index, value in enumerate(params) if value.dtype.is_floating]

        def of_real_numbers(values, slots, rates):
            whole = list(params)
            for index, value in zip(real, values, strict=True):
                whole[index] = value
            after, slots = one(whole, slots, rates)
            integers.update((i, value) for i, value in enumerate(after) if i not in real)
            return [after[index] for index in real], slots

        integers: dict[int, tf.Tensor] = {}
        before = [params[index] for index in real]
        values, slots = tf.recompute_grad(of_real_numbers)(before, slots, rates)
        after = dict(zip(real, values, strict=True)) | integers
        return [after[index] for index in range(len(params))], slots

    return call


def check_second_derivatives() -> None:
    """Raise if the graph being traced has a gradient that TensorFlow takes for a constant.

    Raises
    ------
    NotImplementedError
        The outer derivative would lack a part in silence: TensorFlow 2.21 registers the gradient of
        a bilinear `tf.image.resize` as one that nothing depends on. A meta-gradient was 9% off.
    """
    if tf.inside_function():
        graph = tf.compat.v1.get_default_graph()
        if any(operation.type == "ResizeBilinearGrad" for operation in graph.get_operations()):
            raise no_second_derivative("ResizeBilinearGrad")


def no_second_derivative(operation: str) -> NotImplementedError:
    """Return the exception that says what to use instead of an operation."""
    return NotImplementedError(
        "The meta-gradient needs second derivatives of the model, and TensorFlow has none of an "
        f"operation in it. Received: a model with the gradient {operation}. Use "
        "`first_order=True` where the algorithm has it, or replace the layer by one of other "
        "operations (for tf.image.resize a Conv2DTranspose, or UpSampling2D with 'nearest'; on a "
        "GPU a recurrent layer with `use_cudnn=False`)."
    )


def _clip(gradients, clipnorm):
    """Scale gradients down to a norm, over all of them.

    The derivative of `tf.clip_by_global_norm` is NaN where all of them are 0.
    """
    squares = [tf.reduce_sum(tf.cast(g, accumulation_dtype(g)) ** 2) for g in gradients]
    squared = tf.add_n([tf.cast(square, tf.float64) for square in squares])
    too_long = squared > clipnorm**2
    scale = tf.where(too_long, clipnorm * tf.math.rsqrt(tf.where(too_long, squared, 1.0)), 1.0)
    return [gradient * tf.cast(scale, gradient.dtype) for gradient in gradients]


def _check_reads(graph, step, variables):
    """Raise if a step that is computed again in a loop reads variables other than as arguments."""
    read = {id(outer) for outer, _ in graph.captures}
    if type(step) is not int and any(id(variable.handle) in read for variable in variables):
        raise NotImplementedError(
            "`recompute=True` with more than 10 steps of adaptation needs a learner that computes "
            "its loss from the values it is given. Received: one that reads a variable directly"
        )
