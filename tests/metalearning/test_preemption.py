import os
import signal
import subprocess
import sys
import textwrap
import threading

import keras
import numpy as np
import pytest
from learners import ResumableSine, values

from deepchem_meta.metalearning import MAML, SaveOnSignal


def make(folder):
    keras.utils.set_random_seed(0)
    options = {"task_execution": "looped", "jit_compile": False, "seed": 0}
    return MAML(ResumableSine(), 0.01, meta_batch_size=2, model_dir=folder, **options)


class Sends(keras.callbacks.Callback):
    """Sends this process a signal at a call."""

    def __init__(self, number, call):
        super().__init__()
        self.number, self.left = number, call

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_the_last_meta_step_and_the_run_goes_on(tmp_path, number):
    before = signal.getsignal(number)
    maml = make(tmp_path / "parts")
    with pytest.raises(SystemExit) as ended, SaveOnSignal() as saving:
        callbacks = [saving, Sends(number, 3)]
        maml.fit(40, restore="auto", callbacks=callbacks, steps_per_execution=4)
    assert ended.value.code == 128 + number and saving.received is number
    assert signal.getsignal(number) is before
    assert 0 < maml.step < 40
    again = make(tmp_path / "parts")
    again.restore()
    assert again.step == maml.step
    again.fit(40, restore="auto")
    whole = make(tmp_path / "whole")
    whole.fit(40)
    for a, b in zip(values(again.learner), values(whole.learner), strict=True):
        np.testing.assert_array_equal(a, b)


def test_nothing_is_left_behind_without_a_signal(tmp_path):
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    with SaveOnSignal() as saving:
        make(tmp_path).fit(3, callbacks=[saving])
    assert saving.received is None
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == before


def test_an_exception_goes_on_as_it_is():
    with pytest.raises(KeyError), SaveOnSignal() as saving:
        saving.received = signal.SIGTERM
        raise KeyError("mine")


def test_not_in_another_thread():
    raised = []

    def enter():
        try:
            SaveOnSignal().__enter__()
        except RuntimeError as error:
            raised.append(str(error))

    thread = threading.Thread(target=enter, name="mine")
    thread.start()
    thread.join()
    assert len(raised) == 1 and "must be entered in the main thread" in raised[0]
    assert "Received: a call in 'mine'" in raised[0]


SECOND = """
    import os, signal, sys, time
    sys.path.insert(0, sys.argv[1])
    from deepchem_meta.metalearning.preemption import SaveOnSignal
    with SaveOnSignal():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
"""


def test_a_second_signal_ends_the_process_at_once():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    command = [sys.executable, "-c", textwrap.dedent(SECOND), root]
    finished = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert finished.returncode == -signal.SIGTERM
