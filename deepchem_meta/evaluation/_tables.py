"""Tables as text that fits a screen, and as HTML for notebooks."""

from __future__ import annotations

import html
import itertools
import textwrap
from collections.abc import Sequence
from typing import Any

__all__ = ["WIDTH", "html_table", "text_table", "wrapped"]

WIDTH = 80
"""The most characters of a line."""


def text_table(rows: Sequence[Sequence[str]], left: bool = False) -> str:
    """Return a table as text; columns that do not fit a line follow in further blocks.

    Nothing is cut: what is longer than half a line is broken into several.

    Parameters
    ----------
    rows : list of list of str
        The first row is the header. The first column stands in every block.
    left : bool, default False
        Whether the first column is aligned to the left.
    """
    columns = [[_lines(cell) for cell in column] for column in zip(*rows, strict=True)]
    first, others = columns[0], columns[1:]
    blocks: list[list[list[list[str]]]] = []
    room = 0
    for column in others:
        needed = _width(column) + 2
        if not blocks or needed > room:
            blocks.append([])
            room = WIDTH - _width(first)
        blocks[-1].append(column)
        room -= needed
    return "\n\n".join(_block(first, block, left) for block in blocks or [[]])


def wrapped(text: str) -> str:
    """Return a sentence in lines that fit a screen."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def html_table(rows: Sequence[Sequence[str]], caption: str) -> str:
    """Return a table as HTML, in the colours of the page that it stands in.

    Parameters
    ----------
    rows : list of list of str
        The first row is the header, the first column names the rows.
    caption : str
        What the figures are.
    """
    header, *body = ([html.escape(cell) for cell in row] for row in rows)
    lines = ["<table>", f"<caption>{html.escape(caption)}</caption>", "<thead><tr>"]
    lines += [f'<th scope="col">{cell}</th>' for cell in header]
    lines.append("</tr></thead>\n<tbody>")
    for name, *cells in body:
        numbers = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{name}</th>{numbers}</tr>')
    return "\n".join([*lines, "</tbody>", "</table>"])


def _lines(cell: str) -> list[str]:
    """Return a cell in lines of less than half of what fits a screen."""
    return textwrap.wrap(cell, WIDTH // 2 - 2) or [""]


def _width(column: Sequence[Sequence[str]]) -> int:
    return max(len(line) for lines in column for line in lines)


def _block(first: Sequence[Any], columns: Sequence[Any], left: bool) -> str:
    widths = [_width(column) for column in (first, *columns)]
    found = []
    for row in zip(first, *columns, strict=True):
        for name, *cells in itertools.zip_longest(*row, fillvalue=""):
            start = name.ljust(widths[0]) if left else name.rjust(widths[0])
            rest = (cell.rjust(size) for cell, size in zip(cells, widths[1:], strict=True))
            found.append("  ".join([start, *rest]).rstrip())
    return "\n".join(found)
