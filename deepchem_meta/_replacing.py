"""Writes files beside those that they replace, all at once."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = ["replacing"]


@contextlib.contextmanager
def replacing(*paths: Path) -> Iterator[list[Path]]:
    """Give an empty file to write for each path, which takes its place after the block.

    Until then the files that are there are left as they are, and after an exception for good. All
    are replaced when the last one is on the disk, and keep their permissions. The files to write
    have names of their own, in the same folders. A link is followed: the file that it leads to is
    replaced.

    Parameters
    ----------
    *paths : Path

    Raises
    ------
    OSError
        If there is no such folder, or it cannot be written to. It names the path.
    """
    targets = [Path(os.path.realpath(path)) for path in paths]
    parts = [target.with_name(f".{uuid.uuid4().hex}.tmp") for target in targets]
    try:
        for path, target, part in zip(paths, targets, parts, strict=True):
            _create(path, target, part)
        yield parts
        for part in parts:
            with part.open("r+b") as file:
                os.fsync(file.fileno())
        for part, target in zip(parts, targets, strict=True):
            if target.exists():
                shutil.copymode(target, part)
            part.replace(target)
    finally:
        for part in parts:
            with contextlib.suppress(OSError):
                part.unlink()


def _create(path: Path, target: Path, part: Path) -> None:
    """Make an empty file, and raise OSError if it could not replace another later."""
    try:
        with contextlib.suppress(FileNotFoundError):
            target.stat()  # raises where the name is too long
        part.open("xb").close()
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error
