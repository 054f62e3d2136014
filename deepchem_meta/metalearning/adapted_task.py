"""A model after its adaptation to one task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from deepchem_meta.engine.batches import BatchReader
from deepchem_meta.engine.model import LearnerModel

__all__ = ["AdaptedTask"]


class AdaptedTask:
    """What `adapt` returns: the learner's model with values of its variables of its own.

    Parameters
    ----------
    adapted : list of tf.Tensor
        What `adapt_task` gave.
    model : LearnerModel
        The learner.
    support : tuple of numpy.ndarray
        The arrays of the batch that the model is adapted to.
    compute : callable
        ``(adapted, arrays of a batch) -> (loss, outputs)``.
    compute_outputs : callable
        ``(adapted, x) -> outputs``.

    Attributes
    ----------
    variables : list of tf.Tensor
        The adapted value of each of the learner's variables, in the learner's order.
    head : list of tf.Tensor
        What an algorithm with a head of its own computed besides (prototypes, say).
    """

    def __init__(
        self,
        adapted: Sequence[tf.Tensor],
        model: LearnerModel,
        support: Sequence[Any],
        compute: Callable,
        compute_outputs: Callable,
    ):
        self.variables = list(adapted[: len(model.variables)])
        self.head = list(adapted[len(model.variables) :])
        self._model = model
        self._support = support
        self._compute = compute
        self._compute_outputs = compute_outputs

    def predict(self, inputs: Any) -> Any:
        """Return the model's outputs for a batch.

        Parameters
        ----------
        inputs : array, or list or dict of arrays
            For a `KerasLearner` the model's x, without targets, the first axis the example. For
            any other learner a batch such as `get_batch` returns; where targets are not known, put
            any of the right shape: the outputs seldom depend on them.

        Returns
        -------
        tf.Tensor or list of tf.Tensor
            The model's outputs with ``training=False``.
        """
        if not self._model.predicts_from_x:
            return self.predict_on_batch(inputs)[1]
        # A reader of its own, since x alone is not the structure of a batch.
        reader = BatchReader(self._model.float_dtype)
        x = reader.pack(reader.read(inputs, "`inputs`"))
        if self._model.knows_batches:
            self._model.learner.check_x(x, "`inputs`")
        return self._compute_outputs(self.variables + self.head, x)

    def predict_on_batch(self, inputs: Any) -> tuple[tf.Tensor, Any]:
        """Return (loss, outputs) for a batch, as `MAML.predict_on_batch` does.

        Parameters
        ----------
        inputs : list of arrays
            A batch such as `get_batch` returns.

        Returns
        -------
        loss : tf.Tensor
            A scalar.
        outputs : tf.Tensor or list of tf.Tensor
        """
        arrays = self._model.read(inputs, "`inputs`")
        return self._compute(self.variables + self.head, arrays)

    def to_model(self) -> keras.Model:
        """Return the adapted model as a plain `keras.Model`, to predict with, save or train on.

        BatchNormalization predicts with its moving averages there. With ``batch_norm="support"``
        they are the support set's statistics, and with ``"running"`` those of meta-training, as in
        `predict`. No model by itself can be "transductive", with the statistics of the batch it
        predicts: it then gets the support set's, with a warning, since its predictions differ from
        those of `predict`.

        Returns
        -------
        keras.Model
            A copy; the meta-trained model stays as it is.

        Raises
        ------
        TypeError
            If the learner is not a `KerasLearner`, or Keras cannot copy its model; or the algorithm
            has a head of its own, which the model does not have.

        Warns
        -----
        UserWarning
            If ``batch_norm`` is "transductive" and the model has BatchNormalization.
        """
        learner = self._model.learner
        if self.head:
            raise TypeError(
                "`to_model` needs an algorithm that predicts with the model itself; `predict` "
                "serves all. Received: one with a head of its own"
            )
        if not hasattr(learner, "to_model"):
            raise TypeError(
                "`to_model` needs a learner that is a KerasLearner. "
                f"Received: {type(learner).__name__}"
            )
        support = tf.nest.map_structure(tf.convert_to_tensor, self._support)
        return learner.to_model(self.variables, self._model.reader.pack(support))
