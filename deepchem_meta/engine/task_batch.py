"""The support or the query batch of one task, as a function of the variables' values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from deepchem_meta.engine.learner_model import Embedding, LearnerModel

__all__ = ["TaskBatch"]


class TaskBatch:
    """The support or the query batch of one task, as a function of the variables' values.

    Parameters
    ----------
    model : LearnerModel
        The learner.
    arrays : tuple of tf.Tensor
        The arrays of the batch.
    role : {"support", "query"}
        Which it is.
    key : int64 tensor of shape (3,)
        The seed, the number of the meta-step and that of the task in it.
    training : bool
        Whether a meta-step learns from it, in contrast to `evaluate` and `adapt`.
    phase : int, default 0
        The phase of training; see `TaskAlgorithm.phases`.

    Attributes
    ----------
    arrays : tuple of tf.Tensor
        As given.
    meta_step : int64 scalar
        The number of the meta-step, from 0 on.
    phase : int
        As given.
    """

    def __init__(
        self,
        model: LearnerModel,
        arrays: Sequence[tf.Tensor],
        role: str,
        key: tf.Tensor,
        training: bool,
        phase: int = 0,
    ):
        self.arrays = tuple(arrays)
        self.meta_step = key[1]
        self.phase = phase
        self._model = model
        self._role = role
        self._key = key
        self._training = training

    @property
    def inputs(self) -> Any:
        """The batch as `compute_model` gets it: the tensors in the learner's own structure."""
        return self._model.reader.pack(self.arrays)

    def loss(self, params: Sequence[tf.Tensor], step: int = 0) -> tf.Tensor:
        """Return the loss on the batch, a scalar, with ``training=True``.

        On a support batch it is the learner's ``support_loss``, if it has one.

        Parameters
        ----------
        params : list of tf.Tensor
            A value for each of the learner's variables.
        step : int, default 0
            The step of adaptation, which random numbers (Dropout) depend on.
        """
        return self.loss_and_state(params, step)[0]

    def loss_and_state(
        self, params: Sequence[tf.Tensor], step: int = 0
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the loss, and `params` with the model's state as the computation leaves it.

        The state is what a model changes itself as it is computed, such as the moving averages of
        BatchNorm. Parameters are those of `loss`.
        """
        loss, outputs, params = self._model.compute(params, self.arrays, True, **self._pass(step))
        if self._role == "support":
            loss = self._model.support_loss(params, self.arrays, outputs, loss)
        return loss, params

    def own_loss_and_state(
        self, params: Sequence[tf.Tensor], step: int = 0
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return what `loss_and_state` does, without regard to a ``support_loss``."""
        loss, _, params = self._model.compute(params, self.arrays, True, **self._pass(step))
        return loss, params

    def embed(self, params: Sequence[tf.Tensor], step: int | None = None) -> Embedding:
        """Return the learner's embedding of the batch.

        Parameters
        ----------
        params : list of tf.Tensor
            A value for each of the learner's variables.
        step : int or int32 scalar, optional
            The step of adaptation that trains on it. Otherwise ``training`` is true in meta-steps
            alone.
        """
        training = self._training if step is None else True
        options = self._pass(0 if step is None else step)
        return self._model.embed(params, self.arrays, training, **options)

    def _pass(self, step):
        key = self._pass_key(step)
        return {"role": self._role, "key": key, "adapting": not self._training}

    def _pass_key(self, step):
        # Passes 0, 1, ... over the support batch and -1, -2, ... over the query batch.
        number = step if self._role == "support" else -1 - step
        return tf.concat([self._key, [tf.cast(number, tf.int64)]], axis=0)
