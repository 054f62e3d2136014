"""The loss of a Keras model's outputs, in which padding does not count."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta._checks import check_classes
from deepchem_meta.metalearning._keras_outputs import ModelOutputs

__all__ = ["OutputLoss", "expand_weights", "match_rank", "spread_weights"]

_MEANS = ("sum_over_batch_size", "mean")
# Of Keras' losses those whose targets are numbers of classes, probabilities, or of a shape that has
# nothing to do with the outputs'; the others want targets of the outputs' shape.
_OF_CLASSES = ("sparse_categorical_crossentropy", "categorical_generalized_cross_entropy")
_OF_PROBABILITIES = (
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
)
_OF_ANY_SHAPE = ("ctc", "circle")


class OutputLoss:
    """The loss of a model's outputs, one or several.

    Parameters
    ----------
    loss : str, callable or keras.losses.Loss, or a list or dict of them
        One loss is taken of each output. A list or dict has a loss for each output, or None for an
        output that has none. The losses of several outputs are added up.
    outputs : nested structure of tf.Tensor
        The model's outputs for some batch.
    names : list of str, optional
        What the model calls its outputs.
    loss_weights : float, or list or dict of float, optional
        What the loss of each output is multiplied by.

    Attributes
    ----------
    outputs : ModelOutputs
        The model's outputs by name.
    probabilities : list of callable or None
        What makes probabilities of the logits of each output; None where the loss does not say that
        it takes logits.

    Raises
    ------
    TypeError, ValueError
        If Keras does not know the loss, or the structure of losses or weights is not that of the
        outputs.
    """

    def __init__(
        self,
        loss: Any,
        outputs: Any,
        names: Sequence[str] | None = None,
        loss_weights: Any = None,
    ):
        if loss is None:
            raise ValueError("`loss` must be a loss. Received: loss=None")
        self.outputs = ModelOutputs(outputs, names)
        tensors = tf.nest.flatten(outputs)
        self._losses = [
            None if one is None else _as_loss(one, output.dtype)
            for one, output in zip(self.outputs.losses(loss), tensors, strict=True)
        ]
        self._factors = self.outputs.numbers("loss_weights", loss_weights)
        self.probabilities = [
            _activation(loss, output) for loss, output in zip(self._losses, tensors, strict=True)
        ]

    def __call__(self, y: Any, outputs: Any, weights: tf.Tensor | None) -> tf.Tensor:
        """Return the loss, a scalar.

        Parameters
        ----------
        y : nested structure of tf.Tensor
            The targets.
        outputs : nested structure of tf.Tensor
            What the model gives.
        weights : tensor of shape (examples,) or (examples, ...), optional
            Sample weights. As in Keras the mean is over examples, and where the outputs have a mask
            over unmasked steps, and not over weights. Those with weight 0 do not count: padding
            leaves the loss as it is.
        """
        if weights is not None and weights.dtype == tf.bool:
            weights = tf.cast(weights, tf.float32)
        found = tf.nest.flatten(outputs)
        targets = self.targets(y)
        shapes = [None if target is None else target.shape[1:] for target in targets]
        self._check_shapes(shapes, [output.shape[1:] for output in found])
        total = None
        for loss, factor, target, output in zip(
            self._losses, self._factors, targets, found, strict=True
        ):
            if loss is None:
                continue
            value = _reduced(loss, match_rank(target, output), output, weights)
            value = value if factor == 1.0 else factor * value
            total = value if total is None else total + tf.cast(value, total.dtype)
        return total

    def targets(self, y: Any) -> list:
        """Return the target of each output, None for an output that has neither target nor loss.

        Raises
        ------
        ValueError
            If it is not clear which target belongs to which output.
        """
        flat = tf.nest.flatten(y)
        places = self.outputs.targets(y, self._losses)
        return [None if place is None else flat[place] for place in places]

    def example_targets(self, outputs: Any) -> Any:
        """Return targets such as the losses take, of zeros, in the structure of the outputs.

        Parameters
        ----------
        outputs : nested structure of tf.Tensor
            What the model gives for some batch.
        """
        targets = [
            tf.zeros(output.shape[:-1], tf.int32) if _name(loss) in _OF_CLASSES else output * 0
            for loss, output in zip(self._losses, tf.nest.flatten(outputs), strict=True)
        ]
        return tf.nest.pack_sequence_as(outputs, targets)

    def classes_as(self, outputs: Any) -> str | None:
        """Return what the outputs are of classes: "logits", "probabilities" or None.

        It is None for several outputs, for a loss that is none of Keras' cross-entropies, and for
        a binary one of several labels.
        """
        tensors = tf.nest.flatten(outputs)
        if len(tensors) != 1:
            return None
        name, one_output = _name(self._losses[0]) or "", tensors[0].shape[-1] == 1
        binary = name.startswith("binary")
        classes = name in _OF_CLASSES or (name in _OF_PROBABILITIES and binary == one_output)
        if not classes:
            return None
        return "logits" if self.probabilities[0] is not None else "probabilities"

    def check(self, y: Any, shapes: Sequence[Sequence[int | None]], axes: int = 1) -> None:
        """Raise ValueError if targets do not fit the losses.

        Keras would broadcast shapes that differ, and the loss would be of something else. A class
        that the outputs do not have, and a cross-entropy's target that is no probability, give
        numbers without a meaning.

        Parameters
        ----------
        y : nested structure of numpy.ndarray
            The targets.
        shapes : list of tuple
            The shape of each output for one example.
        axes : int, default 1
            How many axes of `y` come before those of one example: 2 where the first is the task.
        """
        targets = [None if t is None else np.asarray(t) for t in self.targets(y)]
        self._check_shapes([None if t is None else t.shape[axes:] for t in targets], shapes)
        for loss, target, shape in zip(self._losses, targets, shapes, strict=True):
            if loss is not None:
                _check_values(loss, target, shape)

    def _check_shapes(self, targets, outputs):
        """Raise ValueError unless each target's shape for one example fits its output's."""
        for loss, target, output in zip(self._losses, targets, outputs, strict=True):
            if loss is None or None in (target, output) or _fits(loss, tuple(target), output):
                continue
            one_hot = _name(loss) in _OF_CLASSES and target == output
            hint = (
                ". Of one-hot targets `np.argmax(y, -1)` makes class numbers; or take "
                "'categorical_crossentropy'"
                if one_hot
                else ""
            )
            raise ValueError(
                f"Targets and outputs must fit the loss {loss.name}. Received: y of shape "
                f"{_shape(target)} for outputs of shape {_shape(output)}{hint}"
            )


def expand_weights(weights: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Return sample weights that Keras broadcasts along the axes after those they have."""
    axes = max(0, output.shape.rank - 1 - weights.shape.rank)
    return tf.reshape(weights, tf.concat([tf.shape(weights), tf.ones(axes, tf.int32)], axis=0))


def spread_weights(weights: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Return sample weights of the shape of the outputs without their last axis."""
    weights = expand_weights(weights, output)
    rank = min(weights.shape.rank, output.shape.rank - 1)
    if rank < 2:
        return weights
    shape = tf.concat([tf.shape(weights)[:1], tf.shape(output)[1:rank]], axis=0)
    return tf.broadcast_to(weights, shape)


class _FunctionLoss(keras.losses.Loss):
    """A function of (targets, outputs) as a Keras loss."""

    def __init__(self, function: Callable, dtype: str):
        # TensorFlow's graphs know no scope of the name "<lambda>".
        name = re.sub(r"\W", "", getattr(function, "__name__", "")) or "loss"
        super().__init__(name=name, dtype=dtype)
        self.function = function
        # Of a `functools.partial` of one of Keras' functions.
        self.from_logits = getattr(function, "keywords", {}).get("from_logits", False)

    def call(self, y_true, y_pred):
        losses = tf.convert_to_tensor(self.function(match_rank(y_true, y_pred), y_pred))
        if losses.shape.rank == 0:
            raise ValueError(
                "A loss that is a function must return a loss for each example, so that sample "
                f"weights and padding can count. Received: {self.name}, which returns a scalar"
            )
        return losses


def _reduced(
    loss: keras.losses.Loss, target: tf.Tensor, output: tf.Tensor, weights: tf.Tensor | None
) -> tf.Tensor:
    """Return the loss of an output, a scalar; a mean is over all whose weight is not 0."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync  # by which Keras divides a mean
    scale = replicas if (loss.reduction or "none") not in ("sum", "none") else 1
    if weights is None:
        return tf.reduce_sum(loss(target, output)) * scale
    losses = _losses(loss, target, output)
    if losses.shape.rank == 0:
        raise ValueError(
            "A loss must be computed for each example where there are sample weights (`axis` of "
            f"Dice and Tversky says so). Received: {loss.name}, which gives a scalar"
        )
    in_mean = loss.reduction in _MEANS
    weights = expand_weights(weights, output) if in_mean else spread_weights(weights, output)
    value = tf.reduce_sum(loss(target, output, sample_weight=weights)) * scale
    if not in_mean:
        return value
    masks = [getattr(part, "_keras_mask", None) for part in (output, losses)]
    masks = [tf.cast(mask, tf.bool) for mask in masks if mask is not None]
    mask = functools.reduce(tf.logical_and, masks) if masks else None
    return tf.math.divide_no_nan(value, _count_of_weights(weights, mask, value.dtype))


def _count_of_weights(weights: tf.Tensor, mask: tf.Tensor | None, dtype: tf.DType) -> tf.Tensor:
    """Return which part counts of what Keras takes a mean over.

    That is all examples or, where the outputs have a mask, all unmasked steps. Those with a weight
    of 0 do not count.

    Parameters
    ----------
    weights : tensor
        As `expand_weights` returns them.
    mask : bool tensor, optional
        The mask of the outputs, and of the losses where a class is ignored.
    dtype : tf.DType
        Of the result.
    """
    counts = weights != 0
    if mask is None:
        return tf.reduce_mean(tf.cast(counts, dtype))
    unmasked = tf.reduce_sum(tf.cast(mask, dtype))
    return tf.math.divide_no_nan(tf.reduce_sum(tf.cast(counts & mask, dtype)), unmasked)


def _losses(loss: keras.losses.Loss, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Return the loss of each example, with the mask of those that `ignore_class` leaves out."""
    target, output = (tf.cast(part, loss.dtype) for part in (target, output))
    return loss.call(target, output)


def match_rank(target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Return targets of shape (examples,) as (examples, 1) where the outputs are so.

    Not all of Keras' functions do so themselves: a Kullback-Leibler divergence came out as 2.10
    for 0.44.
    """
    one_less = len(target.shape) == len(output.shape) - 1 and output.shape[-1] == 1
    return tf.expand_dims(target, -1) if one_less else target


def _as_loss(loss: Any, dtype: tf.DType) -> keras.losses.Loss:
    try:
        found = keras.losses.get(loss)
    except ValueError as error:
        raise ValueError(f"Keras knows no such loss. Received: loss={loss!r}") from error
    if isinstance(found, keras.losses.Loss):
        return found
    return _FunctionLoss(found, "float64" if dtype == tf.float64 else "float32")


def _activation(loss: keras.losses.Loss | None, output: tf.Tensor) -> Callable | None:
    """Return what makes probabilities of the logits that a loss takes; None if it takes none."""
    if not getattr(loss, "from_logits", False):
        return None
    binary = output.shape[-1] == 1 or (_name(loss) or "").startswith("binary")
    return tf.sigmoid if binary else tf.nn.softmax


def _name(loss: keras.losses.Loss) -> str | None:
    """Return what Keras calls one of its own losses; None for a user's."""
    function = getattr(loss, "function", getattr(loss, "fn", None))
    function = getattr(function, "func", function)  # behind a functools.partial
    if not getattr(function or type(loss), "__module__", "").startswith("keras."):
        return None
    return getattr(function, "__name__", loss.name)


def _fits(loss: keras.losses.Loss, target: tuple, output: Sequence[int | None]) -> bool:
    """Whether the target of one example has the shape that one of Keras' own losses wants."""
    name, output = _name(loss), tuple(output)
    if name is None or name.startswith(_OF_ANY_SHAPE):
        return True
    if name in _OF_CLASSES:
        return bool(output) and (_same(target, output[:-1]) or _same(target, (*output[:-1], 1)))
    return _same(target, output) or _same((*target, 1), output) or _same(target, (*output, 1))


def _same(a: tuple, b: tuple) -> bool:
    """Whether two shapes may be the same; None stands for a size that is not known."""
    return len(a) == len(b) and all(m == n or None in (m, n) for m, n in zip(a, b, strict=True))


def _check_values(loss: keras.losses.Loss, target: np.ndarray, output: Sequence) -> None:
    """Raise ValueError if the values of a target are none that the loss has a meaning for."""
    target = target.astype(np.float32) if target.dtype.kind == "V" else target  # bfloat16
    name = _name(loss)
    if name is None or name.startswith(_OF_ANY_SHAPE):
        return
    if name in _OF_CLASSES:
        ignored = getattr(loss, "ignore_class", None)
        check_classes(f"Targets of the loss {loss.name}", target, output[-1], ignored)
    elif target.dtype.kind == "f" and not np.isfinite([target.min(), target.max()]).all():
        raise ValueError(
            f"Targets of the loss {loss.name} must be finite. "
            f"Received: y with {np.size(target) - np.isfinite(target).sum()} values that are not"
        )
    elif name in _OF_PROBABILITIES and not (target.min() >= 0 and target.max() <= 1):
        wrong = np.unique(target[(target < 0) | (target > 1)])
        raise ValueError(
            f"Targets of the loss {loss.name} must be 0, 1, or probabilities between. "
            f"Received: y with the values {wrong[:10]}"
        )


def _shape(one: Sequence[int | None]) -> str:
    """Return the shape of a batch as text, given the shape of one example."""
    return f"({', '.join(['n', *map(str, one)])}{',' if not one else ''})"
