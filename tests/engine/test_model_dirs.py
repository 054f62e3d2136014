import gc
import os

import pytest

from deepchem_meta.engine.model_dirs import open_model_dir


class Owner:
    pass


def test_temporary_folder_goes_with_its_last_user():
    first, second = Owner(), Owner()
    path = open_model_dir(first, None)
    assert open_model_dir(second, path) == path
    del first
    gc.collect()
    assert os.path.isdir(path)
    del second
    gc.collect()
    assert not os.path.exists(path)


def test_a_users_folder_stays(tmp_path):
    owner = Owner()
    path = open_model_dir(owner, tmp_path / "made" / "here")
    assert os.path.isdir(path)
    del owner
    gc.collect()
    assert os.path.isdir(path)


def test_bad_model_dir(tmp_path):
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match=r"must be a folder that can be written to.*Received"):
            open_model_dir(Owner(), bad)
    with pytest.raises(TypeError, match="must be a path or None"):
        open_model_dir(Owner(), 3)
    for name in ("run[1]", "run*", "what?", "back\\slash"):
        with pytest.raises(ValueError, match=r"must not have any of the characters \* \? \[ and"):
            open_model_dir(Owner(), tmp_path / name / "below")
        assert not (tmp_path / name).exists()
