"""The loop of `fit`: draw, run, report, save."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from deepchem_meta.engine.meta_trainer import MetaTrainer, NotFiniteError
from deepchem_meta.engine.progress import Progress
from deepchem_meta.engine.sampling import EpisodeQueue
from deepchem_meta.engine.workers import Workers

__all__ = ["fit"]

# What a collective operation raises when a worker that takes part in it is gone.
_OTHER_ENDED = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


def fit(
    trainer: MetaTrainer,
    queue: EpisodeQueue,
    progress: Progress,
    *,
    numbers: Callable[[], dict[str, float]],
    steps_per_execution: int | str,
    checkpoint_interval: float,
    save: Callable[[Any], None],
    workers: Workers,
) -> Any:
    """Take the meta-steps that `progress` counts: one at first, then as many a call as pays.

    The first call is a single step, so that a learner whose batches depend on its variables is
    known before any is drawn ahead.

    Whatever interrupts it (Ctrl-C, an exception of a callback or of the learner), the last
    meta-step taken is saved, and the source of episodes put back to where it stood after that,
    before the exception goes on. A loss that is not finite saves nothing, nor does another worker
    that fails, since the meta-step may be half-done.

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
    save : callable
        Gets where the episodes' source stands after the last that were used.
    workers : Workers
        All of them take as many meta-steps a call, and stop together.

    Returns
    -------
    object
        Where it stands after the last step.
    """
    automatic = steps_per_execution == "auto"
    taken = _Taken(trainer, queue, workers)
    with taken.saved_if_interrupted(save), progress:
        episodes = queue.take(1)
        capacity = trainer.capacity(episodes) if automatic else steps_per_execution
        capacity = min(capacity, progress.remaining)
        saved = time.monotonic()
        if not trainer.is_ready(episodes, capacity):
            progress.announce(f"Compiling a meta-step of {episodes.tasks} tasks ...")
        while True:
            progress.begin()
            if progress.measure_now:
                progress.measured(trainer.measure(episodes, numbers(), capacity))
            ahead = 0
            if capacity > 1 and not episodes.read_variables:
                wanted = trainer.steps_a_call if automatic else capacity
                ahead = min(wanted, capacity, progress.room(episodes.steps))
            draw_ahead = functools.partial(queue.draw_ahead, ahead)
            rows = trainer.run(episodes, numbers(), capacity, meanwhile=draw_ahead)
            taken.note(episodes.place)
            try:
                progress.end(rows)
            finally:
                taken.note(queue.place)  # a callback may have gone back to a checkpoint
            agreed = workers.agree(trainer.seconds_a_step, progress.stops)
            trainer.seconds_a_step, progress.stops = agreed
            if not progress.remaining:
                break
            if time.monotonic() >= saved + checkpoint_interval:
                save(taken.place)
                saved = time.monotonic()
            episodes = queue.take(ahead or 1)
    return taken.place


class _Taken:
    """The meta-steps taken, and where the source of episodes stood after the last of them."""

    def __init__(self, trainer: MetaTrainer, queue: EpisodeQueue, workers: Workers):
        self._trainer = trainer
        self._queue = queue
        self._workers = workers
        self._first = trainer.step
        self._noted = queue.place, self._first

    @property
    def place(self) -> Any:
        """Where the source stood."""
        return self._noted[0]

    def note(self, place: Any) -> None:
        """Note that a call has ended, after whose episodes the source stands at `place`."""
        self._noted = place, self._trainer.step  # at once: an interrupt comes before or after

    @contextlib.contextmanager
    def saved_if_interrupted(self, save: Callable[[Any], None]) -> Iterator[None]:
        """Save the last meta-step taken if an exception ends the loop, and let it go on."""
        try:
            yield
        except NotFiniteError:
            raise
        except _OTHER_ENDED as error:
            if not self._workers.several:
                self._save(save)
                raise
            raise RuntimeError(
                "Another worker has ended or cannot be reached. Start all of them again with "
                '`fit(..., restore="auto")`, which goes on from the last checkpoint. '
                f"Received: {type(error).__name__} after meta-step {self._noted[1]}"
            ) from error
        except BaseException:  # KeyboardInterrupt is no Exception; it goes on below
            self._save(save)
            raise

    def _save(self, save: Callable[[Any], None]) -> None:
        place, noted = self._noted
        step = self._trainer.step
        place = self._queue.go_back(place, max(0, step - noted))
        if step > self._first:
            save(place)
