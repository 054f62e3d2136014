"""The episodes of an evaluation, the same for everything that is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from deepchem_meta.engine.task_source import KnownSource

__all__ = ["EpisodeChunks"]

_MOST_TASKS_A_CALL = 200
_MOST_BYTES_A_CALL = 2**25


class EpisodeChunks:
    """The episodes of an evaluation, in parts of one size that a call has room for.

    How they are drawn depends on the source, the seed and their number alone, so that every
    algorithm gets the same ones.

    Parameters
    ----------
    source : KnownSource
        One with names (`AssayTasks`) gives its tasks in turn.
    n_tasks : int
        How many to draw.
    seed : int
        What to draw them from.
    check : callable, optional
        Takes and returns what ``sample`` gives, or raises.

    Attributes
    ----------
    names : list of str or None
        Of a source that names its tasks, the name of each task drawn.
    n_tasks : int
        How many are drawn: full rounds, where tasks are named.
    seed : int
        As given.
    """

    def __init__(
        self,
        source: KnownSource,
        n_tasks: int,
        seed: int,
        check: Callable[[Any], Any] = lambda episodes: episodes,
    ):
        self.seed = seed
        self._source = source
        self._check = check
        known = source.names or []
        rounds = -(-n_tasks // len(known)) if known else None
        self.names = known * rounds if known else None
        self.n_tasks = len(self.names) if known else n_tasks
        self._kinds = len(known)

    def __iter__(self) -> Iterator[tuple[Any, Any, int]]:
        """Yield (support, query, count): the first `count` tasks are new, the others repeat."""
        source = self._source.from_the_beginning()
        rng = np.random.default_rng(self.seed)
        some = tf.nest.flatten(source.some_task(self.seed))
        nbytes = sum(np.asarray(array).nbytes for array in some)
        most = max(1, min(_MOST_TASKS_A_CALL, _MOST_BYTES_A_CALL // nbytes))
        size = -(-self.n_tasks // -(-self.n_tasks // most))
        for start in range(0, self.n_tasks, size):
            count = min(size, self.n_tasks - start)
            places = np.arange(start, start + count) % self._kinds if self.names else None
            episodes = self._check(source.draw(count, rng, places))
            _check_count(episodes, count)
            rows = np.arange(size) % count
            yield (
                *tf.nest.map_structure(lambda a, rows=rows: np.asanyarray(a)[rows], episodes),
                count,
            )


def _check_count(episodes: Any, count: int) -> None:
    """Raise ValueError unless every array has as many tasks as were asked for."""
    shapes = [np.shape(array) for array in tf.nest.flatten(episodes)]
    if any(shape[:1] != (count,) for shape in shapes):
        raise ValueError(
            "`sample(n, rng)` must give n tasks, as first axis of every array. "
            f"Received: arrays of shapes {shapes} for n={count}"
        )
