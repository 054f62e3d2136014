"""What a source of tasks is."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

__all__ = ["TaskSource"]


@runtime_checkable
class TaskSource(Protocol):
    """Anything that tasks are drawn from: an object with a method ``sample(n, rng)``.

    A source may have more. Each of these is optional.

    Attributes
    ----------
    ways : int or None
        How many classes a task has; None for regression.
    names : list of str
        The names of tasks that are always the same ones, such as assays. ``sample`` then takes a
        third argument, an int array of shape (n,): the places in `names` of the tasks to draw.
        `evaluate` draws each of them equally often and reports by name.
    scores : dict of str to callable
        ``(y_true, y_pred, sample_weight) -> float``: measures of one task that `evaluate` computes
        besides. The first two are arrays of shape (examples, ...), the last is None or one of shape
        (examples,).
    peek : callable
        ``peek() -> (support, query)`` gives some task, without the axis of tasks, and moves
        nothing on.
    get_state, set_state : callable
        Of a source that keeps a place of its own: where it stands, and back there. With an
        attribute `initial_state`, `evaluate` starts a copy from there.

    Examples
    --------
    >>> import numpy as np
    >>> import deepchem_meta as dc
    >>> class Lines:
    ...     '''Lines of any slope, five points each.'''
    ...
    ...     def sample(self, n, rng):
    ...         slopes = rng.normal(size=(n, 1, 1)).astype("float32")
    ...         x = rng.normal(size=(2, n, 5, 1)).astype("float32")
    ...         return (x[0], slopes * x[0]), (x[1], slopes * x[1])
    >>> isinstance(Lines(), dc.tasks.TaskSource)
    True
    """

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Any, Any]:
        """Draw tasks.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            What to draw them from.

        Returns
        -------
        support, query : tuple
            ``(x, y)`` or ``(x, y, sample_weight)``; the first axis of each array is the task, the
            second the example. An example of weight 0 is padding. For a learner that is no
            `KerasLearner`, batches in its own structure, with the task as first axis.
        """
        ...
