"""The checkpoint of which a score was best."""

from __future__ import annotations

import math
from collections.abc import Sequence

from deepchem_meta.engine.checkpoints import CheckpointStore
from deepchem_meta.engine.direction import smaller_is_better

__all__ = ["Best"]


class Best:
    """Keeps the checkpoint of which a score was best, in a run and those that go on from it.

    Parameters
    ----------
    store : CheckpointStore
        Where to save.
    monitor : str
        The score's name. Of losses and errors the smallest is the best, else the largest.
    known : list of str
        The names there are.
    goes_on : bool
        Whether what the store holds is from the same run, and to be beaten.

    Raises
    ------
    ValueError
        If there is no such score.
    """

    def __init__(self, store: CheckpointStore, monitor: str, known: Sequence[str], goes_on: bool):
        if monitor not in known:
            raise ValueError(f"`save_best` must be one of {list(known)}. Received: {monitor!r}")
        self._store = store
        self._monitor = monitor
        self._sign = -1.0 if smaller_is_better(monitor) else 1.0
        before = (store.sampling() or {}) if goes_on else {}
        self._best = before.get(monitor)

    def update(self, logs: dict[str, float]) -> None:
        """Save if the score is the best so far."""
        value = logs[self._monitor]
        if math.isnan(value):
            return
        if self._best is None or self._sign * value > self._sign * self._best:
            self._best = value
            self._store.save(1, {self._monitor: value})
