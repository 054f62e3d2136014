import json

import numpy as np
import pytest

from deepchem_meta.engine.plain_state import decode, encode


def test_there_and_back():
    state = {
        "array": np.arange(6, dtype=np.int16).reshape(2, 3),
        "nested": [(1, 2.5, None), {"bytes": b"\x00\xff", "text": "a"}],
        "big": 2**100,
    }
    back = json.loads(json.dumps(encode(state)), object_hook=decode)
    array = back.pop("array")
    assert array.dtype == np.int16 and array.flags.writeable
    np.testing.assert_array_equal(array, state.pop("array"))
    assert back == state


@pytest.mark.parametrize("value", [{1, 2}, {1: "a"}, np.array([object()]), object()])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(TypeError, match="A learner's state must .*Received"):
        encode(value)
