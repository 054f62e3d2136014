"""The settings of an algorithm as plain data: to be recorded, compared, and made anew from."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deepchem_meta.engine.learner_model import KerasVariable, as_variable

__all__ = ["constructor_arguments", "constructor_signature", "describe", "differences", "make"]

# What may differ without any effect on the numbers, or is restored by itself.
_NOT_COMPARED = {"learner", "model_dir", "seed", "task_execution", "jit_compile", "task_batch_size"}
_OF_TRAINING = {"optimizer", "meta_batch_size", "reduction"}


def constructor_arguments(cls: type, args: tuple, keywords: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a constructor by name, defaults included.

    Where it takes ``*args``, all that come by place are a list under that name with the star.
    Nothing is returned for arguments that the constructor does not take.
    """
    signature = inspect.signature(cls.__init__)
    try:
        bound = signature.bind(None, *args, **keywords)
    except TypeError:  # which the constructor itself will raise
        return {}
    bound.apply_defaults()
    found = {}
    for name, value in list(bound.arguments.items())[1:]:
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            found |= value
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            found = {"*" + name: [*found.values(), *value]}
        else:
            found[name] = value
    return found


def constructor_signature(cls: type) -> inspect.Signature:
    """Return the signature of a class's constructor, without `self`."""
    own = inspect.signature(cls.__init__)
    return own.replace(parameters=list(own.parameters.values())[1:])


def describe(algorithm: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return an algorithm's class and settings, as they are now, as plain data.

    Parameters
    ----------
    algorithm : MetaAlgorithm
        The algorithm.
    arguments : dict
        What it was constructed with. An argument that is an attribute of the same name has its
        present value: a property that may be assigned, or of an own algorithm a plain number, str
        or bool.
    """
    kind = type(algorithm)
    present = {
        name: getattr(algorithm, name)
        if _is_assignable(kind, name) or _is_plain_attribute(algorithm, name, value)
        else value
        for name, value in arguments.items()
    }
    encoder = _Encoder(algorithm.learner)
    others = [name for name in dir(kind) if _is_assignable(kind, name) and name not in present]
    assigned = {name: encoder.encode(getattr(algorithm, name)) for name in others}
    return {
        "algorithm": _path_of(kind),
        "arguments": {name: encoder.encode(value) for name, value in present.items()},
        "assigned": {n: value for n, value in assigned.items() if not isinstance(value, dict)},
    }


def differences(
    there: Mapping[str, Any] | None, here: Mapping[str, Any], training: bool
) -> list[str]:
    """Return what differs between two descriptions, a line each.

    Parameters
    ----------
    there, here : dict
        As `describe` returns them; nothing differs from None, of a checkpoint without settings.
    training : bool
        Whether what only meta-training depends on counts, such as the optimizer.
    """
    if not there:
        return []
    if there["algorithm"] != here["algorithm"]:
        names = (one["algorithm"].rpartition(".")[2] for one in (there, here))
        return ["algorithm: {} there, {} here".format(*names)]
    left_out = _NOT_COMPARED if training else _NOT_COMPARED | _OF_TRAINING
    old, new = (
        {
            name: value
            for name, value in _flat(one["arguments"]).items()
            if name.partition(".")[0] not in left_out
            and name != "optimizer.name"
            and not name.endswith(".scalar")  # the value of a variable is state, not a setting
        }
        for one in (there, here)
    )
    return [
        f"{name}: {old.get(name, 'absent')!r} there, {new.get(name, 'absent')!r} here"
        for name in dict.fromkeys([*old, *new])
        if old.get(name, _flat) != new.get(name, _flat)
    ]


def make(description: Mapping[str, Any], learner: Any, model_dir: Any) -> Any:
    """Return a new algorithm of a described class and settings, over a learner.

    Raises
    ------
    ValueError
        If the class or an argument cannot be made anew.
    """
    arguments = {
        name: _decode(name, value, learner)
        for name, value in description["arguments"].items()
        if name != "model_dir"
    }
    starred = [value for name, value in arguments.items() if name.startswith("*")]
    named = {name: value for name, value in arguments.items() if not name.startswith("*")}
    kind = _find_class("the algorithm's class", description["algorithm"])
    positional = [item for values in starred for item in values]
    algorithm = kind(*positional, **(named | {"model_dir": model_dir}))
    for name, value in description["assigned"].items():
        if getattr(algorithm, name) != value:
            setattr(algorithm, name, value)
    return algorithm


class _Encoder:
    """Makes plain data of arguments: numbers, strings, lists and dicts with string keys."""

    def __init__(self, learner: Any):
        self._learner = learner
        self._places = {id(as_variable(v)): i for i, v in enumerate(learner.variables)}

    def encode(self, value: Any) -> Any:
        """Return one argument; what cannot be recorded is named by its class."""
        if value is self._learner:
            return {"learner": True}
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, (list, tuple)):
            layers = [isinstance(item, keras.layers.Layer) for item in value]
            items = zip(map(self.encode, value), layers, strict=True)
            return [one for item, layer in items for one in (item if layer else [item])]
        if isinstance(value, (tf.Variable, KerasVariable)):
            return self._variable(as_variable(value))
        if isinstance(value, keras.layers.Layer):
            return [self.encode(variable) for variable in value.trainable_variables]
        try:
            return self._object(value)
        except Exception:  # whatever an object of the user's raises: a checkpoint must be written
            return {"unknown": _path_of(type(value))}

    def _variable(self, variable: tf.Variable) -> dict[str, Any]:
        if id(variable) in self._places:
            return {"variable": self._places[id(variable)]}
        if variable.shape.rank:
            return {"unknown": "tf.Variable"}
        return {"scalar": float(variable.numpy()), "dtype": variable.dtype.name}

    def _object(self, value: Any) -> dict[str, Any]:
        if isinstance(value, keras.optimizers.Optimizer):
            return {"keras": self._plain(keras.saving.serialize_keras_object(value))}
        names = inspect.signature(type(value)).parameters
        arguments = {name: self.encode(getattr(value, name)) for name in names}
        return {"object": _path_of(type(value)), "arguments": arguments}

    def _plain(self, config: Any) -> Any:
        """Return a configuration of Keras with nothing but plain data, or raise."""
        if isinstance(config, dict):
            return {str(key): self._plain(item) for key, item in config.items()}
        if isinstance(config, (list, tuple)):
            return [self._plain(item) for item in config]
        if config is None or isinstance(config, (bool, int, float, str)):
            return config
        return np.asarray(config).item()


def _decode(name: str, value: Any, learner: Any) -> Any:
    """Return an argument from what `_Encoder` made of it."""
    if isinstance(value, (list, tuple)):
        return [_decode(name, item, learner) for item in value]
    if not isinstance(value, dict):
        return value
    if "learner" in value:
        return learner
    if "variable" in value:
        return learner.variables[value["variable"]]
    if "scalar" in value:
        return tf.Variable(value["scalar"], dtype=value["dtype"])
    if "keras" in value:
        return keras.saving.deserialize_keras_object(value["keras"])
    if "object" in value:
        arguments = {key: _decode(name, one, learner) for key, one in value["arguments"].items()}
        return _find_class(f"`{name}`", value["object"])(**arguments)
    raise _cannot_be_made(f"`{name}`, a {value['unknown']}")


def _find_class(what: str, path: str) -> type:
    """Return a class of this package, or of a module that is imported already."""
    module, _, name = path.rpartition(".")
    if module.partition(".")[0] == "deepchem_meta":
        importlib.import_module(module)
    found = getattr(sys.modules.get(module), name, None)
    if not isinstance(found, type):
        raise _cannot_be_made(f"{what}, {path}, whose module is not imported")
    return found


def _cannot_be_made(what: str) -> ValueError:
    return ValueError(
        "`load` needs settings that it can make anew; construct the algorithm yourself and call "
        f"its method `load`. Received: {what}"
    )


def _is_plain_attribute(algorithm: Any, name: str, given: Any) -> bool:
    """Whether a plain argument is kept as a plain attribute of the same name."""
    plain = (bool, int, float, str)
    return isinstance(given, plain) and isinstance(vars(algorithm).get(name), plain)


def _is_assignable(kind: type, name: str) -> bool:
    attribute = getattr(kind, name, None)
    return isinstance(attribute, property) and attribute.fset is not None


def _path_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return nested dicts as one, with the keys joined by dots."""
    if not isinstance(value, dict):
        return {name: list(value) if isinstance(value, tuple) else value}
    flat = {}
    for key, item in value.items():
        inner = key in ("arguments", "keras", "config")  # which say nothing to a reader
        flat |= _flat(item, name if inner else f"{name}.{key}".lstrip("."))
    return flat
