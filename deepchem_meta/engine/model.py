"""A learner seen as a function of its variables' values, and of one task's batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta.engine.batches import BatchReader

__all__ = ["LearnerModel", "TaskBatch", "as_variable"]

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
    learned : list of bool
        Which of them are meta-learned: those of a floating dtype with ``trainable=True``.
    extended : bool
        Whether the learner has what `KerasLearner` has beyond a `MetaLearner`.
    float_dtype : numpy dtype
        That of the first floating-point variable, which Python's numbers take.
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
        # Of a Keras variable, itself is asked: the tf.Variable behind it never hears of a change.
        self.learned = [
            bool(given.trainable) and variable.dtype.is_floating
            for given, variable in zip(learner.variables, self.variables, strict=True)
        ]
        floats = [v.dtype.as_numpy_dtype for v in self.variables if v.dtype.is_floating]
        self.float_dtype = np.dtype(floats[0] if floats else "float32")
        # A learner whose batches may or may not have sample weights says so.
        self.extended = hasattr(learner, "compute_model_and_state")
        weighted = self.extended and learner.takes_sample_weights
        self.reader = BatchReader(self.float_dtype, lengths_differ=weighted)

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

    @property
    def nbytes(self) -> int:
        """Bytes of the variables."""
        return sum(v.shape.num_elements() * v.dtype.size for v in self.variables)

    def values(self) -> list[tf.Tensor]:
        """Read the variables; under a `tf.GradientTape` the reads are recorded."""
        return [tf.convert_to_tensor(v) for v in self.variables]

    def compute(
        self,
        params: Sequence[tf.Tensor],
        batch: Sequence[tf.Tensor],
        training: bool,
        *,
        role: str = "query",
        key: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, Any, list[tf.Tensor]]:
        """Compute the learner's model for the given values of its variables.

        Parameters
        ----------
        params : list of tf.Tensor
            A value for each of `variables`.
        batch : list of tf.Tensor
            The arrays of a batch, as `reader` gives them.
        training : bool
            Passed on to the learner.
        role : {"support", "query"}, default "query"
            Which set of its task the batch is.
        key : int64 tensor of shape (4,), optional
            The seed, and the numbers of the meta-step, of the task in it and of the pass through
            the model, for random numbers.

        Returns
        -------
        loss : tf.Tensor
            A scalar. A loss of several values is summed, which is what its gradient would be of.
        outputs
            As the learner gives them.
        params : list of tf.Tensor
            The values with the model's state as the computation leaves it.
        """
        inputs = self.reader.pack(batch)
        if self.extended:
            return self.learner.compute_model_and_state(
                inputs, list(params), training, role=role, key=key
            )
        result = self.learner.compute_model(inputs, list(params), training)
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
        return tf.reduce_sum(loss), outputs, list(params)

    def predict(self, params: Sequence[tf.Tensor], batch: Sequence[tf.Tensor]) -> tuple:
        """Return (loss, outputs) with ``training=False``."""
        return self.compute(params, batch, False)[:2]

    def metrics(self, batch: Sequence[tf.Tensor], outputs: Any) -> dict[str, tf.Tensor]:
        """Return the learner's metrics of a batch, by name, if it has any."""
        if not self.extended:
            return {}
        return self.learner.compute_metrics(self.reader.pack(batch), outputs)

    def settle(self, params: Sequence[tf.Tensor], support: TaskBatch) -> list[tf.Tensor]:
        """Return adapted values with the state that prediction is to use.

        A learner with ``support_state`` true has it computed from the support batch by the adapted
        model, in one more pass.
        """
        if not (self.extended and self.learner.support_state):
            return list(params)
        return self.compute(params, support.arrays, False, role="support")[2]

    def try_eagerly(self, batch: Sequence[Any], variables: Sequence[tf.Variable]) -> None:
        """Compute the model once, eagerly, so that a user's own exception arrives as raised.

        Raises
        ------
        ValueError
            If the loss depends on none of `variables`.
        """
        with tf.GradientTape() as tape:
            try:
                tensors = [tf.convert_to_tensor(array) for array in batch]
                loss = self.compute(self.values(), tensors, True, role="support")[0]
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

    Attributes
    ----------
    arrays : tuple of tf.Tensor
        As given.
    """

    def __init__(self, model: LearnerModel, arrays: Sequence[tf.Tensor], role: str, key: tf.Tensor):
        self.arrays = tuple(arrays)
        self._model = model
        self._role = role
        self._key = key

    @property
    def inputs(self) -> Any:
        """The batch as `compute_model` gets it: the tensors in the learner's own structure."""
        return self._model.reader.pack(self.arrays)

    def loss(self, params: Sequence[tf.Tensor], step: int = 0) -> tf.Tensor:
        """Return the learner's loss on the batch, a scalar, with ``training=True``.

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
        # Passes 0, 1, ... over the support batch and -1, -2, ... over the query batch.
        number = step if self._role == "support" else -1 - step
        key = tf.concat([self._key, tf.constant([number], tf.int64)], axis=0)
        loss, _, params = self._model.compute(params, self.arrays, True, role=self._role, key=key)
        return loss, params


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
