"""What the name of a column says of the results in it."""

from __future__ import annotations

import re
from typing import NamedTuple

from deepchem_meta.ranking._units import plain, spelled

__all__ = ["NameSays", "are_labels", "are_results", "begins_with_result", "read_name", "words_of"]

_LABELS = {"active", "inactive", "actives", "label", "labels", "class", "outcome", "hit", "hits"}
_RESULTS = _LABELS | {
    *("activity", "activities", "result", "results", "value", "values", "potency", "affinity"),
    *("efficacy", "response"),
}
_FIRST = _LABELS | {"activity", "result", "value"}

_KINDS = "(?:ic|ec|gi|ac|cc|ld|lc|ed|tc|sc|xc)"
_FIFTY = rf"(?i:{_KINDS}[59]0)"
_AT_WORD = rf"(?i:{_KINDS}[ _-]?[59]0|k[ _-]?[id]|mic|mbc)"
_CONCENTRATION = re.compile(
    rf"{_FIFTY}|(?<![A-Za-z]){_AT_WORD}(?![A-Za-z])"
    r"|(?<![A-Za-z])(?i:conc(?:entrations?)?)(?![A-Za-z])"
)
_MEASURES = re.compile(r"(?<![A-Za-z])(?i:potency|activity|affinity)(?![A-Za-z])")
_P = re.compile(
    rf"(?<![A-Za-z])[pP][ _-]?{_AT_WORD}(?![A-Za-z])|(?<![a-z])[pP]{_FIFTY}"
    r"|(?<![A-Za-z])(?i:p(?:chembl|activity|potency|affinity))(?![A-Za-z])"
)
_MINUS_LOG = re.compile(
    r"(?i:(?:^\s*-\s*|[\s(\[,_]-|(?<![a-z])(?:minus|neg|negative)[ _-]*)\(?log"
    r"|log(?:10)?[\s_]*\(?\s*1\s*/)"
)
_LOG = re.compile(r"(?<![A-Za-z])(?i:log|ln(?![a-z]))")
_PERCENT = re.compile(r"%|(?<![A-Za-z])(?i:percent(?:age)?|pct)(?![A-Za-z])")
_INHIBITION = re.compile(r"(?<![A-Za-z])(?i:inhibition|inhib|inh)(?![A-Za-z])")
_UNIT = re.compile(
    r"(?P<number>(?<![A-Za-z0-9.])[0-9]+(?:\.[0-9]+)?[\s_-]*)?(?:(?<![A-Za-z0-9])|(?<=[0-9]))"
    r"(?P<unit>(?i:[munpf]?mol ?(?:/ ?l|l-1)|(?:milli|micro|nano|pico|femto|)[ -]?molar"
    r"|[munp]?g ?/ ?[mud]?l|mg ?/ ?kg)|[munpf]M|[munpf]m|NM|UM|M)(?![A-Za-z0-9])"
)
_LENGTHS = ("mm", "um", "nm", "pm", "fm", "NM", "UM", "M")  # or lengths, or an initial


class NameSays(NamedTuple):
    """What a name says.

    Attributes
    ----------
    kind : {"concentration", "logarithm", "percent"} or None
        Logarithms are negative ones of concentrations.
    units : tuple of str
        Those of concentrations, as they are written.
    doubt : str
        Why the column cannot be taken under this name, or ``""``.
    """

    kind: str | None
    units: tuple[str, ...] = ()
    doubt: str = ""


def read_name(name: str) -> NameSays:
    """Return what the name of a column says of its cells."""
    text = plain(name)
    concentration = _CONCENTRATION.search(text)
    rest = _CONCENTRATION.sub(" ", text)
    found = [match for match in _UNIT.finditer(rest) if not match["number"]]
    sure = bool(concentration or _MEASURES.search(text))
    units = tuple(match["unit"] for match in found if sure or match["unit"] not in _LENGTHS)
    if _P.search(text) or (_MINUS_LOG.search(text) and (concentration or found)):
        return _logarithm(units)
    if _LOG.search(text) and (concentration or units):
        return NameSays(None, (), _doubt("logarithms of concentrations, of which less is better"))
    at_some = _UNIT.search(rest) and not found
    if _PERCENT.search(text) or (not concentration and (at_some or _INHIBITION.search(text))):
        both = _doubt(f"both a percentage and the unit {units[0]}") if units else ""
        return NameSays("percent", (), both)
    if concentration or units:
        return NameSays("concentration", units)
    if found and found[0]["unit"] not in ("M", "mm"):
        return NameSays(None, (), _doubt(f"{found[0]['unit']}, which may be a concentration"))
    return NameSays(None)


def are_labels(name: str) -> bool:
    """Return whether a name says that the column holds labels."""
    return read_name(name) == NameSays(None) and bool(_LABELS & words_of(name))


def are_results(name: str) -> bool:
    """Return whether a name says anywhere that the column holds results."""
    words = words_of(name)
    # Of a p-value less is better.
    return read_name(name) != NameSays(None) or (bool(_RESULTS & words) and "p" not in words)


def begins_with_result(name: str) -> bool:
    """Return whether a name begins with a word for results, or names a measure of potency."""
    first = re.match("[a-z]*", plain(name).strip().casefold())[0]
    return read_name(name) != NameSays(None) or first in _FIRST


def words_of(name: str) -> set[str]:
    """Return the words of a name, in small letters."""
    parted = re.sub("(?<=[a-z])(?=[A-Z])", " ", plain(name))
    return set(re.findall("[a-z0-9]+", parted.casefold()))


def _logarithm(units: tuple[str, ...]) -> NameSays:
    """Return what a name of negative logarithms says."""
    other = [unit for unit in units if spelled(unit) != "M"]
    doubt = _doubt(f"both negative logarithms and the unit {other[0]}") if other else ""
    return NameSays("logarithm", (), doubt)


def _doubt(what: str) -> str:
    return (
        'must say what it holds: "IC50 (nM)" for concentrations, "pIC50" for their negative '
        f'logarithms, "% inhibition" for percentages. Received: a name that says {what}'
    )
