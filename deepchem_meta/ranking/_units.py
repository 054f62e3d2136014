"""Units of concentrations, and how they are written."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["UNITS", "plain", "spelled"]

#: Concentrations in mol/L.
UNITS = {"M": 1.0, "mM": 1e-3, "uM": 1e-6, "nM": 1e-9, "pM": 1e-12, "fM": 1e-15}
_LETTERS = {"milli": "m", "micro": "u", "nano": "n", "pico": "p", "femto": "f"}
_MOLES = re.compile(r"([munpf]?)mol ?(?:/ ?l|l-1)")
_WORD = re.compile(r"(milli|micro|nano|pico|femto|)[ -]?molar")


def plain(text: str) -> str:
    """Return a text with u for either mu, and - for any minus."""
    text = unicodedata.normalize("NFKC", text.replace("\u00b5", "u"))
    return re.sub("[\u2212\u2013\u2010\u2011]", "-", text.replace("\u03bc", "u"))


def spelled(text: str) -> str | None:
    """Return the key of `UNITS` that a text means, or None.

    Letters are compared as they are, then without their case; "mm" and "m" are no units.
    """
    text = plain(text)
    if text in UNITS:
        return text
    low = text.casefold()
    moles, word = _MOLES.fullmatch(low), _WORD.fullmatch(low)
    if moles:
        return f"{moles[1]}M"
    if word:
        return f"{_LETTERS.get(word[1], '')}M"
    return f"{low[0]}M" if low in ("um", "nm", "pm", "fm") else None
