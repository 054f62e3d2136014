"""Checkpoints that earlier versions wrote: restored, they go on with the numbers of then."""

import contextlib
import shutil

import numpy as np
import pytest
from golden.write import FOLDER, OLDER, answers, make

GOLDEN = sorted(path for path in FOLDER.glob("*/*") if path.is_dir())


def test_there_are_golden_checkpoints():
    assert GOLDEN


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_checkpoint_of_an_earlier_version_goes_on(folder, tmp_path):
    algorithm = make(folder.name, shutil.copytree(folder, tmp_path / "run"))
    older = folder.name in OLDER
    expected = pytest.warns(UserWarning, match="other settings")
    with expected if older else contextlib.nullcontext():
        algorithm.restore()
    assert algorithm.step == 3
    then = np.load(f"{folder}.npz")
    for name, found in answers(algorithm).items():
        np.testing.assert_allclose(found, then[name], rtol=1e-6, atol=1e-9, err_msg=name)
