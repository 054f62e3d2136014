"""Functions that run traced where they can and eagerly where they cannot."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from deepchem_meta.engine.writes import WritesVariablesError, check_graph, unwritten

__all__ = ["TracedOrEager", "converted", "is_foreign", "quiet_tensorflow"]

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


def is_foreign(thing: Any) -> bool:
    """Whether an object's class is none of this package's own.

    In its methods `if` and `for` on tensors must work. TensorFlow's autograph makes them work by
    rewriting the source of all that is called, which takes longer than all else in a trace. The
    package's own code needs none of it.
    """
    kind = thing if inspect.isfunction(thing) else type(thing)
    return kind.__module__.partition(".")[0] != __name__.partition(".")[0]


def converted(method: Callable) -> Callable:
    """Return a method as it is or, in a trace and of a foreign object, as autograph rewrites it."""
    owner = getattr(method, "__self__", method)
    if tf.executing_eagerly() or not is_foreign(owner):
        return method
    try:
        if inspect.ismethod(method):
            return functools.partial(tf.autograph.to_graph(method.__func__), owner)
        return tf.autograph.to_graph(method)
    except Exception:
        _logger.debug("%r cannot be converted", method, exc_info=True)
        return method


class TracedOrEager:
    """A function of tensors without side effects, traced for few shapes and used for all.

    For arrays of certain dtypes and ranks, the first shapes get a trace of their own. All others
    share one in which the sizes that were seen to differ are left open, so that new shapes seldom
    lead to a new trace. Ranks are never left open: what a function does may depend on them.

    Where tracing fails but the eager call does not, as with a model that calls `numpy()`, the
    function is called eagerly from then on. Where both fail, the user sees the eager call's
    exception, as raised in their own code.

    Parameters
    ----------
    function : callable
        Of nested structures of arrays.
    learned : list of tf.Variable, default ()
        Variables that the function must not write.
    autograph : bool, default False
        Whether `if` and `for` on tensors must work in all that it calls.
    """

    def __init__(
        self,
        function: Callable,
        learned: Sequence[tf.Variable] = (),
        *,
        autograph: bool = False,
    ):
        self._function = function
        self._autograph = autograph
        self._learned = list(learned)
        self._traceable = True
        # By the dtypes and ranks of the arrays: the shapes that a trace is for, and the trace.
        self._first: dict[tuple, tuple[list, Callable]] = {}
        self._general: dict[tuple, tuple[list, Callable]] = {}

    def __call__(self, *args: Any) -> Any:
        """Return what the function gives for `args`, nested structures of arrays."""
        if self._traceable:
            try:
                traced = self._trace(args)
            except WritesVariablesError:
                raise
            except Exception:
                _logger.debug("A function could not be traced", exc_info=True)
            else:
                return traced(*args)
        with unwritten(self._learned):
            result = self._function(*tf.nest.map_structure(tf.convert_to_tensor, args))
        self._traceable = False
        return result

    def _trace(self, args: tuple) -> Callable:
        """Return a traced function that takes `args`, a new one if need be."""
        leaves = tf.nest.flatten(args)
        shapes = [tuple(leaf.shape) for leaf in leaves]
        kind = tuple((tf.as_dtype(leaf.dtype), len(leaf.shape)) for leaf in leaves)
        if kind not in self._first:
            self._first[kind] = shapes, self._concrete(args, kind, shapes)
        if shapes == self._first[kind][0]:
            return self._first[kind][1]
        known = self._general.get(kind, self._first[kind])[0]
        general = [_relax(a, b) for a, b in zip(known, shapes, strict=True)]
        if kind not in self._general or general != known:
            self._general[kind] = general, self._concrete(args, kind, general)
        return self._general[kind][1]

    def _concrete(self, args: tuple, kind: tuple, shapes: list) -> Callable:
        specs = [tf.TensorSpec(shape, k[0]) for k, shape in zip(kind, shapes, strict=True)]
        function = tf.function(self._function, autograph=self._autograph).get_concrete_function(
            *tf.nest.pack_sequence_as(args, specs)
        )
        check_graph(function, self._learned)
        return function


def _relax(a: tuple, b: tuple) -> tuple:
    """Return the shape that both fit; sizes that differ are open."""
    return tuple(m if m == n else None for m, n in zip(a, b, strict=True))
