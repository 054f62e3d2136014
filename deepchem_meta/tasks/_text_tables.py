"""Reads the cells of a delimited text file, and remembers on which line each row stands."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from deepchem_meta.tasks._arguments import listed

__all__ = [
    *("DAMAGED", "MARKS"),
    *("Cells", "check_columns", "check_delimiter", "check_encoding", "damaged", "read_cells"),
    *("recognise", "wrong_row"),
]

_DELIMITERS = (",", ";", "\t")
#: What a gzipped file raises that is damaged, or none.
DAMAGED = (gzip.BadGzipFile, EOFError, zlib.error)
MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


class Cells(NamedTuple):
    """What a delimited text file holds.

    Attributes
    ----------
    columns : list of str
        The names of the columns, without surrounding blanks. A column without a name has ``""``.
    rows : list of list of str
        The cells of each row, as many as there are columns.
    lines : list of int
        The line of the file on which each row begins; the first line is 1.
    """

    columns: list[str]
    rows: list[list[str]]
    lines: list[int]


def read_cells(path: Path, column: str, encoding: str | None, delimiter: str | None) -> Cells:
    """Read a delimited text file whose first line names the columns.

    Parameters
    ----------
    path : Path
        The file, gzipped if its name ends in .gz.
    column : str
        The name of one of the columns, which tells delimiters apart.
    encoding : str or None
        The encoding. With None it is UTF-8, or the UTF-16 that a byte order mark says.
    delimiter : str or None
        What stands between two cells. With None it is the comma, semicolon or tab by which
        `column` is a column of its own, or which makes the most columns.

    Returns
    -------
    Cells
        Lines of nothing but blank cells are left out.

    Raises
    ------
    ValueError
        If the file is no text in this encoding or a damaged gzip file, a name occurs twice, a row
        has more or fewer cells than there are columns, or quotes are not closed.
    """
    text = _decode(path, _read(path), encoding)
    records = _records(path, text, delimiter or recognise(text, column))
    columns = [name.strip() for name in next(records, (1, []))[1]]
    check_columns(path, columns)
    cells = Cells(columns, [], [])
    for line, row in records:
        if len(row) != len(columns):
            raise ValueError(
                f"{path}, line {line}: a line must have {len(columns)} cells, as the first has. "
                f"Received: {len(row)}"
            )
        cells.rows.append(row)
        cells.lines.append(line)
    return cells


def check_columns(path: Path, columns: Sequence[str]) -> None:
    """Raise ValueError if two columns have the same name."""
    twice = [name for name, count in Counter(columns).items() if name and count > 1]
    if twice:
        raise ValueError(
            f"{path}: no two columns may have the same name. "
            f"Received: more than one column named {listed(map(repr, twice))}"
        )


def check_encoding(encoding: str | None) -> str | None:
    """Return Python's name of an encoding of text, or None for None."""
    if encoding is None:
        return None
    message = (
        '`encoding` must be the name of a text encoding, such as "utf-8" or "cp1252". '
        f"Received: encoding={encoding!r}"
    )
    if not isinstance(encoding, str):
        raise TypeError(message)
    try:
        " ".encode(encoding)  # an empty text would be encoded without looking
    except (LookupError, UnicodeError) as error:
        raise ValueError(message) from error
    return codecs.lookup(encoding).name


def check_delimiter(delimiter: str | None) -> str | None:
    """Return `delimiter` if it is None or a character that can stand between two cells."""
    if delimiter is None:
        return None
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        error = ValueError if isinstance(delimiter, str) else TypeError
        raise error(
            '`delimiter` must be one character, such as ";", and no quote or end of line. '
            f"Received: delimiter={delimiter!r}"
        )
    return delimiter


def _read(path: Path) -> bytes:
    """Return the bytes of a file, which is gzipped if its name ends in .gz."""
    opener = gzip.open if path.suffix.casefold() == ".gz" else open
    try:
        with opener(path, "rb") as file:
            return file.read()
    except DAMAGED as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> ValueError:
    """Return the error of a gzipped file that cannot be unpacked."""
    return ValueError(
        f"{path} must be a gzipped file that is whole, since its name ends in .gz. "
        f"Received: {error}"
    )


def _decode(path: Path, data: bytes, encoding: str | None) -> str:
    """Return the text of a file, without its byte order mark."""
    marked = next((name for mark, name in MARKS.items() if data.startswith(mark)), None)
    name = encoding or marked or "utf-8"
    if name == "utf-8" and b"\0" in data:
        raise ValueError(_no_text(path, name))
    try:
        text = data.decode(name)
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(name, "replace")
        line = 1 + max(before.count("\n"), before.count("\r"))
        raise ValueError(
            f"{path} must be text in the encoding {name!r}; `encoding` names another, such as "
            f'encoding="cp1252" for files of older Windows programs. Received: the byte '
            f"0x{error.object[error.start]:02x} on line {line}"
        ) from error
    if "\0" in text:
        raise ValueError(_no_text(path, name))
    return text.removeprefix("\ufeff")


def _no_text(path: Path, name: str) -> str:
    return (
        f"{path} must be a text file. Received: NUL bytes, read in the encoding {name!r}. UTF-16 "
        'without a byte order mark needs encoding="utf-16-le" or "utf-16-be"; save a workbook as '
        "CSV"
    )


def recognise(text: str, column: str) -> str:
    """Return the delimiter that the first line of the text has."""
    first = re.search(r"[^\r\n]+", text)
    line = [first[0][: csv.field_size_limit()]] if first else []

    def fitness(delimiter: str) -> tuple[bool, int]:
        names = [name.strip() for name in next(csv.reader(line, delimiter=delimiter), [])]
        return column in names, len(names)

    return max(_DELIMITERS, key=fitness)


def _records(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each row that is not blank, after the line on which it begins."""
    # Without strict=True a quote that nobody closes takes in the rest of the file in silence.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise wrong_row(path, line, error) from error


def wrong_row(path: Path, line: int, error: csv.Error) -> ValueError:
    """Return the error of a row that csv cannot read."""
    rule = "quotes round a cell must be closed, and a quote inside be written twice"
    if "field limit" in str(error):
        rule = f"a cell must have at most {csv.field_size_limit():,} characters"
    return ValueError(f"{path}, line {line}: {rule}. Received: a row that csv cannot read: {error}")
