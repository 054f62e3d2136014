"""How batches of data lie in tensors: one task's arrays, and the stacked arrays of many tasks."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

__all__ = [
    "ArrayLayout",
    "BatchReader",
    "Layout",
    "column_layouts",
    "describe",
    "same_places",
    "structure_of",
]


class BatchReader:
    """Turns what a user calls a batch into a tuple of NumPy arrays, and back.

    A batch is an array, or a list, tuple or dict of arrays (nested, if need be). Each array may be
    anything that TensorFlow takes: NumPy arrays and tensors keep their dtype; Python floats and
    lists of them take `float_dtype`, Python integers become int32, or int64 where they are larger.

    Parameters
    ----------
    float_dtype : numpy dtype
        The dtype of Python floats.
    lengths_differ : bool, default False
        Whether batches may have different numbers of arrays, with and without sample weights, say.
    """

    def __init__(self, float_dtype: np.dtype, lengths_differ: bool = False):
        self._float_dtype = np.dtype(float_dtype)
        self.lengths_differ = lengths_differ
        self._structures: dict[int, Any] = {}

    def read(
        self,
        batch: Any,
        source: str = "get_batch()",
        check: Callable[[Any], None] | None = None,
    ) -> tuple[np.ndarray, ...]:
        """Return the arrays of `batch`.

        Parameters
        ----------
        batch : array, or list, tuple or dict of arrays
            As the user gives it. The first one of its number of arrays that is right sets the
            structure.
        source : str
            Where it comes from, for messages.
        check : callable, optional
            Gets the batch, of NumPy arrays, and raises if it is not right.

        Returns
        -------
        tuple of numpy.ndarray

        Raises
        ------
        TypeError
            If an array's dtype cannot be a tensor.
        ValueError
            If the batch is empty, has a number of arrays that it must not have, or is a dict where
            the first batch was a list, or one with other keys.
        """
        structure, leaves = _flatten(batch)
        known = self._structures.get(len(leaves), structure)
        if len(leaves) in self._structures:
            if structure != known and not same_places(structure, known):
                raise ValueError(
                    f"{source} must have the structure of the first batch, {describe(known)}. "
                    f"Received: {describe(structure)}"
                )
        else:
            if not leaves:
                raise ValueError(f"{source} must give at least one array. Received: {batch!r}")
            if self._structures and not self.lengths_differ:
                (count,) = self._structures
                raise ValueError(
                    f"{source} must have {count} arrays, as the first batch had. "
                    f"Received: {len(leaves)}"
                )
        arrays = tuple([self._array(leaf, index, source) for index, leaf in enumerate(leaves)])
        if check is not None:
            check(tf.nest.pack_sequence_as(known, list(arrays)))
        self._structures.setdefault(len(leaves), structure)
        return arrays

    def pack(self, arrays: Sequence[Any]) -> Any:
        """Return `arrays` in the structure of the first batch of that many arrays."""
        return tf.nest.pack_sequence_as(self._structures[len(arrays)], list(arrays))

    def _array(self, leaf: Any, index: int, source: str) -> np.ndarray:
        array = leaf if type(leaf) is np.ndarray else self._convert(leaf, index, source)
        if array.dtype.kind in "OSUMm":
            raise TypeError(
                f"Arrays from {source} must be numeric. Received: array {index} of dtype "
                f"{array.dtype} and shape {array.shape}.{_number_them(array)}"
            )
        if not _is_known(array.dtype):
            raise TypeError(
                f"Arrays from {source} must have a dtype that TensorFlow has. "
                f"Received: array {index} of dtype {array.dtype}"
            )
        if array.size == 0:
            raise ValueError(
                f"Arrays from {source} must not be empty. "
                f"Received: array {index} of shape {array.shape}."
            )
        return array

    def _convert(self, leaf: Any, index: int, source: str) -> np.ndarray:
        if isinstance(leaf, (tf.RaggedTensor, tf.SparseTensor, tf.IndexedSlices)):
            raise TypeError(
                f"Arrays from {source} must be dense. "
                f"Received: array {index} of type {type(leaf).__name__}."
            )
        if isinstance(leaf, np.ma.MaskedArray):
            raise TypeError(
                f"Arrays from {source} must not be masked, since TensorFlow knows no such arrays; "
                f"sample weights of 0 leave examples out. Received: array {index} with a mask."
            )
        if hasattr(leaf, "numpy"):
            return np.asarray(leaf.numpy())
        try:
            array = np.asarray(leaf)
        except ValueError as error:
            raise TypeError(
                f"Arrays from {source} must be rectangular. Received: array {index}: {leaf!r}"
            ) from error
        if type(leaf) in (float, int, list, tuple):
            weak = {np.dtype("float64"): self._float_dtype, np.dtype("int64"): np.dtype("int32")}
            converted = array.astype(weak.get(array.dtype, array.dtype))
            wrapped = array.dtype.kind == "i" and not np.array_equal(array, converted)
            array = array if wrapped else converted
        return array


@functools.cache
def _is_known(dtype: np.dtype) -> bool:
    """Whether TensorFlow has a dtype of NumPy's."""
    try:
        tf.as_dtype(dtype)
    except TypeError:
        return False
    return True


def structure_of(batch: Any) -> Any:
    """Return the structure of a batch, with None in the place of each array."""
    return _flatten(batch)[0]


def _flatten(batch: Any) -> tuple[Any, list]:
    """Return (structure with None at the leaves, leaves in `tf.nest`'s order)."""
    if isinstance(batch, dict):
        children = {key: _flatten_child(batch[key]) for key in sorted(batch)}
        leaves = [leaf for _, part in children.values() for leaf in part]
        return {key: structure for key, (structure, _) in children.items()}, leaves
    if isinstance(batch, (list, tuple)):
        if all(type(item) is np.ndarray for item in batch):
            return [None] * len(batch) if isinstance(batch, list) else (None,) * len(batch), batch
        children = [_flatten_child(item) for item in batch]
        leaves = [leaf for _, part in children for leaf in part]
        structure = [structure for structure, _ in children]
        return structure if isinstance(batch, list) else tuple(structure), leaves
    return None, [batch]


def _flatten_child(item: Any) -> tuple[Any, list]:
    """Flatten what stands inside a batch, where a list of plain numbers is data, not structure."""
    first = item
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    plain = isinstance(first, (bool, int, float, complex, str, bytes, np.generic, list, tuple))
    return (None, [item]) if plain else _flatten(item)


def same_places(a: Any, b: Any) -> bool:
    """Whether two structures have their arrays at the same places; lists are as tuples."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_places(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same_places, a, b))
    return a is None and b is None


def describe(structure: Any) -> str:
    """Return a structure, as `structure_of` gives it, in words."""
    if isinstance(structure, dict):
        parts = (f"{key!r}: {describe(part)}" for key, part in structure.items())
        return f"{{{', '.join(parts)}}}"
    if isinstance(structure, (list, tuple)):
        return f"({', '.join(map(describe, structure))})"
    return "array"


def _number_them(array: np.ndarray) -> str:
    """Say how labels that are words become numbers, if the array holds words."""
    if array.dtype.kind not in "OSU" or not all(isinstance(x, (str, bytes)) for x in array.flat):
        return ""
    return " `np.unique(labels, return_inverse=True)[1]` makes numbers 0, 1, ... of labels."


class ArrayLayout(NamedTuple):
    """The dtype and shape of one array of a task; None stands for a size that differs."""

    dtype: np.dtype
    shape: tuple[int | None, ...]

    @property
    def ragged(self) -> bool:
        """Whether the sizes differ from task to task."""
        return None in self.shape

    def relax(self, other: ArrayLayout) -> ArrayLayout:
        """Return the layout that both this one and `other` fit."""
        if len(self.shape) != len(other.shape):
            raise ValueError(
                "An array of a batch must always have the same number of dimensions. "
                f"Received: shapes {self.shape} and {other.shape}."
            )
        shape = tuple(a if a == b else None for a, b in zip(self.shape, other.shape, strict=True))
        return ArrayLayout(np.result_type(self.dtype, other.dtype), shape)

    def pack(self, arrays: Sequence[np.ndarray], capacity: int) -> tuple[np.ndarray, ...]:
        """Lay the arrays of many tasks, one a task, into few large ones.

        Arrays of one shape are stacked to (capacity, ...). Ragged ones become their values in one
        row, and for each task where its values start and its shape: nothing is padded, because
        padding would change a user's mean.
        """
        count = len(arrays)
        if not self.ragged:
            stacked = np.zeros((capacity, *self.shape), self.dtype)
            if isinstance(arrays, np.ndarray) or not self.shape:
                stacked[:count] = arrays
            else:  # three times as fast as np.stack for small arrays
                stacked[:count] = np.concatenate(arrays).reshape(count, *self.shape)
            return (stacked,)
        starts = np.zeros(capacity, np.int64)
        starts[1:count] = np.cumsum([array.size for array in arrays[:-1]])
        shapes = np.zeros((capacity, len(self.shape)), np.int64)
        shapes[:count] = [array.shape for array in arrays]
        values = np.concatenate([array.ravel() for array in arrays])
        return values.astype(self.dtype), starts, shapes

    def packed_specs(self, capacity: int) -> tuple[tf.TensorSpec, ...]:
        """Return what `pack` gives as tensor specifications."""
        if not self.ragged:
            return (tf.TensorSpec((capacity, *self.shape), self.dtype),)
        return (
            tf.TensorSpec((None,), self.dtype),
            tf.TensorSpec((capacity,), tf.int64),
            tf.TensorSpec((capacity, len(self.shape)), tf.int64),
        )

    def unpack_step(self, packed: Sequence[tf.Tensor], step: tf.Tensor, tasks: int) -> tf.Tensor:
        """Return the stacked arrays of a meta-step's tasks; they must not be ragged."""
        return tf.reshape(packed[0], (-1, tasks, *self.shape))[step]

    def unpack(self, packed: Sequence[tf.Tensor], task: tf.Tensor) -> tf.Tensor:
        """Return the array of one task from what `pack` gave."""
        if not self.ragged:
            return packed[0][task]
        values, starts, shapes = packed
        size = tf.reduce_prod(shapes[task])
        array = tf.reshape(values[starts[task] : starts[task] + size], shapes[task])
        return tf.ensure_shape(array, self.shape)


class Layout(NamedTuple):
    """The layouts of the arrays of an episode: a support batch and a query batch."""

    support: tuple[ArrayLayout, ...]
    query: tuple[ArrayLayout, ...]

    @property
    def ragged(self) -> bool:
        """Whether any array's sizes differ from task to task."""
        return any(array.ragged for array in self.support + self.query)

    @property
    def nbytes(self) -> int:
        """Bytes of one episode; a size that differs counts as 100."""
        return sum(
            math.prod(100 if size is None else size for size in array.shape) * array.dtype.itemsize
            for array in self.support + self.query
        )

    def specs(self) -> tuple[tuple[tf.TensorSpec, ...], tuple[tf.TensorSpec, ...]]:
        """Return the (support, query) of one task as tensor specifications."""
        support, query = (
            tuple(tf.TensorSpec(array.shape, array.dtype) for array in part) for part in self
        )
        return support, query

    def tensors(self, *parts: Sequence[np.ndarray]) -> tuple[tuple[tf.Tensor, ...], ...]:
        """Return the arrays of one task's support and query batch as tensors of these dtypes."""
        return tuple(
            tuple(tf.constant(x, one.dtype) for x, one in zip(arrays, layouts, strict=True))
            for arrays, layouts in zip(parts, self, strict=True)
        )

    def relax(self, other: Layout) -> Layout:
        """Return the layout that both this one and `other` fit."""
        if len(self.support) != len(other.support):
            raise ValueError(
                "Batches must all have the same number of arrays, sample weights included. "
                f"Received: {len(self.support)} and {len(other.support)}."
            )
        return Layout(
            tuple(a.relax(b) for a, b in zip(self.support, other.support, strict=True)),
            tuple(a.relax(b) for a, b in zip(self.query, other.query, strict=True)),
        )


def column_layouts(column: Sequence[np.ndarray], tasks: int) -> list[ArrayLayout]:
    """Return the layout of one array of a batch for each meta-step of `tasks` tasks.

    Parameters
    ----------
    column : sequence of numpy.ndarray, or one numpy.ndarray
        That array of every task, step after step.
    tasks : int
        Tasks a meta-step.

    Returns
    -------
    list of ArrayLayout
    """
    steps = len(column) // tasks
    if isinstance(column, np.ndarray):
        return [ArrayLayout(column.dtype, column.shape[1:])] * steps
    kinds = {(array.dtype, array.shape) for array in column}
    if len(kinds) == 1:
        return [ArrayLayout(*kinds.pop())] * steps
    layouts = []
    for start in range(0, len(column), tasks):
        step = [ArrayLayout(array.dtype, array.shape) for array in column[start : start + tasks]]
        layouts.append(functools.reduce(ArrayLayout.relax, step))
    return layouts
