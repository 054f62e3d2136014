import subprocess
import sys
import textwrap

import pytest
from learners import Quadratic

from deepchem_meta.engine.checkpoint_folder import CheckpointFolder
from deepchem_meta.metalearning import MAML


def make(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.index").write_text("")
        (folder / f"{name}.data-00000-of-00001").write_text("")
    return CheckpointFolder(str(folder))


def test_checkpoints_by_number_and_not_by_name(tmp_path):
    folder = make(tmp_path, "ckpt-9", "ckpt-10", "ckpt-2")
    found = [path.rpartition("-")[2] for path in folder.checkpoints()]
    assert found == ["10", "9", "2"] and folder.next_number == 11
    assert make(tmp_path / "empty").checkpoints() == []
    assert make(tmp_path / "empty").next_number == 1


def test_prepare_lists_what_there_is(tmp_path):
    folder = make(tmp_path, "ckpt-1", "ckpt-2")
    (tmp_path / "checkpoint").write_text('all_model_checkpoint_paths: "../other"\n')
    folder.prepare()
    text = (tmp_path / "checkpoint").read_text()
    assert 'model_checkpoint_path: "ckpt-2"' in text and "other" not in text
    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / "checkpoint").write_text('all_model_checkpoint_paths: "gone-1"\n')
    folder.prepare()
    assert not (tmp_path / "checkpoint").exists()


HOLDER = """
    import sys, time
    from deepchem_meta.engine.checkpoint_folder import CheckpointFolder
    with CheckpointFolder(sys.argv[1]).locked():
        print("held", flush=True)
        time.sleep(600)
"""


def test_one_process_at_a_time_and_the_lock_dies_with_it(tmp_path):
    pytest.importorskip("fcntl")
    maml = MAML(Quadratic(), model_dir=tmp_path, meta_batch_size=1)
    before = maml.learner.v.numpy()
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RuntimeError, match=r"folder of one run.*Received: .*" + tmp_path.name):
            maml.fit(2)
        assert (maml.learner.v.numpy() == before).all() and maml.step == 0
        holder.kill()
        holder.wait()
        maml.fit(2)
    assert maml.step == 2


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    half = tmp_path / "ckpt-7_temp"
    half.mkdir()
    (half / "part-00000-of-00001.data-00000-of-00001").write_text("half")
    MAML(Quadratic(), model_dir=tmp_path, meta_batch_size=1).fit(2)
    assert not half.exists()
    assert sorted(path.name for path in tmp_path.glob("*.index")) == ["ckpt-1.index"]
