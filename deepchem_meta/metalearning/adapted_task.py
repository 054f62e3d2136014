"""A model after its adaptation to one task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

__all__ = ["AdaptedTask"]


class AdaptedTask:
    """What `adapt` returns: the learner's model with values of its variables of its own.

    Parameters
    ----------
    variables : list of tf.Tensor
        The adapted values.
    compute : callable
        ``(inputs, variables) -> (loss, outputs)``.

    Attributes
    ----------
    variables : list of tf.Tensor
        The adapted value of each of the learner's variables, in the learner's order.
    """

    def __init__(self, variables: Sequence[tf.Tensor], compute: Callable):
        self.variables = list(variables)
        self._compute = compute

    def predict(self, inputs: Any) -> Any:
        """Return the model's outputs for a batch.

        Parameters
        ----------
        inputs : list of arrays
            A batch such as `get_batch` returns, targets included.

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
        return self._compute(inputs, self.variables)
