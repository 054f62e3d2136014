"""Finds the pictures of a folder, and the classes that its subfolders are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deepchem_meta.tasks._arguments import listed

__all__ = ["FORMATS", "ImageFiles", "find_images"]

#: How the names of pictures end, in small or capital letters, as Keras has it.
FORMATS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


class ImageFiles(NamedTuple):
    """The pictures of a folder.

    Attributes
    ----------
    root : Path
        The folder.
    class_names : list of str
        The classes: their folders relative to `root`, with "/" between parts, in sorted order.
    paths : list of str
        The pictures of the first class, then of the second, and so on, each class' sorted;
        relative to `root`, with "/" between parts.
    labels : int64 array of shape (pictures,)
        The place of each picture's class.
    stamps : list of tuple of int
        The size in bytes and the time of the last change, in nanoseconds, of each file.
    """

    root: Path
    class_names: list[str]
    paths: list[str]
    labels: np.ndarray
    stamps: list[tuple[int, int]]


class _Folder(NamedTuple):
    name: str  # relative to the root
    files: list[os.DirEntry]  # pictures
    folders: list[os.DirEntry]


def find_images(root: Any, skip: Path | None = None) -> ImageFiles:
    """Find the pictures of a folder whose subfolders are the classes.

    Files and folders whose names begin with a dot do not count, nor do pictures that lie beside
    the classes' folders, or files that are no pictures.

    Parameters
    ----------
    root : str or path
        The folder.
    skip : Path, optional
        A folder in it that does not count.

    Returns
    -------
    ImageFiles

    Raises
    ------
    ValueError
        If it is no folder or has no classes, a subfolder is empty, or has pictures and subfolders.
    """
    root = Path(root)
    if not root.is_dir():
        raise ValueError(f"`path` must be a folder. Received: path={str(root)!r}")
    top, *folders = _walk(root, "", (), skip)
    if not folders:
        raise ValueError(
            "`path` must have a folder for each class, with pictures in it. "
            f"Received: {str(root)!r} without folders, with {len(top.files)} pictures"
        )
    empty = [folder.name for folder in folders if not folder.files and not folder.folders]
    if empty:
        raise ValueError(
            f"Each folder below `path` must have pictures, whose names end in {', '.join(FORMATS)},"
            f" or folders. Received: {len(empty)} of {len(folders)} in {str(root)!r} that have "
            f"none: {listed(sorted(empty))}"
        )
    mixed = [folder.name for folder in folders if folder.files and folder.folders]
    if mixed:
        raise ValueError(
            "A folder below `path` must have either pictures, which makes it a class, or folders. "
            f"Received: {len(mixed)} in {str(root)!r} with both: {listed(sorted(mixed))}"
        )
    return _in_order(root, [folder for folder in folders if folder.files])


def _walk(path: Path, name: str, above: tuple[Path, ...], skip: Path | None) -> Iterator[_Folder]:
    """Yield a folder and all those below it."""
    real = path.resolve()
    if real in above:
        raise ValueError(
            f"A folder below `path` must not lie in itself. Received: {name!r}, a link to {real}"
        )
    with os.scandir(path) as entries:
        entries = [entry for entry in entries if not entry.name.startswith(".")]
    folders = [e for e in entries if e.is_dir() and (skip is None or Path(e).resolve() != skip)]
    files = [e for e in entries if e.name.lower().endswith(FORMATS) and e.is_file()]
    yield _Folder(name, files, folders)
    for folder in folders:
        inner = f"{name}/{folder.name}" if name else folder.name
        yield from _walk(path / folder.name, inner, (*above, real), skip)


def _in_order(root: Path, classes: list[_Folder]) -> ImageFiles:
    classes = sorted(classes, key=lambda folder: folder.name)
    files = [(c.name, e) for c in classes for e in sorted(c.files, key=lambda entry: entry.name)]
    sizes = [len(c.files) for c in classes]
    stats = [entry.stat() for _, entry in files]
    return ImageFiles(
        root=root,
        class_names=[c.name for c in classes],
        paths=[f"{name}/{entry.name}" for name, entry in files],
        labels=np.repeat(np.arange(len(classes)), sizes),
        stamps=[(stat.st_size, stat.st_mtime_ns) for stat in stats],
    )
