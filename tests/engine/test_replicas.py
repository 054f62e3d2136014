import keras
import pytest
import tensorflow as tf
from learners import Sine, episodes

from deepchem_meta.engine.replicas import check_strategy
from deepchem_meta.metalearning import MAML


class Two:
    """Stands for a strategy with two replicas; tests/metalearning/replicas.py has a real one."""

    num_replicas_in_sync = 2


def test_variables_and_algorithm_need_the_same_scope():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        variables = [tf.Variable(1.0)]
    assert check_strategy([tf.Variable(1.0)]).num_replicas_in_sync == 1
    assert check_strategy(variables).num_replicas_in_sync == 1

    class Far:
        name = "far"
        distribute_strategy = Two()

    with pytest.raises(ValueError, match="in the same `strategy.scope"):
        check_strategy([Far()])


def test_one_replica_is_no_different():
    found = []
    for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0"])):
        with strategy.scope():
            learner = Sine()
            maml = MAML(learner, 0.05, 2, 3, keras.optimizers.Adam(0.01), seed=0)
        support, query = episodes(Sine(), 3)
        maml.train_on_batch(support, query)
        found.append([variable.numpy() for variable in learner.variables])
    for one, other in zip(*found, strict=True):
        assert (one == other).all()


def test_meta_steps_start_outside_of_a_scope():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        maml = MAML(Sine(), meta_batch_size=2, seed=0)
        with pytest.raises(RuntimeError, match="`fit` must be called outside of `strategy.scope"):
            maml.fit(2)
        batch = episodes(maml.learner, 2)
        with pytest.raises(RuntimeError, match="in the scope of a MirroredStrategy"):
            maml.train_on_batch(*batch)
    assert len(maml.fit(2, verbose=0).history["loss"]) == 1


def test_adaptation_outside_of_the_scope_of_several_replicas(monkeypatch):
    class Inside:
        num_replicas_in_sync = 2

    maml = MAML(Sine(), meta_batch_size=2, seed=0)
    for name in ("has_strategy", "in_cross_replica_context"):
        monkeypatch.setattr(tf.distribute, name, lambda: True)
    monkeypatch.setattr(tf.distribute, "get_strategy", Inside)
    maml.learner.select_task()
    batch = maml.learner.get_batch
    for name, call in {
        "adapt": lambda: maml.adapt(batch()),
        "evaluate": lambda: maml.evaluate(maml.learner),
        "predict_on_batch": lambda: maml.predict_on_batch(batch()),
        "train_on_current_task": lambda: maml.train_on_current_task(),
    }.items():
        with pytest.raises(RuntimeError, match=f"`{name}` must be called outside of"):
            call()


def test_parameter_servers_are_refused(monkeypatch):
    class Servers(tf.distribute.experimental.ParameterServerStrategy):
        def __init__(self):
            pass

    monkeypatch.setattr(tf.distribute, "get_strategy", Servers)
    with pytest.raises(ValueError, match="use MirroredStrategy or Multi.* Received: Servers"):
        check_strategy([])
