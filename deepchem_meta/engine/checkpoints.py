"""Saves and restores what meta-training needs to go on, in folders that DeepChem can read too."""

from __future__ import annotations

import base64
import json
import math
import os
import re
import shutil
import tempfile
import time
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from deepchem_meta.engine.direction import smaller_is_better

__all__ = ["Best", "CheckpointStore", "check_saved", "open_model_dir", "read_settings"]

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_STATE = "progress/.ATTRIBUTES/py_state"
_SAVED = "saved"  # what checkpoints are called in folders that `save_as` writes

# TensorFlow takes these in the name of a checkpoint for a pattern: it would read, and delete, files
# of other folders.
_PATTERN = re.compile(r"[*?\[\\]" if os.sep == "/" else r"[*?\[]")

_users: Counter[str] = Counter()
_temporary: set[str] = set()


def open_model_dir(owner: Any, model_dir: str | os.PathLike | None) -> str:
    """Return the folder for checkpoints, made if need be.

    A temporary folder is deleted with the last object in this process that uses it.

    Parameters
    ----------
    owner : object
        Who uses the folder, as long as it lives.
    model_dir : path or None
        None for a temporary folder.

    Raises
    ------
    TypeError
        If `model_dir` is not a path.
    ValueError
        If it is a file, cannot be made, or holds a character that TensorFlow takes for a pattern.
    """
    if model_dir is None:
        path = tempfile.mkdtemp()
        _temporary.add(os.path.realpath(path))
    elif isinstance(model_dir, (str, os.PathLike)):
        path = os.fspath(model_dir)
        _refuse_patterns("model_dir", path)
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"`model_dir` must be a folder that can be written to. Received: {path!r} ({error})"
            ) from error
    else:
        raise TypeError(f"`model_dir` must be a path or None. Received: {model_dir!r}")
    _users[os.path.realpath(path)] += 1
    weakref.finalize(owner, _leave, os.path.realpath(path), os.getpid())
    return path


def _refuse_patterns(name: str, path: str) -> None:
    """Raise ValueError if TensorFlow would take a folder's name for a pattern of names."""
    if _PATTERN.search(os.path.abspath(path)):
        raise ValueError(
            f"`{name}` must not have any of the characters * ? [ and \\ in its whole path, which "
            f"TensorFlow takes for patterns. Received: {os.path.abspath(path)!r}"
        )


def _leave(path: str, process: int) -> None:
    _users[path] -= 1
    if _users[path] == 0 and path in _temporary and os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)


class CheckpointStore:
    """Saves to and restores from a folder, with `tf.train.CheckpointManager`.

    A checkpoint holds the learner's variables under the name ``listed``, as DeepChem's do; under
    ``optimizer`` the optimizer's slots, its counters and the meta-step; under ``own`` what
    the algorithm has besides the learner's variables; under ``random`` the seed; and under
    ``progress``, as JSON, the optimizer's class, the algorithm's settings and where the learner's
    sampling stood.

    Parameters
    ----------
    model_dir : str
        The folder.
    listed, own, optimizer, random : list of tf.Variable
        What to save.
    optimizer_name : str
        The optimizer's class; slots of another class are not restored.
    settings : callable
        Returns the algorithm's settings, as plain data.
    differences : callable
        ``(settings there, settings here, training) -> list of str``: what differs, in words.

    Attributes
    ----------
    model_dir : str
        The folder, as a whole path.
    """

    def __init__(
        self,
        model_dir: str,
        *,
        listed: Sequence[tf.Variable],
        own: Sequence[tf.Variable],
        optimizer: Sequence[tf.Variable],
        random: Sequence[tf.Variable],
        optimizer_name: str,
        settings: Callable[[], dict[str, Any]] = dict,
        differences: Callable[[Any, Any, bool], list[str]] = lambda there, here, training: [],
    ):
        self.model_dir = os.path.abspath(model_dir)  # the same after a change of directory
        self._optimizer_name = optimizer_name
        self._settings = settings
        self._differences = differences
        parts = {"listed": listed, "own": own, "optimizer": optimizer, "random": random}
        self._parts = {name: list(variables) for name, variables in parts.items()}
        self._progress = _Progress()
        self._checkpoint = tf.train.Checkpoint(progress=self._progress, **self._parts)

    def at(self, model_dir: str) -> CheckpointStore:
        """Return a store of the same variables in another folder."""
        return CheckpointStore(
            model_dir,
            **self._parts,
            optimizer_name=self._optimizer_name,
            settings=self._settings,
            differences=self._differences,
        )

    def save_as(self, path: str | os.PathLike, sampling: Any) -> None:
        """Write one checkpoint as a folder of its own, which takes the place of an older one.

        The folder is complete from the moment that it is there, and an older one stays until then.

        Parameters
        ----------
        path : path
            A new folder, or one that this method wrote.
        sampling : object
            As in `save`.

        Raises
        ------
        TypeError
            If `path` is no path.
        ValueError
            If it is anything else.
        """
        path = os.path.abspath(_check_path(path))
        _refuse_patterns("path", path)
        if os.path.exists(path) and not _is_saved(path):
            raise ValueError(
                "`path` must be a new folder, or one that `save` wrote. "
                f"Received: {path!r}, which holds something else"
            )
        folder = os.path.dirname(path)
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as scratch:
            new, old = (os.path.join(scratch, name) for name in ("new", "old"))
            self.at(new).save(1, sampling, name=_SAVED)
            if os.path.exists(path):
                os.rename(path, old)
            try:
                os.rename(new, path)
            except OSError:
                if os.path.exists(old):
                    os.rename(old, path)
                raise

    def save(self, max_to_keep: int, sampling: Any, name: str = "ckpt") -> str:
        """Write a checkpoint, numbered after all that are in the folder, and return its path.

        Parameters
        ----------
        max_to_keep : int
            How many checkpoints to keep; older ones are deleted.
        sampling : object
            Where the learner's sampling stands: None, numbers, strings, bytes, NumPy arrays, and
            lists, tuples and dicts with string keys of them.
        name : str, default "ckpt"
            What the files are called.

        Raises
        ------
        TypeError
            If `sampling` holds anything else.
        """
        self._progress.value = {
            "optimizer": self._optimizer_name,
            "sampling": sampling,
            "settings": self._settings(),
        }
        self.prepare()
        number = max([0, *(_number(path) for path in self._paths())]) + 1
        manager = tf.train.CheckpointManager(
            self._checkpoint, self.model_dir, max_to_keep, checkpoint_name=name
        )
        return manager.save(checkpoint_number=number)

    def prepare(self) -> None:
        """See to it that a checkpoint can be saved: before training, not after it.

        The file ``checkpoint``, by which TensorFlow knows which checkpoints there are to delete,
        is written anew unless it names just those of the folder.

        Raises
        ------
        ValueError
            If the folder cannot be written to.
        """
        try:
            os.makedirs(self.model_dir, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.model_dir):
                pass
            names = self._found_names()
            if names != self._listed_names():
                _write_list(self.model_dir, names)
        except OSError as error:
            raise ValueError(
                "`model_dir` must be a folder that can be written to. "
                f"Received: {self.model_dir!r} ({error})"
            ) from error

    @property
    def has_checkpoints(self) -> bool:
        """Whether there is any checkpoint in the folder."""
        return bool(self._paths())

    def sampling(self) -> Any:
        """Return what the newest readable checkpoint holds as `sampling`, None without any."""
        if not self._paths():
            return None
        return _progress_of(self._read_newest()).get("sampling")

    def settings(self) -> Any:
        """Return the algorithm's settings that the newest readable checkpoint holds."""
        return _progress_of(self._read_newest()).get("settings")

    def restore(
        self, *, compare: str | None = None, rewind: Callable[[Any], None] = lambda sampling: None
    ) -> Any:
        """Assign what the newest readable checkpoint holds, and return its `sampling`.

        Nothing is assigned unless all of the learner's variables fit. The optimizer's state is
        left alone, with a warning, if it is another optimizer's; the count of meta-steps goes on.

        Parameters
        ----------
        compare : {"training", "adaptation"}, optional
            Of which settings to warn that differ from those of the checkpoint: of all, or of those
            that adaptation depends on.
        rewind : callable, optional
            Is called with the checkpoint's `sampling`. What it raises goes on before anything is
            assigned.

        Raises
        ------
        ValueError
            If there is no checkpoint, none can be read, or the newest readable one belongs to
            another learner.
        """
        values = self._read_newest()
        progress = _progress_of(values)
        self._check_learner(values)
        if compare:
            self._compare(progress.get("settings"), compare == "training")
        assignments = self._match("listed", values) + self._match("own", values)
        assignments += self._match("random", values) or []
        if any(key.startswith("optimizer/") for key in values):
            slots = self._match("optimizer", values)
            if progress.get("optimizer") == self._optimizer_name and slots is not None:
                assignments += slots
            else:
                assignments += self._match_first("optimizer", values)
                warnings.warn(
                    "The optimizer's state was not restored, since the checkpoint was written with "
                    f"{progress.get('optimizer')} over other slots than those of this "
                    f"{self._optimizer_name}. It starts afresh.",
                    stacklevel=3,
                )
        rewind(progress.get("sampling"))
        for variable, value in assignments:
            variable.assign(value)
        return progress.get("sampling")

    def _paths(self) -> list[str]:
        """Return the checkpoints in the folder by their numbers, the newest first.

        Those that the file ``checkpoint`` names are among them, so that it is told if their files
        are gone; but it may be lost, and what it names of other folders is left alone.
        """
        names = {name for name in self._listed_names() or () if name == os.path.basename(name)}
        paths = {Path(self.model_dir, name) for name in names | set(self._found_names())}
        return [str(path) for path in sorted(paths, key=_age, reverse=True)]

    def _found_names(self) -> list[str]:
        """Return the names of the checkpoints of which there are files, the newest last."""
        folder = Path(self.model_dir)
        files = [*folder.glob("*.index"), *folder.glob("*.data-*-of-*")]
        return [path.name for path in sorted({path.with_suffix("") for path in files}, key=_age)]

    def _listed_names(self) -> list[str] | None:
        """Return what the file ``checkpoint`` names, None where it is of no use."""
        try:
            text = Path(self.model_dir, "checkpoint").read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        return re.findall(r'^all_model_checkpoint_paths: "(.*)"$', text, re.MULTILINE)

    def _read_newest(self) -> dict[str, Any]:
        """Return all values of the newest checkpoint that can be read whole."""
        paths = self._paths()
        if not paths:
            raise ValueError(f"No checkpoint found in `model_dir`. Received: {self.model_dir!r}")
        for path in paths:
            try:
                reader = tf.train.load_checkpoint(path)
                values = {key: reader.get_tensor(key) for key in reader.get_variable_to_dtype_map()}
            except Exception as error:  # by the damage OpError, ValueError, IndexError, ...
                reason = str(error).partition("\n")[0]
                warnings.warn(
                    f"The checkpoint {path!r} cannot be read, so an older one is tried: {reason}",
                    stacklevel=4,
                )
            else:
                return values
        raise ValueError(
            f"None of the {len(paths)} checkpoints in `model_dir` can be read. "
            f"Received: {self.model_dir!r}"
        )

    def _entries(self, part: str) -> dict[str, tf.Variable]:
        """Return the variables of a part by their keys in a checkpoint."""
        first = {}
        for index, variable in enumerate(self._parts[part]):
            first.setdefault(id(variable), (f"{part}/{index}{_VALUE}", variable))
        return dict(first.values())

    def _match(self, part: str, values: dict[str, Any]) -> list[tuple[tf.Variable, Any]] | None:
        """Pair a part's variables with their values; None where any does not fit."""
        pairs = [(variable, values.get(key)) for key, variable in self._entries(part).items()]
        fits = all(value is not None and _kind(value) == _kind(v) for v, value in pairs)
        return pairs if fits else None

    def _match_first(self, part: str, values: dict[str, Any]) -> list[tuple[tf.Variable, Any]]:
        """Pair a part's first variable, of the optimizer the count of meta-steps, if it fits."""
        key, variable = next(iter(self._entries(part).items()))
        fits = _kind(values.get(key)) == _kind(variable) and variable.dtype.is_integer
        return [(variable, values[key])] if fits else []

    def _compare(self, settings: Any, training: bool) -> None:
        """Warn of settings that differ from those of a checkpoint."""
        differ = self._differences(settings, self._settings(), training)
        if differ:
            warnings.warn(
                "The checkpoint was written with other settings; those of this algorithm stay:\n  "
                + "\n  ".join(differ),
                stacklevel=5,
            )

    def _check_learner(self, values: dict[str, Any]) -> None:
        """Raise ValueError unless the checkpoint holds just the learner's variables."""
        problems = []
        for part in ("listed", "own"):
            entries = self._entries(part)
            stored = [key for key in values if key.startswith(f"{part}/")]
            for key in sorted({*entries, *stored}):
                here, there = entries.get(key), values.get(key)
                if _kind(here) != _kind(there):
                    name = key.removesuffix(_VALUE)
                    problems.append(f"{name}: {_kind(there)} in the checkpoint, {_kind(here)} here")
        if problems:
            raise ValueError(
                "The checkpoint belongs to another learner; nothing was restored. Received:\n  "
                + "\n  ".join(problems)
            )


def check_saved(path: str | os.PathLike) -> str:
    """Return `path` if it is a folder that `CheckpointStore.save_as` wrote.

    Raises
    ------
    TypeError
        If it is no path.
    ValueError
        If it is anything else.
    """
    path = os.path.abspath(_check_path(path))
    if not _is_saved(path):
        raise ValueError(f"`path` must be a folder that `save` wrote. Received: {path!r}")
    return path


def read_settings(path: str) -> Mapping[str, Any]:
    """Return the settings of the algorithm in a folder that `CheckpointStore.save_as` wrote."""
    store = CheckpointStore(path, listed=[], own=[], optimizer=[], random=[], optimizer_name="none")
    return store.settings()


def _check_path(path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"`path` must be a path. Received: path={path!r}")
    return os.fspath(path)


def _is_saved(path: str) -> bool:
    """Whether a folder holds what `save_as` writes, and nothing else."""
    names = set(os.listdir(path)) if os.path.isdir(path) else set()
    saved = {name for name in names if name.startswith(f"{_SAVED}-")}
    return bool(saved) and names <= {*saved, "checkpoint"}


def _progress_of(values: dict[str, Any]) -> dict[str, Any]:
    return json.loads(values.get(_STATE, b"{}"), object_hook=_decode)


class Best:
    """Keeps the checkpoint of which a score was best, in a run and those that go on from it.

    Parameters
    ----------
    store : CheckpointStore
        Where to save.
    monitor : str
        The score's name. Of losses and errors the smallest is the best, else the largest.
    known : list of str
        The names there are.
    goes_on : bool
        Whether what the store holds is from the same run, and to be beaten.

    Raises
    ------
    ValueError
        If there is no such score.
    """

    def __init__(self, store: CheckpointStore, monitor: str, known: Sequence[str], goes_on: bool):
        if monitor not in known:
            raise ValueError(f"`save_best` must be one of {list(known)}. Received: {monitor!r}")
        self._store = store
        self._monitor = monitor
        self._sign = -1.0 if smaller_is_better(monitor) else 1.0
        before = (store.sampling() or {}) if goes_on else {}
        self._best = before.get(monitor)

    def update(self, logs: dict[str, float]) -> None:
        """Save if the score is the best so far."""
        value = logs[self._monitor]
        if math.isnan(value):
            return
        if self._best is None or self._sign * value > self._sign * self._best:
            self._best = value
            self._store.save(1, {self._monitor: value})


class _Progress(tf.train.experimental.PythonState):
    """A part of a checkpoint that is JSON."""

    value: Any = None

    def serialize(self) -> str:
        return json.dumps(_encode(self.value))

    def deserialize(self, string: str) -> None:
        self.value = json.loads(string, object_hook=_decode)


def _kind(value: Any) -> str:
    """Return dtype and shape in words."""
    if value is None:
        return "absent"
    return f"{tf.as_dtype(value.dtype).name} {tuple(value.shape)}"


def _age(path: Path) -> tuple[int, float]:
    """Return what checkpoints are sorted by: their number, and the time for those without."""
    index = Path(f"{path}.index")
    return _number(path.name), index.stat().st_mtime if index.exists() else 0.0


def _write_list(folder: str, names: Sequence[str]) -> None:
    """Write the file by which TensorFlow knows a folder's checkpoints, the newest last."""
    target = Path(folder, "checkpoint")
    if not names:
        target.unlink(missing_ok=True)
        return
    lines = [f'model_checkpoint_path: "{names[-1]}"']
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
    # Without a time the manager takes a checkpoint for one that is to be kept for ever.
    lines += [f"all_model_checkpoint_timestamps: {time.time()}"] * len(names)
    part = target.with_name("checkpoint.new")
    part.write_text("\n".join([*lines, ""]), encoding="utf-8")
    part.replace(target)


def _number(path: str) -> int:
    digits = path.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0


def _encode(value: Any) -> Any:
    """Return `value` as what JSON can hold; tuples, bytes and arrays become marked dicts."""
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        if array.dtype.hasobject:
            raise TypeError(f"A learner's state must not hold objects. Received: {value!r}")
        data = base64.b64encode(array.tobytes()).decode()
        return {"__array__": data, "dtype": array.dtype.str, "shape": array.shape}
    if isinstance(value, bytes):
        return {"__bytes__": base64.b64encode(value).decode()}
    if isinstance(value, tuple):
        return {"__tuple__": [_encode(item) for item in value]}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"A learner's state must have strings as keys. Received: {value!r}")
        return {key: _encode(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        "A learner's state must be made of numbers, strings, bytes, NumPy arrays, lists, tuples "
        f"and dicts. Received: {value!r}"
    )


def _decode(value: dict) -> Any:
    if "__array__" in value:
        data = np.frombuffer(base64.b64decode(value["__array__"]), value["dtype"])
        return data.reshape(value["shape"]).copy()
    if "__bytes__" in value:
        return base64.b64decode(value["__bytes__"])
    return tuple(value["__tuple__"]) if "__tuple__" in value else value
