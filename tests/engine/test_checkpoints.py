import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic

from deepchem_meta.engine.checkpoints import CheckpointStore, Saved
from deepchem_meta.metalearning import MAML


def store(folder, listed=(1.0, [2.0, 3.0]), slots=(0.0,), name="Adam", own=()):
    variables = {
        part: [tf.Variable(np.asarray(v, np.float32)) for v in given]
        for part, given in (("listed", listed), ("own", own), ("optimizer", slots))
    }
    return CheckpointStore(str(folder), Saved(optimizer_name=name, **variables)), variables


def fill(variables, value):
    for part in variables.values():
        for variable in part:
            variable.assign(tf.fill(variable.shape, value))


def test_round_trip(tmp_path):
    one, variables = store(tmp_path, own=[0.5])
    fill(variables, 7.0)
    state = {"array": np.arange(3), "tuple": (1, None, "a"), "bytes": b"\x00", "big": 2**100}
    one.save(5, state)
    two, restored = store(tmp_path, own=[0.5])
    back = two.restore()
    np.testing.assert_array_equal(back.pop("array"), state.pop("array"))
    assert back == state
    for part in restored.values():
        for variable in part:
            assert np.all(variable.numpy() == 7.0)


def test_keys_are_deepchems(tmp_path):
    path = store(tmp_path)[0].save(5, None)
    keys = [key for key, _ in tf.train.list_variables(path)]
    assert "listed/0/.ATTRIBUTES/VARIABLE_VALUE" in keys
    deepchem = tf.train.Checkpoint()
    deepchem.listed = [tf.Variable(0.0), tf.Variable([0.0, 0.0])]
    deepchem.restore(tf.train.latest_checkpoint(tmp_path))
    np.testing.assert_array_equal(deepchem.listed[1], [2.0, 3.0])


def test_max_to_keep_and_numbers_go_on(tmp_path):
    one, _ = store(tmp_path)
    paths = [one.save(2, None) for _ in range(3)]
    assert len(list(tmp_path.glob("*.index"))) == 2
    later = store(tmp_path)[0].save(2, None)
    assert [p.rpartition("-")[2] for p in [*paths, later]] == ["1", "2", "3", "4"]


def test_folder_can_be_moved(tmp_path):
    store(tmp_path / "a")[0].save(5, "here")
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert store(tmp_path / "b")[0].restore() == "here"


def test_no_checkpoint(tmp_path):
    with pytest.raises(ValueError, match="No checkpoint found.*Received"):
        store(tmp_path)[0].restore()


@pytest.mark.parametrize("damage", ["truncate", "no index", "no data", "flip"])
def test_corrupt_newest_falls_back(tmp_path, damage):
    one, variables = store(tmp_path)
    for number in (1, 2):
        fill(variables, float(number))
        newest = one.save(5, number)
    data = Path(newest + ".data-00000-of-00001")
    if damage == "no index":
        os.remove(newest + ".index")
    elif damage == "no data":
        os.remove(data)
    else:
        content = data.read_bytes()
        flipped = bytes([content[0] ^ 255]) + content[1:]
        data.write_bytes(content[:5] if damage == "truncate" else flipped)
    two, restored = store(tmp_path)
    with pytest.warns(UserWarning, match=r"ckpt-2' cannot be read, so an older one is tried"):
        assert two.restore() == 1
    assert float(restored["listed"][0]) == 1.0


def test_nothing_readable(tmp_path):
    newest = store(tmp_path)[0].save(5, None)
    os.remove(newest + ".data-00000-of-00001")
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="None of the 1 checkpoints"):
        store(tmp_path)[0].restore()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"listed": [1.0]}, r"listed/1: float32 \(2,\) in the checkpoint, absent here"),
        ({"listed": [1.0, [2.0], 3.0]}, r"listed/1: .*\(2,\) in.*\(1,\) here\n.*listed/2: absent"),
        ({"own": [0.1]}, r"own/0: absent in the checkpoint, float32 \(\) here"),
    ],
)
def test_another_learners_checkpoint_changes_nothing(tmp_path, options, message):
    store(tmp_path)[0].save(5, None)
    other, variables = store(tmp_path, **options)
    fill(variables, 9.0)
    with pytest.raises(ValueError, match=message):
        other.restore()
    assert all(np.all(v.numpy() == 9.0) for part in variables.values() for v in part)


def test_another_dtype_is_another_learner(tmp_path):
    store(tmp_path)[0].save(5, None)
    variables = [tf.Variable(1.0, dtype=tf.float64), tf.Variable([2.0, 3.0])]
    other = CheckpointStore(str(tmp_path), Saved(listed=variables, optimizer_name="Adam"))
    with pytest.raises(ValueError, match=r"listed/0: float32 \(\) in the.*float64 \(\) here"):
        other.restore()


@pytest.mark.parametrize("options", [{"name": "Nadam"}, {"slots": [0.0, 1.0]}, {"slots": [[1.0]]}])
def test_another_optimizers_slots_are_left_alone(tmp_path, options):
    one, variables = store(tmp_path)
    fill(variables, 5.0)
    one.save(5, None)
    other, restored = store(tmp_path, **options)
    with pytest.warns(UserWarning, match="optimizer's state was not restored"):
        other.restore()
    assert float(restored["listed"][0]) == 5.0
    assert not np.any(restored["optimizer"][0].numpy() == 5.0)


def test_deepchems_own_checkpoint(shared_data):
    w, b = tf.Variable(np.zeros((3, 2))), tf.Variable(np.zeros(2))
    one = CheckpointStore(
        str(shared_data / "deepchem-2.8.0-checkpoint"),
        Saved(listed=[w, b], optimizer=[tf.Variable(1.0)], optimizer_name="Adam"),
    )
    assert one.restore() is None
    assert w.numpy()[1, 1] == -0.872332568108134
    assert b.numpy().tolist() == [0.05093339084636425, 1.3203225792598337]


@pytest.mark.parametrize("state", [object(), {1: 2}, np.array([None]), {"a": [set()]}])
def test_state_that_cannot_be_saved(tmp_path, state):
    with pytest.raises(TypeError, match="A learner's state must"):
        store(tmp_path)[0].save(5, state)
    assert not list(tmp_path.glob("*.index"))


def test_saving_is_tried_before_training(tmp_path):
    maml = MAML(Quadratic(), model_dir=tmp_path / "run", meta_batch_size=1)
    (tmp_path / "run").rmdir()
    (tmp_path / "run").write_text("")
    before = maml.learner.v.numpy()
    with pytest.raises(ValueError, match=r"must be a folder that can be written to.*Received"):
        maml.fit(3)
    np.testing.assert_array_equal(maml.learner.v.numpy(), before)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_only_be_read_is_restored_from(tmp_path):
    one, variables = store(tmp_path)
    fill(variables, 2.0)
    one.save(5, None)
    tmp_path.chmod(0o500)
    try:
        assert MAML(Quadratic(), model_dir=tmp_path).model_dir == str(tmp_path)
        two, restored = store(tmp_path)
        two.restore()
        assert float(restored["listed"][0]) == 2.0
        with pytest.raises(ValueError, match="can be written to"):
            two.folder.prepare()
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"nonsense {",
        b'model_checkpoint_path: "../victim/data"\nall_model_checkpoint_paths: "../victim/data"\n',
        b'model_checkpoint_path: "ckpt-1"\nall_model_checkpoint_paths: "ckpt-1"\n',
        None,
    ],
)
def test_the_list_of_checkpoints_may_be_lost_or_hostile(tmp_path, text):
    victim = tmp_path / "victim"
    victim.mkdir()
    for name in ("data.index", "data.data-00000-of-00001"):
        (victim / name).write_text("of somebody else")
    folder = tmp_path / "run"
    one, variables = store(folder)
    for number in range(1, 4):
        fill(variables, float(number))
        one.save(5, number)
    for number in range(1, 4):  # as after a copy that reversed the times
        os.utime(folder / f"ckpt-{number}.index", (1e9 - number, 1e9 - number))
    listed = folder / "checkpoint"
    listed.unlink()
    if text is not None:
        listed.write_bytes(text)
    two, restored = store(folder)
    assert two.restore() == 3 and float(restored["listed"][0]) == 3.0
    two.save(2, 4)
    assert sorted(path.name for path in victim.iterdir()) == [
        "data.data-00000-of-00001",
        "data.index",
    ]
    assert sorted(path.name for path in folder.glob("*.index")) == ["ckpt-3.index", "ckpt-4.index"]
    assert tf.train.get_checkpoint_state(str(folder)).model_checkpoint_path.endswith("ckpt-4")


def test_the_same_folder_after_a_change_of_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, _ = store("run")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    one.save(5, None)
    assert (tmp_path / "run" / "ckpt-1.index").exists()
    assert not list((tmp_path / "other").iterdir())


class Places(Quadratic):
    """Has a place of its own, and no `sample_tasks`."""

    place = 0

    def get_state(self):
        return {"place": self.place}

    def set_state(self, state):
        self.place = state["place"]


class Many(Quadratic):
    """Draws many tasks at once."""

    def sample_tasks(self, n, rng):
        batch = [np.tile(np.eye(3), (n, 1, 1)), rng.normal(size=(n, 3))]
        return batch, batch


@pytest.mark.parametrize(("first", "second"), [(Places, Many), (Many, Places)])
def test_another_way_to_draw_tasks_is_told(tmp_path, first, second):
    MAML(first(), model_dir=tmp_path, meta_batch_size=1).fit(3)
    learner = second(seed=1)
    maml = MAML(learner, model_dir=tmp_path, meta_batch_size=1)
    with pytest.warns(UserWarning, match="drew its tasks in another way"):
        maml.restore()
    assert maml.step == 3
    maml.fit(2)


def test_what_a_learners_own_set_state_raises_changes_nothing(tmp_path):
    class Picky(Places):
        def set_state(self, state):
            raise KeyError("elsewhere")

    MAML(Places(), model_dir=tmp_path, meta_batch_size=1).fit(3)
    maml = MAML(Picky(seed=1), model_dir=tmp_path, meta_batch_size=1)
    before = maml.learner.v.numpy()
    with pytest.raises(KeyError, match="elsewhere"):
        maml.restore()
    np.testing.assert_array_equal(maml.learner.v.numpy(), before)
    assert maml.step == 0
