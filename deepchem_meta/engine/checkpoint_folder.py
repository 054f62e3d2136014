"""A folder's list of checkpoints, and the lock of the process that writes to it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

__all__ = ["CheckpointFolder"]


class CheckpointFolder:
    """The checkpoints of a folder by their numbers, whatever the file ``checkpoint`` says.

    Parameters
    ----------
    path : str
        The folder.

    Attributes
    ----------
    path : str
        As a whole path, which stays the same after a change of directory.
    """

    def __init__(self, path: str):
        self.path = os.path.abspath(path)

    @property
    def next_number(self) -> int:
        """The number after those of all checkpoints."""
        return max([0, *(_number(path) for path in self.checkpoints())]) + 1

    def checkpoints(self) -> list[str]:
        """Return the checkpoints by their numbers, the newest first.

        Those that the file ``checkpoint`` names are among them, so that it is told if their files
        are gone; but it may be lost, and what it names of other folders is left alone.
        """
        names = {name for name in self._listed_names() or () if name == os.path.basename(name)}
        paths = {Path(self.path, name) for name in names | set(self._found_names())}
        return [str(path) for path in sorted(paths, key=_age, reverse=True)]

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
            os.makedirs(self.path, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
            names = self._found_names()
            if names != self._listed_names():
                self._write_list(names)
        except OSError as error:
            raise ValueError(
                "`model_dir` must be a folder that can be written to. "
                f"Received: {self.path!r} ({error})"
            ) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only process that trains into the folder.

        The lock is the system's, on the file ``.lock``; it ends with the process. What a process
        that was killed has left half-written is removed. On a system without such locks there is
        none.

        Raises
        ------
        RuntimeError
            If another process trains into it.
        """
        with contextlib.ExitStack() as stack:
            if fcntl is not None:
                file = stack.enter_context(open(Path(self.path, ".lock"), "wb"))
                try:
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    if error.errno in (errno.EAGAIN, errno.EACCES):
                        raise RuntimeError(
                            "`model_dir` must be the folder of one run: another process trains "
                            f"into it now. Received: {self.path!r}"
                        ) from None
                else:
                    for left in Path(self.path).glob("*_temp"):
                        shutil.rmtree(left, ignore_errors=True)
            yield

    def _found_names(self) -> list[str]:
        """Return the names of the checkpoints of which there are files, the newest last."""
        folder = Path(self.path)
        files = [*folder.glob("*.index"), *folder.glob("*.data-*-of-*")]
        return [path.name for path in sorted({path.with_suffix("") for path in files}, key=_age)]

    def _listed_names(self) -> list[str] | None:
        """Return what the file ``checkpoint`` names, None where it is of no use."""
        try:
            text = Path(self.path, "checkpoint").read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        return re.findall(r'^all_model_checkpoint_paths: "(.*)"$', text, re.MULTILINE)

    def _write_list(self, names: Sequence[str]) -> None:
        """Write the file by which TensorFlow knows the checkpoints, the newest last."""
        target = Path(self.path, "checkpoint")
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


def _age(path: Path) -> tuple[int, float]:
    """Return what checkpoints are sorted by: their number, and the time for those without."""
    index = Path(f"{path}.index")
    return _number(path.name), index.stat().st_mtime if index.exists() else 0.0


def _number(path: str) -> int:
    digits = path.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0
