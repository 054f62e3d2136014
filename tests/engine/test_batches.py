import numpy as np
import pandas as pd
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


# What a batch must be.


def test_a_dict_with_other_keys_is_another_structure():
    reader = BatchReader(np.float32)
    first = reader.read({"x": np.ones(2), "y": np.zeros(2)})
    assert [float(array[0]) for array in first] == [1.0, 0.0]
    reader.read({"y": np.zeros(2), "x": np.ones(2)})  # whose order does not matter
    for other in ({"x": np.ones(2), "z": np.zeros(2)}, [np.ones(2), np.zeros(2)]):
        with pytest.raises(
            ValueError, match=r"structure of the first batch, {'x': array, 'y': arr"
        ):
            reader.read(other)


def test_lists_and_tuples_are_one_structure():
    reader = BatchReader(np.float32)
    reader.read([np.ones(2), (np.ones(2), np.ones(2))])
    reader.read((np.ones(2), [np.ones(2), np.ones(2)]))
    with pytest.raises(ValueError, match="structure"):
        reader.read(((np.ones(2), np.ones(2)), np.ones(2)))


def test_a_batch_that_is_refused_sets_no_structure():
    def refuse(batch):
        raise ValueError("no")

    reader = BatchReader(np.float32)
    with pytest.raises(ValueError, match="no"):
        reader.read({"a": np.ones(2)}, check=refuse)
    assert reader.pack(reader.read([np.ones(2)]))[0].shape == (2,)


def test_large_integers_stay_what_they_are():
    small, large = BatchReader(np.float32).read([[1, 2], [2**33 + 5, 1]])
    assert small.dtype == np.int32
    assert large.dtype == np.int64 and large.tolist() == [2**33 + 5, 1]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ma.masked_array([1.0, 2.0], [True, False]), "must not be masked.*weights of 0"),
        (np.array(["a", "b"]), r"must be numeric.*np.unique\(labels, return_inverse=True\)"),
        (["a", "b"], r"must be numeric.*np.unique"),
        (np.array([None, 1], object), r"must be numeric.*shape \(2,\)\.$"),
    ],
)
def test_arrays_that_are_no_numbers(array, message):
    with pytest.raises(TypeError, match=message):
        BatchReader(np.float32).read([np.ones(2), array])


def test_pandas_and_tensors():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    found = BatchReader(np.float32).read((frame, tf.constant([1, 2])))
    np.testing.assert_array_equal(found[0], [[1.0, 3.0], [2.0, 4.0]])
    np.testing.assert_array_equal(found[1], [1, 2])


@pytest.mark.parametrize("dtype", [np.longdouble, [("a", "f4")]])
def test_dtypes_that_tensorflow_has_not(dtype):
    array = np.zeros(3, dtype)
    with pytest.raises(TypeError, match="must have a dtype that TensorFlow has. Received: array 0"):
        BatchReader("float32").read([array], "here")
