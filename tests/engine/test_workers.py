import tensorflow as tf

from deepchem_meta.engine.workers import Workers


def test_one_process_writes_and_agrees_with_itself():
    """Of several workers see tests/metalearning/test_workers.py, whose processes these are."""
    workers = Workers(tf.distribute.get_strategy())
    assert workers.is_chief and not workers.several
    assert workers.agree(0.25, True) == (0.25, True)
    assert workers.agree(0.5, False) == (0.5, False)
    workers.wait()
