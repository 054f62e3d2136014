"""A learner seen as a pure function of its variables' values."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta.engine.batches import BatchReader
from deepchem_meta.engine.tracing import converted
from deepchem_meta.engine.writes import note_loss, unwritten

__all__ = ["Embedding", "KerasVariable", "LearnerModel", "as_variable", "flat_features"]

_METHODS = ("compute_model", "select_task", "get_batch")

# The class of every variable of Keras: before Keras 3.5 those of layers are no `keras.Variable`.
KerasVariable = [
    base
    for base in keras.Variable.__mro__
    if base.__module__.startswith("keras.") and base.__name__.endswith("Variable")
][-1]


def as_variable(value: Any) -> tf.Variable | None:
    """Return the `tf.Variable` behind a TensorFlow or Keras variable, else None."""
    if isinstance(value, KerasVariable):
        value = value.value
    return value if isinstance(value, tf.Variable) else None


class Embedding(NamedTuple):
    """What a learner's embedding gives for a batch.

    Attributes
    ----------
    features : tensor of shape (examples, size)
        The embedding of each example.
    targets : tensor of shape (examples, ...)
        What is to be predicted: classes 0, 1, ... or numbers.
    weights : tensor of shape (examples,) or None
        Sample weights; an example of weight 0 is padding.
    penalty : scalar tf.Tensor or None
        What is to be added to a loss: regularisation losses of a Keras model's layers.
    params : list of tf.Tensor
        The values with the model's state as the computation leaves it.
    """

    features: tf.Tensor
    targets: tf.Tensor
    weights: tf.Tensor | None
    penalty: tf.Tensor | None
    params: list[tf.Tensor]


class LearnerModel:
    """The model of a `MetaLearner` as a pure function, and the checks of what a learner gives.

    Parameters
    ----------
    learner : MetaLearner
        Anything with `compute_model`, `variables`, `select_task` and `get_batch`.

    Attributes
    ----------
    learner : MetaLearner
        As given.
    variables : list of tf.Variable
        The learner's variables, in its order.
    learned : list of bool
        Which of them are meta-learned: those of a floating dtype with ``trainable=True``.
    constraints : dict of int to callable
        What keeps the values of some variables in bounds after each step, by their places.
    knows_batches : bool
        Whether the learner says what the arrays of a batch are, by a method `check_batch`.
    predicts_from_x : bool
        Whether it computes outputs from x alone, by a method `compute_outputs`.
    metric_names : list of str
        The names of its metrics.
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
        self.constraints = {
            index: given.constraint
            for index, given in enumerate(learner.variables)
            if getattr(given, "constraint", None) is not None
        }
        floats = [v.dtype.as_numpy_dtype for v in self.variables if v.dtype.is_floating]
        self.float_dtype = np.dtype(floats[0] if floats else "float32")
        self._stateful = hasattr(learner, "compute_model_and_state")
        self.knows_batches = hasattr(learner, "check_batch")
        self.predicts_from_x = hasattr(learner, "compute_outputs")
        self.metric_names = list(getattr(learner, "metric_names", ()))
        self._check: Callable[[Any, str, bool], None] | None = None
        # A learner whose batches may or may not have sample weights says so.
        weighted = getattr(learner, "takes_sample_weights", False)
        self.reader = BatchReader(self.float_dtype, lengths_differ=weighted)

    @classmethod
    def of(cls, learner: Any) -> LearnerModel:
        """Return a learner as a model, once: the constructors of algorithms hand the model on."""
        return learner if isinstance(learner, cls) else cls(learner)

    def check_batches(self, check: Callable[[Any, str, bool], None]) -> None:
        """Have the batches that are read checked, if the learner says what their arrays are.

        Parameters
        ----------
        check : callable
            ``(inputs, source, stacked)``: raises if a batch is not as the algorithm needs it.
        """
        self._check = check if self.knows_batches else None

    def read(
        self, batch: Any, source: str = "get_batch()", *, stacked: bool = False
    ) -> tuple[np.ndarray, ...]:
        """Return the arrays of a batch, once they are checked.

        Parameters
        ----------
        batch : array, or list, tuple or dict of arrays
            As the user gives it.
        source : str
            Where it comes from, for messages.
        stacked : bool, default False
            Whether the first axis of its arrays is the task.

        Raises
        ------
        TypeError, ValueError
            If it is not as `reader`, the learner and the algorithm need it.
        """
        check = self._check and functools.partial(self._check, source=source, stacked=stacked)
        return self.reader.read(batch, source, check)

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
    def learned_variables(self) -> list[tf.Variable]:
        """The variables that are meta-learned."""
        return [v for v, learn in zip(self.variables, self.learned, strict=True) if learn]

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
        adapting: bool = False,
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
        adapting : bool, default False
            Whether this is a step of adaptation outside meta-training.

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
        if self._stateful:
            loss, outputs, params = converted(self.learner.compute_model_and_state)(
                inputs, list(params), training, **self._pass(role, key, adapting)
            )
        else:
            result = converted(self.learner.compute_model)(inputs, list(params), training)
            loss, outputs = _pair("compute_model", "(loss, outputs)", result)
        loss = _scalar("compute_model", loss)
        if training:
            note_loss(loss)
        return loss, outputs, list(params)

    def support_loss(
        self, params: Sequence[tf.Tensor], batch: Sequence[tf.Tensor], outputs: Any, loss: tf.Tensor
    ) -> tf.Tensor:
        """Return what adaptation minimises, given what `compute` returned for a support batch.

        It is the learner's ``support_loss``, or else its loss.
        """
        if not hasattr(self.learner, "support_loss"):
            return loss
        inputs = self.reader.pack(batch)
        support_loss = converted(self.learner.support_loss)
        return _scalar("support_loss", support_loss(inputs, outputs, list(params)))

    def embed(
        self,
        params: Sequence[tf.Tensor],
        batch: Sequence[tf.Tensor],
        training: bool,
        *,
        role: str = "query",
        key: tf.Tensor | None = None,
        adapting: bool = False,
    ) -> Embedding:
        """Compute the learner's embedding for the given values of its variables.

        Parameters are those of `compute`.
        """
        inputs = self.reader.pack(batch)
        if hasattr(self.learner, "compute_embedding_and_state"):
            return Embedding(
                *converted(self.learner.compute_embedding_and_state)(
                    inputs, list(params), training, **self._pass(role, key, adapting)
                )
            )
        result = converted(self.learner.compute_embedding)(inputs, list(params), training)
        features, targets = _pair("compute_embedding", "(features, targets)", result)
        return Embedding(flat_features(features), targets, None, None, list(params))

    def _pass(self, role: str, key: tf.Tensor | None, adapting: bool) -> dict[str, Any]:
        """Return what a learner is told of a pass through its model."""
        known = adapting and getattr(self.learner, "knows_adaptation", False)
        return {"role": role, "key": key, **({"adapting": True} if known else {})}

    def predict(self, params: Sequence[tf.Tensor], batch: Sequence[tf.Tensor]) -> tuple:
        """Return (loss, outputs) with ``training=False``."""
        return self.compute(params, batch, False)[:2]

    def metrics(self, batch: Sequence[tf.Tensor], outputs: Any) -> dict[str, tf.Tensor]:
        """Return the learner's metrics of a batch, by name, if it has any."""
        if not self.metric_names:
            return {}
        return converted(self.learner.compute_metrics)(self.reader.pack(batch), outputs)

    def settle(self, params: Sequence[tf.Tensor], support: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return adapted values with the state that prediction is to use.

        `support` holds the arrays of the support batch.

        A learner with ``support_state`` true has it computed from the support batch by the adapted
        model, in one more pass.
        """
        if not getattr(self.learner, "support_state", False):
            return list(params)
        return self.compute(params, support, False, role="support")[2]

    def try_eagerly(
        self,
        loss: Callable[[list[tf.Tensor], list[tf.Tensor]], tf.Tensor],
        batch: Sequence[Any],
        variables: Sequence[tf.Variable],
    ) -> list[tf.Variable]:
        """Compute a loss once, eagerly, so that a user's own exception arrives as raised.

        The values are a little off the variables', so that a model which writes them into the
        variables is found. The learner's variables, counters included, are as before afterwards.

        Parameters
        ----------
        loss : callable
            ``(values, batch) -> loss``.
        batch : tuple of numpy.ndarray
            The arrays of some batch.
        variables : list of tf.Variable
            The meta-learned variables.

        Returns
        -------
        list of tf.Variable
            The trainable variables that were read.

        Raises
        ------
        ValueError
            If the loss depends on none of `variables`, or the model writes into them.
        """
        others = [v for v, learn in zip(self.variables, self.learned, strict=True) if not learn]
        before = [tf.convert_to_tensor(variable) for variable in others]
        try:
            with unwritten(self.learned_variables), tf.GradientTape() as tape:
                tensors = [tf.convert_to_tensor(array) for array in batch]
                value = loss([_moved_a_little(v) for v in self.values()], tensors)
        except Exception as error:
            self._hint_at_dtypes(error, batch)
            raise
        finally:
            for variable, old in zip(others, before, strict=True):
                variable.assign(old)
        if all(gradient is None for gradient in tape.gradient(value, list(variables))):
            raise ValueError(
                "The loss must depend on at least one trainable "
                "floating-point variable of the learner: compute it from the values in the "
                "argument `variables`. Received: a loss whose gradient is None "
                f"for all of {len(self.variables)} variables."
            )
        return list(tape.watched_variables())

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


def _moved_a_little(value: tf.Tensor) -> tf.Tensor:
    """Return a value by a thousandth larger, in 16 bits by the smallest part that they hold."""
    if not value.dtype.is_floating:
        return value
    return value + (1 + tf.abs(value)) * (2**-7 if value.dtype.size == 2 else 2**-10)


def flat_features(features: tf.Tensor) -> tf.Tensor:
    """Return an embedding with one axis for the examples and one for all the rest.

    That of a model in mixed precision becomes float32, since a head is solved for with it.
    """
    if features.dtype.size == 2:
        features = tf.cast(features, tf.float32)
    if features.shape.rank == 2:
        return features
    return tf.reshape(features, (tf.shape(features)[0], math.prod(features.shape[1:])))


def _pair(method: str, wanted: str, result: Any) -> Sequence[Any]:
    """Return what a learner's method gave, two things."""
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        length = f" of length {len(result)}" if isinstance(result, (tuple, list)) else ""
        raise TypeError(
            f"`{method}` must return {wanted}. Received: {type(result).__name__}{length}"
        )
    return result


def _scalar(method: str, loss: Any) -> tf.Tensor:
    """Return the loss that a learner's method gave as a scalar."""
    if not tf.is_tensor(loss) or not loss.dtype.is_floating:
        raise TypeError(
            f"`{method}` must return a floating-point tensor as its loss. Received: loss={loss!r}"
        )
    return tf.reduce_sum(loss)


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
    return variables
