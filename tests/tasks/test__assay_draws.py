"""Support sets of several sizes."""

import keras
import numpy as np
import pytest

import deepchem_meta as dc
from deepchem_meta.tasks import AssayTasks

RNG = np.random.default_rng(0)
# Assays of 12, 40 and 200 compounds, half of them active; the first feature is the compound.
SIZES = (12, 40, 200)
Y = np.full((252, 3), np.nan)
for _place, _size in enumerate(SIZES):
    _start = sum(SIZES[:_place])
    Y[_start : _start + _size, _place] = np.arange(_size) % 2
X = np.arange(252, dtype=np.float32)[:, None] + np.float32([0, 0.5])


@pytest.mark.parametrize("queries", [4, "rest"])
@pytest.mark.parametrize("balanced", [True, False])
def test_each_draw_has_a_size_that_its_assay_can_serve(queries, balanced):
    tasks = AssayTasks(X, Y, shots=(2, 8, 32), queries=queries, balanced=balanced)
    which = np.repeat([0, 1, 2], 200)
    support, query = tasks.sample(600, np.random.default_rng(0), assays=which)
    assert support[0].shape == (600, 64, 2) and support[2].shape == (600, 64)
    sizes = support[2].sum(axis=1).astype(int)
    found = [
        dict(zip(*np.unique(sizes[which == i], return_counts=True), strict=True)) for i in range(3)
    ]
    assert [sorted(sizes) for sizes in found] == [[4], [4, 16], [4, 16, 64]]
    assert min(found[2].values()) > 40  # of 67 expected
    for i in range(600):
        used = support[0][i, support[2][i] > 0, 0].astype(int)
        asked = query[0][i, query[2][i] > 0, 0].astype(int)
        assert len({*used, *asked}) == len(used) + len(asked)
        np.testing.assert_array_equal(support[1][i, : len(used), 0], Y[used, which[i]])
        np.testing.assert_array_equal(query[1][i, : len(asked), 0], Y[asked, which[i]])
        assert len(asked) == (SIZES[which[i]] - len(used) if queries == "rest" else 8)


def test_numbers_are_ascending_and_replace_takes_them():
    tasks = AssayTasks(X, Y, shots=[8, 2, 8], queries=2)
    assert tasks.shots == (2, 8) and tasks.replace(shots=3, queries=2).shots == 3
    with pytest.raises(ValueError, match="`shots` must have at least one number"):
        AssayTasks(X, Y, shots=())
    with pytest.raises(ValueError, match="`shots` must be at least 1. Received: shots=0"):
        AssayTasks(X, Y, shots=(4, 0), queries=2)
    with pytest.raises(ValueError, match="enough compounds"):
        AssayTasks(X, Y, shots=(8, 32), queries=4)


def test_an_algorithm_trains_on_them():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    tasks = AssayTasks(X, Y, shots=(2, 8), queries=2)
    learner = dc.metalearning.KerasLearner(model, loss, tasks)
    proto = dc.metalearning.ProtoNet(learner, meta_batch_size=3, seed=0)
    proto.fit(3, verbose=0)
    assert np.isfinite(proto.evaluate(tasks, n_tasks=6).loss).all()
