"""Keras metrics of a model's outputs, in which padding does not count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from deepchem_meta.metalearning._keras_loss import (
    OutputLoss,
    expand_weights,
    match_rank,
    spread_weights,
)

__all__ = ["OutputMetric", "compute_metric", "find_metrics"]

# Metrics that take outputs for probabilities. The others rank outputs, or compare numbers.
_THRESHOLDS = (
    keras.metrics.Precision,
    keras.metrics.Recall,
    keras.metrics.TruePositives,
    keras.metrics.TrueNegatives,
    keras.metrics.FalsePositives,
    keras.metrics.FalseNegatives,
)
_CURVES = (
    keras.metrics.SensitivityAtSpecificity,
    keras.metrics.SpecificityAtSensitivity,
    keras.metrics.PrecisionAtRecall,
    keras.metrics.RecallAtPrecision,
    keras.metrics.KLDivergence,
)
_ONE_THRESHOLD = (keras.metrics.BinaryAccuracy, keras.metrics.BinaryIoU, keras.metrics.FBetaScore)
_TELLS = (
    keras.metrics.AUC,
    keras.metrics.BinaryCrossentropy,
    keras.metrics.CategoricalCrossentropy,
    keras.metrics.SparseCategoricalCrossentropy,
)
_OF_PROBABILITIES = (*_THRESHOLDS, *_CURVES, *_ONE_THRESHOLD, *_TELLS)


class OutputMetric(NamedTuple):
    """A metric of one of a model's outputs.

    Attributes
    ----------
    name : str
        With the output's name in front if there are several, as in Keras.
    metric : keras.metrics.Metric
        The metric itself.
    output : int
        The output's place in ``tf.nest.flatten(outputs)``.
    probabilities : callable or None
        Makes of logits the probabilities that the metric takes.
    """

    name: str
    metric: keras.metrics.Metric
    output: int
    probabilities: Any = None

    def __call__(
        self, targets: Sequence[tf.Tensor], outputs: Any, weights: tf.Tensor | None
    ) -> tf.Tensor:
        """Return the metric of a batch, a float64 scalar.

        Parameters
        ----------
        targets : list of tf.Tensor
            As `OutputLoss.targets` returns them.
        outputs : nested structure of tf.Tensor
            What the model gives.
        weights : tensor of shape (examples,) or (examples, ...), optional
            Sample weights.
        """
        output = tf.nest.flatten(outputs)[self.output]
        mask = getattr(output, "_keras_mask", None)
        if self.probabilities is not None:
            output = self.probabilities(output)
            output._keras_mask = mask
        target = match_rank(targets[self.output], output)
        return compute_metric(self.metric, target, output, weights)


def find_metrics(metrics: Any, loss: OutputLoss, y: Any, outputs: Any) -> list[OutputMetric]:
    """Return Keras metrics by name, function or object, and try them on a batch.

    Parameters
    ----------
    metrics : list or dict
        See `ModelOutputs.metrics`. "accuracy" means, as in `keras.Model.compile`, the one that fits
        the targets.
    loss : OutputLoss
        The model's loss. Where that of an output takes logits, metrics given by name that take
        probabilities get those.
    y, outputs : nested structure of tf.Tensor
        Targets and outputs of some batch.

    Raises
    ------
    TypeError, ValueError
        If their structure is not that of the outputs, Keras does not know one, one takes the
        logits for probabilities, or one cannot be computed.
    """
    targets, tensors = loss.targets(y), tf.nest.flatten(outputs)
    found: list[OutputMetric] = []
    names: Counter[str] = Counter()
    for place, given in enumerate(loss.outputs.metrics(metrics)):
        for one in given:
            if targets[place] is None:
                raise ValueError(
                    "A metric needs a target. "
                    f"Received: {one!r} for the output {loss.outputs.names[place]!r} without one"
                )
            pair = targets[place], tensors[place]
            metric, probabilities = _resolve(one, *pair, loss.probabilities[place])
            several = loss.outputs.count > 1 and loss.outputs.names[place] is not None
            name = f"{loss.outputs.names[place]}_{metric.name}" if several else metric.name
            names[name] += 1
            name = name if names[name] == 1 else f"{name}_{names[name] - 1}"
            found.append(OutputMetric(name, metric, place, probabilities))
            _try(found[-1], targets, outputs)
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
    if weights is not None:
        # A mean spreads them over steps by itself.
        spread = expand_weights if isinstance(metric, keras.metrics.Mean) else spread_weights
        weights = spread(weights, outputs)
    state = [tf.convert_to_tensor(value) for value in metric.stateless_reset_state()]
    state = metric.stateless_update_state(state, y, outputs, sample_weight=weights)
    # Inside the scope, since a metric may return one of its variables.
    with keras.StatelessScope(list(zip(metric.variables, state, strict=True))):
        result = tf.convert_to_tensor(metric.result())
    if result.shape.rank != 0:
        raise ValueError(
            "A metric must be one number (F1Score with `average`, say). "
            f"Received: {metric.name} of shape {tuple(result.shape)}"
        )
    return tf.cast(result, tf.float64)


def _try(metric: OutputMetric, targets: Sequence[tf.Tensor], outputs: Any) -> None:
    """Compute a metric once, so that what does not fit is known before anything is trained."""
    output = tf.nest.flatten(outputs)[metric.output]
    try:
        for weights in (None, tf.ones(output.shape[:1])):
            metric(targets, outputs, weights)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            "A metric must fit the targets and outputs. Received: "
            f"{metric.name}, a {type(metric.metric).__name__}, for y of shape "
            f"{tuple(targets[metric.output].shape)} and outputs of shape "
            f"{tuple(output.shape)}: {reason[:300]}"
        ) from error


def _resolve(metric: Any, y: tf.Tensor, output: tf.Tensor, probabilities: Any) -> tuple:
    """Return the metric as an object, and what makes probabilities of logits for it, or None."""
    if isinstance(metric, str) and metric.lower() in ("accuracy", "acc"):
        return _accuracy(y, output, probabilities is not None, metric), None
    found = _as_metric(metric)
    takes = isinstance(found, _OF_PROBABILITIES) or _is_keras_function(found)
    if probabilities is None or not takes:
        return found, None
    if isinstance(metric, str):
        return found, probabilities
    if not _is_for_logits(found):
        raise ValueError(
            "A metric of probabilities must not get logits, which the loss is computed from. Give "
            "it by name, or as an object that is made for logits (`from_logits=True`, or "
            "`thresholds=0.0`), or let the model give probabilities. "
            f"Received: {found.name}, a {type(found).__name__}"
        )
    return found, None


def _is_for_logits(metric: keras.metrics.Metric) -> bool:
    """Whether a user has made a metric of probabilities for logits."""
    config = metric.get_config()
    if isinstance(metric, _TELLS):
        return bool(config.get("from_logits"))
    if isinstance(metric, _THRESHOLDS):
        default = config.get("thresholds") in (None, 0.5, [0.5])
        return not default or config.get("top_k") is not None
    return isinstance(metric, _ONE_THRESHOLD) and config.get("threshold") != 0.5


def _is_keras_function(metric: keras.metrics.Metric) -> bool:
    """Whether it is one of Keras' functions of probabilities."""
    function = getattr(metric, "_fn", None)
    if not getattr(function, "__module__", "").startswith("keras."):
        return False
    name = getattr(function, "__name__", "")
    return name.endswith("crossentropy") or name in ("binary_accuracy", "kl_divergence")


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


def _accuracy(
    y: tf.Tensor, output: tf.Tensor, from_logits: bool, name: str
) -> keras.metrics.Metric:
    """Return the accuracy that fits targets and outputs.

    Of a single logit it divides the classes at 0, the log-odds of one half, where Keras would at
    0.5.
    """
    if output.shape[-1] == 1:
        if not from_logits:
            return keras.metrics.BinaryAccuracy(name=name)
        # A BinaryAccuracy, but that of Keras 3.3 refuses a threshold of 0.
        function = keras.metrics.binary_accuracy
        return keras.metrics.MeanMetricWrapper(function, name=name, threshold=0.0)
    if len(y.shape) < len(output.shape) or y.shape[-1] == 1:
        return keras.metrics.SparseCategoricalAccuracy(name=name)
    return keras.metrics.CategoricalAccuracy(name=name)
