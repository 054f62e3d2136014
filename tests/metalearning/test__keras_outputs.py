import numpy as np
import pytest

from deepchem_meta.metalearning._keras_outputs import ModelOutputs, shapes_of

A, B = np.zeros((3, 1)), np.zeros((3, 4))


@pytest.mark.parametrize(
    ("outputs", "names", "expected"),
    [
        (A, ["only"], ["only"]),
        ([A, B], ["zeta", "alpha"], ["zeta", "alpha"]),
        ([A, B], None, [None, None]),
        ({"zeta": A, "alpha": B}, ["x", "y"], ["alpha", "zeta"]),
    ],
)
def test_names_stand_in_the_order_of_the_flattened_outputs(outputs, names, expected):
    assert ModelOutputs(outputs, names).names == expected


@pytest.mark.parametrize(
    ("outputs", "y", "places"),
    [
        (A, A, [0]),
        ([A], A, [0]),
        ([A, B], (A, B), [0, 1]),
        ([A, B], {"zeta": A, "alpha": B}, [1, 0]),  # flattened, "alpha" comes first
        ({"zeta": A, "alpha": B}, {"alpha": B, "zeta": A}, [0, 1]),
    ],
)
def test_places_of_targets(outputs, y, places):
    found = ModelOutputs(outputs, ["zeta", "alpha"])
    assert found.targets(y, ["mse"] * found.count) == places


def test_an_output_without_a_loss_needs_no_target():
    found = ModelOutputs([A, B], ["zeta", "alpha"])
    assert found.targets([B], [None, "mse"]) == [None, 0]
    assert found.targets({"alpha": B}, [None, "mse"]) == [None, 0]
    with pytest.raises(ValueError, match=r"as the model's outputs are.*zeta.*\(3, 1\)"):
        found.targets([B], ["mse", "mse"])


def test_one_number_counts_for_all_outputs_and_a_dict_for_some():
    found = ModelOutputs({"a": A, "b": B})
    assert found.numbers("loss_weights", None) == [1.0, 1.0]
    assert found.numbers("loss_weights", 2) == [2.0, 2.0]
    assert found.numbers("loss_weights", {"b": 0.5}) == [1.0, 0.5]


def test_shapes_keep_the_structure():
    assert shapes_of({"a": A, "b": [B]}) == {"a": (3, 1), "b": [(3, 4)]}
