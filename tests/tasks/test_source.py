import numpy as np
import pytest

import deepchem_meta as dc


@pytest.mark.parametrize("make", [dc.tasks.SinusoidTasks, dc.tasks.HarmonicTasks])
def test_the_packages_sources_are_sources(make):
    assert isinstance(make(), dc.tasks.TaskSource)


def test_what_cannot_draw_is_none():
    assert not isinstance(np.zeros(3), dc.tasks.TaskSource)
    assert not isinstance("sample", dc.tasks.TaskSource)


def test_a_keras_learner_has_state_and_a_plain_one_need_not():
    learning = dc.metalearning
    assert issubclass(learning.KerasLearner, learning.StatefulLearner)
    assert not issubclass(learning.MetaLearner, learning.StatefulLearner)
