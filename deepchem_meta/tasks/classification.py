"""Few-shot classification: small tasks from the examples of many classes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepchem_meta._checks import check_count, check_flag
from deepchem_meta.tasks._arguments import (
    check_draw,
    check_finite,
    held_out,
    listed,
)
from deepchem_meta.tasks._datasets import AsDataset
from deepchem_meta.tasks._directory_reading import DirectoryReading
from deepchem_meta.tasks._drawing import draw_distinct
from deepchem_meta.tasks._labels import check_labels, label_names
from deepchem_meta.tasks.padding import flatten, map_structure

__all__ = ["FewShotClassificationTasks"]


class FewShotClassificationTasks(DirectoryReading, AsDataset):
    """Tasks of a few classes each, drawn from many: N-way K-shot episodes.

    A task has `ways` different classes, which it numbers anew at random, and of each of them
    `shots` examples in its support set and `queries` other ones in its query set.

    Parameters
    ----------
    x : array of shape (examples, ...), any dtype, or dict or tuple of them
        The examples: an array, a memory map, an h5py dataset, or any object with a length that is
        indexed by a sorted array of integers. Such objects are read for the examples of a call,
        never as a whole. The dtype stays as it is. A dict or tuple of arrays is for models with
        several inputs.
    labels : array of shape (examples,)
        The examples' classes, any integers or strings.
    ways : int, default 5
        Classes of a task.
    shots : int, default 1
        Examples of each class in the support set.
    queries : int, default 15
        Examples of each class in the query set.
    rotations : bool, default False
        Whether x holds square images of shape (examples, size, size, channels) of which each
        rotation by 90 degrees is a class of its own, so that there are 4 times as many classes
        (Santoro et al. 2016). A task may have several rotations of one class; the images of each
        are drawn on their own, so one image may occur in it twice, turned differently.

    Raises
    ------
    TypeError
        If labels are neither integers nor strings, or an argument has the wrong type.
    ValueError
        If x and labels differ in length, there are fewer classes than `ways`, a class has fewer
        examples than ``shots + queries``, x has NaN or infinite values, or images are not square.

    Examples
    --------
    >>> import numpy as np
    >>> from deepchem_meta.tasks import FewShotClassificationTasks
    >>> rng = np.random.default_rng(0)
    >>> images = rng.random((200, 28, 28, 1), np.float32)  # 10 classes of 20
    >>> tasks = FewShotClassificationTasks(images, np.repeat(np.arange(10), 20), shots=2)
    >>> (x, y), (query_x, query_y) = tasks.sample(4, rng)
    >>> x.shape, query_x.shape
    ((4, 10, 28, 28, 1), (4, 75, 28, 28, 1))
    >>> y[0]
    array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4], dtype=int32)
    >>> train, test = tasks.split(test=0.5)
    >>> train.classes, test.classes
    (5, 5)

    References
    ----------
    Vinyals, O., Blundell, C., Lillicrap, T., Kavukcuoglu, K., and Wierstra, D. (2016). Matching
    networks for one shot learning. NeurIPS. https://arxiv.org/abs/1606.04080

    Santoro, A., Bartunov, S., Botvinick, M., Wierstra, D., and Lillicrap, T. (2016).
    Meta-learning with memory-augmented neural networks. ICML. https://arxiv.org/abs/1605.06065

    Notes
    -----
    In-memory arrays of floats are checked for NaN and infinity at once, others batch by batch.
    """

    def __init__(
        self,
        x: Any,
        labels: Any,
        *,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        rotations: bool = False,
    ):
        self.x = _check_parts(x, labels)
        self.ways = check_count("ways", ways, minimum=2)
        self.shots = check_count("shots", shots, minimum=1)
        self.queries = check_count("queries", queries, minimum=1)
        self.rotations = check_flag("rotations", rotations)
        self._unit_range = False  # whether x is uint8 and tasks are float32 in [0, 1]
        labels = _check_labels(self.x, labels)
        if self.rotations:
            _check_square(self.x)
        for part in flatten(self.x):
            if _in_memory(part):
                check_finite(part)
        # The examples of class i are _order[_starts[i] : _starts[i] + _counts[i]].
        self._order = np.argsort(labels, kind="stable")
        self._labels, self._starts, self._counts = np.unique(
            labels[self._order], return_index=True, return_counts=True
        )
        self._check_classes()

    @property
    def classes(self) -> int:
        """The number of classes, each rotation counted."""
        return len(self._labels) * (4 if self.rotations else 1)

    @property
    def class_names(self) -> list[str]:
        """The labels as text, in sorted order, without regard to rotations."""
        return label_names(self._labels)

    def sample(self, n: int, rng: np.random.Generator) -> tuple:
        """Draw `n` tasks.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            The tasks depend on nothing else.

        Returns
        -------
        support : tuple of arrays
            x of shape (n, ways * shots, ...) and its dtype, or that of `from_directory`, and y,
            int32, of shape (n, ways * shots), the classes' numbers in the task, 0 to ways - 1, in
            order.
        query : tuple of arrays
            x of shape (n, ways * queries, ...) and y of shape (n, ways * queries).

        Raises
        ------
        TypeError, ValueError
            If an argument is wrong, or x is no array in memory and has NaN or infinite values
            among the examples drawn.
        """
        n = check_draw(n, rng)
        classes = draw_distinct(np.full(n, self.classes), self.ways, rng)
        kinds, turns = classes % len(self._labels), classes // len(self._labels)
        examples = draw_distinct(self._counts[kinds].ravel(), self.shots + self.queries, rng)
        examples = examples.reshape(n, self.ways, -1)
        rows = self._order[self._starts[kinds][..., None] + examples]
        support, query = rows[..., : self.shots], rows[..., self.shots :]
        return self._batch(support, turns), self._batch(query, turns)

    def split(
        self, test: Sequence[int] | Sequence[str] | float, *, seed: int = 0
    ) -> tuple[FewShotClassificationTasks, FewShotClassificationTasks]:
        """Split the classes into those to train on and those to test on.

        Both parts share `x`. The rotations of a class are in the same part.

        Parameters
        ----------
        test : list of int or str, float, or int
            The labels of the classes to test on, or which fraction of the classes, or how many.
        seed : int, default 0
            Chooses the classes, where `test` does not name them.

        Returns
        -------
        train, test : FewShotClassificationTasks

        Raises
        ------
        TypeError, ValueError
            If a label is not there, or a part has fewer classes than `ways`.
        """
        if isinstance(test, (list, tuple, set, np.ndarray)):
            wanted = {*(test.tolist() if isinstance(test, np.ndarray) else test)}
            unknown = sorted(wanted - {*self._labels.tolist()}, key=str)
            if unknown or not wanted:
                raise ValueError(
                    "`test` must name at least one class, and only labels that there are. "
                    f"Received: {listed(unknown) or 'none'}"
                )
            wanted = np.array([*wanted], self._labels.dtype)
            in_test = np.isin(self._labels, wanted)
        else:
            count = held_out(test, len(self._labels), "labels")
            seed = check_count("seed", seed)
            chosen = np.random.default_rng(seed).permutation(len(self._labels))[:count]
            in_test = np.isin(np.arange(len(self._labels)), chosen)
        return self._part(~in_test), self._part(in_test)

    def replace(
        self, *, ways: int | None = None, shots: int | None = None, queries: int | None = None
    ) -> FewShotClassificationTasks:
        """Return a source of the same classes with other sizes of its tasks.

        Parameters
        ----------
        ways, shots, queries : int, optional
            As in the constructor. By default, as they are.

        Returns
        -------
        FewShotClassificationTasks
            It shares `x` with this one.

        Raises
        ------
        TypeError, ValueError
            As in the constructor.
        """
        changed = copy.copy(self)
        changed.ways = self.ways if ways is None else check_count("ways", ways, minimum=2)
        changed.shots = self.shots if shots is None else check_count("shots", shots, minimum=1)
        if queries is not None:
            changed.queries = check_count("queries", queries, minimum=1)
        changed._check_classes()
        return changed

    def _part(self, chosen: np.ndarray) -> FewShotClassificationTasks:
        part = copy.copy(self)
        part._labels, part._starts, part._counts = (
            array[chosen] for array in (self._labels, self._starts, self._counts)
        )
        part._check_classes()
        return part

    def _check_classes(self) -> None:
        if self.ways > self.classes:
            raise ValueError(
                "`ways` must be at most the number of classes. "
                f"Received: ways={self.ways}, and {self.classes} classes"
            )
        needed = self.shots + self.queries
        small = np.flatnonzero(self._counts < needed)
        if small.size:
            counts = listed(f"{self._labels[i]} ({self._counts[i]})" for i in small)
            raise ValueError(
                f"Each class must have at least `shots` + `queries` = {needed} examples. "
                f"Received: {small.size} of {len(self._labels)} classes with fewer; their labels "
                f"(and examples): {counts}"
            )

    def _batch(self, rows: np.ndarray, turns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the examples of `rows`, of shape (tasks, ways, size), and their targets."""
        n, ways, size = rows.shape
        rows = rows.reshape(-1)
        x = map_structure(lambda part: _take(part, rows), self.x)
        if self.rotations:
            turns = np.repeat(turns.reshape(-1), size)
            for quarters in (1, 2, 3):
                turned = turns == quarters
                x[turned] = np.rot90(x[turned], quarters, axes=(1, 2))
        if self._unit_range:
            x = x.astype(np.float32)
            x /= np.float32(255)
        y = np.tile(np.repeat(np.arange(ways, dtype=np.int32), size), (n, 1))
        return map_structure(lambda part: part.reshape(n, ways * size, *part.shape[1:]), x), y

    def __repr__(self) -> str:
        shapes = [getattr(part, "shape", None) for part in flatten(self.x)]
        shape = " and ".join("?" if one is None else str(tuple(one[1:])) for one in shapes)
        what = f"examples of shape {shape}"
        return (
            f"FewShotClassificationTasks({self._counts.sum()} {what}, {self.classes} classes, "
            f"ways={self.ways}, shots={self.shots}, queries={self.queries}, "
            f"rotations={self.rotations})"
        )


def _in_memory(x: Any) -> bool:
    return isinstance(x, np.ndarray) and not isinstance(x, np.memmap)


def _take(part: Any, rows: np.ndarray) -> np.ndarray:
    return part[rows] if _in_memory(part) else _read(part, rows)


def _check_parts(x: Any, labels: Any) -> Any:
    """Return x as an array, or a dict or tuple of those that are as long as the labels."""
    if isinstance(x, dict):
        return {name: _check_parts(part, labels) for name, part in x.items()}
    parts = isinstance(x, tuple) and x and all(np.ndim(getattr(p, "shape", 0)) == 1 for p in x)
    if parts and all(part.shape[:1] == (len(labels),) for part in x):
        return x
    return np.asarray(x) if isinstance(x, (list, tuple)) else x


def _check_labels(x: Any, labels: Any) -> np.ndarray:
    """Return the labels as an array, one for each example of `x`."""
    labels = check_labels("labels", labels, floats=False)
    if isinstance(x, dict) and not x:
        raise ValueError("`x` must have at least one array. Received: x={}")
    for part in flatten(x):
        if not hasattr(part, "__getitem__") or not (
            hasattr(part, "shape") or hasattr(part, "__len__")
        ):
            raise TypeError(
                "`x` must be an array, or an object with a length that is indexed by arrays of "
                f"integers. Received: {type(part).__name__}"
            )
        length = part.shape[0] if hasattr(part, "shape") else len(part)
        if length != len(labels) or length == 0:
            raise ValueError(
                "`x` and `labels` must have the same length, at least 1. "
                f"Received: {length} examples and {len(labels)} labels"
            )
    return labels


def _check_square(x: Any) -> None:
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) != 4 or shape[1] != shape[2]:
        raise ValueError(
            "With rotations=True, `x` must have the shape (examples, size, size, channels). "
            f"Received: shape {shape}"
        )


def _read(x: Any, rows: np.ndarray) -> np.ndarray:
    """Return ``x[rows]`` for data that is read fastest, or only, once each and in order."""
    unique, inverse = np.unique(rows, return_inverse=True)
    values = np.asarray(x[unique])
    if len(values) != len(unique):
        raise ValueError(
            "`x` must give as many examples as it is asked for by an array of integers. "
            f"Received: {len(values)} for {len(unique)}"
        )
    check_finite(values, unique)
    return values[inverse.reshape(-1)]
