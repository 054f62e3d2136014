"""Whatever is given as an optimizer becomes one of Keras 3, whose rate advances."""

import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.models import optimizers as dc
from deepchem_meta.models.optimizers import to_keras_optimizer


def rates(optimizer, steps=4, traced=False):
    """Return the rates of the first steps, seen in what they do to a variable."""
    variable = tf.Variable(0.0)
    optimizer.build([variable])

    def step():
        optimizer.apply([tf.constant(-1.0)], [variable])
        return tf.identity(variable)

    step = tf.function(step) if traced else step
    return np.diff([0.0, *(float(step()) for _ in range(steps))])


class InverseTime(dc.LearningRateSchedule):
    """A schedule of a user's own."""

    def __init__(self, initial_rate):
        self.initial_rate = initial_rate

    def _create_tf_tensor(self, global_step):
        return self.initial_rate / (1.0 + tf.cast(global_step, tf.float32))


class Descent(dc.Optimizer):
    """A user's own optimizer, written as DeepChem's are."""

    def _create_tf_optimizer(self, global_step):
        if isinstance(self.learning_rate, dc.LearningRateSchedule):
            learning_rate = self.learning_rate._create_tf_tensor(global_step)
        else:
            learning_rate = self.learning_rate
        return tf.keras.optimizers.SGD(learning_rate=learning_rate)


def deepchem_class(name, *bases, **members):
    """Make a class that looks as if it came from DeepChem, whose own methods cannot run here."""

    def broken(self, global_step):
        raise ImportError("keras.optimizers.legacy is not supported in Keras 3")

    def __init__(self, **settings):
        vars(self).update(settings)

    own = {"__module__": "deepchem.models.optimizers", "__init__": __init__}
    if not bases:
        own |= {"_create_tf_optimizer": broken, "_create_tf_tensor": broken}
    return type(name, bases, own | members)


DeepChemOptimizer = deepchem_class("Optimizer", _create_tf_tensor=None)
DeepChemSchedule = deepchem_class("LearningRateSchedule", _create_tf_optimizer=None)


def deepchem_optimizer(name, **settings):
    return deepchem_class(name, DeepChemOptimizer)(**settings)


def deepchem_schedule(name, **settings):
    return deepchem_class(name, DeepChemSchedule)(**settings)


def test_keras_optimizers_are_returned_themselves():
    given = keras.optimizers.Nadam(0.1)
    assert to_keras_optimizer(given) is given


def test_names_and_configurations_of_keras():
    assert type(to_keras_optimizer("nadam")) is keras.optimizers.Nadam
    config = keras.optimizers.serialize(keras.optimizers.SGD(0.5))
    assert to_keras_optimizer(config).get_config()["learning_rate"] == 0.5
    with pytest.raises(ValueError, match=r"(?i)could not"):
        to_keras_optimizer("adamant")


@pytest.mark.parametrize(
    "settings",
    [
        dc.Adam(0.1, beta1=0.5, weight_decay=0.2),
        dc.AdamW(0.1, weight_decay=0.2, amsgrad=True),
        dc.SparseAdam(0.1, epsilon=0.3),
        dc.AdaGrad(0.1, initial_accumulator_value=0.5),
        dc.RMSProp(0.1, momentum=0.5, decay=0.8),
        dc.GradientDescent(0.1),
        dc.Lamb(0.1, weight_decay=0.2),
    ],
    ids=lambda settings: type(settings).__name__,
)
def test_ours_and_those_of_deepchem_give_the_same(settings):
    theirs = deepchem_optimizer(type(settings).__name__, **vars(settings))
    expected = settings._create_tf_optimizer()
    for given in (settings, theirs):
        made = to_keras_optimizer(given)
        assert type(made) is type(expected)
        assert made.get_config() == {**expected.get_config(), "name": made.name}
    assert "deepchem" not in sys.modules


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (dc.ExponentialDecay(0.8, 0.5, 2), [0.8, 0.8, 0.4, 0.4]),
        (dc.PolynomialDecay(0.8, 0.2, 3), [0.8, 0.6, 0.4, 0.2]),
        (dc.LambdaLRWithWarmup(0.8, 2, 4), [0.0, 0.4, 0.8, 0.4]),
        (dc.LinearCosineDecay(0.8, 2, 0.0, 0.5), [1.2, 0.6, 0.4, 0.4]),
        (dc.PiecewiseConstantSchedule(0.8, {1: 0.5, 3: 0.5}), [0.8, 0.4, 0.4, 0.2]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_way_to_give_a_schedule(schedule, expected, traced):
    theirs = deepchem_schedule(type(schedule).__name__, **vars(schedule))
    for given in (
        dc.GradientDescent(schedule),
        dc.GradientDescent(theirs),
        deepchem_optimizer("GradientDescent", learning_rate=theirs),
        deepchem_optimizer("GradientDescent", learning_rate=schedule),
        Descent(schedule),
        Descent(schedule._create_keras_schedule()),
    ):
        made = to_keras_optimizer(given)
        np.testing.assert_allclose(rates(made, traced=traced), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
def test_schedules_of_a_users_own(traced):
    class OfDeepChem(DeepChemSchedule):
        initial_rate = 0.6
        _create_tf_tensor = InverseTime._create_tf_tensor

    class OfNobody:
        initial_rate = 0.6
        _create_tf_tensor = InverseTime._create_tf_tensor

    class Overriding(dc.ExponentialDecay):
        _create_tf_tensor = InverseTime._create_tf_tensor

    for schedule in (InverseTime(0.6), OfDeepChem(), OfNobody(), Overriding(0.6, 0.1, 1)):
        for given in (
            dc.GradientDescent(schedule),
            deepchem_optimizer("GradientDescent", learning_rate=schedule),
        ):
            seen = rates(to_keras_optimizer(given), traced=traced)
            np.testing.assert_allclose(seen, [0.6, 0.3, 0.2, 0.15], rtol=1e-5)


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
def test_schedules_of_tensorflow_1(traced):
    class OfTensorFlow1(dc.LearningRateSchedule):
        def _create_tf_tensor(self, global_step):
            return tf.compat.v1.train.exponential_decay(0.8, global_step, 1, 0.5)

    seen = rates(to_keras_optimizer(dc.GradientDescent(OfTensorFlow1())), traced=traced)
    np.testing.assert_allclose(seen, [0.8, 0.4, 0.2, 0.1], rtol=1e-6)


@pytest.mark.parametrize("schedule", [InverseTime(0.6), dc.PolynomialDecay(0.6, 0.0, 2)])
def test_a_users_optimizer_written_as_those_of_deepchem(schedule):
    settings = Descent(schedule)
    made = to_keras_optimizer(settings, tf.Variable(0, dtype=tf.int64))
    np.testing.assert_allclose(rates(made, 2), [0.6, 0.3], rtol=1e-6)
    # The user's own objects are left as they were.
    assert settings.learning_rate is schedule
    assert tf.is_tensor(schedule._create_tf_tensor(0))
    assert list(vars(settings)) == ["learning_rate"]


def test_a_users_optimizer_may_extend_ours():
    class Clipped(dc.Adam):
        def _create_tf_optimizer(self, global_step):
            optimizer = super()._create_tf_optimizer(global_step)
            optimizer.clipnorm = 2.0
            return optimizer

    made = to_keras_optimizer(Clipped(InverseTime(0.6)))
    assert made.clipnorm == 2.0
    assert float(made.learning_rate) == pytest.approx(0.6)


def test_the_users_own_global_step_is_handed_on():
    seen = []

    class Curious:
        def _create_tf_optimizer(self, global_step):
            seen.append(global_step)
            return keras.optimizers.SGD(0.1)

    step = tf.Variable(3, dtype=tf.int64)
    to_keras_optimizer(Curious(), step)
    to_keras_optimizer(Curious())
    assert seen[0] is step
    assert int(seen[1]) == 0


def test_subclasses_of_deepchem_optimizers():
    class Renamed(deepchem_class("Adam", DeepChemOptimizer)):
        """Changes settings alone, so it is DeepChem's Adam."""

    class Own(DeepChemOptimizer):
        def _create_tf_optimizer(self, global_step):
            return keras.optimizers.Nadam(self.learning_rate)

    made = to_keras_optimizer(Renamed(learning_rate=0.5, beta1=0.25))
    assert type(made) is keras.optimizers.Adam
    assert made.beta_1 == 0.25
    assert type(to_keras_optimizer(Own(learning_rate=0.5))) is keras.optimizers.Nadam


def test_settings_that_an_older_deepchem_lacks_have_their_defaults():
    made = to_keras_optimizer(deepchem_optimizer("Adam", learning_rate=0.5))
    assert made.beta_2 == 0.999


def test_bad_settings_of_deepchem_objects_are_errors():
    with pytest.raises(ValueError, match=r"`learning_rate` must be .* Received: learning_rate=-1"):
        to_keras_optimizer(deepchem_optimizer("Adam", learning_rate=-1))


@pytest.mark.parametrize("given", [dc.KFAC(lr=0.1), deepchem_optimizer("KFAC", kwargs={"lr": 0.1})])
def test_kfac(given):
    with pytest.raises(NotImplementedError, match="Use `Adam`"):
        to_keras_optimizer(given)


@pytest.mark.parametrize(
    "given",
    [
        None,
        0.1,
        pytest.param(object(), id="object"),
        dc.Adam,
        keras.optimizers.Adam,
        [dc.Adam()],
        dc.ExponentialDecay(1, 1, 1),
    ],
    ids=str,
)
def test_what_is_no_optimizer(given):
    with pytest.raises(TypeError, match=r"`optimizer` must be .* Received: optimizer="):
        to_keras_optimizer(given)


@pytest.mark.parametrize("name", ["Optimizer", "Newest"])
def test_what_deepchem_alone_has(name):
    with pytest.raises(TypeError, match=r"must have a counterpart .* Received: "):
        to_keras_optimizer(deepchem_optimizer(name, learning_rate=0.1))


def test_what_a_users_method_returns_is_checked():
    class Wrong:
        def _create_tf_optimizer(self, global_step):
            return "adam"

    message = r"`_create_tf_optimizer` of Wrong must return a Keras 3 optimizer. Received: 'adam'"
    with pytest.raises(TypeError, match=message):
        to_keras_optimizer(Wrong())


def test_a_users_schedule_is_saved_by_keras():
    registered = keras.saving.register_keras_serializable("tests")(InverseTime)
    made = to_keras_optimizer(dc.AdamW(registered(0.6), weight_decay=registered(0.2)))
    config = json.loads(json.dumps(keras.optimizers.serialize(made)))
    again = keras.optimizers.deserialize(config)
    np.testing.assert_array_equal(rates(again), rates(made))
