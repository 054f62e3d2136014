"""Copies of Keras models, and models that are parts of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from deepchem_meta.metalearning._keras_inputs import input_structure

__all__ = ["copy_model", "flat_encoder", "model_up_to"]


def copy_model(
    model: keras.Model,
    variables: Sequence[keras.Variable],
    values: Sequence[tf.Tensor],
    example: Any,
) -> keras.Model:
    """Return a copy of a model with given weights.

    Parameters
    ----------
    model : keras.Model
        Built.
    variables : list of keras.Variable
        The model's, in any order.
    values : list of tf.Tensor
        A value for each of `variables`.
    example : nested structure of tf.Tensor
        Inputs of the model, for which the copy is called.

    Raises
    ------
    TypeError
        If Keras cannot copy the model.
    """
    copy = _copy(model, example)
    given = {id(v): value for v, value in zip(variables, values, strict=True)}
    for weight, of_model in zip(copy.weights, model.weights, strict=True):
        weight.assign(given[id(of_model)])
    for layer in copy._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it keeps what follows from its weights
    copy(example, training=False)  # ONNX needs a model that was called
    return copy


def flat_encoder(model: keras.Model, layer: str | None, example: Any) -> keras.Model:
    """Return a model from inputs of its own to an embedding of shape (examples, size).

    Parameters
    ----------
    model : keras.Model
        Whose layers it shares.
    layer : str, optional
        The name of the layer whose output is the embedding; by default the model's output is.
    example : nested structure of tf.Tensor
        Inputs of the model, for one that does not know them.
    """
    if layer is not None:
        model = model_up_to({one.name: one for one in model.layers}[layer], model.inputs)
    known = input_structure(model)
    inputs = tf.nest.map_structure(_fresh_input, example if known is None else known)
    features = model(inputs)
    if len(features.shape) != 2:
        features = keras.layers.Flatten()(features)
    return keras.Model(inputs, features)


def model_up_to(layer: keras.layers.Layer, inputs: Any) -> keras.Model:
    """Return the model from `inputs` to the output of a layer, which other models may share."""
    calls = [node.output_tensors for node in layer._inbound_nodes]
    outputs = next(outputs for outputs in calls if _come_from(outputs, inputs))
    return keras.Model(inputs, outputs[0] if len(outputs) == 1 else outputs)


def _copy(model: keras.Model, example: Any) -> keras.Model:
    try:
        if isinstance(model, keras.Sequential) or type(model).__name__ == "Functional":
            return keras.models.clone_model(model)
        copy = type(model).from_config(model.get_config())
        copy(example)
    except Exception as error:
        raise TypeError(
            "The model cannot be copied: every layer and model that you have written must have "
            "a `get_config` that returns its constructor's arguments. "
            f"Received: {type(model).__name__}: {error}"
        ) from error
    return copy


def _fresh_input(tensor: Any) -> Any:
    """Return an input of a new model for a tensor of another one."""
    name = getattr(tensor, "name", None) if not tf.is_tensor(tensor) else None
    return keras.Input(
        tensor.shape[1:], dtype=keras.backend.standardize_dtype(tensor.dtype), name=name
    )


def _come_from(outputs: Any, inputs: Any) -> bool:
    """Return whether symbolic tensors are computed from a model's inputs alone."""
    known, waiting = set(map(id, inputs)), list(outputs)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in known:
            continue
        known.add(id(tensor))
        history = tensor._keras_history
        sources = history.operation._inbound_nodes[history.node_index].input_tensors
        if not sources:  # an input of another model
            return False
        waiting += sources
    return True
