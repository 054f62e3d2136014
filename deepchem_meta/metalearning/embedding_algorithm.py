"""What algorithms share that predict from an embedding and a head solved for each task."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta._checks import check_classes, check_count
from deepchem_meta.engine.learner_model import Embedding, LearnerModel, flat_features
from deepchem_meta.engine.task_batch import TaskBatch
from deepchem_meta.engine.task_source import KnownSource
from deepchem_meta.engine.tracing import quiet_tensorflow
from deepchem_meta.metalearning._heads import class_numbers, class_weights, known_ways
from deepchem_meta.metalearning.adapted import Adapted
from deepchem_meta.metalearning.algorithm import MetaAlgorithm
from deepchem_meta.metalearning.task_algorithm import TaskObjective

__all__ = ["EmbeddingAlgorithm"]

# The logarithm of the probability of a class that the support set does not have: that of float64's
# epsilon, as in `EstimatorBaseline`. Far less would make such a query example the whole mean loss.
_NEVER = -36.04
# What an algorithm must have of this class so that its tasks can be taken in one pass.
_STEPS = ("adapt_task", "query_loss", "objective", "task_gradient", "predict_task")


class EmbeddingAlgorithm(MetaAlgorithm):
    """Base of the algorithms that fit a head to the embedding of a task's support set.

    A subclass implements `solve_head` and `apply_head`. The loss is the cross-entropy of the
    head's logits, or the squared error for regression; that of the learner is not used. The
    outputs are what those of a `KerasLearner` are: logits, or probabilities where its loss takes
    these; of other learners logits.

    Parameters
    ----------
    learner : MetaLearner
        A `KerasLearner`, whose `embedding` is used, or one with a method `compute_embedding`.
    *args
        Those of `MetaAlgorithm` or, where a subclass derives from another algorithm too, of that.
    ways : int, optional
        Classes of a task, at least 2; targets are 0 to ways - 1. By default those of a
        `KerasLearner`'s tasks. The outputs have shape (examples, ways); where the model has a
        single output and there are two classes, they are of class 1 and have shape (examples, 1).
    **options
        As ``*args``.

    Raises
    ------
    TypeError
        If the learner has no embedding.
    ValueError
        If `ways` is neither given nor known.
    """

    adapts_in_steps = False
    steps_are_alike = False  # they share the head that the first one starts from
    for_regression = False  # whether `ways` may be None

    def __init__(self, learner: Any, *args: Any, ways: int | None = None, **options: Any):
        learner = LearnerModel.of(learner)
        given = learner.learner
        if not any(hasattr(given, f"compute_embedding{end}") for end in ("", "_and_state")):
            raise TypeError(
                "`learner` must be a KerasLearner, or have a method compute_embedding. "
                f"Received: {type(given).__name__}"
            )
        ways = known_ways(learner, ways)
        if ways is None and not self.for_regression:
            raise ValueError(
                "`ways` must be given for a learner whose tasks do not tell how many classes they "
                f"have. Received: ways=None for a {type(given).__name__}"
            )
        if ways is not None:
            check_count("ways", ways, minimum=2)
        super().__init__(learner, *args, **options)
        self.ways = ways
        self._one_output = getattr(given, "one_output", False)
        self._from_logits = getattr(given, "from_logits", True)

    @property
    def ways(self) -> int | None:
        """Classes of a task; None for regression. It may be changed, to evaluate on more."""
        return self._ways

    @ways.setter
    def ways(self, value: int | None) -> None:
        self._head = None
        self._ways = None if value is None else check_count("ways", value, minimum=2)

    @property
    def classes_as(self) -> str | None:
        """What the outputs are of classes: "logits" or "probabilities"; None for regression."""
        if self.ways is None:
            return None
        return "logits" if self._from_logits else "probabilities"

    def solve_head(self, support: Embedding) -> list[tf.Tensor]:
        """Return the head for an embedded support set.

        Parameters
        ----------
        support : Embedding
            Features of shape (examples, size), targets and weights.

        Returns
        -------
        list of tf.Tensor
            Of any shapes.
        """
        raise NotImplementedError("Subclasses of EmbeddingAlgorithm must implement solve_head.")

    def apply_head(self, head: list[tf.Tensor], features: tf.Tensor) -> tf.Tensor:
        """Return the logits, of shape (examples, ways), or for regression the predictions."""
        raise NotImplementedError("Subclasses of EmbeddingAlgorithm must implement apply_head.")

    def head_layers(self, head: list[np.ndarray], features: Any) -> Any:
        """Return what `apply_head` does in Keras' layers and operations, for `to_model`.

        Parameters
        ----------
        head : list of numpy.ndarray
            What `solve_head` returned for a support set.
        features : KerasTensor of shape (None, size)
            The embedding of a functional model.

        Returns
        -------
        KerasTensor of shape (None, ways) or (None, outputs)
        """
        raise TypeError(
            "`to_model` needs a head that is known as layers: implement `head_layers`. "
            f"Received: a {type(self).__name__} without"
        )

    def adapted_model(self, adapted: Adapted, support: Any) -> keras.Model:
        """Return the encoder and the head as a plain `keras.Model`.

        Parameters and exceptions are those of `MetaAlgorithm.adapted_model`.
        """
        learner = self.model.learner
        if not hasattr(learner, "to_encoder"):
            return super().adapted_model(adapted, support)  # raises
        encoder = learner.to_encoder(adapted.params, support)
        head = [part.numpy() for part in adapted.extra]
        outputs = self._output_layers(head, encoder.output)
        model = keras.Model(encoder.input, outputs)
        model(tf.nest.map_structure(tf.convert_to_tensor, support[0]), training=False)
        return model

    def _output_layers(self, head: list[np.ndarray], features: Any) -> Any:
        """Return what `predict_outputs` gives, in Keras' layers and operations."""
        if self.ways is None:
            return self.head_layers(head, features)
        logits, known = self.head_layers(head[:-1], features), head[-1] > 0
        if not known.all():
            rest = np.where(known, 0.0, _NEVER).astype(head[-1].dtype)
            shut = np.where(known, 0.0, -1e30).astype(head[-1].dtype)
            largest = keras.ops.max(logits + shut, axis=1, keepdims=True)
            logits = logits * known.astype(rest.dtype) + largest * ~known + rest
        if self._one_output and self.ways == 2:
            log_odds = logits[:, 1:] - logits[:, :1]
            return log_odds if self._from_logits else keras.layers.Activation("sigmoid")(log_odds)
        return logits if self._from_logits else keras.layers.Activation("softmax")(logits)

    def adapt_task(
        self,
        params: list[tf.Tensor],
        support: TaskBatch,
        numbers: dict[str, tf.Tensor],
        steps: int,
    ) -> Adapted:
        """Return the values as they are, and the head.

        Parameters and result are those of `MetaAlgorithm.adapt_task`.
        """
        embedded = support.embed(params)
        return Adapted(embedded.params, self.full_head(embedded))

    def full_head(self, support: Embedding) -> list[tf.Tensor]:
        """Return what `solve_head` does and, of classes, which ones the support set has."""
        self._check_embedded(support)
        head = self.solve_head(support)
        if self.ways is None:
            return head
        return [*head, tf.reduce_sum(class_weights(support, self.ways), axis=0)]

    def predict_features(self, head: list[tf.Tensor], features: tf.Tensor) -> tf.Tensor:
        """Return the logits or the predictions for embedded examples.

        Parameters
        ----------
        head : list of tf.Tensor
            As `full_head` returns it.
        features : tensor of shape (examples, size)

        Returns
        -------
        tensor of shape (examples, ways) or (examples, outputs)
        """
        if self.ways is None:
            return self.apply_head(head, features)
        # The NaN of a wrong label counts as a class that is known, and is seen. (`~(x <= 0)` would
        # be optimised to `x > 0`, which NaN is not.)
        logits, known = self.apply_head(head[:-1], features), head[-1] > 0
        known |= tf.math.is_nan(head[-1])
        largest = tf.reduce_max(tf.where(known, logits, logits.dtype.min), axis=1, keepdims=True)
        return tf.where(known, logits, tf.stop_gradient(largest) + _NEVER)

    def query_loss(self, adapted: Adapted, query: TaskBatch) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the head's loss on a task's query batch, and the values with their state."""
        embedded = query.embed(adapted.params)
        predicted = self.predict_features(adapted.extra, embedded.features)
        return self.head_loss(embedded, predicted), embedded.params

    @property
    def learns_together(self) -> bool:
        """Whether the examples of many tasks are embedded in one pass, in `fit` and `evaluate`.

        They are where no variable adapts, each example is embedded by itself, and the algorithm has
        the steps of this class.
        """
        own = any(getattr(type(self), n) is not getattr(EmbeddingAlgorithm, n) for n in _STEPS)
        return not own and getattr(self.model.learner, "embeds_apart", False)

    @property
    def evaluates_together(self) -> bool:
        """As `learns_together`."""
        return self.learns_together

    def tasks_objective(
        self,
        support: Sequence[tf.Tensor],
        query: Sequence[tf.Tensor],
        numbers: dict[str, tf.Tensor],
        keys: tf.Tensor,
    ) -> TaskObjective:
        """Return the sums of many tasks' losses, all of whose examples are embedded in one pass.

        Parameters are those of `TaskAlgorithm.tasks_objective`. The first key serves all tasks.
        """
        parts = self._embed_together(support, query, keys[0], training=True)
        losses = tf.vectorized_map(self._head_loss, parts, fallback_to_while_loop=False)
        loss = tf.reduce_sum(losses)
        return TaskObjective(loss, loss, [])

    def evaluate_tasks(self, support, query, numbers, keys, with_outputs):
        """Return what `evaluate` asks of many tasks: values, and outputs if wanted.

        Parameters
        ----------
        support, query, numbers, keys
            As in `tasks_objective`.
        with_outputs : bool

        Returns
        -------
        values : dict of float64 tensor of shape (tasks, 1)
            The loss and the learner's metrics; the second axis stands for steps of adaptation.
        outputs : tensor of shape (tasks, 1, examples, ...), or ()
        """

        def evaluate(task):
            parts, arrays = task
            embedded, predicted = self._predict_embedded(parts)
            outputs = self.outputs(predicted)
            metrics = self.model.metrics(arrays, outputs)
            values = {"loss": self.head_loss(embedded, predicted), **metrics}
            values = {name: tf.cast(value, tf.float64)[None] for name, value in values.items()}
            return values, outputs[None] if with_outputs else ()

        parts = self._embed_together(support, query, keys[0], training=False)
        with quiet_tensorflow():  # metrics have operations that it takes task by task
            return tf.vectorized_map(evaluate, (parts, list(query)))

    def _embed_together(self, support, query, key, *, training):
        """Return the features, targets and any weights of the tasks' batches, the task first.

        All their examples go through the model in one pass.
        """
        tasks, shots = support[0].shape[:2]
        joined = [tf.concat([a, b], axis=1) for a, b in zip(support, query, strict=True)]
        flat = [tf.reshape(a, (tasks * a.shape[1], *a.shape[2:])) for a in joined]
        key = tf.concat([key, tf.zeros(1, tf.int64)], axis=0)
        embedded = self.model.embed(self.start_values(), flat, training, key=key)
        apart = [
            tf.reshape(part, (tasks, -1, *part.shape[1:]))
            for part in embedded[:3]
            if part is not None
        ]
        return [part[:, :shots] for part in apart], [part[:, shots:] for part in apart]

    def _head_loss(self, task):
        """Return the loss of a task's head, given its embedded batches."""
        return self.head_loss(*self._predict_embedded(task))

    def _predict_embedded(self, task):
        """Return a task's embedded query batch, and what `predict_features` gives for it."""
        support, query = (
            Embedding(*parts, *[None] * (4 - len(parts)), params=[]) for parts in task
        )
        return query, self.predict_features(self.full_head(support), query.features)

    def predict_task(self, adapted: Adapted, batch: Sequence[tf.Tensor]) -> tuple[tf.Tensor, Any]:
        """Return the head's loss and outputs for the arrays of a batch."""
        embedded = self.model.embed(adapted.params, batch, False)
        predicted = self.predict_features(adapted.extra, embedded.features)
        return self.head_loss(embedded, predicted), self.outputs(predicted)

    def predict_outputs(self, adapted: Adapted, x: Any) -> Any:
        """Return the head's outputs for a `KerasLearner`'s x alone."""
        return self.outputs(self.predict_head(adapted, x))

    def predict_head(self, adapted: Adapted, x: Any) -> tf.Tensor:
        """Return what `predict_features` does for a `KerasLearner`'s x alone."""
        features = flat_features(self.model.learner.compute_features(x, adapted.params))
        return self.predict_features(adapted.extra, features)

    def head_loss(self, embedded: Embedding, predicted: tf.Tensor) -> tf.Tensor:
        """Return the mean cross-entropy or squared error, a scalar.

        As in `KerasLearner` it is over examples whose weight is not 0, each multiplied by it.

        Parameters
        ----------
        embedded : Embedding
            Whose targets and weights to use.
        predicted : tensor of shape (examples, ways) or (examples, outputs)
            As `predict_features` returns it.
        """
        if self.ways is None:
            wanted = tf.cast(tf.reshape(embedded.targets, tf.shape(predicted)), predicted.dtype)
            losses = tf.reduce_mean((predicted - wanted) ** 2, axis=-1)
        else:
            labels, right = class_numbers(embedded.targets, self.ways, predicted.dtype)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, predicted)
            # TensorFlow's cross-entropy of logits that are NaN is finite, log(ways).
            unknown = tf.reduce_any(tf.math.is_nan(predicted), axis=-1)
            losses = tf.where(unknown, tf.constant(np.nan, losses.dtype), right * losses)
        return self.mean_loss(embedded, losses)

    def mean_loss(self, embedded: Embedding, losses: tf.Tensor) -> tf.Tensor:
        """Return the mean of examples' losses over those whose weight is not 0, a scalar.

        Parameters
        ----------
        embedded : Embedding
            Whose weights multiply the losses, and whose penalty is added.
        losses : tensor of shape (examples,)
        """
        if embedded.weights is None:
            loss = tf.reduce_mean(losses)
        else:
            weights = tf.cast(embedded.weights, losses.dtype)
            counted = tf.math.count_nonzero(weights, dtype=losses.dtype)
            loss = tf.math.divide_no_nan(tf.reduce_sum(weights * losses), counted)
        penalty = embedded.penalty
        return loss if penalty is None else loss + tf.cast(penalty, loss.dtype)

    def check_batch(self, inputs: Any, source: str, stacked: bool) -> None:
        """Raise unless a batch of a `KerasLearner` has class numbers below `ways`, or numbers.

        Parameters and exceptions are those of `MetaAlgorithm.check_batch`.
        """
        self.model.learner.check_batch(inputs, source, stacked=stacked, targets=False)
        y = tf.nest.flatten(inputs[1])
        if len(y) != 1:
            raise ValueError(f"y must be one array. Received: {len(y)} arrays from {source}")
        self._check_targets(y[0], y[0].shape[2 if stacked else 1 :], source)

    def explain(self, batch: TaskBatch) -> None:
        """Raise ValueError if the targets of a batch are why a result is not finite.

        Parameters are those of `MetaAlgorithm.explain`.
        """
        self._check_embedded(batch.embed(self.start_values()))

    def predict_on_batch(self, inputs: Any) -> tuple[tf.Tensor, Any]:
        """Compute loss and outputs for a batch, with the head of `train_on_current_task`.

        Parameters and result are those of `MAML.predict_on_batch`.

        Raises
        ------
        ValueError
            If there is no head yet.
        """
        if self._head is None:
            raise ValueError(
                "`predict_on_batch` needs a head: call `train_on_current_task` before, or predict "
                "with what `adapt` returns. Received: no head"
            )
        batch = self.model.read(inputs, "`inputs`")
        return self.runner.predict(Adapted(self.start_values(), self._head), batch)

    def fit(self, *args: Any, **options: Any) -> keras.callbacks.History:
        """Meta-train the learner's variables; see `MetaAlgorithm.fit`."""
        self._head = None
        return super().fit(*args, **options)

    def restore(self, best: bool = False) -> None:
        """Go back to a checkpoint; see `MetaAlgorithm.restore`."""
        self._head = None
        super().restore(best)

    def check_tasks(self, tasks: Any) -> None:
        """Raise ValueError if tasks have more classes than `ways`."""
        found = KnownSource.of(tasks).ways
        if found is not None and self.ways is not None and found > self.ways:
            raise ValueError(
                "Tasks must not have more classes than `ways`, which may be set anew. "
                f"Received: tasks of {found} classes for ways={self.ways}"
            )

    def traced_choices(self) -> Hashable:
        """Return the number of steps and of classes."""
        return super().traced_choices(), self.ways

    def outputs(self, predicted: tf.Tensor) -> tf.Tensor:
        """Return what `predict` gives, of the logits or predictions of `predict_features`."""
        if self.ways is None:
            return predicted
        if self._one_output and self.ways == 2:
            log_odds = predicted[:, 1:] - predicted[:, :1]
            return log_odds if self._from_logits else tf.sigmoid(log_odds)
        return predicted if self._from_logits else tf.nn.softmax(predicted)

    def assign(self, adapted: Adapted) -> None:
        """Give the learner's variables their adapted values, and keep the head."""
        super().assign(adapted)
        self._head = list(adapted.extra)

    def _check_embedded(self, embedded):
        """Raise ValueError unless there is a target for each embedded example.

        The targets' values are checked only where the batch is computed eagerly, as the first
        batch is. In a traced function a wrong target makes the result NaN.
        """
        targets, features = embedded.targets, embedded.features
        lengths = targets.shape[:1], features.shape[:1]
        if targets.shape.rank == 0 or not lengths[0].is_compatible_with(lengths[1]):
            raise ValueError(
                "`compute_embedding` must return a target for each example. Received: features of "
                f"shape {features.shape} and targets of shape {targets.shape}"
            )
        if tf.executing_eagerly():
            self._check_targets(targets.numpy(), targets.shape[1:], "`compute_embedding`")
        elif self.ways is None:
            self._check_regression(targets.dtype.is_integer, targets.dtype.name)

    def _check_targets(self, y, shape, source):
        """Raise ValueError unless targets, of `shape` for an example, are what the head takes."""
        if self.ways is None:
            self._check_regression(y.dtype.kind in "iub", y.dtype.name)
            fits = len(shape) <= 1
        else:
            fits = tuple(shape) in ((), (1,))
        if not fits:
            kind = "(examples,) or (examples, outputs)"
            hint = ""
            if self.ways is not None:
                kind = "(examples,) or (examples, 1)"
                hint = ". `np.argmax(y, -1)` makes class numbers of one-hot targets"
            raise ValueError(
                f"Targets must have the shape {kind}. "
                f"Received: y of shape {tuple(y.shape)} from {source}{hint}"
            )
        if self.ways is not None:
            check_classes("Targets", y, self.ways)
        elif not np.isfinite([y.min(), y.max()]).all():
            raise ValueError(f"Targets must be finite. Received: NaN or infinity from {source}")

    @staticmethod
    def _check_regression(integer, dtype):
        if integer:
            raise ValueError(
                "`ways` must be given for targets that are classes, and targets must be "
                f"floating-point for regression. Received: ways=None and y of {dtype}"
            )
