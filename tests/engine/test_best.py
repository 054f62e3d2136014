import pytest
import tensorflow as tf

from deepchem_meta.engine.best import Best
from deepchem_meta.engine.checkpoints import CheckpointStore, Saved


@pytest.mark.parametrize(
    ("monitor", "scores", "best"),
    [("val_loss", [3.0, 1.0, float("nan"), 2.0], 1), ("val_accuracy", [0.5, 0.7, 0.7, 0.6], 1)],
)
def test_the_best_is_kept_and_the_first_of_equals(tmp_path, monitor, scores, best):
    v = tf.Variable(0.0)
    store = CheckpointStore(str(tmp_path), Saved(listed=[v]))
    keeper = Best(store, monitor, [monitor], goes_on=False)
    for step, score in enumerate(scores):
        v.assign(float(step))
        keeper.update({monitor: score})
    assert store.restore() == {monitor: scores[best]} and float(v) == best
    Best(store, monitor, [monitor], goes_on=True).update({monitor: scores[best]})
    assert len(store.folder.checkpoints()) == 1


def test_a_score_that_is_not_there(tmp_path):
    store = CheckpointStore(str(tmp_path), Saved(listed=[tf.Variable(0.0)]))
    with pytest.raises(ValueError, match=r"must be one of \['loss'\]. Received: 'accuracy'"):
        Best(store, "accuracy", ["loss"], goes_on=False)
