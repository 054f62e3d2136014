"""What names of columns say."""

import pytest

from deepchem_meta.ranking._result_names import (
    are_labels,
    are_results,
    begins_with_result,
    read_name,
)


@pytest.mark.parametrize(
    ("name", "kind", "units"),
    [
        *(("IC50", "concentration", ()), ("hERGIC50", "concentration", ())),
        *(("IC 50 nM", "concentration", ("nM",)), ("IC50 2 (nM)", "concentration", ("nM",))),
        *(("K_i", "concentration", ()), ("Kd1", "concentration", ()), ("KDR", None, ())),
        *(("MIC (ug/mL)", "concentration", ("ug/mL",)), ("microsomes", None, ())),
        *(("pKa", None, ()), ("logP", None, ()), ("M", None, ()), ("activity", None, ())),
        *(("pChEMBL Value", "logarithm", ()), ("hERGpIC50", "logarithm", ())),
        *(("log(1/IC50)", "logarithm", ()), ("neg_log_IC50", "logarithm", ())),
        *(("\u2212log10(Kd)", "logarithm", ()), ("KDR pIC50", "logarithm", ())),
        *(("topIC50", "concentration", ()), ("Hit rate (%)", "percent", ())),
        *(("Inhibition @10uM", "percent", ()), ("IC50 inhibition (nM)", "concentration", ("nM",))),
    ],
)
def test_kinds_and_units(name, kind, units):
    says = read_name(name)
    assert (says.kind, says.units, says.doubt) == (kind, units, "")


@pytest.mark.parametrize("name", ["logIC50", "IC50 - log", "ln Ki (nM)", "log IC50 nM avg"])
def test_rising_logarithms_are_in_doubt(name):
    assert "less is better" in read_name(name).doubt


def test_labels_and_results():
    assert are_labels("is_active") and are_labels("Outcome") and not are_labels("Hit rate (%)")
    assert are_results("Standard Value") and not begins_with_result("Standard Value")
    assert begins_with_result("activity (mean)") and begins_with_result("apparent Ki")
    assert not are_results("p-value") and not are_results("MW")
