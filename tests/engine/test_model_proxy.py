"""Every callback of Keras, with the stand-in for the model."""

import inspect
import json

import keras
import numpy as np
import pytest
from keras import callbacks, layers
from learners import Quadratic

import deepchem_meta as dc
from deepchem_meta.metalearning import MAML, KerasLearner

FAST = {"meta_batch_size": 2, "task_execution": "vectorized", "jit_compile": False}
X = np.linspace(-1, 1, 5, dtype="float32")[:, np.newaxis]


def maml(**options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((1,)), layers.Dense(4, "tanh"), layers.BatchNormalization(), layers.Dense(1)]
    )
    tasks = dc.tasks.SinusoidTasks(shots=4, queries=3)
    return MAML(KerasLearner(model, "mse", tasks), 0.01, seed=0, **{**FAST, **options})


def run(callback, algorithm=None, steps=4):
    algorithm = algorithm or maml()
    algorithm.fit(steps, callbacks=[callback], steps_per_epoch=2, verbose=0)
    return algorithm


SIMPLE = {
    "CSVLogger": lambda folder: callbacks.CSVLogger(folder / "log.csv"),
    "Callback": lambda folder: callbacks.Callback(),
    "EarlyStopping": lambda folder: callbacks.EarlyStopping("loss", restore_best_weights=True),
    "History": lambda folder: callbacks.History(),
    "LambdaCallback": lambda folder: callbacks.LambdaCallback(on_epoch_end=lambda e, logs: None),
    "LearningRateScheduler": lambda folder: callbacks.LearningRateScheduler(lambda e, rate: 0.1),
    "ProgbarLogger": lambda folder: callbacks.ProgbarLogger(),
    "ReduceLROnPlateau": lambda folder: callbacks.ReduceLROnPlateau("loss"),
    "TensorBoard": lambda folder: callbacks.TensorBoard(folder / "board"),
    "TerminateOnNaN": lambda folder: callbacks.TerminateOnNaN(),
}
# With tests of their own below, or of what is not about models.
OTHERS = {"ModelCheckpoint", "BackupAndRestore", "SwapEMAWeights"}
NOT_TRIED = {"RemoteMonitor", "CallbackList", "OrbaxCheckpoint"}  # a server; a list; needs orbax


def test_every_callback_of_keras_is_known():
    there = {name for name, one in vars(callbacks).items() if inspect.isclass(one)}
    assert there <= set(SIMPLE) | OTHERS | NOT_TRIED


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras' own, with NumPy 2
@pytest.mark.parametrize("keras_learner", [True, False])
@pytest.mark.parametrize("name", SIMPLE)
def test_it_runs_with_any_learner(name, keras_learner, tmp_path, capsys):
    if name == "TensorBoard":
        pytest.importorskip("tensorboard")
    run(SIMPLE[name](tmp_path), None if keras_learner else MAML(Quadratic(), **FAST))


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_tensorboard_has_the_logs(tmp_path):
    pytest.importorskip("tensorboard")
    run(callbacks.TensorBoard(tmp_path, write_graph=True, histogram_freq=1))
    (events,) = (tmp_path / "train").glob("events*")
    content = events.read_bytes()
    assert b"epoch_loss" in content and b"epoch_support_loss_after" in content


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_model_checkpoint_saves_the_meta_trained_model(tmp_path):
    algorithm = run(callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"))
    loaded = keras.models.load_model(tmp_path / "2.keras")
    wanted = algorithm.learner.model(X, training=False)
    np.testing.assert_array_equal(loaded(X, training=False), wanted)
    path = tmp_path / "{epoch}.weights.h5"
    algorithm = run(callbacks.ModelCheckpoint(path, save_weights_only=True))
    other = maml().learner.model
    other.load_weights(tmp_path / "2.weights.h5")
    np.testing.assert_array_equal(other(X, training=False), algorithm.learner.model(X))


def test_model_checkpoint_without_a_model_is_told():
    save = callbacks.ModelCheckpoint("x.keras", save_freq=1)
    with pytest.raises(AttributeError, match=r"asked for `model\.save`.*KerasLearner.*model_dir"):
        run(save, MAML(Quadratic(), **FAST))


def test_backup_and_restore_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r'fit\(..., restore="auto"\).*Received'):
        run(callbacks.BackupAndRestore(tmp_path))


def test_averaged_weights_at_the_end_of_each_epoch():
    """SwapEMAWeights puts the average in at the end of an epoch, and takes it out again."""
    optimizer = keras.optimizers.SGD(0.01, use_ema=True, ema_momentum=0.9)
    seen, average = [], []
    algorithm = maml(optimizer=optimizer)
    kernel = algorithm.learner.model.layers[0].kernel

    class Watch(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            value = kernel.numpy()
            average.append(0.9 * average[-1] + 0.1 * value if average else value)

        def on_epoch_end(self, epoch, logs=None):
            seen.append(kernel.numpy())

    swap = callbacks.SwapEMAWeights(swap_on_epoch=True)
    watch = Watch()
    algorithm.fit(
        4, callbacks=[watch, swap, watch], steps_per_epoch=2, verbose=0, steps_per_execution=1
    )
    assert len(seen) == 4
    np.testing.assert_allclose(seen[1], average[2], rtol=1e-5)


def test_the_stand_in_answers_for_the_model(capsys):
    answers = {}

    class Ask(callbacks.Callback):
        def on_train_begin(self, logs=None):
            answers["name"] = self.model.name
            answers["built"] = self.model.built
            answers["trainable"] = self.model.trainable_weights
            answers["config"] = json.loads(self.model.to_json())["class_name"]
            answers["strategy"] = self.model.distribute_strategy
            self.model.summary()

    algorithm = run(Ask())
    model = algorithm.learner.model
    assert answers["name"] == model.name and answers["built"]
    assert [a is b for a, b in zip(answers["trainable"], model.trainable_weights, strict=True)]
    assert answers["config"] == "Sequential" and answers["strategy"] is not None
    assert "Total params" in capsys.readouterr().out
    fly = callbacks.LambdaCallback()
    fly.on_train_begin = lambda logs=None: fly.model.fly()
    with pytest.raises(AttributeError, match=r"asked for `model\.fly`"):
        run(fly)
