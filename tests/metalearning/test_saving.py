"""Algorithms saved, and made anew from what was saved."""

import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from awkward import ALGORITHMS
from keras import layers
from learners import Quadratic, Sine, values

import deepchem_meta as dc
from deepchem_meta.metalearning import MAML, KerasLearner, ProtoNet, load

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras, NumPy 2
PLAIN = {"task_execution": "looped", "jit_compile": False}


def keras_learner():
    keras.utils.set_random_seed(0)
    parts = [keras.Input((1,)), layers.Dense(4, "tanh"), layers.BatchNormalization()]
    model = keras.Sequential([*parts, layers.Dropout(0.2), layers.Dense(1)])
    return KerasLearner(model, "mse", dc.tasks.SinusoidTasks(shots=4, queries=3))


def classifier():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 6)
    x = (rng.normal(size=(5, 3))[labels] + rng.normal(size=(30, 3))).astype("float32")
    tasks = dc.tasks.FewShotClassificationTasks(x, labels, ways=3, shots=2, queries=2)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return KerasLearner(model, loss, tasks)


def state(algorithm):
    """Return all that training changes."""
    saved = algorithm._checkpoints._newest._saved
    return [v.numpy() for part in saved[:4] for v in part]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_fit_goes_on_as_if_it_had_not_been_saved(name, tmp_path):
    """In an algorithm that is made anew, on a learner of other values."""
    rates = ([0.01, 0.1],) if name == "FineTuning" else ()
    adam = dc.models.optimizers.Adam(0.01)
    options = {"meta_batch_size": 2, "optimizer": adam, "seed": 3, **PLAIN}
    trained = ALGORITHMS[name](classifier(), *rates, **options)
    trained.fit(2)
    trained.save(tmp_path / "saved")
    other = classifier()
    for variable in other.variables:
        variable.assign(variable * 0 + 1)
    again = load(tmp_path / "saved", other)
    assert type(again) is type(trained) and again.step == 2
    for one in (trained, again):
        one.fit(2)
    for a, b in zip(state(trained), state(again), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", [MAML, dc.metalearning.MetaSGD])
def test_with_keras_batch_norm_and_dropout(kind, tmp_path):
    options = {"meta_batch_size": 2, **PLAIN}
    trained = kind(keras_learner(), 0.02, optimizer=keras.optimizers.Adam(0.01), **options)
    trained.fit(2)
    trained.save(tmp_path / "saved")
    trained.fit(2)
    again = load(tmp_path / "saved", keras_learner())
    again.fit(2)
    for a, b in zip(state(trained), state(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_saving_in_a_callback_saves_the_last_meta_step(tmp_path):
    class Save(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if maml.step == 5:
                maml.save(tmp_path / "saved")

    maml = MAML(keras_learner(), 0.02, meta_batch_size=2, **PLAIN)
    maml.fit(9, callbacks=[Save()], steps_per_execution=4)
    again = load(tmp_path / "saved", keras_learner())
    assert again.step == 5
    again.fit(4)
    for a, b in zip(state(maml), state(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_settings_are_those_of_now(tmp_path):
    schedule = dc.models.optimizers.ExponentialDecay(0.01, 0.9, 10)
    maml = MAML(
        keras_learner(),
        tf.Variable(0.05),
        optimization_steps=2,
        optimizer=dc.models.optimizers.AdamW(schedule, weight_decay=0.1),
        inner_optimizer=dc.metalearning.inner_optimizers.Momentum(0.7),
        adapt_variables="dense",
        first_order=True,
        **PLAIN,
    )
    maml.optimization_steps, maml.meta_batch_size = 3, 7
    maml.save(tmp_path / "saved")
    again = load(tmp_path / "saved", keras_learner(), model_dir=tmp_path / "run")
    assert (again.optimization_steps, again.meta_batch_size, again.first_order) == (3, 7, True)
    assert repr(again.optimizer) == repr(maml.optimizer)
    assert again.inner_loop({}).optimizer.momentum == 0.7
    assert again.roles.adapts == maml.roles.adapts and again.model_dir == str(tmp_path / "run")
    assert float(again.learning_rate.numpy()) == pytest.approx(0.05)
    assert isinstance(again.learning_rate, tf.Variable)


@pytest.mark.parametrize(
    "given",
    [
        lambda learner: learner.variables[4:6],
        lambda learner: [learner.model.layers[-1]],
        lambda learner: learner.model.layers[-1],
    ],
)
def test_variables_and_layers_as_arguments(given, tmp_path):
    learner = keras_learner()
    maml = MAML(learner, adapt_variables=given(learner), **PLAIN)
    maml.save(tmp_path / "saved")
    assert load(tmp_path / "saved", keras_learner()).roles.adapts == maml.roles.adapts


class Mine(MAML):
    """An algorithm of a user."""

    def __init__(self, learner, *args, colour="red", **options):
        self.colour = colour
        super().__init__(learner, *args, **options)


def test_an_algorithm_of_ones_own(tmp_path):
    mine = Mine(Quadratic(), 0.3, 1, colour="blue", **PLAIN)
    mine.fit(1)
    mine.optimization_steps = 2
    mine.save(tmp_path / "saved")
    again = load(tmp_path / "saved", Quadratic())
    assert type(again) is Mine and again.colour == "blue" and again.learning_rate == 0.3
    assert again.optimization_steps == 2


class Odd:
    """An optimizer whose settings cannot be read off it."""

    def __init__(self, rate):
        self._hidden = rate

    def _create_tf_optimizer(self, global_step):
        return keras.optimizers.SGD(self._hidden)


def test_what_cannot_be_made_anew_is_named_and_can_be_loaded_into(tmp_path):
    maml = MAML(Quadratic(), optimizer=Odd(0.1), **PLAIN)
    maml.fit(1)
    maml.save(tmp_path / "saved")
    with pytest.raises(
        ValueError, match=r"construct the algorithm.*Received: `optimizer`, a .*Odd"
    ):
        load(tmp_path / "saved", Quadratic())
    again = MAML(Quadratic(), optimizer=Odd(0.1), **PLAIN)
    again.load(tmp_path / "saved")
    for a, b in zip(state(maml), state(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_class_that_is_not_imported(tmp_path, monkeypatch):
    mine = Mine(Quadratic(), **PLAIN)
    mine.save(tmp_path / "saved")
    monkeypatch.delitem(sys.modules, __name__)
    with pytest.raises(ValueError, match="whose module is not imported"):
        load(tmp_path / "saved", Quadratic())


def test_another_learner_is_refused(tmp_path):
    MAML(Sine(), **PLAIN).save(tmp_path / "saved")
    other = MAML(Quadratic(), **PLAIN)
    before = state(other)
    with pytest.raises(ValueError, match="belongs to another learner; nothing was restored"):
        other.load(tmp_path / "saved")
    for a, b in zip(before, state(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_settings_are_told_and_stay(tmp_path):
    maml = MAML(Quadratic(), 0.1, optimizer=keras.optimizers.SGD(0.5), model_dir=tmp_path, **PLAIN)
    maml.fit(1)
    same = MAML(Quadratic(), 0.1, optimizer=keras.optimizers.SGD(0.5), model_dir=tmp_path, seed=1)
    same.restore()  # another plan is no other setting
    options = {"optimizer": keras.optimizers.SGD(0.25), "model_dir": tmp_path, **PLAIN}
    other = MAML(Quadratic(), 0.2, 3, **options)
    told = (
        r"other settings.*learning_rate: 0.1 there, 0.2 here.*optimization_steps: 1 there, 3 here"
    )
    with pytest.warns(UserWarning, match=f"(?s){told}$"):
        other.restore()
    told += r".*optimizer.learning_rate: 0.5 there, 0.25 here"
    with pytest.warns(UserWarning, match=f"(?s){told}$"):
        other.fit(1, restore=True)
    assert other.learning_rate == 0.2 and other.optimization_steps == 3 and other.step == 2
    reptile = dc.metalearning.Reptile(Quadratic(), 0.1, model_dir=tmp_path, **PLAIN)
    with pytest.warns(UserWarning, match=r"algorithm: MAML there, Reptile here|starts afresh"):
        reptile.restore()


def test_another_optimizer_goes_on_counting(tmp_path):
    MAML(Quadratic(), model_dir=tmp_path, **PLAIN).fit(4)
    options = {"optimizer": keras.optimizers.SGD(0.25), "model_dir": tmp_path, **PLAIN}
    other = MAML(Quadratic(), **options)
    with pytest.warns(UserWarning, match="starts afresh|other settings"):
        other.fit(6, restore="auto")
    assert other.step == 6


def test_a_saved_folder_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "saved"
    maml = MAML(Quadratic(), **PLAIN)
    maml.save(path)
    first = state(maml)
    maml.fit(1)
    save = tf.train.CheckpointManager.save

    def broken(manager, *args, **options):
        save(manager, *args, **options)
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tf.train.CheckpointManager, "save", broken)
        with pytest.raises(OSError, match="No space"):
            maml.save(path)
    assert os.listdir(path.parent) == ["saved"]
    again = load(path, Quadratic())
    for a, b in zip(first, state(again), strict=True):
        np.testing.assert_array_equal(a, b)
    maml.save(path)
    assert load(path, Quadratic()).step == 1
    assert os.listdir(path.parent) == ["saved"]


def test_the_folder_of_a_run_may_be_any_path(tmp_path):
    """`load` has a `model_dir` of its own."""
    MAML(Quadratic(), model_dir=tmp_path / "run", **PLAIN).save(tmp_path / "saved")
    assert load(tmp_path / "saved", Quadratic()).model_dir != str(tmp_path / "run")


def test_folders_that_are_something_else_stay(tmp_path):
    maml = MAML(Quadratic(), model_dir=tmp_path / "run", **PLAIN)
    maml.fit(1)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    for name in ("run", "file", "empty"):
        with pytest.raises(ValueError, match="`path` must be a new folder, or one that `save`"):
            maml.save(tmp_path / name)
    for name in ("run", "file", "empty", "absent"):
        with pytest.raises(ValueError, match="`path` must be a folder that `save` wrote"):
            load(tmp_path / name, Quadratic())
        with pytest.raises(ValueError, match="`path` must be a folder that `save` wrote"):
            maml.load(tmp_path / name)
    with pytest.raises(TypeError, match="`path` must be a path"):
        maml.save(3)
    assert (tmp_path / "file").read_text() == "mine"


def test_weights_alone_are_kerass(tmp_path):
    maml = MAML(keras_learner(), 0.02, meta_batch_size=2, **PLAIN)
    maml.fit(2)
    path = tmp_path / "new" / "sines.weights.h5"
    maml.save_weights(path)
    model = keras_learner().model
    model.load_weights(path)
    for a, b in zip(model.get_weights(), maml.learner.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    other = MAML(keras_learner(), 0.02, **PLAIN)
    other.load_weights(path)
    for a, b in zip(values(other.learner), values(maml.learner), strict=True):
        np.testing.assert_array_equal(a, b)
    small = keras.Sequential([keras.Input((1,)), layers.Dense(2), layers.Dense(1)])
    wrong = MAML(KerasLearner(small, "mse", dc.tasks.SinusoidTasks()), **PLAIN)
    before = small.get_weights()
    with pytest.raises(ValueError, match=r"must hold the model's weights; nothing was loaded"):
        wrong.load_weights(path)
    for a, b in zip(before, small.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_of_any_learner(dtype, tmp_path):
    one, other = (MAML(Sine(dtype=dtype), **PLAIN) for _ in range(2))
    one.fit(1)
    one.save_weights(tmp_path / "a.weights.h5")
    other.load_weights(tmp_path / "a.weights.h5")
    for a, b in zip(values(one.learner), values(other.learner), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="must hold the learner's variables; nothing was loaded"):
        MAML(Quadratic(), **PLAIN).load_weights(tmp_path / "a.weights.h5")
    for path, error in (("a.h5", "must end with"), ("b.weights.h5", "must be a file")):
        with pytest.raises(ValueError, match=error):
            one.load_weights(tmp_path / path)
    with pytest.raises(ValueError, match="must end with"):
        one.save_weights(tmp_path / "a.h5")
    with pytest.raises(TypeError, match="`path` must be a path"):
        one.save_weights(None)


def test_in_another_process(tmp_path):
    maml = MAML(keras_learner(), 0.02, meta_batch_size=2, **PLAIN)
    maml.fit(2)
    maml.save(tmp_path / "saved")
    maml.fit(3)
    maml.save_weights(tmp_path / "whole.weights.h5")
    program = textwrap.dedent(
        """
        import sys
        import keras
        from keras import layers
        import deepchem_meta as dc

        parts = [keras.Input((1,)), layers.Dense(4, "tanh"), layers.BatchNormalization()]
        model = keras.Sequential([*parts, layers.Dropout(0.2), layers.Dense(1)])
        tasks = dc.tasks.SinusoidTasks(shots=4, queries=3)
        maml = dc.metalearning.load(sys.argv[1], dc.metalearning.KerasLearner(model, "mse", tasks))
        maml.fit(3)
        maml.save_weights(sys.argv[2])
        """
    )
    other = tmp_path / "other.weights.h5"
    subprocess.run([sys.executable, "-c", program, tmp_path / "saved", other], check=True)
    model = keras_learner().model
    model.load_weights(other)
    for a, b in zip(model.get_weights()[:7], maml.learner.model.get_weights()[:7], strict=True):
        np.testing.assert_array_equal(a, b)


def test_wrong_arguments_are_still_the_constructors_to_refuse():
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        MAML(Quadratic(), nonsense=1)
    with pytest.raises(TypeError, match="missing"):
        ProtoNet()
