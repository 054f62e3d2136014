"""Units of concentrations."""

import pytest

from deepchem_meta.ranking._units import plain, spelled


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        *(("nM", "nM"), ("NM", "nM"), ("nm", "nM"), ("mM", "mM"), ("M", "M")),
        *(("\u00b5M", "uM"), ("\u03bcM", "uM"), ("um", "uM"), ("\u00b5mol/L", "uM")),
        *(("mol/l", "M"), ("nmol / L", "nM"), ("nmol L-1", "nM"), ("mmol/L", "mM")),
        *(("nanomolar", "nM"), ("Micromolar", "uM"), ("molar", "M"), ("milli-molar", "mM")),
        *(("mm", None), ("MM", None), ("m", None), ("ug/mL", None), ("nM/L", None), ("", None)),
    ],
)
def test_spellings(text, unit):
    assert spelled(text) == unit


def test_letters_that_look_alike():
    assert plain("\u2212log\u2081\u2080 \u00b5M") == plain("-log10 \u03bcM") == "-log10 uM"
