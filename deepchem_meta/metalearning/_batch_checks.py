"""What a batch of a Keras model must be: x, y and sample weights that belong together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from deepchem_meta.engine.batches import describe, same_places, structure_of
from deepchem_meta.metalearning._keras_loss import OutputLoss
from deepchem_meta.metalearning._keras_outputs import shapes_of

__all__ = ["BatchChecks"]


class BatchChecks:
    """Checks every batch of a Keras model before anything is computed from it.

    Parameters
    ----------
    x : nested structure of arrays
        The model's inputs of some batch.
    outputs : nested structure of tf.Tensor
        What the model gives for them.
    loss : OutputLoss
        The loss that targets are to fit.
    compute : callable
        ``x -> outputs``, for x of another shape.
    """

    def __init__(self, x: Any, outputs: Any, loss: OutputLoss, compute: Callable[[Any], Any]):
        self._structure = structure_of(x)
        self._loss = loss
        self._compute = compute
        # The shape of each output by the shapes of x, both of one example.
        self._outputs = {self._kind(x, 1): _examples(outputs)}

    def check(self, inputs: Any, source: str, axes: int, targets: bool = True) -> None:
        """Raise unless a batch is as the model and its loss need it.

        Parameters
        ----------
        inputs : tuple
            ``(x, y)`` or ``(x, y, sample_weight)``, of NumPy arrays.
        source : str
            Where it comes from, for messages.
        axes : int
            How many axes come before those of one example: 1, or 2 where the first is the task.
        targets : bool, default True
            Whether the targets are to fit the loss.

        Raises
        ------
        TypeError, ValueError
            If x, y and sample weights do not have the same number of examples, x does not fit the
            model, y the loss, or all sample weights of a task are 0.
        """
        if not isinstance(inputs, (tuple, list)) or len(inputs) not in (2, 3):
            raise TypeError(
                "A batch of a KerasLearner must be (x, y) or (x, y, sample_weight). "
                f"Received: {describe(structure_of(inputs))} from {source}"
            )
        x, y, *weights = inputs
        for array in tf.nest.flatten([x, y, *weights]):
            if array.dtype.kind == "c":
                raise TypeError(
                    "Arrays of a batch must be real. "
                    f"Received: dtype {array.dtype} and shape {array.shape} from {source}"
                )
        self._check_lengths(x, y, weights, source, axes)
        outputs = self.check_x(x, source, axes)
        if weights:
            _check_weights(weights[0], outputs, source, axes)
        if targets:
            try:
                self._loss.check(y, outputs, axes)
            except ValueError as error:
                raise ValueError(
                    f"{error} (from {source}, with x of shape {_say(x)} and y of shape {_say(y)})"
                ) from None

    def check_x(self, x: Any, source: str, axes: int = 1) -> list[tuple]:
        """Return the shape of each output of the model for one example, or raise.

        Parameters
        ----------
        x : nested structure of numpy.ndarray
            The model's inputs.
        source, axes
            As in `check`.

        Raises
        ------
        ValueError
            If the model cannot be computed on x.
        """
        if not same_places(structure_of(x), self._structure):
            raise ValueError(
                f"x must have the structure of the model's inputs, {describe(self._structure)}. "
                f"Received: {describe(structure_of(x))} from {source}"
            )
        sizes = {array.shape[:axes] for array in tf.nest.flatten(x)}
        if len(sizes) != 1 or len(*sizes) < axes:
            raise ValueError(
                "Every array of x must have the same number of examples, as "
                f"{_axes(axes)}. Received: shapes {_say(x)} from {source}"
            )
        kind = self._kind(x, axes)
        if kind not in self._outputs:
            first = x if axes == 1 else tf.nest.map_structure(lambda array: array[0], x)
            self._outputs[kind] = _examples(self._compute(first))
        return self._outputs[kind]

    @staticmethod
    def _kind(x, axes):
        return tuple(tuple(array.shape[axes:]) for array in tf.nest.flatten(x))

    @staticmethod
    def _check_lengths(x, y, weights, source, axes):
        arrays = tf.nest.flatten([x, y, *weights])
        sizes = {array.shape[:axes] for array in arrays}
        if len(sizes) != 1 or len(*sizes) < axes:
            with_weights = f", sample_weight of shape {_say(weights[0])}" if weights else ""
            raise ValueError(
                "x, y and sample weights must have the same number of examples, as "
                f"{_axes(axes)}. Received: x of shape {_say(x)}, y of shape {_say(y)}"
                f"{with_weights}, from {source}"
            )


def _check_weights(weights, outputs, source, axes):
    """Raise unless sample weights are an array of one weight for each example or step."""
    if isinstance(weights, (dict, list, tuple)):
        raise TypeError(
            "sample_weight must be one array, which counts for every output. "
            f"Received: {describe(structure_of(weights))} from {source}"
        )
    weights = weights.astype(np.float32) if weights.dtype.kind == "V" else weights  # bfloat16
    steps = weights.shape[axes:]
    if any(steps != shape[: len(steps)] for shape in outputs):
        raise ValueError(
            "sample_weight must have one weight for each example, or for each step of each "
            f"example. Received: shape {weights.shape} for outputs of shape "
            f"{[('n', *shape) for shape in outputs]}, from {source}"
        )
    if weights.dtype.kind == "f" and not np.isfinite([weights.min(), weights.max()]).all():
        raise ValueError(f"sample_weight must be finite. Received: NaN or infinity, from {source}")
    if not (weights != 0).any(axis=tuple(range(axes - 1, weights.ndim))).all():
        raise ValueError(
            "A batch must have an example whose sample weight is not 0. "
            f"Received: weights of 0 alone, from {source}"
        )


def _examples(outputs):
    """Return the shape of each output for one example."""
    return [tuple(output.shape[1:]) for output in tf.nest.flatten(outputs)]


def _axes(axes):
    return "first axis" if axes == 1 else "second axis, after that of the tasks"


def _say(structure):
    """Return the shapes of a structure's arrays."""
    return str(shapes_of(structure))
