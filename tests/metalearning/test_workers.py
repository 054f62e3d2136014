"""Several worker processes against one: the weights, and what happens when one ends."""

import time

import numpy as np
import pytest
from metalearning import workers

pytestmark = pytest.mark.slow


def weights(folder, name):
    found = np.load(folder / f"{name}.npz")
    return [found[key] for key in found.files]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The weights that one process trains."""
    folder = tmp_path_factory.mktemp("alone")
    codes, errors = workers.run(1, folder, 30, ["MAML", "ProtoNet"])
    assert codes == [0], errors
    return folder


def test_two_workers_are_one(alone, tmp_path):
    codes, errors = workers.run(2, tmp_path, 30, ["MAML", "ProtoNet"])
    assert codes == [0, 0], errors
    for name in ("MAML", "ProtoNet"):
        for a, b in zip(weights(alone, name), weights(tmp_path, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
        assert len(list((tmp_path / name).glob("*.index"))) >= 1


def test_the_others_are_told_of_a_worker_that_ends(tmp_path):
    """It goes on from the last checkpoint once all are started again."""
    started = workers.run(2, tmp_path, 100_000, ["MAML"], wait=False)
    try:
        limit = time.monotonic() + 120
        while not list((tmp_path / "MAML").glob("ckpt-*.index")) and time.monotonic() < limit:
            time.sleep(0.2)
        started[1].kill()
        _, errors = started[0].communicate(timeout=90)
    finally:
        for one in started:
            one.kill()
            one.wait()
            one.stderr.close()
    assert started[0].returncode == 1
    last = errors.strip().splitlines()[-1]
    assert last.startswith("RuntimeError: Another worker has ended or cannot be reached.")
    assert 'restore="auto"' in last and "InvalidArgument" not in last
