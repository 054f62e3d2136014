"""Saves and restores what meta-training needs to go on, in folders that DeepChem can read too."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from deepchem_meta.engine.checkpoint_folder import CheckpointFolder
from deepchem_meta.engine.model_dirs import refuse_patterns
from deepchem_meta.engine.plain_state import decode, encode

__all__ = ["CheckpointStore", "Saved", "check_saved", "read_settings"]

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_STATE = "progress/.ATTRIBUTES/py_state"
_PARTS = ("listed", "own", "optimizer", "random")
_SAVED = "saved"  # what checkpoints are called in folders that `save_as` writes


class Saved(NamedTuple):
    """The variables that a checkpoint holds.

    Attributes
    ----------
    listed : list of tf.Variable
        The learner's.
    own : list of tf.Variable
        What the algorithm has besides.
    random : list of tf.Variable
        The seed.
    optimizer : list of tf.Variable
        The count of meta-steps, and the optimizer's counters and slots.
    optimizer_name : str
        The optimizer's class; slots of another class are not restored.
    """

    listed: Sequence[tf.Variable] = ()
    own: Sequence[tf.Variable] = ()
    random: Sequence[tf.Variable] = ()
    optimizer: Sequence[tf.Variable] = ()
    optimizer_name: str = "none"


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
    saved : Saved
        What to save.
    writes : bool, default True
        Whether this process saves: of several workers the chief alone.
    settings : callable
        Returns the algorithm's settings, as plain data.
    differences : callable
        ``(settings there, settings here, training) -> list of str``: what differs, in words.

    Attributes
    ----------
    folder : CheckpointFolder
        The folder.
    writes : bool
        As given.
    """

    def __init__(
        self,
        model_dir: str,
        saved: Saved,
        *,
        writes: bool = True,
        settings: Callable[[], dict[str, Any]] = dict,
        differences: Callable[[Any, Any, bool], list[str]] = lambda there, here, training: [],
    ):
        self.folder = CheckpointFolder(model_dir)
        self.writes = writes
        self._saved = saved
        self._settings = settings
        self._differences = differences
        self._progress = _Progress()
        parts = {name: list(saved._asdict()[name]) for name in _PARTS}
        self._checkpoint = tf.train.Checkpoint(progress=self._progress, **parts)

    def at(self, model_dir: str) -> CheckpointStore:
        """Return a store of the same variables in another folder."""
        return CheckpointStore(
            model_dir,
            self._saved,
            writes=self.writes,
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
        refuse_patterns("path", path)
        if os.path.exists(path) and not _is_saved(path):
            raise ValueError(
                "`path` must be a new folder, or one that `save` wrote. "
                f"Received: {path!r}, which holds something else"
            )
        if not self.writes:
            return
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

    def save(self, max_to_keep: int, sampling: Any, name: str = "ckpt") -> str | None:
        """Write a checkpoint, numbered after all that are in the folder, and return its path.

        A process that does not write does nothing.

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
            "optimizer": self._saved.optimizer_name,
            "sampling": sampling,
            "settings": self._settings(),
        }
        if not self.writes:
            return None
        self.folder.prepare()
        manager = tf.train.CheckpointManager(
            self._checkpoint, self.folder.path, max_to_keep, checkpoint_name=name
        )
        return manager.save(checkpoint_number=self.folder.next_number)

    @property
    def has_checkpoints(self) -> bool:
        """Whether there is any checkpoint in the folder."""
        return bool(self.folder.checkpoints())

    def sampling(self) -> Any:
        """Return what the newest readable checkpoint holds as `sampling`, None without any."""
        if not self.folder.checkpoints():
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
            if progress.get("optimizer") == self._saved.optimizer_name and slots is not None:
                assignments += slots
            else:
                assignments += self._match_first("optimizer", values)
                warnings.warn(
                    "The optimizer's state was not restored, since the checkpoint was written with "
                    f"{progress.get('optimizer')} over other slots than those of this "
                    f"{self._saved.optimizer_name}. It starts afresh.",
                    stacklevel=3,
                )
        rewind(progress.get("sampling"))
        for variable, value in assignments:
            variable.assign(value)
        return progress.get("sampling")

    def _read_newest(self) -> dict[str, Any]:
        """Return all values of the newest checkpoint that can be read whole."""
        paths = self.folder.checkpoints()
        if not paths:
            raise ValueError(f"No checkpoint found in `model_dir`. Received: {self.folder.path!r}")
        for path in paths:
            try:
                # Unlike tf.train.load_checkpoint it takes no folder, which may name any other.
                reader = tf.compat.v1.train.NewCheckpointReader(path)
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
            f"Received: {self.folder.path!r}"
        )

    def _entries(self, part: str) -> dict[str, tf.Variable]:
        """Return the variables of a part by their keys in a checkpoint."""
        first = {}
        for index, variable in enumerate(getattr(self._saved, part)):
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
    return CheckpointStore(path, Saved()).settings()


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
    return json.loads(values.get(_STATE, b"{}"), object_hook=decode)


class _Progress(tf.train.experimental.PythonState):
    """A part of a checkpoint that is JSON."""

    value: Any = None

    def serialize(self) -> str:
        return json.dumps(encode(self.value))

    def deserialize(self, string: str) -> None:
        self.value = json.loads(string, object_hook=decode)


def _kind(value: Any) -> str:
    """Return dtype and shape in words."""
    if value is None:
        return "absent"
    return f"{tf.as_dtype(value.dtype).name} {tuple(value.shape)}"
