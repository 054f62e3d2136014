import numpy as np
import pytest
import tensorflow as tf
from learners import Sine

from deepchem_meta.engine.learner_model import LearnerModel
from deepchem_meta.engine.map_over_tasks import MapOverTasks
from deepchem_meta.engine.meta_step import Execution


def normal(support, query, numbers, key):
    """Draw a random number, of which `tf.vectorized_map` has no rule."""
    seed = tf.cast(key[1:], tf.int32)
    return {"noise": tf.random.stateless_normal((), seed), "sum": tf.reduce_sum(support[0])}


def plain(support, query, numbers, key):
    return {"scaled": tf.reduce_sum(support[0] * query[0]) * tf.cast(numbers["a"], tf.float32)}


@pytest.mark.parametrize("task_execution", ["auto", "vectorized", "looped"])
def test_every_task_on_its_own(task_execution):
    rng = np.random.default_rng(0)
    support, query = ((rng.normal(size=(5, 3)).astype("float32"),) for _ in range(2))
    keys = np.arange(15).reshape(5, 3)
    over = MapOverTasks(plain, execution=Execution(task_execution), model=LearnerModel(Sine()))
    for factor in (1.0, 2.0):
        found = over(support, query, {"a": factor}, keys)["scaled"]
        np.testing.assert_allclose(found, factor * (support[0] * query[0]).sum(1), rtol=1e-5)
    over = MapOverTasks(normal, execution=Execution(task_execution), model=LearnerModel(Sine()))
    if task_execution == "vectorized":
        with pytest.raises(ValueError, match="No pfor vectorization"):
            over(support, query, {}, keys)
        return
    found = over(support, query, {}, keys)
    assert len(set(found["noise"].tolist())) == 5
    np.testing.assert_allclose(found["sum"], support[0].sum(1), rtol=1e-5)
