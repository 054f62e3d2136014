"""Models that write the values they are given into variables, and read them back."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Function, episodes

from deepchem_meta.engine.tracing import TracedOrEager
from deepchem_meta.engine.writes import WritesVariablesError, check_graph, unwritten
from deepchem_meta.metalearning import MAML, MetaLearner, ProtoNet

MESSAGE = "from the values in (its|the) argument `variables`"


class Writer(MetaLearner):
    """The loss (v - 3)^2, computed in ways that differ in what they write."""

    def __init__(self, compute):
        self.v = tf.Variable(1.0, name="v")
        self.other = tf.Variable(0.0, name="other", trainable=False)
        self.third = tf.Variable(0.0, trainable=False)
        self.count = tf.Variable(0, trainable=False)
        self._compute = compute

    @property
    def variables(self):
        return [self.v, self.count]

    def compute_model(self, inputs, variables, training):
        loss = self._compute(self, variables[0], inputs[0])
        return loss, [loss]

    def compute_embedding(self, inputs, variables, training):
        loss = self._compute(self, variables[0], inputs[0])
        return tf.reshape(loss, (1, 1)), tf.zeros((1,), tf.int32)

    def select_task(self):
        pass

    def get_batch(self):
        return [np.float32(3.0)]


def assigns(learner, value, target):
    learner.v.assign(value)
    return (learner.v - target) ** 2


def assigns_another(learner, value, target):
    learner.other.assign(2 * value)
    return (learner.other / 2 - target) ** 2


def adds(learner, value, target):
    learner.other.assign_add(value)
    return (value - target) ** 2 + 0.1 * learner.other


def sets_weights(learner, value, target):
    """As with a Keras model's `set_weights`, which takes NumPy arrays and so cannot be traced."""
    learner.v.assign(value.numpy())
    return (learner.v - target) ** 2


def two_hops(learner, value, target):
    learner.other.assign(value)
    learner.third.assign(learner.other + 0.0)
    return 0.5 * (value - target) ** 2 + 0.5 * (learner.third - target) ** 2


def in_a_loop(learner, value, target):
    carried, loss = tf.constant(0.0), 0.5 * (value - target) ** 2
    for i in tf.range(2):
        learner.other.assign(carried)
        part = 0.5 * (tf.convert_to_tensor(learner.other) - target) ** 2
        loss += part * tf.cast(i, tf.float32)
        carried = value + 0.0
    return loss


WRITERS = [assigns, assigns_another, adds]


def pure(learner, value, target):
    return (value - target) ** 2


def counts(learner, value, target):
    learner.count.assign_add(1)
    return (value - target) ** 2


def averages(learner, value, target):
    learner.other.assign(0.9 * learner.other + 0.1 * value)
    return (value - target) ** 2


def averages_data(learner, value, target):
    learner.other.assign(0.9 * learner.other + 0.1 * target)
    return (value - target) ** 2 + 0.0 * learner.other


def reads_what_it_counts(learner, value, target):
    learner.count.assign_add(1)
    return (value - target) ** 2 + 0.0 * tf.cast(learner.count, tf.float32)


OTHERS = [pure, counts, averages, averages_data, reads_what_it_counts]


def traced(compute):
    return lambda *args: tf.function(lambda value, target: compute(args[0], value, target))(
        *args[1:]
    )


ENTRIES = {
    "fit": lambda maml, learner: maml.fit(2),
    "adapt": lambda maml, learner: maml.adapt([np.float32(3.0)]),
    "train_on_current_task": lambda maml, learner: maml.train_on_current_task(1, restore=False),
    "meta_gradient": lambda maml, learner: maml.meta_gradient(*episodes(learner, 2)),
    "train_on_batch": lambda maml, learner: maml.train_on_batch(*episodes(learner, 2)),
    "evaluate": lambda maml, learner: maml.evaluate(Same(), n_tasks=2),
}


class Same:
    def sample(self, n, rng):
        return ([np.full(n, 3.0, "float32")],) * 2


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("compute", [*WRITERS, *map(traced, WRITERS)])
def test_refused_and_the_variables_are_as_before(compute, entry):
    learner = Writer(compute)
    maml = MAML(learner, 0.1, 2, meta_batch_size=2)
    with pytest.raises(ValueError, match=MESSAGE):
        ENTRIES[entry](maml, learner)
    assert float(learner.v) == 1.0


@pytest.mark.parametrize("compute", [two_hops, in_a_loop])
def test_refused_where_the_way_is_longer(compute):
    learner = Writer(compute)
    with pytest.raises(WritesVariablesError):
        MAML(learner, 0.1, 2, meta_batch_size=1).meta_gradient(*episodes(learner, 1))


def test_prediction_may_read_a_moving_average():
    class Normalised(Writer):
        def compute_model(self, inputs, variables, training):
            hidden = variables[0] * inputs[0]
            if training:
                self.other.assign(0.9 * self.other + 0.1 * hidden)
                mean = hidden / 2
            else:
                mean = tf.convert_to_tensor(self.other)
            loss = (hidden - mean - 1.0) ** 2
            return loss, [hidden]

    learner = Normalised(pure)
    maml = MAML(learner, 0.01, 2, meta_batch_size=2)
    maml.fit(2)
    assert np.isfinite(maml.evaluate(Same(), n_tasks=2).loss).all()
    assert np.isfinite(maml.adapt([np.float32(3.0)]).predict_on_batch([np.float32(3.0)])[0])


@pytest.mark.parametrize("entry", ["fit", "adapt", "meta_gradient"])
def test_refused_where_it_cannot_be_traced(entry):
    learner = Writer(sets_weights)
    with pytest.raises((WritesVariablesError, AttributeError)) as caught:
        ENTRIES[entry](MAML(learner, 0.1, 2, meta_batch_size=2), learner)
    assert isinstance(caught.value, WritesVariablesError)
    assert float(learner.v) == 1.0


@pytest.mark.parametrize("compute", [*OTHERS, *map(traced, OTHERS)])
def test_counters_and_averages_may_be_written(compute):
    """The meta-loss after two steps on (v - 3)^2 from 1 at a rate of 0.1 is 1.6384."""
    learner = Writer(compute)
    result = MAML(learner, 0.1, 2, meta_batch_size=1).meta_gradient(*episodes(learner, 1))
    assert result.loss == pytest.approx(1.6384, rel=1e-6)
    assert float(result.gradients[0]) == pytest.approx(2 * -1.28 * 0.8**2, rel=1e-6)
    assert float(learner.v) == 1.0


def test_embeddings_must_not_write_either():
    learner = Writer(assigns)
    with pytest.raises(WritesVariablesError, match="assignment to v:0"):
        ProtoNet(learner, ways=2).fit(1)


def test_a_keras_model_is_computed_in_the_way_the_message_says():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])

    class Learner(Function):
        def get_batch(self):
            return [np.ones((2, 1), "float32"), np.zeros((2, 1), "float32")]

    def wrong(inputs, variables):
        for weight, value in zip(model.weights, variables, strict=True):
            weight.assign(value)
        return tf.reduce_mean((model(inputs[0]) - inputs[1]) ** 2)

    def right(inputs, variables):
        outputs, _ = model.stateless_call(variables, [], inputs[0])
        return tf.reduce_mean((outputs - inputs[1]) ** 2)

    with pytest.raises(WritesVariablesError, match="stateless_call"):
        MAML(Learner(model.trainable_variables, wrong), 0.1, meta_batch_size=1).fit(1)
    MAML(Learner(model.trainable_variables, right), 0.1, meta_batch_size=1).fit(1)


def test_graphs_without_writes_pass():
    v = tf.Variable(1.0)
    check_graph(tf.function(lambda x: v * x).get_concrete_function(tf.constant(1.0)), [v])


def test_branches_are_looked_into():
    v, w = tf.Variable(1.0), tf.Variable(1.0)

    @tf.function
    def branches(x):
        if x > 0:
            w.assign(v * x)
            x = w * 2.0
        return x * v

    with pytest.raises(WritesVariablesError):
        check_graph(branches.get_concrete_function(tf.constant(1.0)), [v])


def test_what_was_written_eagerly_is_put_back():
    v, w = tf.Variable(np.nan), tf.Variable(2.0)
    with unwritten([v, w]):
        pass
    with pytest.raises(WritesVariablesError, match=w.name), unwritten([v, w]):
        w.assign(5.0)
    assert float(w) == 2.0


def test_what_was_written_before_an_exception_is_put_back():
    def fails(learner, value, target):
        learner.v.assign(value)
        learner.count.assign_add(1)
        raise OSError("gone")

    learner = Writer(fails)
    with pytest.raises(OSError, match="gone"):
        MAML(learner, 0.1).fit(1)
    assert float(learner.v) == 1.0 and int(learner.count) == 0


def test_functions_that_run_eagerly_are_watched():
    v = tf.Variable(1.0)

    def write(x):
        v.assign(x.numpy())
        return v * x

    with pytest.raises(WritesVariablesError):
        TracedOrEager(write, [v])(np.float32(2.0))
    assert float(v) == 1.0
