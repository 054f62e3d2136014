import threading

import numpy as np
import pytest
import tensorflow as tf
from learners import Function, Quadratic, ResumableSine, Sine, values

from deepchem_meta.engine.learner_model import LearnerModel
from deepchem_meta.engine.sampling import EpisodeQueue, Episodes, LearnerSampler, TaskSampler
from deepchem_meta.metalearning import MAML


class Recorder(Function):
    """Counts its calls, and gives the count as its batch."""

    def __init__(self, read=lambda learner: None):
        super().__init__([tf.Variable(1.0)], lambda inputs, variables: variables[0])
        self.calls, self.threads, self.read = [], set(), read

    def select_task(self):
        self.calls.append("task")
        self.threads.add(threading.current_thread())

    def get_batch(self):
        self.calls.append("batch")
        self.read(self)
        return [np.array([float(len(self.calls))])]


def test_order_of_calls_is_deepchems():
    learner = Recorder()
    drawn = LearnerSampler(LearnerModel(learner)).sample(steps=2, tasks=2)
    assert learner.calls == ["task", "batch", "batch"] * 4
    np.testing.assert_array_equal(np.ravel(drawn.support[0]), [2, 5, 8, 11])
    np.testing.assert_array_equal(np.ravel(drawn.query[0]), [3, 6, 9, 12])
    np.testing.assert_array_equal(np.ravel(drawn.slice(1, 2).support[0]), [8, 11])


@pytest.mark.parametrize(
    ("read", "seen"),
    [
        (lambda learner: None, False),
        (lambda learner: learner.variables[0].numpy(), True),
        (lambda learner: np.asarray(learner.variables[0]), True),
        (lambda learner: learner.variables[0] * 2, True),
        (lambda learner: tf.function(lambda: learner.variables[0] + 1)(), True),
    ],
)
def test_reads_of_variables_are_seen(read, seen):
    sampler = LearnerSampler(LearnerModel(Recorder(read)))
    assert sampler.sample(1, 1).read_variables is seen


def test_queue_draws_ahead_in_one_thread_and_leaves_none():
    learner = Recorder()
    with EpisodeQueue(LearnerSampler(LearnerModel(learner)), tasks=1) as queue:
        assert queue.take(1).support[0][0] == [2.0]
        assert learner.threads == {threading.current_thread()}
        queue.draw_ahead(2)
        ahead = queue.take(2)
        assert ahead.steps == 2 and ahead.support[0][0] == [5.0]
    assert len(learner.calls) == 9
    assert not any(t.name.startswith("episodes") for t in threading.enumerate())


def test_exception_in_the_thread_arrives_as_raised():
    class Own(Exception):
        pass

    learner = Recorder()
    with (
        pytest.raises(Own, match="mine") as caught,
        EpisodeQueue(LearnerSampler(LearnerModel(learner)), tasks=1) as queue,
    ):
        queue.take(1)

        def fail():
            raise Own("mine")

        learner.get_batch = fail
        queue.draw_ahead(3)
        queue.take(3)
    assert caught.traceback[-1].name == "fail"
    assert not any(t.name.startswith("episodes") for t in threading.enumerate())


def test_what_was_drawn_for_nothing_is_given_back():
    learner, other = ResumableSine(), ResumableSine()
    with EpisodeQueue(LearnerSampler(LearnerModel(learner)), tasks=2) as queue:
        queue.take(3)
        queue.draw_ahead(5)
    LearnerSampler(LearnerModel(other)).sample(3, 2)
    assert learner.get_state() == other.get_state()


@pytest.mark.parametrize("ahead", [False, True])
def test_a_source_that_fails_is_put_back(ahead):
    learner, other = ResumableSine(), ResumableSine()
    with EpisodeQueue(LearnerSampler(LearnerModel(learner)), tasks=2) as queue:
        queue.take(3)
        draws = iter(range(5))
        draw = learner.get_batch

        def fail():
            if next(draws, None) is None:
                raise OSError("gone")
            return draw()

        learner.get_batch = fail
        if ahead:
            queue.draw_ahead(4)
        with pytest.raises(OSError, match="gone"):
            queue.take(4)
    LearnerSampler(LearnerModel(other)).sample(3, 2)
    assert learner.get_state() == other.get_state()


def test_arrays_that_are_used_again():
    """A learner and a source that fill the same arrays for each task give each its own data."""

    class Buffer(Sine):
        def __init__(self, **options):
            super().__init__(**options)
            self.buffer = np.zeros(3, np.float32)

        def select_task(self):
            self.buffer += 1

        def get_batch(self):
            return [self.buffer]

    drawn = LearnerSampler(LearnerModel(Buffer())).sample(2, 2)
    assert [float(array[0]) for array in drawn.support[0]] == [1, 2, 3, 4]

    class Many(Buffer):
        def sample_tasks(self, n, rng):
            if len(self.buffer) != n:
                self.buffer = np.zeros(n, np.float32)
            self.buffer += 1
            return ([self.buffer], [self.buffer])

    sampler = TaskSampler(LearnerModel(Many()), tf.Variable(0, dtype=tf.int64))
    drawn = sampler.sample(50, 1)
    assert drawn.support[0].tolist() == [1.0] * 20 + [2.0] * 20 + [3.0] * 10


def test_layouts_of_tasks_and_steps():
    def part(*sizes):
        return (tuple(np.zeros((size, 2), np.float32) for size in sizes),)

    drawn = Episodes(2, 2, part(3, 3, 4, 5), part(1, 1, 1, 1))
    first, second = drawn.layouts()
    assert first.support[0].shape == (3, 2) and second.support[0].shape == (None, 2)
    stacked = Episodes(2, 2, (np.zeros((4, 3, 2)),), (np.zeros((4, 1)),))
    assert [layout.query[0].shape for layout in stacked.layouts()] == [(1,), (1,)]


def test_learners_state_is_that_after_the_last_batch():
    learner = ResumableSine()
    drawn = LearnerSampler(LearnerModel(learner)).sample(2, 3)
    assert drawn.place == learner.rng.bit_generator.state
    assert LearnerSampler(LearnerModel(Sine())).sample(1, 1).place is None


class ManySines(Sine):
    """Sine curves, many at once."""

    def sample_tasks(self, n, rng):
        amplitude, phase = rng.uniform(0.1, 5, (n, 1, 1)), rng.uniform(0, np.pi, (n, 1, 1))
        x = rng.uniform(-5, 5, (2, n, 5, 1))
        y = amplitude * np.sin(x + phase)
        x, y = x.astype("float32"), y.astype("float32")
        return (x[0], y[0]), (x[1], y[1])


def test_tasks_do_not_depend_on_how_many_are_drawn_at_once():
    drawn = []
    for sizes in ([1] * 50, [7, 13, 30], [50]):
        sampler = TaskSampler(LearnerModel(ManySines()), tf.Variable(3, dtype=tf.int64))
        parts = [sampler.sample(size, 4) for size in sizes]
        assert [part.steps for part in parts] == sizes
        drawn.append(np.concatenate([part.query[1] for part in parts]))
        assert len(drawn[-1]) == 200
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])
    other = TaskSampler(LearnerModel(ManySines()), tf.Variable(4, dtype=tf.int64)).sample(50, 4)
    assert not np.array_equal(other.query[1], drawn[0])


def test_tasks_go_on_after_a_checkpoint(tmp_path):
    def make(folder, seed):
        learner = ManySines()
        options = {"task_execution": "vectorized", "jit_compile": False, "model_dir": folder}
        return learner, MAML(learner, meta_batch_size=3, seed=seed, **options)

    whole, maml = make(tmp_path / "whole", 1)
    maml.fit(40)
    _, maml = make(tmp_path / "parts", 1)
    maml.fit(13)
    resumed, maml = make(tmp_path / "parts", None)
    maml.fit(27, restore=True)
    for a, b in zip(values(resumed), values(whole), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("sample_tasks", "error", "message"),
    [
        (lambda n, rng: [1, 2, 3], TypeError, r"must return \(support, query\)"),
        (lambda n, rng: ((np.ones((n, 2)),), (np.ones((n + 1, 2)),)), ValueError, "first axis"),
    ],
)
def test_bad_tasks(sample_tasks, error, message):
    learner = Sine()
    learner.sample_tasks = sample_tasks
    with pytest.raises(error, match=message):
        MAML(learner).fit(1)


def test_a_learner_that_assigns_its_variables_is_refused():
    """A fresh head for each task would be that of the last task for all of a meta-step."""

    class Fresh(Quadratic):
        def select_task(self):
            super().select_task()
            self.v.assign(self.rng.normal(size=3))

    with pytest.raises(ValueError, match="must not assign the learner's variables"):
        MAML(Fresh(), meta_batch_size=2).fit(3)
