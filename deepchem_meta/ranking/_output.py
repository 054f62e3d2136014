"""Writes the ranked candidates, of which only the scores are kept in memory."""

from __future__ import annotations

import csv
import itertools
import json
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["RankedRows"]


class RankedRows:
    """Rows that come in the order of the library and are written in that of rank.

    Parameters
    ----------
    folder : Path
        Where the rows wait, in a temporary file. Use it in a ``with`` block, which removes that
        file.
    """

    def __init__(self, folder: Path):
        self._waiting = tempfile.TemporaryFile("w+b", dir=folder)  # noqa: SIM115
        self._starts = array("q")
        self._scores = array("d")

    def __enter__(self) -> RankedRows:
        return self

    def __exit__(self, *error: Any) -> None:
        self._waiting.close()

    def __len__(self) -> int:
        return len(self._scores)

    @property
    def scores(self) -> np.ndarray:
        """The score of each row; NaN of those that could not be read."""
        return np.array(self._scores)

    def add(self, cells: Sequence[str], score: float) -> None:
        """Take a row, without its rank."""
        self._starts.append(self._waiting.tell())
        self._scores.append(score)
        self._waiting.write(json.dumps(list(cells)).encode() + b"\n")

    def order(self) -> np.ndarray:
        """Return the places of the rows from the best to the worst; those without a score last."""
        return np.argsort(-self.scores, kind="stable")  # NaN is sorted to the end

    def rows(self, places: Sequence[int]) -> Iterator[list[str]]:
        """Yield rows by their places."""
        for place in places:
            self._waiting.seek(self._starts[place])
            yield json.loads(self._waiting.readline())

    def write(self, path: Path, columns: Sequence[str], order: str) -> None:
        """Write all rows to a file, after the names of columns, with their rank as last cell.

        Parameters
        ----------
        path : Path
        columns : list of str
            The last one is the rank's.
        order : {"rank", "library"}
        """
        best = self.order()
        rank = np.empty(len(best), np.int64)
        rank[best] = np.arange(1, len(best) + 1)
        unknown = np.isnan(self.scores)
        places = best if order == "rank" else range(len(best))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for place, row in zip(places, self.rows(places), strict=True):
                writer.writerow([*row, "" if unknown[place] else rank[place]])

    def best(self, count: int) -> list[list[str]]:
        """Return the rows of the best candidates."""
        known = (place for place in self.order() if not np.isnan(self._scores[place]))
        return list(self.rows(list(itertools.islice(known, count))))
