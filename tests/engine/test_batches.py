import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.engine.batches import ArrayLayout, BatchReader, Layout, column_layouts


@pytest.mark.parametrize(
    ("given", "dtype", "shape"),
    [
        (np.ones((2, 3), np.float16), "float16", (2, 3)),
        (np.ones(2, np.int64), "int64", (2,)),
        (tf.ones((2, 1), tf.float64), "float64", (2, 1)),
        (tf.Variable([1, 2]), "int32", (2,)),
        (tf.ones(3, tf.bfloat16), "bfloat16", (3,)),
        ([[1.0, 2.0], [3.0, 4.0]], "float32", (2, 2)),
        ([1, 2, 3], "int32", (3,)),
        ([True, False], "bool", (2,)),
        (0.5, "float32", ()),
        (np.float64(0.5), "float64", ()),
        (np.arange(3) > 1, "bool", (3,)),
    ],
)
def test_arrays_of_any_kind(given, dtype, shape):
    (array,) = BatchReader("float32").read([given])
    assert isinstance(array, np.ndarray)
    assert (tf.as_dtype(array.dtype).name, array.shape) == (dtype, shape)


def test_python_floats_take_the_dtype_of_the_variables():
    (array,) = BatchReader("float64").read([[1.0, 2.0]])
    assert array.dtype == np.float64


@pytest.mark.parametrize(
    ("batch", "sizes"),
    [
        ([np.ones(2), np.zeros(3)], [2, 3]),
        ((np.ones(2), np.zeros(3)), (2, 3)),
        ({"y": np.ones(2), "x": np.zeros(3)}, {"x": 3, "y": 2}),
        ([{"b": np.ones(2), "a": [1.0]}, (np.zeros(3), 5)], [{"a": 1, "b": 2}, (3, 1)]),
        ([[np.ones(2), tf.ones(3)], [1.0, 2.0]], [[2, 3], 2]),
        (np.ones(4), 4),
    ],
)
def test_structure_comes_back(batch, sizes):
    reader = BatchReader("float32")
    assert tf.nest.map_structure(np.size, reader.pack(reader.read(batch))) == sizes


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([], ValueError, "at least one array"),
        ([np.zeros((0, 2))], ValueError, r"must not be empty.*shape \(0, 2\)"),
        ([np.array(["a"])], TypeError, "must be numeric"),
        ([np.array([None])], TypeError, "must be numeric"),
        (["text"], TypeError, "must be numeric"),
        ([[[1.0], [1.0, 2.0]]], TypeError, "must be rectangular"),
        ([tf.sparse.eye(2)], TypeError, "must be dense"),
        ([tf.ragged.constant([[1], [1, 2]])], TypeError, "must be dense"),
    ],
)
def test_bad_batches(batch, error, message):
    with pytest.raises(error, match=message):
        BatchReader("float32").read(batch)


def test_number_of_arrays_must_not_change():
    reader = BatchReader("float32")
    reader.read([np.ones(1), np.ones(1)])
    with pytest.raises(ValueError, match="must have 2 arrays.*Received: 3"):
        reader.read([np.ones(1)] * 3)


@pytest.mark.parametrize("shapes", [[(2, 3)] * 4, [(2, 3), (1, 3), (5, 3), (2, 3)], [()] * 4])
def test_packing_keeps_every_array(shapes):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in shapes]
    (layout,) = column_layouts(arrays, tasks=4)
    assert layout.ragged == (len(set(shapes)) > 1)
    packed = [tf.constant(part) for part in layout.pack(arrays, capacity=6)]
    for spec, part in zip(layout.packed_specs(6), packed, strict=True):
        assert spec.is_compatible_with(part)
    for task, array in enumerate(arrays):
        np.testing.assert_array_equal(layout.unpack(packed, tf.constant(task)), array)


def test_packing_of_a_step():
    arrays = np.arange(24.0).reshape(6, 4)
    (layout, _) = column_layouts(arrays, tasks=3)
    packed = layout.pack(arrays, capacity=6)
    np.testing.assert_array_equal(layout.unpack_step(packed, tf.constant(1), 3), arrays[3:])


def test_layouts_relax():
    a = ArrayLayout(np.dtype("float32"), (3, 2))
    b = ArrayLayout(np.dtype("float64"), (4, 2))
    assert a.relax(b) == ArrayLayout(np.dtype("float64"), (None, 2))
    layout = Layout((a,), (a,)).relax(Layout((a,), (b,)))
    assert layout.ragged and not layout.support[0].ragged
    with pytest.raises(ValueError, match="number of dimensions"):
        a.relax(ArrayLayout(np.dtype("float32"), (3,)))
