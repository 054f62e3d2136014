import pytest
import tensorflow as tf
from learners import Function

from deepchem_meta.engine.learner_model import LearnerModel
from deepchem_meta.engine.roles import Roles


def model():
    variables = [
        tf.Variable(1.0),
        tf.Variable(2.0, trainable=False),
        tf.Variable(3, trainable=False),
        tf.Variable(4.0),
    ]
    return LearnerModel(Function(variables, lambda inputs, p: p[0]))


def test_places_and_selections():
    rate, moved = tf.Variable(0.1), tf.Variable(0.0)
    known = model()
    roles = Roles.of(known, [False, True, False, True], [rate, known.variables[0]], [moved])
    assert roles.learned_places == [0, 3]
    assert roles.adapting_places == [1, 3]
    assert roles.state_places == [2]
    assert roles.of_learned("abcd") == ["a", "d"]
    found = [id(v) for v in roles.meta_variables]
    assert found == [id(known.variables[0]), id(known.variables[3]), id(rate)]
    assert [id(v) for v in roles.state_variables] == [id(known.variables[2]), id(moved)]


@pytest.mark.parametrize(("adapts", "places"), [(False, []), (True, [0, 3])])
def test_none_or_all_that_are_learned_adapt(adapts, places):
    assert Roles.of(model(), adapts, [], []).adapting_places == places


def test_one_bool_for_each_variable():
    with pytest.raises(ValueError, match=r"`adapts` must be a bool, or say it for each.*Received"):
        Roles.of(model(), [True], [], [])
