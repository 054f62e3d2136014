"""What all algorithms share, tried on MAML: fit, restore, adapt and the rest of the contract."""

import inspect
import os
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic, ResumableSine, Sine, episodes, values

import deepchem_meta as dc
from deepchem_meta.metalearning import MAML, MetaAlgorithm

FAST = {"meta_batch_size": 2, "task_execution": "vectorized", "jit_compile": False}


def sgd(rate=0.01):
    return keras.optimizers.SGD(rate)


def test_fit_is_the_plain_loop():
    """A meta-step is a sum of meta-gradients over tasks and one step of the optimizer."""
    learner, other = Quadratic(), Quadratic()
    MAML(learner, learning_rate=0.1, meta_batch_size=3, optimizer=sgd()).fit(7)
    for _ in range(7):
        total = 0.0
        for _ in range(3):
            other.select_task()
            (a, c), (b, d) = other.get_batch(), other.get_batch()
            v = other.v.numpy()
            power = np.eye(3) - 0.1 * a
            total += power.T @ b @ (c + power @ (v - c) - d)
        other.v.assign_sub(np.float64(np.float32(0.01)) * total)
    np.testing.assert_allclose(learner.v, other.v, rtol=1e-12)


@pytest.mark.parametrize("learner", [Sine, Quadratic])
def test_results_do_not_depend_on_steps_per_execution(learner):
    found, logs = [], []
    for steps_per_execution in (1, 7, 100, "auto"):
        one = learner()
        maml = MAML(one, learning_rate=0.05, meta_batch_size=2)
        history = maml.fit(30, steps_per_execution=steps_per_execution)
        found.append(values(one))
        logs.append(history.history)
    for other, log in zip(found[1:], logs[1:], strict=True):
        assert log == logs[0]
        for a, b in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_fit_in_parts_is_fit_at_once():
    one, two = Sine(), Sine()
    maml = MAML(one, **FAST)
    for steps in (1, 1, 5, 13):
        maml.fit(steps)
    MAML(two, **FAST).fit(20)
    for a, b in zip(values(one), values(two), strict=True):
        np.testing.assert_array_equal(a, b)


def test_loss_that_is_not_finite(tmp_path):
    class Blowup(Sine):
        drawn = 0

        def get_batch(self):
            self.drawn += 1
            x, y = super().get_batch()
            return [x, np.full_like(y, np.inf) if self.drawn > 40 else y]

    learner = Blowup()
    maml = MAML(learner, meta_batch_size=2, model_dir=tmp_path)
    maml.fit(5)
    with pytest.raises(FloatingPointError, match="not finite at meta-step 11: loss (inf|nan)"):
        maml.fit(50)
    other = Sine()
    MAML(other, meta_batch_size=2).fit(10)
    for a, b in zip(values(learner), values(other), strict=True):
        np.testing.assert_array_equal(a, b)
    maml.restore()
    assert maml.step == 5
    with pytest.raises(FloatingPointError):
        maml.train_on_batch(*episodes(learner, 2))


def test_exceptions_of_the_learner_arrive_as_raised():
    class Own(Exception):
        pass

    class Failing(Sine):
        where = None

        def fail(self, where):
            if where == self.where:
                raise Own(where)

        def compute_model(self, inputs, variables, training):
            self.fail("compute")
            return super().compute_model(inputs, variables, training)

        def select_task(self):
            self.fail("select")
            super().select_task()

        def get_batch(self):
            self.fail("batch")
            return super().get_batch()

    for where in ("compute", "select", "batch"):
        learner = Failing()
        learner.where = where
        with pytest.raises(Own, match=f"^{where}$") as caught:
            MAML(learner, **FAST).fit(5)
        assert caught.value.__context__ is None
        assert caught.traceback[-1].name == "fail"
        assert not any(t.name.startswith("episodes") for t in threading.enumerate())


def test_interrupt_leaves_whole_checkpoints(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch > 20:
                raise KeyboardInterrupt

    learner = Sine()
    maml = MAML(learner, **FAST, model_dir=tmp_path)
    maml.fit(3)
    with pytest.raises(KeyboardInterrupt):
        maml.fit(1000, callbacks=[Interrupt()])
    assert not any(t.name.startswith("episodes") for t in threading.enumerate())
    left = values(learner)
    other = Sine(seed=1)
    MAML(other, **FAST, model_dir=tmp_path).restore()
    for a, b in zip(values(other), left, strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoint_interval(tmp_path):
    maml = MAML(Quadratic(), **FAST, model_dir=tmp_path)
    maml.fit(4, max_checkpoints_to_keep=3, checkpoint_interval=0, steps_per_execution=1)
    assert len(list(tmp_path.glob("*.index"))) == 3
    maml.fit(0)
    assert len(list(tmp_path.glob("*.index"))) == 3


def test_resume_is_exact(tmp_path):
    """Interrupted at a checkpoint or not: the same variables, slots, batches, to the bit."""
    whole = ResumableSine()
    MAML(whole, **FAST).fit(30)
    first = ResumableSine()
    MAML(first, **FAST, model_dir=tmp_path).fit(17)
    resumed = ResumableSine(seed=5)
    maml = MAML(resumed, **FAST, model_dir=tmp_path)
    maml.fit(13, restore=True)
    assert maml.step == 30
    for a, b in zip(values(resumed), values(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    assert resumed.get_state() == whole.get_state()


def test_constructors_rate_wins_over_the_checkpoints(tmp_path):
    MAML(Quadratic(), **FAST, optimizer=dc.models.optimizers.Adam(0.5), model_dir=tmp_path).fit(2)
    maml = MAML(Quadratic(), **FAST, optimizer=dc.models.optimizers.Adam(0.1), model_dir=tmp_path)
    maml.restore()
    assert float(maml._meta_optimizer.optimizer.learning_rate.numpy()) == pytest.approx(0.1)
    assert int(maml._meta_optimizer.optimizer.iterations.numpy()) == 2


@pytest.mark.parametrize(
    "batch",
    [
        [tf.constant([[1.0], [2.0]]), tf.constant([[0.5], [0.1]])],
        [[[1.0], [2.0]], [[0.5], [0.1]]],
        ([[1.0], [2.0]], np.array([[0.5], [0.1]], np.float32)),
        [tf.Variable([[1.0], [2.0]]), tf.constant([[0.5], [0.1]])],
    ],
)
def test_batches_of_any_kind(batch):
    learner = Sine()
    arrays = [np.array([[1.0], [2.0]], np.float32), np.array([[0.5], [0.1]], np.float32)]
    expected = MAML(learner, **FAST).predict_on_batch(arrays)
    learner.get_batch = lambda: batch
    maml = MAML(learner, **FAST)
    loss, outputs = maml.predict_on_batch(batch)
    assert float(loss) == pytest.approx(float(expected[0]))
    assert outputs[0].shape == (2, 1)
    maml.fit(2)
    maml.adapt(batch)


def test_training_on_the_current_task_draws_a_batch_a_step():
    learner = Quadratic()
    learner.select_task()
    batches = []
    draw = learner.get_batch
    learner.get_batch = lambda: batches.append(draw()) or batches[-1]
    maml = MAML(learner, learning_rate=0.1)
    v = learner.v.numpy()
    maml.train_on_current_task(4, restore=False)
    assert len(batches) == 4
    for a, c in batches:
        v = v - 0.1 * a @ (v - c)
    np.testing.assert_allclose(learner.v, v, rtol=1e-12)


def test_train_on_batch_is_a_meta_step():
    one, two = Quadratic(), Quadratic()
    history = MAML(one, **FAST).fit(1)
    logs = MAML(two, **FAST).train_on_batch(*episodes(two, 2))
    np.testing.assert_array_equal(one.v, two.v)
    assert logs == {key: history.history[key][0] for key in ("loss", "gradient_norm")}


def test_deleting_one_object_keeps_the_others_folder():
    first = MAML(Quadratic(), **FAST)
    first.fit(1)
    second = MAML(Quadratic(), **FAST, model_dir=first.model_dir)
    del first
    second.restore()


class Lines:
    """Tasks for a `SlopeLearner`: lines through the origin."""

    def sample(self, n, rng):
        slope = rng.normal(size=(n, 1))
        x = rng.normal(size=(2, n, 4))
        return (x[0], slope * x[0]), (x[1], slope * x[1])


class SlopeLearner(dc.metalearning.MetaLearner):
    """Learns lines through the origin."""

    def __init__(self):
        self.slope = tf.Variable(0.3, dtype=tf.float64)
        self.rng = np.random.default_rng(0)

    def compute_model(self, inputs, variables, training):
        x, y = inputs
        return tf.reduce_mean((variables[0] * x - y) ** 2), [variables[0] * x]

    @property
    def variables(self):
        return [self.slope]

    def select_task(self):
        (self.support, self.query) = Lines().sample(1, self.rng)
        self.first = True

    def get_batch(self):
        batch = self.support if self.first else self.query
        self.first = False
        return tuple(array[0] for array in batch)


def test_evaluate_against_each_task_by_hand():
    """The inner loss of a task is (v - s)^2 m, m the mean of x^2, so that steps have a formula."""
    maml = dc.metalearning.MAML(SlopeLearner(), learning_rate=0.1)
    found = maml.evaluate(Lines(), n_tasks=250, optimization_steps=(0, 3), seed=5)
    support, query = [], []
    rng = np.random.default_rng(5)
    for _ in range(2):  # a call takes half of them
        parts = Lines().sample(125, rng)
        support.append(parts[0])
        query.append(parts[1])
    (xs, ys), (xq, _) = (
        [np.concatenate(arrays) for arrays in zip(*batches, strict=True)]
        for batches in (support, query)
    )
    slope = ys[:, 0] / xs[:, 0]
    for column, steps in enumerate((0, 3)):
        shrink = (1 - 0.2 * np.mean(xs**2, axis=1)) ** steps
        expected = ((0.3 - slope) * shrink) ** 2 * np.mean(xq**2, axis=1)
        np.testing.assert_allclose(found.loss[:, column], expected, rtol=1e-10)
    assert found.settings == {"algorithm": "MAML"}
    assert found.task_names is None


def test_evaluate_leaves_the_learner_alone_and_follows_it():
    learner = SlopeLearner()
    maml = dc.metalearning.MAML(learner)
    before = maml.evaluate(Lines(), n_tasks=10).loss
    np.testing.assert_array_equal(maml.evaluate(Lines(), n_tasks=10).loss, before)
    assert float(learner.variables[0]) == 0.3
    learner.variables[0].assign(1.0)
    assert not np.allclose(maml.evaluate(Lines(), n_tasks=10).loss, before)


@pytest.mark.parametrize(
    ("tasks", "options", "error", "match"),
    [
        (3, {}, TypeError, r"`tasks` must be an object with `sample\(n, rng\)`.*tasks=3"),
        (Lines(), {"n_tasks": 0}, ValueError, "`n_tasks` must be at least 1"),
        (Lines(), {"optimization_steps": 3.5}, TypeError, "an int of at least 0"),
        (Lines(), {"optimization_steps": (1, -1)}, ValueError, "must be at least 0"),
        (Lines(), {"seed": "a"}, TypeError, "`seed` must be an int"),
    ],
)
def test_evaluate_bad_input(tasks, options, error, match):
    maml = dc.metalearning.MAML(SlopeLearner())
    with pytest.raises(error, match=match):
        maml.evaluate(tasks, **options)


def test_validation_goes_into_the_history_and_the_best_is_kept(tmp_path):
    maml = dc.metalearning.MAML(SlopeLearner(), optimizer=sgd(0.05), model_dir=tmp_path)

    weights = []

    class Recorder(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            weights.append(self.model.get_weights()[0])

    options = {"validation": Lines(), "steps_per_epoch": 7, "validation_tasks": 20}
    history = maml.fit(40, **options, save_best="val_loss", callbacks=[Recorder()]).history
    assert len(history["val_loss"]) == len(history["loss"]) == 6
    best = int(np.argmin(history["val_loss"]))
    maml.restore(best=True)
    assert maml.learner.variables[0].numpy() == weights[best]
    found = maml.evaluate(Lines(), n_tasks=20, optimization_steps=(1,))
    assert found.mean["loss"][0] == pytest.approx(history["val_loss"][best])
    maml.restore()
    assert maml.learner.variables[0].numpy() == weights[-1]


@pytest.mark.parametrize("at_once", [False, True])
def test_a_callback_goes_back_to_the_checkpoint(tmp_path, at_once):
    """The tasks drawn ahead are drawn again; an uninterrupted run is the oracle."""

    class Back(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                maml.restore()
                if not at_once:
                    raise KeyboardInterrupt

    whole = MAML(ResumableSine(), **FAST)
    whole.fit(30)
    maml = MAML(ResumableSine(), **FAST, model_dir=tmp_path)
    maml.fit(10)
    options = {"steps_per_epoch": 10, "steps_per_execution": 4, "verbose": 0}
    if at_once:
        maml.fit(30, callbacks=[Back()], **options)
    else:
        with pytest.raises(KeyboardInterrupt):
            maml.fit(30, callbacks=[Back()], **options)
        assert maml.step == 10
        maml.fit(20, **options)
    assert maml.step == 30
    for a, b in zip(values(maml.learner), values(whole.learner), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore:The checkpoint was written with other settings")
@pytest.mark.parametrize("restore", [True, False])
def test_a_run_that_goes_on_beats_the_best_before_or_leaves_it(tmp_path, restore):
    options = {"validation": Lines(), "save_best": "val_loss"}
    maml = dc.metalearning.MAML(SlopeLearner(), optimizer=sgd(0.1), model_dir=tmp_path)
    first = maml.fit(5, **options).history["val_loss"][0]
    # So large a rate that any further step makes the weights worse.
    other = dc.metalearning.MAML(SlopeLearner(), optimizer=sgd(100.0), model_dir=tmp_path)
    worse = other.fit(1, **options, restore=restore).history["val_loss"][0]
    assert worse > first
    other.restore(best=True)
    found = other.evaluate(Lines(), n_tasks=100, optimization_steps=(1,)).mean["loss"][0]
    assert found == pytest.approx(first if restore else worse)


def test_save_best_bad_input():
    maml = dc.metalearning.MAML(SlopeLearner())
    with pytest.raises(ValueError, match="`save_best` needs `validation`"):
        maml.fit(1, save_best="val_loss")
    with pytest.raises(ValueError, match=r"one of \['val_loss'\]. Received: 'val_accuracy'"):
        maml.fit(1, validation=Lines(), save_best="val_accuracy")
    with pytest.raises(ValueError, match="No checkpoint"):
        maml.restore(best=True)


def test_the_signature_is_that_of_the_constructor():
    class Mine(MAML):
        def __init__(self, learner, strength=2.0):
            super().__init__(learner)

    assert list(inspect.signature(MAML).parameters)[:3] == [
        "learner",
        "learning_rate",
        "optimization_steps",
    ]
    assert str(inspect.signature(Mine)) == "(learner, strength=2.0)"
    assert "adapts" in inspect.signature(MetaAlgorithm).parameters


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_child_is_told_at_once():
    """TensorFlow's threads do not survive a fork: it would wait for ever."""
    maml = MAML(Quadratic(), meta_batch_size=1)
    maml.fit(1)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            maml.fit(1)
        except RuntimeError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    assert os.waitpid(child, 0) == (child, 0)
    with os.fdopen(read) as file:
        assert "must be called in the process that made the algorithm" in file.read()
