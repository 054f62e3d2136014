"""Every schedule has the rates that its formula says, at many steps and through Keras."""

import json
import math
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.models import optimizers as dc

STEPS = [0, 1, 2, 3, 4, 5, 7, 9, 10, 11, 19, 20, 21, 50, 1000, 10**6]


class Case(NamedTuple):
    make: type
    arguments: dict
    rate: object


def linear_cosine(alpha, beta, periods):
    def rate(s):
        t = min(s / 10, 1.0)
        cosine = 0.5 * (1 + math.cos(2 * math.pi * periods * t))
        return 0.3 * ((alpha + 1 - t) * cosine + beta)

    return rate


CASES = {
    "exponential": Case(
        dc.ExponentialDecay,
        {"initial_rate": 0.3, "decay_rate": 0.5, "decay_steps": 4},
        lambda s: 0.3 * 0.5 ** (s // 4),
    ),
    "exponential, smooth": Case(
        dc.ExponentialDecay,
        {"initial_rate": 0.3, "decay_rate": 0.5, "decay_steps": 4, "staircase": False},
        lambda s: 0.3 * 0.5 ** (s / 4),
    ),
    "polynomial": Case(
        dc.PolynomialDecay,
        {"initial_rate": 0.3, "final_rate": 0.1, "decay_steps": 10},
        lambda s: 0.1 + 0.2 * (1 - min(s / 10, 1)),
    ),
    "polynomial, cubic": Case(
        dc.PolynomialDecay,
        {"initial_rate": 1, "final_rate": 2, "decay_steps": 1e1, "power": 3},
        lambda s: 2 - (1 - min(s / 10, 1)) ** 3,
    ),
    "linear cosine": Case(
        dc.LinearCosineDecay,
        {"initial_rate": 0.3, "decay_steps": 10},
        linear_cosine(0.0, 0.001, 0.5),
    ),
    "linear cosine, waves": Case(
        dc.LinearCosineDecay,
        {"initial_rate": 0.3, "decay_steps": 10, "alpha": 0.2, "beta": 0.05, "num_periods": 2},
        linear_cosine(0.2, 0.05, 2),
    ),
    "warmup": Case(
        dc.LambdaLRWithWarmup,
        {"initial_rate": 0.3, "num_warmup_steps": 5, "num_training_steps": 20},
        lambda s: 0.3 * (s / 5 if s < 5 else max(0.0, (20 - s) / 15)),
    ),
    "warmup, constant": Case(
        dc.LambdaLRWithWarmup,
        {"initial_rate": 0.3, "num_warmup_steps": 5, "warmup_type": "constant"},
        lambda s: 0.3 * min(1.0, s / 5),
    ),
    "no warmup": Case(
        dc.LambdaLRWithWarmup,
        {"initial_rate": 0.3, "num_warmup_steps": 0, "num_training_steps": 20},
        lambda s: 0.3 * max(0.0, (20 - s) / 20),
    ),
    "warmup of all steps": Case(
        dc.LambdaLRWithWarmup,
        {"initial_rate": 0.3, "num_warmup_steps": 20, "num_training_steps": 20},
        lambda s: 0.3 * s / 20 if s < 20 else 0.0,
    ),
    "piecewise": Case(
        dc.PiecewiseConstantSchedule,
        {"initial_rate": 0.3, "boundaries_and_scales": {10: 0.5, 3: 2, 20: 0.1}},
        lambda s: 0.3 * (2 if s >= 3 else 1) * (0.5 if s >= 10 else 1) * (0.1 if s >= 20 else 1),
    ),
    "piecewise, constant": Case(dc.PiecewiseConstantSchedule, {"initial_rate": 0.3}, lambda s: 0.3),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@every_case
def test_rates_by_hand(case):
    schedule = case.make(**case.arguments)
    for step in STEPS:
        rate = schedule._create_tf_tensor(step)
        assert rate.dtype == tf.float32
        assert rate.shape == ()
        np.testing.assert_allclose(rate, case.rate(step), rtol=1e-6, atol=1e-8)


@every_case
def test_rates_through_keras_saved_and_loaded(case):
    schedule = case.make(**case.arguments)._create_keras_schedule()
    assert isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
    config = json.loads(json.dumps(keras.optimizers.schedules.serialize(schedule)))
    again = keras.optimizers.schedules.deserialize(config)
    for step in STEPS:
        np.testing.assert_allclose(schedule(step), case.rate(step), rtol=1e-6, atol=1e-8)
        assert float(again(step)) == float(schedule(step))


@every_case
def test_rates_follow_a_variable_in_a_traced_function(case):
    schedule = case.make(**case.arguments)
    step = tf.Variable(0, dtype=tf.int64)
    rate = tf.function(lambda: schedule._create_tf_tensor(step))
    for number in STEPS:
        step.assign(number)
        np.testing.assert_allclose(rate(), case.rate(number), rtol=1e-6, atol=1e-7)


@every_case
def test_settings_are_attributes(case):
    schedule = case.make(**case.arguments)
    for name, value in case.arguments.items():
        assert getattr(schedule, name) == value
    assert repr(schedule).startswith(f"{case.make.__name__}(initial_rate=")


def test_linear_cosine_is_that_of_tensorflow_1():
    settings = {"decay_steps": 10, "num_periods": 1.5, "alpha": 0.1, "beta": 0.2}
    theirs = tf.compat.v1.train.linear_cosine_decay
    ours = dc.LinearCosineDecay(0.3, **settings)._create_tf_tensor
    for step in STEPS:
        expected = theirs(0.3, tf.constant(step), **settings)()
        np.testing.assert_allclose(ours(step), expected, rtol=1e-5, atol=1e-7)


def test_those_that_keras_has_are_its_own():
    ours = dc.ExponentialDecay(0.1, 0.5, 10)._create_keras_schedule()
    assert type(ours) is keras.optimizers.schedules.ExponentialDecay
    ours = dc.PolynomialDecay(0.1, 0.05, 10)._create_keras_schedule()
    assert type(ours) is keras.optimizers.schedules.PolynomialDecay


@pytest.mark.parametrize(
    ("make", "arguments", "error", "message"),
    [
        (dc.ExponentialDecay, (-0.1, 0.5, 10), ValueError, "`initial_rate` must be"),
        (dc.ExponentialDecay, (math.nan, 0.5, 10), ValueError, "`initial_rate` must be"),
        (dc.ExponentialDecay, (0.1, -0.5, 10), ValueError, "`decay_rate` must be"),
        (dc.ExponentialDecay, (0.1, 0.5, 0), ValueError, "`decay_steps` must be"),
        (dc.ExponentialDecay, (0.1, 0.5, "10"), TypeError, "`decay_steps` must be"),
        (dc.ExponentialDecay, (0.1, 0.5, 10, 1), TypeError, "`staircase` must be"),
        (dc.PolynomialDecay, (0.1, -0.1, 10), ValueError, "`final_rate` must be"),
        (dc.PolynomialDecay, (0.1, 0.1, 10, -1), ValueError, "`power` must be"),
        (dc.PolynomialDecay, (None, 0.1, 10), TypeError, "`initial_rate` must be"),
        (dc.LinearCosineDecay, (0.1, -1), ValueError, "`decay_steps` must be"),
        (dc.LinearCosineDecay, (0.1, 10, math.inf), ValueError, "`alpha` must be"),
        (dc.LambdaLRWithWarmup, (0.1, 10), ValueError, "`num_training_steps` must be given"),
        (dc.LambdaLRWithWarmup, (0.1, 10, -5), ValueError, "`num_training_steps` must be"),
        (dc.LambdaLRWithWarmup, (0.1, -1, 5), ValueError, "`num_warmup_steps` must be"),
        (dc.LambdaLRWithWarmup, (0.1, 1, 5, "cosine"), ValueError, "`warmup_type` must be"),
        (dc.PiecewiseConstantSchedule, (0.1, [(1, 2)]), TypeError, "`boundaries_and_scales` must"),
        (
            dc.PiecewiseConstantSchedule,
            (0.1, {1: -2}),
            ValueError,
            "`a factor of boundaries_and_scales` must be",
        ),
        (
            dc.PiecewiseConstantSchedule,
            (0.1, {"1": 2}),
            TypeError,
            "`a step of boundaries_and_scales` must be",
        ),
    ],
)
def test_bad_settings(make, arguments, error, message):
    with pytest.raises(error, match=rf"{message}.* Received: "):
        make(*arguments)


def test_the_base_is_abstract():
    class Forgetful(dc.LearningRateSchedule):
        pass

    with pytest.raises(NotImplementedError, match=r"Forgetful must implement `_create_tf_tensor"):
        Forgetful()._create_tf_tensor(0)


def test_a_subclass_may_give_a_keras_schedule_alone():
    class FromKeras(dc.LearningRateSchedule):
        def _create_keras_schedule(self):
            return keras.optimizers.schedules.InverseTimeDecay(0.5, 1, 1.0)

    assert float(FromKeras()._create_tf_tensor(1)) == 0.25
