"""A learner's variables alone, in one file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf

__all__ = ["load_weights", "save_weights"]

_END = ".weights.h5"


def save_weights(path: Any, learner: Any, variables: Sequence[tf.Variable]) -> None:
    """Write the variables; a file that is there already is replaced once the new one is whole.

    Parameters
    ----------
    path : path
        Its name ends with ``.weights.h5``.
    learner : MetaLearner
        The model of a `KerasLearner` is written by Keras.
    variables : list of tf.Variable
        The learner's.
    """
    path = os.path.abspath(_check_name(path))
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as scratch:
        new = os.path.join(scratch, f"new{_END}")
        model = _keras_model(learner)
        if model is not None:
            model.save_weights(new)
        else:
            with h5py.File(new, "w") as file:
                for index, variable in enumerate(variables):
                    file[str(index)] = _storable(variable)
        os.replace(new, path)


def load_weights(path: Any, learner: Any, variables: Sequence[tf.Variable]) -> None:
    """Assign the variables from a file that `save_weights` wrote, all of them or none."""
    path = _check_name(path)
    if not os.path.isfile(path):
        raise ValueError(f"`path` must be a file that `save_weights` wrote. Received: {path!r}")
    model = _keras_model(learner)
    if model is not None:
        _load_keras(path, model, variables)
        return
    with h5py.File(path) as file:
        values = {name: file[name][()] for name in file if isinstance(file[name], h5py.Dataset)}
    there = {name: (value.shape, value.dtype.name) for name, value in values.items()}
    wanted = {str(i): _storable(v) for i, v in enumerate(variables)}
    here = {name: (value.shape, value.dtype.name) for name, value in wanted.items()}
    if there != here:
        raise ValueError(
            "`path` must hold the learner's variables; nothing was loaded. "
            f"Received: {there} for {here}"
        )
    for index, variable in enumerate(variables):
        variable.assign(tf.cast(values[str(index)], variable.dtype))


def _load_keras(path: str, model: keras.Model, variables: Sequence[tf.Variable]) -> None:
    before = [variable.numpy() for variable in variables]
    try:
        model.load_weights(path)
    except Exception as error:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"`path` must hold the model's weights; nothing was loaded. Received: {path!r} "
            f"({reason})"
        ) from error


def _storable(variable: tf.Variable) -> np.ndarray:
    """Return a variable's value in a dtype that HDF5 knows; bfloat16 becomes float32."""
    value = variable.numpy()
    return value.astype(np.float32) if value.dtype.kind == "V" else value


def _keras_model(learner: Any) -> keras.Model | None:
    model = getattr(learner, "model", None)
    return model if hasattr(learner, "check_batch") and isinstance(model, keras.Model) else None


def _check_name(path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"`path` must be a path. Received: path={path!r}")
    path = os.fspath(path)
    if not path.endswith(_END):
        raise ValueError(f"`path` must end with {_END!r}. Received: path={path!r}")
    return path
