"""What callbacks see of meta-training."""

import sys
import time
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Function, Quadratic, ResumableSine

import deepchem_meta as dc
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


def test_the_former_name_of_the_length_of_an_epoch():
    with pytest.warns(DeprecationWarning, match="it is called `steps_per_epoch` now"):
        history = MAML(Quadratic(), **FAST).fit(6, verbose=0, validation_frequency=2)
    assert history.epoch == [0, 1, 2]
    with pytest.raises(ValueError, match="`steps_per_epoch` must be"):
        MAML(Quadratic(), **FAST).fit(6, steps_per_epoch=0)


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
    assert maml.step == 11  # one, then two calls of five
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


@pytest.mark.parametrize(
    ("terminal", "notebook", "steps", "kind"),
    [
        (False, False, 12, "lines"),
        (True, False, 12, "bar"),
        (False, True, 12, "bar"),
        (True, True, 9, "silence"),
        (False, False, 9, "silence"),
    ],
)
def test_verbose_is_what_suits_the_place(monkeypatch, capsys, terminal, notebook, steps, kind):
    maml = MAML(Quadratic(), **FAST)
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    if notebook:
        monkeypatch.setitem(sys.modules, "ipykernel", sys)
    maml.fit(steps, steps_per_execution=4, steps_per_epoch=6)
    out = capsys.readouterr().out
    if kind == "silence":
        assert out == ""
        return
    assert out.count("Epoch ") == 2 and out.count("6/6") == 2
    assert ("\x1b[" in out) == (kind == "bar")
    assert ("Compiling a meta-step of 2 tasks" in out) == (kind == "bar")
    maml.fit(steps, verbose=1, steps_per_execution=4)
    assert "Compiling" not in capsys.readouterr().out  # it is compiled
    maml.fit(steps, verbose=0)
    assert capsys.readouterr().out == ""


def test_the_time_to_compile_is_not_in_the_estimate(monkeypatch, capsys):
    """The first meta-step takes an hour of a clock of our own, the others a millisecond."""
    clock = [0.0]
    monkeypatch.setattr("time.time", lambda: clock[0])
    maml = MAML(Quadratic(), **FAST)
    run = maml.runner.trainer().run

    def slow(episodes, *args, **options):
        clock[0] += 3600 if maml.step == 0 else 0.1 * episodes.steps
        return run(episodes, *args, **options)

    monkeypatch.setattr(maml.runner.trainer(), "run", slow)
    maml.fit(101, verbose=1, steps_per_execution=10)
    out = capsys.readouterr().out
    assert "99ms/step" in out and "1:00:" not in out and ":" not in out.split("11/101")[1][:40]


def test_what_has_no_meaning_is_not_in_the_logs():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(24, 3)).astype("float32"), np.repeat(np.arange(4), 6)
    tasks = dc.tasks.FewShotClassificationTasks(x, labels, ways=2, shots=2, queries=3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def logs(make, **options):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        learner = dc.metalearning.KerasLearner(model, loss, tasks, metrics=["accuracy"])
        return make(learner, meta_batch_size=2, jit_compile=False).fit(1, verbose=0).history

    both = {"loss", "gradient_norm", "support_loss_after", "accuracy"}
    before = {"support_loss_before", "query_loss_before"}
    assert set(logs(dc.metalearning.ProtoNet)) == both
    assert set(logs(dc.metalearning.MAML)) == both | before
    assert set(logs(partial(MAML, optimization_steps=0))) == both


def test_metrics_of_the_query_sets_after_adaptation():
    tasks = dc.tasks.SinusoidTasks(shots=4, queries=3)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    learner = dc.metalearning.KerasLearner(model, "mse", tasks, metrics=["mae", "mse"])
    maml = MAML(learner, 0.01, optimizer=keras.optimizers.SGD(0.0), seed=0, **FAST)
    history = maml.fit(1).history
    assert history["mse"][0] == pytest.approx(history["loss"][0], rel=1e-5)
    before = maml.evaluate(tasks, n_tasks=300, optimization_steps=[1])
    assert history["mae"][0] == pytest.approx(before.mean["mae"][0], rel=0.5)


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


def test_a_long_epoch_takes_no_memory():
    history = MAML(Quadratic(), **FAST).fit(3, verbose=0, steps_per_epoch=2**40)
    assert len(history.history["loss"]) == 1


@pytest.mark.parametrize("callbacks", [1, [keras.callbacks.Callback(), "early"], keras])
def test_callbacks_that_are_none(callbacks):
    with pytest.raises(TypeError, match="`callbacks` must be a list of keras.callbacks.Callback"):
        MAML(Quadratic(), **FAST).fit(3, callbacks=callbacks)
