"""The inner loop: adapt the values of variables to one task, differentiably."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

__all__ = ["gradient_descent"]


def gradient_descent(
    loss: Callable[[list[tf.Tensor], int], tuple[tf.Tensor, list[tf.Tensor]]],
    params: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    *,
    adapts: Sequence[bool],
    rate: tf.Tensor | tf.Variable,
    steps: int,
    first_order: bool = False,
) -> list[tf.Tensor]:
    r"""Take `steps` steps of gradient descent from `params`.

    .. math:: \theta_{k+1} = \theta_k - \alpha \nabla_{\theta} L(\theta_k)

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
    rate : scalar tf.Tensor or tf.Variable
        The learning rate; it is cast to each variable's dtype.
    steps : int
        The number of steps; with 0 `params` come back as they are.
    first_order : bool, default False
        Take the inner gradients for constants, which drops the Hessian from the meta-gradient.

    Returns
    -------
    list of tf.Tensor
        The values after the last step.

    References
    ----------
    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML 2017, https://arxiv.org/abs/1703.03400
    """
    params = list(params)
    chosen = [index for index, adapt in enumerate(adapts) if adapt]
    for step in range(steps):
        sources = [params[index] for index in chosen]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            value, params = loss(params, step)
        direct, captured = tape.gradient(value, [sources, [variables[index] for index in chosen]])
        params = list(params)
        for index, source, *parts in zip(chosen, sources, direct, captured, strict=True):
            parts = [tf.convert_to_tensor(part) for part in parts if part is not None]
            if parts:
                gradient = tf.add_n(parts)
                if first_order:
                    gradient = tf.stop_gradient(gradient)
                params[index] = source - tf.cast(rate, gradient.dtype) * gradient
    return params
