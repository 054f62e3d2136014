"""Implicit MAML: the meta-gradient from the end of adaptation alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from deepchem_meta._checks import check_count, check_positive
from deepchem_meta.engine.model import TaskBatch
from deepchem_meta.metalearning.maml import MAML
from deepchem_meta.models.optimizers import Adam

__all__ = ["ImplicitMAML"]


class ImplicitMAML(MAML):
    r"""MAML with implicit gradients: adaptation is pulled back to where it starts.

    The inner loop minimises the support loss with a proximal term,

    .. math:: \phi_i = \arg\min_\phi S_i(\phi) + \frac{\lambda}{2} \lVert \phi - \theta \rVert^2

    and the derivative of its minimum by :math:`\theta` needs no path:

    .. math:: g_i = \left(I + \frac{1}{\lambda} \nabla^2 S_i(\phi_i)\right)^{-1} \nabla Q_i(\phi_i)

    which conjugate gradients solve with products of the Hessian and a vector. Memory does not grow
    with the inner steps. The meta-gradient is right as far as the inner loop has converged.

    Parameters
    ----------
    learner : MetaLearner
        The model and the tasks.
    learning_rate : float, default 0.01
        The rate of the inner loop.
    optimization_steps : int, default 16
        Steps of the inner loop.
    meta_batch_size, optimizer, model_dir
        As in `MAML`.
    regularization : float, default 2.0
        :math:`\lambda` above; the paper takes 2 for Omniglot and 0.5 for Mini-ImageNet.
    cg_steps : int, default 5
        Steps of conjugate gradients, at least 1; as many as adapted weights solve exactly.
    reduction : {"sum", "mean"}, default "mean"
        Of the meta-gradients over tasks.
    **options
        Those of `MAML`, but for ``first_order`` and ``recompute``.

    References
    ----------
    Rajeswaran, Finn, Kakade and Levine, "Meta-Learning with Implicit Gradients", NeurIPS 2019,
    https://arxiv.org/abs/1909.04630
    """

    _why_rate_is_fixed = "the implicit gradient does not depend on it"

    def __init__(
        self,
        learner: Any,
        learning_rate: float = 0.01,
        optimization_steps: int = 16,
        meta_batch_size: int = 10,
        optimizer: Any = Adam(),  # noqa: B008 - it holds settings, no state
        model_dir: Any = None,
        *,
        regularization: float = 2.0,
        cg_steps: int = 5,
        reduction: str = "mean",
        **options: Any,
    ):
        self._regularization = check_positive("regularization", regularization)
        self._cg_steps = check_count("cg_steps", cg_steps, minimum=1)
        super().__init__(
            learner,
            learning_rate,
            optimization_steps,
            meta_batch_size,
            optimizer,
            model_dir,
            first_order=True,
            reduction=reduction,
            **options,
        )

    def inner_loss(self, params: list[tf.Tensor], support: TaskBatch) -> Callable:
        """Return the support loss with the proximal term.

        Parameters and result are those of `MAML.inner_loss`.
        """

        def proximal(values, step):
            loss, after = support.loss_and_state(values, step)
            pull = tf.add_n(
                [
                    tf.cast(tf.reduce_sum((value - start) ** 2), loss.dtype)
                    for value, start, adapts in zip(values, params, self._adapts, strict=True)
                    if adapts
                ]
            )
            return loss + self._regularization / 2 * pull, after

        return proximal

    def task_gradient(
        self,
        support: TaskBatch,
        query: TaskBatch,
        numbers: dict[str, tf.Tensor],
        scale: tf.Tensor,
    ) -> tuple[tf.Tensor, list[tf.Tensor | None], list[tf.Tensor | None]]:
        """Return the query loss after adaptation, and `scale` times its implicit gradient.

        Parameters and result are those of `MetaAlgorithm.task_gradient`. Variables that do not
        adapt get the plain gradient of the query loss.
        """
        params = self._model.values()
        adapted = self._adapt(params, support, numbers, self.optimization_steps)
        adapted = [
            tf.stop_gradient(v) if a else v for v, a in zip(adapted, self._adapts, strict=True)
        ]
        learned = [index for index, learn in enumerate(self._model.learned) if learn]
        with tf.GradientTape() as tape:
            tape.watch([adapted[index] for index in learned])
            loss, final = self.query_loss(adapted, query)
            scaled = loss * tf.cast(scale, loss.dtype)
        gradients = dict(
            zip(learned, tape.gradient(scaled, [adapted[i] for i in learned]), strict=True)
        )
        moved = [i for i in learned if self._adapts[i] and gradients[i] is not None]
        product = _hessian_product(support, adapted, moved, self._regularization)
        solved = conjugate_gradients(product, [gradients[i] for i in moved], self._cg_steps)
        gradients |= dict(zip(moved, solved, strict=True))
        return loss, [gradients[i] for i in learned], self.changed_state(params, final)


def _hessian_product(support, adapted, moved, regularization):
    """Return the function v -> (I + H / regularization) v, H the Hessian of the support loss."""

    def product(vectors):
        values = list(adapted)
        sources = [values[index] for index in moved]
        with tf.GradientTape() as outer:
            outer.watch(sources)
            with tf.GradientTape() as inner:
                inner.watch(sources)
                loss = support.loss(values)
            gradients = inner.gradient(loss, sources, unconnected_gradients="zero")
        bent = outer.gradient(
            gradients, sources, output_gradients=list(vectors), unconnected_gradients="zero"
        )
        return [v + b / regularization for v, b in zip(vectors, bent, strict=True)]

    return product


def conjugate_gradients(product, right, steps):
    """Solve ``product(x) = right`` for a positive definite, linear `product`.

    Parameters
    ----------
    product : callable
        Takes and returns a list of tensors.
    right : list of tf.Tensor
        The right-hand side.
    steps : int
        Steps to take, from x = 0.

    Returns
    -------
    list of tf.Tensor
    """
    x = [tf.zeros_like(part) for part in right]
    residual = direction = list(right)
    squared = _dot(residual, residual)
    for _ in range(steps):
        bent = product(direction)
        length = tf.math.divide_no_nan(squared, _dot(direction, bent))
        x = _add(x, length, direction)
        residual = _add(residual, -length, bent)
        before, squared = squared, _dot(residual, residual)
        direction = _add(residual, tf.math.divide_no_nan(squared, before), direction)
    return x


def _dot(a, b):
    return tf.add_n([tf.reduce_sum(m * n) for m, n in zip(a, b, strict=True)])


def _add(a, factor, b):
    return [m + tf.cast(factor, m.dtype) * n for m, n in zip(a, b, strict=True)]
