"""Inputs of a Keras model: zeros where nobody has given any yet, and their specifications."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

__all__ = ["example_inputs", "input_structure", "tensor_specs"]

_OPEN_AXIS = 64  # enough for a stack of convolutions and poolings


def example_inputs(model: keras.Model) -> Any:
    """Return zeros in the structure, shapes and dtypes of a model's inputs, for one example.

    Parameters
    ----------
    model : keras.Model
        One that knows its inputs, as functional and Sequential models with a ``keras.Input`` do.
        Axes of open size get a size of 64.

    Returns
    -------
    nested structure of numpy.ndarray

    Raises
    ------
    ValueError
        If the model does not know its inputs.
    """
    structure = input_structure(model)
    if structure is None:
        raise ValueError(
            "`model` must know the shapes of its inputs where `tasks` is None: begin it with a "
            f"keras.Input, or give `tasks`. Received: a {type(model).__name__} without inputs"
        )

    def zeros(spec):
        shape = [_OPEN_AXIS if size is None else size for size in spec.shape[1:]]
        return np.zeros([1, *shape], tf.as_dtype(spec.dtype).as_numpy_dtype)

    return tf.nest.map_structure(zeros, structure)


def input_structure(model: keras.Model) -> Any:
    """Return a model's inputs in their structure, as Keras' symbolic tensors, or None."""
    inputs = getattr(model, "inputs", None) if model.built else None
    if not inputs:
        return None
    return inputs[0] if isinstance(model, keras.Sequential) else model.input


def tensor_specs(structure: Any, model: keras.Model | None = None) -> Any:
    """Return tensors' specifications, open where a model's inputs or the examples are."""
    tensors = tf.nest.flatten(structure)
    inputs = None if model is None else input_structure(model)
    known = [] if inputs is None else tf.nest.flatten(inputs)
    shapes = [part.shape for part in (known if len(known) == len(tensors) else tensors)]
    specs = [
        tf.TensorSpec((None, *shape[1:]), tensor.dtype)
        for shape, tensor in zip(shapes, tensors, strict=True)
    ]
    return tf.nest.pack_sequence_as(structure, specs)
