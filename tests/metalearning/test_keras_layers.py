"""Every kind of layer meta-trains to second order: against differences of plain Keras."""

import pytest
from keras_models import KINDS, largest_difference


@pytest.mark.parametrize("name", KINDS)
def test_meta_gradient_against_central_differences(name):
    difference, _ = largest_difference(KINDS[name])
    assert difference < 1e-7
