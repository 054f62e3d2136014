"""Refuses files that are not read, and says which are."""

from __future__ import annotations

from pathlib import Path

__all__ = ["check_file", "check_format", "kind_of"]

_OTHERS = {
    **dict.fromkeys((".sdf", ".sd", ".mol", ".mol2", ".mae", ".pdb"), "RDKit converts it to CSV"),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save it as CSV"),
    **dict.fromkeys((".parquet", ".json", ".jsonl"), "pandas converts it to CSV"),
    **dict.fromkeys((".zip", ".bz2", ".xz", ".7z"), "unpack it"),
}
_NAMES = (".smi", ".smiles", ".ism")


def kind_of(path: Path) -> str:
    """Return the suffix of a file in small letters, without the .gz of a gzipped one."""
    parts = [part.casefold() for part in path.suffixes]
    return parts[-2] if parts[-1:] == [".gz"] and len(parts) > 1 else "".join(parts[-1:])


def check_format(path: Path, *, names: bool) -> None:
    """Raise ValueError if a file's name says that it cannot be read.

    Parameters
    ----------
    path : Path
    names : bool
        Whether a .smi file is read: it has SMILES and names, and no results.
    """
    kind = kind_of(path)
    if kind not in _OTHERS and (names or kind not in _NAMES):
        return
    accepted = "a CSV file, or a .smi file of SMILES and names" if names else "a CSV file"
    how = _OTHERS.get(kind, "it has no results")
    raise ValueError(f"{path} must be {accepted}, gzipped or not. Received: {kind}; {how}")


def check_file(path: Path) -> None:
    """Raise ValueError if something is no file, such as a pipe."""
    if path.exists() and not path.is_file():
        raise ValueError(
            f"{path} must be a file, since it is read more than once. "
            f"Received: {'a folder' if path.is_dir() else 'a pipe or a device'}"
        )
