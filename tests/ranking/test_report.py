import re
from html.parser import HTMLParser

import pytest
from molecules_small import ACIDS, ALCOHOLS, AMINES, write

pytest.importorskip("rdkit")

import deepchem_meta as dc
from deepchem_meta.pretrained import AssayEncoder
from deepchem_meta.pretrained.encoder import make_net
from deepchem_meta.ranking import rank
from deepchem_meta.tasks import MorganCounts

VOID = ("meta", "br", "path", "rect", "use", "ellipse", "line")


class Checked(HTMLParser):
    """Raises unless tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.pictures, self.labels = [], [], 0, 0

    def handle_starttag(self, tag, attrs):
        self.pictures += tag == "svg"
        self.labels += tag == "svg" and bool(dict(attrs).get("aria-label"))
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
    known = [("> 6.5" if values else 1, s) for s in ALCOHOLS[:1]]
    known += [(6.5 + n / 10 if values else 1, s) for n, s in enumerate(ALCOHOLS[1:6], 1)]
    known += [(5 + n / 10 if values else 0, s) for n, s in enumerate(AMINES[:6])]
    known += [(1, "C1CC")]
    column = "pIC50" if values else "active"
    rows = [(f"known{n}", *row) for n, row in enumerate(known)]
    support = write(tmp_path / "ten.csv", f"code,{column},smiles", rows)
    library = [(f"<b>{n}</b>", s) for n, s in enumerate(ACIDS + ALCOHOLS[5:] + ["C1CC"])]
    candidates = write(tmp_path / "library.csv", "name,smiles", library)
    path = tmp_path / "page.html"
    ranking = rank(support, candidates, tmp_path / "a.csv", report=path, encoder=encoder)
    text = path.read_text()
    page = Checked()
    page.feed(text)
    assert page.open == [] and ranking.report == path
    words = " ".join(page.text)
    tried = "with 16 measured compounds, the nearest number that was tried"
    assert f"{tried}: ROC-AUC 0.70 (half of the assays: 0.61 to 0.79)" in words
    assert ("correlation of ranks 0.35" in words) == values
    assert words.index("What to expect") < words.index("The best 24 of 28 candidates")
    assert page.labels == page.pictures
    assert page.pictures == 24 + 12 + 1  # candidates, measured compounds and the curve
    assert "<b>0</b>" not in text and "&lt;b&gt;" in text
    assert "Rows that could not be read" in words and "http://" not in text.replace(
        "http://www.w3.org", ""
    ).replace("http://www.rdkit.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons", ""
    )
    # The page explains its numbers.
    for part in (
        "testing the best 10% of the candidates found 10 to 18% of the actives",
        f"{ranking.dissimilar} candidates resemble none",
        "The similarity is Tanimoto's",
        "Below 0.25 a card has a warning",
        "Other chemistry",
        "Activity cliffs",
        "Another readout",
        f"Written by deepchem_meta {dc.__version__}.",
    ):
        assert part in words
    assert words.index("What to expect") < words.index("candidates resemble none")
    assert ("Another share of actives" in words) != values
    assert ("in the scale of pIC50" in words) == ("90%: " in words) == (">6.50" in words) == values
    assert "known0" in words and re.search(r"similarity \d\.\d\d to known\d", words)
