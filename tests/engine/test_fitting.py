"""How many meta-steps a call takes, and when their episodes are drawn."""

import threading

import numpy as np
import pytest
from learners import Quadratic, Sine

from deepchem_meta.engine.fitting import fit
from deepchem_meta.engine.model import LearnerModel
from deepchem_meta.engine.sampling import EpisodeQueue, LearnerSampler
from deepchem_meta.metalearning import MAML


class FakeProgress:
    """Counts meta-steps in epochs of 30."""

    measure_now = False

    def __init__(self, steps):
        self.remaining = steps
        self.calls = []

    def room(self, done):
        taken = sum(self.calls) + done
        return min(30 - taken % 30, self.remaining - done)

    def begin(self):
        pass

    def end(self, rows):
        self.calls.append(len(rows))
        self.remaining -= len(rows)


class FakeTrainer:
    """Takes no time; measures that ten steps last as long as a call should."""

    steps_a_call = 10
    step = 0

    def capacity(self, episodes):
        return 64

    def run(self, episodes, numbers, capacity, meanwhile):
        assert episodes.steps <= capacity
        meanwhile()
        self.step += episodes.steps
        return np.zeros((episodes.steps, 2))


@pytest.mark.parametrize(
    ("asked", "steps", "calls"),
    [
        ("auto", 45, [1, 10, 10, 9, 10, 5]),
        ("auto", 1, [1]),
        (1, 4, [1, 1, 1, 1]),
        (20, 70, [1, 20, 9, 20, 10, 10]),
    ],
)
def test_sizes_of_calls(asked, steps, calls):
    learner, progress = Sine(), FakeProgress(steps)
    seen, saved = [], []
    with EpisodeQueue(LearnerSampler(LearnerModel(learner)), tasks=2) as queue:
        fit(
            FakeTrainer(),
            queue,
            progress,
            numbers=dict,
            steps_per_execution=asked,
            checkpoint_interval=0.0,
            on_first=seen.append,
            save=saved.append,
        )
    assert progress.calls == calls
    assert len(seen) == 1
    assert len(saved) == len(calls) - 1  # the last is the caller's


def test_learner_that_reads_its_variables_runs_in_lockstep():
    class Curriculum(Quadratic):
        def get_batch(self):
            matrix, center = super().get_batch()
            return [matrix, center + 0.1 * self.v.numpy()]

    found = []
    for steps_per_execution in ("auto", 1, 50):
        learner = Curriculum()
        maml = MAML(learner, meta_batch_size=2, learning_rate=0.1)
        maml.fit(20, steps_per_execution=steps_per_execution)
        found.append(learner.v.numpy())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2], found[1])


def test_steps_per_execution_1_stays_in_the_callers_thread():
    threads = set()

    class Threads(Quadratic):
        def select_task(self):
            threads.add(threading.current_thread())
            super().select_task()

    MAML(Threads(), meta_batch_size=2).fit(5, steps_per_execution=1)
    assert threads == {threading.current_thread()}
