"""Functions that run traced where they can and eagerly where they cannot."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import tensorflow as tf

__all__ = ["TracedOrEager"]

_logger = logging.getLogger(__name__)


class TracedOrEager:
    """A function of tensors without side effects, traced for few shapes and used for all.

    The first shapes get a trace of their own. All others share one in which the sizes that were
    seen to differ are left open, so that new shapes seldom lead to a new trace.

    Where tracing fails but the eager call does not, as with a model that calls `numpy()`, the
    function is called eagerly from then on. Where both fail, the user sees the eager call's
    exception, as raised in their own code.

    Parameters
    ----------
    function : callable
        Of nested structures of arrays, always of the same structure.
    """

    def __init__(self, function: Callable):
        self._function = function
        self._traceable = True
        self._exact: tuple[tuple, Callable] | None = None
        self._general: tuple[tuple, Callable] | None = None

    def __call__(self, *args: Any) -> Any:
        """Return what the function gives for `args`, nested structures of arrays."""
        if self._traceable:
            try:
                traced = self._trace(args)
            except Exception:
                _logger.debug("A function could not be traced", exc_info=True)
            else:
                return traced(*args)
        result = self._function(*tf.nest.map_structure(tf.convert_to_tensor, args))
        self._traceable = False
        return result

    def _trace(self, args: tuple) -> Callable:
        """Return a traced function that takes `args`, a new one if need be."""
        specs = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), args)
        function = tf.function(self._function)
        if self._exact is None:
            self._exact = specs, function.get_concrete_function(*specs)
        if specs == self._exact[0]:
            return self._exact[1]
        known = self._general[0] if self._general else self._exact[0]
        general = tf.nest.map_structure(_relax, known, specs)
        if self._general is None or general != known:
            self._general = general, function.get_concrete_function(*general)
        return self._general[1]


def _relax(a: tf.TensorSpec, b: tf.TensorSpec) -> tf.TensorSpec:
    """Return the specification that both fit; sizes that differ are open."""
    if a.shape.rank != b.shape.rank:
        return tf.TensorSpec(None, b.dtype)
    shape = [m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)]
    return tf.TensorSpec(shape, b.dtype)
