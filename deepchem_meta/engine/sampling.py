"""From a learner to the episodes of many meta-steps, drawn while the last ones run."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deepchem_meta.engine.batches import Layout, column_layouts
from deepchem_meta.engine.learner_model import LearnerModel

__all__ = ["EpisodeQueue", "Episodes", "LearnerSampler", "TaskSampler"]


class Episodes(NamedTuple):
    """The episodes of some meta-steps: for each task of each step a support and a query batch.

    Attributes
    ----------
    steps, tasks : int
        How many meta-steps, and tasks in each.
    support, query : tuple
        A column for each array of a batch: that array of all the tasks, step after step, either
        as a sequence of arrays or as one array whose first axis is the task.
    place : object
        Where the source stood after the last of them, if it can say.
    read_variables : bool
        Whether the learner read its own variables while it drew them.
    """

    steps: int
    tasks: int
    support: tuple[Sequence[np.ndarray], ...]
    query: tuple[Sequence[np.ndarray], ...]
    place: Any = None
    read_variables: bool = False

    def slice(self, start: int, stop: int) -> Episodes:
        """Return the meta-steps from `start` up to `stop`."""
        rows = slice(start * self.tasks, stop * self.tasks)
        support, query = (
            tuple(column[rows] for column in part) for part in (self.support, self.query)
        )
        return self._replace(steps=stop - start, support=support, query=query)

    def multiplied(self, factor: float) -> Episodes:
        """Return the same with all floating-point data multiplied by a factor."""

        def multiply(array):
            return array * array.dtype.type(factor) if array.dtype.kind == "f" else array

        support, query = (
            tuple([multiply(array) for array in column] for column in part)
            for part in (self.support, self.query)
        )
        return self._replace(support=support, query=query)

    def each(self, function: Callable[[Sequence, Sequence], None]) -> None:
        """Call a function with the arrays of the support and of the query batch of each task."""
        for task in range(self.steps * self.tasks):
            function(*([column[task] for column in part] for part in (self.support, self.query)))

    def layouts(self) -> list[Layout]:
        """Return a layout for each meta-step; a size in which its tasks differ is None."""
        support, query = (
            zip(*(column_layouts(column, self.tasks) for column in part), strict=True)
            for part in (self.support, self.query)
        )
        return [Layout(*layout) for layout in zip(support, query, strict=True)]

    def pack(self, layout: Layout, capacity: int) -> tuple:
        """Return (support, query) as NumPy arrays in `layout`, with room for `capacity` steps."""
        size = capacity * self.tasks
        return tuple(
            tuple(array.pack(column, size) for array, column in zip(*part, strict=True))
            for part in ((layout.support, self.support), (layout.query, self.query))
        )


class LearnerSampler:
    """Draws episodes through a learner's `select_task` and `get_batch`, in DeepChem's order.

    Parameters
    ----------
    model : LearnerModel
        The learner, and the reader of its batches.
    """

    def __init__(self, model: LearnerModel):
        self._model = model
        self._tried = False

    @property
    def place(self) -> Any:
        """Where the learner stands, if it can say."""
        return _place_of(self._model.learner)

    def sample(self, steps: int, tasks: int) -> Episodes:
        """Draw the episodes of `steps` meta-steps of `tasks` tasks each.

        Reads of the learner's variables show on a `tf.GradientTape`: a learner whose batches
        depend on them must not be asked for the batches of later steps.

        Raises
        ------
        ValueError
            If the learner assigns the variables that are learned. It is looked for in the first
            call, before there are meta-steps that assign them meanwhile.
        """
        before = None if self._tried else _contents(self._model)
        learner, read = self._model.learner, self._model.read
        support: list[tuple[np.ndarray, ...]] = []
        query: list[tuple[np.ndarray, ...]] = []
        with tf.GradientTape() as tape:
            for _ in range(steps * tasks):
                learner.select_task()
                for batches in (support, query):  # copied, since a learner may use its arrays again
                    batches.append(tuple(map(np.array, read(learner.get_batch()))))
        if before is not None and before != _contents(self._model):
            raise ValueError(
                "`select_task` and `get_batch` must not assign the learner's variables: all tasks "
                "of a meta-step start from the same values. Received: variables that have changed"
            )
        self._tried = True
        watched = {id(variable) for variable in tape.watched_variables()}
        reads = any(id(variable) in watched for variable in self._model.variables)
        columns = (tuple(zip(*batches, strict=True)) for batches in (support, query))
        return Episodes(steps, tasks, *columns, self.place, reads)

    def rewind(self, place: Any) -> None:
        """Give the learner back a place it had, where it keeps one."""
        if _is_position(place) and not _is_position(self.place):
            _warn_of_another_way()
        else:
            _put_back(self._model.learner, place)


class TaskSampler:
    """Draws episodes many tasks at once, through a learner's `sample_tasks`.

    The tasks come in blocks of 20 meta-steps, each from a generator of its own that is seeded by
    `seed` and the block's number. So meta-step 57 has the same tasks whether they are drawn one
    step at a time or a hundred, in this run or in one resumed from a checkpoint. A learner that
    keeps a place of its own (in a stream of tasks) is put back to where the block began.

    Parameters
    ----------
    model : LearnerModel
        The learner, and the reader of its batches.
    seed : tf.Variable
        An int64 scalar.
    """

    _BLOCK = 20

    def __init__(self, model: LearnerModel, seed: tf.Variable):
        self._model = model
        self._seed = seed
        self._position = 0
        self._block: tuple[Any, tuple] = (None, ())
        self._block_place: Any = None

    @property
    def place(self) -> dict[str, Any]:
        """The number of the next meta-step, and where the learner stood before its block."""
        # The next block begins where the learner stands now.
        inside = self._position % self._BLOCK and self._block[0] is not None
        of_learner = self._block_place if inside else _place_of(self._model.learner)
        return {"position": self._position, "learner": of_learner}

    def sample(self, steps: int, tasks: int) -> Episodes:
        """Draw the episodes of `steps` meta-steps of `tasks` tasks each."""
        first, last = self._position, self._position + steps
        parts = []
        for number in range(first // self._BLOCK, -(-last // self._BLOCK)):
            start = number * self._BLOCK
            rows = slice((max(first, start) - start) * tasks, (last - start) * tasks)
            parts.append([[array[rows] for array in part] for part in self._draw(number, tasks)])
        support, query = (
            tuple(np.concatenate(arrays) for arrays in zip(*batches, strict=True))
            for batches in zip(*parts, strict=True)
        )
        self._position = last
        return Episodes(steps, tasks, support, query, self.place)

    def rewind(self, place: Any) -> None:
        """Go back to where a sampler stood."""
        if place is None:
            return
        if not _is_position(place):
            _warn_of_another_way()
            return
        _put_back(self._model.learner, place["learner"])
        self._position = place["position"]
        self._block = (None, ())

    def _draw(self, number: int, tasks: int) -> tuple:
        """Return (support, query) of a block; the last one is kept."""
        if self._block[0] != (number, tasks):
            self._block_place = _place_of(self._model.learner)
            rng = np.random.default_rng([int(self._seed.numpy()), number])
            drawn = self._model.learner.sample_tasks(self._BLOCK * tasks, rng)
            if not isinstance(drawn, tuple) or len(drawn) != 2:
                raise TypeError(
                    "`sample_tasks(n, rng)` must return (support, query). "
                    f"Received: {type(drawn).__name__}"
                )
            read = functools.partial(self._model.read, source="sample_tasks(n, rng)", stacked=True)
            # Copied, since a source may use its arrays again.
            batches = tuple(tuple(map(np.array, read(batch))) for batch in drawn)
            for array in (array for batch in batches for array in batch):
                if array.shape[:1] != (self._BLOCK * tasks,):
                    raise ValueError(
                        "Arrays from `sample_tasks(n, rng)` must have the task as first axis. "
                        f"Received: shape {array.shape} for n={self._BLOCK * tasks}"
                    )
            self._block = ((number, tasks), batches)
        return self._block[1]


class EpisodeQueue:
    """Draws the next episodes in a thread while the last ones are trained on.

    Parameters
    ----------
    sampler : object
        With `sample(steps, tasks)` and `rewind(place)`.
    tasks : int
        Tasks a meta-step.
    """

    def __init__(self, sampler: Any, tasks: int):
        self._sampler = sampler
        self._tasks = tasks
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="episodes")
        self._ahead: Future | None = None
        self._away = False  # whether the source may stand elsewhere than at `place`
        #: Where the source stands after the episodes taken last.
        self.place: Any = sampler.place

    def __enter__(self) -> EpisodeQueue:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.go_back(self.place)
        self._thread.shutdown(wait=True)

    def go_back(self, place: Any, steps: int = 0) -> Any:
        """Put the source to where it stood at `place`, and past so many meta-steps.

        Episodes that were drawn ahead are forgotten.

        Parameters
        ----------
        place : object
            Of `Episodes`; with None, of a source that cannot say, nothing is done.
        steps : int, default 0
            How many meta-steps have been taken since.

        Returns
        -------
        object
            Where it stands then.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is not None and not ahead.cancel():
            ahead.exception()  # waits for it
            self._away = True
        if place is not None and (self._away or steps or place is not self.place):
            self._sampler.rewind(place)
            place = self._sampler.sample(steps, self._tasks).place if steps else place
        self.place, self._away = place, False
        return place

    def peek(self) -> Episodes:
        """Return the episodes of the next meta-step, which the next `take` is to ask for."""
        self._away = True
        episodes = self._sampler.sample(1, self._tasks)
        self._ahead = Future()
        self._ahead.set_result(episodes)
        return episodes

    def take(self, steps: int) -> Episodes:
        """Return the episodes of the next `steps` meta-steps, those drawn ahead if any were."""
        self._away = True
        if self._ahead is None:
            episodes = self._sampler.sample(steps, self._tasks)
        else:
            episodes = self._ahead.result()
            self._ahead = None
        self.place, self._away = episodes.place, False
        return episodes

    def draw_ahead(self, steps: int) -> None:
        """Start to draw `steps` more meta-steps' episodes, which the next `take` is to ask for."""
        if steps:
            self._ahead = self._thread.submit(self._sampler.sample, steps, self._tasks)


def _place_of(learner: Any) -> Any:
    """Return where a learner's sampling stands, if it can say."""
    get_state = getattr(learner, "get_state", None)
    return copy.deepcopy(get_state()) if get_state else None  # it may be a live object


def _contents(model: LearnerModel) -> list[bytes]:
    """Return what the variables hold that are learned."""
    return [tf.convert_to_tensor(v).numpy().tobytes() for v in model.learned_variables]


def _is_position(place: Any) -> bool:
    """Whether a place is what `TaskSampler.place` gives."""
    return isinstance(place, dict) and set(place) == {"position", "learner"}


def _warn_of_another_way() -> None:
    warnings.warn(
        "The checkpoint's learner drew its tasks in another way, by `select_task` or by "
        "`sample_tasks`. Where it stood is not restored, and tasks are drawn from the beginning.",
        stacklevel=6,
    )


def _put_back(learner: Any, place: Any) -> None:
    """Put a learner back to where it stood, if it can be."""
    set_state = getattr(learner, "set_state", None)
    if set_state and place is not None:
        set_state(place)
