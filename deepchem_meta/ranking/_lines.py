"""Reads the lines and rows of a text file that may be larger than the memory."""

from __future__ import annotations

import contextlib
import csv
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from deepchem_meta.tasks._text_tables import DAMAGED, MARKS, damaged, recognise, wrong_row

__all__ = ["read_lines", "read_rows"]


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each line of a text file after its number.

    Parameters
    ----------
    path : Path
        A file in UTF-8, or the UTF-16 that a byte order mark says, gzipped if its name ends in .gz.

    Raises
    ------
    ValueError
        If it is no such text, or a damaged gzip file.
    """
    with _text(path) as file:
        yield from enumerate(file, 1)


def read_rows(
    path: Path, column: str, blank: Callable[[int], Any]
) -> Iterator[tuple[int, list[str]]]:
    """Yield each row of a CSV file that is not blank after the line on which it begins.

    Parameters
    ----------
    path : Path
        As in `read_lines`.
    column : str
        The name of one of the columns, which tells delimiters apart, as in `read_cells`.
    blank : callable
        Is called with the number of rows of blank cells before each row after the first.

    Raises
    ------
    ValueError
        As `read_lines` does, and with the line of a row that csv cannot read.
    """
    with _text(path) as file:
        start = next((text for text in file if text.strip()), "")
        delimiter = recognise(start, column)
        file.seek(0)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        line, waiting, first = 1, 0, True
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    blank(0 if first else waiting)
                    yield line, row
                    waiting, first = 0, False
                else:
                    waiting += 1
                line = reader.line_num + 1
        except csv.Error as error:
            raise wrong_row(path, line, error) from error


@contextlib.contextmanager
def _text(path: Path) -> Iterator[IO[str]]:
    """Open a text file, and say what is wrong with one that is none."""
    opener = gzip.open if path.suffix.casefold() == ".gz" else open
    try:
        encoding = _encoding(path, opener)
        with opener(path, "rt", encoding=encoding, newline="") as file:
            yield file
    except DAMAGED as error:
        raise damaged(path, error) from error
    except UnicodeError as error:
        raise _no_text(path, _undecoded(path, opener, error)) from error


def _encoding(path: Path, opener: Callable[..., Any]) -> str:
    """Return the encoding that the first bytes of a file show."""
    with opener(path, "rb") as file:
        start = file.read(1000)
    mark = next((name for mark, name in MARKS.items() if start.startswith(mark)), "utf-8")
    if mark != "utf-8":
        return "utf-16"
    if b"\0" in start:
        raise _no_text(path, "NUL bytes")
    return "utf-8-sig"


def _no_text(path: Path, received: str) -> ValueError:
    return ValueError(
        f"{path} must be text in the encoding UTF-8, or in UTF-16 with a byte order mark. "
        f"Received: {received}"
    )


def _undecoded(path: Path, opener: Callable[..., Any], error: UnicodeError) -> str:
    """Return where a file is not in UTF-8, or what the codec says."""
    with opener(path, "rb") as file:
        for line, data in enumerate(file, 1):
            try:
                data.decode("utf-8-sig")
            except UnicodeDecodeError as found:
                return f"the byte 0x{data[found.start]:02x} on line {line}"
    return str(error)
