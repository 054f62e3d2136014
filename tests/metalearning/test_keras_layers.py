"""Every kind of layer meta-trains to second order: against differences of plain Keras."""

import pytest
from keras_models import KINDS, largest_difference

QUICK = ("Dense", "Conv2D", "MaxPooling2D", "LSTM", "MultiHeadAttention", "Embedding", "add_loss")


# Plain `pytest` takes one of each family and all normalisation.
EACH = [
    name if name in QUICK or "Normalization" in name else pytest.param(name, marks=pytest.mark.slow)
    for name in KINDS
]


@pytest.mark.parametrize("name", EACH)
def test_meta_gradient_against_central_differences(name):
    difference, _ = largest_difference(KINDS[name], task_execution="looped", jit_compile=False)
    assert difference < 1e-7


@pytest.mark.parametrize("name", ["BatchNormalization, support", "GRU, unrolled", "Embedding"])
def test_all_tasks_at_once_with_xla(name):
    difference, maml = largest_difference(KINDS[name])
    assert maml.execution_plan[:2] == (True, True)
    assert difference < 1e-7
