"""The tables of docs/checks.md are those that the tests go through."""

import re
from pathlib import Path

from awkward import ENTRIES, REFUSED, UNDERSTOOD

PAGE = Path(__file__).parents[1] / "docs" / "checks.md"


def rows(heading):
    """Return the cells of the first table below a heading, without its head."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_refused_input_has_a_row_and_no_other():
    assert [row[0] for row in rows("What is refused")] == [case.what for case in REFUSED]


def test_every_form_that_is_understood_has_a_row_and_no_other():
    assert [row[0] for row in rows("What is understood")] == list(UNDERSTOOD)


def test_every_entry_point_has_a_row_and_no_other():
    table = rows("Where batches come in")
    listed = {
        (re.sub("`", "", name), place)
        for name, *cells in table
        for place, cell in zip(("support", "query"), cells, strict=True)
        if cell
    }
    assert listed == set(ENTRIES)
