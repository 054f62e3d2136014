"""Words of messages: counts, and rows that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence

from deepchem_meta.tasks._molecule_tables import DroppedRow

__all__ = ["counted", "enumerated", "unreadable"]


def counted(count: int, one: str, several: str | None = None) -> str:
    """Return a count and what is counted.

    Parameters
    ----------
    count : int
    one : str
        What follows the number 1, such as "candidate" or "candidate has".
    several : str, optional
        What follows other numbers. By default `one` with an s.
    """
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def enumerated(parts: Sequence[object]) -> str:
    """Return "1", "1 and 2" or "1, 2 and 3"."""
    texts = [str(part) for part in parts]
    return " and ".join([*([", ".join(texts[:-1])] if texts[1:] else []), *texts[-1:]])


def unreadable(row: DroppedRow) -> str:
    """Return where a row stands and why it cannot be read."""
    if row.reason.startswith("the row"):
        return f"line {row.line}: {row.reason}"
    subject = repr(row.smiles) if row.smiles.strip() else "the SMILES"
    return f"line {row.line}: {subject} {row.reason}"
