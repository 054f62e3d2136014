"""A Keras model as a pure function of its variables' values."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta.engine.learner_model import flat_features
from deepchem_meta.metalearning._batch_norm import (
    batch_norm_layers,
    batch_norm_mode,
    exact_moments,
)
from deepchem_meta.metalearning._keras_copies import model_up_to
from deepchem_meta.metalearning._keras_outputs import shapes_of

__all__ = ["FunctionCall", "KerasFunction", "build_model"]

_SEED = "seed_generator_state"  # what Keras calls the state of a SeedGenerator
# Layers and `tf.nn.moments` are replaced while a model is called, and batches of a new shape are
# checked in the thread that draws them.
_CALLING = threading.RLock()
_MOST_DRAWS = 4096  # of one SeedGenerator in one pass through the model


class FunctionCall(NamedTuple):
    """What a pass through a model gives.

    Attributes
    ----------
    outputs : tf.Tensor or nested structure of tf.Tensor
        The model's, or those of the layer of the embedding.
    values : list of tf.Tensor
        The values given, with the model's state as the pass leaves it.
    losses : list of tf.Tensor
        Those of layers: of regularisation and of ``add_loss``.
    """

    outputs: Any
    values: list[tf.Tensor]
    losses: list[tf.Tensor]


class KerasFunction:
    """A Keras model as a pure function of its variables' values.

    Parameters
    ----------
    model : keras.Model
        Built.
    example : nested structure of tf.Tensor
        The model's inputs, of one example.
    batch_norm : {"transductive", "support", "running"}
        Where BatchNormalization takes its statistics from; see `KerasLearner`.
    dropout_in_adaptation : bool
        Whether random layers act in the steps of adaptation outside `fit`.
    embedding : str, optional
        The name of the layer whose output is the embedding; by default the model's output is.

    Attributes
    ----------
    model : keras.Model
        As given.
    example : nested structure of tf.Tensor
        As given.
    batch_norm : str
        As given.
    batch_norms : list of keras.layers.BatchNormalization
        The model's layers of that kind, inner ones included.
    variables : list of keras.Variable
        The model's: the trainable ones, then the others.

    Raises
    ------
    ValueError
        If `embedding` names no layer of a Sequential or functional model.
    """

    def __init__(
        self,
        model: keras.Model,
        example: Any,
        *,
        batch_norm: str,
        dropout_in_adaptation: bool = False,
        embedding: str | None = None,
    ):
        self.model = model
        self.example = example
        self.batch_norm = batch_norm
        self.batch_norms = batch_norm_layers(model)
        self._dropout_in_adaptation = dropout_in_adaptation
        self._trainable = len(model.trainable_variables)
        self.variables = [*model.trainable_variables, *model.non_trainable_variables]
        self._seeds = [i for i, v in enumerate(self.variables) if v.name == _SEED]
        self._embedder = _find_embedder(model, embedding)

    @property
    def embeds_apart(self) -> bool:
        """Whether each example is embedded in training without regard to those beside it."""
        if any(layer.trainable for layer in self.batch_norms):
            return False
        values = self.present_values()
        two = tf.nest.map_structure(lambda x: tf.concat([x, 0 * x], axis=0), self.example)
        key = tf.zeros(4, tf.int64)
        _, after, losses = self.call(two, values, training=True, key=key, embedding=True)
        if losses or any(a is not b for a, b in zip(after, values, strict=True)):
            return False
        beside, alone = (
            flat_features(self.call(x, values, embedding=True).outputs) for x in (two, self.example)
        )
        return np.allclose(beside[:1], alone, rtol=1e-3, atol=1e-5)

    def present_values(self) -> list[tf.Tensor]:
        """Return the variables' values as they are now."""
        return [tf.convert_to_tensor(variable) for variable in self.variables]

    def call(
        self,
        x: Any,
        values: Sequence[tf.Tensor],
        *,
        training: bool = False,
        role: str = "query",
        key: tf.Tensor | None = None,
        weights: tf.Tensor | None = None,
        adapting: bool = False,
        batch_norm: str | None = None,
        embedding: bool = False,
    ) -> FunctionCall:
        """Compute the model for a batch.

        Parameters
        ----------
        x : nested structure of tf.Tensor
            The model's inputs, the first axis the example.
        values : list of tf.Tensor
            A value for each of `variables`.
        training : bool, default False
            Passed on to the model.
        role : {"support", "query"}, default "query"
            Which set of its task the batch is.
        key : int64 tensor of shape (4,), optional
            What random layers draw from; without one they draw from the model's own seeds.
        weights : tensor of shape (examples, ...), optional
            Sample weights. BatchNormalization leaves out examples with weight 0.
        adapting : bool, default False
            Whether this is a step of adaptation outside `fit`.
        batch_norm : str, optional
            A mode for this pass in the place of `batch_norm`.
        embedding : bool, default False
            Whether to compute the embedding and not the model's outputs.
        """
        model = self._embedder if embedding else self.model
        quiet = training and adapting and not self._dropout_in_adaptation
        start = self._with_seeds(values, key)
        scope = keras.StatelessScope(
            list(zip(self.variables, start, strict=True)), collect_losses=True
        )
        mode = batch_norm_mode(
            self.batch_norms, batch_norm or self.batch_norm, role, weights, quiet or None
        )
        with _CALLING, exact_moments(), mode, scope:
            outputs = model(x, training=training and not quiet)
            losses = model.losses
        return FunctionCall(outputs, self._after(values, start, scope), losses)

    def compute_only(self, x: Any) -> Any:
        """Return the model's outputs for a batch as `build_model` does, and leave its state."""
        with _CALLING, keras.StatelessScope():
            return build_model(self.model, tf.nest.map_structure(tf.convert_to_tensor, x))

    def _with_seeds(self, values: Sequence[tf.Tensor], key: tf.Tensor | None) -> list[tf.Tensor]:
        """Return the values that a pass begins with: the states of random layers are the key's."""
        start = list(values)
        if key is not None:
            for index, seed in zip(self._seeds, _seeds(key, len(self._seeds)), strict=True):
                start[index] = seed
        return start

    def _after(
        self, values: Sequence[tf.Tensor], start: list[tf.Tensor], scope: keras.StatelessScope
    ) -> list[tf.Tensor]:
        """Return the values with what a pass has changed, the states of random layers aside."""
        after = list(values)
        for index in range(self._trainable, len(after)):
            new = scope.get_current_value(self.variables[index])
            if index not in self._seeds and new is not None and new is not start[index]:
                after[index] = tf.cast(new, values[index].dtype)
        return after


def build_model(model: keras.Model, x: Any) -> Any:
    """Build a model if it is not, and return its outputs for some batch.

    Raises
    ------
    ValueError
        If the model cannot be computed on x.
    """
    try:
        return model(x, training=False)
    except Exception as error:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # Keras prints parts in bold
        lines = [line.strip() for line in plain.splitlines() if line.strip()]
        # Keras' own first line says in which layer, the next one why.
        reason = " ".join(lines[:2])
        raise ValueError(
            "`model` cannot be computed on x. Received: x of shapes "
            f"{shapes_of(x)} (the first axis is the example): {reason}"
        ) from error


def _find_embedder(model: keras.Model, layer: str | None) -> keras.Model:
    """Return the model whose output is the embedding; it shares the model's layers."""
    if layer is None:
        return model
    found = {one.name: one for one in model.layers}
    if layer not in found or not getattr(model, "inputs", None):
        raise ValueError(
            "`embedding` must name a layer of a Sequential or functional model. Received: "
            f"embedding={layer!r} for a {type(model).__name__} with the layers "
            f"{list(found)}"
        )
    return model_up_to(found[layer], model.inputs)


def _seeds(key: tf.Tensor, count: int) -> list[tf.Tensor]:
    """Return a state for each of the model's SeedGenerators, from the key of a pass."""
    if not count:
        return []
    folded = tf.cast(tf.stack([key[0] % (2**31 - 1), tf.zeros((), tf.int64)]), tf.int32)
    for number in tf.unstack(key[1:]):
        folded = tf.random.fold_in(folded, tf.cast(number, tf.int32))
    # What was folded in last is only in the second number; one more time, and it is in the first.
    first = tf.cast(tf.random.fold_in(folded, 0)[0], tf.int64)
    return [tf.stack([first, tf.constant(i * _MOST_DRAWS, tf.int64)]) for i in range(count)]
