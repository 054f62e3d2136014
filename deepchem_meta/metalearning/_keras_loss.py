"""Keras losses and metrics over a model's outputs, in which padding does not count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

__all__ = ["OutputLoss", "compute_metric", "find_metrics"]

_MEANS = ("sum_over_batch_size", "mean")


class OutputLoss:
    """The loss of a model's outputs, one or several.

    Parameters
    ----------
    loss : str, callable or keras.losses.Loss, or a list or dict of them
        A list or dict is as the model's outputs are, with None for an output that has no loss;
        otherwise the same loss is taken of each output. Those of several outputs are added up.
    outputs : nested structure of tf.Tensor
        The model's outputs for some batch.

    Raises
    ------
    ValueError
        If Keras does not know the loss, or its structure is not that of the outputs.
    """

    def __init__(self, loss: Any, outputs: Any):
        if isinstance(loss, (list, tuple, dict)):
            losses = _by_output(loss, outputs)
        elif loss is None:
            raise ValueError("`loss` must be a loss. Received: loss=None")
        else:
            losses = [loss] * len(tf.nest.flatten(outputs))
        self._losses = [
            None if one is None else _as_loss(one, output.dtype)
            for one, output in zip(losses, tf.nest.flatten(outputs), strict=True)
        ]

    @property
    def from_logits(self) -> bool:
        """Whether it is a cross-entropy of logits; False if it does not tell."""
        return all(getattr(loss, "from_logits", False) for loss in self._losses)

    def __call__(self, y: Any, outputs: Any, weights: tf.Tensor | None) -> tf.Tensor:
        """Return the loss, a scalar.

        Parameters
        ----------
        y : nested structure of tf.Tensor
            The targets, as many as outputs.
        outputs : nested structure of tf.Tensor
            What the model gives.
        weights : tensor of shape (examples,) or (examples, ...), optional
            Sample weights. As in Keras the mean is over examples and not over weights, but those
            with weight 0 do not count: padding leaves the loss as it is.
        """
        if weights is not None and weights.dtype == tf.bool:
            weights = tf.cast(weights, tf.float32)
        total = None
        pairs = zip(self._losses, tf.nest.flatten(y), tf.nest.flatten(outputs), strict=True)
        for loss, target, output in pairs:
            if loss is None:
                continue
            if loss.reduction in _MEANS:
                value = _weighted_mean(loss, target, output, weights)
            else:
                value = tf.reduce_sum(loss(target, output, sample_weight=weights))
            total = value if total is None else total + tf.cast(value, total.dtype)
        return total

    def check(self, y: Any, outputs: Any) -> None:
        """Raise ValueError if targets and outputs do not fit the losses.

        Keras would broadcast shapes that differ, and the loss would be of something else.
        """
        targets, found = tf.nest.flatten(y), tf.nest.flatten(outputs)
        if len(targets) != len(found):
            raise ValueError(
                f"The tasks' y must be as the model's outputs are. Received: y of shapes "
                f"{_shapes(y)} for outputs of shapes {_shapes(outputs)}"
            )
        for loss, target, output in zip(self._losses, targets, found, strict=True):
            if loss is not None and not _fits(loss, target, output):
                raise ValueError(
                    f"Targets and outputs must fit the loss {loss.name}. Received: y of shape "
                    f"{tuple(target.shape)} and dtype {target.dtype.name} for outputs of shape "
                    f"{tuple(output.shape)} (the first axis is the example)"
                )


def find_metrics(
    metrics: Sequence[Any], y: Any, outputs: Any, from_logits: bool
) -> list[keras.metrics.Metric]:
    """Return Keras metrics by name, function or object.

    Parameters
    ----------
    metrics : list of str, callable or keras.metrics.Metric
        "accuracy" means, as in `keras.Model.compile`, the one that fits the targets.
    y, outputs : tf.Tensor
        Targets and outputs of some batch.
    from_logits : bool
        Whether outputs are logits. The accuracy of a single one then divides the classes at 0, the
        log-odds of one half, where Keras would at 0.5.

    Raises
    ------
    TypeError, ValueError
        If they are not a list, Keras does not know one, or the model has several outputs.
    """
    if not isinstance(metrics, (list, tuple)):
        raise TypeError(f"`metrics` must be a list. Received: metrics={metrics!r}")
    if metrics and len(tf.nest.flatten(outputs)) != 1:
        raise ValueError(
            "`metrics` are of one output. Received: metrics for a model with outputs of shapes "
            f"{_shapes(outputs)}"
        )
    found = []
    for metric in metrics:
        if metric in ("accuracy", "acc"):
            pair = tf.nest.flatten(y)[0], tf.nest.flatten(outputs)[0]
            metric = _accuracy(*pair, from_logits)
        found.append(_as_metric(metric))
    return found


def compute_metric(
    metric: keras.metrics.Metric, y: tf.Tensor, outputs: tf.Tensor, weights: tf.Tensor | None
) -> tf.Tensor:
    """Return a metric of one batch, a float64 scalar, and leave its state alone.

    Raises
    ------
    ValueError
        If it is not a scalar.
    """
    state = [tf.convert_to_tensor(value) for value in metric.stateless_reset_state()]
    state = metric.stateless_update_state(state, y, outputs, sample_weight=weights)
    result = tf.convert_to_tensor(metric.stateless_result(state))
    if result.shape.rank != 0:
        raise ValueError(
            "A metric must be one number (F1Score with `average`, say). "
            f"Received: {metric.name} of shape {tuple(result.shape)}"
        )
    return tf.cast(result, tf.float64)


class _FunctionLoss(keras.losses.Loss):
    """A function of (targets, outputs) as a Keras loss."""

    def __init__(self, function: Callable, dtype: str):
        super().__init__(name=getattr(function, "__name__", "loss"), dtype=dtype)
        self.function = function

    def call(self, y_true, y_pred):
        losses = tf.convert_to_tensor(self.function(_match_rank(y_true, y_pred), y_pred))
        if losses.shape.rank == 0:
            raise ValueError(
                "A loss that is a function must return a loss for each example, so that sample "
                f"weights and padding can count. Received: {self.name}, which returns a scalar"
            )
        return losses


def _weighted_mean(
    loss: keras.losses.Loss, target: tf.Tensor, output: tf.Tensor, weights: tf.Tensor | None
) -> tf.Tensor:
    """Return the mean of the weighted losses over all whose weight is not 0."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync  # by which Keras divides a mean
    if weights is None:
        return loss(target, output) * replicas
    value = loss(target, output, sample_weight=_expand(weights, output)) * replicas
    counted = tf.reduce_mean(tf.cast(weights != 0, value.dtype))
    return tf.math.divide_no_nan(value, counted)


def _expand(weights: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Return sample weights that Keras broadcasts along the axes after those they have."""
    axes = max(0, output.shape.rank - 1 - weights.shape.rank)
    return tf.reshape(weights, tf.concat([tf.shape(weights), tf.ones(axes, tf.int32)], axis=0))


def _match_rank(target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Return targets of shape (examples,) as (examples, 1) where the outputs are so.

    Not all of Keras' functions do so themselves: a Kullback-Leibler divergence came out as 2.10
    for 0.44.
    """
    one_less = target.shape.rank == output.shape.rank - 1 and output.shape[-1] == 1
    return tf.expand_dims(target, -1) if one_less else target


def _by_output(loss: Any, outputs: Any) -> list:
    """Return the losses in the order of `tf.nest.flatten(outputs)`."""
    if isinstance(loss, dict):
        fits = isinstance(outputs, dict) and sorted(loss) == sorted(outputs)
        losses = [loss[name] for name in sorted(loss)]
    else:
        fits = isinstance(outputs, (list, tuple)) and len(loss) == len(outputs)
        losses = list(loss)
    if not fits or all(one is None for one in losses):
        raise ValueError(
            "`loss` must be one loss, or a list or dict of losses as the model's outputs are, not "
            f"all of them None. Received: {loss!r} for outputs of shapes {_shapes(outputs)}"
        )
    return losses


def _as_loss(loss: Any, dtype: tf.DType) -> keras.losses.Loss:
    try:
        found = keras.losses.get(loss)
    except ValueError as error:
        raise ValueError(f"Keras knows no such loss. Received: loss={loss!r}") from error
    if isinstance(found, keras.losses.Loss):
        return found
    return _FunctionLoss(found, "float64" if dtype == tf.float64 else "float32")


def _as_metric(metric: Any) -> keras.metrics.Metric:
    """Return a metric, under the name it is given by."""
    try:
        found = keras.metrics.get(metric)
    except ValueError as error:
        raise ValueError(f"Keras knows no such metric. Received: {metric!r}") from error
    if not isinstance(found, keras.metrics.Metric):
        name = metric if isinstance(metric, str) else getattr(found, "__name__", None)
        return keras.metrics.MeanMetricWrapper(found, name=name)
    if isinstance(metric, str):
        return type(found).from_config({**found.get_config(), "name": metric})
    return found


def _fits(loss: keras.losses.Loss, target: tf.Tensor, output: tf.Tensor) -> bool:
    """Whether a target has the shape that one of Keras' own losses wants; True for others."""
    function = getattr(loss, "function", getattr(loss, "fn", None))
    if not getattr(function or type(loss), "__module__", "").startswith("keras."):
        return True
    wanted, given = tuple(output.shape), tuple(target.shape)
    if "sparse" in getattr(function, "__name__", loss.name):
        labels = tf.cast(target, tf.int64)
        known = bool(tf.reduce_all((labels >= 0) & (labels < wanted[-1])))
        return known and given in (wanted[:-1], (*wanted[:-1], 1))
    return wanted == given or (*given, 1) == wanted or given == (*wanted, 1)


def _accuracy(y: tf.Tensor, output: tf.Tensor, from_logits: bool) -> keras.metrics.Metric:
    """Return the accuracy that fits targets and outputs."""
    if output.shape[-1] == 1:
        threshold = 0.0 if from_logits else 0.5
        return keras.metrics.BinaryAccuracy(name="accuracy", threshold=threshold)
    if len(y.shape) < len(output.shape) or y.shape[-1] == 1:
        return keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    return keras.metrics.CategoricalAccuracy(name="accuracy")


def _shapes(structure: Any) -> Any:
    return tf.nest.map_structure(lambda tensor: tuple(tensor.shape), structure)
