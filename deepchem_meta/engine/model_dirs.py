"""Folders for checkpoints: made if need be, and deleted if they are temporary."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections import Counter
from typing import Any

__all__ = ["open_model_dir", "refuse_patterns"]

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
        refuse_patterns("model_dir", path)
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


def refuse_patterns(name: str, path: str) -> None:
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
