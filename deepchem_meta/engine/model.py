"""A learner seen as a function of its variables' values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from deepchem_meta.engine.batches import BatchReader

__all__ = ["LearnerModel", "as_variable"]

_METHODS = ("compute_model", "select_task", "get_batch")


def as_variable(value: Any) -> tf.Variable | None:
    """Return the `tf.Variable` behind a TensorFlow or Keras variable, else None."""
    if isinstance(value, keras.Variable):
        value = value.value
    return value if isinstance(value, tf.Variable) else None


class LearnerModel:
    """The model of a `MetaLearner` as a pure function, and the checks of what a learner gives.

    Parameters
    ----------
    learner : MetaLearner
        Anything with `compute_model`, `variables`, `select_task` and `get_batch`.

    Attributes
    ----------
    variables : list of tf.Variable
        The learner's variables, in its order.
    reader : BatchReader
        Turns the learner's batches into arrays and back.

    Raises
    ------
    TypeError
        If the learner lacks a method, or its `variables` are not a list of variables.
    ValueError
        If there are none.
    """

    def __init__(self, learner: Any):
        missing = [name for name in _METHODS if not callable(getattr(learner, name, None))]
        if missing or isinstance(learner, type):
            raise TypeError(
                f"`learner` must be an object with the methods of MetaLearner: "
                f"{', '.join(_METHODS)} and the property variables. "
                f"Received: {learner!r}, which lacks {', '.join(missing) or 'an instance'}."
            )
        self.learner = learner
        self.variables = _variables_of(learner)
        floats = [v.dtype.as_numpy_dtype for v in self.variables if v.dtype.is_floating]
        self.reader = BatchReader(floats[0] if floats else "float32")

    def check_variables(self) -> None:
        """Raise ValueError if the learner's variables are no longer those of the start."""
        now = _variables_of(self.learner)
        if len(now) != len(self.variables) or any(
            a is not b for a, b in zip(now, self.variables, strict=True)
        ):
            raise ValueError(
                "The learner's `variables` must stay the same variables in the same order. "
                f"Received: {len(now)} variables, after {len(self.variables)} variables "
                "when the algorithm was made."
            )

    def values(self) -> list[tf.Tensor]:
        """Read the variables; under a `tf.GradientTape` the reads are recorded."""
        return [tf.convert_to_tensor(v) for v in self.variables]

    def compute(
        self, params: Sequence[tf.Tensor], batch: Sequence[tf.Tensor], training: bool
    ) -> tuple[tf.Tensor, Any]:
        """Return (loss, outputs) of the learner's model for the given values of its variables.

        Parameters
        ----------
        params : list of tf.Tensor
            A value for each of `variables`.
        batch : list of tf.Tensor
            The arrays of a batch, as `reader` gives them.
        training : bool
            Passed on to `compute_model`.

        Returns
        -------
        loss : tf.Tensor
            A scalar. A loss of several values is summed, which is what its gradient would be of.
        outputs
            As the learner gives them.
        """
        result = self.learner.compute_model(self.reader.pack(batch), list(params), training)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            length = f" of length {len(result)}" if isinstance(result, (tuple, list)) else ""
            raise TypeError(
                "`compute_model` must return (loss, outputs). "
                f"Received: {type(result).__name__}{length}"
            )
        loss, outputs = result
        if not tf.is_tensor(loss) or not loss.dtype.is_floating:
            raise TypeError(
                "`compute_model` must return a floating-point tensor as its loss. "
                f"Received: loss={loss!r}"
            )
        return tf.reduce_sum(loss), outputs

    def loss(
        self, params: Sequence[tf.Tensor], batch: Sequence[tf.Tensor], training: bool = True
    ) -> tf.Tensor:
        """Return the loss alone."""
        return self.compute(params, batch, training)[0]

    def try_eagerly(self, batch: Sequence[Any], variables: Sequence[tf.Variable]) -> None:
        """Compute the model once, eagerly, so that a user's own exception arrives as raised.

        Raises
        ------
        ValueError
            If the loss depends on none of `variables`.
        """
        with tf.GradientTape() as tape:
            try:
                loss = self.loss(self.values(), [tf.convert_to_tensor(array) for array in batch])
            except Exception as error:
                self._hint_at_dtypes(error, batch)
                raise
        if all(gradient is None for gradient in tape.gradient(loss, list(variables))):
            raise ValueError(
                "The loss that `compute_model` returns must depend on at least one trainable "
                "floating-point variable of the learner. Received: a loss whose gradient is None "
                f"for all of {len(self.variables)} variables."
            )

    def _hint_at_dtypes(self, error: Exception, batch: Sequence[Any]) -> None:
        """Add a note to a user's exception if the batch's dtype may be its cause."""
        known = {variable.dtype for variable in self.variables}
        given = {tf.as_dtype(array.dtype) for array in batch}
        strange = [dtype.name for dtype in given - known if dtype.is_floating]
        if strange and hasattr(error, "add_note"):  # from Python 3.11 on
            error.add_note(
                f"The batch has arrays of {', '.join(strange)}, but no variable of the learner has "
                "that dtype. NumPy's default is float64; `array.astype('float32')` converts."
            )


def _variables_of(learner: Any) -> list[tf.Variable]:
    given = learner.variables
    if not isinstance(given, (list, tuple)):
        raise TypeError(
            f"A learner's `variables` must be a list of tf.Variable. Received: {given!r}"
        )
    variables = [as_variable(value) for value in given]
    for index, (variable, value) in enumerate(zip(variables, given, strict=True)):
        if variable is None:
            raise TypeError(
                "A learner's `variables` must be a list of tf.Variable. "
                f"Received: {type(value).__name__} at position {index}."
            )
    if not variables:
        raise ValueError("A learner's `variables` must not be empty. Received: []")
    return variables
