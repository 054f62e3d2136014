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

_LONGEST = 200  # of the 255 characters that a file's name may have with what is added to it


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
        paths = {Path(self.path, name) for name in (*self._listed_names(), *self._found_names())}
        return [str(path) for path in sorted(paths, key=_age, reverse=True)]

    def prepare(self) -> None:
        """See to it that a checkpoint can be saved: before training, not after it.

        The file ``checkpoint``, by which TensorFlow knows which checkpoints there are to delete,
        is written anew, with those that have a number: TensorFlow reads more ways to name files
        than it writes, and other files may be somebody else's.

        Raises
        ------
        ValueError
            If the folder cannot be written to.
        """
        try:
            os.makedirs(self.path, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
            self._write_list([name for name in self._found_names() if _number(name)])
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
                file = stack.enter_context(open(Path(self.path, ".lock"), "ab"))
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
        paths = sorted({path.with_suffix("") for path in files}, key=_age)
        return [path.name for path in paths if _is_plain(path.name)]

    def _listed_names(self) -> list[str]:
        """Return what the file ``checkpoint`` names, as far as it is of use."""
        path = Path(self.path, "checkpoint")
        try:
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
        except (FileNotFoundError, UnicodeDecodeError):
            return []
        names = re.findall(r'^all_model_checkpoint_paths: "(.*)"$', text, re.MULTILINE)
        return [name for name in names if _is_plain(name)]

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
        part.unlink(missing_ok=True)  # it may be a link
        part.write_text("\n".join([*lines, ""]), encoding="utf-8")
        part.replace(target)


def _age(path: Path) -> tuple[int, float]:
    """Return what checkpoints are sorted by: their number, and the time for those without."""
    index = Path(f"{path}.index")
    return _number(path.name), index.stat().st_mtime if index.exists() else 0.0


def _number(path: str) -> int:
    found = re.search(r"-([0-9]{1,18})$", path)
    return int(found[1]) if found else 0


def _is_plain(name: str) -> bool:
    """Whether a name is that of a file in the folder, and TensorFlow takes it as it stands.

    It takes some characters for a pattern of names, and reads, and deletes, what fits.
    """
    whole = name.isprintable() and bool(name.strip(".")) and len(name) <= _LONGEST
    return whole and not re.search(r'[/\\*?\["]', name)
