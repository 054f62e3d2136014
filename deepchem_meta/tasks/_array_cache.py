"""Keeps an array that takes long to compute in a file, which is mapped into memory."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["check_cache", "kept", "mapped"]

_CHUNK = 2**20  # bytes read at once
_CHECKSUM = 4  # bytes at the end of a file, which np.load passes over


def check_cache(cache: Any) -> Path | None:
    """Return the folder of a cache, or None for None."""
    if cache is not None and not isinstance(cache, (str, os.PathLike)):
        raise TypeError(f"`cache` must be a folder. Received: cache={cache!r}")
    return None if cache is None else Path(cache)


def mapped(
    folder: Path,
    name: str,
    key: Any,
    shape: tuple[int, ...],
    fill: Callable[[np.ndarray], None],
    dtype: Any = np.uint8,
) -> np.memmap:
    """Return an array from a file, which is made if it is not there or damaged.

    Parameters
    ----------
    folder : Path
        Where the file is. It is made if need be.
    name : str
        How the file's name begins.
    key : lists, dicts, strings and numbers
        What the content depends on. Another key is another file.
    shape : tuple of int
    fill : callable
        Writes the content into an array of this shape.
    dtype : numpy dtype, default uint8
        That of the array.

    Returns
    -------
    memory map of this shape, read-only

    Notes
    -----
    The array is written to a temporary file beside it, which then gets its name in one step. So
    nobody ever reads half a file, and of two processes that write, the later one wins. A checksum
    at its end tells whether the file is whole.
    """
    path = _path(folder, name, [key, shape])
    if not _is_whole(path):
        _write(path, shape, fill, dtype)
    return np.load(path, mmap_mode="r")


def kept(folder: Path, name: str, key: Any, make: Callable[[], np.ndarray]) -> np.memmap:
    """Return an array whose shape is known once it is made, from a file as `mapped` does.

    Parameters
    ----------
    folder, name, key
        As in `mapped`.
    make : callable
        Returns the array.
    """
    path = _path(folder, name, key)
    if not _is_whole(path):
        array = make()

        def fill(out: np.ndarray) -> None:
            out[...] = array

        _write(path, array.shape, fill, array.dtype)
    return np.load(path, mmap_mode="r")


def _path(folder: Path, name: str, key: Any) -> Path:
    """Return where the content of a key is kept, in a folder that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(key, sort_keys=True)
    return folder / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:20]}.npy"


def _is_whole(path: Path) -> bool:
    """Return whether a file is there and ends in its checksum."""
    if not path.is_file() or path.stat().st_size <= _CHECKSUM:
        return False
    with path.open("rb") as file:
        return _checksum(file, path.stat().st_size - _CHECKSUM) == file.read(_CHECKSUM)


def _write(
    path: Path, shape: tuple[int, ...], fill: Callable[[np.ndarray], None], dtype: Any
) -> None:
    part = path.with_name(f"{path.stem}-{uuid.uuid4().hex}.tmp")
    try:
        array = np.lib.format.open_memmap(part, "w+", np.dtype(dtype), shape)
        fill(array)
        array.flush()
        del array  # where a mapped file cannot be renamed
        with part.open("r+b") as file:
            file.write(_checksum(file, part.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _checksum(file: Any, size: int) -> bytes:
    """Return the checksum of the next `size` bytes of a file."""
    checksum = 0
    while size:
        data = file.read(min(size, _CHUNK))
        if not data:
            break
        checksum, size = zlib.crc32(data, checksum), size - len(data)
    return checksum.to_bytes(_CHECKSUM, "little")
