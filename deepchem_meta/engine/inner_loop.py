"""The inner loop: adapt the values of variables to one task, differentiably."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from deepchem_meta.engine.inner_optimizers import GradientDescent, InnerOptimizer

__all__ = ["check_second_derivatives", "descend", "no_second_derivative"]

Loss = Callable[[list[tf.Tensor], int], tuple[tf.Tensor, list[tf.Tensor]]]


def descend(
    loss: Loss,
    params: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    *,
    adapts: Sequence[bool],
    rate: Callable[[int, int], tf.Tensor],
    steps: int,
    optimizer: InnerOptimizer = GradientDescent(),  # noqa: B008 - it holds no state
    clipnorm: float | None = None,
    first_order: bool = False,
    recompute: bool = False,
) -> list[list[tf.Tensor]]:
    r"""Take `steps` steps of adaptation from `params`.

    .. math:: \theta_{k+1} = \theta_k - \alpha_k d(\nabla_{\theta} L(\theta_k))

    Every operation can be differentiated, so a tape outside sees the whole path from the first
    values to the last.

    Parameters
    ----------
    loss : callable
        ``(values, step) -> (loss, values)``: the loss as a function of the list of values and of
        the number of the step, and the values with the model's state (moving averages) as the
        step leaves it.
    params : list of tf.Tensor
        The values to start from.
    variables : list of tf.Variable
        The variables behind `params`. What `loss` reads of them directly, rather than from its
        argument, is held at its meta-learned value in every step and counts in the gradient.
    adapts : list of bool
        Which of `params` the steps change.
    rate : callable
        ``(step, index) -> tensor``: the learning rate of a step for one of `params`, a scalar or
        of its shape; it is cast to the value's dtype.
    steps : int
        The number of steps; with 0 `params` come back as they are.
    optimizer : InnerOptimizer, default GradientDescent()
        The rule :math:`d`.
    clipnorm : float, optional
        The gradients of a step are scaled down to this norm, over all of them.
    first_order : bool, default False
        Take the inner gradients for constants, which drops the Hessian from the meta-gradient.
    recompute : bool, default False
        Keep only the values between steps for the meta-gradient, and compute the rest of a step
        again: less memory, more time, the same numbers to rounding. Needs a traced function.

    Returns
    -------
    list of list of tf.Tensor
        The values before the first step and after each.

    References
    ----------
    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML 2017, https://arxiv.org/abs/1703.03400
    """
    chosen = [index for index, adapt in enumerate(adapts) if adapt]
    path = [list(params)]
    slots = optimizer.start([params[index] for index in chosen])

    for step in range(steps):
        rates = [tf.cast(rate(step, index), path[-1][index].dtype) for index in chosen]
        take = functools.partial(
            _take, loss, step, variables, chosen, optimizer, clipnorm, first_order, recompute
        )
        if recompute:
            take = tf.recompute_grad(take)
        params, slots = take(path[-1], slots, rates)
        path.append(list(params))
    return path


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
        "`first_order=True`, or replace the layer by one of other operations (for tf.image.resize "
        "a Conv2DTranspose, or UpSampling2D with 'nearest'; on a GPU a recurrent layer with "
        "`use_cudnn=False`)."
    )


def _take(
    loss, step, variables, chosen, optimizer, clipnorm, first_order, symbolic, params, slots, rates
):
    """Return the values and the optimizer's slots after a step."""
    sources = [params[index] for index in chosen]
    gradients, params = _gradients(loss, step, params, sources, variables, chosen, symbolic)
    if first_order:
        gradients = [tf.stop_gradient(gradient) for gradient in gradients]
    if clipnorm is not None:
        gradients, _ = tf.clip_by_global_norm(gradients, clipnorm)
    directions, slots = optimizer.direction(gradients, slots, step)
    for index, source, rate, direction in zip(chosen, sources, rates, directions, strict=True):
        params[index] = source - rate * direction
    return params, slots


def _gradients(loss, step, params, sources, variables, chosen, symbolic):
    """Return the gradients of a step, and the values with the model's state after it.

    A gradient is by the value and by the variable behind it, where `loss` reads that directly.
    `tf.recompute_grad` stops tapes inside the function that it wraps; `tf.gradients` works there.
    """
    behind = [variables[index] for index in chosen]
    if symbolic:
        value, params = loss(list(params), step)
        handles = [variable.handle for variable in behind]
        found = tf.gradients(value, [*sources, *handles], stop_gradients=sources)
        direct, captured = found[: len(chosen)], found[len(chosen) :]
    else:
        with tf.GradientTape() as tape:
            tape.watch(sources)
            value, params = loss(list(params), step)
        direct, captured = tape.gradient(value, [sources, behind])
    gradients = []
    for source, *parts in zip(sources, direct, captured, strict=True):
        parts = [tf.convert_to_tensor(part) for part in parts if part is not None]
        gradients.append(tf.add_n(parts) if parts else tf.zeros_like(source))
    return gradients, list(params)
