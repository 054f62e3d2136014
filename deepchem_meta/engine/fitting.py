"""The loop of `fit`: draw, run, report, save."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from deepchem_meta.engine.progress import Progress
from deepchem_meta.engine.sampling import EpisodeQueue, Episodes
from deepchem_meta.engine.training import MetaTrainer

__all__ = ["fit"]


def fit(
    trainer: MetaTrainer,
    queue: EpisodeQueue,
    progress: Progress,
    *,
    numbers: Callable[[], dict[str, float]],
    steps_per_execution: int | str,
    checkpoint_interval: float,
    on_first: Callable[[Episodes], None],
    save: Callable[[Any], None],
) -> Any:
    """Take the meta-steps that `progress` counts: one at first, then as many a call as pays.

    The first call is a single step, so that a learner whose batches depend on its variables is
    known before any is drawn ahead.

    Parameters
    ----------
    trainer : MetaTrainer
        Runs them.
    queue : EpisodeQueue
        Gives their episodes.
    progress : Progress
        Counts them and tells the callbacks.
    numbers : callable
        Gives the algorithm's numbers, anew for each call.
    steps_per_execution : int or "auto"
        Meta-steps a call.
    checkpoint_interval : float
        Seconds between calls of `save`.
    on_first : callable
        Gets the first episodes before anything is traced.
    save : callable
        Gets the state of the episodes' source after the last that were used.

    Returns
    -------
    object
        That state after the last step.
    """
    automatic = steps_per_execution == "auto"
    episodes = queue.take(1)
    on_first(episodes)
    capacity = trainer.capacity(episodes) if automatic else steps_per_execution
    capacity = min(capacity, progress.remaining)
    saved = time.monotonic()
    while True:
        progress.begin()
        if progress.measure_now:
            progress.measured(trainer.measure(episodes, numbers(), capacity))
        ahead = 0
        if capacity > 1 and not episodes.read_variables:
            wanted = trainer.steps_a_call if automatic else capacity
            ahead = min(wanted, capacity, progress.room(episodes.steps))
        draw_ahead = functools.partial(queue.draw_ahead, ahead)
        progress.end(trainer.run(episodes, numbers(), capacity, meanwhile=draw_ahead))
        if not progress.remaining:
            break
        if time.monotonic() >= saved + checkpoint_interval:
            save(episodes.state)
            saved = time.monotonic()
        episodes = queue.take(ahead or 1)
    return episodes.state
