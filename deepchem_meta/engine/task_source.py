"""A source of tasks with all that is optional filled in."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["KnownSource"]


class KnownSource(NamedTuple):
    """A source of tasks, and what it says of itself.

    Attributes
    ----------
    source : object
        With ``sample(n, rng)``.
    names : list of str or None
        The names of its tasks, if it has names and draws by them.
    ways : int or None
        How many classes a task has, if it says so.
    scores : dict of callable
        Its own measures of a task; empty without any.
    """

    source: Any
    names: list[str] | None
    ways: int | None
    scores: dict[str, Callable[..., float]]

    @classmethod
    def of(cls, source: Any) -> KnownSource:
        """Return what a source, which has a method `sample`, says of itself."""
        names = getattr(source, "names", None)
        named = names is not None and len(inspect.signature(source.sample).parameters) > 2
        return cls(
            source,
            list(names) if named else None,
            getattr(source, "ways", None),
            dict(getattr(source, "scores", {})),
        )

    def from_the_beginning(self) -> KnownSource:
        """Return the source as it started, in a copy of its own if it keeps a place."""
        if not hasattr(self.source, "initial_state"):
            return self
        source = copy.copy(self.source)
        source.set_state(source.initial_state)
        return self._replace(source=source)

    def some_task(self, seed: int) -> tuple:
        """Return some task, to look at: (support, query), with or without the axis of tasks."""
        peek = getattr(self.source, "peek", None)
        return peek() if peek else self.source.sample(1, np.random.default_rng(seed))

    def draw(self, n: int, rng: np.random.Generator, places: np.ndarray | None) -> tuple:
        """Return `n` tasks; of a source with names those at the given places."""
        more = () if places is None else (places,)
        return self.source.sample(n, rng, *more)
