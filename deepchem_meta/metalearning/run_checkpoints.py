"""The checkpoints of one run: the newest ones, the best one, and where sampling stood."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from deepchem_meta.engine.best import Best
from deepchem_meta.engine.checkpoints import CheckpointStore, check_saved
from deepchem_meta.engine.sampling import EpisodeQueue, LearnerSampler, TaskSampler

__all__ = ["RunCheckpoints"]


class RunCheckpoints:
    """What `fit` saves, and what `restore`, `save` and `load` of an algorithm go back to.

    Parameters
    ----------
    newest : CheckpointStore
        The checkpoints in `model_dir`.
    sampler : LearnerSampler or TaskSampler
        Draws the tasks, and can be put back to where it stood.
    """

    def __init__(self, newest: CheckpointStore, sampler: LearnerSampler | TaskSampler):
        self._newest = newest
        self._best = newest.at(os.path.join(newest.folder.path, "best"))
        self._sampler = sampler
        self._queue: EpisodeQueue | None = None

    @property
    def exist(self) -> bool:
        """Whether there is a checkpoint in `model_dir`."""
        return self._newest.has_checkpoints

    @contextlib.contextmanager
    def opened(self, queue: EpisodeQueue) -> Iterator[None]:
        """Be the only process that saves here, and take where sampling stands from a queue.

        That checkpoints can be saved is seen to before.
        """
        self._queue = queue
        try:
            with contextlib.ExitStack() as stack:
                if self._newest.writes:
                    self._newest.folder.prepare()
                    stack.enter_context(self._newest.folder.locked())
                yield
        finally:
            self._queue = None

    def save(self, max_to_keep: int, sampling: Any) -> None:
        """Save the newest checkpoint, with where sampling stood after its last meta-step."""
        self._newest.save(max_to_keep, sampling)

    def save_as(self, path: Any) -> None:
        """Write all into a folder of its own; within `fit`, as of the episodes taken last."""
        sampling = self._sampler.place if self._queue is None else self._queue.place
        self._newest.save_as(path, sampling)

    def restore(self, compare: str | None = None) -> None:
        """Go back to the newest checkpoint and, if `compare` says which, warn of other settings."""
        self._newest.restore(compare=compare, rewind=self._rewind)

    def restore_variables(self) -> None:
        """Go back to the newest checkpoint, and leave the sampling where it stands."""
        self._newest.restore()

    def restore_best(self) -> None:
        """Go back to the best checkpoint."""
        self._best.restore(compare="adaptation")

    def load(self, path: Any) -> None:
        """Take over what `save_as` wrote."""
        store = self._newest.at(check_saved(path))
        store.restore(compare="training", rewind=self._rewind)

    def _rewind(self, sampling: Any) -> None:
        """Put sampling back; within `fit` what was drawn ahead is forgotten."""
        if self._queue is None:
            self._sampler.rewind(sampling)
        else:
            self._queue.go_back(sampling)

    def keep_best(self, monitor: str, known: Sequence[str], goes_on: bool) -> Best:
        """Return what keeps the best checkpoint; see `Best`."""
        return Best(self._best, monitor, known, goes_on)
