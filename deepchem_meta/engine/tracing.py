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
        self._first: tuple[tuple, Callable] | None = None
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
        leaves = tf.nest.flatten(args)
        kinds = [(x.dtype, tuple(x.shape)) for x in leaves]
        if self._first is None:
            self._first = kinds, self._concrete(args, kinds)
        if kinds == self._first[0]:
            return self._first[1]
        known = self._general[0] if self._general else self._first[0]
        general = [_relax(a, b) for a, b in zip(known, kinds, strict=True)]
        if self._general is None or general != known:
            self._general = general, self._concrete(args, general)
        return self._general[1]

    def _concrete(self, args: tuple, kinds: list) -> Callable:
        specs = [tf.TensorSpec(shape, dtype) for dtype, shape in kinds]
        return tf.function(self._function).get_concrete_function(
            *tf.nest.pack_sequence_as(args, specs)
        )


def _relax(a: tuple, b: tuple) -> tuple:
    """Return the (dtype, shape) that both fit; sizes that differ are open."""
    if a[1] is None or len(a[1]) != len(b[1]):
        return b[0], None
    return b[0], tuple(m if m == n else None for m, n in zip(a[1], b[1], strict=True))
