"""What callbacks see of meta-training."""

import time

import keras
import pytest
import tensorflow as tf
from learners import Function, Quadratic, ResumableSine

from deepchem_meta.metalearning import MAML

FAST = {"meta_batch_size": 2, "task_execution": "vectorized", "jit_compile": False}


def test_history_and_epochs():
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, sorted(logs)))

    history = MAML(Quadratic(), **FAST).fit(2100, callbacks=[Watch()])
    keys = ["gradient_norm", "loss", "query_loss_before", "support_loss_after"]
    keys.append("support_loss_before")
    assert seen == [(0, keys), (1, keys), (2, keys)]
    assert history.epoch == [0, 1, 2]
    assert all(len(history.history[key]) == 3 for key in keys)


def test_history_against_a_closed_form():
    v = tf.Variable(1.0, dtype=tf.float64)
    learner = Function([v], lambda inputs, variables: (variables[0] - 3.0) ** 2 / 2)
    maml = MAML(learner, learning_rate=0.1, **FAST, optimizer=keras.optimizers.SGD(0.0))
    logs = {key: value[0] for key, value in maml.fit(3).history.items()}
    after = (0.9 * 2) ** 2 / 2
    expected = {
        "loss": after,
        "support_loss_after": after,
        "support_loss_before": 2.0,
        "query_loss_before": 2.0,
        "gradient_norm": 2 * 0.9 * 1.8,
    }
    assert logs == pytest.approx(expected, rel=1e-12)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras' own, with NumPy 2
def test_callbacks_can_stop_and_steer(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch >= 9:
                self.model.stop_training = True

    learner = ResumableSine()
    maml = MAML(learner, **FAST, model_dir=tmp_path)
    csv = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = maml.fit(500, callbacks=[Stop(), csv], steps_per_execution=5)
    assert int(maml._step) == 11  # one, then two calls of five
    assert len(history.history["loss"]) == 1
    assert (tmp_path / "log.csv").read_text().count("\n") == 2
    other = ResumableSine()
    MAML(other, **FAST).fit(11)
    assert learner.get_state() == other.get_state()

    rates = []
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.5)
    record = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(logs["learning_rate"])
    )
    maml.fit(2, callbacks=[schedule, record])
    assert rates == [0.5]

    early = keras.callbacks.EarlyStopping("loss", patience=0, restore_best_weights=True)
    maml.fit(2001, callbacks=[early, keras.callbacks.TerminateOnNaN()])


def test_callbacks_that_want_a_model_are_told():
    save = keras.callbacks.ModelCheckpoint("x.keras", save_freq=1)
    with pytest.raises(AttributeError, match=r"asked for `model\.save`.*model_dir"):
        MAML(Quadratic(), **FAST).fit(2, callbacks=[save])


def test_verbose(capsys):
    maml = MAML(Quadratic(), **FAST)
    maml.fit(3)
    assert capsys.readouterr().out == ""
    maml.fit(3, verbose=1)
    assert "loss" in capsys.readouterr().out


def test_fit_returns_promptly_to_callbacks():
    """A call lasts about a quarter of a second, whatever the number of steps asked."""
    longest, last = [0.0], [None]

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            now = time.monotonic()
            if last[0] is not None:
                longest[0] = max(longest[0], now - last[0])
            last[0] = now

    def slow(inputs, variables):
        return variables[0] * tf.reduce_sum(tf.linalg.expm(tf.ones((400, 400)) / 400))

    maml = MAML(Function([tf.Variable(1.0)], slow), **FAST)
    maml.fit(3)
    maml.fit(60, callbacks=[Watch()])
    assert longest[0] < 5.0
