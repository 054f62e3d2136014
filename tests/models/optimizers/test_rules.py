"""Every optimizer takes the steps that its formula says, worked out in NumPy by hand."""

import json
import math
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.models import optimizers as dc

RATE = 0.05


def descent(p, g, t, state, rate):
    return p - rate * g


def adagrad(start, eps):
    def step(p, g, t, state, rate):
        a = state["a"] = state.get("a", start) + g**2
        return p - rate * g / (np.sqrt(a) + eps)

    return step


def rmsprop(decay, eps):
    def step(p, g, t, state, rate):
        v = state["v"] = decay * state.get("v", 0.0) + (1 - decay) * g**2
        return p - rate * g / (np.sqrt(v) + eps)

    return step


def rmsprop_momentum(momentum, decay, eps):
    def step(p, g, t, state, rate):
        v = state["v"] = decay * state.get("v", 0.0) + (1 - decay) * g**2
        b = state["b"] = momentum * state.get("b", 0.0) + rate * g / np.sqrt(v + eps)
        return p - b

    return step


def adam(beta1=0.9, beta2=0.999, eps=1e-8, l2=0.0, decay=lambda t: 0.0, amsgrad=False):
    def step(p, g, t, state, rate):
        p = p - rate * decay(t - 1) * p
        g = g + l2 * p
        m = state["m"] = beta1 * state.get("m", 0.0) + (1 - beta1) * g
        v = state["v"] = beta2 * state.get("v", 0.0) + (1 - beta2) * g**2
        if amsgrad:
            v = state["top"] = np.maximum(v, state.get("top", 0.0))
        corrected = math.sqrt(1 - beta2**t) / (1 - beta1**t)
        return p - rate * corrected * m / (np.sqrt(v) + eps)

    return step


def lamb(beta1=0.9, beta2=0.999, eps=1e-8, l2=0.0):
    def step(p, g, t, state, rate):
        m = state["m"] = beta1 * state.get("m", 0.0) + (1 - beta1) * g
        v = state["v"] = beta2 * state.get("v", 0.0) + (1 - beta2) * g**2
        u = m / (np.sqrt(v) + eps) + l2 * p
        size, length = min(np.linalg.norm(p), 10.0), np.linalg.norm(u)
        return p - rate * (size / length if size > 0 and length > 0 else 1.0) * u

    return step


# Keras takes beta_2 through float32, and 1 - 0.999 is then off by 1e-5.
BETA_ROUNDING = 5e-6


class Case(NamedTuple):
    make: type
    arguments: dict
    oracle: object
    rtol: float = 5e-7


halves = dc.PiecewiseConstantSchedule(0.2, {2: 0.5})
CASES = {
    "descent": Case(dc.GradientDescent, {}, descent),
    "adagrad": Case(dc.AdaGrad, {}, adagrad(0.1, 1e-7)),
    "adagrad from 0": Case(
        dc.AdaGrad, {"initial_accumulator_value": 0.0, "epsilon": 1e-2}, adagrad(0.0, 1e-2)
    ),
    "rmsprop": Case(dc.RMSProp, {}, rmsprop(0.9, 1e-10)),
    "rmsprop, epsilon": Case(dc.RMSProp, {"decay": 0.7, "epsilon": 0.1}, rmsprop(0.7, 0.1)),
    "rmsprop, momentum": Case(
        dc.RMSProp, {"momentum": 0.8, "epsilon": 0.1}, rmsprop_momentum(0.8, 0.9, 0.1)
    ),
    "adam": Case(dc.Adam, {}, adam(), BETA_ROUNDING),
    "adam, betas": Case(dc.Adam, {"beta1": 0.5, "beta2": 0.8, "epsilon": 0.1}, adam(0.5, 0.8, 0.1)),
    "adam, l2": Case(dc.Adam, {"weight_decay": 0.3}, adam(l2=0.3), BETA_ROUNDING),
    "sparse adam": Case(dc.SparseAdam, {"beta1": 0.8}, adam(0.8), BETA_ROUNDING),
    "adamw": Case(dc.AdamW, {}, adam(decay=lambda step: 0.01), BETA_ROUNDING),
    "adamw, amsgrad": Case(
        dc.AdamW,
        {"weight_decay": 0.3, "beta2": 0.5, "amsgrad": True},
        adam(beta2=0.5, decay=lambda step: 0.3, amsgrad=True),
    ),
    "adamw, scheduled decay": Case(
        dc.AdamW,
        {"weight_decay": halves},
        adam(decay=lambda step: 0.2 if step < 2 else 0.1),
        BETA_ROUNDING,
    ),
    "lamb": Case(dc.Lamb, {}, lamb()),
    "lamb, decay": Case(dc.Lamb, {"weight_decay": 0.3, "epsilon": 1e-3}, lamb(eps=1e-3, l2=0.3)),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)

# The second variable starts at 0 and the third is longer than Lamb's bound on norms.
STARTS = (np.array([[0.5, -1.0], [2.0, 0.1]]), np.zeros(3), np.array([30.0, -40.0]))


def gradients(steps):
    """Gradients whose sizes range over orders of magnitude, the same for every test."""
    rng = np.random.default_rng(1)
    return [
        [rng.normal(size=p.shape) * 10.0 ** rng.uniform(-3, 1, size=p.shape) for p in STARTS]
        for _ in range(steps)
    ]


def by_hand(case, steps, rates=None):
    values, states = list(STARTS), [{} for _ in STARTS]
    for t, grads in enumerate(gradients(steps), start=1):
        rate = RATE if rates is None else rates[t - 1]
        moves = zip(values, grads, states, strict=True)
        values = [case.oracle(p, g, t, state, rate) for p, g, state in moves]
    return values


def by_keras(optimizer, steps, dtype=tf.float64):
    variables = [tf.Variable(p, dtype=dtype) for p in STARTS]
    for grads in gradients(steps):
        optimizer.apply([tf.constant(g, dtype) for g in grads], variables)
    return [v.numpy() for v in variables]


def assert_close(actual, expected, rtol):
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=rtol, atol=rtol)


@every_case
@pytest.mark.parametrize("steps", [1, 6])
def test_steps_by_hand(case, steps):
    optimizer = case.make(RATE, **case.arguments)._create_tf_optimizer()
    assert_close(by_keras(optimizer, steps), by_hand(case, steps), case.rtol)


@every_case
def test_float32(case):
    optimizer = case.make(RATE, **case.arguments)._create_tf_optimizer()
    assert_close(by_keras(optimizer, 6, tf.float32), by_hand(case, 6), 2e-5)


@every_case
def test_schedules_advance(case):
    schedule = dc.PiecewiseConstantSchedule(0.1, {1: 0.5, 3: 0.1})
    optimizer = case.make(schedule, **case.arguments)._create_tf_optimizer()
    rates = [0.1, 0.05, 0.05, 0.005, 0.005]
    assert_close(by_keras(optimizer, 5), by_hand(case, 5, rates), case.rtol)


@pytest.mark.parametrize(
    "name", ["adagrad", "rmsprop", "adam, l2", "adamw, scheduled decay", "lamb"]
)
def test_rules_that_keras_lacks_compile(name):
    case = CASES[name]
    optimizer = case.make(RATE, **case.arguments)._create_tf_optimizer()
    variables = [tf.Variable(p) for p in STARTS]
    optimizer.build(variables)

    @tf.function(jit_compile=True)
    def step(grads):
        optimizer.apply(grads, variables)

    for grads in gradients(3):
        step([tf.constant(g) for g in grads])
    assert_close([v.numpy() for v in variables], by_hand(case, 3), case.rtol)


@every_case
def test_zero_gradients_stay_finite(case):
    optimizer = case.make(RATE, **case.arguments)._create_tf_optimizer()
    variables = [tf.Variable(p) for p in STARTS]
    optimizer.apply([tf.zeros_like(v) for v in variables], variables)
    assert all(np.isfinite(v.numpy()).all() for v in variables)
    np.testing.assert_array_equal(variables[1].numpy(), 0.0)


@every_case
def test_each_call_makes_a_new_keras_optimizer(case):
    settings = case.make(RATE, **case.arguments)
    first, second = settings._create_tf_optimizer(), settings._create_tf_optimizer(tf.constant(3))
    assert isinstance(first, keras.optimizers.Optimizer)
    assert first is not second


@every_case
def test_keras_saves_and_loads_it(case):
    schedule = dc.LambdaLRWithWarmup(RATE, 2, 9)
    optimizer = case.make(schedule, **case.arguments)._create_tf_optimizer()
    config = json.loads(json.dumps(keras.optimizers.serialize(optimizer)))
    again = keras.optimizers.deserialize(config)
    assert type(again) is type(optimizer)
    assert_close(by_keras(again, 4), by_keras(optimizer, 4), 0.0)


@pytest.mark.parametrize("scale", [1e-4, 1e-8])
@pytest.mark.parametrize(
    ("settings", "oracle"),
    [
        (dc.AdaGrad(RATE, initial_accumulator_value=0.0), adagrad(0.0, 1e-7)),
        (dc.RMSProp(RATE), rmsprop(0.9, 1e-10)),
        (dc.RMSProp(RATE, momentum=0.9), rmsprop_momentum(0.9, 0.9, 1e-10)),
    ],
    ids=["adagrad", "rmsprop", "rmsprop, momentum"],
)
def test_where_epsilon_stands_with_tiny_gradients(settings, oracle, scale):
    variable, gradient = tf.Variable([0.0], dtype=tf.float64), np.array([scale])
    settings._create_tf_optimizer().apply([tf.constant(gradient)], [variable])
    expected = oracle(np.zeros(1), gradient, 1, {}, RATE)
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-6)


def test_weight_decay_of_0_is_plain_adam():
    assert type(dc.Adam()._create_tf_optimizer()) is keras.optimizers.Adam
    assert type(dc.SparseAdam()._create_tf_optimizer()) is keras.optimizers.Adam


@pytest.mark.parametrize("make", [dc.Adam, dc.AdamW], ids=["adam", "adamw"])
def test_against_pytorch(make):
    torch = pytest.importorskip("torch")
    theirs = {dc.Adam: torch.optim.Adam, dc.AdamW: torch.optim.AdamW}[make]
    parameters = [torch.tensor(p, requires_grad=True) for p in STARTS]
    reference = theirs(parameters, lr=RATE, eps=1e-8, weight_decay=0.3)
    for grads in gradients(6):
        for parameter, gradient in zip(parameters, grads, strict=True):
            parameter.grad = torch.tensor(gradient)
        reference.step()
    optimizer = make(RATE, weight_decay=0.3)._create_tf_optimizer()
    # What is left is epsilon, which PyTorch adds to the corrected root.
    expected = [p.detach().numpy() for p in parameters]
    assert_close(by_keras(optimizer, 6), expected, 2e-5)


DEFAULTS = {
    dc.Adam: {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0},
    dc.SparseAdam: {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    dc.AdamW: {
        "weight_decay": 0.01,
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-8,
        "amsgrad": False,
    },
    dc.AdaGrad: {"initial_accumulator_value": 0.1, "epsilon": 1e-7},
    dc.RMSProp: {"momentum": 0.0, "decay": 0.9, "epsilon": 1e-10},
    dc.GradientDescent: {},
    dc.Lamb: {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0},
}
every_class = pytest.mark.parametrize("make", DEFAULTS, ids=lambda make: make.__name__)


@every_class
def test_defaults_and_order_of_arguments(make):
    defaults = {"learning_rate": 0.001, **DEFAULTS[make]}
    assert list(make().get_config().items()) == list(defaults.items())
    # Positional arguments come in the same order.
    assert make(*defaults.values()).get_config() == defaults
    assert repr(make()).startswith(f"{make.__name__}(learning_rate=0.001")


@every_class
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (-0.1, ValueError),
        (math.nan, ValueError),
        (math.inf, ValueError),
        ("fast", TypeError),
        (None, TypeError),
        (True, TypeError),
        (dc.ExponentialDecay, TypeError),
    ],
)
def test_bad_learning_rates(make, value, error):
    with pytest.raises(error, match=r"`learning_rate` must be .* Received: learning_rate="):
        make(learning_rate=value)


@every_class
def test_other_bad_settings(make):
    for name, default in DEFAULTS[make].items():
        for value, error in [(-0.5, ValueError), (math.nan, ValueError), ("x", TypeError)]:
            expected = TypeError if isinstance(default, bool) else error
            with pytest.raises(expected, match=rf"`{name}` must be .* Received: {name}="):
                make(**{name: value})
    for name in DEFAULTS[make].keys() & {"beta1", "beta2", "decay"}:
        with pytest.raises(ValueError, match=rf"`{name}` must be .* below 1\. Received: {name}=1"):
            make(**{name: 1.0})


def rate_of(settings):
    return float(tf.convert_to_tensor(settings._create_tf_optimizer().learning_rate))


@every_class
def test_learning_rates_of_all_kinds(make):
    for rate in (1, 1.0, np.float32(1), np.int64(1)):
        assert rate_of(make(rate)) == 1.0
    assert rate_of(make(keras.optimizers.schedules.InverseTimeDecay(0.5, 1, 1.0))) == 0.5
    settings = make()
    settings.learning_rate = 2
    assert rate_of(settings) == 2.0


def test_kfac_says_what_to_use():
    settings = dc.KFAC(lr=0.1, damping=0.01)
    assert settings.kwargs == {"lr": 0.1, "damping": 0.01}
    assert dc.KFAC.from_config(settings.get_config()).kwargs == settings.kwargs
    with pytest.raises(NotImplementedError, match=r"Use `Adam` or `Lamb`"):
        settings._create_tf_optimizer(None)


def test_the_base_is_abstract():
    with pytest.raises(NotImplementedError, match=r"Optimizer must implement `_create_tf_optimi"):
        dc.Optimizer(0.1)._create_tf_optimizer()
