"""Tasks from a `tf.data.Dataset`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from deepchem_meta._checks import check_count
from deepchem_meta.tasks._arguments import check_draw
from deepchem_meta.tasks.padding import map_structure, pad_tasks

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["DatasetTasks", "as_source"]


class DatasetTasks:
    """The elements of a `tf.data.Dataset`, each of them one task.

    Tasks come in the dataset's order, which starts again at its end. Those of different size are
    padded to the largest of a call, with copies of their first example whose sample weight is 0.

    Parameters
    ----------
    dataset : tf.data.Dataset
        Its elements are ``(support, query)``, either of them ``(x, y)`` or
        ``(x, y, sample_weight)``. x and y are tensors of shape (examples, ...), or nested
        structures of them; sample_weight has shape (examples,). It may repeat for ever.

    Raises
    ------
    TypeError
        If it is no dataset, or its elements have another structure.
    ValueError
        If it is empty. A dataset that cannot tell beforehand raises it when a task is taken.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorflow as tf
    >>> from deepchem_meta.tasks import DatasetTasks
    >>> x = np.random.default_rng(0).normal(size=(7, 5, 1)).astype("float32")  # 7 tasks
    >>> dataset = tf.data.Dataset.from_tensor_slices(((x, np.sin(x)), (x, np.sin(x))))
    >>> tasks = DatasetTasks(dataset)
    >>> (x, y), query = tasks.sample(4, np.random.default_rng(0))
    >>> x.shape
    (4, 5, 1)
    >>> tasks.get_state()
    {'elements': 4}

    Notes
    -----
    All batches have sample weights, or none has: they do where the dataset has them or does not
    say how many examples its elements hold.

    Unlike other sources this one has a state, the place in the dataset; `get_state` and
    `set_state` carry it from one run to another. To go on where a run stopped, the dataset must
    give the same order each time, so a shuffled one needs a seed and
    ``reshuffle_each_iteration=False``.
    """

    def __init__(self, dataset: tf.data.Dataset):
        import tensorflow as tf

        if not isinstance(dataset, tf.data.Dataset):
            raise TypeError(
                f"`dataset` must be a tf.data.Dataset. Received: {type(dataset).__name__}"
            )
        self.dataset = dataset
        self._weighted = _needs_weights(dataset.element_spec)
        if int(dataset.cardinality()) == 0:
            raise ValueError(_EMPTY)
        self._elements = 0
        self._iterator: Iterator | None = None

    def sample(self, n: int, rng: np.random.Generator) -> tuple:
        """Take the next `n` tasks.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            Not used: the dataset has its own order.

        Returns
        -------
        support, query : tuples of arrays
            ``(x, y)`` or ``(x, y, sample_weight)``; arrays have the shape (n, examples, ...).

        Raises
        ------
        TypeError, ValueError
            If an argument is wrong, the dataset is empty, or its elements do not fit one another.
        """
        elements = [self._next() for _ in range(check_draw(n, rng))]
        parts = [pad_tasks(batches) for batches in zip(*elements, strict=True)]
        return tuple(part if self._weighted else part[:2] for part in parts)

    def peek(self) -> tuple:
        """Return the dataset's first element, which stays where it is.

        Returns
        -------
        support, query : tuples of arrays
            Those of one task, in the dataset's structure; arrays have the shape (examples, ...).

        Raises
        ------
        ValueError
            If the dataset is empty.
        """
        for element in self.dataset.take(1).as_numpy_iterator():
            return element
        raise ValueError(_EMPTY)

    @property
    def initial_state(self) -> dict[str, int]:
        """What `get_state` returns before any task is drawn."""
        return {"elements": 0}

    def get_state(self) -> dict[str, int]:
        """Return how many elements have been taken since the dataset last started."""
        return {"elements": self._elements}

    def set_state(self, state: dict[str, int]) -> None:
        """Go to where a source over the same dataset stood.

        Parameters
        ----------
        state : dict
            From `get_state`.

        Raises
        ------
        TypeError, ValueError
            If it is not.
        """
        if not isinstance(state, dict) or "elements" not in state:
            raise TypeError(f"`state` must come from `get_state`. Received: state={state!r}")
        self._elements = check_count("elements", state["elements"])
        self._iterator = None

    def _next(self) -> tuple:
        """Return the next element; the first call after a change of place goes there."""
        if self._iterator is None:
            self._iterator = self.dataset.skip(self._elements).as_numpy_iterator()
        for element in self._iterator:
            self._elements += 1
            return element
        if self._elements == 0:
            raise ValueError(_EMPTY)
        self._elements, self._iterator = 0, None
        return self._next()

    def __repr__(self) -> str:
        import tensorflow as tf

        cardinality = int(self.dataset.cardinality())
        count = {
            tf.data.INFINITE_CARDINALITY: "infinitely many",
            tf.data.UNKNOWN_CARDINALITY: "an unknown number of",
        }.get(cardinality, str(cardinality))
        return f"DatasetTasks({count} tasks, {self._elements} taken)"


_EMPTY = "`dataset` must have at least one element. Received: an empty dataset"


def _needs_weights(spec: Any) -> bool:
    """Check the structure of a dataset's elements, and say whether they need sample weights."""
    import tensorflow as tf

    pair = isinstance(spec, tuple) and len(spec) == 2
    if not pair or any(not isinstance(part, tuple) or len(part) not in (2, 3) for part in spec):
        raise TypeError(
            "An element of `dataset` must be (support, query), either of them (x, y) or "
            f"(x, y, sample_weight). Received: elements of {spec}"
        )
    sizes = set()

    def look(leaf: Any) -> None:
        if not isinstance(leaf, tf.TensorSpec):
            raise TypeError(
                "Elements of `dataset` must be made of dense tensors. "
                f"Received: {type(leaf).__name__}"
            )
        if leaf.shape.rank == 0:
            raise TypeError(
                "Tensors in elements of `dataset` must have the examples as first axis. "
                f"Received: a scalar in {spec}"
            )
        sizes.add(None if leaf.shape.rank is None else leaf.shape[0])

    map_structure(look, spec)
    return None in sizes or any(len(part) == 3 for part in spec)


def as_source(tasks: Any) -> Any:
    """Return a source of tasks: a `tf.data.Dataset` becomes one, others are taken as they are.

    Raises
    ------
    TypeError
        If `tasks` is neither.
    """
    import tensorflow as tf

    if isinstance(tasks, tf.data.Dataset):
        return DatasetTasks(tasks)
    if isinstance(tasks, type) or not callable(getattr(tasks, "sample", None)):
        raise TypeError(
            "`tasks` must be an object with `sample(n, rng)` or a tf.data.Dataset. "
            f"Received: tasks={tasks!r}"
        )
    return tasks
