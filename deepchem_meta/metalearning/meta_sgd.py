"""Meta-SGD: a learned rate for every weight."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from deepchem_meta.engine.learner_model import LearnerModel
from deepchem_meta.metalearning._rates import learned_rate, rates_of_variables
from deepchem_meta.metalearning.maml import MAML

__all__ = ["MetaSGD"]


class MetaSGD(MAML):
    r"""Meta-SGD: MAML that learns how far each weight moves, and in which direction.

    .. math:: \theta_i^{(k+1)} = \theta_i^{(k)} - \alpha \circ \nabla S_i(\theta_i^{(k)})

    with a rate :math:`\alpha` of the shape of :math:`\theta`, which is meta-learned with it.

    Parameters
    ----------
    learner : MetaLearner
        The model and the tasks.
    learning_rate : float, default 0.01
        What every weight's rate starts from.
    optimization_steps : int, default 1
        Steps of the inner loop; the paper takes 1.
    meta_batch_size, optimizer, model_dir
        As in `MAML`.
    reduction : {"sum", "mean"}, default "mean"
        Of the meta-gradients over tasks.
    **options
        Those of `MAML`, and of `MetaAlgorithm`.

    Attributes
    ----------
    rates : list of tf.Variable
        The rate of each variable that adapts, of its shape and dtype. They are saved with the
        checkpoints.

    References
    ----------
    Li, Zhou, Chen and Li, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning", 2017,
    https://arxiv.org/abs/1707.09835
    """

    why_rate_is_fixed = "the rate of each weight starts from it"

    def __init__(
        self, learner: Any, learning_rate: float = 0.01, *args: Any, reduction: str = "mean",
        **options: Any,
    ):  # fmt: skip
        learned_rate(learning_rate, self.why_rate_is_fixed)
        learner = LearnerModel.of(learner)
        rates = rates_of_variables(
            learner,
            options.get("adapt_variables"),
            learning_rate,
            lambda place, variable, start: tf.Variable(
                tf.fill(variable.shape, start), name=f"rate_{place}"
            ),
        )
        super().__init__(
            learner,
            learning_rate,
            *args,
            reduction=reduction,
            own_variables=list(rates.values()),
            **options,
        )
        self.rates = list(rates.values())
        self._rate_of = rates

    def inner_rate(self, numbers: dict[str, tf.Tensor], step: int, index: int) -> tf.Tensor:
        """Return the learned rates of a variable's weights."""
        return tf.convert_to_tensor(self._rate_of[index])

    def task_numbers(self) -> dict[str, float]:
        """Return nothing: the rates are variables."""
        return {}
