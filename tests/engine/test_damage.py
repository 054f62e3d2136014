"""Damage to the folder of a run: no run is lost, and none is loaded wrong."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import warnings
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import ResumableSine

from deepchem_meta.metalearning import MAML, load

INDEX, DATA = ".index", ".data-00000-of-00001"
PLAIN = {"meta_batch_size": 1, "task_execution": "looped", "jit_compile": False}
EACH_STEP = {"checkpoint_interval": 0, "steps_per_execution": 1}


def make(folder, seed=0):
    return MAML(ResumableSine(hidden=3, seed=seed), model_dir=folder, seed=seed, **PLAIN)


def saved_variables(maml):
    return [v for part in maml._checkpoints._newest._saved[:4] for v in part]


def state(maml):
    """Return all that a checkpoint holds, as bytes, and where sampling stands."""
    return [v.numpy().tobytes() for v in saved_variables(maml)], maml.learner.get_state()


class Run(NamedTuple):
    """A folder with checkpoints of the meta-steps 1, 2 and 3, and what they hold."""

    folder: Path
    states: dict


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    maml, states = make(tmp_path_factory.mktemp("damage") / "run"), {}
    for step in (1, 2, 3):
        maml.fit(1)
        states[step] = state(maml)
    return Run(Path(maml.model_dir), states)


@pytest.fixture(scope="module")
def reader(run):
    """Give an algorithm of other values over a folder in that of the run."""
    return make(run.folder / "inner", seed=1)


@pytest.fixture
def copy(run, reader):
    """Give that folder, a copy of the run's, and the algorithm."""
    folder = Path(reader.model_dir)
    copy_run(run, folder)
    return folder, reader


def copy_run(run, folder):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("inner"))


def outcome(maml, states):
    """Restore; return the meta-step, or 0 where nothing can be read, and the warnings.

    What is restored must be what was saved at that meta-step, to the bit, and if nothing is
    restored nothing may change.
    """
    for variable in saved_variables(maml):
        variable.assign(tf.cast(tf.fill(variable.shape, 77), variable.dtype))
    maml.learner.rng = np.random.default_rng(77)
    before = state(maml)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            maml.restore()
        except ValueError as error:
            assert re.match("None of the .* can be read|No checkpoint found", str(error))
            assert state(maml) == before
            return 0, []
    assert state(maml) == states[maml.step]
    return maml.step, [str(one.message) for one in caught]


def flipped(content, rng):
    """Yield a content with one bit flipped, at some places: the ends among them."""
    places = rng.choice(len(content), min(len(content), 80), replace=False)
    for place in {0, len(content) - 1, *places.tolist()}:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        yield bytes(damaged)


def truncated(content, rng):
    lengths = rng.choice(len(content), min(len(content), 30), replace=False)
    for length in {0, 1, len(content) // 2, len(content) - 1, *lengths.tolist()}:
        yield content[:length]


def zeroed(content, rng):
    """Yield a content of which a part is zeros, as after a loss of power."""
    yield bytes(len(content))
    for start in rng.choice(len(content), 20):
        stop = start + int(rng.integers(8, 200))
        damaged = content[:start] + bytes(len(content[start:stop])) + content[stop:]
        if damaged != content:
            yield damaged


@pytest.mark.parametrize("suffix", [INDEX, DATA])
@pytest.mark.parametrize("kind", [flipped, truncated, zeroed])
def test_a_damaged_file_of_the_newest_checkpoint(run, copy, kind, suffix):
    folder, maml = copy
    path = folder / f"ckpt-3{suffix}"
    for damaged in kind(path.read_bytes(), np.random.default_rng(0)):
        path.write_bytes(damaged)
        step, told = outcome(maml, run.states)
        if step == 3:  # TensorFlow uses no checksum of the few bytes that it does not need
            assert kind is not truncated and suffix == INDEX and not told
        else:
            assert step == 2 and len(told) == 1 and "ckpt-3' cannot be read" in told[0]


@pytest.mark.parametrize("kind", ["gone", "swapped", "empty", "folders"])
@pytest.mark.parametrize("suffix", [INDEX, DATA])
def test_several_damaged_checkpoints(run, copy, kind, suffix):
    folder, maml = copy
    for left in (2, 1, 0):
        path = folder / f"ckpt-{left + 1}{suffix}"
        content = (folder / f"ckpt-{left or 3}{suffix}").read_bytes() if kind == "swapped" else b""
        path.unlink()
        if kind == "folders":
            path.mkdir()
        elif kind != "gone":
            path.write_bytes(content)
        step, told = outcome(maml, run.states)
        assert step == left and (not step or len(told) == 3 - left)


def test_a_damaged_list_of_checkpoints(run, copy):
    """The run goes on, and what it saves is restored."""
    content, rng = (run.folder / "checkpoint").read_bytes(), np.random.default_rng(0)
    damages = [text for kind in (flipped, truncated, zeroed) for text in kind(content, rng)]
    folder, maml = copy
    for number, damaged in enumerate(damages):
        copy_run(run, folder)
        (folder / "checkpoint").write_bytes(damaged)
        step, told = outcome(maml, run.states)
        assert step == 3 and not any("ckpt-3'" in one for one in told)
        if number % 10 == 0:
            maml.fit(1, max_checkpoints_to_keep=2)
            assert outcome(maml, {4: state(maml)}) == (4, [])
            assert len(list(folder.glob("*.index"))) == 2


NAMES = [
    "",
    ".",
    "..",
    "best",
    "../ckpt-3",
    "²",
    "ckpt-²",
    "ckpt-?",
    "a" * 300,
    "ckpt-" + "9" * 5000,
]
NAMES += ["ckpt-\\063", 'ckpt-"', "\0", "ckpt-99999999999999999999"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_list_that_names_what_is_no_checkpoint_of_the_folder(run, copy, name):
    folder, maml = copy
    copy_run(run, folder / "best")
    text = f'model_checkpoint_path: "../ckpt-3"\nall_model_checkpoint_paths: "{name}"\n'
    (folder / "checkpoint").write_text(text)
    assert outcome(maml, run.states) == (3, [])
    for path in folder.glob("ckpt-*"):
        path.unlink()
    assert outcome(maml, run.states) == (0, [])


@pytest.mark.parametrize("line", ['{}:"{}"', ' {}: "{}"', "{}: '{}'", '{}: "" "{}"'])
def test_other_ways_to_name_a_file_of_somebody_else(run, copy, tmp_path, line):
    """TensorFlow reads more than what it writes, and deletes what it reads."""
    folder, maml = copy
    copy_run(run, tmp_path / "victim")
    text = (folder / "checkpoint").read_text().splitlines()
    foreign = line.format("all_model_checkpoint_paths", tmp_path / "victim" / "ckpt-3")
    stamp = next(one for one in text if one.startswith("all_model_checkpoint_timestamps"))
    (folder / "checkpoint").write_text("\n".join([foreign, stamp, *text, ""]))
    maml.fit(1, max_checkpoints_to_keep=1)
    assert [path.name for path in folder.glob("*.index")] == ["ckpt-4.index"]
    assert len(list((tmp_path / "victim").glob("ckpt-*"))) == 6


@pytest.mark.parametrize("name", [".lock", "checkpoint", "checkpoint.new", "ckpt-1.index"])
def test_a_link_to_a_file_of_somebody_else(run, copy, tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("of somebody else")
    folder, maml = copy
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(victim)
    assert outcome(maml, run.states) == (3, [])
    maml.fit(1, max_checkpoints_to_keep=2)
    assert outcome(maml, {4: state(maml)}) == (4, [])
    assert victim.read_text() == "of somebody else"


def test_a_link_to_nowhere(run, copy, tmp_path):
    folder, maml = copy
    (folder / "ckpt-9.index").symlink_to(tmp_path / "nowhere")
    step, told = outcome(maml, run.states)
    assert step == 3 and "ckpt-9' cannot be read" in told[0]
    maml.fit(1)
    assert outcome(maml, {4: state(maml)}) == (4, []) and (folder / "ckpt-10.index").exists()


STRANGE = ["vectors", "ckpt-[3]", "[c]kpt-3", "?-9", "*-9", 'a"-9', "a\n-9", "ckpt-²", "\udcff-9"]


@pytest.mark.parametrize("name", STRANGE, ids=range(len(STRANGE)))
def test_files_of_something_else_stay(run, copy, name):
    folder, maml = copy
    for suffix in (INDEX, DATA):
        (folder / (name + suffix)).write_text("strange")
    assert outcome(maml, run.states) == (3, [])
    maml.fit(1, max_checkpoints_to_keep=2)
    after = state(maml)
    assert outcome(maml, {4: after}) == (4, [])
    for suffix in (INDEX, DATA):
        assert (folder / (name + suffix)).exists() and (folder / f"ckpt-3{suffix}").exists()
        (folder / f"ckpt-4{suffix}").unlink()
    assert outcome(maml, run.states)[0] == 3


def test_a_list_that_is_no_file(run, copy):
    folder, maml = copy
    (folder / "checkpoint").unlink()
    (folder / "checkpoint").mkdir()
    assert outcome(maml, run.states) == (3, [])
    with pytest.raises(ValueError, match=r"must be a folder that can be written to.*Received"):
        maml.fit(1)
    (folder / "checkpoint").rmdir()
    os.mkfifo(folder / "checkpoint")
    assert outcome(maml, run.states) == (3, [])
    maml.fit(1)
    assert outcome(maml, {4: state(maml)}) == (4, [])


@contextlib.contextmanager
def files_no_longer_than(size):
    """Let writing fail as on a full disk; Python ignores the signal that tells of it."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


FULL = (ValueError, tf.errors.OpError)  # by what is written: the list, or a checkpoint


def test_a_full_disk(run, copy, tmp_path):
    """However much of a checkpoint has room, the newest whole one stays, and the run goes on."""
    folder, maml = copy
    maml.restore()
    maml.save(tmp_path / "saved")
    largest = max(path.stat().st_size for path in folder.glob("ckpt-3.*"))
    for size in [0, 1, 200, *range(400, largest - 20, largest // 12), largest - 20]:
        with files_no_longer_than(size), pytest.raises(FULL):
            maml.fit(1, max_checkpoints_to_keep=1)
        with files_no_longer_than(size), pytest.raises(FULL):
            maml.save(tmp_path / "saved")
        assert outcome(maml, run.states)[0] == 3
        assert load(tmp_path / "saved", ResumableSine(hidden=3)).step == 3
    maml.fit(1, max_checkpoints_to_keep=1)
    assert outcome(maml, {4: state(maml)}) == (4, [])
    assert len(list(folder.glob("ckpt-*"))) == 2


class At(keras.callbacks.Callback):
    """Does something once, after a meta-step."""

    def __init__(self, step, do):
        super().__init__()
        self.step, self.do = step, do

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.step:
            self.do()


def test_a_folder_that_vanishes_is_made_anew(run, copy):
    folder, maml = copy
    maml.restore()
    maml.fit(6, callbacks=[At(2, lambda: shutil.rmtree(folder))], **EACH_STEP)
    assert outcome(maml, {9: state(maml)}) == (9, [])


def test_a_file_in_place_of_the_folder(run, copy):
    """What was learned is not lost."""
    folder, maml = copy

    def replace():
        shutil.rmtree(folder)
        folder.write_text("")

    maml.restore()
    with pytest.raises(ValueError, match=r"must be a folder that can be written to.*Received"):
        maml.fit(6, callbacks=[At(2, replace)], **EACH_STEP)
    assert maml.step == 6
    folder.unlink()
    maml.fit(1)
    assert outcome(maml, {7: state(maml)}) == (7, [])


INTRUDER = """
    import sys
    from deepchem_meta.engine.checkpoint_folder import CheckpointFolder
    for _ in range(2):
        try:
            with CheckpointFolder(sys.argv[1]).locked():
                print("entered")
        except RuntimeError as error:
            print(str(error)[:46])
"""


def test_the_first_of_two_writers_goes_on(run, copy):
    pytest.importorskip("fcntl")
    folder, maml = copy
    heard = []

    def intrude():
        command = [sys.executable, "-c", textwrap.dedent(INTRUDER), str(folder)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        heard.extend(output.splitlines())

    maml.restore()
    maml.fit(5, callbacks=[At(1, intrude)], **EACH_STEP)
    assert heard == ["`model_dir` must be the folder of one run: ano"] * 2
    assert outcome(maml, {8: state(maml)}) == (8, [])


@contextlib.contextmanager
def as_nobody():
    """Be a user who may not do all, where the tests run as one who may."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_only_be_read(run):
    """Not below `tmp_path`, which only its owner may enter."""
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        folder = Path(parent, "run")
        copy_run(run, folder)
        maml = make(folder, seed=1)
        maml.restore()  # so that all is imported
        folder.chmod(0o555)
        try:
            with as_nobody():
                assert outcome(maml, run.states) == (3, [])
                with pytest.raises(ValueError, match="must be a folder that can be written to"):
                    maml.fit(1)
                assert state(maml) == run.states[3]
        finally:
            folder.chmod(0o755)
