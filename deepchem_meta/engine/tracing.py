"""Functions that run traced where they can and eagerly where they cannot."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

__all__ = ["TracedOrEager", "quiet_tensorflow"]

_logger = logging.getLogger(__name__)


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Keep TensorFlow from logging an attempt that may fail.

    `tf.vectorized_map` logs 200 lines about an operation that it cannot vectorise, besides the
    exception that it raises.
    """
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


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
        Of nested structures of arrays.
    """

    def __init__(self, function: Callable):
        self._function = function
        self._traceable = True
        # By the number of arrays: the kinds of arrays that a trace is for, and the trace.
        self._first: dict[int, tuple[list, Callable]] = {}
        self._general: dict[int, tuple[list, Callable]] = {}

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
        count = len(leaves)
        kinds = [(x.dtype, tuple(x.shape)) for x in leaves]
        if count not in self._first:
            self._first[count] = kinds, self._concrete(args, kinds)
        if kinds == self._first[count][0]:
            return self._first[count][1]
        known = self._general.get(count, self._first[count])[0]
        general = [_relax(a, b) for a, b in zip(known, kinds, strict=True)]
        if count not in self._general or general != known:
            self._general[count] = general, self._concrete(args, general)
        return self._general[count][1]

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
