"""A model after its adaptation to one task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from deepchem_meta.engine.batches import BatchReader

__all__ = ["AdaptedTask"]


class AdaptedTask:
    """What `adapt` returns: the learner's model with values of its variables of its own.

    Parameters
    ----------
    variables : list of tf.Tensor
        The adapted values.
    compute : callable
        ``(variables, arrays of a batch) -> (loss, outputs)``.
    reader : BatchReader
        Turns batches into arrays.

    Attributes
    ----------
    variables : list of tf.Tensor
        The adapted value of each of the learner's variables, in the learner's order.
    """

    def __init__(self, variables: Sequence[tf.Tensor], compute: Callable, reader: BatchReader):
        self.variables = list(variables)
        self._compute = compute
        self._reader = reader

    def predict(self, inputs: Any) -> Any:
        """Return the model's outputs for a batch.

        Parameters
        ----------
        inputs : list of arrays
            A batch such as `get_batch` returns. Where targets are not known, put any of the
            right shape: the outputs seldom depend on them.

        Returns
        -------
        list of tf.Tensor
            The outputs of `compute_model` with ``training=False``.
        """
        return self.predict_on_batch(inputs)[1]

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
        outputs : list of tf.Tensor
        """
        return self._compute(self.variables, self._reader.read(inputs, "`inputs`"))
