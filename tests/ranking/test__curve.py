"""The picture of enrichment."""

import xml.etree.ElementTree as ElementTree

import pytest

from deepchem_meta.ranking._curve import curve_of, labelled

CURVE = {"tested": [0, 0.5, 1], "found": [[0, 0.5, 1], [0, 0.7, 1], [0, 0.9, 1]]}


def test_the_picture_has_a_label():
    pytest.importorskip("matplotlib")
    text = curve_of({"shots": 16, "enrichment": CURVE})
    svg = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + len("</svg>")])
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "Actives found over candidates tested, in held-out assays"
    assert "with 16 measured compounds" in text


def test_without_figures():
    assert curve_of({}) == "<p>The encoder has no figures on held-out assays.</p>"


def test_labels_are_escaped():
    svg = labelled('<?xml version="1.0"?>\n<svg width="1"></svg>', 'a"<b>')
    assert ElementTree.fromstring(svg).attrib == {
        **{"role": "img", "aria-label": 'a"<b>', "width": "1"},
    }
