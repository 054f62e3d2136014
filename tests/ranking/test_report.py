from html.parser import HTMLParser

import pytest
from molecules_small import ACIDS, ALCOHOLS, AMINES, write

pytest.importorskip("rdkit")

from deepchem_meta.pretrained import AssayEncoder
from deepchem_meta.pretrained.encoder import make_net
from deepchem_meta.ranking import rank
from deepchem_meta.tasks import MorganCounts

VOID = ("meta", "br", "path", "rect", "use", "ellipse", "line")


class Checked(HTMLParser):
    """Raises unless tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.pictures = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.pictures += tag == "svg"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("values", [False, True])
def test_the_page_says_what_to_expect_first(values, tmp_path):
    half = {"roc_auc": [0.61, 0.7, 0.79]}
    measure = (
        {"spearman": [0.2, 0.35, 0.5]}
        if values
        else {"average_precision_over_chance": [0.1, 0.2, 0.3]}
    )
    curve = {"tested": [0, 0.5, 1], "found": [[0, 0.5, 1], [0, 0.7, 1], [0, 0.9, 1]]}
    kind = "regression" if values else "classification"
    about = {"held_out": {kind: {"16": {**half, **measure, "enrichment": curve}}}}
    encoder = AssayEncoder(MorganCounts(), [make_net(2048, (8,), 0.0)], about)
    known = [(s, 6.5 + n / 10 if values else 1) for n, s in enumerate(ALCOHOLS[:6])]
    known += [(s, 5 + n / 10 if values else 0) for n, s in enumerate(AMINES[:6])]
    known += [("C1CC", 1)]
    support = write(tmp_path / "ten.csv", "smiles,pIC50" if values else "smiles,active", known)
    library = [(f"<b>{n}</b>", s) for n, s in enumerate(ACIDS + ALCOHOLS[5:] + ["C1CC"])]
    candidates = write(tmp_path / "library.csv", "name,smiles", library)
    path = tmp_path / "page.html"
    ranking = rank(support, candidates, tmp_path / "a.csv", report=path, encoder=encoder)
    text = path.read_text()
    page = Checked()
    page.feed(text)
    assert page.open == [] and ranking.report == path
    words = " ".join(page.text)
    assert "with 16 measured compounds: ROC-AUC 0.70 (half of the assays: 0.61 to 0.79)" in words
    assert ("correlation of ranks 0.35" in words) == values
    assert words.index("What to expect") < words.index("The best 24 of 28 candidates")
    assert page.pictures == 24 + 12 + 1  # candidates, measured compounds and the curve
    assert "<b>0</b>" not in text and "&lt;b&gt;" in text
    assert "Rows that could not be read" in words and "http://" not in text.replace(
        "http://www.w3.org", ""
    ).replace("http://www.rdkit.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons", ""
    )
