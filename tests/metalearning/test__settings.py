import inspect
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic, Sine

import deepchem_meta as dc
from deepchem_meta.metalearning import MAML
from deepchem_meta.metalearning._settings import (
    constructor_arguments,
    constructor_signature,
    describe,
    differences,
    make,
)


class Takes:
    def __init__(self, learner, rate=0.1, *, steps=1, **others): ...


class TakesMore:
    def __init__(self, learner, *rest, steps=1): ...


def described(learner=None, /, **arguments):
    """Return the description of MAML with some arguments, as JSON gives it back."""
    learner = Quadratic() if learner is None else learner
    arguments = {"learner": learner, "task_execution": "looped", **arguments}
    return json.loads(json.dumps(describe(MAML(**arguments), arguments)))


# Arguments.


def test_arguments_of_a_constructor_by_name():
    assert constructor_arguments(Takes, (1,), {}) == {"learner": 1, "rate": 0.1, "steps": 1}
    assert constructor_arguments(Takes, (1, 2), {"colour": "red"}) == {
        "learner": 1,
        "rate": 2,
        "steps": 1,
        "colour": "red",
    }
    assert constructor_arguments(TakesMore, (1, 2, 3), {"steps": 4}) == {
        "*rest": [1, 2, 3],
        "steps": 4,
    }


def test_arguments_that_the_constructor_will_refuse():
    assert constructor_arguments(Takes, (), {}) == {}
    assert constructor_arguments(TakesMore, (1,), {"colour": "red"}) == {}


def test_the_signature_of_a_constructor_is_the_classs():
    assert constructor_signature(Takes) == inspect.signature(Takes)


# Descriptions.


def test_a_description_is_plain_data():
    learner = Quadratic()
    found = described(
        learner,
        learning_rate=np.float32(0.5),
        adapt_variables=learner.variables,
        optimizer=dc.models.optimizers.Adam(0.01),
    )
    assert found["algorithm"] == "deepchem_meta.metalearning.maml.MAML"
    arguments = found["arguments"]
    assert arguments["learner"] == {"learner": True}
    assert arguments["learning_rate"] == 0.5 and arguments["task_execution"] == "looped"
    assert arguments["adapt_variables"] == [{"variable": 0}]
    assert arguments["optimizer"]["object"].endswith(".Adam")
    assert arguments["optimizer"]["arguments"]["learning_rate"] == 0.01


def test_settings_are_described_as_they_are_now():
    arguments = {"learner": Quadratic(), "optimization_steps": 1}
    maml = MAML(**arguments)
    maml.optimization_steps = 3
    assert describe(maml, arguments)["arguments"]["optimization_steps"] == 3
    assert describe(maml, {"learner": maml.learner})["assigned"]["optimization_steps"] == 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (tf.Variable(0.25), {"scalar": 0.25, "dtype": "float32"}),
        (tf.Variable([0.25, 0.5]), {"unknown": "tf.Variable"}),
        ((1, None, "a"), [1, None, "a"]),
        (object, {"unknown": "builtins.type"}),
    ],
)
def test_what_an_argument_is_recorded_as(given, expected):
    algorithm = MAML(Quadratic())
    assert describe(algorithm, {"colour": given})["arguments"] == {"colour": expected}


def test_layers_are_recorded_as_their_variables():
    layers = [keras.layers.Dense(2), keras.layers.Dense(1)]
    tasks = dc.tasks.SinusoidTasks(3, 3)
    learner = dc.metalearning.KerasLearner(keras.Sequential(layers), "mse", tasks)
    for given in (layers[1], [layers[1]], layers[1].weights):
        found = describe(MAML(learner), {"which": given})["arguments"]["which"]
        assert found == [{"variable": 2}, {"variable": 3}]


# Differences.


def test_differences_are_told_by_name():
    one = described(learning_rate=0.1, optimizer=keras.optimizers.SGD(0.5))
    other = described(learning_rate=0.2, optimizer=keras.optimizers.SGD(0.25))
    assert differences(one, one, training=True) == []
    assert differences(one, other, training=False) == ["learning_rate: 0.1 there, 0.2 here"]
    assert differences(one, other, training=True) == [
        "learning_rate: 0.1 there, 0.2 here",
        "optimizer.learning_rate: 0.5 there, 0.25 here",
    ]


def test_what_has_no_effect_on_the_numbers_does_not_differ():
    one = described(seed=1, learning_rate=tf.Variable(0.1))
    other = described(Sine(), seed=2, learning_rate=tf.Variable(0.2), jit_compile=False)
    assert differences(one, other, training=True) == []


def test_settings_that_are_not_there():
    here = described(first_order=True)
    assert differences(None, here, training=True) == []
    there = here | {"arguments": {n: v for n, v in here["arguments"].items() if n != "first_order"}}
    assert differences(there, here, training=True) == ["first_order: 'absent' there, True here"]
    reptile = here | {"algorithm": "deepchem_meta.metalearning.reptile.Reptile"}
    assert differences(reptile, here, training=True) == ["algorithm: Reptile there, MAML here"]


# Algorithms made anew.


def test_an_algorithm_made_anew_is_described_alike(tmp_path):
    inner = dc.metalearning.inner_optimizers.Momentum(0.7)
    learner, other = Quadratic(), Quadratic()
    description = described(
        learner,
        learning_rate=tf.Variable(0.3),
        inner_optimizer=inner,
        adapt_variables=learner.variables,
        optimizer=keras.optimizers.SGD(0.5),
    )
    description["assigned"] = {"optimization_steps": 4}
    made = make(description, other, tmp_path)
    assert type(made) is MAML and made.learner is other and made.model_dir == str(tmp_path)
    assert made.optimization_steps == 4
    arguments = {name: getattr(made, name) for name in ("learning_rate", "optimizer")}
    found = describe(made, arguments)["arguments"]
    assert found == {name: description["arguments"][name] for name in arguments}


class Starred(MAML):
    def __init__(self, *given, **options):
        self.given = given
        super().__init__(*given, **options)


def test_arguments_by_place():
    arguments = constructor_arguments(Starred, (Quadratic(), 0.3), {})
    description = describe(Starred(Quadratic(), 0.3), arguments)
    description["arguments"]["*given"][0] = {"learner": True}
    learner = Quadratic()
    assert make(description, learner, None).given == (learner, 0.3)


def test_what_cannot_be_made_anew_is_named():
    description = described()
    description["arguments"]["optimizer"] = {"unknown": "mine.Odd"}
    with pytest.raises(ValueError, match=r"Received: `optimizer`, a mine.Odd"):
        make(description, Quadratic(), None)
    with pytest.raises(ValueError, match="the algorithm's class, mine.Odd, whose module is not"):
        make(described() | {"algorithm": "mine.Odd"}, Quadratic(), None)
