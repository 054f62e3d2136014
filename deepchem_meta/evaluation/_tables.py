"""Tables as text that fits a screen, and as HTML for notebooks."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence

__all__ = ["WIDTH", "html_table", "text_table", "wrapped"]

WIDTH = 80
"""The most characters of a line."""


def text_table(rows: Sequence[Sequence[str]], left: bool = False) -> str:
    """Return a table as text; columns that do not fit a line follow in further blocks.

    Parameters
    ----------
    rows : list of list of str
        The first row is the header. The first column stands in every block.
    left : bool, default False
        Whether the first column is aligned to the left.
    """
    columns = [list(column) for column in zip(*rows, strict=True)]
    first, others = columns[0], columns[1:]
    width = min(max(map(len, first)), WIDTH // 2)
    first = [cell if len(cell) <= width else cell[: width - 1] + "…" for cell in first]
    blocks: list[list[list[str]]] = []
    room = 0
    for column in others:
        needed = max(map(len, column)) + 2
        if not blocks or needed > room:
            blocks.append([])
            room = WIDTH - width
        blocks[-1].append(column)
        room -= needed
    return "\n\n".join(_block(first, width, block, left) for block in blocks or [[]])


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


def _block(first: Sequence[str], width: int, columns: Sequence[Sequence[str]], left: bool) -> str:
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for name, *cells in zip(first, *columns, strict=True):
        start = name.ljust(width) if left else name.rjust(width)
        rest = (cell.rjust(size) for cell, size in zip(cells, widths, strict=True))
        lines.append("  ".join([start, *rest]).rstrip())
    return "\n".join(lines)
