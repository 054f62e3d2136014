"""Adaptation and prediction as a SavedModel, for programs that have TensorFlow alone."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from deepchem_meta.engine.learner_model import LearnerModel
from deepchem_meta.metalearning.adapted import Adapted

__all__ = ["ServedFunctions", "write_saved_model"]


class ServedFunctions(NamedTuple):
    """What an exported algorithm does, as functions of tensors.

    Attributes
    ----------
    adapt : callable
        ``arrays of a support batch -> adapted``.
    predict : callable
        ``(adapted, x) -> outputs``.
    """

    adapt: Callable[[Sequence[tf.Tensor]], Adapted]
    predict: Callable[[Adapted, Any], Any]


def write_saved_model(
    path: Any, model: LearnerModel, functions: ServedFunctions, with_adapt: bool
) -> None:
    """Write a SavedModel; see `MetaAlgorithm.export`.

    Parameters
    ----------
    path : path
        A new folder, or one with a SavedModel.
    model : LearnerModel
        The learner.
    functions : ServedFunctions
        What to write.
    with_adapt : bool
        Whether to write the signature ``adapt``.

    Raises
    ------
    TypeError, ValueError
        If the learner does not say what x and y are, `path` is anything else, or the model cannot
        be traced.
    """
    if not hasattr(model.learner, "batch_specs"):
        raise TypeError(
            "`export` needs a KerasLearner, since only of its batches x and y are known. "
            f"Received: {type(model.learner).__name__}"
        )
    path = _check_target(path)
    module = _module(model, functions, with_adapt)
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as scratch:
        new, old = (os.path.join(scratch, name) for name in ("new", "old"))
        signatures = {"adapt_and_predict": module.adapt_and_predict}
        if with_adapt:
            signatures["adapt"] = module.adapt
        signatures["serving_default"] = module.adapt_and_predict
        tf.saved_model.save(module, new, signatures=signatures)
        if os.path.exists(path):
            os.rename(path, old)
        os.rename(new, path)


def _module(model: LearnerModel, functions: ServedFunctions, with_adapt: bool) -> tf.Module:
    """Return an object with the functions and the variables that they read."""
    x, y = model.learner.batch_specs()
    y = tf.nest.map_structure(_wide, y)
    model.reader.read(tf.nest.map_structure(_zeros, (x, y)))  # so that it knows the structure
    support = [*_named("support_x", x), *_named("support_y", y)]
    query = _named("query_x", x)

    def adapt(*arrays):
        adapted = functions.adapt(arrays)
        names = [_plain(getattr(v, "path", v.name)) for v in model.learner.variables]
        values = dict(zip(names, adapted.params, strict=True))
        return values | {f"head_{index}": part for index, part in enumerate(adapted.extra)}

    def adapt_and_predict(*arrays):
        adapted = functions.adapt(arrays[: len(support)])
        inputs = tf.nest.pack_sequence_as(x, list(arrays[len(support) :]))
        outputs = functions.predict(adapted, inputs)
        return dict(zip(_names("outputs", outputs), tf.nest.flatten(outputs), strict=True))

    module = tf.Module()
    module.adapt_and_predict = _traced(adapt_and_predict, [*support, *query])
    if with_adapt:
        module.adapt = _traced(adapt, support)
    module.read = list(module.adapt_and_predict.graph.variables)
    return module


def _traced(function: Callable, specs: Sequence[tf.TensorSpec]) -> Any:
    try:
        traced = tf.function(function, input_signature=list(specs), autograph=False)
        return traced.get_concrete_function()
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise TypeError(
            "`export` needs a model that TensorFlow can trace for any number of examples. "
            f"Received: {type(error).__name__}: {reason}"
        ) from error


def _named(prefix: str, specs: Any) -> list[tf.TensorSpec]:
    """Return specifications under the names of arguments."""
    flat = tf.nest.flatten(specs)
    names = _names(prefix, specs)
    return [tf.TensorSpec(s.shape, s.dtype, name) for s, name in zip(flat, names, strict=True)]


def _names(prefix: str, structure: Any) -> list[str]:
    """Return a name for each part of a structure: the prefix, with keys or places after it."""
    paths = [path for path, _ in _walk(structure)]
    return ["_".join([prefix, *map(_plain, path)]) for path in paths]


def _walk(structure: Any, path: tuple = ()) -> list[tuple]:
    if isinstance(structure, dict):
        return [leaf for key in sorted(structure) for leaf in _walk(structure[key], (*path, key))]
    if isinstance(structure, (list, tuple)):
        parts = enumerate(structure)
        return [leaf for place, part in parts for leaf in _walk(part, (*path, place))]
    return [(path, structure)]


def _plain(name: Any) -> str:
    """Return a name as SavedModels allow it."""
    return re.sub(r"[^0-9A-Za-z_]", "_", str(name).partition(":")[0])


def _wide(spec: tf.TensorSpec) -> tf.TensorSpec:
    """Return the specification of a target; class numbers are int64, NumPy's own integers."""
    return tf.TensorSpec(spec.shape, tf.int64) if spec.dtype.is_integer else spec


def _zeros(spec: tf.TensorSpec) -> Any:
    shape = [1 if size is None else size for size in spec.shape]
    return tf.zeros(shape, spec.dtype).numpy()


def _check_target(path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"`path` must be a path. Received: path={path!r}")
    path = os.path.abspath(os.fspath(path))
    if os.path.exists(path) and not os.path.isfile(os.path.join(path, "saved_model.pb")):
        raise ValueError(
            "`path` must be a new folder, or one with a SavedModel. "
            f"Received: {path!r}, which holds something else"
        )
    return path
