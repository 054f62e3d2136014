"""How many meta-steps a call takes, and when their episodes are drawn."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic, ResumableSine, Sine, values

from deepchem_meta.engine.fit_loop import fit
from deepchem_meta.engine.learner_model import LearnerModel
from deepchem_meta.engine.sampling import EpisodeQueue, LearnerSampler
from deepchem_meta.engine.workers import Workers
from deepchem_meta.metalearning import MAML


class FakeProgress:
    """Counts meta-steps in epochs of 30."""

    measure_now = False
    stops = False

    def __init__(self, steps):
        self.remaining = steps
        self.calls = []

    def room(self, done):
        taken = sum(self.calls) + done
        return min(30 - taken % 30, self.remaining - done)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def begin(self):
        pass

    def end(self, rows):
        self.calls.append(len(rows))
        self.remaining -= len(rows)


class FakeTrainer:
    """Takes no time; measures that ten steps last as long as a call should."""

    steps_a_call = 10
    seconds_a_step = 0.01
    step = 0

    def capacity(self, episodes):
        return 64

    def is_ready(self, episodes, capacity):
        return True

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
    saved = []
    with EpisodeQueue(LearnerSampler(LearnerModel(learner)), tasks=2) as queue:
        fit(
            FakeTrainer(),
            queue,
            progress,
            numbers=dict,
            steps_per_execution=asked,
            checkpoint_interval=0.0,
            save=saved.append,
            workers=Workers(tf.distribute.get_strategy()),
        )
    assert progress.calls == calls
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


# What is left of a run that is interrupted.


class Interrupts(keras.callbacks.Callback):
    """Ends a run by an exception, when it has taken some steps."""

    def __init__(self, error, when):
        super().__init__()
        self.error, self.when, self.taken = error, when, 0

    def on_train_batch_end(self, batch, logs=None):
        self.taken += 1
        if self.taken == self.when:
            raise self.error


class ManySines(ResumableSine):
    """Sine curves that are drawn many at once."""

    def sample_tasks(self, n, rng):
        x = rng.uniform(-5.0, 5.0, (2, n, 5, 1)).astype("float32")
        return tuple((part, np.sin(part)) for part in x)


def plain(learner, folder, **options):
    options = {"seed": 0, "task_execution": "looped", "jit_compile": False, **options}
    return MAML(learner(), 0.01, meta_batch_size=2, model_dir=folder, **options)


@pytest.mark.parametrize("learner", [ResumableSine, ManySines])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("no disk")])
def test_an_interrupted_run_is_saved_and_goes_on(learner, error, tmp_path):
    whole = plain(learner, tmp_path / "whole")
    whole.fit(60, steps_per_execution=7)
    maml = plain(learner, tmp_path / "parts")
    with pytest.raises((KeyboardInterrupt, RuntimeError)):
        maml.fit(60, steps_per_execution=7, callbacks=[Interrupts(error, 4)])
    taken = maml.step
    assert 0 < taken < 60
    resumed = plain(learner, tmp_path / "parts")
    resumed.fit(60 - taken, restore=True)
    maml.fit(60 - taken)  # and so does the object itself
    for one in (resumed, maml):
        for a, b in zip(values(one.learner), values(whole.learner), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("learner", [ResumableSine, ManySines])
def test_the_same_call_repeated_until_the_run_is_done(learner, tmp_path):
    whole = plain(learner, tmp_path / "whole")
    whole.fit(60, steps_per_execution=7, restore="auto")  # in an empty folder it starts afresh
    assert whole.step == 60
    starts = []
    for when in (3, 2, 4, None):
        maml = plain(learner, tmp_path / "parts")
        callbacks = [] if when is None else [Interrupts(KeyboardInterrupt, when)]
        try:
            maml.fit(60, steps_per_execution=7, restore="auto", callbacks=callbacks)
        except KeyboardInterrupt:
            assert when is not None
        starts.append(maml.step)
    assert starts == sorted(starts) and 0 < starts[0] < starts[-1] == 60
    for a, b in zip(values(maml.learner), values(whole.learner), strict=True):
        np.testing.assert_array_equal(a, b)
    done = plain(learner, tmp_path / "parts")
    assert done.fit(60, restore="auto").history == {}
    assert done.step == 60


@pytest.mark.parametrize("restore", ["False", "true", None, 2])
def test_restore_is_one_of_three(restore, tmp_path):
    with pytest.raises(ValueError, match="`restore` must be one of"):
        plain(Sine, tmp_path).fit(1, restore=restore)


def test_a_callback_that_fails_at_the_end_leaves_the_last_step(tmp_path):
    class Fails(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            raise RuntimeError("no mail server")

    maml = plain(Sine, tmp_path)
    with pytest.raises(RuntimeError, match="no mail server"):
        maml.fit(4, callbacks=[Fails()])
    resumed = plain(Sine, tmp_path)
    resumed.restore()
    for a, b in zip(values(resumed.learner), values(maml.learner), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_that_is_interrupted_at_once_saves_nothing(tmp_path):
    class Fails(Sine):
        def get_batch(self):
            raise KeyboardInterrupt

    maml = plain(Fails, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        maml.fit(5)
    assert not list(tmp_path.glob("c*"))


def test_a_learner_that_fails_in_the_thread_leaves_the_last_step(tmp_path):
    class Fails(Sine):
        drawn = 0

        def get_batch(self):
            self.drawn += 1
            if self.drawn > 30:
                raise OSError("the disk is gone")
            return super().get_batch()

    maml = plain(Fails, tmp_path)
    with pytest.raises(OSError, match="the disk is gone"):
        maml.fit(50, steps_per_execution=3)
    taken = maml.step
    weights = values(maml.learner)
    resumed = plain(Sine, tmp_path)
    resumed.restore()
    assert resumed.step == taken > 0
    for a, b in zip(values(resumed.learner), weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_that_is_not_finite_saves_nothing(tmp_path):
    maml = plain(Sine, tmp_path, optimizer=keras.optimizers.SGD(1e30))
    with pytest.raises(FloatingPointError, match="not finite at meta-step"):
        maml.fit(20)
    assert not list(tmp_path.glob("*.index"))


INTERRUPTED = """
import pathlib, sys, threading, _thread
import keras
import numpy as np
from learners import ResumableSine, values
from deepchem_meta.metalearning import MAML

def make(folder):
    options = {"seed": 0, "task_execution": "looped", "jit_compile": False}
    return MAML(ResumableSine(), 0.01, meta_batch_size=2, model_dir=folder, **options)

folder, rng, steps = sys.argv[1], np.random.default_rng(int(sys.argv[2])), 15_000
whole = make(folder + "/whole")
whole.fit(steps)

class Tell(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.step, self.reached, self.ended = step, threading.Event(), threading.Event()

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) >= self.step:
            self.reached.set()

def interrupt(tell, delay):
    tell.reached.wait()  # not by the clock: machines are busy
    if not tell.ended.wait(delay):
        _thread.interrupt_main()

maml, interrupts = make(folder + "/parts"), 0
while (left := steps - maml.step) > 0:
    tell = Tell(maml.step + int(steps * rng.uniform(0.01, 0.25)))
    watch = threading.Thread(target=interrupt, args=(tell, rng.uniform(0, 0.05)))
    watch.start()
    try:
        maml.fit(left, callbacks=[tell])
    except KeyboardInterrupt:
        interrupts += 1
        if interrupts % 3 == 0:  # some of them in the same object, some in a new one
            maml = make(folder + "/parts")
            if list(pathlib.Path(folder, "parts").glob("*.index")):
                maml.restore()
    finally:
        tell.ended.set()
        tell.reached.set()
        watch.join()
for a, b in zip(values(maml.learner), values(whole.learner)):
    np.testing.assert_array_equal(a, b)
print(interrupts)
"""


@pytest.mark.slow
def test_interrupts_at_random_moments_skip_no_task(tmp_path):
    """Weights after many interrupts are those of an uninterrupted run, to the bit."""
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), str(root / "tests")])
    finished = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path), "0"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    assert int(finished.stdout.split()[-1]) >= 3
