"""A model after its adaptation to one task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta._checks import check_count
from deepchem_meta.engine.batches import BatchReader
from deepchem_meta.metalearning._probabilities import class_log_probabilities, with_base_rate
from deepchem_meta.metalearning.adapted import Adapted
from deepchem_meta.metalearning.runner import TaskRunner
from deepchem_meta.metalearning.task_algorithm import TaskAlgorithm

__all__ = ["AdaptedTask"]


_EXAMPLES_AT_ONCE = 1024


class AdaptedTask:
    """What `adapt` returns: the learner's model with values of its variables of its own.

    Parameters
    ----------
    adapted : Adapted
        What adaptation gave.
    support : tuple of numpy.ndarray
        The arrays of the batch that the model is adapted to.
    algorithm : TaskAlgorithm
        What adapted it.
    runner : TaskRunner
        The compiled functions of the algorithm.
    class_names : array of str, optional
        The names of the classes 0, 1, ..., of a support set whose labels were words.

    Attributes
    ----------
    variables : list of tf.Tensor
        The adapted value of each of the learner's variables, in the learner's order.
    head : list of tf.Tensor
        What an algorithm with a head of its own computed besides (prototypes, say).
    class_names : array of str or None
        As given.
    """

    def __init__(
        self,
        adapted: Adapted,
        support: Sequence[Any],
        algorithm: TaskAlgorithm,
        runner: TaskRunner,
        class_names: np.ndarray | None = None,
    ):
        self.variables = list(adapted.params)
        self.head = list(adapted.extra)
        self.class_names = class_names
        self._support = support
        self._algorithm = algorithm
        self._model = algorithm.model
        self._runner = runner
        self._classes_as = algorithm.classes_as

    def predict(self, inputs: Any, batch_size: int | None = None) -> Any:
        """Return the model's outputs for examples, computed with ``training=False``.

        Parameters
        ----------
        inputs : array, or list or dict of arrays
            For a `KerasLearner` the model's x, without targets, the first axis the example. For
            any other learner a batch such as `get_batch` returns; where targets are not known, put
            any of the right shape: the outputs seldom depend on them.
        batch_size : int, optional
            How many examples of a `KerasLearner` to compute at once. By default 1024; all of them
            where BatchNormalization takes the statistics of the examples at hand
            (``batch_norm="transductive"``), so that their predictions depend on each other.

        Returns
        -------
        numpy.ndarray, or list or dict of numpy.ndarray
            As the model's outputs are.

        Raises
        ------
        TypeError, ValueError
            If `inputs` are not what the model takes, or `batch_size` is not as described.
        """
        if self._model.predicts_from_x:
            return self._in_batches(self._runner.outputs, inputs, batch_size)
        if batch_size is not None:
            raise TypeError(
                "`batch_size` needs a KerasLearner, since only of its batches the examples are "
                f"known. Received: batch_size={batch_size!r} for a "
                f"{type(self._model.learner).__name__}"
            )
        return tf.nest.map_structure(np.asarray, self.predict_on_batch(inputs)[1])

    def predict_std(self, inputs: Any, batch_size: int | None = None) -> np.ndarray:
        """Return the standard deviation of a measurement of each example, round its prediction.

        Of a normal distribution 90% is within 1.645 of them.

        Parameters
        ----------
        inputs, batch_size
            As in `predict`, for a `KerasLearner`.

        Returns
        -------
        float array of the shape that `predict` gives
            In the unit of the task's targets.

        Raises
        ------
        TypeError
            If the algorithm has no such spread, as `GaussianProcessHead` for regression has, or the
            learner is not a `KerasLearner`.
        ValueError
            If `inputs` are not what the model takes, or `batch_size` is not as described.
        """
        if not self._model.predicts_from_x:
            raise TypeError(
                "`predict_std` needs a KerasLearner. "
                f"Received: a {type(self._model.learner).__name__}"
            )
        return self._in_batches(self._runner.deviations, inputs, batch_size)

    def _in_batches(self, compute: Callable, inputs: Any, batch_size: int | None) -> Any:
        """Return what a function of a `KerasLearner`'s x gives, computed in batches."""
        # A reader of its own, since x alone is not the structure of a batch. In a tuple x is what
        # it is in (x, y), where a list of numbers is an array.
        reader = BatchReader(self._model.float_dtype)
        (x,) = reader.pack(reader.read((inputs,), "`inputs`"))
        if self._model.knows_batches:
            self._model.learner.check_x(x, "`inputs`")
        examples = len(tf.nest.flatten(x)[0])
        size = self._batch_size(batch_size, examples)
        adapted = Adapted(self.variables, self.head)
        parts = []
        for start in range(0, examples, size):
            rows = slice(start, start + size)
            part = tf.nest.map_structure(lambda array, rows=rows: array[rows], x)
            outputs = compute(adapted, part)
            parts.append(tf.nest.map_structure(lambda output: output.numpy(), outputs))
        return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)

    def predict_proba(
        self, inputs: Any, batch_size: int | None = None, *, base_rate: Any = None
    ) -> np.ndarray:
        """Return the probability of each class for examples.

        Parameters
        ----------
        inputs, batch_size
            As in `predict`.
        base_rate : float or array of shape (classes,), optional
            How often class 1 of two occurs among the examples, or how often each class does, above
            0 with a sum of 1. A model that has learned from tasks with as many examples of every
            class gives probabilities for such tasks; they are converted by Bayes' rule. By default
            they are left as they are.

        Returns
        -------
        float64 array of shape (examples, classes)
            The second column of two is the probability of class 1, of a model with a single output
            too. For outputs of each step of a sequence (examples, steps, classes).

        Raises
        ------
        TypeError
            If the outputs are not known to be of classes: the loss must be a cross-entropy of
            Keras', or the algorithm have `ways`.
        ValueError
            If `base_rate` is not as described.

        References
        ----------
        Saerens, Latinne and Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori
        Probabilities: A Simple Procedure", Neural Computation 14, 2002.
        """
        known = self._log_probabilities("predict_proba", inputs, batch_size)
        return np.exp(known if base_rate is None else with_base_rate(known, base_rate))

    def predict_classes(
        self, inputs: Any, batch_size: int | None = None, *, base_rate: Any = None
    ) -> np.ndarray:
        """Return the most probable class of each example.

        Parameters
        ----------
        inputs, batch_size, base_rate
            As in `predict_proba`.

        Returns
        -------
        array of shape (examples,)
            Of int64, the numbers of classes; of the support set's labels if these were words, and
            then one of those that it has.
        """
        known = self._log_probabilities("predict_classes", inputs, batch_size)
        known = known if base_rate is None else with_base_rate(known, base_rate)
        if self.class_names is None:
            return known.argmax(axis=-1)
        return self.class_names[known[..., : len(self.class_names)].argmax(axis=-1)]

    def _log_probabilities(self, method: str, inputs: Any, batch_size: int | None) -> np.ndarray:
        if self._classes_as is None:
            raise TypeError(
                f"`{method}` needs outputs of classes: a KerasLearner whose loss is one of "
                "Keras' cross-entropies, or an algorithm with `ways`. `predict` serves all. "
                f"Received: a {type(self._model.learner).__name__} without"
            )
        return class_log_probabilities(self.predict(inputs, batch_size), self._classes_as)

    def _batch_size(self, given: int | None, examples: int) -> int:
        """Return how many of `examples` examples to compute at once."""
        if given is not None:
            return check_count("batch_size", given, minimum=1)
        apart = not getattr(self._model.learner, "depends_on_batch", False)
        return min(examples, _EXAMPLES_AT_ONCE) if apart else examples

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
        outputs : tf.Tensor or list of tf.Tensor
        """
        arrays = self._model.read(inputs, "`inputs`")
        return self._runner.predict(Adapted(self.variables, self.head), arrays)

    def to_model(self) -> keras.Model:
        """Return the adapted model as a plain `keras.Model`, to predict with, save or train on.

        Of `ProtoNet`, `MatchingNet`, `RidgeRegressionHead` and `ProtoMAML` it is the encoder with
        the head of the support set, made of Keras' own layers and operations, so that Keras alone
        loads it. It gives what `predict` gives, to rounding.

        BatchNormalization predicts with its moving averages there. With ``batch_norm="support"``
        they are the support set's statistics, and with ``"running"`` those of meta-training, as in
        `predict`. No model by itself can be "transductive", with the statistics of the batch it
        predicts: it then gets the support set's, with a warning, since its predictions differ from
        those of `predict`.

        Returns
        -------
        keras.Model
            A copy; the meta-trained model stays as it is.

        Raises
        ------
        TypeError
            If the learner is not a `KerasLearner`, or Keras cannot copy its model; or the algorithm
            has a head of its own that is not known as layers.

        Warns
        -----
        UserWarning
            If ``batch_norm`` is "transductive" and the model has BatchNormalization.
        """
        support = tf.nest.map_structure(tf.convert_to_tensor, self._support)
        adapted = Adapted(self.variables, self.head)
        return self._algorithm.adapted_model(adapted, self._model.reader.pack(support))
