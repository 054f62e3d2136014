"""Any Keras model over any source of tasks, as a learner."""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta._checks import check_flag, check_option
from deepchem_meta.engine.batches import BatchReader
from deepchem_meta.engine.learner_model import flat_features
from deepchem_meta.metalearning._batch_checks import BatchChecks
from deepchem_meta.metalearning._batch_norm import MODES
from deepchem_meta.metalearning._keras_copies import copy_model, flat_encoder
from deepchem_meta.metalearning._keras_function import KerasFunction, build_model
from deepchem_meta.metalearning._keras_inputs import example_inputs, tensor_specs
from deepchem_meta.metalearning._keras_loss import OutputLoss
from deepchem_meta.metalearning._keras_metrics import find_metrics
from deepchem_meta.metalearning._task_source import check_episodes, first_support
from deepchem_meta.metalearning.learner import MetaLearner
from deepchem_meta.tasks.streams import as_source

__all__ = ["KerasLearner"]


class KerasLearner(MetaLearner):
    """A Keras model and the tasks that it is to learn from.

    Every weight of the model that is trainable is meta-learned. What the model changes itself
    (moving averages) is carried through the steps of adaptation, and averaged over the tasks of a
    meta-step. Dropout draws anew for every task, step of adaptation and meta-step, from the
    algorithm's ``seed``.

    Parameters
    ----------
    model : keras.Model
        Sequential, functional or subclassed, built or not; with one or several inputs and
        outputs. Regularisation losses and those of ``add_loss`` are added to `loss`.
    loss : str, callable or keras.losses.Loss, or a list or dict of them
        As in ``keras.Model.compile``. As in Keras the loss of an example is multiplied by its
        sample weight and the mean is over examples, or over unmasked steps; those with weight 0 do
        not count. Of several outputs the losses are added up. Targets, losses and metrics are
        paired with the outputs as Keras does it: by place, or by name where they are dicts.
    tasks : object or tf.data.Dataset
        Anything with ``sample(n, rng)``, such as the sources in `deepchem_meta.tasks`, which gives
        `n` tasks as ``(support, query)``, each ``(x, y)`` or ``(x, y, sample_weight)`` whose first
        axis is the task and whose second is the example; or a dataset of ``(support, query)``, a
        task an element. Without tasks the learner can be adapted, and evaluated on other tasks, but
        `fit` has nothing to draw from; the model must then begin with a ``keras.Input``.
    loss_weights : float, or list or dict of float, optional
        What the loss of each output is multiplied by, as in ``keras.Model.compile``.
    metrics : list or dict of str, callable or keras.metrics.Metric, default ()
        What `evaluate` reports besides the loss. Of several outputs a list with an entry for each,
        or a dict by their names. Sample weights count. A metric by name that takes probabilities
        ("AUC", "Precision") gets them where the loss takes logits; as an object it must be made
        for logits there.
    batch_norm : {"transductive", "support", "running"}, default "transductive"
        Where BatchNormalization takes its statistics from.

        - "transductive": always from the batch at hand, the query set's own in prediction, as in
          the paper on MAML. Predictions for an example depend on those beside it.
        - "support": from the task's support set, as the adapted model sees it, so that a single
          example can be predicted.
        - "running": from the batch at hand in training and from the moving averages in
          prediction, as Keras does. They are updated during `fit`.

        A layer with ``trainable=False`` uses its moving averages in all modes, as in Keras.
    dropout_in_adaptation : bool, default False
        Whether Dropout, noise and augmentation act in the steps of adaptation of `adapt`,
        `evaluate` and `train_on_current_task`. By default they act in `fit` alone, and an adapted
        model is the same whatever the seed, as a trained model's predictions are (Srivastava et al.
        2014). BatchNormalization is not concerned.
    embedding : str, optional
        The name of the layer whose output is the embedding that `ProtoNet` and its relatives work
        on; by default the model's output is. Of a Sequential or functional model.

    Attributes
    ----------
    model : keras.Model
        As given. `fit` changes its weights; `adapt` and `evaluate` do not.
    tasks : object or None
        The source of tasks.
    metrics : list of keras.metrics.Metric
        As Keras objects.
    metric_names : list of str
        What `evaluate` calls them: with the output's name in front if there are several.
    batch_norm : str
        As given.

    Raises
    ------
    TypeError
        If `model` is no Keras model, or `tasks` has no `sample`.
    ValueError
        If the model cannot be built on the tasks' x; if what `sample`
        gives is not as described; or if targets, outputs, loss and metrics do not fit together.

    Examples
    --------
    >>> import keras
    >>> import deepchem_meta as dc
    >>> model = keras.Sequential([keras.layers.Dense(40, "relu"), keras.layers.Dense(1)])
    >>> learner = dc.metalearning.KerasLearner(model, "mse", dc.tasks.SinusoidTasks(shots=10))
    >>> maml = dc.metalearning.MAML(learner, learning_rate=0.01, meta_batch_size=4)
    >>> history = maml.fit(10, verbose=0)

    References
    ----------
    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML 2017, https://arxiv.org/abs/1703.03400

    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: A Simple Way to Prevent
    Neural Networks from Overfitting", JMLR 2014.

    Bronskill et al., "TaskNorm: Rethinking Batch Normalization for Meta-Learning", ICML 2020,
    https://arxiv.org/abs/2003.03284, on what the modes of BatchNorm mean.
    """

    takes_sample_weights = True
    knows_adaptation = True

    def __init__(
        self,
        model: keras.Model,
        loss: Any,
        tasks: Any = None,
        *,
        loss_weights: Any = None,
        metrics: Sequence[Any] | dict[str, Any] = (),
        batch_norm: str = "transductive",
        dropout_in_adaptation: bool = False,
        embedding: str | None = None,
    ):
        if not isinstance(model, keras.Model):
            raise TypeError(f"`model` must be a keras.Model. Received: model={model!r}")
        check_option("batch_norm", batch_norm, MODES)
        check_flag("dropout_in_adaptation", dropout_in_adaptation)
        self.tasks = None if tasks is None else as_source(tasks)
        self.model = model
        self._rng = np.random.default_rng(random.randrange(2**31))
        self._selected: Any = None
        first = None if tasks is None else first_support(self.tasks)
        x = tf.nest.map_structure(
            tf.convert_to_tensor, first[0] if first else example_inputs(model)
        )
        outputs = build_model(model, x)
        self._embedding = embedding
        self._function = KerasFunction(
            model,
            tf.nest.map_structure(lambda array: array[:1], x),
            batch_norm=batch_norm,
            dropout_in_adaptation=dropout_in_adaptation,
            embedding=embedding,
        )
        #: Whether the model has a single output, the log-odds of two classes or one number.
        self.one_output = tf.is_tensor(outputs) and outputs.shape[1:] == [1]
        names = getattr(model, "output_names", None)
        self._loss = OutputLoss(loss, outputs, names, loss_weights)
        self._checks = BatchChecks(x, outputs, self._loss, self._function.compute_only)
        if first:
            self._checks.check(first, "`tasks`", 1)
        y = first[1] if first else self._loss.example_targets(outputs)
        y = tf.nest.map_structure(tf.convert_to_tensor, y)
        self._specs = tensor_specs(x, model), tensor_specs(y)
        #: Whether the loss takes the outputs for logits.
        self.from_logits = None not in self._loss.probabilities
        #: What the outputs are of classes: "logits" or "probabilities"; None where they are not.
        self.classes_as = self._loss.classes_as(outputs)
        self._metrics = find_metrics(metrics, self._loss, y, outputs)
        self.metrics = [one.metric for one in self._metrics]
        self.metric_names = [one.name for one in self._metrics]

    @property
    def variables(self) -> list[keras.Variable]:
        """The model's variables: the trainable ones, then the others."""
        return list(self._function.variables)

    @property
    def batch_norm(self) -> str:
        """The mode of BatchNormalization."""
        return self._function.batch_norm

    @batch_norm.setter
    def batch_norm(self, mode: str) -> None:
        self._function.batch_norm = mode

    @property
    def has_batch_norm(self) -> bool:
        """Whether the model has a layer of BatchNormalization."""
        return bool(self._function.batch_norms)

    @property
    def support_state(self) -> bool:
        """Whether prediction needs statistics of the support set."""
        return self.batch_norm == "support" and self.has_batch_norm

    @property
    def depends_on_batch(self) -> bool:
        """Whether the prediction for an example depends on those beside it."""
        return self.batch_norm == "transductive" and self.has_batch_norm

    @property
    def embeds_apart(self) -> bool:
        """Whether each example is embedded in training without regard to those beside it.

        It is not if BatchNormalization takes the statistics of a batch, the model changes a state
        of its own, or layers have losses.
        """
        return self._function.embeds_apart

    # The model.

    def compute_model(
        self, inputs: Any, variables: Sequence[tf.Tensor], training: bool
    ) -> tuple[tf.Tensor, Any]:
        """Compute the model for a batch, as `MetaLearner.compute_model` does.

        Parameters
        ----------
        inputs : tuple
            ``(x, y)`` or ``(x, y, sample_weight)``.
        variables : list of tf.Tensor
            A value for each of `variables`.
        training : bool
            Passed on to the model.

        Returns
        -------
        loss : tf.Tensor
            A scalar.
        outputs : tf.Tensor or nested structure of tf.Tensor
            What the model gives.
        """
        return self.compute_model_and_state(inputs, variables, training)[:2]

    def compute_model_and_state(
        self,
        inputs: Any,
        variables: Sequence[tf.Tensor],
        training: bool,
        *,
        role: str = "query",
        key: tf.Tensor | None = None,
        adapting: bool = False,
    ) -> tuple[tf.Tensor, Any, list[tf.Tensor]]:
        """Compute the model for a batch, and its state after that.

        Parameters
        ----------
        inputs, variables, training
            As in `compute_model`.
        role : {"support", "query"}, default "query"
            Which set of its task the batch is; see ``batch_norm``.
        key : int64 tensor of shape (4,), optional
            What Dropout draws from; without one it draws from the model's own seeds.
        adapting : bool, default False
            Whether this is a step of adaptation outside `fit`; see ``dropout_in_adaptation``.

        Returns
        -------
        loss : tf.Tensor
            A scalar.
        outputs : tf.Tensor or nested structure of tf.Tensor
            What the model gives.
        variables : list of tf.Tensor
            The values with the model's state as the computation leaves it.
        """
        x, y, weights = _parts(inputs)
        outputs, after, extra = self._function.call(
            x, variables, training=training, role=role, key=key, weights=weights, adapting=adapting
        )
        loss = self._loss(y, outputs, weights)
        for term in extra:
            loss += tf.cast(term, loss.dtype)
        return loss, outputs, after

    def compute_outputs(self, x: Any, variables: Sequence[tf.Tensor]) -> Any:
        """Return the model's outputs, which need no targets.

        Parameters
        ----------
        x : nested structure of tf.Tensor
            The model's inputs, the first axis the example.
        variables : list of tf.Tensor
            A value for each of `variables`.
        """
        return self._function.call(x, variables).outputs

    def compute_embedding_and_state(
        self,
        inputs: Any,
        variables: Sequence[tf.Tensor],
        training: bool,
        *,
        role: str = "query",
        key: tf.Tensor | None = None,
        adapting: bool = False,
    ) -> tuple:
        """Compute the embedding of a batch, and the model's state after that.

        Parameters are those of `compute_model_and_state`.

        Returns
        -------
        features : tensor of shape (examples, size)
        targets : tensor of shape (examples, ...)
        weights : tensor of shape (examples,) or None
            Sample weights.
        penalty : scalar tf.Tensor or None
            The sum of the layers' losses.
        variables : list of tf.Tensor
            The values with the model's state as the computation leaves it.
        """
        x, y, weights = _parts(inputs)
        features, after, extra = self._function.call(
            x,
            variables,
            training=training,
            role=role,
            key=key,
            weights=weights,
            adapting=adapting,
            embedding=True,
        )
        if weights is not None:
            weights = tf.reshape(weights, (-1,))
        penalty = tf.add_n([tf.cast(term, extra[0].dtype) for term in extra]) if extra else None
        return flat_features(features), y, weights, penalty, after

    def compute_features(self, x: Any, variables: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the embedding of x, of shape (examples, size), which needs no targets.

        Parameters are those of `compute_outputs`.
        """
        return flat_features(self._function.call(x, variables, embedding=True).outputs)

    def embed(self, x: Any) -> np.ndarray:
        """Return the embedding of examples by the model as it is now.

        Parameters
        ----------
        x : array or nested structure of arrays
            The model's inputs, the first axis the example.

        Returns
        -------
        array of shape (examples, size)
            With the model's dtype.
        """
        reader = BatchReader(np.float32)
        x = reader.pack(reader.read(x, "`x`"))
        self.check_x(x, "`x`")
        tensors = tf.nest.map_structure(tf.convert_to_tensor, x)
        return self.compute_features(tensors, self._function.present_values()).numpy()

    def compute_metrics(self, inputs: Any, outputs: Any) -> dict[str, tf.Tensor]:
        """Return each of `metrics` for a batch and the model's outputs for it.

        Parameters
        ----------
        inputs : tuple
            ``(x, y)`` or ``(x, y, sample_weight)``.
        outputs : tf.Tensor
            What the model gives for it.

        Returns
        -------
        dict of float64 scalar
            By the metrics' names.
        """
        _, y, weights = _parts(inputs)
        targets = self._loss.targets(y)
        return {metric.name: metric(targets, outputs, weights) for metric in self._metrics}

    def check_batch(
        self, inputs: Any, source: str = "`inputs`", *, stacked: bool = False, targets: bool = True
    ) -> None:
        """Raise unless a batch is as the model and its loss need it.

        Every entry point of an algorithm calls it for every batch, before anything is computed.

        Parameters
        ----------
        inputs : tuple
            ``(x, y)`` or ``(x, y, sample_weight)``, of NumPy arrays.
        source : str, default "`inputs`"
            Where it comes from, for messages.
        stacked : bool, default False
            Whether the first axis is the task and the second the example.
        targets : bool, default True
            Whether y must fit the loss.

        Raises
        ------
        TypeError, ValueError
            If x, y and sample weights have different numbers of examples; x does not fit the
            model; y has another shape than the outputs (a last axis of 1 may be there or not, as in
            Keras), or values that the loss has no meaning for; or all sample weights are 0.
        """
        self._checks.check(inputs, source, 2 if stacked else 1, targets)

    def check_x(self, x: Any, source: str = "`x`") -> None:
        """Raise unless the model can be computed on x.

        Parameters
        ----------
        x : nested structure of numpy.ndarray
            The model's inputs, the first axis the example.
        source : str, default "`x`"
            Where x comes from, for messages.

        Raises
        ------
        ValueError
            If the model cannot be computed on x.
        """
        self._checks.check_x(x, source)

    def to_model(self, variables: Sequence[tf.Tensor], support: Any) -> keras.Model:
        """Return a copy of the model with given weights.

        Parameters
        ----------
        variables : list of tf.Tensor
            A value for each of `variables`.
        support : tuple
            ``(x, y)`` or ``(x, y, sample_weight)``: the batch whose statistics BatchNormalization
            has in the copy if ``batch_norm`` is "transductive", which no model by itself can be.

        Returns
        -------
        keras.Model

        Raises
        ------
        TypeError
            If Keras cannot copy the model.

        Warns
        -----
        UserWarning
            If the copy predicts with other statistics than an adapted task does.
        """
        if self.depends_on_batch:
            warnings.warn(
                'A Keras model by itself cannot be `batch_norm="transductive"`: its '
                "BatchNormalization predicts with the statistics of the support set, and `predict` "
                "of the adapted task with those of the batch at hand, so their outputs differ. "
                'With `batch_norm="support"` or "running" they are the same.',
                stacklevel=4,
            )
            x, _, weights = _parts(support)
            variables = self._function.call(
                x, variables, role="support", weights=weights, batch_norm="support"
            ).values
        function = self._function
        return copy_model(self.model, function.variables, variables, function.example)

    def to_encoder(self, variables: Sequence[tf.Tensor], support: Any) -> keras.Model:
        """Return a copy of the model up to the embedding, with given weights.

        Its output has the shape (examples, size), as `compute_features` has it. Parameters,
        exceptions and warnings are those of `to_model`.
        """
        copy = self.to_model(variables, support)
        return flat_encoder(copy, self._embedding, self._function.example)

    def batch_specs(self) -> tuple:
        """Return x and y as tensor specifications in their structures.

        Sizes that may differ from batch to batch, the number of examples among them, are None.
        """
        return self._specs

    # The tasks.

    def sample_tasks(self, n: int, rng: np.random.Generator) -> tuple:
        """Draw tasks.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            What to draw from.

        Returns
        -------
        support, query : tuple
            ``(x, y)`` or ``(x, y, sample_weight)``, the first axis the task.

        Raises
        ------
        ValueError
            If there are no tasks.
        """
        if self.tasks is None:
            raise ValueError(
                "Tasks can only be drawn by a learner that has them: give `tasks` to KerasLearner. "
                "Received: tasks=None"
            )
        return check_episodes(self.tasks.sample(n, rng))

    def select_task(self) -> None:
        """Draw a task for `get_batch`."""
        self._selected = self.sample_tasks(1, self._rng)

    def get_batch(self) -> tuple:
        """Return the support set of the selected task, as often as it is asked for.

        `fit` draws its tasks through `sample_tasks`; this is for `train_on_current_task`, all
        whose steps are then on the support set. Query sets are scored by `evaluate`.
        """
        if self._selected is None:
            self.select_task()
        return tf.nest.map_structure(lambda array: array[0], self._selected[0])

    def get_state(self) -> Any:
        """Return where the source of tasks stands, if it keeps a place of its own."""
        get_state = getattr(self.tasks, "get_state", None)
        return get_state() if get_state else None

    def set_state(self, state: Any) -> None:
        """Put the source of tasks, if there is one, back to where it stood."""
        if self.tasks is not None:
            self.tasks.set_state(state)


def _parts(inputs: Any) -> tuple:
    """Return x, y and the sample weights of a batch, None where it has none."""
    x, y, *weights = inputs
    return x, y, weights[0] if weights else None
