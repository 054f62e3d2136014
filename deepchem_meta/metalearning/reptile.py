"""Reptile: move towards the adapted weights."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from deepchem_meta._checks import check_absent
from deepchem_meta.engine.inner_optimizers import Adam
from deepchem_meta.engine.task_batch import TaskBatch
from deepchem_meta.metalearning.maml import MAML
from deepchem_meta.metalearning.task_algorithm import TaskGradient
from deepchem_meta.models.optimizers import GradientDescent

__all__ = ["Reptile"]


class Reptile(MAML):
    r"""Reptile: move the variables towards where adaptation takes them.

    .. math:: \theta \leftarrow \theta - \epsilon \frac{1}{n} \sum_i (\theta - \theta_i^{(K)})

    The difference of weights takes the gradient's place, for any optimizer. Nothing is
    differentiated but the support loss, so that time and memory are those of plain training, and
    many inner steps are cheap.

    Parameters
    ----------
    learner : MetaLearner
        The model and the tasks.
    learning_rate : float, default 0.001
        The rate of the inner loop.
    optimization_steps : int, default 5
        Steps of the inner loop. With 1 step of gradient descent Reptile trains on the mean of all
        tasks; it learns to adapt from 2 on.
    meta_batch_size : int, default 5
        Tasks a meta-step.
    optimizer : Optimizer or keras.optimizers.Optimizer, default GradientDescent(1.0)
        Its rate is the paper's :math:`\epsilon`, which goes down to 0 there, linearly
        (`PolynomialDecay`).
    inner_optimizer : InnerOptimizer, default Adam(beta_1=0, epsilon=1e-16)
        As in the paper.
    reduction : {"sum", "mean"}, default "mean"
        Of the differences over tasks.
    **options
        Those of `MAML`, except for ``first_order`` and ``recompute``.

    References
    ----------
    Nichol, Achiam and Schulman, "On First-Order Meta-Learning Algorithms", 2018,
    https://arxiv.org/abs/1803.02999

    Notes
    -----
    The paper draws a mini-batch of the task's data for each inner step. Here all steps are on the
    support set, as in the other algorithms; the query set is scored and not trained on. The moments
    of Adam start from 0 in each task; in the authors' code the second ones go on from the last.
    """

    why_rate_is_fixed = "Reptile has no gradient to learn it by"

    def __init__(
        self,
        learner: Any,
        learning_rate: float = 0.001,
        optimization_steps: int = 5,
        meta_batch_size: int = 5,
        optimizer: Any = GradientDescent(1.0),  # noqa: B008 - it holds settings, no state
        model_dir: Any = None,
        *,
        inner_optimizer: Any = None,
        reduction: str = "mean",
        **options: Any,
    ):
        check_absent(options, "first_order", "recompute", reason="there is no meta-gradient")
        if inner_optimizer is None:
            inner_optimizer = Adam(beta_1=0.0, epsilon=1e-16)
        super().__init__(
            learner,
            learning_rate,
            optimization_steps,
            meta_batch_size,
            optimizer,
            model_dir,
            first_order=True,
            inner_optimizer=inner_optimizer,
            reduction=reduction,
            **options,
        )

    def task_gradient(
        self,
        support: TaskBatch,
        query: TaskBatch,
        numbers: dict[str, tf.Tensor],
        scale: tf.Tensor,
    ) -> TaskGradient:
        """Return the query loss after adaptation, and `scale` times the way back from there.

        Parameters and result are those of `MetaAlgorithm.task_gradient`. The difference is None
        for variables that do not adapt.
        """
        params = self.start_values()
        adapted = self.adapt_and_settle(params, support, numbers, self.optimization_steps)
        loss, final = self.query_loss(adapted, query)
        differences = [
            tf.cast(scale, before.dtype) * (before - after) if adapts else None
            for before, after, adapts in zip(params, adapted.params, self.roles.adapts, strict=True)
        ]
        gradients = self.roles.of_learned(differences)
        return TaskGradient(loss, gradients, self.changed_state(params, final))
