"""The model and the tasks that a metalearning algorithm works on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import tensorflow as tf

__all__ = ["MetaLearner", "StatefulLearner"]


class MetaLearner:
    """A model that can be trained on many tasks, and the tasks' data.

    Subclass it to define a learning problem; any other object with these methods does too, a
    subclass of ``deepchem.metalearning.MetaLearner`` for one.

    More methods are optional.

    ``sample_tasks(n, rng)`` draws `n` tasks at once with the
    `numpy.random.Generator` it is given, and returns (support, query), two batches whose arrays
    have the task as first axis; it pays where drawing batches one by one takes longer than training
    on them. `fit` then calls it and neither `select_task` nor `get_batch`. ``get_state()`` returns
    where `select_task` and `get_batch` stand (numbers, strings, bytes, NumPy arrays, and lists,
    tuples and dicts of them), and ``set_state(state)`` goes back there; with both, a run that is
    resumed from a checkpoint continues with the batches that an uninterrupted one would have had.

    ``support_loss(inputs, outputs, variables)`` is what adaptation minimises in place of the loss
    that `compute_model` returns, a scalar: one with a penalty on the variables, one that needs no
    labels, or a learned one, whose variables `variables` lists and ``adapt_variables`` leaves out.

    ``compute_embedding(inputs, variables, training)`` returns (features, targets) for `ProtoNet`
    and its relatives: tensors of shape (examples, size) and (examples,) or (examples, 1).

    Examples
    --------
    >>> import numpy as np
    >>> import tensorflow as tf
    >>> import deepchem_meta as dc
    >>> class LineLearner(dc.metalearning.MetaLearner):
    ...     '''Learns lines of any slope from five points.'''
    ...
    ...     def __init__(self):
    ...         self.slope = tf.Variable(0.0)
    ...         self.rng = np.random.default_rng(0)
    ...
    ...     def compute_model(self, inputs, variables, training):
    ...         x, y = inputs
    ...         prediction = variables[0] * x
    ...         return tf.reduce_mean((prediction - y) ** 2), [prediction]
    ...
    ...     @property
    ...     def variables(self):
    ...         return [self.slope]
    ...
    ...     def select_task(self):
    ...         self.true_slope = self.rng.normal()
    ...
    ...     def get_batch(self):
    ...         x = self.rng.normal(size=5).astype("float32")
    ...         return [x, np.float32(self.true_slope) * x]
    >>> maml = dc.metalearning.MAML(LineLearner(), learning_rate=0.1, meta_batch_size=4)
    >>> history = maml.fit(10, verbose=0)
    """

    def compute_model(
        self, inputs: Any, variables: Sequence[tf.Tensor], training: bool
    ) -> tuple[tf.Tensor, Any]:
        """Compute the model for a batch, with given values for its variables.

        It is called in eager mode once and then traced by `tf.function`, with autograph, so it must
        not call `numpy()`; `if` and `for` on tensors work.

        Parameters
        ----------
        inputs : list of tf.Tensor
            A batch as `get_batch` returns it, in the same structure, as tensors.
        variables : list of tf.Tensor
            A value for each of `variables`, in the same order: the variables themselves, or what
            they are after some steps of adaptation to a task. Use these and not the learner's own
            variables: what is read from those directly is held at its meta-learned value while
            the others adapt.
        training : bool
            Whether the model is used for training or for prediction.

        Returns
        -------
        loss : tf.Tensor
            A floating-point scalar. A loss of several values is summed.
        outputs : list of tf.Tensor
            The model's outputs.
        """
        raise NotImplementedError("Subclasses of MetaLearner must implement compute_model.")

    @property
    def variables(self) -> list[tf.Variable]:
        """The variables to train, a list of `tf.Variable` or Keras variables, always the same.

        Those of a floating dtype with ``trainable=True`` are meta-learned; integers and those with
        ``trainable=False`` are not.
        """
        raise NotImplementedError("Subclasses of MetaLearner must implement variables.")

    def select_task(self) -> None:
        """Select a new task, from which `get_batch` draws until the next call."""
        raise NotImplementedError("Subclasses of MetaLearner must implement select_task.")

    def get_batch(self) -> Any:
        """Return a batch of the selected task's data; each call should return a different one.

        It is called twice for each task in `fit`, first for the support set, then for the query
        set. `fit` calls it in a thread, ahead of the meta-step that uses it; a learner whose
        batches depend on its variables is noticed, and one that cannot be called from another
        thread (an open database connection) needs ``fit(..., steps_per_execution=1)``.

        Returns
        -------
        list of arrays
            NumPy arrays, tensors, lists or numbers of any numeric dtype, as many in each batch.
            Their sizes may differ from batch to batch, their numbers of dimensions may not.
            Arrays and tensors keep their dtype; Python floats take the dtype of the learner's
            first floating-point variable.
        """
        raise NotImplementedError("Subclasses of MetaLearner must implement get_batch.")

    def parameters(self) -> Iterator[tf.Variable]:
        """Return an iterator over the variables. It is DeepChem's; nothing here calls it."""
        return iter(self.variables)


@runtime_checkable
class StatefulLearner(Protocol):
    """A `MetaLearner` whose model changes values of its own as it is computed.

    Moving averages and counters are such values. A learner with this method, beside those of
    `MetaLearner`, is computed through it, and needs nothing else. The values that a task ends with
    are merged over the tasks of a meta-step: floats as means, integers by what each task added.

    `KerasLearner` is one. It has more methods, each of which may be there or not:
    ``compute_embedding_and_state`` (with an embedding's features, targets, weights, penalty and
    values), ``check_batch``, ``compute_outputs`` (from x alone) and ``compute_metrics``.
    """

    def compute_model_and_state(
        self,
        inputs: Any,
        variables: Sequence[tf.Tensor],
        training: bool,
        *,
        role: str = "query",
        key: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, Any, list[tf.Tensor]]:
        """Compute the model for a batch, and its state after that.

        Parameters
        ----------
        inputs, variables, training
            As in `MetaLearner.compute_model`.
        role : {"support", "query"}, default "query"
            Which set of its task the batch is.
        key : int64 tensor of shape (4,), optional
            What random numbers are to be drawn from: the seed, the meta-step, the task in it, and
            the pass through the model.

        Returns
        -------
        loss : tf.Tensor
            A floating-point scalar.
        outputs : list of tf.Tensor
            The model's outputs.
        variables : list of tf.Tensor
            The values given, with the model's state as the computation leaves it.
        """
        ...
